//! The map from a real target to what a model sees: warped, then shifted and scaled.
//!
//! `z = (w(y) - mean) / scale`. Multiplying by `dz/dy` turns a density of `z` into one of `y`. So
//! log densities under different maps can be compared.

use super::standardize::Standardizer;
use super::warp::Warp;
use crate::error::{Column, Error, Result};
use crate::linalg::check_table;

/// A monotone map of the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetMap {
    /// The warp, applied first.
    pub warp: Option<Warp>,
    /// Mean of the warped targets.
    pub mean: f64,
    /// Their standard deviation, or 1.
    pub scale: f64,
}

impl TargetMap {
    /// Leaves targets unchanged.
    pub const IDENTITY: Self = Self {
        warp: None,
        mean: 0.0,
        scale: 1.0,
    };

    /// Mean and standard deviation of targets `[n]` after the warp.
    ///
    /// # Errors
    /// If there are no targets, or the warp is not defined for one. The error names its row.
    pub fn fit(targets: &[f64], warp: Option<Warp>) -> Result<Self> {
        check_table::<f64>("TargetMap::fit", targets, 1, |_| Column::target(0, 1))?;
        let warped: Vec<f64> = match warp {
            None => targets.to_vec(),
            Some(w) => targets.iter().map(|&y| w.forward(y)).collect(),
        };
        if let Some(row) = warped.iter().position(|w| !w.is_finite()) {
            let what = format!(
                "target of row {row} is {}: its logarithm needs a positive number (rows from 0)",
                targets[row]
            );
            return Err(Error::data(what));
        }
        let standard = Standardizer::fit(&warped, 1)?;
        Ok(Self {
            warp,
            mean: standard.mean()[0],
            scale: standard.scale()[0],
        })
    }

    /// `z(y)`. NaN where the warp is not defined.
    pub fn forward(&self, y: f64) -> f64 {
        let w = self.warp.map_or(y, |warp| warp.forward(y));
        (w - self.mean) / self.scale
    }

    /// `y(z)`.
    pub fn inverse(&self, z: f64) -> f64 {
        let w = self.mean + self.scale * z;
        self.warp.map_or(w, |warp| warp.inverse(w))
    }

    /// `log dz/dy`.
    pub fn log_slope(&self, y: f64) -> f64 {
        let slope = self.warp.map_or(0.0, |warp| warp.log_slope(y));
        slope - self.scale.ln()
    }

    /// The smallest possible target: 0 if the warp is a logarithm.
    pub fn lower_bound(&self) -> f64 {
        match self.warp {
            Some(Warp::Log) => 0.0,
            _ => f64::NEG_INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithm_by_hand() {
        let targets = [1.0, std::f64::consts::E.powi(2)];
        let map = TargetMap::fit(&targets, Some(Warp::Log)).unwrap();
        assert!((map.mean - 1.0).abs() < 1e-15 && (map.scale - 1.0).abs() < 1e-15);
        assert!((map.forward(targets[1]) - 1.0).abs() < 1e-15);
        assert!((map.inverse(-1.0) - 1.0).abs() < 1e-15);
        // dz/dy = 1 / (y scale)
        assert!((map.log_slope(2.0) + 2f64.ln()).abs() < 1e-15);
        assert_eq!(map.lower_bound(), 0.0);
        let message = TargetMap::fit(&[1.0, 0.0], Some(Warp::Log)).unwrap_err();
        assert!(message.to_string().contains("row 1 is 0"), "{message}");
        assert!(message.to_string().ends_with("(rows from 0)"), "{message}");
        let message = TargetMap::fit(&[1.0, f64::NAN], None)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("row 1 (from 0), column 'target'"),
            "{message}"
        );
    }
}
