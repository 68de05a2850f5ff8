//! The evidence between two bounds, from the prior and from the walk: `--bracket`.
//!
//! As many particles as the walk has walkers are annealed from a Gaussian with the prior's precision
//! to the posterior, and the last point of each walker is annealed back ([`evidence_bracket`]).

use super::context::Problem;
use super::{FitReport, WalkSettings};
use crate::artifact::report;
use crate::error::{Error, Result};
use crate::model::{Curved, PosteriorDensity};
use crate::scalar::Scalar;
use crate::walk::{AnnealedOptions, Bound, Walk, evidence_bracket};

/// Leapfrog steps of a transition, and the acceptance to which step sizes are tuned. With less the
/// bounds are off by hundreds of nats on networks.
const LEAPFROG: usize = 16;
const ACCEPTANCE: f64 = 0.9;

/// Particles of the pilot run, which tunes the step sizes.
const PILOT: usize = 8;

impl Problem<'_> {
    /// Brackets the evidence, if the settings ask for it. The walk's points are in the coordinates
    /// of the density.
    pub(super) fn bracket<T: Scalar>(
        &self,
        settings: &WalkSettings,
        density: &PosteriorDensity<T>,
        walked: &Walk<T>,
        summary: &mut FitReport,
    ) -> Result<()> {
        let Some(temperatures) = settings.bracket else {
            return Ok(());
        };
        // points are in order of time: the last ones are one of each walker
        let (dim, walkers) = (walked.dim, walked.tallies.len());
        let rows = walkers.min(walked.points.len() / dim.max(1));
        let ends = &walked.points[walked.points.len() - rows * dim..];
        let options = AnnealedOptions {
            particles: walkers.max(2),
            temperatures,
            leapfrog_steps: LEAPFROG,
            acceptance: ACCEPTANCE,
            pilot: PILOT,
            ..AnnealedOptions::default()
        };
        let precision = density.prior_precision();
        let found = evidence_bracket(density, precision, ends, &options, self.streams)?;
        let bound = |bound: &Bound| report::Bound {
            value: bound.value,
            error: bound.std_error,
            ess: bound.ess,
            mean: bound.mean,
        };
        summary.bracket = Some(report::Bracket {
            particles: [options.particles, rows],
            temperatures,
            gradients: found.gradients,
            lower: bound(&found.lower),
            upper: bound(&found.upper),
        });
        Ok(())
    }

    /// Refuses a bracket of a walk whose points are no draws of the posterior.
    pub(super) fn check_bracket(&self, settings: &WalkSettings) -> Result<()> {
        let Some(temperatures) = settings.bracket else {
            return Ok(());
        };
        let requirement = if temperatures == 0 {
            "must be at least 1"
        } else if settings.kernel.microcanonical().is_none() {
            "needs draws of the posterior: take --kernel microcanonical"
        } else {
            return Ok(());
        };
        Err(Error::config("bracket", temperatures, requirement))
    }
}
