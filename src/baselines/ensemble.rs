//! Deep ensembles: MAP estimates from different initial parameters, with equal weights.
//!
//! ```text
//! theta_m = argmin U from theta_m^0,   p(y | x, D) ~ 1/M sum_m p(y | x, theta_m)
//! ```
//!
//! B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and scalable predictive uncertainty
//! estimation using deep ensembles", NeurIPS 2017, Algorithm 1. Five members, as in the paper.
//!
//! Dropped: adversarial training.
//!
//! Deviates: members minimise the energy, prior included, where theirs minimise the likelihood
//! alone. The likelihood sets the noise of a regression. Only
//! [`crate::model::HeteroscedasticGaussian`] needs an output for it. Members are trained with this
//! crate's defaults for estimates.
//!
//! Member `m` takes its initial parameters from stream `m` of [`Phase::ENSEMBLE`]. When trained by
//! minibatches, it takes the order of its rows from there too.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, counted};
use crate::linalg::vector::norm;
use crate::model::{LogDensity, Minibatch, Points};
use crate::optim::{
    Answer, MapOptions, MinibatchOptions, MinibatchProgress, fit_map, fit_minibatch,
};
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Settings of an ensemble: how many members, and how each is trained.
#[derive(Clone, Debug)]
pub struct EnsembleOptions {
    /// Number of members, `M`.
    pub members: usize,
    /// Training on all rows, for [`fit_ensemble`].
    pub map: MapOptions,
    /// Training by minibatches, for [`fit_ensemble_minibatch`]. By default no rows are held out, as
    /// the paper trains every member on all of them.
    pub minibatch: MinibatchOptions,
}

impl Default for EnsembleOptions {
    fn default() -> Self {
        Self {
            members: 5,
            map: MapOptions::default(),
            minibatch: MinibatchOptions {
                validation_fraction: 0.0,
                ..MinibatchOptions::default()
            },
        }
    }
}

impl EnsembleOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If there are no members, or a setting of the training is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.members == 0 {
            return Err(Error::config("members", 0, "must be positive"));
        }
        self.map.validate()?;
        self.minibatch.validate()
    }
}

/// How well one member was trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnsembleMember {
    /// `U` over all rows, in nats.
    pub energy: f64,
    /// `|grad U|` over all rows.
    pub gradient_norm: f64,
    /// `|grad U|` at the initial parameters, for comparison.
    pub initial_gradient_norm: f64,
    /// Gradients computed, over all rows or over batches.
    pub gradients: usize,
}

/// An ensemble and how it was trained.
#[derive(Clone, Debug)]
pub struct EnsembleReport<T> {
    /// The members' parameters, `[M, P]`.
    pub posterior: Points<T>,
    /// The members' reports.
    pub members: Vec<EnsembleMember>,
    /// Gradients computed by all members.
    pub gradients: usize,
}

/// Trains an ensemble with gradients over all rows. `init` draws a member's initial parameters (for
/// a network: [`crate::nn::Network::init`]). `progress` is called after every step of any member,
/// from its thread, with the number of steps of all so far. It may end the fit ([`Answer`]).
///
/// # Errors
/// If a setting is out of range, initial parameters have the wrong length, or an energy stops being
/// finite; that of `progress`.
pub fn fit_ensemble<T: Scalar, D: LogDensity<T>, R: Answer>(
    density: &D,
    init: impl Fn(&mut ChaCha8Rng) -> Vec<f64> + Sync,
    options: &EnsembleOptions,
    streams: Streams,
    progress: impl Fn(usize) -> R + Sync,
) -> Result<EnsembleReport<T>> {
    let done = AtomicUsize::new(0);
    each(density.dim(), init, options, streams, |start, _| {
        let step = |_| progress(done.fetch_add(1, Relaxed) + 1);
        let map = fit_map(density, start, &options.map, step)?;
        let member = EnsembleMember {
            energy: map.energy,
            gradient_norm: map.gradient_norm,
            initial_gradient_norm: map.initial_gradient_norm,
            gradients: map.gradients,
        };
        Ok((map.theta, member))
    })
}

/// Trains an ensemble by minibatches.
///
/// # Errors
/// As [`fit_ensemble`].
pub fn fit_ensemble_minibatch<T: Scalar, R: Answer>(
    density: &Minibatch<T>,
    init: impl Fn(&mut ChaCha8Rng) -> Vec<f64> + Sync,
    options: &EnsembleOptions,
    streams: Streams,
    progress: impl Fn(usize) -> R + Sync,
) -> Result<EnsembleReport<T>> {
    let done = AtomicUsize::new(0);
    each(density.dim(), init, options, streams, |start, own| {
        let step = |_: &MinibatchProgress| progress(done.fetch_add(1, Relaxed) + 1);
        let (mut ws, mut grad) = (density.workspace(), vec![T::ZERO; density.dim()]);
        density.log_density_and_grad(&start, &mut grad, &mut ws)?;
        let initial_gradient_norm = norm(&grad);
        let report = fit_minibatch(density, None, start, &options.minibatch, own, step)?;
        let log_density = density.log_density_and_grad(&report.theta, &mut grad, &mut ws)?;
        let member = EnsembleMember {
            energy: -log_density,
            gradient_norm: norm(&grad),
            initial_gradient_norm,
            gradients: report.gradients,
        };
        Ok((report.theta, member))
    })
}

/// Trains all members with `fit`, which gets a member's initial parameters and its streams.
fn each<T: Scalar>(
    dim: usize,
    init: impl Fn(&mut ChaCha8Rng) -> Vec<f64> + Sync,
    options: &EnsembleOptions,
    streams: Streams,
    fit: impl Fn(Vec<T>, Streams) -> Result<(Vec<T>, EnsembleMember)> + Sync,
) -> Result<EnsembleReport<T>> {
    options.validate()?;
    let fitted = parallel::try_map(options.members, |m| {
        let mut rng = streams.rng(Phase::ENSEMBLE, m as u64);
        let own = Streams::new(rng.next_u64());
        let start: Vec<T> = init(&mut rng).into_iter().map(T::from_f64).collect();
        if start.len() != dim {
            let expected = counted(dim, "initial parameter");
            return Err(Error::shape("fit_ensemble", expected, start.len()));
        }
        fit(start, own)
    })?;
    let members: Vec<EnsembleMember> = fitted.iter().map(|(_, member)| *member).collect();
    let points = fitted.into_iter().flat_map(|(theta, _)| theta).collect();
    Ok(EnsembleReport {
        posterior: Points::new(dim, points)?,
        gradients: members.iter().map(|member| member.gradients).sum(),
        members,
    })
}
