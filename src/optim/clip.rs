//! Gradient clipping by global norm (Pascanu et al. 2013): `g <- g min(1, c / |g|)`.
//!
//! The direction stays.

use crate::linalg::vector::{norm, scale};
use crate::scalar::Scalar;

/// Shortens `grad` to a norm of at most `max_norm`, and returns the norm before.
///
/// The bound holds exactly in the arithmetic of `T`: any excess left by rounding is removed. A
/// gradient whose norm is not finite is left unchanged, so that the caller can see it.
///
/// ```
/// let mut grad = [3.0, 4.0];
/// assert_eq!(fiberwalk::optim::clip_by_norm(&mut grad, 10.0), 5.0);
/// assert_eq!(grad, [3.0, 4.0]);
/// assert_eq!(fiberwalk::optim::clip_by_norm(&mut grad, 2.5), 5.0);
/// assert!((grad[0] - 1.5f64).abs() < 1e-14 && (grad[1] - 2.0f64).abs() < 1e-14);
/// ```
pub fn clip_by_norm<T: Scalar>(grad: &mut [T], max_norm: f64) -> f64 {
    let before = norm(grad);
    if before > max_norm && before.is_finite() {
        scale(max_norm / before, grad);
        // one or two rounds: each removes more than a rounding error; subnormal numbers need
        // coarser steps
        let mut excess = T::EPSILON.to_f64();
        while norm(grad) > max_norm {
            scale(1.0 - excess, grad);
            excess *= 2.0;
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<T: Scalar>(grad: &[f64], max_norm: f64) -> Result<(), TestCaseError> {
        let before: Vec<T> = grad.iter().map(|&g| T::from_f64(g)).collect();
        let mut after = before.clone();
        let reported = clip_by_norm(&mut after, max_norm);
        prop_assert_eq!(reported, norm(&before));
        if reported <= max_norm {
            prop_assert_eq!(after, before);
            return Ok(());
        }
        // exactly within the bound, and not shorter than rounding requires
        let length = norm(&after);
        prop_assert!(length <= max_norm, "{length} {max_norm}");
        prop_assert!(length > max_norm * (1.0 - 8.0 * T::EPSILON.to_f64()));
        for (a, b) in after.iter().zip(&before) {
            let expected = b.to_f64() * max_norm / reported;
            prop_assert!(
                (a.to_f64() - expected).abs() <= 8.0 * T::EPSILON.to_f64() * expected.abs()
            );
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_norm_is_bounded_exactly_and_the_direction_stays(
            grad in prop::collection::vec(-1e6f64..1e6, 0..200), max_norm in 1e-3f64..1e7
        ) {
            check::<f32>(&grad, max_norm)?;
            check::<f64>(&grad, max_norm)?;
        }
    }

    #[test]
    fn even_subnormal_bounds_hold() {
        let mut grad = [1e-38f32, -1e-38];
        clip_by_norm(&mut grad, 2e-45);
        assert!(norm(&grad) <= 2e-45, "{grad:?}");
    }

    #[test]
    fn what_is_not_finite_is_left_to_be_seen() {
        let mut grad = [1.0, f64::NAN];
        assert!(clip_by_norm(&mut grad, 0.5).is_nan() && grad[0] == 1.0);
        let mut grad = [1e200, 0.0];
        assert!(clip_by_norm(&mut grad, 0.5).is_infinite() && grad[0] == 1e200);
    }
}
