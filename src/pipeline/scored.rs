//! Scores of the candidates of method `auto` on held-out rows, and which ones to continue with.

use rand::RngExt;

use super::FitReport;
use super::candidates::Candidate;
use crate::artifact::report::{LeftOut, Tried};
use crate::diagnose::Stacking;
use crate::error::{Error, Result};
use crate::rng::{Phase, Streams};

/// Threshold for the median R-hat of predictions over some rows. Above it the walkers of a model do
/// not agree: some are stuck where others never go, and the model's predictions are left out.
const AGREED: f64 = 1.6;

/// Nats per row that a model may be behind after the first fold.
const BEHIND: f64 = 0.1;

/// A candidate that was scored.
pub(super) struct Scored {
    pub candidate: Candidate,
    /// Log densities of the held-out rows.
    pub held_out: Vec<f64>,
    /// The R-hat, if the walkers do not agree.
    pub apart: Option<f64>,
}

impl Scored {
    pub fn new(candidate: Candidate) -> Self {
        Self {
            candidate,
            held_out: Vec::new(),
            apart: None,
        }
    }

    pub fn elpd(&self) -> f64 {
        self.held_out.iter().sum()
    }

    /// The candidate's entry in the report, scored or not.
    pub fn tried(&self) -> Tried {
        Tried {
            name: self.candidate.name(),
            elpd: (!self.held_out.is_empty()).then(|| self.elpd()),
            rows: self.held_out.len(),
            ..Tried::default()
        }
    }
}

/// The R-hat of predictions, if the walkers do not agree. A walk that is too short for an R-hat is
/// not left out for it: the verdict warns of such walks.
pub(super) fn disagreement(report: &FitReport) -> Option<f64> {
    rhat_of(report).filter(|rhat| *rhat > AGREED)
}

fn rhat_of(report: &FitReport) -> Option<f64> {
    let predictions = report.mixing.as_ref()?.predictions.as_ref()?;
    Some(predictions.rhat_median)
}

/// The candidates whose walkers agree; all candidates, if none do.
pub(super) fn in_agreement(scored: Vec<Scored>, summary: &mut FitReport) -> Vec<Scored> {
    if scored.iter().all(|s| s.apart.is_some()) {
        return scored;
    }
    let (kept, apart): (Vec<_>, Vec<_>) = scored.into_iter().partition(|s| s.apart.is_none());
    for one in apart {
        let rhat = one.apart.unwrap_or(AGREED);
        summary.left_out(&one, LeftOut::WalkersApart { rhat });
    }
    kept
}

/// Number of bootstrap samples that stacking weights are averaged over.
const BOOTSTRAP: usize = 50;

/// Stacking weights from log densities `[rows, models]`, averaged over bootstrap samples of the
/// rows.
pub(super) fn stacked(table: &[f64], models: usize, seed: u64) -> Result<Vec<f64>> {
    let rows = table.len() / models.max(1);
    let mut mean = vec![0.0; models];
    for index in 0..BOOTSTRAP {
        let mut rng = Streams::new(seed).rng(Phase::BOOTSTRAP, index as u64);
        let mut sample = Vec::with_capacity(table.len());
        for _ in 0..rows {
            let row = rng.random_range(0..rows);
            sample.extend_from_slice(&table[row * models..(row + 1) * models]);
        }
        for (m, w) in mean.iter_mut().zip(Stacking::new(&sample, models)?.weights) {
            *m += w / BOOTSTRAP as f64;
        }
    }
    Ok(mean)
}

/// `sum_i log sum_k w_k p_ik` over the held-out rows.
pub(super) fn mixture_elpd(scored: &[Scored], weights: &[f64]) -> f64 {
    let rows = scored.first().map_or(0, |s| s.held_out.len());
    let row = |i: usize| {
        let terms: Vec<f64> = scored
            .iter()
            .zip(weights)
            .filter(|(_, w)| **w > 0.0)
            .map(|(s, w)| w.ln() + s.held_out[i])
            .collect();
        let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln()
    };
    (0..rows).map(row).sum()
}

/// Returns the log densities if all are finite.
pub(super) fn finite(densities: Vec<f64>) -> Result<Vec<f64>> {
    match densities.iter().position(|l| !l.is_finite()) {
        None => Ok(densities),
        Some(index) => {
            let what = "log densities of rows held out";
            Err(Error::NonFinite { what, index })
        }
    }
}

/// Drops the candidates that are far behind the best. A candidate is, if its mean deficit less two
/// standard errors is more than [`BEHIND`] nats per row.
pub(super) fn promising(scored: Vec<Scored>, summary: &mut FitReport) -> Vec<Scored> {
    let best = scored.iter().max_by(|a, b| a.elpd().total_cmp(&b.elpd()));
    let Some(best) = best.map(|b| b.held_out.clone()) else {
        return scored;
    };
    let (mut kept, n) = (Vec::new(), best.len() as f64);
    for one in scored {
        let differences = || best.iter().zip(&one.held_out).map(|(b, l)| b - l);
        let mean = differences().sum::<f64>() / n;
        let squares: f64 = differences().map(|d| (d - mean).powi(2)).sum();
        let error = (squares / (n - 1.0).max(1.0) / n).sqrt();
        if mean - 2.0 * error > BEHIND {
            summary.left_out(&one, LeftOut::Behind { nats: mean });
        } else {
            kept.push(one);
        }
    }
    kept
}

impl FitReport {
    /// Reports that a model is not part of the result.
    pub(super) fn left_out(&mut self, scored: &Scored, why: LeftOut) {
        self.tried(Tried {
            left_out: Some(why),
            ..scored.tried()
        });
    }

    /// Reports a model that is part of the mixture.
    pub(super) fn member(&mut self, weight: f64, scored: &Scored, fitted: &FitReport) {
        self.tried(Tried {
            weight: Some(weight),
            rhat: rhat_of(fitted),
            fit: Some(Box::new(fitted.of_member())),
            ..scored.tried()
        });
    }

    /// Counts a walk that scored a model. If it was cut short in its warm-up the score stands: it
    /// is of rows that the walk has not seen. But it is of a fit that had not arrived.
    pub(super) fn chosen_by(&mut self, fitted: &FitReport) {
        let cut = fitted.walk.as_ref().and_then(|w| w.cut_short.as_ref());
        let portfolio = self.portfolio.get_or_insert_default();
        portfolio.walks += 1;
        portfolio.cut_in_warm_up += usize::from(cut.is_some_and(|c| c.in_warm_up));
    }

    /// Reports that the walkers of no model agree, and that the one of this name is kept all the
    /// same.
    pub(super) fn kept_all_the_same(&mut self, name: &str, fitted: &FitReport) {
        let portfolio = self.portfolio.get_or_insert_default();
        portfolio.none_agrees = true;
        let last = portfolio.tried.iter_mut().rfind(|t| t.name == name);
        if let Some(tried) = last {
            tried.fit = Some(Box::new(fitted.of_member()));
        }
    }

    pub(super) fn tried(&mut self, one: Tried) {
        self.portfolio.get_or_insert_default().tried.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Activation;
    use crate::pipeline::{FeatureTransform, PriorChoice, TargetTransform};

    fn scored(held_out: Vec<f64>, apart: Option<f64>) -> Scored {
        Scored {
            candidate: Candidate {
                hidden: Vec::new(),
                activation: Activation::Tanh,
                prior: PriorChoice::Ard,
                likelihood: None,
                features: FeatureTransform::None,
                target: TargetTransform::None,
            },
            held_out,
            apart,
        }
    }

    #[test]
    fn a_model_that_is_better_everywhere_takes_all_and_equals_share() {
        let better: Vec<f64> = (0..40).flat_map(|_| [-1.0, -2.0]).collect();
        let weights = stacked(&better, 2, 0).unwrap();
        assert!((weights[0] - 1.0).abs() < 1e-6, "{weights:?}");
        // each is right about half of the rows: about half the weight each, up to the bootstrap
        // draw
        let split: Vec<f64> = (0..40)
            .flat_map(|i| {
                if i % 2 == 0 {
                    [-1.0, -4.0]
                } else {
                    [-4.0, -1.0]
                }
            })
            .collect();
        let weights = stacked(&split, 2, 0).unwrap();
        assert!((weights[0] - 0.5).abs() < 0.05, "{weights:?}");
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let both = [
            scored(vec![-1.0, -4.0], None),
            scored(vec![-4.0, -1.0], None),
        ];
        let by_hand = 2.0 * (0.5 * (-1f64).exp() + 0.5 * (-4f64).exp()).ln();
        assert!((mixture_elpd(&both, &[0.5, 0.5]) - by_hand).abs() < 1e-14);
        assert_eq!(mixture_elpd(&both, &[1.0, 0.0]), -5.0);
    }

    #[test]
    fn what_is_far_behind_or_has_walkers_apart_is_left_out() {
        let near = |shift: f64| {
            (0..50)
                .map(|i| -1.0 - shift + 0.01 * f64::from(i % 5))
                .collect()
        };
        let mut summary = FitReport::default();
        let all = vec![
            scored(near(0.0), None),
            scored(near(0.05), None),
            scored(near(0.5), None),
        ];
        assert_eq!(promising(all, &mut summary).len(), 2);
        assert!(summary.to_string().contains("0.50 nats a row behind"));
        // far behind on average because of a single row: not certain
        let mut one = vec![-1.0; 50];
        one[0] = -60.0;
        let all = vec![scored(vec![-1.0; 50], None), scored(one, None)];
        assert_eq!(promising(all, &mut summary).len(), 2);
        let all = vec![scored(near(0.0), Some(2.0)), scored(near(0.0), None)];
        assert_eq!(in_agreement(all, &mut summary).len(), 1);
        let all = vec![scored(near(0.0), Some(2.0)), scored(near(0.0), Some(3.0))];
        assert_eq!(
            in_agreement(all, &mut summary).len(),
            2,
            "better than nothing"
        );
    }
}
