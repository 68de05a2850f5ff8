//! Where a descent is, for the error if it diverges.

use crate::error::{Error, Result};
use crate::linalg::vector::first_non_finite;
use crate::scalar::Scalar;

/// What helps most descents.
pub(crate) const LOWER_RATE: &str = "a smaller learning_rate or standardised features may help";

/// A place on the way of a descent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    /// What is computed.
    pub what: &'static str,
    /// Steps taken.
    pub step: usize,
    /// Gradients computed, the one that is checked included.
    pub gradients: usize,
    /// What may help.
    pub advice: &'static str,
}

impl Descent {
    /// The start of an iteration: one gradient, and no step.
    pub(crate) fn start(what: &'static str) -> Self {
        Self {
            what,
            step: 0,
            gradients: 1,
            advice: LOWER_RATE,
        }
    }

    /// The error for a quantity that is not finite here.
    pub(crate) fn diverged(self, quantity: &'static str) -> Error {
        Error::Diverged {
            what: self.what,
            quantity,
            step: self.step,
            gradients: self.gradients,
            advice: self.advice,
        }
    }

    /// Checks an energy (or a log density) and its gradient.
    ///
    /// # Errors
    /// [`Error::Diverged`] if one of them is not finite.
    pub(crate) fn check<T: Scalar>(self, energy: f64, gradient: &[T]) -> Result<()> {
        if !energy.is_finite() {
            return Err(self.diverged("energy"));
        }
        match first_non_finite(gradient) {
            None => Ok(()),
            Some(_) => Err(self.diverged("gradient")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_happened_where_and_what_to_do() {
        let at = |step, gradients| Descent {
            what: "training",
            step,
            gradients,
            advice: LOWER_RATE,
        };
        assert!(at(3, 4).check(1.0, &[0.0f32]).is_ok());
        let said = at(312, 4_992).check(f64::NAN, &[f32::NAN]).unwrap_err();
        assert_eq!(
            said.to_string(),
            "training diverged at step 312 (4,992 gradients): the energy is not finite; \
             a smaller learning_rate or standardised features may help"
        );
        let said = at(1_000_000, 1)
            .check(1.0, &[0.0, f64::INFINITY])
            .unwrap_err();
        assert!(
            said.to_string()
                .contains("at step 1,000,000 (1 gradient): the gradient is")
        );
        // a smaller step does not help a start that is not finite
        let said = at(0, 1)
            .check(f64::INFINITY, &[0.0f64])
            .unwrap_err()
            .to_string();
        assert!(said.starts_with("training cannot start (1 gradient): the energy is not"));
        assert!(said.contains("starting parameters") && !said.contains("learning_rate"));
    }
}
