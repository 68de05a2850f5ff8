//! The prior precision of an estimate that is trained by minibatches, by evidence.
//!
//! It is the fixed point of MacKay (1992), as where gradients are those of all rows (see
//! `curvature::evidence`): `alpha <- gamma / |theta*|^2` with `gamma = tr G (G + alpha I)^{-1}`.
//! The Gauss-Newton matrix `G` is a sum over rows, so that of a random sample of `n` of the `N`
//! rows, times `N / n`, has `G` as its mean. The trace is that of stochastic Lanczos quadrature.
//! After each update, training goes on from the estimate, for a quarter of the epochs.
//!
//! What it drops: the trace is a concave function of `G`, so a sample gives less than all rows do,
//! by about the share of `gamma` in `n`. Updates are not extrapolated.

use rand::seq::index::sample;

use super::context::Problem;
use super::{FitReport, PriorChoice};
use crate::artifact::report::Origin;
use crate::curvature::GgnOperator;
use crate::error::Result;
use crate::linalg::SpectralQuadrature;
use crate::linalg::vector::dot;
use crate::model::PosteriorDensity;
use crate::optim::MinibatchOptions;
use crate::rng::Phase;
use crate::scalar::Scalar;

/// Rows of the sample, at most.
const SAMPLE: usize = 4_096;

/// Probes of the quadrature, and its steps from each.
const QUADRATURE: (usize, usize) = (4, 40);

/// Updates, at most.
pub(super) const ROUNDS: usize = 6;

/// Change of the logarithm of the precision below which it has settled.
const TOLERANCE: f64 = 0.1;

/// Bounds of the precision: those of evidence from all rows.
const PRECISIONS: (f64, f64) = (1e-4, 1e4);

/// How far the updates have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Updates {
    pub alpha: f64,
    pub rounds: usize,
    pub settled: bool,
}

impl Updates {
    pub(super) fn new(alpha: f64) -> Self {
        Self {
            alpha,
            rounds: 0,
            settled: false,
        }
    }

    /// Takes the next precision. False if training need not go on.
    pub(super) fn take(&mut self, next: f64) -> bool {
        let step = (next / self.alpha).ln().abs();
        self.rounds += 1;
        self.settled = step <= TOLERANCE;
        if !self.settled {
            self.alpha = next;
        }
        !self.settled
    }
}

/// The training after an update.
pub(super) fn shorter(options: &MinibatchOptions) -> MinibatchOptions {
    MinibatchOptions {
        epochs: options.epochs.div_ceil(4),
        ..options.clone()
    }
}

impl Problem<'_> {
    /// True if the prior precision is asked for by evidence. By default it stays as it is: its
    /// effect falls as `1 / N`.
    pub(super) fn tunes_by_sample(&self) -> bool {
        let given = self.options.prior_precision.is_some() || self.own.is_some();
        self.options.prior == PriorChoice::Evidence && !given
    }

    /// The next precision of the fixed point.
    pub(super) fn precision_by_sample<T: Scalar>(
        &self,
        theta: &[T],
        (alpha, noise_std): (f64, Option<f64>),
    ) -> Result<f64> {
        let all = self.prepared.rows();
        let count = all.min(SAMPLE);
        // beyond the indices of epochs
        let mut rng = self.streams.rng(Phase::MINIBATCH, u64::MAX);
        let mut rows = sample(&mut rng, all, count).into_vec();
        rows.sort_unstable();
        let some = self.prepared.select(&rows);
        let (likelihood, prior) = (self.likelihood(noise_std)?, self.prior(alpha)?);
        let (likelihood, prior) = (likelihood.as_ref(), prior.get());
        let density = PosteriorDensity::new(self.network, likelihood, prior, &some.x, &some.y)?;
        let mut op = GgnOperator::new(&density, theta)?;
        let (probes, steps) = QUADRATURE;
        let rule = SpectralQuadrature::new(&mut op, probes, steps, self.streams)?;
        let times = all as f64 / count as f64;
        let gamma = rule.trace(|l| {
            let l = times * l.max(0.0);
            l / (l + alpha)
        });
        let next = gamma.value.max(1e-3) / dot(theta, theta).max(f64::MIN_POSITIVE);
        Ok(next.clamp(PRECISIONS.0, PRECISIONS.1))
    }
}

impl FitReport {
    /// Says that the precision is that of a sample's evidence.
    pub(super) fn tuned_by_sample(&mut self, updates: Updates) {
        if let Some(scales) = &mut self.scales {
            scales.prior_origin = Origin::Evidence;
            (scales.rounds, scales.settled) = (updates.rounds, updates.settled);
            scales.bounded = [PRECISIONS.0, PRECISIONS.1].contains(&updates.alpha);
        }
    }
}
