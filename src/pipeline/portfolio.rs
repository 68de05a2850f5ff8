//! Method `auto`: several models, each fitted by walks, and the mixture of them that predicts best.
//!
//! The models differ in depth, activation, prior, noise, and column transforms. Each is scored by
//! cross-validation on rows that it has not seen: each fold is a fifth of the rows, and a walk runs
//! on the others. The weights `w` maximise
//!
//! ```text
//! sum_i log sum_k w_k p(y_i | x_i, rows outside the fold of i, model k)
//! ```
//!
//! (as in [`Stacking`](crate::diagnose::Stacking); Yao, Vehtari, Simpson & Gelman 2018, who score
//! by leave-one-out). The weights are averaged over bootstrap samples of the rows. On a few hundred
//! rows they are uncertain, and without the average one model would often get all the weight.
//! Models with weight are then fitted to all rows, and the mixture predicts
//! `p(y | x) = sum_k w_k p_k(y | x)`.
//!
//! Leave-one-out from one walk ([`Loo`](crate::diagnose::Loo)) would cost less, but it cannot
//! choose. The more flexible a model, the more rows have a large `k`, and for those rows it is too
//! optimistic (`docs/models.md` has figures).

use std::time::Instant;

use super::candidates::{Candidate, candidates};
use super::constant::{SomeRows, judge};
use super::hierarchy::STRETCH;
use super::map::share;
use super::progress::Part;
use super::scored::{Scored, disagreement, finite, in_agreement, mixture_elpd, promising, stacked};
use super::seconds::of_next_walk;
use super::{
    AutoSettings, Batch, FeatureTransform, FitOptions, FitReport, FitResult, Fits, Method,
    PriorChoice, Progress, Stage, TargetTransform, WalkSettings, fit_owned,
};
use crate::artifact::report::LeftOut;
use crate::artifact::{Fitted, FittedModel, Member, MemberSpec};
use crate::data::{Dataset, Task, k_folds};
use crate::error::{Error, Result, counted};
use crate::rng::{Phase, Streams};

/// Work of all walks together, in floating-point operations: about fifty seconds on two cores.
const WORK: f64 = 4.2e12;

/// Cost of a gradient besides `6 N P` operations: twenty microseconds.
const OVERHEAD: f64 = 1e6;

/// Share of the work for cross-validation.
const FIRST: f64 = 0.5;

/// Number of folds. Fewer are scored if walks on all of them take too long.
const FOLDS: usize = 5;

/// Walkers and kept points of a walk that leaves out a fold; walkers of a walk on all rows.
const FOLD_WALKERS: usize = 8;
const FOLD_SAMPLES: usize = 128;
const WALKERS: usize = 16;

/// Gradients of a walker: the least that makes a walk worth scoring, and the most.
const GRADIENTS: (f64, f64) = (2_500.0, 40_000.0);

/// Weight below which a model is left out.
const LEAST: f64 = 0.02;

/// Most rows times features. Beyond this, walks on all rows take too long.
const LARGE: usize = 2_000_000;

/// Fits the portfolio and stacks it.
pub(super) fn fit_portfolio<T: Fits>(
    data: &Dataset,
    options: &FitOptions,
    auto: &AutoSettings,
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    check(data, options)?;
    auto.walk().check_budget()?;
    let mut summary = FitReport {
        double: T::NAME == "f64",
        ..FitReport::default()
    };
    summary.data(data, options.class_weights)?;
    let portfolio = Portfolio::new(data, options, auto.walk(), progress);
    let candidates = candidates(data, options.likelihood);
    let scored = portfolio.scored::<T>(candidates, FIRST, &mut summary)?;
    let rows = scored.first().map_or(0, |s| s.held_out.len());
    let models = scored.len();
    let table = (0..rows * models).map(|i| scored[i % models].held_out[i / models]);
    let weights = stacked(&table.collect::<Vec<f64>>(), models, options.seed)?;
    let elpd = mixture_elpd(&scored, &weights);
    let said = summary.portfolio.get_or_insert_default();
    (said.elpd, said.rows, said.scored) = (Some(elpd), rows, models);
    let mut members: Vec<(f64, Scored)> = weights.into_iter().zip(scored).collect();
    members.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, left_out) in members.iter().filter(|m| m.0 < LEAST) {
        summary.left_out(left_out, LeftOut::SmallWeight);
    }
    members.retain(|m| m.0 >= LEAST);
    let total: f64 = members.iter().map(|m| m.0).sum();
    members.iter_mut().for_each(|m| m.0 /= total);
    portfolio.mixture(&members, summary)
}

/// The models of a data set, and the time since the fit started.
pub(super) struct Portfolio<'a> {
    data: &'a Dataset,
    options: &'a FitOptions,
    /// The walks, as far as the portfolio does not decide about them.
    walk: WalkSettings,
    progress: &'a dyn Progress,
    started: Instant,
}

impl<'a> Portfolio<'a> {
    pub(super) fn new(
        data: &'a Dataset,
        options: &'a FitOptions,
        walk: WalkSettings,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            data,
            options,
            walk,
            progress,
            started: Instant::now(),
        }
    }
}

impl Portfolio<'_> {
    /// Refuses tables on which this many walks take too long.
    pub(super) fn check_size(data: &Dataset) -> Result<()> {
        if data.n().saturating_mul(data.d()) <= LARGE {
            return Ok(());
        }
        let value = format!(
            "{} of {}",
            counted(data.n(), "row"),
            counted(data.d(), "feature")
        );
        let requirement = format!("are more than {LARGE} numbers for a choice; take --rows");
        Err(Error::config("choice of a model", value, &requirement))
    }

    /// Every candidate's log densities of held-out rows. A candidate that fails, or that is far
    /// behind after the first fold, is left out and reported. `until` is the share of the progress
    /// that this takes.
    pub(super) fn scored<T: Fits>(
        &self,
        candidates: Vec<Candidate>,
        until: f64,
        summary: &mut FitReport,
    ) -> Result<Vec<Scored>> {
        let mut rng = Streams::new(self.options.seed).rng(Phase::SPLIT, 1);
        let mut splits = k_folds(self.data, FOLDS.min(self.data.n()), &mut rng)?;
        let rows = splits.first().map_or(0, |s| s.train.len());
        let walkers = self.walk.particles.unwrap_or(FOLD_WALKERS);
        // operations of one gradient for every walker of every candidate
        let each = |of: &[Scored]| {
            let cost = of.iter().map(|s| self.cost(&s.candidate, rows));
            cost.sum::<f64>() * walkers as f64
        };
        let mut alive: Vec<Scored> = candidates.into_iter().map(Scored::new).collect();
        let affordable = (WORK * FIRST / (each(&alive) * GRADIENTS.0)) as usize;
        splits.truncate(affordable.clamp(1, FOLDS));
        let (mut work, mut failure, mut spent) = (WORK * FIRST, None, 0.0);
        for (f, split) in splits.iter().enumerate() {
            let left = splits.len() - f;
            let gradients = work / (each(&alive) * left as f64);
            work -= each(&alive) * gradients;
            let (train, test) = (
                self.data.select(&split.train)?,
                self.data.select(&split.test)?,
            );
            let walks = alive.len();
            let mut next = Vec::new();
            for (k, mut scored) in alive.into_iter().enumerate() {
                let walk = WalkSettings {
                    particles: Some(walkers),
                    samples: FOLD_SAMPLES.min(self.walk.samples),
                    max_seconds: self.seconds(FIRST, walks * left - k),
                    ..self.walk
                };
                let samples = walk.samples;
                let options = self.options_of(&scored.candidate, walk, gradients);
                let fold = until / splits.len() as f64;
                let progress = self.part(f as f64 * fold, fold, (k, walks));
                let streams = Streams::new(self.options.seed);
                let mut apart = None;
                let densities = fit_owned::<T>(train.clone(), &options, &progress)
                    .and_then(|f| {
                        apart = disagreement(&f.report);
                        summary.chosen_by(&f.report);
                        spent += f.report.gradients() * share(train.n(), self.data.n());
                        f.model.log_densities(&test, samples, streams)
                    })
                    .and_then(finite);
                match densities {
                    Ok(densities) => {
                        scored.held_out.extend(densities);
                        scored.apart = scored.apart.or(apart);
                        next.push(scored);
                    }
                    Err(error @ Error::Cancelled { .. }) => return Err(Stage::Choice.of(error)),
                    Err(error) => {
                        let why = error.to_string();
                        summary.left_out(&scored, LeftOut::Failed { why });
                        failure = Some(error);
                    }
                }
            }
            next = in_agreement(next, summary);
            alive = if f == 0 {
                promising(next, summary)
            } else {
                next
            };
        }
        summary
            .portfolio
            .get_or_insert_default()
            .validation_gradients = spent;
        if alive.is_empty() {
            let none = || Error::config("method", "auto", "none of its models could be fitted");
            return Err(failure.unwrap_or_else(none));
        }
        Ok(alive)
    }

    /// Floating-point operations of a gradient on `rows` rows.
    fn cost(&self, candidate: &Candidate, rows: usize) -> f64 {
        let d = self.data.d() as f64;
        let outputs = match self.data.task() {
            Task::Classification { classes } => classes as f64,
            Task::Regression => 1.0,
        };
        let widths = candidate.hidden.iter().map(|&w| w as f64);
        let (mut dim, mut before) = (0.0, d);
        for width in widths.chain([outputs]) {
            dim += (before + 1.0) * width;
            before = width;
        }
        6.0 * rows as f64 * dim + OVERHEAD
    }

    /// Seconds for the next of `left` walks, which together may run until `share` of the time.
    fn seconds(&self, share: f64, left: usize) -> Option<f64> {
        let until = self.walk.max_seconds? * share;
        let elapsed = self.started.elapsed().as_secs_f64();
        Some(of_next_walk(until, elapsed, left))
    }

    /// Progress of walk `index` of `walks`, which together take `share` of the whole, from `from`
    /// on.
    fn part(&self, from: f64, share: f64, (index, walks): (usize, usize)) -> Part<'_> {
        let each = share / walks as f64;
        Part {
            progress: self.progress,
            stage: Stage::Choice,
            from: from + each * index as f64,
            to: from + each * (index + 1) as f64,
        }
    }

    /// Fits the members to all rows.
    fn mixture<T: Fits>(
        &self,
        members: &[(f64, Scored)],
        mut summary: FitReport,
    ) -> Result<FitResult<T>> {
        let work = WORK * (1.0 - FIRST) / members.len().max(1) as f64;
        let walkers = self.walk.particles.unwrap_or(WALKERS);
        let (mut models, mut spare, mut gradients) = (Vec::new(), None, 0.0);
        for (index, (weight, scored)) in members.iter().enumerate() {
            let each = self.cost(&scored.candidate, self.data.n()) * walkers as f64;
            let walk = WalkSettings {
                particles: Some(walkers),
                max_seconds: self.seconds(1.0, members.len() - index),
                ..self.walk
            };
            let options = self.options_of(&scored.candidate, walk, work / each);
            let progress = self.part(FIRST, 1.0 - FIRST, (index, members.len()));
            let fitted = fit_owned::<T>(self.data.clone(), &options, &progress)
                .map_err(|error| Stage::Choice.of(error))?;
            gradients += fitted.report.gradients();
            let member = Member {
                weight: *weight,
                model: fitted.model,
            };
            if let Some(rhat) = disagreement(&fitted.report) {
                summary.left_out(scored, LeftOut::WalkersApart { rhat });
                spare = spare.or(Some((member, scored.tried().name, fitted.report)));
                continue;
            }
            summary.member(*weight, scored, &fitted.report);
            models.push(member);
        }
        if let (true, Some((member, name, fit))) = (models.is_empty(), spare) {
            summary.kept_all_the_same(&name, &fit);
            models.push(member);
        }
        let total: f64 = models.iter().map(|m| m.weight).sum();
        models.iter_mut().for_each(|m| m.weight /= total);
        let validation = summary.portfolio.as_ref();
        let validation = validation.map_or(0.0, |p| p.validation_gradients);
        summary.method_gradients = Some(gradients + validation);
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
        metadata.report = Some(summary.of_model());
        let map = heaviest.model.map.clone();
        let mut model = FittedModel {
            metadata,
            map,
            fitted: Fitted::Mixture(models),
            parts: None,
        };
        let some = SomeRows::of(self.data.features(), self.data.targets());
        judge(&mut model, &some, &mut summary);
        Ok(FitResult {
            model,
            report: summary,
            loo: None,
        })
    }

    /// Options for a walk of a candidate. Its steps take `gradients` gradients per walker, unless
    /// their number is given.
    fn options_of(
        &self,
        candidate: &Candidate,
        mut walk: WalkSettings,
        gradients: f64,
    ) -> FitOptions {
        let gradients = gradients.clamp(0.5 * GRADIENTS.0, GRADIENTS.1);
        walk.steps.get_or_insert(gradients as usize / STRETCH);
        FitOptions {
            method: walk.into(),
            choose_hidden: None,
            hidden: candidate.hidden.clone(),
            activation: candidate.activation,
            prior: candidate.prior,
            likelihood: candidate.likelihood,
            feature_transform: candidate.features,
            target_transform: candidate.target,
            ..self.options.clone()
        }
    }
}

/// Refuses options that do not go with a portfolio.
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
    let defaults = FitOptions::default();
    if options.choose_hidden.is_some() {
        return wrong("hidden", &"auto", "is what method auto does anyway");
    }
    if options.hidden != defaults.hidden {
        return wrong("hidden", &format!("{:?}", options.hidden), chosen);
    }
    if options.activation != defaults.activation {
        return wrong("activation", &options.activation.name(), chosen);
    }
    if options.prior != PriorChoice::Auto {
        return wrong("prior", &options.prior.name(), chosen);
    }
    if options.feature_transform != FeatureTransform::None {
        return wrong("feature_transform", &options.feature_transform, chosen);
    }
    if options.target_transform != TargetTransform::None {
        return wrong("target_transform", &options.target_transform, chosen);
    }
    if options.layers.is_some() || data.image().is_some() {
        return wrong("method", &"auto", "is for tables, not for images");
    }
    if options.batch != Batch::Auto {
        return wrong(
            "batch",
            &"given",
            "is not for method auto, whose walks take all rows",
        );
    }
    Portfolio::check_size(data)
}
