//! Weights that classes give to their rows.

use std::fmt;
use std::str::FromStr;

use crate::data::Dataset;
use crate::error::{Error, Result};

/// Whether rows of rare classes count for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassWeights {
    /// Every row counts as the table says.
    #[default]
    None,
    /// All classes have the same weight in all, and the rows keep theirs in total. With `n` rows and
    /// `K` classes that occur, `n_k` times each, a row of class `k` gets the weight `n / (K n_k)`.
    /// If rows have weights, sums of weights take the place of counts, and weights are multiplied.
    Balanced,
}

impl ClassWeights {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ClassWeights::None => "none",
            ClassWeights::Balanced => "balanced",
        }
    }

    /// The weights of the rows, `[n]`: their own, times those of their classes. `None`: every row
    /// counts once.
    ///
    /// # Errors
    /// If the targets are not classes.
    pub(crate) fn of_rows(self, data: &Dataset) -> Result<Option<Vec<f64>>> {
        let own = data.weights().map(<[f64]>::to_vec);
        if self == ClassWeights::None {
            return Ok(own);
        }
        let Ok(labels) = data.labels() else {
            let requirement = "is for classes; this target is a real number (see --task)";
            return Err(Error::config("class_weights", self.name(), requirement));
        };
        let mut weights = own.unwrap_or_else(|| vec![1.0; data.n()]);
        let mut sums = vec![0.0; data.class_counts().len()];
        for (&label, weight) in labels.iter().zip(&weights) {
            sums[label] += weight;
        }
        let total: f64 = sums.iter().sum();
        let occur = sums.iter().filter(|sum| **sum > 0.0).count() as f64;
        for (&label, weight) in labels.iter().zip(&mut weights) {
            // a class whose rows all have weight 0 has none to share out
            if sums[label] > 0.0 {
                *weight *= total / (occur * sums[label]);
            }
        }
        Ok(Some(weights))
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ClassWeights {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "none" => Ok(ClassWeights::None),
            "balanced" => Ok(ClassWeights::Balanced),
            _ => Err(Error::config(
                "class_weights",
                name,
                "must be none or balanced",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Task;

    fn set(labels: &[f64]) -> Dataset {
        let (n, task) = (labels.len(), Task::Classification { classes: 3 });
        let features = (0..n).map(|i| i as f64).collect();
        Dataset::new(features, labels.to_vec(), vec!["x".into()], "y", task).unwrap()
    }

    #[test]
    fn balanced_classes_have_equal_sums_and_the_total_stays() {
        let labels = [0.0, 0.0, 0.0, 1.0, 0.0, 2.0];
        let weights = ClassWeights::Balanced
            .of_rows(&set(&labels))
            .unwrap()
            .unwrap();
        // 6 / (3 * 4), 6 / (3 * 1)
        assert_eq!(weights, [0.5, 0.5, 0.5, 2.0, 0.5, 2.0]);
        let own = vec![1.0, 3.0, 0.0, 2.0, 0.0, 6.0];
        let given = set(&labels).with_weights("w", own.clone()).unwrap();
        assert_eq!(ClassWeights::None.of_rows(&given).unwrap(), Some(own));
        let weights = ClassWeights::Balanced.of_rows(&given).unwrap().unwrap();
        assert_eq!(weights, [1.0, 3.0, 0.0, 4.0, 0.0, 4.0]);
        // a class that does not occur takes no share
        let two = ClassWeights::Balanced
            .of_rows(&set(&[0.0, 0.0, 0.0, 2.0]))
            .unwrap();
        assert_eq!(two.unwrap(), [4.0 / 6.0, 4.0 / 6.0, 4.0 / 6.0, 2.0]);
        assert_eq!(ClassWeights::None.of_rows(&set(&labels)).unwrap(), None);
    }

    #[test]
    fn numbers_have_no_classes() {
        let data = Dataset::new(
            vec![1.0, 2.0],
            vec![0.5, 1.5],
            vec!["x".into()],
            "y",
            Task::Regression,
        );
        let error = ClassWeights::Balanced.of_rows(&data.unwrap()).unwrap_err();
        assert!(error.to_string().contains("is for classes"), "{error}");
        assert!("equal".parse::<ClassWeights>().is_err());
    }
}
