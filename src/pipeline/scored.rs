//! How candidates of method `auto` did on rows held out, and which of them are worth going on with.

use super::Summary;
use super::candidates::Candidate;
use crate::error::{Error, Result};

/// R-hat of predictions, the median over some rows, beyond which the walkers of a model do not
/// agree: some are stuck where others never are, and their predictions are left out.
const AGREED: f64 = 1.6;

/// Nats a row that a model may be behind after the first fold.
const BEHIND: f64 = 0.1;

/// A candidate that was scored.
pub(super) struct Scored {
    pub candidate: Candidate,
    /// Log densities of the rows that were held out.
    pub held_out: Vec<f64>,
    /// The R-hat of walkers that do not agree.
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
}

/// The R-hat of predictions, if walkers do not agree on them.
pub(super) fn disagreement(summary: &Summary) -> Option<f64> {
    let rhat = summary.figures().get("prediction_rhat_median").copied();
    rhat.filter(|rhat| *rhat > AGREED)
}

/// Those whose walkers agree; all, if there are none.
pub(super) fn in_agreement(scored: Vec<Scored>, summary: &mut Summary) -> Vec<Scored> {
    if scored.iter().all(|s| s.apart.is_some()) {
        return scored;
    }
    let (kept, apart): (Vec<_>, Vec<_>) = scored.into_iter().partition(|s| s.apart.is_none());
    for one in apart {
        summary.apart(&one.candidate, one.apart.unwrap_or(AGREED));
    }
    kept
}

/// Log densities, if all are finite.
pub(super) fn finite(densities: Vec<f64>) -> Result<Vec<f64>> {
    match densities.iter().position(|l| !l.is_finite()) {
        None => Ok(densities),
        Some(index) => {
            let what = "log densities of rows held out";
            Err(Error::NonFinite { what, index })
        }
    }
}

/// Those that are not far behind the best: by two standard errors of the difference and more than
/// [`BEHIND`] nats a row.
pub(super) fn promising(scored: Vec<Scored>, summary: &mut Summary) -> Vec<Scored> {
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
            let text = format!("{}: {mean:.2} nats a row behind", one.candidate.name());
            summary.line("left out", text);
        } else {
            kept.push(one);
        }
    }
    kept
}

impl Summary {
    pub(super) fn apart(&mut self, candidate: &Candidate, rhat: f64) {
        let name = candidate.name();
        let text = format!("{name}: its walkers do not agree (R-hat of predictions {rhat:.2})");
        self.line("left out", text);
    }

    pub(super) fn member(&mut self, weight: f64, scored: &Scored, fitted: &Summary) {
        let (name, elpd) = (scored.candidate.name(), scored.elpd());
        let mut text = format!("{weight:.3}  {name}: elpd {elpd:.1}");
        if let Some(rhat) = fitted.figures().get("prediction_rhat_median") {
            text += &format!(", R-hat of predictions {rhat:.2}");
        }
        self.line("model", text);
    }
}
