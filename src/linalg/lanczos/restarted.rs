//! Lanczos with thick restart and a queue, behind
//! [`leading_eigenpairs`](super::leading_eigenpairs).
//!
//! The rows of `V` are the orthonormal basis. The rows of `Q` are a few further directions, also
//! orthonormal, and orthogonal to `V`. They satisfy
//!
//! `A V^T = V^T T + Q^T B`, `T = V A V^T`.
//!
//! A step moves a direction `q` from `Q` to `V` and computes `A q`. The part of `A q` orthogonal to
//! `V` and `Q` is a new direction of the queue, coupled only to the last vector. From one start
//! vector the queue holds one direction, and this is the Lanczos iteration. From several it is the
//! band Lanczos method (Ruhe 1979), except that the queue is sorted by need: the direction with the
//! largest part in the residuals of the wanted pairs goes first. An eigenpair `(theta, s)` of `T`
//! gives the Ritz pair `(theta, V^T s)` with residual `|B s|`.
//!
//! **Thick restart** (Wu & Simon 2000): when the basis is full, it is replaced by its leading Ritz
//! vectors `S V`. `T` becomes the diagonal matrix of Ritz values, `B` becomes `B S^T`, and `Q`
//! stays. The relation above still holds.
//!
//! **Warm start**: rows `W` from a nearby operator cost one product each. The Gram matrix of the
//! residuals `A W^T - W^T T` splits them into orthonormal directions, strongest first. Directions
//! below a tenth of the tolerance are dropped. What was dropped is added to every reported
//! residual.
//!
//! **Breakdown**: when the queue is empty, the basis spans an invariant subspace. The iteration
//! goes on with a random direction and coupling zero.
//!
//! **Copies**: a Krylov space holds only one vector of an eigenspace. Before pairs are reported,
//! the complement is searched for hidden ones (file `probe`). What is found there goes to the head
//! of the queue, with coupling zero.

use std::collections::VecDeque;

use rand::Rng;

use super::Ritz;
use crate::error::{Error, Result};
use crate::linalg::dense::{SymmetricEigen, symmetric_eigen};
use crate::linalg::operator::SymmetricOperator;
use crate::linalg::orthogonal::{orthonormal_rows, project_out};
use crate::linalg::vector::{axpy, dot, norm, scale};
use crate::rng::fill_normal;
use crate::scalar::Scalar;

/// A direction in the queue, and its components in the images of the basis vectors: its row of `B`.
#[derive(Clone, Debug)]
struct Direction<T> {
    vector: Vec<T>,
    coupling: Vec<f64>,
}

/// The factorisation. Its basis has at most `bound` vectors.
#[derive(Clone, Debug)]
pub(super) struct Restarted<T> {
    dim: usize,
    bound: usize,
    basis: Vec<T>,
    /// `T`, in rows of `bound` values.
    projected: Vec<f64>,
    len: usize,
    queue: VecDeque<Direction<T>>,
    /// Norm of the part that was dropped from the relation.
    dropped: f64,
    /// Largest norm of the image of a unit vector: the scale of rounding.
    image: f64,
    /// Memory of a direction that vanished, for the next one.
    spare: Option<Vec<T>>,
    pub(super) products: usize,
}

impl<T: Scalar> Restarted<T> {
    pub(super) fn new(dim: usize, bound: usize) -> Self {
        Self {
            dim,
            bound,
            basis: Vec::with_capacity(bound * dim),
            projected: vec![0.0; bound * bound],
            len: 0,
            queue: VecDeque::new(),
            dropped: 0.0,
            image: 0.0,
            spare: None,
            products: 0,
        }
    }

    /// Number of basis vectors.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// True if there is no room for another vector.
    pub(super) fn is_full(&self) -> bool {
        self.len == self.bound
    }

    /// True if the basis spans the whole space.
    pub(super) fn is_complete(&self) -> bool {
        self.len == self.dim
    }

    /// Number of dimensions that neither basis nor queue span.
    pub(super) fn room(&self) -> usize {
        self.dim.saturating_sub(self.len + self.queue.len())
    }

    /// Norm up to which a remainder is nothing but rounding.
    pub(super) fn rounding(&self) -> f64 {
        10.0 * T::EPSILON.to_f64() * self.image
    }

    /// Counts a product. `image` is the norm of the image of a unit vector.
    pub(super) fn took(&mut self, image: f64) {
        self.products += 1;
        self.image = self.image.max(image);
    }

    /// Puts a random direction at the head of the queue, if there is room for one.
    fn inject(&mut self, rng: &mut impl Rng) {
        let mut vector = self.spare.take().unwrap_or_else(|| vec![T::ZERO; self.dim]);
        fill_normal(rng, &mut vector);
        self.put_first(vector);
    }

    /// Puts the part of a vector that is orthogonal to basis and queue at the head of the queue, if
    /// there is such a part. Its coupling is zero, because the images of the basis lie within basis
    /// and queue.
    pub(super) fn put_first(&mut self, mut vector: Vec<T>) {
        let before = norm(&vector);
        self.project(&mut vector);
        let length = norm(&vector);
        if self.room() == 0 || length <= 100.0 * T::EPSILON.to_f64() * before {
            return;
        }
        scale(1.0 / length, &mut vector);
        // once more, because the remainder may have been small
        self.project(&mut vector);
        let length = norm(&vector);
        scale(1.0 / length, &mut vector);
        let coupling = vec![0.0; self.len];
        self.queue.push_front(Direction { vector, coupling });
    }

    /// Orthogonalises against basis and queue.
    fn project(&self, vector: &mut [T]) {
        for _ in 0..2 {
            for q in &self.queue {
                axpy(-dot(&q.vector, vector), &q.vector, vector);
            }
            project_out(&self.basis, vector);
        }
    }

    /// Orthogonalises against the leading `count` Ritz vectors, without forming them.
    pub(super) fn project_out_ritz(&self, ritz: &Ritz, count: usize, vector: &mut [T]) {
        let m = self.len.max(1);
        for _ in 0..2 {
            let rows = self.basis.chunks_exact(self.dim);
            let along: Vec<f64> = rows.clone().map(|row| dot(row, vector)).collect();
            let mut back = vec![0.0; along.len()];
            for s in ritz.coefficients.chunks_exact(m).take(count) {
                axpy(dot(s, &along), s, &mut back);
            }
            for (row, c) in rows.zip(back) {
                axpy(-c, row, vector);
            }
        }
    }

    /// Takes one product and extends the basis by one vector.
    pub(super) fn step(
        &mut self,
        op: &mut dyn SymmetricOperator<T>,
        rng: &mut impl Rng,
    ) -> Result<()> {
        if self.queue.is_empty() {
            self.inject(rng);
        }
        let Some(Direction {
            vector: mut w,
            coupling,
        }) = self.queue.pop_front()
        else {
            return Ok(());
        };
        let at = self.len;
        self.basis.extend_from_slice(&w);
        self.len += 1;
        for (i, &c) in coupling.iter().enumerate() {
            self.projected[at * self.bound + i] = c;
            self.projected[i * self.bound + at] = c;
        }
        let v = &self.basis[at * self.dim..];
        let image = multiply(op, v, &mut w)?;
        self.projected[at * self.bound + at] = dot(v, &w);
        self.took(image);
        project_out(&self.basis, &mut w);
        for q in &mut self.queue {
            let c = dot(&q.vector, &w);
            axpy(-c, &q.vector, &mut w);
            q.coupling.push(c);
        }
        if !self.queue.is_empty() {
            self.project(&mut w);
        }
        let beta = norm(&w);
        if beta <= self.rounding() {
            self.spare = Some(w);
            return Ok(());
        }
        scale(1.0 / beta, &mut w);
        let mut coupling = vec![0.0; self.len];
        coupling[at] = beta;
        self.queue.push_back(Direction {
            vector: w,
            coupling,
        });
        Ok(())
    }

    /// Starts with the span of the given rows (`[k, dim]`), at one product each. Dependent rows are
    /// dropped.
    pub(super) fn start_from(
        &mut self,
        op: &mut dyn SymmetricOperator<T>,
        mut rows: Vec<T>,
        tolerance: f64,
    ) -> Result<()> {
        let k = orthonormal_rows(&mut rows, self.dim);
        self.basis.extend_from_slice(&rows);
        drop(rows);
        let mut images: Vec<Vec<T>> = Vec::with_capacity(k);
        for (i, v) in self.basis.chunks_exact(self.dim).enumerate() {
            let mut w = vec![T::ZERO; self.dim];
            self.image = self.image.max(multiply(op, v, &mut w)?);
            for (j, u) in self.basis.chunks_exact(self.dim).take(i + 1).enumerate() {
                let c = dot(u, &w);
                self.projected[i * self.bound + j] = c;
                self.projected[j * self.bound + i] = c;
            }
            project_out(&self.basis, &mut w);
            images.push(w);
        }
        self.len = k;
        self.products += k;
        // residuals R = Q^T B: with R R^T = U D U^T, q_j = u_j R / sqrt(d_j), B_ji = sqrt(d_j) u_ji
        let mut gram = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..=i {
                let c = dot(&images[i], &images[j]);
                (gram[i * k + j], gram[j * k + i]) = (c, c);
            }
        }
        let eigen = symmetric_eigen(&gram, k)?;
        let least = (0.1 * tolerance * self.image / (k as f64).sqrt())
            .max(10.0 * T::EPSILON.to_f64() * self.image);
        let mut dropped = 0.0;
        for j in (0..k).rev() {
            let strength = eigen.values[j].max(0.0);
            if strength.sqrt() <= least || self.len + self.queue.len() == self.dim {
                dropped += strength;
                continue;
            }
            let u = &eigen.vectors[j * k..(j + 1) * k];
            let mut vector = vec![T::ZERO; self.dim];
            for (row, &c) in images.iter().zip(u) {
                axpy(c, row, &mut vector);
            }
            self.project(&mut vector);
            let length = norm(&vector);
            scale(1.0 / length, &mut vector);
            // after the projection the decomposition is not exact, so the coupling is computed from
            // the images
            let coupling = images.iter().map(|row| dot(row, &vector)).collect();
            self.queue.push_back(Direction { vector, coupling });
        }
        self.dropped = dropped.sqrt();
        Ok(())
    }

    /// Ritz pairs, largest value first.
    pub(super) fn ritz(&self) -> Result<Ritz> {
        let m = self.len;
        let rows = self.projected.chunks_exact(self.bound.max(1)).take(m);
        let small: Vec<f64> = rows.flat_map(|row| &row[..m]).copied().collect();
        let SymmetricEigen {
            mut values,
            vectors,
        } = symmetric_eigen(&small, m)?;
        values.reverse();
        let coefficients: Vec<f64> = vectors
            .chunks_exact(m.max(1))
            .rev()
            .flatten()
            .copied()
            .collect();
        let residual = |s: &[f64]| {
            let parts = self.queue.iter().map(|q| dot(&q.coupling, s).powi(2));
            parts.sum::<f64>().sqrt() + self.dropped
        };
        Ok(Ritz {
            residuals: coefficients.chunks_exact(m.max(1)).map(residual).collect(),
            values,
            coefficients,
        })
    }

    /// Sorts the queue by need. The need of a direction is its part in the residuals of the
    /// `wanted` Ritz pairs.
    pub(super) fn order(&mut self, ritz: &Ritz, wanted: std::ops::Range<usize>) {
        if self.queue.len() < 2 {
            return;
        }
        let m = self.len;
        let need = |q: &Direction<T>| -> f64 {
            let rows = ritz.coefficients.chunks_exact(m);
            let wanted = rows.skip(wanted.start).take(wanted.len());
            wanted.map(|s| dot(&q.coupling, s).powi(2)).sum()
        };
        self.queue
            .make_contiguous()
            .sort_by(|a, b| need(b).total_cmp(&need(a)));
    }

    /// Replaces the basis by its first `keep` Ritz vectors.
    pub(super) fn restart(&mut self, ritz: &Ritz, keep: usize) {
        let m = self.len;
        let keep = keep.min(m);
        self.rotate(ritz, keep);
        self.projected.fill(0.0);
        for (i, value) in ritz.values[..keep].iter().enumerate() {
            self.projected[i * self.bound + i] = *value;
        }
        for q in &mut self.queue {
            let rows = ritz.coefficients.chunks_exact(m.max(1)).take(keep);
            q.coupling = rows.map(|s| dot(&q.coupling, s)).collect();
        }
        self.len = keep;
    }

    /// Multiplies the basis by the coefficients, in place, one strip of columns after the other.
    /// Sums are in f64, so that restarts do not degrade the basis.
    fn rotate(&mut self, ritz: &Ritz, keep: usize) {
        const STRIP: usize = 256;
        let (m, n) = (self.len, self.dim);
        let mut strip = vec![0.0; m * STRIP];
        let mut sum = [0.0; STRIP];
        for start in (0..n).step_by(STRIP) {
            let width = STRIP.min(n - start);
            for (row, copy) in self
                .basis
                .chunks_exact(n)
                .zip(strip.chunks_exact_mut(STRIP))
            {
                for (c, x) in copy.iter_mut().zip(&row[start..start + width]) {
                    *c = x.to_f64();
                }
            }
            let coefficients = ritz.coefficients.chunks_exact(m.max(1)).take(keep);
            for (s, row) in coefficients.zip(self.basis.chunks_exact_mut(n)) {
                sum.fill(0.0);
                for (&c, copy) in s.iter().zip(strip.chunks_exact(STRIP)) {
                    axpy(c, copy, &mut sum);
                }
                for (x, &s) in row[start..start + width].iter_mut().zip(&sum) {
                    *x = T::from_f64(s);
                }
            }
        }
        self.basis.truncate(keep * n);
    }

    /// The first `count` Ritz vectors, `[count, dim]`.
    pub(super) fn into_vectors(mut self, ritz: &Ritz, count: usize) -> Vec<T> {
        self.queue.clear();
        self.rotate(ritz, count);
        for row in self.basis.chunks_exact_mut(self.dim.max(1)) {
            let length = norm(row);
            scale(1.0 / length, row);
        }
        self.basis.shrink_to_fit();
        self.basis
    }
}

/// `w = A v`. Returns the norm of `w`.
pub(super) fn multiply<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    v: &[T],
    w: &mut [T],
) -> Result<f64> {
    op.apply(v, w)?;
    let image = norm(w);
    if image.is_finite() {
        return Ok(image);
    }
    let what = "product of a symmetric operator";
    let index = w.iter().position(|x| !x.is_finite()).unwrap_or(0);
    Err(Error::NonFinite { what, index })
}
