//! Isotonic regression of the label on the probability, for two classes (Zadrozny & Elkan 2002,
//! KDD), by pooling adjacent violators (Ayer et al. 1955).
//!
//! Rows in the order of their probability of class 1 are pooled until the shares of class 1 rise.
//! Between the ends of the pools the map is a straight line, and beyond them it is constant.
//!
//! Deviations: Zadrozny & Elkan use steps; the line is what scikit-learn's `IsotonicRegression`
//! does. A pool of `n` equal labels would get the probability 0 or 1, which no number of rows can
//! show. Shares are kept within `[1 / (rows + 2), (rows + 1) / (rows + 2)]`, with the sum of the weights
//! in the place of the rows where they have weights.

use super::Labelled;
use crate::error::{Error, Result, counted};

/// A monotone map of the probability of class 1.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct Isotonic {
    /// Probabilities where the line bends, ascending.
    pub inputs: Vec<f64>,
    /// The map's values there, ascending.
    pub outputs: Vec<f64>,
}

struct Pool {
    first: f64,
    last: f64,
    ones: f64,
    rows: f64,
}

impl Isotonic {
    /// Changes nothing.
    pub fn identity() -> Self {
        Self {
            inputs: vec![0.0, 1.0],
            outputs: vec![0.0, 1.0],
        }
    }

    /// The monotone map of least squared error. It is the identity if that makes the labels more
    /// probable.
    ///
    /// # Errors
    /// If there are more or fewer than two classes.
    pub fn fit(rows: &Labelled<'_>) -> Result<Self> {
        let found = Self::pooled(rows)?;
        match rows.nll(|p| found.apply(p)) < rows.nll(|_| ()) {
            true => Ok(found),
            false => Ok(Self::identity()),
        }
    }

    pub(super) fn pooled(rows: &Labelled<'_>) -> Result<Self> {
        if rows.classes() != 2 {
            let value = counted(rows.classes(), "class");
            return Err(Error::config("isotonic", value, "is for two classes"));
        }
        // rows of weight 0 are not there
        let counted = rows.counted_rows().filter(|row| row.2 > 0.0);
        let mut each: Vec<(f64, f64, f64)> = counted
            .map(|(p, label, weight)| (p[1], weight * label as f64, weight))
            .collect();
        each.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut pools: Vec<Pool> = Vec::new();
        // equal probabilities are one pool, whatever their labels and before all others
        for tied in each.chunk_by(|a, b| a.0 == b.0) {
            let mut pool = Pool {
                first: tied[0].0,
                last: tied[0].0,
                ones: tied.iter().map(|row| row.1).sum(),
                rows: tied.iter().map(|row| row.2).sum(),
            };
            while let Some(before) =
                pools.pop_if(|before| before.ones * pool.rows >= pool.ones * before.rows)
            {
                pool = Pool {
                    first: before.first,
                    last: pool.last,
                    ones: before.ones + pool.ones,
                    rows: before.rows + pool.rows,
                };
            }
            pools.push(pool);
        }
        let least = 1.0 / (rows.total() + 2.0);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for pool in pools {
            let share = (pool.ones / pool.rows).clamp(least, 1.0 - least);
            let mut bend = |at: f64| {
                inputs.push(at);
                outputs.push(share);
            };
            bend(pool.first);
            if pool.last > pool.first {
                bend(pool.last);
            }
        }
        Ok(Self { inputs, outputs })
    }

    /// The map of a probability of class 1.
    pub fn map(&self, p: f64) -> f64 {
        let above = self.inputs.partition_point(|x| *x <= p);
        let (n, x, y) = (self.inputs.len(), &self.inputs, &self.outputs);
        match above {
            0 => y.first().copied().unwrap_or(p),
            i if i == n => y[n - 1],
            i => {
                let share = (p - x[i - 1]) / (x[i] - x[i - 1]);
                y[i - 1] + share * (y[i] - y[i - 1])
            }
        }
    }

    /// Maps the probabilities of a row, `[2]`, in place.
    pub fn apply(&self, p: &mut [f64]) {
        if let [p0, p1] = p {
            *p1 = self.map(*p1);
            *p0 = 1.0 - *p1;
        }
    }

    pub(super) fn is_proper(&self) -> bool {
        let (x, y) = (&self.inputs, &self.outputs);
        let probability = |v: &f64| (0.0..=1.0).contains(v);
        !x.is_empty()
            && x.len() == y.len()
            && x.iter().all(probability)
            && y.iter().all(probability)
            && x.windows(2).all(|w| w[0] < w[1])
            && y.windows(2).all(|w| w[0] <= w[1])
    }
}
