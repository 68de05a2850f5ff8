//! Method `auto`: several models, each fitted by walks, and the mixture of them that predicts best.
//!
//! The models differ in depth, activation, prior, noise, and in what is done to columns. Each is
//! scored on rows that it has not seen, by cross-validation: folds of a fifth of the rows, a walk on
//! the others. The weights `w` maximise
//!
//! ```text
//! sum_i log sum_k w_k p(y_i | x_i, rows outside the fold of i, model k)
//! ```
//!
//! ([`Stacking`]; Yao, Vehtari, Simpson & Gelman 2018, who score by leave-one-out). Models with
//! weight are then fitted to all rows, and the mixture predicts `p(y | x) = sum_k w_k p_k(y | x)`.
//!
//! Leave-one-out from one walk ([`Loo`](crate::diagnose::Loo)) would cost a fifth, but it cannot
//! choose: the more flexible a model, the more rows have a large `k`, and for those it says too
//! much. On glass, with 149 rows, it gives 129 of them a large `k` and an elpd of -48, where rows
//! held out have -90.

use std::time::Instant;

use super::{
    Batch, FeatureTransform, FitOptions, FitResult, KernelKind, Method, PriorChoice, Stage,
    Summary, TargetTransform, fit_owned,
};
use crate::artifact::{Fitted, Member, MemberSpec, Model};
use crate::data::{Dataset, Task, Warp, k_folds};
use crate::diagnose::Stacking;
use crate::error::{Error, Result};
use crate::model::Observation;
use crate::nn::Activation;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Floating-point operations of all walks together, about: fifty seconds of two cores.
const WORK: f64 = 8e12;

/// Share of them that cross-validation takes.
const FIRST: f64 = 0.5;

/// Parts that the rows are cut into; fewer are scored where walks on all of them take too long.
const FOLDS: usize = 5;

/// Walkers, kept points, and least gradients of a walk that leaves out a fold.
const WALKERS: usize = 8;
const SAMPLES: usize = 128;
const GRADIENTS: f64 = 2_000.0;

/// Weight below which a model is left out.
const LEAST: f64 = 0.02;

/// Rows times features beyond which walks on all rows take too long.
const LARGE: usize = 2_000_000;

/// One model of the portfolio.
#[derive(Clone, Debug)]
struct Candidate {
    hidden: Vec<usize>,
    activation: Activation,
    prior: PriorChoice,
    likelihood: Option<Observation>,
    features: FeatureTransform,
    target: TargetTransform,
}

impl Candidate {
    fn new(hidden: &[usize], activation: Activation, prior: PriorChoice) -> Self {
        Self {
            hidden: hidden.to_vec(),
            activation,
            prior,
            likelihood: None,
            features: FeatureTransform::Auto,
            target: TargetTransform::None,
        }
    }

    fn likelihood(self, likelihood: Observation) -> Self {
        let likelihood = Some(likelihood);
        Self { likelihood, ..self }
    }

    fn features(self, features: FeatureTransform) -> Self {
        Self { features, ..self }
    }

    fn target(self, target: TargetTransform) -> Self {
        Self { target, ..self }
    }

    fn name(&self) -> String {
        let mut name = match &self.hidden[..] {
            [] => "linear".to_string(),
            widths => {
                let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
                format!("{} {}", widths.join("-"), self.activation.name())
            }
        };
        name += &format!(", {}", self.prior.name());
        if let Some(likelihood) = self.likelihood {
            name += &format!(", {likelihood}");
        }
        if self.features != FeatureTransform::Auto {
            name += &format!(", features {}", self.features);
        }
        if self.target != TargetTransform::None {
            name += &format!(", target {}", self.target);
        }
        name
    }
}

/// The models for a data set: the likelihood that is asked for, or several.
fn candidates(data: &Dataset, asked: Option<Observation>) -> Vec<Candidate> {
    use Activation::{Silu, Tanh};
    use PriorChoice::{Ard, Hierarchical};
    let mut all = vec![
        Candidate::new(&[], Tanh, Ard),
        Candidate::new(&[50], Tanh, Ard),
        Candidate::new(&[30, 30], Tanh, Ard),
        Candidate::new(&[50], Silu, Ard),
    ];
    // a map that the heavy tails of some columns suggest may be worse for these data
    let d = data.d();
    let column =
        |j: usize| -> Vec<f64> { data.features()[j..].iter().step_by(d).copied().collect() };
    let any = |f: fn(&[f64]) -> Option<Warp>| (0..d).any(|j| f(&column(j)).is_some());
    if any(Warp::for_heavy_tails) {
        all.push(Candidate::new(&[50], Tanh, Ard).features(FeatureTransform::None));
    }
    if data.task() != Task::Regression {
        if any(|column| Warp::yeo_johnson(column, Warp::FEATURES)) {
            all.push(Candidate::new(&[50], Tanh, Ard).features(FeatureTransform::YeoJohnson));
        }
        all.push(Candidate::new(&[50], Tanh, Hierarchical));
    } else {
        all.push(Candidate::new(&[50], Tanh, Hierarchical));
        if asked.is_none() {
            let plain = || Candidate::new(&[50], Tanh, Ard);
            all.push(plain().likelihood(Observation::Heteroscedastic));
            all.push(plain().likelihood(Observation::StudentT));
            let y = data.targets();
            if y.iter().all(|&y| y > 0.0) {
                all.push(plain().target(TargetTransform::Log));
            } else if Warp::yeo_johnson(y, Warp::TARGETS).is_some() {
                all.push(plain().target(TargetTransform::YeoJohnson));
            }
        }
    }
    if let Some(asked) = asked {
        all.iter_mut().for_each(|c| c.likelihood = Some(asked));
    }
    all
}

/// A candidate that was scored.
struct Scored {
    candidate: Candidate,
    /// Log densities of the rows that were held out.
    held_out: Vec<f64>,
}

impl Scored {
    fn elpd(&self) -> f64 {
        self.held_out.iter().sum()
    }
}

/// Fits the portfolio and stacks it.
pub(super) fn fit_portfolio<T: Scalar>(
    data: &Dataset,
    options: &FitOptions,
    progress: &(dyn Fn(Stage, usize, usize) + Sync),
) -> Result<FitResult<T>> {
    check(data, options)?;
    let mut summary = Summary::default();
    summary.data(data);
    let portfolio = Portfolio {
        data,
        options,
        progress,
        started: Instant::now(),
    };
    let scored = portfolio.scored::<T>(&mut summary)?;
    let rows = scored.first().map_or(0, |s| s.held_out.len());
    let models = scored.len();
    let table = (0..rows * models).map(|i| scored[i % models].held_out[i / models]);
    let stacking = Stacking::new(&table.collect::<Vec<f64>>(), models)?;
    let text = format!(
        "elpd {:.1} nats of {rows} rows held out ({:.4} a row), {models} models tried",
        stacking.log_score,
        stacking.log_score / rows.max(1) as f64
    );
    summary.line("stacking", text);
    summary.figure("elpd_held_out", stacking.log_score);
    let mut members: Vec<(f64, Scored)> = stacking.weights.into_iter().zip(scored).collect();
    members.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, left_out) in members.iter().filter(|m| m.0 < LEAST) {
        let text = format!("{}: elpd {:.1}", left_out.candidate.name(), left_out.elpd());
        summary.line("left out", text);
    }
    members.retain(|m| m.0 >= LEAST);
    let total: f64 = members.iter().map(|m| m.0).sum();
    members.iter_mut().for_each(|m| m.0 /= total);
    portfolio.mixture(&members, summary)
}

struct Portfolio<'a> {
    data: &'a Dataset,
    options: &'a FitOptions,
    progress: &'a (dyn Fn(Stage, usize, usize) + Sync),
    started: Instant,
}

impl Portfolio<'_> {
    /// Every candidate's log densities of rows held out. One that fails is left out, and said.
    fn scored<T: Scalar>(&self, summary: &mut Summary) -> Result<Vec<Scored>> {
        let all = candidates(self.data, self.options.likelihood);
        let folds = FOLDS.min(self.data.n());
        let mut rng = Streams::new(self.options.seed).rng(Phase::SPLIT, 1);
        let mut splits = k_folds(self.data, folds, &mut rng)?;
        let work = self.options.work.unwrap_or(WORK) * FIRST;
        splits.truncate(self.affordable_folds(&all, work));
        let walks = all.len() * splits.len();
        let (mut scored, mut failure) = (Vec::new(), None);
        for (k, candidate) in all.iter().enumerate() {
            let mut held_out = Vec::new();
            for (f, split) in splits.iter().enumerate() {
                let index = k * splits.len() + f;
                let options = FitOptions {
                    particles: Some(self.options.particles.unwrap_or(WALKERS)),
                    samples: SAMPLES.min(self.options.samples),
                    max_seconds: self.seconds(FIRST, walks - index),
                    ..self.options_of(candidate, work / walks as f64)
                };
                let train = self.data.select(&split.train)?;
                let test = self.data.select(&split.test)?;
                let progress = self.part(index, walks, 0, 500);
                let fitted = fit_owned::<T>(train, &options, &progress);
                let streams = Streams::new(self.options.seed);
                let densities =
                    fitted.and_then(|f| f.model.log_densities(&test, options.samples, streams));
                match densities {
                    Ok(densities) => held_out.extend(densities),
                    Err(error) => {
                        let text = format!("{} is left out: {error}", candidate.name());
                        summary.line("warning", text);
                        failure = Some(error);
                        break;
                    }
                }
            }
            let expected: usize = splits.iter().map(|s| s.test.len()).sum();
            if held_out.len() == expected && held_out.iter().all(|l| l.is_finite()) {
                scored.push(Scored {
                    candidate: candidate.clone(),
                    held_out,
                });
            }
        }
        if scored.is_empty() {
            let none = || Error::config("method", "auto", "none of its models could be fitted");
            return Err(failure.unwrap_or_else(none));
        }
        Ok(scored)
    }

    /// Folds that can be scored with walks of the least length, at least one.
    fn affordable_folds(&self, candidates: &[Candidate], work: f64) -> usize {
        let (n, d) = (self.data.n() as f64, self.data.d() as f64);
        let each = candidates.iter().map(|c| {
            // parameters, about
            let widths = c.hidden.iter().map(|&w| w as f64);
            let (dim, last) = widths.fold((0.0, d), |(dim, before), w| (dim + before * w, w));
            6.0 * n * (dim + last) * GRADIENTS * WALKERS as f64
        });
        let of_a_fold: f64 = each.sum();
        ((work / of_a_fold) as usize).clamp(1, FOLDS)
    }

    /// Seconds of the next walk, of those that are left up to a share of the time.
    fn seconds(&self, share: f64, left: usize) -> Option<f64> {
        let until = self.options.max_seconds? * share;
        let now = self.started.elapsed().as_secs_f64();
        Some(((until - now) / left.max(1) as f64).max(0.1))
    }

    /// Progress of walk `index` of `walks`, of which all go from `from` to `to` thousandths.
    fn part(
        &self,
        index: usize,
        walks: usize,
        from: usize,
        to: usize,
    ) -> impl Fn(Stage, usize, usize) + Sync + '_ {
        let span = to - from;
        move |stage, done, of| {
            if stage == Stage::Walk {
                let part = index as f64 + done.min(of) as f64 / of.max(1) as f64;
                let at = from + (span as f64 * part / walks as f64) as usize;
                (self.progress)(Stage::Walk, at, 1_000);
            }
        }
    }

    /// Fits the members to all rows.
    fn mixture<T: Scalar>(
        &self,
        members: &[(f64, Scored)],
        mut summary: Summary,
    ) -> Result<FitResult<T>> {
        let work = self.options.work.unwrap_or(WORK) * (1.0 - FIRST);
        let (mut models, mut gradients) = (Vec::new(), 0.0);
        for (index, (weight, scored)) in members.iter().enumerate() {
            let options = FitOptions {
                max_seconds: self.seconds(1.0, members.len() - index),
                ..self.options_of(&scored.candidate, work / members.len() as f64)
            };
            let progress = self.part(index, members.len(), 500, 1_000);
            let fitted = fit_owned::<T>(self.data.clone(), &options, &progress)?;
            gradients += fitted.summary.gradients();
            summary.member(*weight, scored, &fitted.summary);
            models.push(Member {
                weight: *weight,
                model: fitted.model,
            });
        }
        summary.figure("models", models.len() as f64);
        summary.method_gradients(gradients);
        let Some(heaviest) = models.first() else {
            return Err(Error::config("method", "auto", "no model has weight"));
        };
        let mut metadata = heaviest.model.metadata.clone();
        metadata.method = Method::Auto.name().into();
        metadata.members = models
            .iter()
            .map(|member| MemberSpec {
                weight: member.weight,
                metadata: member.model.metadata.clone(),
            })
            .collect();
        metadata.diagnostics.clone_from(summary.figures());
        metadata.format_version = metadata.least_version();
        let map = heaviest.model.map.clone();
        Ok(FitResult {
            model: Model {
                metadata,
                map,
                fitted: Fitted::Mixture(models),
            },
            summary,
            loo: None,
        })
    }

    fn options_of(&self, candidate: &Candidate, work: f64) -> FitOptions {
        FitOptions {
            method: Method::Walk,
            hidden: candidate.hidden.clone(),
            activation: candidate.activation,
            prior: candidate.prior,
            likelihood: candidate.likelihood,
            feature_transform: candidate.features,
            target_transform: candidate.target,
            work: Some(work),
            spool: None,
            checkpoint: None,
            ..self.options.clone()
        }
    }
}

/// What does not go with a portfolio.
fn check(data: &Dataset, options: &FitOptions) -> Result<()> {
    let wrong = |field, value: &dyn std::fmt::Display, requirement: &str| {
        Err(Error::config(field, value, requirement))
    };
    let chosen = "is chosen by method auto";
    if let Some(alpha) = options.prior_precision {
        return wrong("prior_precision", &alpha, chosen);
    }
    if let Some(std) = options.noise_std {
        return wrong("noise_std", &std, chosen);
    }
    if options.prior != PriorChoice::Auto {
        return wrong("prior", &options.prior.name(), chosen);
    }
    if options.feature_transform != FeatureTransform::Auto {
        return wrong("feature_transform", &options.feature_transform, chosen);
    }
    if options.target_transform != TargetTransform::None {
        return wrong("target_transform", &options.target_transform, chosen);
    }
    if options.layers.is_some() || data.image().is_some() {
        return wrong("method", &"auto", "is for tables, not for images");
    }
    if options.kernel != KernelKind::Microcanonical {
        return wrong("kernel", &options.kernel.name(), chosen);
    }
    if options.batch != Batch::Auto {
        return wrong(
            "batch",
            &"given",
            "is not for method auto, whose walks take all rows",
        );
    }
    if options.checkpoint.as_ref().is_some_and(|c| c.resume) {
        return wrong("resume", &true, "is for single walks, not for method auto");
    }
    let size = data.n().saturating_mul(data.d());
    if size > LARGE {
        let value = format!("{} rows of {} features", data.n(), data.d());
        let requirement = format!("is for tables of at most {LARGE} numbers; take --rows");
        return wrong("method auto", &value, &requirement);
    }
    Ok(())
}

impl Summary {
    fn member(&mut self, weight: f64, scored: &Scored, fitted: &Summary) {
        let (name, elpd) = (scored.candidate.name(), scored.elpd());
        let mut text = format!("{weight:.3}  {name}: elpd {elpd:.1}");
        if let Some(rhat) = fitted.figures().get("prediction_rhat_median") {
            text += &format!(", R-hat of predictions {rhat:.2}");
        }
        self.line("model", text);
    }
}
