//! How far a deformation can be trusted as a density: ELBO, importance weights, evidence.
//!
//! Weights are those of the map. Kinetic layers after it would change the weight of a draw by their
//! energy errors alone. The mean energy is that of draws as predictions use them, through proposals
//! and layers.

use super::choice::mean_and_error;
use crate::deform::{Deformation, HiddenFlow};
use crate::diagnose::ImportanceSummary;
use crate::error::Result;
use crate::linalg::vector::dot;
use crate::model::LogDensity;
use crate::parallel;
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;

/// What draws of a deformation say about its quality.
pub(super) struct Trust {
    /// Summary of the weights `p(D, theta) / q(theta)` of draws of the map.
    pub importance: ImportanceSummary,
    /// Mean and standard error of the energy `U` of the draws that predictions use.
    pub energy: (f64, f64),
}

/// Most draws that are carried through layers to judge a flow.
pub(super) const CARRIED: usize = 256;

/// Target for rows times parameters times draws.
const EFFORT: f64 = 1e9;

/// Draws from a deformation and summarises their weights and energies.
pub(super) fn trust<T: Scalar, D: LogDensity<T>>(
    deformation: &Deformation<T>,
    (posterior, rows): (&D, usize),
    streams: Streams,
) -> Result<Trust> {
    let dim = deformation.dim();
    let effort = (rows * dim) as f64;
    // a conditional that is not Gaussian costs fifty times as much
    let most = if deformation.last().is_gaussian() {
        1_000.0
    } else {
        256.0
    };
    let draws = (EFFORT / effort).clamp(64.0, most) as usize;
    let (weights, energies) = weigh(deformation, posterior, draws, streams)?;
    let energy = match deformation.proposals() == 1 && deformation.layers().is_none() {
        true => mean_and_error(&energies),
        false => {
            let some = deformation.sample(draws.min(CARRIED), streams)?;
            mean_and_error(&self::energies(posterior, &some)?)
        }
    };
    Ok(Trust {
        importance: ImportanceSummary::new(&weights)?,
        energy,
    })
}

/// `log p(D, theta) / q(theta)` of `draws` draws of the map, and their energies.
pub(super) fn weigh<T: Scalar, D: LogDensity<T>>(
    deformation: &Deformation<T>,
    posterior: &D,
    draws: usize,
    streams: Streams,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let dim = deformation.dim();
    // every component of a mixture as often: rows take them in turn
    let parts = match deformation.hidden() {
        Some(HiddenFlow::Smoothed(flow)) => flow.components(),
        _ => 1,
    };
    let draws = draws.div_ceil(parts) * parts;
    let mut z = vec![T::ZERO; draws * dim];
    for (i, row) in z.chunks_exact_mut(dim).enumerate() {
        fill_normal(&mut streams.rng(Phase::TRUST, i as u64), row);
    }
    let (theta, log_det) = deformation.forward(&z)?;
    let energies = self::energies(posterior, &theta)?;
    let constant = 0.5 * dim as f64 * (2.0 * std::f64::consts::PI).ln();
    let log_q = match deformation.hidden() {
        // a mixture: any component may have made a draw
        Some(HiddenFlow::Smoothed(_)) => deformation.log_density(&theta)?,
        _ => {
            let rows = z.chunks_exact(dim).zip(&log_det);
            rows.map(|(z, log_det)| -0.5 * dot(z, z) - constant - log_det)
                .collect()
        }
    };
    let weights = energies.iter().zip(&log_q).map(|(u, log_q)| -u - log_q);
    Ok((weights.collect(), energies))
}

/// The energy at each point.
pub(super) fn energies<T: Scalar, D: LogDensity<T>>(
    posterior: &D,
    theta: &[T],
) -> Result<Vec<f64>> {
    let points: Vec<&[T]> = theta.chunks_exact(posterior.dim()).collect();
    parallel::try_map_with(
        points.len(),
        || posterior.workspace(),
        |ws, i| Ok(-posterior.log_density(points[i], ws)?),
    )
}
