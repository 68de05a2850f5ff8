//! Leave-one-out by importance sampling: how well a fit predicts unseen rows.
//!
//! It uses the draws that the fit already has.

use super::context::Problem;
use super::{FitReport, Stage};
use crate::artifact::{Draws, Fitted, log_softmax, report};
use crate::data::TargetMap;
use crate::diagnose::{Loo, LooRow};
use crate::error::{Error, Result};
use crate::model::{Likelihood, Model, Noise, Predictive, RowLikelihood};
use crate::parallel;
use crate::predict::{Outputs, network_outputs};
use crate::scalar::Scalar;

/// Most rows times parameters times draws to predict for leave-one-out.
const EFFORT: usize = 4_000_000_000;

impl Problem<'_> {
    /// Reports how well the points of a fit predict, if its cost is small compared with the fit's.
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
        let method = &self.options.method;
        // the weights are right only for draws of the posterior
        let Some(kept) = kept.filter(|_| method.samples_posterior()) else {
            return Ok(None);
        };
        let Some(samples) = method.samples() else {
            return Ok(None);
        };
        let effort = samples.saturating_mul(self.prepared.rows());
        if self.prepared.y.is_empty() || effort.saturating_mul(self.network.dim()) > EFFORT {
            return Ok(None);
        }
        let rows = kept.sample(samples, self.streams)?;
        let draws = {
            let own = self.own.map_or(0, Model::own_params);
            Draws::of(
                rows,
                self.network.dim(),
                self.sampled_scales().as_ref(),
                own,
            )
        };
        Ok(match self.loo_of(&draws, noise_std) {
            Ok(loo) => {
                summary.leave_one_out(&loo);
                Some(loo)
            }
            Err(error @ Error::Cancelled { .. }) => return Err(error),
            Err(error) => {
                summary.loo_failure = Some(error.to_string());
                None
            }
        })
    }

    /// Leave-one-out of the training rows, in the target's original units. Draws that do not
    /// contain a noise use `noise_std`.
    fn loo_of<T: Scalar>(&self, draws: &Draws<T>, noise_std: Option<f64>) -> Result<Loo> {
        let likelihood = match self.own.is_some() || draws.params.is_empty() {
            true => self.likelihood(noise_std)?,
            // the prior of the noise does not matter here
            false => {
                let noise = Noise::Sampled { scale: 1.0 };
                self.prepared.likelihood(noise, self.network.output_dim())?
            }
        };
        let likelihood = likelihood.as_ref();
        let outputs = self.network.output_dim();
        let own = match self.own {
            Some(_) => Some(RowLikelihood::new(likelihood, outputs, &self.prepared.y)?),
            None => None,
        };
        let mut builder = Loo::builder(None);
        let mut done = 0;
        network_outputs(self.network, &draws.theta, &self.prepared.x, |block| {
            self.progress.go_on(Stage::LeaveOneOut)?;
            let rows: Vec<LooRow> = parallel::try_map(block.rows, |r| {
                let log_lik = match &own {
                    Some(own) => own_log_lik(own, done + r, block.row(r), block, draws)?,
                    None => self.log_lik(done + r, block.row(r), block, draws, likelihood)?,
                };
                LooRow::new(done + r, &log_lik, None)
            })?;
            done += block.rows;
            rows.into_iter().try_for_each(|row| builder.push(row))
        })?;
        builder.finish()
    }

    /// Log density of training row `row` under every draw, by the likelihood's predictive law. A
    /// row with weight `w` counts as `w` rows that are left out together.
    fn log_lik<T: Scalar>(
        &self,
        row: usize,
        outputs: &[f64],
        block: &Outputs,
        draws: &Draws<T>,
        likelihood: &dyn Likelihood,
    ) -> Result<Vec<f64>> {
        let prepared = &self.prepared;
        let (y, weight) = prepared.target_of(row);
        let target = prepared.target.unwrap_or(TargetMap::IDENTITY);
        let slope = target.log_slope(target.inverse(y));
        each_sample(outputs, block, draws)
            .map(|(outputs, params)| {
                let log_lik = match likelihood.predictive(outputs, params) {
                    Predictive::Logits => log_softmax(outputs, y as usize),
                    Predictive::Logit => {
                        let logit = outputs.first().copied().unwrap_or(f64::NAN);
                        log_softmax(&[0.0, logit], y as usize)
                    }
                    Predictive::Law(law) => law.log_density(y) + slope,
                    Predictive::Unknown => {
                        let requirement = "says no law of its targets";
                        return Err(Error::config("likelihood", "own", requirement));
                    }
                };
                Ok(weight * log_lik)
            })
            .collect()
    }
}

/// Outputs of a row under every sample, with the likelihood's parameters.
fn each_sample<'a, T>(
    outputs: &'a [f64],
    block: &Outputs,
    draws: &'a Draws<T>,
) -> impl Iterator<Item = (&'a [f64], &'a [f64])> {
    let own = draws.params.len() / block.samples.max(1);
    let samples = outputs.chunks_exact(block.width).enumerate();
    samples.map(move |(s, outputs)| (outputs, &draws.params[s * own..(s + 1) * own]))
}

/// Log density of training row `row` under every draw, by the likelihood of a user's model.
fn own_log_lik<T>(
    rows: &RowLikelihood,
    row: usize,
    outputs: &[f64],
    block: &Outputs,
    draws: &Draws<T>,
) -> Result<Vec<f64>> {
    let mut ws = rows.workspace();
    each_sample(outputs, block, draws)
        .map(|(outputs, params)| rows.log_density(row, outputs, params, &mut ws))
        .collect()
}

impl FitReport {
    /// Reports leave-one-out of the rows.
    pub(super) fn leave_one_out(&mut self, loo: &Loo) {
        self.loo = Some(report::LeaveOneOut {
            rows: loo.pointwise.len(),
            elpd: loo.elpd_loo,
            se: loo.se,
            p_loo: loo.p_loo,
            unreliable_rows: loo.unreliable(),
            threshold: loo.threshold(),
            k_counts: k_counts(&loo.pareto_k),
            refits: None,
        });
    }
}

/// Counts below 0, in tenths from there up to 1, and above. A `k` that is NaN counts as above.
fn k_counts(k: &[f64]) -> Vec<usize> {
    let mut counts = vec![0; 12];
    for k in k {
        let bin = match k {
            k if *k < 0.0 => 0,
            k if *k < 1.0 => 1 + (10.0 * k) as usize,
            _ => 11,
        };
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::k_counts;

    #[test]
    fn rows_are_counted_by_their_k() {
        let counts = k_counts(&[-0.2, 0.0, 0.05, 0.1, 0.95, 1.0, f64::INFINITY, f64::NAN]);
        assert_eq!(counts, [1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 3]);
    }
}
