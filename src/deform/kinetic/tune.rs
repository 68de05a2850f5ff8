//! The step lengths of kinetic layers, one after the other, from what draws do in them.
//!
//! The energy error of a step is of third order, so its square goes as `eps^6`, and the next layer
//! is `(target / q)^{1/6}` times as long as this one, where `q` is the upper quartile of the
//! squares over the draws. Draws whose errors are far above the target halve the layer for
//! themselves ([`Kinetic::with_tolerance`]), so a few in stiff places do not shorten it for all.
//! Only the first layer is done again, up to 24 times, until its length is right.

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
    /// Square of the energy error of a step, per dimension, that a quarter of the draws exceed.
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

/// The first layer is done again if its error is off by this factor, at most so many times.
const OFF: f64 = 4.0;
const AGAIN: usize = 24;

/// Layers of one length, and the most that a length changes from these to the next.
const BLOCK: usize = 5;
const CHANGE: f64 = 2.0;

/// A draw halves a layer if its error is so many times that of the target.
const TOO_MUCH: f64 = 4.0;

/// An error of so much per dimension, in nats, is a divergence; and so many draws in a thousand may
/// diverge.
const DIVERGENCE: f64 = 1.0;
const DIVERGED: usize = 100;

/// A draw on its way, and how often its next layer is halved.
struct Draw<T> {
    particle: Particle<T>,
    halvings: u8,
}

impl<T: Scalar> Draw<T> {
    /// The same draw, in memory of its own.
    fn fresh(&self) -> Self {
        Self {
            particle: self.particle.clone(),
            halvings: self.halvings,
        }
    }
}

/// What some layers did to a draw.
#[derive(Clone, Default)]
struct Moved {
    /// Mean square of the error of a layer, as it would be without halvings.
    square: f64,
    /// The largest error of a step that was taken.
    worst: f64,
    gradients: usize,
}

/// How far draws are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passing {
    /// Layers that they went through.
    pub layers: usize,
    /// Gradients that this took a draw, on average. Halved layers take more than one.
    pub gradients: f64,
}

/// The squared error that a quarter of the draws exceed, had they not halved a layer.
fn upper_quartile(mut squares: Vec<f64>) -> f64 {
    squares.sort_by(f64::total_cmp);
    let at = (3 * squares.len() / 4).min(squares.len().saturating_sub(1));
    squares.get(at).copied().unwrap_or(0.0)
}

/// Tunes layers on draws `theta` (`[n, P]`) of the density before them. `watch` is called before
/// the first layer and after every fifth, with how far draws are, and the draws then with their
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
    mut watch: impl FnMut(Passing, &mut dyn Iterator<Item = (&[T], f64)>) -> Result<bool>,
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
        Ok(Draw {
            particle,
            halvings: 0,
        })
    })?;
    let tolerance = TOO_MUCH * target.sqrt();
    let pass = |draws: &mut [Draw<T>], (layers, step): (usize, f64), tolerance: f64| {
        let memory = || (Particle::new(&mass), scratch());
        let mut moved = vec![Moved::default(); draws.len()];
        let each = draws.iter_mut().zip(&mut moved);
        parallel::try_for_each_with(each, memory, |(saved, scratch), _, (draw, moved)| {
            let Draw { particle, halvings } = draw;
            for _ in 0..layers {
                let memory = (&mut *saved, &mut *scratch);
                let passed = particle.layer(&mass, density, (step, tolerance), halvings, memory)?;
                let whole = passed.error * 8f64.powi(passed.halvings.into());
                moved.square += whole * whole / layers as f64;
                moved.worst = moved.worst.max(passed.error);
                moved.gradients += passed.gradients;
            }
            Ok(())
        })?;
        Ok::<Vec<Moved>, Error>(moved)
    };
    let factor = |moved: &[Moved]| {
        let quartile = upper_quartile(moved.iter().map(|m| m.square).collect());
        let factor = (target / quartile.max(f64::MIN_POSITIVE)).powf(1.0 / 6.0);
        factor.clamp(1.0 / CHANGE, CHANGE)
    };
    let (mut steps, mut step): (Vec<f64>, f64) = (Vec::new(), first);
    let mut gradients = 0;
    while watch(
        Passing {
            layers: steps.len(),
            gradients: gradients as f64 / draws.len() as f64,
        },
        &mut draws
            .iter()
            .map(|d| (&d.particle.theta[..], d.particle.energy)),
    )? && steps.len() < options.layers
    {
        let mut again = if steps.is_empty() { AGAIN } else { 0 };
        while again > 0 {
            // not halved: a first step may be too long for all
            let mut trial: Vec<Draw<T>> = draws.iter().map(Draw::fresh).collect();
            let change = factor(&pass(&mut trial, (1, step), f64::INFINITY)?);
            let right = (1.0 / OFF..=OFF).contains(&change.powi(6));
            again = if right { 0 } else { again - 1 };
            step *= change;
        }
        let layers = BLOCK.min(options.layers - steps.len());
        let moved = pass(&mut draws, (layers, step), tolerance)?;
        let limit = DIVERGENCE * dim as f64;
        let diverged = moved.iter().filter(|m| m.worst > limit).count();
        if 1_000 * diverged > DIVERGED * moved.len() {
            break;
        }
        gradients += moved.iter().map(|m| m.gradients).sum::<usize>();
        steps.extend(std::iter::repeat_n(step, layers));
        step *= factor(&moved);
    }
    Kinetic::new(mass, steps)?.with_tolerance(tolerance)
}
