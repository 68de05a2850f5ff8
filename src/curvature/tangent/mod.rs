//! The tangent space of the fiber, and its orthogonal complement.
//!
//! Near `theta` the training outputs change by `J dtheta`. The directions that change them are the
//! leading eigenvectors of `G = J^T Lambda J`. Those with `lambda > kappa alpha` span the **normal
//! space**: there the data say more than `kappa` times what the prior says. ([`NormalDimension`]
//! lists other choices.) The complement is the **tangent space**, in which one can move and keep
//! the predictions. With `B` the orthonormal normal directions as rows, the projectors are `B^T B`
//! and `I - B^T B`.
//!
//! If the prior precision is not a single number, use the operator in whitened coordinates
//! ([`WhitenedOperator`](super::WhitenedOperator)) and prior precision 1.
//!
//! The split drops normal directions beyond `max_normal`, and those that Lanczos did not resolve
//! within its budget. [`TangentSpace::is_complete`] and [`TangentSpace::unresolved`] report this.

mod compare;
mod options;
#[cfg(test)]
mod tests;

pub use options::{NormalDimension, TangentOptions};

use crate::error::{Error, Result, counted};
use crate::linalg::vector::{axpy, dot};
use crate::linalg::{
    DeflatedOperator, SpectralQuadrature, SymmetricOperator, TraceEstimate, converged_eigenpairs,
    estimate_trace, project_out,
};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// The split of parameter space at a point.
#[derive(Clone, Debug)]
pub struct TangentSpace<T> {
    dim: usize,
    values: Vec<f64>,
    basis: Vec<T>,
    prior_precision: f64,
    complete: bool,
    unresolved: usize,
    products: usize,
    trace: Option<TraceEstimate>,
}

impl<T: Scalar> TangentSpace<T> {
    /// Splits the space by the leading eigenvectors of `op`, a Gauss-Newton matrix, compared with
    /// the given prior precision.
    ///
    /// # Errors
    /// If a setting is out of range or the operator fails.
    pub fn new(
        op: &mut dyn SymmetricOperator<T>,
        prior_precision: f64,
        options: &TangentOptions,
        streams: Streams,
    ) -> Result<Self> {
        Self::from_rows(op, prior_precision, options, &[], streams)
    }

    /// A split that is already known: `values` `[k]`, orthonormal rows `basis` `[k, dim]`, and
    /// whether they are all normal directions.
    ///
    /// # Errors
    /// If lengths do not fit.
    pub fn from_parts(
        dim: usize,
        values: Vec<f64>,
        basis: Vec<T>,
        prior_precision: f64,
        complete: bool,
    ) -> Result<Self> {
        if basis.len() != values.len() * dim {
            let expected = format!(
                "{} of {}",
                counted(values.len(), "direction"),
                counted(dim, "parameter")
            );
            return Err(Error::shape(
                "TangentSpace::from_parts",
                expected,
                basis.len(),
            ));
        }
        Ok(Self {
            dim,
            values,
            basis,
            prior_precision,
            complete,
            unresolved: 0,
            products: 0,
            trace: None,
        })
    }

    /// The split at a nearby point, where the operator is `op`. Lanczos starts from the directions
    /// of this split.
    ///
    /// # Errors
    /// As for [`TangentSpace::new`], and if the operator has another dimension.
    pub fn renew(
        &self,
        op: &mut dyn SymmetricOperator<T>,
        options: &TangentOptions,
        streams: Streams,
    ) -> Result<Self> {
        if op.dim() != self.dim {
            return Err(Error::shape("TangentSpace::renew", self.dim, op.dim()));
        }
        Self::from_rows(op, self.prior_precision, options, &self.basis, streams)
    }

    fn from_rows(
        op: &mut dyn SymmetricOperator<T>,
        prior_precision: f64,
        options: &TangentOptions,
        start: &[T],
        streams: Streams,
    ) -> Result<Self> {
        let dim = op.dim();
        if !(prior_precision > 0.0 && prior_precision.is_finite()) {
            let requirement = "must be positive and finite";
            return Err(Error::config(
                "prior_precision",
                prior_precision,
                requirement,
            ));
        }
        let lanczos = options.lanczos(dim)?;
        let mut spent = 0;
        let trace = match options.normal {
            NormalDimension::Share { probes, .. } => {
                spent = probes;
                Some(estimate_trace(op, probes, streams)?)
            }
            _ => None,
        };
        // how many of the values (descending) are normal, and whether no more can follow
        let cut = |values: &[f64]| -> (usize, bool) {
            let count = match options.normal {
                NormalDimension::Count(count) => {
                    return (values.len().min(count), values.len() >= count);
                }
                NormalDimension::Relative { kappa } => {
                    let above = |&&v: &&f64| v > kappa * prior_precision;
                    values.iter().take_while(above).count()
                }
                NormalDimension::Share { share, .. } => {
                    let wanted = share * trace.map_or(0.0, |t| t.value);
                    let mut sum = 0.0;
                    let below = |&&v: &&f64| {
                        let more = sum < wanted;
                        sum += v;
                        more
                    };
                    let count = values.iter().take_while(below).count();
                    return (count, values.iter().sum::<f64>() >= wanted);
                }
            };
            (count, count < values.len())
        };
        let mut rng = streams.rng(Phase::LANCZOS, 0);
        let enough = |values: &[f64]| cut(values).1;
        let mut found = converged_eigenpairs(op, &lanczos, start, &mut rng, enough)?;
        let (normal, all) = cut(&found.pairs.values);
        let count = normal.min(options.max_normal);
        let whole = found.pairs.values.len() == dim;
        // open Ritz values are lower bounds: those that count as normal are certainly so
        let mut values = found.pairs.values.clone();
        values.extend(found.open.iter().map(|open| open.0));
        let unresolved = if all {
            0
        } else {
            cut(&values).0.saturating_sub(count)
        };
        found.pairs.values.truncate(count);
        found.pairs.vectors.truncate(count * dim);
        found.pairs.vectors.shrink_to_fit();
        Ok(Self {
            dim,
            values: found.pairs.values,
            basis: found.pairs.vectors,
            prior_precision,
            complete: (all || whole) && found.finished && normal <= options.max_normal,
            unresolved,
            products: found.pairs.products + spent,
            trace,
        })
    }

    /// The same split, for a scalar prior precision, in coordinates where that precision is 1.
    #[must_use]
    pub fn whitened(&self) -> Self {
        let alpha = self.prior_precision;
        let trace = self.trace.map(|t| TraceEstimate {
            value: t.value / alpha,
            std_error: t.std_error / alpha,
        });
        Self {
            values: self.values.iter().map(|l| l / alpha).collect(),
            basis: self.basis.clone(),
            prior_precision: 1.0,
            trace,
            ..*self
        }
    }

    /// `P`, the number of parameters.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Eigenvalues of the normal directions, descending.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The normal directions, `[k, P]` row-major, orthonormal rows.
    pub fn basis(&self) -> &[T] {
        &self.basis
    }

    /// Dimension of the normal space.
    pub fn normal_dim(&self) -> usize {
        self.values.len()
    }

    /// The prior precision that eigenvalues are compared with.
    pub fn prior_precision(&self) -> f64 {
        self.prior_precision
    }

    /// True if the normal space holds all that was requested: there is no further normal direction.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Lower bound on the normal directions that were seen but are not in the space: unresolved
    /// ones, and those beyond `max_normal`.
    pub fn unresolved(&self) -> usize {
        self.unresolved
    }

    /// Products with the operator so far.
    pub fn products(&self) -> usize {
        self.products
    }

    /// The estimated trace, if the normal space was chosen by a share of it.
    pub fn trace(&self) -> Option<TraceEstimate> {
        self.trace
    }

    /// `sum lambda / (lambda + alpha)` over the normal directions: how many parameters the data
    /// determine.
    pub fn effective_dimension(&self) -> f64 {
        let alpha = self.prior_precision;
        self.values.iter().map(|l| l / (l + alpha)).sum()
    }

    /// The same over all directions. The normal ones are exact. The rest comes from stochastic
    /// Lanczos quadrature of `op` between projections on the tangent space, with `probes` probes of
    /// `steps` steps. `op` is the operator of this space.
    ///
    /// # Errors
    /// If the operator fails or has another dimension, or `probes` or `steps` is 0.
    pub fn total_effective_dimension(
        &self,
        op: &mut dyn SymmetricOperator<T>,
        probes: usize,
        steps: usize,
        streams: Streams,
    ) -> Result<TraceEstimate> {
        let mut rest = DeflatedOperator::new(op, &self.basis)?;
        let spectrum = SpectralQuadrature::new(&mut rest, probes, steps, streams)?;
        let alpha = self.prior_precision;
        let mut sum = spectrum.trace(|l| l.max(0.0) / (l.max(0.0) + alpha));
        sum.value += self.effective_dimension();
        Ok(sum)
    }

    /// Projects on the tangent space, in place.
    pub fn project_tangent(&self, v: &mut [T]) {
        project_out(&self.basis, v);
    }

    /// Projects on the normal space, in place.
    pub fn project_normal(&self, v: &mut [T]) {
        self.project_normal_with(v, &mut vec![0.0; self.normal_dim()]);
    }

    /// Projects on the normal space, in place, and writes the coordinates there, `B v`, to
    /// `coordinates` (`[k]`). Allocates nothing.
    pub fn project_normal_with(&self, v: &mut [T], coordinates: &mut [f64]) {
        self.coordinates(v, coordinates);
        v.fill(T::ZERO);
        self.add_normal(coordinates, v);
    }

    /// Coordinates of `v` in the normal space: `B v`, `[k]`.
    pub fn coordinates(&self, v: &[T], coordinates: &mut [f64]) {
        let rows = self.basis.chunks_exact(self.dim.max(1));
        for (c, row) in coordinates.iter_mut().zip(rows) {
            *c = dot(row, v);
        }
    }

    /// `v += B^T c` with coordinates `c` (`[k]`) in the normal space.
    pub fn add_normal(&self, coordinates: &[f64], v: &mut [T]) {
        let rows = self.basis.chunks_exact(self.dim.max(1));
        for (&c, row) in coordinates.iter().zip(rows) {
            axpy(c, row, v);
        }
    }
}
