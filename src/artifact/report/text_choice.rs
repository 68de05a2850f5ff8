//! What a report says of models that were tried on rows held out.

use super::text::Lines;
use super::{Among, FitReport, LeftOut, Portfolio};
use crate::error::counted;

/// Why a model is not part of the result.
fn left_out(portfolio: &Portfolio, lines: &mut Lines) {
    for tried in &portfolio.tried {
        let name = &tried.name;
        let text = match &tried.left_out {
            None | Some(LeftOut::NotBest) => continue,
            Some(LeftOut::Failed { why }) => format!("{name}: it could not be fitted: {why}"),
            Some(LeftOut::Behind { nats }) => format!("{name}: {nats:.2} nats a row behind"),
            Some(LeftOut::WalkersApart { rhat }) => {
                format!("{name}: its walkers do not agree (R-hat of predictions {rhat:.2})")
            }
            Some(LeftOut::SmallWeight) => {
                let elpd = tried.elpd.unwrap_or(f64::NAN);
                format!("{name}: elpd {elpd:.1}, its weight is next to nothing")
            }
        };
        lines.add("left out", &text);
    }
}

/// The choice of widths.
pub(super) fn widths(portfolio: &Portfolio, lines: &mut Lines) {
    if portfolio.among != Among::Widths {
        return;
    }
    left_out(portfolio, lines);
    for tried in &portfolio.tried {
        let scored = matches!(tried.left_out, None | Some(LeftOut::NotBest));
        if let Some(elpd) = tried.elpd.filter(|_| scored) {
            let kept = if tried.left_out.is_none() {
                ", kept"
            } else {
                ""
            };
            let (name, rows) = (&tried.name, tried.rows);
            lines.add(
                "hidden",
                &format!(
                    "{name}: elpd {elpd:.1} nats of {} held out{kept}",
                    counted(rows, "row")
                ),
            );
        }
    }
}

/// The models of a mixture.
pub(super) fn mixture(portfolio: &Portfolio, lines: &mut Lines) {
    if portfolio.among != Among::Models {
        return;
    }
    left_out(portfolio, lines);
    if let Some(elpd) = portfolio.elpd {
        let text = format!(
            "elpd {elpd:.1} nats of {} held out ({:.4} a row), {} tried",
            counted(portfolio.rows, "row"),
            elpd / portfolio.rows.max(1) as f64,
            counted(portfolio.scored, "model")
        );
        lines.add("stacking", &text);
    }
    for tried in portfolio.kept() {
        let (weight, elpd) = (tried.weight.unwrap_or(1.0), tried.elpd.unwrap_or(f64::NAN));
        let mut text = format!("{weight:.3}  {}: elpd {elpd:.1}", tried.name);
        if let Some(rhat) = tried.rhat {
            text += &format!(", R-hat of predictions {rhat:.2}");
        }
        if let Some(fit) = &tried.fit {
            text += &walk_of(fit);
        }
        lines.add("model", &text);
    }
}

/// What is said of the walk of one model on all rows.
fn walk_of(fit: &FitReport) -> String {
    let mut text = match &fit.mixing {
        None => ", no R-hat".into(),
        Some(_) => String::new(),
    };
    if let Some(scales) = &fit.sampled_scales {
        text += &format!(", R-hat of scales {:.2}", scales.worst_rhat());
    }
    if let Some((walk, cut)) = fit
        .walk
        .as_ref()
        .and_then(|w| Some((w, w.cut_short.as_ref()?)))
    {
        let of = counted(cut.at_most, "step");
        text += &format!(", cut short after {} of {of}", walk.steps);
    }
    text
}
