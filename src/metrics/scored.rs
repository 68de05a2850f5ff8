//! A test set beside its predictions, whichever kind of target it has.

use super::bootstrap::{Bootstrap, Interval};
use super::classification::ClassRows;
use super::detection::class_uncertainties;
use super::real_rows::RealRows;
use super::real_summary::RegressionMetrics;
use super::summary::ClassificationMetrics;
use super::weights::check_optional;
use crate::error::Result;
use crate::predict::ClassPredictions;

/// Scores of predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
#[cfg_attr(feature = "safetensors", serde(untagged))]
pub enum Scores {
    /// For class probabilities.
    Classification(ClassificationMetrics),
    /// For predictive mixtures.
    Regression(RegressionMetrics),
}

impl Scores {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Classification(m) => m.n,
            Self::Regression(m) => m.n,
        }
    }

    /// Mean negative log likelihood, nats.
    pub fn nll(&self) -> f64 {
        match self {
            Self::Classification(m) => m.nll,
            Self::Regression(m) => m.nll,
        }
    }

    /// The scores by name. NaN for one that is not defined.
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        let all = match self {
            Self::Classification(m) => m.named(),
            Self::Regression(m) => m.named(),
        };
        all.into_iter().map(|s| (s.0, s.1)).collect()
    }
}

/// Rows with known targets beside their predictions.
#[derive(Clone, Debug, PartialEq)]
pub enum ScoredRows {
    /// For classes.
    Classes {
        /// Probabilities and their uncertainty.
        predictions: ClassPredictions,
        /// The labels, `[n]`.
        labels: Vec<usize>,
        /// Weights of the rows, `[n]`, if they have any.
        weights: Option<Vec<f64>>,
    },
    /// For real targets and counts.
    Real(RealRows),
}

impl ScoredRows {
    /// The same rows with weights `[n]`. A row of weight 2 counts like two equal rows.
    ///
    /// # Errors
    /// More or fewer weights than rows, or weights that are negative, not finite, or all 0.
    pub fn weighted(self, weights: &[f64]) -> Result<Self> {
        match self {
            Self::Classes {
                predictions,
                labels,
                ..
            } => {
                check_optional("ScoredRows::weighted", labels.len(), Some(weights))?;
                Ok(Self::Classes {
                    predictions,
                    labels,
                    weights: Some(weights.to_vec()),
                })
            }
            Self::Real(rows) => Ok(Self::Real(rows.weighted(weights)?)),
        }
    }

    /// The weights of the rows, if they have any.
    pub fn weights(&self) -> Option<&[f64]> {
        match self {
            Self::Classes { weights, .. } => weights.as_deref(),
            Self::Real(rows) => rows.weights(),
        }
    }

    /// The rows of classes, with their weights; `None` for a real target.
    ///
    /// # Errors
    /// Those of [`ClassRows::new`].
    pub fn class_rows(&self) -> Result<Option<ClassRows<'_>>> {
        match self {
            Self::Classes {
                predictions,
                labels,
                weights,
            } => rows(predictions, labels, weights).map(Some),
            Self::Real(_) => Ok(None),
        }
    }

    /// The scores of all rows.
    ///
    /// # Errors
    /// Those of [`ClassRows::new`], and if there are no rows.
    pub fn scores(&self) -> Result<Scores> {
        Ok(match self {
            Self::Classes {
                predictions,
                labels,
                weights,
            } => Scores::Classification(ClassificationMetrics::of(&rows(
                predictions,
                labels,
                weights,
            )?)?),
            Self::Real(rows) => Scores::Regression(RegressionMetrics::of_rows(rows)?),
        })
    }

    /// The interval of every score, by name.
    ///
    /// # Errors
    /// Those of [`ScoredRows::scores`] and of [`Bootstrap::intervals`].
    pub fn intervals(
        &self,
        bootstrap: &Bootstrap,
    ) -> Result<Vec<(&'static str, Option<Interval>)>> {
        match self {
            Self::Classes {
                predictions,
                labels,
                weights,
            } => ClassificationMetrics::intervals(&rows(predictions, labels, weights)?, bootstrap),
            Self::Real(rows) => RegressionMetrics::intervals(rows, bootstrap),
        }
    }

    /// Numbers that are higher where the model is less sure, `[n]` each, by name: those of
    /// [`class_uncertainties`], or `std`, the predictive standard deviation of a real target.
    pub fn uncertainties(&self) -> Vec<(&'static str, Vec<f64>)> {
        match self {
            Self::Classes { predictions, .. } => class_uncertainties(predictions),
            Self::Real(rows) => vec![("std", rows.stds().to_vec())],
        }
    }

    /// Numbers for every row whose means are scores, by the names of these, for paired differences.
    ///
    /// # Errors
    /// Those of [`ClassRows::new`].
    pub fn losses(&self) -> Result<Vec<(&'static str, Vec<f64>)>> {
        Ok(match self {
            Self::Classes {
                predictions,
                labels,
                weights,
            } => {
                let rows = rows(predictions, labels, weights)?;
                vec![
                    ("nll", rows.log_losses()),
                    ("accuracy", rows.hits()),
                    ("brier", rows.brier_losses()),
                ]
            }
            Self::Real(rows) => vec![
                ("nll", rows.log_losses().to_vec()),
                ("rmse", rows.linearised_rmse()),
                ("crps", rows.crps().to_vec()),
            ],
        })
    }
}

fn rows<'a>(
    predictions: &'a ClassPredictions,
    labels: &'a [usize],
    weights: &'a Option<Vec<f64>>,
) -> Result<ClassRows<'a>> {
    let rows = ClassRows::new(&predictions.probabilities, predictions.classes, labels)?;
    match weights {
        Some(weights) => rows.weighted(weights),
        None => Ok(rows),
    }
}

#[cfg(test)]
#[path = "tests/scored.rs"]
mod tests;
