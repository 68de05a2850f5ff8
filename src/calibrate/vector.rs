//! Vector scaling (Guo, Pleiss, Sun & Weinberger 2017, ICML).
//!
//! ```text
//! q = softmax(a * log p + b),   (a, b) = argmin -sum_i log q_(y_i)(x_i)
//!                                        + r/2 (|a - 1|^2 + |b|^2),   r = max(ridge, 1e-6)
//! ```
//!
//! The sum is convex. Newton's method finds its minimum; a step is halved until the sum falls. The
//! least `r` fixes what the sum leaves free: a constant added to all of `b` changes nothing.
//! Without a gain on the rows it is the identity.

use super::{Labelled, floored_log, softmax};
use crate::error::{Error, Result, counted};
use crate::linalg::Cholesky;

/// The least prior.
const LEAST: f64 = 1e-6;

/// Most steps, and the gain in nats below which there is no further one.
const STEPS: usize = 100;
const GAIN: f64 = 1e-10;

/// Most classes: the Hessian has `(2 classes)^2` numbers.
const MOST: usize = 512;

/// An exponent and a factor for each class.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct VectorScaling {
    /// Exponents `a`, `[classes]`.
    pub slopes: Vec<f64>,
    /// Logarithms of factors `b`, `[classes]`.
    pub offsets: Vec<f64>,
}

impl VectorScaling {
    /// Changes nothing.
    pub fn identity(classes: usize) -> Self {
        Self {
            slopes: vec![1.0; classes],
            offsets: vec![0.0; classes],
        }
    }

    /// The map that makes the labels most probable.
    ///
    /// # Errors
    /// If there are more than 512 classes, or a matrix cannot be factorised.
    pub fn fit(rows: &Labelled<'_>, ridge: f64) -> Result<Self> {
        let (k, ridge) = (rows.classes(), ridge.max(LEAST));
        if k > MOST {
            let requirement = format!("is for at most {MOST} classes");
            let value = counted(k, "class");
            return Err(Error::config("vector scaling", value, &requirement));
        }
        let mut at: Vec<f64> = (0..2 * k).map(|i| f64::from(u8::from(i < k))).collect();
        let mut value = objective(rows, &at, ridge);
        for _ in 0..STEPS {
            let (gradient, hessian) = derivatives(rows, &at, ridge);
            let mut step = gradient.clone();
            Cholesky::new(&hessian, 2 * k)?.solve(&mut step);
            let promised: f64 = step.iter().zip(&gradient).map(|(s, g)| s * g).sum();
            let mut share = 1.0;
            let next = loop {
                let next: Vec<f64> = at.iter().zip(&step).map(|(x, s)| x - share * s).collect();
                let found = objective(rows, &next, ridge);
                if found <= value - 1e-4 * share * promised {
                    break Some((next, found));
                }
                share *= 0.5;
                if share < 1e-12 {
                    break None;
                }
            };
            let Some((next, found)) = next else {
                break;
            };
            let gained = value - found;
            (at, value) = (next, found);
            if gained < GAIN {
                break;
            }
        }
        let (slopes, offsets) = at.split_at(k);
        let found = Self {
            slopes: slopes.to_vec(),
            offsets: offsets.to_vec(),
        };
        match rows.nll(|p| found.apply(p)) < rows.nll(|_| ()) {
            true => Ok(found),
            false => Ok(Self::identity(k)),
        }
    }

    /// Maps the probabilities of a row, `[classes]`, in place.
    ///
    /// # Panics
    /// If there are more classes than it has numbers for, as slices do.
    pub fn apply(&self, p: &mut [f64]) {
        for (k, p) in p.iter_mut().enumerate() {
            *p = self.slopes[k] * floored_log(*p) + self.offsets[k];
        }
        softmax(p);
    }

    pub(super) fn is_proper(&self, classes: usize) -> bool {
        let all = [&self.slopes, &self.offsets];
        // slopes of a million times the logarithm of the smallest number are numbers still
        all.iter()
            .all(|v| v.len() == classes && v.iter().all(|x| x.abs() <= 1e12))
    }
}

fn objective(rows: &Labelled<'_>, at: &[f64], ridge: f64) -> f64 {
    let k = rows.classes();
    let mut z = vec![0.0; k];
    let mut total = 0.0;
    for (p, label, weight) in rows.counted_rows() {
        for (i, (z, &p)) in z.iter_mut().zip(p).enumerate() {
            *z = at[i] * floored_log(p) + at[k + i];
        }
        let top = z.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let sum: f64 = z.iter().map(|z| (z - top).exp()).sum();
        total += weight * (top + sum.ln() - z[label]);
    }
    let distance = |(i, x): (usize, &f64)| (x - f64::from(u8::from(i < k))).powi(2);
    total + 0.5 * ridge * at.iter().enumerate().map(distance).sum::<f64>()
}

/// Gradient `[2 k]` and Hessian `[2 k, 2 k]`: with `J = [diag(log p), I]`, sums of `J^T (q - e_y)`
/// and `J^T (diag(q) - q q^T) J`.
fn derivatives(rows: &Labelled<'_>, at: &[f64], ridge: f64) -> (Vec<f64>, Vec<f64>) {
    let k = rows.classes();
    let n = 2 * k;
    let mut gradient = vec![0.0; n];
    let mut hessian = vec![0.0; n * n];
    let (mut q, mut logs) = (vec![0.0; k], vec![0.0; k]);
    for (p, label, weight) in rows.counted_rows() {
        for i in 0..k {
            logs[i] = floored_log(p[i]);
            q[i] = at[i] * logs[i] + at[k + i];
        }
        softmax(&mut q);
        for i in 0..k {
            let miss = weight * (q[i] - f64::from(u8::from(i == label)));
            gradient[i] += miss * logs[i];
            gradient[k + i] += miss;
            for j in 0..k {
                let own = if i == j { q[i] } else { 0.0 };
                let c = weight * (own - q[i] * q[j]);
                hessian[i * n + j] += c * logs[i] * logs[j];
                hessian[(k + i) * n + j] += c * logs[j];
                hessian[i * n + k + j] += c * logs[i];
                hessian[(k + i) * n + k + j] += c;
            }
        }
    }
    for i in 0..n {
        gradient[i] += ridge * (at[i] - f64::from(u8::from(i < k)));
        hessian[i * n + i] += ridge;
    }
    (gradient, hessian)
}
