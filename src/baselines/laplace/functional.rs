//! The linearised predictive of a Laplace approximation.
//!
//! `f(x; theta) ~ f(x; theta*) + J(x) (theta - theta*)`, so the outputs are Gaussian (Immer,
//! Korzepa & Bauer 2021):
//!
//! `f(x) ~ N(f(x; theta*), J Q^{-1} J^T)`.
//!
//! With `R R^T = Q^{-1}`, the covariance is `V V^T` for `V = (R^T J^T)^T`. The root is applied to
//! the rows of the Jacobian, for a few rows of data at a time; `Q^{-1}` is never formed.

use super::Laplace;
use crate::curvature::{JacobianMemory, JacobianRows};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::check_table;
use crate::linalg::vector::dot;
use crate::nn::Network;
use crate::parallel;
use crate::predict::{JointOutputGaussian, OutputGaussian};
use crate::scalar::Scalar;

/// Rows of data per task, and per block that the caller gets.
const TASK: usize = 16;

/// What is called that is not finite.
const OUTPUT: &str = "the network's output (its features may be far outside those of training)";
const GRADIENT: &str =
    "the gradient of the network's output (its features may be far outside those of training)";
const BLOCK: usize = 1024;

/// Most Jacobian entries that one task holds.
const NUMBERS: usize = 1 << 20;

impl<T: Scalar> Laplace<T> {
    /// Computes the Gaussians of the outputs of the fit's network for the rows `x`
    /// (`[n, input_dim]`, row-major). `use_block` gets them in order, in blocks of at most 1,024
    /// rows. Rows are computed in parallel; memory does not grow with their number.
    ///
    /// # Errors
    /// If a length does not fit, an output is not finite (the error names the row), or `use_block`
    /// fails.
    pub fn linearised(
        &self,
        network: &dyn Network,
        x: &[f64],
        mut use_block: impl FnMut(&OutputGaussian) -> Result<()>,
    ) -> Result<()> {
        let (rows, jacobian) = self.prepare(network, x)?;
        let (k, q) = (jacobian.outputs(), self.active.len());
        let task = (NUMBERS / (k * q).max(1)).clamp(1, TASK);
        for first in (0..rows).step_by(BLOCK) {
            let here = BLOCK.min(rows - first);
            let parts: Vec<(Vec<f64>, Vec<f64>)> = parallel::try_map_with(
                here.div_ceil(task),
                || (jacobian.memory(), Vec::new()),
                |(memory, roots), i| {
                    let start = first + i * task;
                    let end = (start + task).min(first + here);
                    let means = self.root_rows(&jacobian, network, x, start..end, memory, roots)?;
                    Ok((means, self.blocks(roots, k)))
                },
            )?;
            let (means, covariances): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            use_block(&OutputGaussian {
                rows: here,
                width: k,
                means: means.concat(),
                covariances: covariances.concat(),
            })?;
        }
        Ok(())
    }

    /// [`Laplace::linearised`] for all rows at once, if they fit in memory.
    ///
    /// # Errors
    /// Those of [`Laplace::linearised`].
    pub fn linearised_all(&self, network: &dyn Network, x: &[f64]) -> Result<OutputGaussian> {
        let mut all = OutputGaussian {
            rows: 0,
            width: network.output_dim(),
            means: Vec::new(),
            covariances: Vec::new(),
        };
        self.linearised(network, x, |block| {
            all.rows += block.rows;
            all.means.extend_from_slice(&block.means);
            all.covariances.extend_from_slice(&block.covariances);
            Ok(())
        })?;
        Ok(all)
    }

    /// The joint Gaussian of the outputs of all rows. It takes `O((n K)^2)` memory, and `n K q` for
    /// the Jacobian.
    ///
    /// # Errors
    /// Those of [`Laplace::linearised`].
    pub fn linearised_joint(
        &self,
        network: &dyn Network,
        x: &[f64],
    ) -> Result<JointOutputGaussian> {
        let (rows, jacobian) = self.prepare(network, x)?;
        let (k, q) = (jacobian.outputs(), self.active.len());
        let parts: Vec<(Vec<f64>, Vec<f64>)> = parallel::try_map_with(
            rows.div_ceil(TASK),
            || jacobian.memory(),
            |memory, i| {
                let mut roots = Vec::new();
                let range = i * TASK..((i + 1) * TASK).min(rows);
                let means = self.root_rows(&jacobian, network, x, range, memory, &mut roots)?;
                Ok((means, roots))
            },
        )?;
        let (means, roots): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let roots = roots.concat();
        let n = rows * k;
        let row = |i: usize| &roots[i * q..(i + 1) * q];
        let mut covariance = vec![0.0; n * n];
        parallel::for_each(covariance.chunks_mut(n.max(1)), |i, out| {
            for (j, c) in out.iter_mut().enumerate() {
                *c = dot(row(i.max(j)), row(i.min(j)));
            }
        });
        Ok(JointOutputGaussian {
            rows,
            width: k,
            means: means.concat(),
            covariance,
        })
    }

    fn prepare(&self, network: &dyn Network, x: &[f64]) -> Result<(usize, JacobianRows<T>)> {
        if network.layout() != &self.layout {
            let expected = "the network of the fit";
            return Err(Error::shape("Laplace::linearised", expected, "another"));
        }
        let d = network.input_dim();
        if d == 0 || !x.len().is_multiple_of(d) {
            let got = counted(x.len(), "number");
            let expected = format!("rows of {}", counted(d, "feature"));
            return Err(Error::shape("Laplace::linearised", expected, got));
        }
        check_table::<T>("Laplace::linearised", x, d, Column::Number)?;
        Ok((x.len() / d, JacobianRows::new(network, &self.theta)?))
    }

    /// Computes `R^T` times the gradients of all outputs of `rows`, `[rows K, q]`, in `roots`, and
    /// returns the outputs.
    fn root_rows(
        &self,
        jacobian: &JacobianRows<T>,
        network: &dyn Network,
        x: &[f64],
        rows: std::ops::Range<usize>,
        memory: &mut JacobianMemory<T>,
        roots: &mut Vec<f64>,
    ) -> Result<Vec<f64>> {
        let (d, k) = (network.input_dim(), jacobian.outputs());
        roots.clear();
        let mut means = Vec::with_capacity(rows.len() * k);
        let mut unit = vec![0.0; k];
        for row in rows {
            for i in 0..k {
                unit[i] = 1.0;
                let (gradient, outputs) =
                    jacobian.pull_back(&x[row * d..(row + 1) * d], &unit, memory)?;
                unit[i] = 0.0;
                let active = &gradient[self.active.clone()];
                roots.extend(active.iter().map(|g| g.to_f64()));
                if i == 0 {
                    means.extend(outputs.iter().map(|o| o.to_f64()));
                }
            }
            let output = |output| Column::Output { sample: 0, output };
            let q = self.active.len().max(1);
            let (of_row, slopes) = (means.len() - k, roots.len() - k * self.active.len());
            check_table::<f64>(OUTPUT, &means[of_row..], k, output)
                .and_then(|()| {
                    check_table::<f64>(GRADIENT, &roots[slopes..], k * q, |at| output(at / q))
                })
                .map_err(|e| e.rows_from(row))?;
        }
        self.precision.root_transposed(roots);
        Ok(means)
    }

    /// The covariance of each group of `k` rows of `roots`.
    fn blocks(&self, roots: &[f64], k: usize) -> Vec<f64> {
        let q = self.active.len().max(1);
        let mut out = Vec::with_capacity(roots.len() / q * k);
        for row in roots.chunks_exact(k * q) {
            let v = |i: usize| &row[i * q..(i + 1) * q];
            // the same product for (i, j) and (j, i)
            out.extend((0..k * k).map(|at| {
                let (i, j) = (at / k, at % k);
                dot(v(i.max(j)), v(i.min(j)))
            }));
        }
        out
    }
}
