//! Likelihoods of a linear last layer: energy, residuals and curvature of all rows, class by class.
//!
//! Outputs are stored as `[outputs, rows]`, so that every loop runs along the rows. Let `e(o)` be
//! the expected target given outputs `o`. For all these likelihoods the gradient is the residual
//! `r = (e(o) - y) / s^2`, and `e` alone determines the curvature:
//!
//! | likelihood | `e_c(o)` | `s^2` | curvature |
//! |---|---|---|---|
//! | Gaussian | `o_c` | noise variance | `1 / s^2` on the diagonal |
//! | categorical | `exp(o_c) / sum exp(o)` | 1 | `diag(e) - e e^T` |
//! | Bernoulli | `1 / (1 + exp(-o))` | 1 | `e (1 - e)` |
//! | Poisson | `exp(o)` | 1 | `e` |

use crate::error::{Error, Result};
use crate::model::Observation;
use crate::scalar::Scalar;
use crate::simd::{Elementary, Vectorised};

/// The likelihoods that the conditional supports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HeadLikelihood {
    /// Real targets, as many as outputs, with noise of this standard deviation.
    Gaussian {
        /// In units of the target.
        noise_std: f64,
    },
    /// Softmax over the outputs; targets are class indices.
    Categorical,
    /// One output, the logit of target 1; targets are 0 or 1.
    Bernoulli,
    /// One output, the logarithm of the rate; targets are counts.
    Poisson,
    /// One output, and a likelihood of the user's: see [`LastLayer::with_likelihood`].
    ///
    /// [`LastLayer::with_likelihood`]: super::LastLayer::with_likelihood
    Own,
}

impl HeadLikelihood {
    /// The likelihood of an observation; `None` if the conditional does not support it. `noise_std`
    /// is for a Gaussian.
    pub fn of(observation: Observation, noise_std: f64) -> Option<Self> {
        match observation {
            Observation::Categorical => Some(HeadLikelihood::Categorical),
            Observation::Bernoulli => Some(HeadLikelihood::Bernoulli),
            Observation::Gaussian => Some(HeadLikelihood::Gaussian { noise_std }),
            // counts have a base rate; the others have more than one number per row
            Observation::Poisson
            | Observation::StudentT
            | Observation::Heteroscedastic
            | Observation::Own => None,
        }
    }

    /// Length of a row of targets, given the number of outputs.
    pub fn target_dim(self, outputs: usize) -> usize {
        match self {
            HeadLikelihood::Gaussian { .. } => outputs,
            _ => 1,
        }
    }

    /// Checks the settings, the number of outputs, and targets `[rows, target_dim]`.
    pub(super) fn check(self, outputs: usize, y: &[f64]) -> Result<()> {
        let (fits, what): (&dyn Fn(f64) -> bool, String) = match self {
            HeadLikelihood::Gaussian { noise_std } => {
                if !(noise_std > 0.0 && noise_std.is_finite()) {
                    let requirement = "must be positive and finite";
                    return Err(Error::config("noise_std", noise_std, requirement));
                }
                (&f64::is_finite, "must be finite".into())
            }
            HeadLikelihood::Categorical => (
                &|y| y >= 0.0 && y < outputs as f64 && y.fract() == 0.0,
                format!("must be a class in 0..{outputs}"),
            ),
            HeadLikelihood::Bernoulli => (&|y| y == 0.0 || y == 1.0, "must be 0 or 1".into()),
            // the likelihood has checked its targets
            HeadLikelihood::Own => (&|_| true, String::new()),
            HeadLikelihood::Poisson => (
                &|y| y >= 0.0 && y.is_finite() && y.fract() == 0.0,
                "must be a count".into(),
            ),
        };
        let single = matches!(self, Self::Bernoulli | Self::Poisson | Self::Own);
        if single && outputs != 1 {
            return Err(Error::shape("LastLayer", "1 output", outputs));
        }
        match y.iter().position(|&y| !fits(y)) {
            None => Ok(()),
            Some(at) => {
                let row = at / self.target_dim(outputs).max(1);
                Err(Error::config(
                    "target",
                    format!("{} in row {row}", y[at]),
                    &what,
                ))
            }
        }
    }

    /// Terms of `-log p` that do not depend on the outputs, summed over all targets.
    pub(super) fn constant(self, y: &[f64]) -> f64 {
        match self {
            HeadLikelihood::Gaussian { noise_std } => {
                let variance = noise_std * noise_std;
                0.5 * y.len() as f64 * (2.0 * std::f64::consts::PI * variance).ln()
            }
            HeadLikelihood::Poisson => y.iter().map(|y| libm::lgamma(y + 1.0)).sum(),
            HeadLikelihood::Categorical | HeadLikelihood::Bernoulli | HeadLikelihood::Own => 0.0,
        }
    }

    /// The standard deviation of the noise, if there is one.
    pub(super) fn noise_std(self) -> Option<f64> {
        match self {
            HeadLikelihood::Gaussian { noise_std } => Some(noise_std),
            _ => None,
        }
    }

    /// Whether the energy is quadratic in the last layer.
    pub(super) fn is_gaussian(self) -> bool {
        matches!(self, HeadLikelihood::Gaussian { .. })
    }
}

/// Turns the outputs of all rows into expected targets, in place. Returns the negative
/// log-likelihood without its constant.
pub(super) struct Expect<'a, T> {
    pub likelihood: HeadLikelihood,
    /// `[outputs, rows]`.
    pub outputs: &'a mut [T],
    /// Targets of each row: class indices, or numbers `[outputs, rows]`.
    pub labels: &'a [usize],
    pub targets: &'a [T],
    /// Two numbers per row.
    pub scratch: &'a mut [T],
}

impl<T: Scalar> Vectorised for Expect<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        match self.likelihood {
            HeadLikelihood::Gaussian { noise_std } => {
                let mut sum = 0.0;
                for (&o, &y) in self.outputs.iter().zip(self.targets) {
                    let r = (o - y).to_f64();
                    sum += r * r;
                }
                0.5 * sum / (noise_std * noise_std)
            }
            HeadLikelihood::Categorical => {
                let rows = self.labels.len();
                let (top, sum) = self.scratch.split_at_mut(rows);
                let sum = &mut sum[..rows];
                top.copy_from_slice(&self.outputs[..rows]);
                for class in self.outputs.chunks_exact(rows).skip(1) {
                    for (t, &o) in top.iter_mut().zip(class) {
                        *t = if o > *t { o } else { *t };
                    }
                }
                let mut energy = 0.0;
                for (row, &label) in self.labels.iter().enumerate() {
                    energy += (top[row] - self.outputs[label * rows + row]).to_f64();
                }
                sum.fill(T::ZERO);
                for class in self.outputs.chunks_exact_mut(rows) {
                    for ((o, &t), s) in class.iter_mut().zip(&*top).zip(sum.iter_mut()) {
                        let e = Elementary::exp(*o - t);
                        *o = e;
                        *s += e;
                    }
                }
                for class in self.outputs.chunks_exact_mut(rows) {
                    for (o, &s) in class.iter_mut().zip(&*sum) {
                        *o /= s;
                    }
                }
                for s in sum.iter_mut() {
                    *s = Elementary::ln(*s);
                }
                energy + sum.iter().map(|s| s.to_f64()).sum::<f64>()
            }
            HeadLikelihood::Bernoulli => {
                for ((o, &y), s) in self
                    .outputs
                    .iter_mut()
                    .zip(self.targets)
                    .zip(self.scratch.iter_mut())
                {
                    // y is 0 or 1: the loss is the softplus of the logit for the other value
                    let against = (T::ONE - y - y) * *o;
                    *s = Elementary::softplus(against);
                    *o = Elementary::sigmoid(*o);
                }
                let rows = self.targets.len();
                self.scratch[..rows].iter().map(|s| s.to_f64()).sum()
            }
            HeadLikelihood::Poisson => {
                let mut sum = 0.0;
                for (o, &y) in self.outputs.iter_mut().zip(self.targets) {
                    let rate = Elementary::exp(*o);
                    sum += (rate - y * *o).to_f64();
                    *o = rate;
                }
                sum
            }
            // computed by its program
            HeadLikelihood::Own => f64::NAN,
        }
    }
}
