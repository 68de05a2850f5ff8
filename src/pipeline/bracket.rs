//! The evidence between two bounds, from the prior and from the walk: `--bracket`.
//!
//! As many particles as the walk has walkers are annealed from a Gaussian with the prior's
//! precision to the posterior, and the last point of each walker is annealed back
//! ([`evidence_bracket`]).

use super::context::Problem;
use super::progress::Steps;
use super::{FitReport, Stage, WalkSettings};
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

/// Most temperatures.
const MOST: usize = 1_000_000;

impl Problem<'_> {
    /// Brackets the evidence, if the settings ask for it. The walk's points are in the coordinates
    /// of the density. A bracket that fails is a warning: the fit is whole without it.
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
        let ends = walked.ends();
        let back = ends.len() / walked.dim.max(1);
        let options = AnnealedOptions {
            particles: walked.tallies.len().max(2),
            temperatures,
            leapfrog_steps: LEAPFROG,
            acceptance: ACCEPTANCE,
            pilot: PILOT,
            ..AnnealedOptions::default()
        };
        let total = temperatures.saturating_mul(options.particles + back + 1);
        let steps = Steps::new(self.progress, Stage::Bracket, total);
        let precision = density.prior_precision();
        let streams = self.streams;
        let found = evidence_bracket(density, precision, &ends, &options, streams, || {
            steps.step()
        });
        let found = match found {
            Ok(found) => found,
            Err(error @ Error::Cancelled { .. }) => return Err(error),
            Err(error) => {
                let text = format!("the evidence could not be bracketed: {error}");
                summary.warnings.push(text);
                return Ok(());
            }
        };
        let bound = |bound: &Bound| report::Bound {
            value: bound.value,
            error: bound.std_error,
            ess: bound.ess,
            mean: bound.mean,
        };
        summary.bracket = Some(report::Bracket {
            particles: [options.particles, back],
            temperatures,
            gradients: found.gradients,
            lower: bound(&found.lower),
            upper: bound(&found.upper),
        });
        Ok(())
    }

    /// Refuses a bracket of a walk whose points are no draws of the posterior, or too few.
    pub(super) fn check_bracket(&self, settings: &WalkSettings) -> Result<()> {
        let Some(temperatures) = settings.bracket else {
            return Ok(());
        };
        let samples = settings.kernel.microcanonical();
        let requirement = if !(1..=MOST).contains(&temperatures) {
            format!("must be in 1..={MOST}")
        } else if samples.is_none_or(|kernel| kernel.walk_batch.is_some()) {
            "needs draws of the posterior: take --kernel microcanonical without --walk-batch".into()
        } else if settings.particles.is_some_and(|particles| particles < 2) {
            "needs two --particles at least".into()
        } else {
            return Ok(());
        };
        Err(Error::config("bracket", temperatures, &requirement))
    }
}
