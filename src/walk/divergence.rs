//! What went wrong in a step that could not be taken as intended.

use std::fmt;

use crate::error::counted;
use crate::linalg::vector::first_non_finite;
use crate::scalar::Scalar;

/// A divergence. It is a few numbers that are copied, so a step that diverges allocates nothing.
///
/// Where a kernel leaves a particle that diverged, its position is still that of the start. NUTS
/// may have drawn another point of the trajectory before it diverged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergence {
    /// Why the step could not be taken.
    pub cause: DivergenceCause,
    /// `U` where the step of the kernel began, in nats.
    pub start_energy: f64,
    /// How far the energy that the integrator should conserve had risen, in nats. Infinite or NaN
    /// where the energy is. For a kernel that conserves nothing: the change of `U`, or NaN if no
    /// change is known.
    pub energy_error: f64,
    /// Step size of the integrator.
    pub step_size: f64,
    /// Integration steps from the start to the place where it diverged, this one included. Negative
    /// if they were taken backward in time.
    pub after: isize,
}

/// Why a step could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DivergenceCause {
    /// The energy error is beyond the kernel's bound.
    EnergyError,
    /// The log density is infinite or NaN.
    LogDensity,
    /// This entry of the gradient is infinite or NaN.
    Gradient(usize),
    /// No shorter step helped.
    Retries,
    /// The step would have taken too many steps of the integrator.
    TooManySteps,
}

impl DivergenceCause {
    /// Why the energy was lost at a point with this log density (or energy) and gradient.
    pub fn at<T: Scalar>(log_density: f64, gradient: &[T]) -> Self {
        if !log_density.is_finite() {
            return Self::LogDensity;
        }
        first_non_finite(gradient).map_or(Self::EnergyError, Self::Gradient)
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            DivergenceCause::EnergyError => {
                write!(f, "the energy rose by {:.3e} nats", self.energy_error)
            }
            DivergenceCause::LogDensity => write!(f, "the log density is not finite"),
            DivergenceCause::Gradient(index) => {
                write!(f, "entry {index} of the gradient is not finite")
            }
            DivergenceCause::Retries => write!(f, "no shorter step helped"),
            DivergenceCause::TooManySteps => write!(f, "it took too many steps"),
        }?;
        write!(
            f,
            " after {} of {:.3e} from an energy of {:.6e}",
            counted(self.after, "step"),
            self.step_size,
            self.start_energy
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_what_is_not_finite_first() {
        let cause = |log_density, gradient: [f64; 2]| DivergenceCause::at(log_density, &gradient);
        assert_eq!(cause(1.0, [0.0, 1.0]), DivergenceCause::EnergyError);
        assert_eq!(
            cause(f64::NAN, [0.0, f64::NAN]),
            DivergenceCause::LogDensity
        );
        assert_eq!(cause(1.0, [0.0, f64::NAN]), DivergenceCause::Gradient(1));
    }

    #[test]
    fn it_says_what_happened() {
        let divergence = Divergence {
            cause: DivergenceCause::EnergyError,
            start_energy: 12.5,
            energy_error: 2000.0,
            step_size: 0.25,
            after: -3,
        };
        let text = "the energy rose by 2.000e3 nats after -3 steps of 2.500e-1 from an energy of \
                    1.250000e1";
        assert_eq!(divergence.to_string(), text);
    }
}
