//! The verdict of a report, in words for someone who has never heard of the method.
//!
//! Two kinds of evidence count: what the checks of the fit found, and what the test rows show. The
//! worst reason decides. The limits are stated where they are used.

use crate::artifact::Metadata;
use crate::error::Result;
use crate::metrics::{ClassRows, ScoredRows};

use super::chance::mean;
use super::pictures::elsewhere::Elsewhere;
use super::ticks::short;

/// Standard errors beyond which chance is no explanation.
const ERRORS: f64 = 3.0;
/// Gaps of stated and true frequency that matter, and that are grave.
const GAP: f64 = 0.03;
const GRAVE: f64 = 0.12;
/// Test rows below which scores are rough.
const FEW: usize = 50;
/// AUROC below which rows from elsewhere are not told apart.
const BLIND: f64 = 0.6;

/// How far to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Nothing speaks against it.
    Trust,
    /// Something should be looked at first.
    LookCloser,
    /// Do not act on its predictions.
    DoNotTrust,
}

impl Trust {
    /// The headline.
    pub fn headline(self) -> &'static str {
        match self {
            Self::Trust => "You can trust this model on data like these test rows",
            Self::LookCloser => "Look closer before you trust this model",
            Self::DoNotTrust => "Do not trust this model yet",
        }
    }
}

/// One reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// How grave it is.
    pub trust: Trust,
    /// What was found.
    pub what: String,
    /// What to do; empty if there is nothing to do.
    pub advice: String,
    /// The same in the words of the field, if that helps; else empty.
    pub detail: String,
}

/// A verdict with its reasons, the worst first.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How far to trust.
    pub trust: Trust,
    /// Why.
    pub reasons: Vec<Reason>,
}

pub(super) fn reason(trust: Trust, what: impl Into<String>, advice: impl Into<String>) -> Reason {
    Reason {
        trust,
        what: what.into(),
        advice: advice.into(),
        detail: String::new(),
    }
}

impl Verdict {
    /// The verdict on a model and test rows.
    ///
    /// # Errors
    /// Those of scores.
    pub(super) fn new(
        metadata: &Metadata,
        scored: &ScoredRows,
        elsewhere: Option<&Elsewhere>,
    ) -> Result<Self> {
        let mut reasons = super::findings::of_fit(metadata);
        reasons.extend(match scored {
            ScoredRows::Classes {
                predictions,
                labels,
                ..
            } => of_classes(
                &ClassRows::new(&predictions.probabilities, predictions.classes, labels)?,
                labels,
            ),
            ScoredRows::Real(rows) => {
                of_real(rows.targets(), &rows.errors(), rows.coverage_at(0.9)?)
            }
        });
        let rows = scored.uncertainties().first().map_or(0, |u| u.1.len());
        if rows < FEW {
            let what = format!("There are only {rows} test rows, so all numbers below are rough.");
            reasons.push(reason(Trust::LookCloser, what, "Test on more rows."));
        }
        reasons.extend(elsewhere.map(of_elsewhere));
        reasons.sort_by_key(|r| std::cmp::Reverse(r.trust));
        let trust = reasons.first().map_or(Trust::Trust, |r| r.trust);
        Ok(Self { trust, reasons })
    }
}

fn of_classes(rows: &ClassRows<'_>, labels: &[usize]) -> Vec<Reason> {
    let n = rows.len() as f64;
    let (confidences, accuracy) = (rows.confidences(), rows.accuracy());
    let said = mean(&confidences);
    // the standard error of the accuracy, if the stated probabilities are right
    let error = confidences
        .iter()
        .map(|c| c * (1.0 - c))
        .sum::<f64>()
        .sqrt()
        / n;
    let largest = (0..rows.classes()).map(|k| labels.iter().filter(|l| **l == k).count());
    let guess = largest.max().unwrap_or(0) as f64 / n;
    let percent = |share: f64| short(100.0 * share);
    let mut all = vec![match accuracy > guess {
        true => reason(
            Trust::Trust,
            format!(
                "It names the right class for {} % of the test rows. Always naming the most \
                 frequent one would be right for {} %.",
                percent(accuracy),
                percent(guess)
            ),
            "",
        ),
        false => reason(
            Trust::DoNotTrust,
            format!(
                "It names the right class for {} % of the test rows. Always naming the most \
                 frequent one is right for {} %, so the model has learned nothing that helps.",
                percent(accuracy),
                percent(guess)
            ),
            "Look for columns that tell the classes apart, or check that the target is the one you \
             meant (--target).",
        ),
    }];
    let gap = said - accuracy;
    all.push(calibrated(
        gap,
        error,
        format!(
            "It says it is {} % sure on average and is right {} % of the time",
            percent(said),
            percent(accuracy)
        ),
        [
            "it is too sure of itself",
            "it is less sure than it could be",
        ],
    ));
    all
}

fn of_real(targets: &[f64], errors: &[f64], inside: f64) -> Vec<Reason> {
    let n = targets.len() as f64;
    let middle = mean(targets);
    let spread = mean(
        &targets
            .iter()
            .map(|y| (y - middle).powi(2))
            .collect::<Vec<_>>(),
    )
    .sqrt();
    let rmse = mean(&errors.iter().map(|e| e * e).collect::<Vec<_>>()).sqrt();
    let sizes = format!(
        "It is off by {} typically (root mean square). Always saying the mean of the test rows \
         would be off by {}",
        short(rmse),
        short(spread)
    );
    let mut all = vec![match rmse < spread || targets.len() < 2 {
        true => reason(Trust::Trust, format!("{sizes}."), ""),
        false => reason(
            Trust::DoNotTrust,
            format!("{sizes}, so the model has learned nothing that helps."),
            "Look for columns that tell more about the target, or check that the target is the one \
             you meant (--target).",
        ),
    }];
    all.push(calibrated(
        0.9 - inside,
        (0.9f64 * 0.1 / n).sqrt(),
        format!(
            "Intervals that should hold 90 % of the rows hold {} %",
            short(100.0 * inside)
        ),
        [
            "they are too narrow, and the model is too sure of itself",
            "they are wider than need be",
        ],
    ));
    all
}

/// A reason from a gap of stated and true frequency. Positive: too sure.
fn calibrated(gap: f64, error: f64, what: String, [too_sure, unsure]: [&str; 2]) -> Reason {
    if gap.abs() <= ERRORS * error || gap.abs() <= GAP {
        return reason(
            Trust::Trust,
            format!("{what}: that fits, within chance."),
            "",
        );
    }
    match gap > 0.0 {
        true => reason(
            if gap > GRAVE {
                Trust::DoNotTrust
            } else {
                Trust::LookCloser
            },
            format!("{what}: {too_sure}. Chance does not explain it."),
            "Check that the test rows come from where the training rows came from. If they do, fit \
             again with more --steps, or with another model (--method auto), and take its \
             probabilities as too high until then.",
        ),
        false => reason(
            Trust::LookCloser,
            format!("{what}: {unsure}. Chance does not explain it."),
            "You are on the safe side. For sharper answers, try --method auto.",
        ),
    }
}

fn of_elsewhere(elsewhere: &Elsewhere) -> Reason {
    let best = elsewhere.best();
    let percent = short(100.0 * best);
    match best < BLIND {
        true => reason(
            Trust::LookCloser,
            format!(
                "It does not notice rows from elsewhere: of a test row and one of the other file it \
                 doubts the other one more in {percent} % of the cases, where guessing gives 50 %."
            ),
            "Do not rely on its doubt to catch rows that are unlike the training rows; check inputs \
             by other means.",
        ),
        false => reason(
            Trust::Trust,
            format!(
                "Of a test row and a row from elsewhere it doubts the one from elsewhere more in \
                 {percent} % of the cases."
            ),
            "",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_if_chance_does_not_explain_it_and_it_matters() {
        let trust = |gap, error| calibrated(gap, error, String::new(), ["", ""]).trust;
        assert_eq!(trust(0.02, 0.001), Trust::Trust);
        assert_eq!(trust(0.1, 0.04), Trust::Trust);
        assert_eq!(trust(0.1, 0.01), Trust::LookCloser);
        assert_eq!(trust(0.2, 0.01), Trust::DoNotTrust);
        // too wide is safe
        assert_eq!(trust(-0.2, 0.01), Trust::LookCloser);
    }

    #[test]
    fn a_model_that_does_no_better_than_guessing_is_not_trusted() {
        let labels = [0, 0, 0, 1];
        let wrong = [0.4, 0.6, 0.4, 0.6, 0.9, 0.1, 0.9, 0.1];
        let rows = ClassRows::new(&wrong, 2, &labels).unwrap();
        assert_eq!(of_classes(&rows, &labels)[0].trust, Trust::DoNotTrust);
        let right = [0.6, 0.4, 0.6, 0.4, 0.9, 0.1, 0.1, 0.9];
        let rows = ClassRows::new(&right, 2, &labels).unwrap();
        assert_eq!(of_classes(&rows, &labels)[0].trust, Trust::Trust);
        assert_eq!(
            of_real(&[1.0, 2.0, 3.0], &[2.0, 2.0, 2.0], 0.9)[0].trust,
            Trust::DoNotTrust
        );
        assert_eq!(
            of_real(&[1.0, 2.0, 3.0], &[0.1, 0.1, 0.1], 0.9)[0].trust,
            Trust::Trust
        );
    }
}
