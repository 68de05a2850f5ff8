//! New coordinates for a walk, computed from where the walkers are.
//!
//! Walkers do not meet the curvature at `theta*`. On yacht, directions of eigenvalue 1 at the MAP
//! estimate have eigenvalues of hundreds at the radius of the prior. So now and then in the warm-up
//! the frame is recomputed, by Lanczos, from the **mean Gauss-Newton matrix of some walkers**,
//! `1/m sum_i D^{-1/2} G(theta_i) D^{-1/2}`. Directions that are stiff for most walkers are
//! shortened. Differences between walkers are dropped.
//!
//! The cost is at most a share of the gradients that the walk has taken so far, so early frames
//! come from one or two walkers.

use super::inverse_mass::InverseMassMatrix;
use crate::curvature::{NormalDimension, TangentOptions, TangentSpace};
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::vector::axpy;
use crate::model::Curved;
use crate::parallel;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Makes the coordinates of a walk.
pub trait FrameSource<T: Scalar>: Sync {
    /// Coordinates for walkers, computed at `points`, each `[P]`: the positions of some of them.
    /// The cost is about `budget` gradients; `None` means no limit.
    ///
    /// # Errors
    /// If a point has the wrong length or the curvature there is not finite.
    fn frame(&self, points: &[&[T]], budget: Option<usize>) -> Result<InverseMassMatrix<T>>;
}

/// Settings of a [`GgnFrame`].
#[derive(Clone, Debug, PartialEq)]
pub struct FrameOptions {
    /// `c`: how much of the curvature the coordinates absorb.
    pub softening: f64,
    /// Largest number of directions. Those with eigenvalues below `1 / (2 c)` times the prior
    /// precision stay as they are.
    pub max_directions: usize,
    /// Largest number of walkers whose curvature is averaged.
    pub max_walkers: usize,
    /// Largest residual of an accepted eigenpair, relative to the largest eigenvalue.
    pub tolerance: f64,
}

impl Default for FrameOptions {
    fn default() -> Self {
        Self {
            softening: InverseMassMatrix::<f32>::SOFTENING,
            max_directions: 128,
            max_walkers: 16,
            tolerance: 1e-4,
        }
    }
}

/// The frame of the mean Gauss-Newton matrix.
pub struct GgnFrame<'a, D> {
    density: &'a D,
    options: FrameOptions,
    streams: Streams,
}

/// Cost of a product, in gradients.
const PRODUCT: usize = 3;

/// One walker is averaged for every `PRODUCTS` products that the budget allows. A frame takes at
/// most `MAX_PRODUCTS` products with the mean.
const PRODUCTS: usize = 100;
const MAX_PRODUCTS: usize = 300;

/// Most values that the Lanczos vectors may hold.
const MAX_NUMBERS: usize = 1 << 26;

impl<'a, D> GgnFrame<'a, D> {
    /// Frames for walks in `density`.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn new(density: &'a D, options: &FrameOptions, streams: Streams) -> Result<Self> {
        if !(options.softening >= 0.0 && options.softening.is_finite()) {
            let requirement = "must be finite and not negative";
            return Err(Error::config("softening", options.softening, requirement));
        }
        if options.tolerance.is_nan() || options.tolerance <= 0.0 {
            return Err(Error::config(
                "tolerance",
                options.tolerance,
                "must be positive",
            ));
        }
        Ok(Self {
            density,
            options: options.clone(),
            streams,
        })
    }
}

impl<D> GgnFrame<'_, D> {
    /// Most bytes that frames take. This counts the Lanczos vectors, the directions found, the new
    /// frame, and the old one, which is kept while the new one is made. It also counts, for each
    /// walker, one product in a workspace of `product` bytes.
    pub fn bytes<T: Scalar>(&self, product: usize) -> usize
    where
        D: Curved<T>,
    {
        let dim = self.density.dim();
        let vectors = MAX_PRODUCTS.min(MAX_NUMBERS / dim.max(1)).max(8);
        let directions = self.options.max_directions.min(vectors / 2).min(dim);
        let numbers = (vectors + 3 * directions).saturating_mul(dim);
        let products = (product + dim * size_of::<T>()).saturating_mul(self.options.max_walkers);
        (numbers.saturating_mul(size_of::<T>())).saturating_add(products)
    }
}

impl<D> GgnFrame<'_, D> {
    /// The frame at the one point whose tangent space is known. `space` is in whitened coordinates,
    /// and its normal directions are all those with eigenvalues above some bound below `1 / (2 c)`.
    /// `None` if the frame may need directions that the space does not have.
    ///
    /// # Errors
    /// If the space has another dimension.
    pub fn known<T: Scalar>(&self, space: &TangentSpace<T>) -> Result<Option<InverseMassMatrix<T>>>
    where
        D: Curved<T>,
    {
        let options = &self.options;
        let threshold = 0.5 / options.softening;
        let values = space.values();
        let count = values.iter().take_while(|&&v| v > threshold).count();
        // an eigenvalue below the threshold shows that none above it is missing
        let below = count < values.len();
        let complete = below || space.is_complete() || count >= options.max_directions;
        let count = count.min(options.max_directions);
        let basis = &space.basis()[..count * space.dim()];
        let precision = self.density.prior_precision();
        let frame =
            || InverseMassMatrix::new(precision, &values[..count], basis, options.softening);
        complete.then(frame).transpose()
    }
}

impl<T: Scalar, D: Curved<T>> FrameSource<T> for GgnFrame<'_, D> {
    fn frame(&self, points: &[&[T]], budget: Option<usize>) -> Result<InverseMassMatrix<T>> {
        let (options, dim) = (&self.options, self.density.dim());
        let precision = self.density.prior_precision();
        let products = budget.map_or(usize::MAX, |gradients| gradients / PRODUCT);
        let walkers = (products / PRODUCTS)
            .min(options.max_walkers)
            .min(points.len())
            .max(1);
        let max_products = (products / walkers)
            .min(MAX_PRODUCTS)
            .min(MAX_NUMBERS / dim.max(1))
            .max(8);
        let count = options.max_directions.min(max_products / 2);
        if count == 0 || points.is_empty() || options.softening == 0.0 {
            return InverseMassMatrix::new(precision, &[], &[], options.softening);
        }
        // spread over all walkers, which may have different starts
        let chosen = (0..walkers).map(|i| points[i * points.len() / walkers]);
        let mut mean = MeanGgn::new(self.density, chosen)?;
        let tangent = TangentOptions {
            normal: NormalDimension::Relative {
                kappa: 0.5 / options.softening,
            },
            max_normal: count,
            tolerance: options.tolerance,
            max_products,
            ..TangentOptions::default()
        };
        let space = TangentSpace::new(&mut mean, 1.0, &tangent, self.streams)?;
        InverseMassMatrix::new(precision, space.values(), space.basis(), options.softening)
    }
}

/// `v -> 1/m sum_i D^{-1/2} G(theta_i) D^{-1/2} v`.
struct MeanGgn<'a, T: Scalar, D: Curved<T>> {
    density: &'a D,
    /// `D^{-1/2}`.
    scale: Vec<T>,
    scaled: Vec<T>,
    parts: Vec<Part<'a, T, D::ProductWorkspace>>,
}

struct Part<'a, T, W> {
    theta: &'a [T],
    product: Vec<T>,
    ws: W,
}

impl<'a, T: Scalar, D: Curved<T>> MeanGgn<'a, T, D> {
    fn new(density: &'a D, points: impl Iterator<Item = &'a [T]>) -> Result<Self> {
        let dim = density.dim();
        let part = |theta: &'a [T]| {
            if theta.len() == dim {
                Ok(Part {
                    theta,
                    product: vec![T::ZERO; dim],
                    ws: density.ggn_workspace(),
                })
            } else {
                Err(Error::shape("GgnFrame: point", dim, theta.len()))
            }
        };
        let scale = density.prior_precision().iter();
        Ok(Self {
            density,
            scale: scale.map(|a| T::from_f64(1.0 / a.sqrt())).collect(),
            scaled: vec![T::ZERO; dim],
            parts: points.map(part).collect::<Result<_>>()?,
        })
    }
}

impl<T: Scalar, D: Curved<T>> SymmetricOperator<T> for MeanGgn<'_, T, D> {
    fn dim(&self) -> usize {
        self.scale.len()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        for ((x, &v), &s) in self.scaled.iter_mut().zip(v).zip(&self.scale) {
            *x = v * s;
        }
        let (density, scaled) = (self.density, &self.scaled);
        parallel::try_for_each(&mut self.parts, |_, part| {
            density.ggn_product(part.theta, scaled, &mut part.product, &mut part.ws)
        })?;
        out.fill(T::ZERO);
        // in index order, whichever thread finished first
        let share = 1.0 / self.parts.len() as f64;
        for part in &self.parts {
            axpy(share, &part.product, out);
        }
        for (o, &s) in out.iter_mut().zip(&self.scale) {
            *o *= s;
        }
        Ok(())
    }
}
