//! Repair of stated probabilities on rows that the fit has not seen, and conformal prediction.
//!
//! They wrap any posterior: all they see are predictions and targets of held-out rows.
//!
//! | file | what it does | for |
//! |---|---|---|
//! | `temperature` | one exponent for all probabilities | classes |
//! | `vector` | an exponent and a factor for each class | classes |
//! | `isotonic` | any monotone map of the probability | two classes |
//! | `spread` | one factor for the predictive standard deviation | real targets |
//! | `transport` | draws of class probabilities that agree with a map | classes |
//! | `conformal` | sets and intervals with a guaranteed coverage | all |
//!
//! A map is kept only if it makes the held-out rows more probable; else it is the identity.
//!
//! With few rows, all may be right by luck. The most probable map is then one that is certain of
//! everything. So each fit takes a prior: `ridge` times half the squared distance of the map's
//! logarithms from the identity is added to the negative log likelihood, a sum over rows. 0 is the
//! plain maximum of the literature. [`RIDGE`] is worth a few rows.
//!
//! Rows may have weights ([`Labelled::weighted`]). A weight is how often the row counts in every
//! sum: weight 2 is the row twice.

pub mod conformal;
mod isotonic;
mod search;
mod spread;
mod temperature;
#[cfg(test)]
mod tests;
mod transport;
mod vector;

pub use isotonic::Isotonic;
pub use spread::{Spread, SpreadFit};
pub use temperature::Temperature;
pub use transport::Transport;
pub use vector::VectorScaling;

use crate::error::{Error, Result, counted};
use crate::linalg::check_weights;

/// The prior of [`Recalibration`]s that a fit makes: factors within 1.65 of 1 in two of three
/// cases.
pub const RIDGE: f64 = 4.0;

/// A map of predictions, fitted on held-out rows.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "safetensors",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Recalibration {
    /// One exponent.
    Temperature(Temperature),
    /// An exponent and a factor for each class.
    Vector(VectorScaling),
    /// A monotone map, for two classes.
    Isotonic(Isotonic),
    /// A factor of the standard deviation.
    Spread(Spread),
}

impl Recalibration {
    /// Maps the probabilities of one row, `[classes]`, in place. A [`Spread`] leaves them.
    pub fn apply(&self, p: &mut [f64]) {
        match self {
            Self::Temperature(map) => map.apply(p),
            Self::Vector(map) => map.apply(p),
            Self::Isotonic(map) => map.apply(p),
            Self::Spread(_) => {}
        }
    }

    /// The factor of the standard deviation of a real target; 1 for classes.
    pub fn spread(&self) -> f64 {
        match self {
            Self::Spread(spread) => spread.factor,
            _ => 1.0,
        }
    }

    /// Checks its numbers, for `classes` classes or, with `None`, a real target.
    ///
    /// # Errors
    /// If one is out of range, or it is for other targets.
    pub fn check(&self, classes: Option<usize>) -> Result<()> {
        let good = match (self, classes) {
            (Self::Temperature(map), Some(_)) => map.is_proper(),
            (Self::Vector(map), Some(classes)) => map.is_proper(classes),
            (Self::Isotonic(map), Some(2)) => map.is_proper(),
            (Self::Spread(map), None) => map.is_proper(),
            _ => false,
        };
        match good {
            true => Ok(()),
            false => {
                let value = format!("{self:?}");
                let value: String = value.chars().take(60).collect();
                let requirement = "does not go with the target, or has numbers out of range";
                Err(Error::config("recalibration", value, requirement))
            }
        }
    }
}

/// Probabilities `[n, classes]`, row-major, beside labels `[n]`.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    probabilities: &'a [f64],
    classes: usize,
    labels: &'a [usize],
    weights: Option<&'a [f64]>,
}

impl<'a> Labelled<'a> {
    /// Rows with their labels.
    ///
    /// # Errors
    /// If there are no rows or classes, lengths do not fit, a label is not a class, or a
    /// probability is not in `[0, 1]`.
    pub fn new(probabilities: &'a [f64], classes: usize, labels: &'a [usize]) -> Result<Self> {
        let n = labels.len();
        if n == 0 || classes == 0 || n.checked_mul(classes) != Some(probabilities.len()) {
            let (rows, width) = (counted(n.max(1), "row"), counted(classes.max(1), "class"));
            let expected = format!("probabilities of {rows} of {width}");
            return Err(Error::shape("calibrate", expected, probabilities.len()));
        }
        if let Some(label) = labels.iter().find(|label| **label >= classes) {
            let expected = format!("labels below {classes}");
            return Err(Error::shape("calibrate", expected, label));
        }
        if let Some(index) = probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
            let what = "probabilities";
            return Err(Error::NonFinite { what, index });
        }
        Ok(Self {
            probabilities,
            classes,
            labels,
            weights: None,
        })
    }

    /// The same rows, each counted as often as its weight says; `None` is once. `weights` is `[n]`.
    ///
    /// # Errors
    /// If their number is not that of the rows, one is negative or not finite, or all are 0.
    pub fn weighted(mut self, weights: Option<&'a [f64]>) -> Result<Self> {
        if let Some(weights) = weights {
            check_weights("calibrate", self.len(), weights)?;
        }
        self.weights = weights;
        Ok(self)
    }

    /// Sum of the weights: the number of rows if they have none.
    pub fn total(&self) -> f64 {
        self.weights.map_or(self.len() as f64, |w| w.iter().sum())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never: there is at least one row.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Probabilities of each row beside its label.
    pub fn rows(&self) -> impl Iterator<Item = (&'a [f64], usize)> {
        let rows = self.probabilities.chunks_exact(self.classes);
        rows.zip(self.labels.iter().copied())
    }

    /// The same with the weight of each row.
    fn counted_rows(&self) -> impl Iterator<Item = (&'a [f64], usize, f64)> {
        let weight = |i: usize| self.weights.map_or(1.0, |w| w[i]);
        let rows = self.rows().enumerate();
        rows.map(move |(i, (p, label))| (p, label, weight(i)))
    }

    /// The negative log likelihood of the labels, a sum over rows by their weights in nats, after
    /// `map`.
    pub fn nll(&self, map: impl Fn(&mut [f64])) -> f64 {
        let mut p = vec![0.0; self.classes];
        let mut total = 0.0;
        for (row, label, weight) in self.counted_rows() {
            p.copy_from_slice(row);
            map(&mut p);
            total -= weight * floored_log(p[label]);
        }
        total
    }
}

/// `ln p`, with the smallest positive number in the place of 0.
fn floored_log(p: f64) -> f64 {
    p.max(f64::MIN_POSITIVE).ln()
}

/// Turns logits into probabilities, in place.
fn softmax(z: &mut [f64]) {
    let top = z.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let mut sum = 0.0;
    for z in z.iter_mut() {
        *z = (*z - top).exp();
        sum += *z;
    }
    z.iter_mut().for_each(|z| *z /= sum);
}
