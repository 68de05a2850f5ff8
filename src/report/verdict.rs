//! The verdict of a report, in words for someone who has never heard of the method.
//!
//! Two kinds of evidence count: what the checks of the fit found, and what the test rows show. The
//! worst reason decides. The limits are stated where they are used.

use crate::artifact::Metadata;
use crate::error::Result;
use crate::metrics::{ClassRows, RealRows, ScoredRows, weighted_mean};

use super::chance::effective;
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

    /// What that means for somebody who has to act.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Trust => {
                "You can act on what it predicts, and on how sure it says it is, for new rows that \
                 come from where the test rows came from."
            }
            Self::LookCloser => {
                "It may well be good, but one of the checks below is open. Do what stands there. Until \
                 then, do not rely on how sure it says it is."
            }
            Self::DoNotTrust => {
                "Do not act on what it predicts. Do what stands below, make this page again, and then \
                 decide."
            }
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
        let repair = can_be_calibrated(metadata);
        let rows = match scored {
            ScoredRows::Classes { labels, .. } => {
                if let Some(rows) = scored.class_rows()? {
                    reasons.extend(of_classes(&rows, labels, repair)?);
                }
                labels.len()
            }
            ScoredRows::Real(rows) => {
                reasons.extend(of_real(rows, repair)?);
                rows.len()
            }
        };
        let telling = effective(rows, scored.weights());
        if telling < FEW as f64 {
            let what = match scored.weights() {
                None => format!("There are only {rows} test rows"),
                Some(_) => format!(
                    "With their weights, the {rows} test rows tell no more than {telling:.0}"
                ),
            };
            let what = format!("{what}, so all numbers below are rough.");
            reasons.push(reason(Trust::LookCloser, what, "Test on more rows."));
        }
        reasons.extend(elsewhere.map(of_elsewhere));
        reasons.sort_by_key(|r| std::cmp::Reverse(r.trust));
        let trust = reasons.first().map_or(Trust::Trust, |r| r.trust);
        Ok(Self { trust, reasons })
    }
}

/// True if `fit --calibrate` could repair the predictions: there is no map yet, there can be one,
/// and rows can be held out.
fn can_be_calibrated(metadata: &Metadata) -> bool {
    let mapped = metadata
        .calibration
        .as_ref()
        .is_some_and(|c| c.recalibration.is_some());
    let fits = metadata.task.classes().is_some() || metadata.stretches();
    !mapped && fits && metadata.weights.is_none()
}

fn of_classes(rows: &ClassRows<'_>, labels: &[usize], repair: bool) -> Result<Vec<Reason>> {
    let weight = |i: usize| rows.weights().map_or(1.0, |w| w[i]);
    let total: f64 = (0..rows.len()).map(weight).sum();
    let (confidences, accuracy) = (rows.confidences(), rows.accuracy());
    let said = weighted_mean(&confidences, rows.weights())?;
    // the standard error of the accuracy, if the stated probabilities are right
    let variance = |(i, c): (usize, &f64)| weight(i).powi(2) * c * (1.0 - c);
    let error = confidences.iter().enumerate().map(variance).sum::<f64>();
    let error = error.sqrt() / total;
    let of_class = |k: usize| {
        let own = labels.iter().enumerate().filter(|(_, l)| **l == k);
        own.map(|(i, _)| weight(i)).sum::<f64>()
    };
    let guess = (0..rows.classes()).map(of_class).fold(0.0, f64::max) / total;
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
        repair,
    ));
    Ok(all)
}

fn of_real(rows: &RealRows, repair: bool) -> Result<Vec<Reason>> {
    let (targets, weights) = (rows.targets(), rows.weights());
    let n = effective(rows.len(), weights);
    let inside = rows.coverage_at(0.9)?;
    let middle = weighted_mean(targets, weights)?;
    let typical = |errors: Vec<f64>| {
        let squares: Vec<f64> = errors.iter().map(|e| e * e).collect();
        weighted_mean(&squares, weights).map(f64::sqrt)
    };
    let spread = typical(targets.iter().map(|y| y - middle).collect())?;
    let rmse = typical(rows.errors())?;
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
        repair,
    ));
    Ok(all)
}

/// A reason from a gap of stated and true frequency. Positive: too sure.
fn calibrated(
    gap: f64,
    error: f64,
    what: String,
    [too_sure, unsure]: [&str; 2],
    repair: bool,
) -> Reason {
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
            match repair {
                true => {
                    "Check that the test rows come from where the training rows came from. If they \
                     do, fit again with --calibrate 0.2, which repairs stated probabilities by rows \
                     that it holds out, and take its probabilities as too high until then."
                }
                false => {
                    "Check that the test rows come from where the training rows came from. If they \
                     do, fit again with more --steps, or with another model (--method auto), and \
                     take its probabilities as too high until then."
                }
            },
        ),
        false => reason(
            Trust::LookCloser,
            format!("{what}: {unsure}. Chance does not explain it."),
            match repair {
                true => "You are on the safe side. For sharper answers, fit with --calibrate 0.2.",
                false => "You are on the safe side. For sharper answers, try --method auto.",
            },
        ),
    }
}

fn of_elsewhere(elsewhere: &Elsewhere) -> Reason {
    let auroc = elsewhere.first();
    let percent = short(100.0 * auroc);
    match auroc < BLIND {
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
        let trust = |gap, error| calibrated(gap, error, String::new(), ["", ""], true).trust;
        assert_eq!(trust(0.02, 0.001), Trust::Trust);
        assert_eq!(trust(0.1, 0.04), Trust::Trust);
        assert_eq!(trust(0.1, 0.01), Trust::LookCloser);
        assert_eq!(trust(0.2, 0.01), Trust::DoNotTrust);
        // too wide is safe
        assert_eq!(trust(-0.2, 0.01), Trust::LookCloser);
        for (gap, repair) in [(0.1, true), (-0.1, true), (0.1, false), (-0.1, false)] {
            let advice = calibrated(gap, 0.01, String::new(), ["", ""], repair).advice;
            assert_eq!(advice.contains("--calibrate 0.2"), repair, "{advice}");
        }
    }

    #[test]
    fn a_model_that_does_no_better_than_guessing_is_not_trusted() {
        let labels = [0, 0, 0, 1];
        let wrong = [0.4, 0.6, 0.4, 0.6, 0.9, 0.1, 0.9, 0.1];
        let rows = ClassRows::new(&wrong, 2, &labels).unwrap();
        let trust = |rows: &ClassRows<'_>| of_classes(rows, &labels, true).unwrap()[0].trust;
        assert_eq!(trust(&rows), Trust::DoNotTrust);
        let right = [0.6, 0.4, 0.6, 0.4, 0.9, 0.1, 0.1, 0.9];
        let rows = ClassRows::new(&right, 2, &labels).unwrap();
        assert_eq!(trust(&rows), Trust::Trust);
        let of = |means: &[f64]| {
            let rows = RealRows::of_mixtures(means, 1, 1.0, &[1.0, 2.0, 3.0]).unwrap();
            of_real(&rows, true).unwrap()[0].trust
        };
        assert_eq!(of(&[3.0, 4.0, 5.0]), Trust::DoNotTrust);
        assert_eq!(of(&[1.1, 2.1, 3.1]), Trust::Trust);
    }

    /// A row of weight 6 is six rows, in what is right and in what guessing gets right; a row of
    /// weight 0 does no harm.
    #[test]
    fn rows_count_by_their_weights() {
        let labels = [0, 0, 0, 1];
        let wrong = [0.4, 0.6, 0.4, 0.6, 0.9, 0.1, 0.2, 0.8];
        let said = |weights: &[f64]| {
            let rows = ClassRows::new(&wrong, 2, &labels).unwrap();
            let rows = rows.weighted(weights).unwrap();
            of_classes(&rows, &labels, true).unwrap()[0].what.clone()
        };
        assert!(said(&[1.0; 4]).contains("50 % of the test rows"));
        // right: 1 + 6 of 9; the most frequent class: 6 of 9
        let what = said(&[1.0, 1.0, 1.0, 6.0]);
        assert!(what.contains("77.8 %") && what.contains("66.7 %"), "{what}");
        let rows = RealRows::of_mixtures(&[5.0, 2.0, 4.0], 1, 1.0, &[1.0, 2.0, 4.0]).unwrap();
        let trust = |rows: &RealRows| of_real(rows, true).unwrap()[0].trust;
        assert_eq!(trust(&rows), Trust::DoNotTrust);
        assert_eq!(
            trust(&rows.weighted(&[0.0, 1.0, 1.0]).unwrap()),
            Trust::Trust
        );
    }
}
