//! Settings of SWAG.

use crate::error::{Error, Result};
use crate::optim::{Decay, MinibatchOptions, Schedule, SgdOptions};

/// Settings of SWAG.
#[derive(Clone, Debug, PartialEq)]
pub struct SwagOptions {
    /// Passes over the data.
    pub epochs: usize,
    /// Rows per batch.
    pub batch_rows: usize,
    /// Constant learning rate on the *mean* loss, `U / N`: a step is `learning_rate / N` times the
    /// gradient of the sum. Choose it on held-out data. It is too low to leave the start while the
    /// energies of [`SwagReport::history`](super::SwagReport::history) stay at the start's. A small
    /// network on tabular data, with few steps, needs ten to fifty times the default.
    pub learning_rate: f64,
    /// Fraction of the velocity that a step keeps.
    pub momentum: f64,
    /// Steps between collected points; `None`: one epoch.
    pub collect_every: Option<usize>,
    /// Number of deviations kept, `K`.
    pub rank: usize,
    /// Gradients of the mean loss are clipped to this norm; `None`: no clipping.
    pub clip_norm: Option<f64>,
}

impl Default for SwagOptions {
    fn default() -> Self {
        Self {
            epochs: 140,
            batch_rows: 128,
            learning_rate: 0.01,
            momentum: 0.9,
            collect_every: None,
            rank: 20,
            clip_norm: None,
        }
    }
}

impl SwagOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If a setting is outside its range; the error names it.
    pub fn validate(&self) -> Result<()> {
        if self.rank < 2 {
            return Err(Error::config("rank", self.rank, "must be at least 2"));
        }
        if self.collect_every == Some(0) {
            return Err(Error::config("collect_every", 0, "must be positive"));
        }
        self.training(1)?.validate()
    }

    /// Training settings on `rows` rows. The optimisers of this crate work on sums over rows, so
    /// the rate is divided by `rows` and the clipping norm multiplied by it.
    pub(super) fn training(&self, rows: usize) -> Result<MinibatchOptions> {
        let sgd = SgdOptions {
            momentum: self.momentum,
            nesterov: false,
        };
        sgd.validate()?;
        Ok(MinibatchOptions {
            epochs: self.epochs,
            batch_rows: self.batch_rows,
            learning_rate: self.learning_rate / rows as f64,
            schedule: Schedule::from(Decay::Constant),
            clip_norm: self.clip_norm.map(|c| c * rows as f64),
            validation_fraction: 0.0,
            ..MinibatchOptions::default()
        })
    }
}
