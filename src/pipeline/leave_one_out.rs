//! How well a fit predicts rows that it has not seen, from the draws that it has: leave-one-out by importance sampling.

use rayon::prelude::*;

use super::FitReport;
use super::fit::Problem;
use crate::artifact::{Draws, Fitted, report};
use crate::data::TargetMap;
use crate::diagnose::{Loo, LooRow};
use crate::error::Result;
use crate::model::Observation;
use crate::predict::{Outputs, Own, law_of, network_outputs};
use crate::scalar::Scalar;

/// Rows times parameters times draws that are predicted for it, at most.
const EFFORT: usize = 4_000_000_000;

impl Problem<'_> {
    /// Says how well the points of a fit predict, where that takes little beside the fit.
    pub(super) fn leave_one_out<T: Scalar>(
        &self,
        fitted: &Fitted<T>,
        noise_std: Option<f64>,
        summary: &mut FitReport,
    ) -> Result<Option<Loo>> {
        let kept = match fitted {
            Fitted::Points(_) | Fitted::Spooled(_) => fitted.posterior(),
            _ => None,
        };
        // the weights are right for draws of the posterior, and for nothing else
        let Some(kept) = kept.filter(|_| self.options.samples_posterior()) else {
            return Ok(None);
        };
        let samples = self.options.samples;
        let effort = samples.saturating_mul(self.prepared.y.len());
        if self.prepared.y.is_empty() || effort.saturating_mul(self.network.dim()) > EFFORT {
            return Ok(None);
        }
        let rows = kept.sample(samples, self.streams)?;
        let draws = Draws::of(rows, self.network.dim(), self.sampled_scales().as_ref());
        Ok(match self.loo_of(&draws, noise_std) {
            Ok(loo) => {
                summary.leave_one_out(&loo);
                Some(loo)
            }
            Err(error) => {
                summary.loo_failure = Some(error.to_string());
                None
            }
        })
    }

    /// Leave-one-out of the training rows, in the target's own units. Without a noise of their own,
    /// draws have `noise_std`.
    fn loo_of<T: Scalar>(&self, draws: &Draws<T>, noise_std: Option<f64>) -> Result<Loo> {
        let mut builder = Loo::builder(None);
        let mut done = 0;
        network_outputs(self.network, &draws.theta, &self.prepared.x, |block| {
            let rows: Vec<LooRow> = (0..block.rows)
                .into_par_iter()
                .map(|r| {
                    let log_lik = self.log_lik(done + r, block, r, draws, noise_std)?;
                    LooRow::new(done + r, &log_lik, None)
                })
                .collect::<Result<_>>()?;
            done += block.rows;
            rows.into_iter().try_for_each(|row| builder.push(row))
        })?;
        builder.finish()
    }

    /// Log density of training row `row`, the `at`-th of a block, under every draw.
    fn log_lik<T: Scalar>(
        &self,
        row: usize,
        block: &Outputs,
        at: usize,
        draws: &Draws<T>,
        noise_std: Option<f64>,
    ) -> Result<Vec<f64>> {
        let prepared = &self.prepared;
        let (observation, y) = (prepared.observation, prepared.y[row]);
        let samples = block.row(at).chunks_exact(block.width);
        match observation {
            Observation::Categorical => Ok(samples.map(|o| log_softmax(o, y as usize)).collect()),
            Observation::Bernoulli => {
                let logits = |o: &[f64]| [0.0, o.first().copied().unwrap_or(f64::NAN)];
                Ok(samples
                    .map(|o| log_softmax(&logits(o), y as usize))
                    .collect())
            }
            _ => {
                let target = prepared.target.unwrap_or(TargetMap::IDENTITY);
                let slope = target.log_slope(target.inverse(y));
                let common = noise_std.unwrap_or(1.0);
                samples
                    .enumerate()
                    .map(|(s, outputs)| {
                        let own = Own {
                            noise_std: draws.noise_std.get(s).copied().unwrap_or(common),
                            dof: draws.dof.get(s).copied().unwrap_or(f64::NAN),
                            base_rate: prepared.base_rate,
                        };
                        Ok(law_of(observation, outputs, &own)?.log_density(y) + slope)
                    })
                    .collect()
            }
        }
    }
}

/// The logarithm of the probability of class `label`.
fn log_softmax(logits: &[f64], label: usize) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|o| (o - top).exp()).sum();
    logits.get(label).map_or(f64::NAN, |o| o - top - sum.ln())
}

impl FitReport {
    /// What the rows say of predictions for others.
    pub(super) fn leave_one_out(&mut self, loo: &Loo) {
        self.loo = Some(report::LeaveOneOut {
            rows: loo.pointwise.len(),
            elpd: loo.elpd_loo,
            se: loo.se,
            p_loo: loo.p_loo,
            unreliable_rows: loo.unreliable(),
            threshold: loo.threshold(),
            refits: None,
        });
    }
}
