//! `hidden auto`: the widths that predict held-out rows best, with all other options as given.
//!
//! Widths are scored by cross-validation, like the models of method `auto`: leave-one-out from one
//! walk is too optimistic for wide networks. Then the given method is fitted with the best widths.

use super::candidates::Candidate;
use super::portfolio::Portfolio;
use super::{Batch, FitOptions, FitReport, FitResult, Fits, Progress, WalkSettings, fit_owned};
use crate::artifact::report::{Among, LeftOut, Tried};
use crate::data::Dataset;
use crate::error::{Error, Result};

/// The widths to try.
const WIDTHS: [&[usize]; 6] = [&[], &[10], &[25], &[50], &[100], &[50, 50]];

/// Chooses widths by such walks, and fits with them.
pub(super) fn fit_chosen<T: Fits>(
    data: Dataset,
    options: &FitOptions,
    walk: &WalkSettings,
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    // the walks that choose have no bracket
    let walk = &WalkSettings {
        bracket: None,
        ..*walk
    };
    check(&data, options, walk)?;
    walk.check_budget()?;
    let mut said = FitReport::default();
    let hidden = {
        let portfolio = Portfolio::new(&data, options, *walk, progress);
        let candidates = WIDTHS.iter().map(|widths| Candidate {
            hidden: widths.to_vec(),
            activation: options.activation,
            prior: options.prior,
            likelihood: options.likelihood,
            features: options.feature_transform,
            target: options.target_transform,
        });
        let scored = portfolio.scored::<T>(candidates.collect(), 1.0, &mut said)?;
        let best = scored.iter().max_by(|a, b| a.elpd().total_cmp(&b.elpd()));
        let none = || Error::config("hidden", "auto", "no width could be fitted");
        let best = best.ok_or_else(none)?;
        for one in &scored {
            let kept = one.candidate.hidden == best.candidate.hidden;
            said.tried(Tried {
                name: one.candidate.widths(),
                left_out: (!kept).then_some(LeftOut::NotBest),
                ..one.tried()
            });
        }
        let portfolio = said.portfolio.get_or_insert_default();
        portfolio.among = Among::Widths;
        (portfolio.rows, portfolio.scored) = (best.held_out.len(), scored.len());
        best.candidate.hidden.clone()
    };
    let options = FitOptions {
        hidden,
        choose_hidden: None,
        ..options.clone()
    };
    let mut result = fit_owned::<T>(data, &options, progress)?;
    result.report.portfolio = said.portfolio;
    result.model.metadata.report = Some(result.report.of_model());
    Ok(result)
}

/// Refuses options that do not go with automatic widths.
fn check(data: &Dataset, options: &FitOptions, walk: &WalkSettings) -> Result<()> {
    let wrong = |value: &str| Err(Error::config("hidden", "auto", value));
    if options.layers.is_some() || data.image().is_some() {
        return wrong("is for tables, not for images");
    }
    let mut walks = options.method.walk().into_iter().chain([walk]);
    let by_batches = walks.any(|walk| {
        let kernel = walk.kernel.microcanonical();
        kernel.is_some_and(|kernel| kernel.walk_batch.is_some())
    });
    if options.batch != Batch::Auto || by_batches {
        return wrong("is not for batches: its walks take all rows");
    }
    Portfolio::check_size(data)
}
