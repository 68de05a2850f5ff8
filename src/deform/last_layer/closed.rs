//! Likelihoods of a linear last layer in closed form: energy, residuals and curvature of all rows,
//! class by class.
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
//! | Poisson | `exp(o + log_base)` | 1 | `e` |

use crate::model::ClosedForm;
use crate::scalar::Scalar;
use crate::simd::{Elementary, Vectorised};

/// Terms of `-log p` that do not depend on the outputs, summed over all targets. `count` is the
/// number of targets, each times its weight; only a Gaussian has weights.
pub(super) fn constant(form: ClosedForm, y: &[f64], count: f64) -> f64 {
    match form {
        ClosedForm::Gaussian { noise_std } => {
            let variance = noise_std * noise_std;
            0.5 * count * (2.0 * std::f64::consts::PI * variance).ln()
        }
        ClosedForm::Poisson { .. } => y.iter().map(|y| libm::lgamma(y + 1.0)).sum(),
        ClosedForm::Categorical | ClosedForm::Bernoulli => 0.0,
    }
}

/// Turns the outputs of all rows into expected targets, in place. Returns the negative
/// log-likelihood without its constant.
pub(super) struct Expect<'a, T> {
    pub form: ClosedForm,
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
        match self.form {
            ClosedForm::Gaussian { noise_std } => {
                let mut sum = 0.0;
                for (&o, &y) in self.outputs.iter().zip(self.targets) {
                    let r = (o - y).to_f64();
                    sum += r * r;
                }
                0.5 * sum / (noise_std * noise_std)
            }
            ClosedForm::Categorical => {
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
            ClosedForm::Bernoulli => {
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
            ClosedForm::Poisson { log_base } => {
                let (mut sum, base) = (0.0, T::from_f64(log_base));
                for (o, &y) in self.outputs.iter_mut().zip(self.targets) {
                    let log_rate = *o + base;
                    let rate = Elementary::exp(log_rate);
                    sum += (rate - y * log_rate).to_f64();
                    *o = rate;
                }
                sum
            }
        }
    }
}
