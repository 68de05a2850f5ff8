//! Leave-one-out where importance sampling fails: for each row with a large `k`, a fit without it.

use super::{FitOptions, Fits, Stage, Summary, fit_owned};
use crate::data::Dataset;
use crate::diagnose::Loo;
use crate::error::{Error, Result};
use crate::rng::Streams;

/// Fits without each of the rows whose `k` is too large, if they are at most as many as
/// `options.loo_refits`.
pub(super) fn exact_rows<T: Fits>(
    data: &Dataset,
    options: &FitOptions,
    mut loo: Loo,
    summary: &mut Summary,
    progress: &(dyn Fn(Stage, usize, usize) + Sync),
) -> Result<Loo> {
    let rows = loo.unreliable_rows();
    if rows.is_empty() {
        return Ok(loo);
    }
    if rows.len() > options.loo_refits {
        let text = format!(
            "{} rows need a fit without them, and --loo-refits allows {}",
            rows.len(),
            options.loo_refits
        );
        summary.line("loo", text);
        return Ok(loo);
    }
    let (mut done, mut gradients) = (0, 0.0);
    for &row in &rows {
        match without::<T>(data, options, row, progress) {
            Ok((elpd, taken)) => {
                loo = loo.with_exact(row, elpd)?;
                gradients += taken;
                done += 1;
            }
            Err(error) => {
                let text = format!("no fit without row {row} (from 0): {error}");
                summary.line("warning", text);
            }
        }
    }
    summary.figure("loo_gradients", gradients);
    let text = format!(
        "elpd {:.1} +- {:.1} nats after {done} exact fits without a row",
        loo.elpd_loo, loo.se
    );
    summary.line("loo", text);
    summary.elpd(&loo);
    Ok(loo)
}

/// `log p(y_i | y_-i)` by a fit without row `i`, and the gradients that it took.
fn without<T: Fits>(
    data: &Dataset,
    options: &FitOptions,
    row: usize,
    progress: &(dyn Fn(Stage, usize, usize) + Sync),
) -> Result<(f64, f64)> {
    let others: Vec<usize> = (0..data.n()).filter(|&i| i != row).collect();
    let options = FitOptions {
        loo_refits: 0,
        spool: None,
        checkpoint: None,
        ..options.clone()
    };
    let fitted = fit_owned::<T>(data.select(&others)?, &options, progress)?;
    let (own, streams) = (data.select(&[row])?, Streams::new(options.seed));
    let densities = fitted.model.log_densities(&own, options.samples, streams)?;
    let none = || Error::shape("log_densities", 1, 0);
    let elpd = densities.first().copied().ok_or_else(none)?;
    Ok((elpd, fitted.summary.gradients()))
}
