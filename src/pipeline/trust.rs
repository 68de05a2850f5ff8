//! How far a deformation can be trusted as a density: ELBO, importance weights, evidence.
//!
//! Kinetic layers change the weight of a draw by their energy errors alone. Its energy is the one
//! after the layers.

use super::choice::mean_and_error;
use crate::deform::Deformation;
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
    let draws = (EFFORT / effort).clamp(64.0, 1_000.0) as usize;
    let (weights, energies) = weigh(deformation, posterior, draws, streams)?;
    let energy = if deformation.proposals() == 1 {
        mean_and_error(&energies)
    } else {
        let some = deformation.sample(draws.min(256), streams)?;
        mean_and_error(&self::energies(posterior, &some)?)
    };
    Ok(Trust {
        importance: ImportanceSummary::new(&weights)?,
        energy,
    })
}

/// `log p(D, theta) / q(theta)` of `draws` draws of the map, through the layers; and their energies
/// at the end.
pub(super) fn weigh<T: Scalar, D: LogDensity<T>>(
    deformation: &Deformation<T>,
    posterior: &D,
    draws: usize,
    streams: Streams,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let dim = deformation.dim();
    let mut z = vec![T::ZERO; draws * dim];
    for (i, row) in z.chunks_exact_mut(dim).enumerate() {
        fill_normal(&mut streams.rng(Phase::TRUST, i as u64), row);
    }
    let (mut theta, log_det) = deformation.forward(&z)?;
    let mut energies = self::energies(posterior, &theta)?;
    let mut errors = vec![0.0; draws];
    if let Some(layers) = deformation.layers() {
        for (i, passage) in layers.carry(&mut theta, streams)?.iter().enumerate() {
            errors[i] = passage.energy_error();
        }
    }
    let constant = 0.5 * dim as f64 * (2.0 * std::f64::consts::PI).ln();
    let weights = z
        .chunks_exact(dim)
        .zip(&log_det)
        .zip(energies.iter().zip(&errors))
        .map(|((z, log_det), (energy, error))| {
            0.5 * dot(z, z) + constant + log_det - energy - error
        })
        .collect();
    if deformation.layers().is_some() {
        energies = self::energies(posterior, &theta)?;
    }
    Ok((weights, energies))
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
