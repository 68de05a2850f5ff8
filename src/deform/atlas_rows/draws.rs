//! Joint draws of an atlas's outputs: the same hidden parameters and last layer for all rows.
//!
//! Given anchor `a` the last layer is `N(c_a, (L_a L_a^T)^{-1})`, so a draw is
//! `w = c_a + L_a^{-T} z` with `z ~ N(0, I)`, and the output of every row is `phi^T w`.

use super::{AtlasRows, Kept, LANES, band_columns, set_features};
use crate::error::{Error, Result, counted};
use crate::linalg::{cell, check_table, output_of};
use crate::parallel;
use crate::scalar::Scalar;

/// One draw: an anchor, by its number among those that are used, and `z`, `[features + 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AtlasDraw {
    /// Number of the anchor.
    pub anchor: usize,
    /// Standard normal numbers.
    pub z: Vec<f64>,
}

impl<T: Scalar> Kept<T> {
    /// `c + L^{-T} z`.
    fn weights(&self, z: &[f64]) -> Vec<f64> {
        let (n, mut weights) = (z.len(), self.centre.clone());
        let (mut rest, _) = self.inverse.as_chunks::<LANES>();
        for row in (0..n).step_by(LANES) {
            let (band, others) = rest.split_at(band_columns(row, n));
            rest = others;
            // rows beyond the last are zero
            let of_band = &z[row..n.min(row + LANES)];
            for (w, column) in weights.iter_mut().zip(band) {
                let products = column.iter().zip(of_band);
                *w += products.map(|(l, z)| l.to_f64() * z).sum::<f64>();
            }
        }
        weights
    }
}

impl<T: Scalar> AtlasRows<T> {
    /// Numbers of the last layer of a draw: features, and one for the constant.
    pub fn last_layer_dim(&self) -> usize {
        self.atlas.last().dim()
    }

    /// Outputs of rows `x` (`[n, input_dim]`) without noise, `[n, draws]`, in standardised units.
    ///
    /// # Errors
    /// If a length does not fit, there is no such anchor, or an output is not finite.
    pub fn draws(&self, x: &[f64], draws: &[AtlasDraw]) -> Result<Vec<f64>> {
        let (d, run, f) = (self.inputs, self.run, self.last_layer_dim());
        let rows = x.len() / d;
        let fits = |draw: &AtlasDraw| draw.anchor < self.count() && draw.z.len() == f;
        if !x.len().is_multiple_of(d) || !draws.iter().all(fits) {
            let (features, numbers) = (counted(d, "feature"), counted(f, "number"));
            let expected = format!("rows of {features}, and draws of an anchor and {numbers}");
            return Err(Error::shape("AtlasRows::draws", expected, x.len()));
        }
        let runs = x.chunks(run * d).enumerate().map(|(first, x)| {
            let mut features = vec![T::ZERO; run * d];
            for (at, &v) in x.iter().enumerate() {
                let (row, column) = (at / d, at % d);
                features[column * run + row] = cell("AtlasRows", v, first * run + row, column)?;
            }
            Ok(features)
        });
        let runs: Vec<Vec<T>> = runs.collect::<Result<_>>()?;
        let parts: Vec<Vec<f64>> = parallel::try_map_with(
            draws.len(),
            || {
                let last = self.kept.is_empty().then(|| self.atlas.last().workspace());
                (self.many.workspace(), last, vec![1.0; f])
            },
            |(ws, last, phi), j| {
                let AtlasDraw { anchor: k, z } = &draws[j];
                let again = match last {
                    Some(last) => Some(self.again(*k, last)?),
                    None => None,
                };
                let kept = again.as_ref().or(self.kept.get(*k));
                let kept = kept.ok_or_else(|| Error::shape("AtlasRows", "an anchor", k))?;
                let weights = kept.weights(z);
                let (anchor, _) = self.atlas.anchor(self.used[*k]);
                let anchor = &anchor[..self.atlas.last().network_dim()];
                let mut part = Vec::with_capacity(rows);
                for features in &runs {
                    self.many.run(&[anchor, features], ws)?;
                    let h = phi.len() - 1;
                    let all = self.many.tensor(ws, 0)?;
                    for row in 0..run.min(rows - part.len()) {
                        set_features(phi, &all[row * h..(row + 1) * h]);
                        part.push(phi.iter().zip(&weights).map(|(p, w)| p * w).sum());
                    }
                }
                Ok(part)
            },
        )?;
        let each = (0..rows).flat_map(|r| parts.iter().map(move |p| p[r]));
        let values: Vec<f64> = each.collect();
        check_table::<f64>(
            super::PREDICTIONS,
            &values,
            draws.len().max(1),
            output_of(1),
        )?;
        Ok(values)
    }
}
