//! The evidence between two bounds: annealing from both ends.
//!
//! Annealing forwards, from the Gaussian `q` to the joint density, has weights with `E[w] = p(D)`
//! ([`annealed_evidence`](super::annealed_evidence)). The same chain run backwards, from a draw of
//! the *posterior* through the transitions in reverse order, has weights with `E[1/w] = 1/p(D)`. So
//!
//! ```text
//! E[log w]            <=  E[log mean w]        <=  log p(D)      forwards
//! E[-log mean 1/w]    >=  log p(D),   and   E[log w] >= log p(D)  backwards
//! ```
//!
//! by Jensen's inequality: bidirectional Monte Carlo (Grosse, Ghahramani & Adams 2015, arXiv
//! 1511.02543; Grosse, Ancha & Roy 2016). Both bounds close in as temperatures are added. Their
//! distance bounds the divergence between the law of forward ends and the posterior, in both
//! directions together.
//!
//! What it needs: exact draws of the posterior for the upper bound. Points of a walk are draws as
//! far as the walk has converged. So a bracket that does not close, or whose ends cross, accuses
//! the walk or the annealing. A walk that has seen one mode of several passes unnoticed if
//! annealing finds the same one only: then both miss the same share of the evidence.

use super::{AnnealedOptions, Path};
use crate::error::{Error, Result, counted};
use crate::linalg::{LogMean, log_mean_exp};
use crate::model::LogDensity;
use crate::optim::Answer;
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// A bound of the log evidence, from independent weights of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The tight bound, in nats: `log mean w` forwards, `-log mean 1/w` backwards.
    pub value: f64,
    /// Its standard error by the delta method. Trust it while many weights count.
    pub std_error: f64,
    /// How many particles of equal weight these are worth.
    pub ess: f64,
    /// The mean of `log w`: a looser bound, whose error needs no trust in the weights.
    pub mean: f64,
    /// The standard error of the mean.
    pub mean_std_error: f64,
    /// `log w` of each particle.
    pub log_weights: Vec<f64>,
}

/// The log evidence from below and from above.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceBracket {
    /// From draws of the Gaussian.
    pub lower: Bound,
    /// From draws of the posterior.
    pub upper: Bound,
    /// Gradients computed, those of the pilot run included.
    pub gradients: usize,
}

impl EvidenceBracket {
    /// `upper - lower`, in nats.
    pub fn width(&self) -> f64 {
        self.upper.value - self.lower.value
    }
}

/// First stream of the particles that go backwards.
const BACKWARDS: u64 = 1 << 41;

impl Bound {
    /// `sign` is 1 for weights and -1 for their inverses.
    fn new(logs: &[f64], sign: f64) -> Self {
        let signed: Vec<f64> = logs.iter().map(|l| sign * l).collect();
        let LogMean {
            value,
            std_error,
            effective,
        } = log_mean_exp(&signed);
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let squares: f64 = logs.iter().map(|l| (l - mean).powi(2)).sum();
        Self {
            value: sign * value,
            std_error,
            ess: effective,
            mean,
            mean_std_error: (squares / (n - 1.0).max(1.0) / n).sqrt(),
            log_weights: logs.to_vec(),
        }
    }
}

/// Brackets the integral of `density` between annealing from `q = N(0, 1 / prior_precision)` and
/// annealing back from `points` (`[n, P]`), independent draws of it. `options.particles` go
/// forwards, and one goes backwards from each point. Step sizes are those of one pilot run, for
/// both directions. `progress` is called before each temperature of each particle and of the pilot
/// run, from any thread, and may end the annealing ([`Answer`]).
///
/// # Errors
/// Those of [`annealed_evidence`](super::annealed_evidence), if there are fewer than two points, or
/// the density is not finite at one; that of `progress`.
pub fn evidence_bracket<T: Scalar, D: LogDensity<T>, R: Answer>(
    density: &D,
    prior_precision: &[f64],
    points: &[T],
    options: &AnnealedOptions,
    streams: Streams,
    progress: impl Fn() -> R + Sync,
) -> Result<EvidenceBracket> {
    options.validate()?;
    let path = Path::new(density, prior_precision, options)?;
    let rows: Vec<&[T]> = points.chunks(density.dim().max(1)).collect();
    if rows.len() < 2 || !points.len().is_multiple_of(density.dim()) {
        let expected = format!("two rows of {} at least", counted(density.dim(), "number"));
        return Err(Error::shape("evidence_bracket", expected, points.len()));
    }
    let progress = || progress().result();
    let (step_sizes, pilot) = path.tune(streams, &progress)?;
    let forwards = parallel::try_map(options.particles, |i| {
        let rng = streams.rng(Phase::ANNEAL, i as u64);
        path.anneal(&step_sizes, rng, &progress)
    })?;
    let backwards = parallel::try_map(rows.len(), |i| {
        let rng = streams.rng(Phase::ANNEAL, BACKWARDS + i as u64);
        path.recede(rows[i], &step_sizes, rng, &progress)
    })?;
    let logs = |all: &[super::Annealed]| all.iter().map(|a| a.log_weight).collect::<Vec<f64>>();
    let both = forwards.iter().chain(&backwards);
    Ok(EvidenceBracket {
        lower: Bound::new(&logs(&forwards), 1.0),
        upper: Bound::new(&logs(&backwards), -1.0),
        gradients: pilot + both.map(|a| a.gradients).sum::<usize>(),
    })
}
