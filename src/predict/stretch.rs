//! Predictive distributions stretched around their means: `Y' = m + s (Y - m)`.
//!
//! A mixture of normal or Student-t laws stays one: its centres move to `m + s (mean - m)`, and its
//! scales are multiplied by `s`. Moments and quantiles of the stretched distribution are those of
//! the mixture that is stretched here, and densities integrate to 1.

use std::borrow::Cow;

use super::mixture::GaussianMixture;
use super::{MixedPredictions, RealMoments, RealPredictions, RegressionPredictions};
use crate::error::{Error, Result};
use crate::model::Law;

impl RegressionPredictions {
    /// The same predictions, each stretched around its mean by the positive `factor`.
    ///
    /// # Errors
    /// If there are no samples, or a mean is not finite.
    pub fn stretched(&self, factor: f64) -> Result<Cow<'_, Self>> {
        if factor == 1.0 {
            return Ok(Cow::Borrowed(self));
        }
        let mut all = self.clone();
        for row in all.means.chunks_exact_mut(self.samples.max(1)) {
            let mean = GaussianMixture::new(row, 1.0)?.mean();
            row.iter_mut()
                .for_each(|m| *m = mean + factor * (*m - mean));
        }
        all.noise_std *= factor;
        all.noise_stds.iter_mut().for_each(|s| *s *= factor);
        all.component_stds.iter_mut().for_each(|s| *s *= factor);
        Ok(Cow::Owned(all))
    }
}

impl MixedPredictions {
    /// The same predictions, each stretched around its mean by the positive `factor`.
    ///
    /// # Errors
    /// For counts and warped targets, whose range a stretched law would leave.
    pub fn stretched(&self, factor: f64) -> Result<Cow<'_, Self>> {
        if factor == 1.0 {
            return Ok(Cow::Borrowed(self));
        }
        let mut all = self.clone();
        for row in 0..self.rows {
            let mean = self.row(row)?.mean();
            for member in &mut all.members {
                if member.target.warp.is_some() {
                    return Err(refused("a target with a transform"));
                }
                let mean = member.target.forward(mean);
                let moved = |m: f64| mean + factor * (m - mean);
                for law in &mut member.laws[row * member.samples..(row + 1) * member.samples] {
                    *law = match *law {
                        Law::Normal { mean, std } => Law::Normal {
                            mean: moved(mean),
                            std: factor * std,
                        },
                        Law::StudentT { mean, scale, dof } => Law::StudentT {
                            mean: moved(mean),
                            scale: factor * scale,
                            dof,
                        },
                        Law::Poisson { .. } => return Err(refused("counts")),
                    };
                }
            }
        }
        Ok(Cow::Owned(all))
    }
}

fn refused(value: &str) -> Error {
    let requirement = "cannot be stretched: the predictions would leave their range";
    Error::config("spread", value, requirement)
}

impl RealMoments {
    /// The moments of the stretched distribution.
    #[must_use]
    pub fn stretched(&self, factor: f64) -> Self {
        Self {
            mean: self.mean,
            std: factor * self.std,
            epistemic_std: factor * self.epistemic_std,
        }
    }

    /// The quantile of the stretched distribution, from that of this one.
    pub fn stretched_quantile(&self, quantile: f64, factor: f64) -> f64 {
        self.mean + factor * (quantile - self.mean)
    }
}

impl RealPredictions {
    /// The summaries of the stretched distributions.
    #[must_use]
    pub fn stretched(mut self, factor: f64) -> Self {
        let count = self.probabilities.len();
        for (i, moments) in self.moments.iter_mut().enumerate() {
            for q in &mut self.quantiles[i * count..(i + 1) * count] {
                *q = moments.stretched_quantile(*q, factor);
            }
            *moments = moments.stretched(factor);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TargetMap;
    use crate::predict::MemberLaws;

    fn close(a: &RealPredictions, b: &RealPredictions) {
        for (a, b) in a.moments.iter().zip(&b.moments) {
            assert!((a.mean - b.mean).abs() < 1e-12);
            assert!((a.std / b.std - 1.0).abs() < 1e-12);
            assert!((a.epistemic_std - b.epistemic_std).abs() < 1e-12);
        }
        for (a, b) in a.quantiles.iter().zip(&b.quantiles) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    /// Stretched summaries are the summaries of what is stretched, and its density is that of the
    /// change of variables.
    #[test]
    fn summaries_and_densities_agree() {
        let plain = RegressionPredictions {
            samples: 3,
            means: vec![0.0, 1.0, 5.0, -2.0, -2.5, 0.0],
            noise_std: 0.4,
            noise_stds: vec![0.2, 0.4, 0.6],
            component_stds: vec![0.1, 0.0, 0.3, 0.2, 0.2, 0.5],
        };
        let normal = |mean, std| Law::Normal { mean, std };
        let tail = Law::StudentT {
            mean: 2.0,
            scale: 0.5,
            dof: 4.0,
        };
        let (mean, scale) = (10.0, 3.0);
        let map = TargetMap {
            warp: None,
            mean,
            scale,
        };
        let laws = MixedPredictions {
            rows: 2,
            members: vec![
                MemberLaws {
                    weight: 0.3,
                    target: map,
                    samples: 2,
                    laws: vec![normal(0.0, 1.0), tail, normal(1.0, 0.3), tail],
                },
                MemberLaws {
                    weight: 0.7,
                    target: TargetMap { mean: 7.0, ..map },
                    samples: 1,
                    laws: vec![normal(0.5, 2.0), normal(-1.0, 0.7)],
                },
            ],
        };
        let at = [0.05, 0.5, 0.9];
        for factor in [0.3, 1.0, 2.5] {
            let of = plain.stretched(factor).unwrap();
            close(
                &of.summaries(&at).unwrap(),
                &plain.summaries(&at).unwrap().stretched(factor),
            );
            let moments = plain.summaries(&[]).unwrap().moments;
            let y = [1.3, -4.0];
            let inside: Vec<f64> = y
                .iter()
                .zip(&moments)
                .map(|(y, m)| m.mean + (y - m.mean) / factor)
                .collect();
            let want = plain.log_densities(&inside).unwrap();
            for (a, b) in of.log_densities(&y).unwrap().iter().zip(want) {
                assert!((a - (b - factor.ln())).abs() < 1e-10);
            }
            let of = laws.stretched(factor).unwrap();
            close(
                &of.summaries(&at).unwrap(),
                &laws.summaries(&at).unwrap().stretched(factor),
            );
        }
        let counts = MixedPredictions {
            rows: 1,
            members: vec![MemberLaws {
                weight: 1.0,
                target: TargetMap::IDENTITY,
                samples: 1,
                laws: vec![Law::Poisson { rate: 3.0 }],
            }],
        };
        assert!(counts.stretched(2.0).is_err());
    }
}
