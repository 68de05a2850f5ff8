//! Learning-rate schedules.

use std::f64::consts::PI;

/// How the learning rate changes over `total` steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// From its full value to zero along half a cosine (Loshchilov & Hutter 2017, without restarts).
    Cosine,
}

impl Schedule {
    /// The factor on the learning rate at `step` of `total`, both from 0.
    pub fn factor(self, step: usize, total: usize) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (PI * step as f64 / total.max(1) as f64).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn a_cosine_falls_from_one_to_zero_through_a_half() {
        let at = |step| Schedule::Cosine.factor(step, 8);
        assert_eq!((at(0), Schedule::Constant.factor(5, 8)), (1.0, 1.0));
        assert!((at(4) - 0.5).abs() < 1e-15 && at(8) < 1e-15);
        assert!((at(2) - 0.5 * (1.0 + 0.5f64.sqrt())).abs() < 1e-15);
    }
}
