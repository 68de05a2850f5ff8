//! The conditional last layer: a coupling layer whose conditioner is computed, not learned.
//!
//! Given the hidden parameters, the network is linear in its last layer `w`: outputs `Phi w`, with the features of all
//! training rows and a constant 1 in `Phi` (`[N, H + 1]`). With the prior `w ~ N(0, 1 / alpha)`:
//! - Gaussian likelihood: the conditional posterior is exactly `N(m, A^{-1})`, `A = Phi^T Phi / noise_std^2 + alpha I`,
//!   `m = A^{-1} Phi^T y / noise_std^2`.
//! - Softmax likelihood: `-log p(y, w | theta_h)` is convex in `w`. Newton's method with a backtracking line search gives
//!   the mode `m`, and the Hessian there `A`: the conditional posterior is approximated by `N(m, A^{-1})`. Its skewness
//!   and heavier tails are dropped.
//!
//! The map `w = m(theta_h) + L^{-T} z` with `A = L L^T` passes the hidden block through and shifts and scales the last
//! layer: `log |det| = -sum log L_ii`, and the inverse is `z = L^T (w - m)`. It needs the training data.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Error, Result};
use crate::linalg::Cholesky;
use crate::linalg::vector::dot;
use crate::nn::LinearHead;
use crate::scalar::Scalar;

/// The likelihoods that the conditional knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HeadLikelihood {
    /// One output with noise of this standard deviation.
    Gaussian {
        /// In units of the target.
        noise_std: f64,
    },
    /// Softmax over the outputs; targets are class indices.
    Categorical,
}

/// The conditional posterior of the last layer, as a function of the hidden parameters.
#[derive(Clone, Debug)]
pub struct LastLayer<T> {
    likelihood: HeadLikelihood,
    prior_precision: f64,
    rows: usize,
    features: usize,
    outputs: usize,
    x: Vec<T>,
    y: Vec<f64>,
    program: Program<T>,
}

/// `N(mode, A^{-1})` by the mode and the Cholesky factor of `A`; coordinates are `[H + 1, outputs]` row-major, bias last.
#[derive(Clone, Debug)]
pub struct Conditional {
    /// The mode, for a Gaussian likelihood the mean.
    pub mode: Vec<f64>,
    /// The factor of the precision.
    pub precision: Cholesky,
}

/// Largest dimension: the Hessian is dense, and this many rows of it are half a gigabyte.
const MAX_DIM: usize = 8_192;

/// Newton's method stops when half its decrement, an estimate of the distance to the minimum in nats, is below this.
const TOLERANCE: f64 = 1e-9;
const MAX_NEWTON: usize = 100;

impl<T: Scalar> LastLayer<T> {
    /// The conditional of `network` given rows `x` (`[n, input_dim]`) and targets `y` (`[n]`).
    ///
    /// # Errors
    /// If lengths do not fit, or a setting is not positive.
    pub fn new(
        network: &dyn LinearHead,
        likelihood: HeadLikelihood,
        prior_precision: f64,
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        let (rows, d) = (y.len(), network.input_dim());
        if x.len() != rows * d {
            let got = format!("{} numbers", x.len());
            return Err(Error::shape(
                "LastLayer",
                format!("{rows} rows of {d}"),
                got,
            ));
        }
        if rows == 0 {
            return Err(Error::shape("LastLayer", "at least one row", 0));
        }
        let size = (network.features() + 1).saturating_mul(network.output_dim());
        if size > MAX_DIM {
            let requirement = format!(
                "parameters are at most {MAX_DIM} for a conditional last layer; take another method"
            );
            return Err(Error::config("last layer", size, &requirement));
        }
        let positive = |field, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(Error::config(field, value, "must be positive and finite"))
            }
        };
        positive("prior_precision", prior_precision)?;
        let outputs = network.output_dim();
        match likelihood {
            HeadLikelihood::Gaussian { noise_std } => {
                positive("noise_std", noise_std)?;
                if outputs != 1 {
                    return Err(Error::shape("LastLayer", "1 output", outputs));
                }
            }
            HeadLikelihood::Categorical => {
                let bad = |&&y: &&f64| !(y >= 0.0 && y < outputs as f64 && y.fract() == 0.0);
                if let Some(y) = y.iter().find(bad) {
                    return Err(Error::config(
                        "target",
                        y,
                        &format!("must be a class in 0..{outputs}"),
                    ));
                }
            }
        }
        let graph = Graph::new();
        let theta_h = graph.input(&[network.hidden_params()]);
        let inputs = graph.input(&[rows, d]);
        Ok(Self {
            likelihood,
            prior_precision,
            rows,
            features: network.features() + 1,
            outputs,
            x: x.iter().map(|&v| T::from_f64(v)).collect(),
            y: y.to_vec(),
            program: graph.compile(&[network.feature_map(theta_h, inputs)])?,
        })
    }

    /// Number of parameters of the last layer.
    pub fn dim(&self) -> usize {
        self.features * self.outputs
    }

    /// Memory for [`LastLayer::condition`].
    pub fn workspace(&self) -> Workspace<T> {
        self.program.workspace()
    }

    /// The conditional given hidden parameters.
    ///
    /// # Errors
    /// If the length is wrong, a feature is not finite, or Newton's method does not converge.
    pub fn condition(&self, theta_h: &[T], ws: &mut Workspace<T>) -> Result<Conditional> {
        self.program.run(&[theta_h, &self.x], ws)?;
        let mut phi = Vec::with_capacity(self.rows * self.features);
        for row in self
            .program
            .tensor(ws, 0)
            .chunks_exact((self.features - 1).max(1))
        {
            phi.extend(row.iter().map(|v| v.to_f64()));
            phi.push(1.0);
        }
        if let Some(index) = phi.iter().position(|v| !v.is_finite()) {
            let what = "features of the last layer";
            return Err(Error::NonFinite { what, index });
        }
        match self.likelihood {
            HeadLikelihood::Gaussian { noise_std } => self.gaussian(&phi, noise_std),
            HeadLikelihood::Categorical => self.categorical(&phi),
        }
    }

    fn gaussian(&self, phi: &[f64], noise_std: f64) -> Result<Conditional> {
        let h = self.features;
        let weight = 1.0 / noise_std.powi(2);
        let mut a = vec![0.0; h * h];
        self.product(phi, h, phi, h, weight, &mut a);
        for i in 0..h {
            a[i * h + i] += self.prior_precision;
        }
        let precision = Cholesky::new(&a, h)?;
        let mut mode = vec![0.0; h];
        self.product(phi, h, &self.y, 1, weight, &mut mode);
        precision.solve(&mut mode);
        Ok(Conditional { mode, precision })
    }

    fn categorical(&self, phi: &[f64]) -> Result<Conditional> {
        let dim = self.dim();
        let mut w = vec![0.0; dim];
        let mut p = vec![0.0; self.rows * self.outputs];
        let mut energy = self.softmax_energy(phi, &w, &mut p);
        for _ in 0..MAX_NEWTON {
            let mut residual = p.clone();
            for (row, &y) in residual.chunks_exact_mut(self.outputs).zip(&self.y) {
                row[y as usize] -= 1.0;
            }
            let mut gradient = vec![0.0; dim];
            self.product(
                phi,
                self.features,
                &residual,
                self.outputs,
                1.0,
                &mut gradient,
            );
            gradient
                .iter_mut()
                .zip(&w)
                .for_each(|(g, w)| *g += self.prior_precision * w);
            let precision = Cholesky::new(&self.softmax_hessian(phi, &p), dim)?;
            let mut step = gradient.clone();
            precision.solve(&mut step);
            let decrement = dot(&gradient, &step);
            if 0.5 * decrement <= TOLERANCE {
                return Ok(Conditional { mode: w, precision });
            }
            // halving meets Armijo's rule on a smooth convex function; when rounding stops it, the step is nil anyway
            let mut length = 1.0;
            loop {
                let trial: Vec<f64> = w.iter().zip(&step).map(|(w, s)| w - length * s).collect();
                let value = self.softmax_energy(phi, &trial, &mut p);
                if value <= energy - 1e-4 * length * decrement || length < 1e-8 {
                    (w, energy) = (trial, value);
                    break;
                }
                length *= 0.5;
            }
        }
        Err(Error::NoConvergence {
            what: "Newton's method for the last layer",
            iterations: MAX_NEWTON,
            residual: energy,
            tolerance: TOLERANCE,
        })
    }

    /// `-log p(y | Phi w) + alpha |w|^2 / 2`; leaves the class probabilities in `p`.
    fn softmax_energy(&self, phi: &[f64], w: &[f64], p: &mut [f64]) -> f64 {
        let (h, k) = (self.features, self.outputs);
        matmul(
            MatMut::from_row_major_slice_mut(&mut *p, self.rows, k),
            Accum::Replace,
            MatRef::from_row_major_slice(phi, self.rows, h),
            MatRef::from_row_major_slice(w, h, k),
            1.0,
            Par::Seq,
        );
        let mut energy = 0.5 * self.prior_precision * dot(w, w);
        for (row, &y) in p.chunks_exact_mut(k).zip(&self.y) {
            let top = row.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let chosen = row[y as usize] - top;
            let mut sum = 0.0;
            for o in row.iter_mut() {
                *o = (*o - top).exp();
                sum += *o;
            }
            row.iter_mut().for_each(|o| *o /= sum);
            energy += sum.ln() - chosen;
        }
        energy
    }

    /// `sum_n phi_n phi_n^T (x) (diag p_n - p_n p_n^T) + alpha I`, row-major, coordinates `(feature, class)`.
    fn softmax_hessian(&self, phi: &[f64], p: &[f64]) -> Vec<f64> {
        let (h, k) = (self.features, self.outputs);
        let dim = h * k;
        let mut a = vec![0.0; dim * dim];
        let mut weighted = vec![0.0; phi.len()];
        let mut block = vec![0.0; h * h];
        for c in 0..k {
            for e in 0..=c {
                for ((out, row), p) in weighted
                    .chunks_exact_mut(h)
                    .zip(phi.chunks_exact(h))
                    .zip(p.chunks_exact(k))
                {
                    let curvature = p[c] * (if c == e { 1.0 } else { 0.0 } - p[e]);
                    out.iter_mut()
                        .zip(row)
                        .for_each(|(o, f)| *o = curvature * f);
                }
                self.product(phi, h, &weighted, h, 1.0, &mut block);
                for i in 0..h {
                    for j in 0..h {
                        a[(i * k + c) * dim + j * k + e] = block[i * h + j];
                        a[(i * k + e) * dim + j * k + c] = block[i * h + j];
                    }
                }
            }
        }
        for i in 0..dim {
            a[i * dim + i] += self.prior_precision;
        }
        a
    }

    /// `out = factor a^T b` for `a [rows, m]` and `b [rows, n]`.
    fn product(&self, a: &[f64], m: usize, b: &[f64], n: usize, factor: f64, out: &mut [f64]) {
        matmul(
            MatMut::from_row_major_slice_mut(out, m, n),
            Accum::Replace,
            MatRef::from_row_major_slice(a, self.rows, m).transpose(),
            MatRef::from_row_major_slice(b, self.rows, n),
            factor,
            Par::Seq,
        );
    }
}
