//! The evidence between two bounds.

use serde::{Deserialize, Serialize};

use super::number;
use super::text::Lines;
use crate::error::counted;

/// The log evidence from below and from above, in nats, of the standardised targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bracket {
    /// Particles that went from the prior to the posterior, and back.
    pub particles: [usize; 2],
    /// Temperatures of the way.
    pub temperatures: usize,
    /// Gradients that it took.
    pub gradients: usize,
    /// From draws of the prior.
    pub lower: Bound,
    /// From points of the walk.
    pub upper: Bound,
}

/// A bound of the log evidence, in nats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bound {
    /// From the mean of the weights.
    #[serde(with = "number")]
    pub value: f64,
    /// Its standard error.
    #[serde(with = "number")]
    pub error: f64,
    /// How many particles of equal weight it rests on.
    #[serde(with = "number")]
    pub ess: f64,
    /// From the mean of their logarithms: looser, and needs no trust in the weights.
    #[serde(with = "number")]
    pub mean: f64,
}

/// A bracket is narrow up to this width, in nats.
pub(super) const NARROW: f64 = 10.0;

impl Bracket {
    /// The upper bound less the lower one.
    pub fn width(&self) -> f64 {
        self.upper.value - self.lower.value
    }

    /// By how many nats the bounds have crossed, beyond three standard errors.
    pub fn crossed(&self) -> Option<f64> {
        let over = -self.width();
        (over > 3.0 * self.lower.error.hypot(self.upper.error) && over > 1.0).then_some(over)
    }

    pub(super) fn lines(&self, lines: &mut Lines) {
        let side = |b: &Bound| format!("{:.1} +- {:.1} (by means {:.1})", b.value, b.error, b.mean);
        let [there, back] = self.particles;
        let text = format!(
            "log evidence of the standardised targets from {} to {}: {:.1} nats wide; {} from the \
             prior and {back} back from the walk, {}, {}",
            side(&self.lower),
            side(&self.upper),
            self.width(),
            counted(there, "particle"),
            counted(self.temperatures, "temperature"),
            counted(self.gradients, "gradient"),
        );
        lines.add("bracket", &text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Deformation, Evidence, Finding, FitReport, Trust};
    use super::*;

    fn bracket(lower: f64, upper: f64) -> Bracket {
        let bound = |value: f64| Bound {
            value,
            error: 0.5,
            ess: 8.0,
            mean: value,
        };
        Bracket {
            lower: bound(lower),
            upper: bound(upper),
            ..Bracket::default()
        }
    }

    /// What a flow whose k-hat is too large, with a bracket, is said to be.
    fn findings(bracket: Option<Bracket>) -> Vec<String> {
        let trust = Trust {
            k_hat: 4.0,
            evidence: Evidence::HeavyTail { limit: 0.7 },
            ..Trust::default()
        };
        let report = FitReport {
            bracket,
            deformation: Some(Deformation {
                trust: Some(trust),
                ..Deformation::default()
            }),
            ..FitReport::default()
        };
        let all = report.verdict().into_iter().map(|finding| match finding {
            Finding::WideBracket { .. } => "wide",
            Finding::CrossedBracket { .. } => "crossed",
            Finding::LargeKHat { .. } => "k-hat",
            _ => "other",
        });
        all.map(String::from).collect()
    }

    /// Bounds may cross by chance: three errors of 0.7 are 2.1.
    #[test]
    fn the_width_is_the_verdict() {
        assert_eq!(findings(None), ["other", "k-hat"]);
        assert_eq!(findings(Some(bracket(-100.0, -91.0))), ["other"]);
        assert_eq!(findings(Some(bracket(-100.0, -101.9))), ["other"]);
        assert_eq!(
            findings(Some(bracket(-100.0, -80.0))),
            ["other", "wide", "k-hat"]
        );
        assert_eq!(
            findings(Some(bracket(-100.0, -103.0))),
            ["crossed", "k-hat"]
        );
        let nan = bracket(f64::NAN, -80.0);
        assert_eq!(findings(Some(nan)), ["other", "wide", "k-hat"]);
    }
}
