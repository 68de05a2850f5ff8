//! The step lengths of kinetic layers, one after the other, from what draws do in them.
//!
//! The energy error of a step is of third order, so its mean square goes as `eps^6`, and the next
//! layer is `(target / mean square)^{1/6}` times as long as this one. A layer whose error is far
//! above the target, or in which many draws diverge, is shortened and done again, up to 24
//! times. So draws are not carried on from steps that were too long, and short steps at the start,
//! where draws come from afar, give way to longer ones.

use super::{Kinetic, Particle, Scratch, same_dim};
use crate::error::{Error, Result, counted};
use crate::model::LogDensity;
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;
use crate::walk::InverseMassMatrix;

/// Settings of [`tune_layers`].
#[derive(Clone, Debug, PartialEq)]
pub struct TuneOptions {
    /// Most layers.
    pub layers: usize,
    /// Length of the first step. `None`: `P^{1/2} / 50`, and the first layer finds its length.
    pub first: Option<f64>,
    /// Mean square of the energy error of a layer, per dimension.
    pub target_error: f64,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            layers: 40,
            first: None,
            target_error: 5e-4,
        }
    }
}

/// A layer is done again with a shorter step if its error is this many times the target.
const TOO_LARGE: f64 = 4.0;

/// Most times that a layer is done again, and the most that a step changes at once.
const AGAIN: usize = 24;
const CHANGE: f64 = 2.0;

/// An error of so much per dimension, in nats, is a divergence; and so many draws in a thousand may
/// diverge.
const DIVERGENCE: f64 = 1.0;
const DIVERGED: usize = 100;

/// Tunes layers on draws `theta` (`[n, P]`) of the density before them. `watch` is called before
/// the first layer and after each one, with the number of layers, and the draws then with their
/// energies; it answers whether to go on. Draw `i` has the velocity that number `i` of
/// [`Layers`](super::Layers) has.
///
/// # Errors
/// If lengths do not fit, there is no draw, or a setting is not positive; and those of `watch`.
pub fn tune_layers<T: Scalar, D: LogDensity<T>>(
    mass: InverseMassMatrix<T>,
    density: &D,
    theta: &[T],
    options: &TuneOptions,
    streams: Streams,
    mut watch: impl FnMut(usize, &mut dyn Iterator<Item = (&[T], f64)>) -> Result<bool>,
) -> Result<Kinetic<T>> {
    let dim = mass.dim();
    same_dim(dim, density.dim())?;
    if theta.is_empty() || !theta.len().is_multiple_of(dim) {
        let expected = format!("rows of {}", counted(dim, "number"));
        return Err(Error::shape("tune_layers", expected, theta.len()));
    }
    let first = options.first.unwrap_or(0.02 * (dim as f64).sqrt());
    for (field, value) in [("first", first), ("target_error", options.target_error)] {
        if !(value > 0.0 && value.is_finite()) {
            return Err(Error::config(field, value, "must be positive and finite"));
        }
    }
    let target = options.target_error * dim as f64;
    let rows: Vec<&[T]> = theta.chunks_exact(dim).collect();
    let scratch = || Scratch::new(&mass, density);
    let mut draws = parallel::try_map_with(rows.len(), scratch, |scratch, i| {
        let mut particle = Particle::new(&mass);
        let mut rng = streams.rng(Phase::KINETIC, i as u64);
        particle.start(&mass, (density, rows[i]), &mut rng, scratch)?;
        Ok(particle)
    })?;
    let (mut steps, mut step, mut again) = (Vec::new(), first, 0);
    while watch(
        steps.len(),
        &mut draws.iter().map(|d| (&d.theta[..], d.energy)),
    )? && steps.len() < options.layers
    {
        let factor = loop {
            let moved = parallel::try_map_with(draws.len(), scratch, |scratch, i| {
                let mut particle = draws[i].clone();
                let start = particle.energy;
                let log_det = particle.step(&mass, density, step, scratch)?;
                let error = particle.energy - start - log_det;
                Ok((particle, error))
            })?;
            let limit = DIVERGENCE * dim as f64;
            let usable = moved.iter().map(|(_, error)| error);
            let usable = usable.filter(|error| error.abs() <= limit);
            let (n, squares) = usable.fold((0, 0.0), |(n, sum), e| (n + 1, sum + e * e));
            let error = squares / f64::from(n.max(1));
            let diverged = moved.len() - n as usize;
            let many = 1_000 * diverged > DIVERGED * moved.len();
            let factor = (target / error.max(f64::MIN_POSITIVE)).powf(1.0 / 6.0);
            let factor = match many {
                true => 1.0 / CHANGE,
                false => factor.clamp(1.0 / CHANGE, CHANGE),
            };
            // the first layer finds its length, from either side
            let short = steps.is_empty() && factor > TOO_LARGE.powf(1.0 / 6.0);
            if again < AGAIN && (many || error > TOO_LARGE * target || short) {
                again += 1;
                step *= factor;
                continue;
            }
            if many {
                return Kinetic::new(mass, steps);
            }
            draws = moved.into_iter().map(|(particle, _)| particle).collect();
            break factor;
        };
        again = 0;
        steps.push(step);
        step *= factor;
    }
    Kinetic::new(mass, steps)
}
