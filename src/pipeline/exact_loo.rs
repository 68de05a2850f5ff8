//! Leave-one-out where importance sampling fails: a refit without each row that has a large `k`.
//!
//! A row with weight `w` is `w` rows that are left out together, here as in importance sampling:
//! its value is `log E[p(y_i | theta)^w]` under the posterior without it. The other rows keep their
//! weights; those that balance classes are not computed again.

use super::progress::Part;
use super::{ClassWeights, FitOptions, FitReport, Fits, Progress, Stage, fit_owned};
use crate::artifact::report::{FailedRefit, Refits};
use crate::data::Dataset;
use crate::diagnose::Loo;
use crate::error::{Error, Result};
use crate::rng::Streams;

/// Refits without each row whose `k` is too large, if there are at most as many such rows as the
/// options allow. `samples` draws of each refit predict its row.
pub(super) fn exact_rows<T: Fits>(
    data: &Dataset,
    (options, samples): (&FitOptions, usize),
    mut loo: Loo,
    summary: &mut FitReport,
    progress: &dyn Progress,
) -> Result<Loo> {
    let rows = loo.unreliable_rows();
    if rows.is_empty() {
        return Ok(loo);
    }
    let mut refits = Refits {
        needed: rows.len(),
        allowed: options.method.loo_refits(),
        elpd_before: loo.elpd_loo,
        ..Refits::default()
    };
    if refits.needed <= refits.allowed {
        let each = 1.0 / rows.len() as f64;
        let (weighted, plain);
        let (data, options) = match options.class_weights.of_rows(data)? {
            Some(weights) => {
                let name = data.weights_name().unwrap_or("class weights");
                weighted = data.clone().with_weights(name, weights)?;
                plain = FitOptions {
                    class_weights: ClassWeights::None,
                    ..options.clone()
                };
                (&weighted, &plain)
            }
            None => (data, options),
        };
        for (done, &row) in rows.iter().enumerate() {
            let part = Part {
                progress,
                stage: Stage::LeaveOneOut,
                from: each * done as f64,
                to: each * (done + 1) as f64,
            };
            match without::<T>(data, (options, samples), row, &part) {
                Ok((elpd, taken)) => {
                    loo = loo.with_exact(row, elpd)?;
                    refits.gradients += taken;
                    refits.done += 1;
                }
                Err(error @ Error::Cancelled { .. }) => return Err(Stage::LeaveOneOut.of(error)),
                Err(error) => refits.failed.push(FailedRefit {
                    row,
                    why: error.to_string(),
                }),
            }
        }
        summary.leave_one_out(&loo);
    }
    if let Some(said) = &mut summary.loo {
        said.refits = Some(refits);
    }
    Ok(loo)
}

/// `log p(y_i | y_-i)`, or that of a row with a weight, from a fit without row `i`, and the
/// gradients that it took.
fn without<T: Fits>(
    data: &Dataset,
    (options, samples): (&FitOptions, usize),
    row: usize,
    progress: &dyn Progress,
) -> Result<(f64, f64)> {
    let others: Vec<usize> = (0..data.n()).filter(|&i| i != row).collect();
    let options = FitOptions {
        method: options.method.beside(),
        ..options.clone()
    };
    let fitted = fit_owned::<T>(data.select(&others)?, &options, progress)?;
    let (own, streams) = (data.select(&[row])?, Streams::new(options.seed));
    let densities = match own.weights() {
        Some(_) => fitted
            .model
            .log_weighted_densities(&own, samples, streams)?,
        None => fitted.model.log_densities(&own, samples, streams)?,
    };
    let none = || Error::shape("log_densities", 1, 0);
    let elpd = densities.first().copied().ok_or_else(none)?;
    Ok((elpd, fitted.report.gradients()))
}
