//! The interface of all structures of the posterior precision, `Q = scale H + diag(prior)`.
//!
//! `H` is the curvature of the likelihood in the form of the structure, at the noise level of the
//! fit. It is computed once. `scale` is `(noise_std of the fit / noise_std)^2`, the factor by which
//! the curvature of a Gaussian likelihood changes with its noise. A prior is one precision per
//! parameter.

use std::ops::Range;

use super::diagonal::DiagonalCurvature;
use super::full::FullCurvature;
use super::kronecker::KroneckerCurvature;
use super::low_rank::LowRankCurvature;
use super::options::{Curvature, LaplaceOptions, Structure};
use crate::curvature::{
    EmpiricalFisherOperator, GgnOperator, HessianOperator, KroneckerFactors, OutputRoots,
    RowFisher, RowOutputs, Supervised, dense_from_roots, dense_operator,
};
use crate::error::{Error, Result};
use crate::linalg::{SymmetricOperator, exact_diagonal};
use crate::model::{PosteriorDensity, RowCurvature};
use crate::nn::Network;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// The likelihood's curvature in the form of a structure, for `q` parameters.
pub(super) trait StructuredCurvature: Send + Sync {
    /// `Q = scale H + diag(prior)`, with `prior` `[q]`.
    ///
    /// # Errors
    /// If it is not positive definite, or the structure cannot hold such a prior.
    fn with_prior(&self, scale: f64, prior: &[f64]) -> Result<Box<dyn Precision>>;
}

/// A positive definite `Q`, with a root `R` of the covariance: `R R^T = Q^{-1}`.
pub(super) trait Precision: Send + Sync {
    /// `log det Q`.
    fn log_det(&self) -> f64;

    /// The diagonal of `Q^{-1}`, `[q]`.
    fn variances(&self) -> Vec<f64>;

    /// `z <- R z`: turns standard normal numbers, `[q]`, into a draw.
    fn root(&self, z: &mut [f64]);

    /// `v <- R^T v` for every row of `rows`, `[m, q]`. If the rows are gradients of outputs, the
    /// outputs' covariance is then `V V^T`.
    fn root_transposed(&self, rows: &mut [f64]);
}

/// The parameters of a structure: all, or those of the last layer.
pub(super) fn active(network: &dyn Network, structure: Structure) -> Result<Range<usize>> {
    let dim = network.dim();
    if structure != Structure::LastLayer {
        return Ok(0..dim);
    }
    let k = network.output_dim();
    if let [.., weight, bias] = network.layout().tensors() {
        let ends = bias.shape == [k] && bias.range.end == dim;
        if ends && weight.shape.len() == 2 && weight.shape[1] == k {
            return Ok(weight.range.start..dim);
        }
    }
    let expected = format!("a network that ends with a weight [features, {k}] and a bias [{k}]");
    Err(Error::shape("Structure::LastLayer", expected, "another"))
}

/// Computes the curvature chosen by `options`, for the parameters `range`.
pub(super) fn curvature<T: Scalar>(
    data: &Supervised<'_>,
    outputs: &RowOutputs,
    theta: &[T],
    range: Range<usize>,
    options: &LaplaceOptions,
    streams: Streams,
) -> Result<Box<dyn StructuredCurvature>> {
    let rows = || RowCurvature::<T>::new(data.network, data.likelihood, data.x, data.y);
    let fisher = match options.curvature {
        Curvature::EmpiricalFisher => RowFisher::Empirical,
        _ => RowFisher::Ggn,
    };
    let roots = || OutputRoots::new(data, outputs, fisher);
    let by_rows = options.curvature != Curvature::Hessian;
    Ok(match options.structure {
        Structure::Full | Structure::LastLayer => {
            let matrix = if by_rows {
                dense_from_roots(data, theta, range, &roots()?)?
            } else {
                dense_operator(&mut LikelihoodHessian::new(&data.density()?, theta)?, range)?
            };
            Box::new(FullCurvature::new(matrix))
        }
        Structure::Diagonal => Box::new(DiagonalCurvature::new(match options.curvature {
            Curvature::Ggn => rows()?.ggn_diagonal(theta)?,
            Curvature::EmpiricalFisher => rows()?.fisher_diagonal(theta)?,
            Curvature::Hessian => {
                let density = data.density()?;
                exact_diagonal(&mut LikelihoodHessian::new(&density, theta)?)?
            }
        })),
        Structure::LowRank { rank } => Box::new(match options.curvature {
            Curvature::EmpiricalFisher => {
                let rows = rows()?;
                let mut op = EmpiricalFisherOperator::new(&rows, theta)?;
                LowRankCurvature::new(&mut op, rank, &options.lanczos, streams)?
            }
            _ => {
                let density = data.density()?;
                let mut op = GgnOperator::new(&density, theta)?;
                LowRankCurvature::new(&mut op, rank, &options.lanczos, streams)?
            }
        }),
        Structure::Kfac { bias } => {
            let factors = KroneckerFactors::from_roots(data, theta, &roots()?, bias)?;
            Box::new(KroneckerCurvature::new(&factors)?)
        }
    })
}

/// The Hessian of the negative log-likelihood alone. The density of [`Supervised`] has a prior of
/// precision 1, so the identity is subtracted from its Hessian.
struct LikelihoodHessian<'a, T>(HessianOperator<'a, T>);

impl<'a, T: Scalar> LikelihoodHessian<'a, T> {
    fn new(density: &'a PosteriorDensity<T>, theta: &[T]) -> Result<Self> {
        HessianOperator::new(density, theta).map(Self)
    }
}

impl<T: Scalar> SymmetricOperator<T> for LikelihoodHessian<'_, T> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        self.0.apply(v, out)?;
        for (o, &v) in out.iter_mut().zip(v) {
            *o -= v;
        }
        Ok(())
    }
}
