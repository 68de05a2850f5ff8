//! Integrals of densities over the line, the plane, or the whole numbers.
//!
//! With `x = m + s sinh t` the trapezoid rule in `t` has nodes near `m` that are `s h` apart, and
//! reaches `s sinh 36 = 2e15 s`:
//!
//! ```text
//! integral p(x) dx = integral p(m + s sinh t) s cosh t dt ~ h sum_i p(x_i) s cosh t_i
//! ```
//!
//! For a smooth density the rule converges faster than any power of `h`; at a kink its error is of
//! order `h^2`. The same sum over every second node is free, so the tolerance is
//! `1e-10 + 2 |I(h) - I(2h)|`: up to 577^2 terms round once each, by 7e-11 in all.

use super::checker::{Checker, Tolerance};
use super::failure::{Failure, Place};

/// Nodes and weights along one axis, in order. Every second node has twice the weight in the coarse
/// rule.
pub(super) struct Nodes {
    points: Vec<(f64, f64)>,
    /// True if the points are all that there are, with weight 1.
    exact: bool,
}

/// Step in `t`, and the number of steps to either side.
const STEP: f64 = 0.125;
const SIDE: i32 = 288;

impl Nodes {
    /// The real line, around `middle`, for densities of width `scale`.
    pub fn line(middle: f64, scale: f64) -> Self {
        let node = |i: i32| {
            let t = STEP * f64::from(i);
            (middle + scale * t.sinh(), STEP * scale * t.cosh())
        };
        Self {
            points: (-SIDE..=SIDE).map(node).collect(),
            exact: false,
        }
    }

    /// The real line, around the mode of a density and for its width there. The mode is found by
    /// steps that double after a success and halve after a failure.
    pub fn around_peak(
        energy: &mut impl FnMut(&[f64]) -> Result<f64, Failure>,
    ) -> Result<Self, Failure> {
        let (mut middle, mut step) = (0.0f64, 1.0f64);
        let mut lowest = energy(&[middle])?;
        // 1e-6 of the width would do: the middle need not be exact
        for _ in 0..200 {
            let (up, down) = (energy(&[middle + step])?, energy(&[middle - step])?);
            if up.min(down) < lowest {
                middle += if up < down { step } else { -step };
                lowest = up.min(down);
                step *= 2.0;
            } else {
                step *= 0.5;
            }
            if step < 1e-7 * (1.0 + middle.abs()) {
                break;
            }
        }
        let mut width = 1e-4;
        while width < 1e12 && energy(&[middle + width])? - lowest < 0.5 {
            width *= 1.5;
        }
        Ok(Self::line(middle, width))
    }

    /// The numbers `0..count`.
    pub fn count(count: usize) -> Self {
        Self {
            points: (0..count).map(|y| (y as f64, 1.0)).collect(),
            exact: true,
        }
    }
}

/// Checks that `exp(-energy)` has mass 1 over the product of at most two axes.
pub(super) fn check_mass(
    checker: Checker,
    slack: f64,
    axes: &[Nodes],
    mut energy: impl FnMut(&[f64]) -> Result<f64, Failure>,
) -> Result<(), Failure> {
    let none = Nodes::count(1);
    let (first, second) = match axes {
        [first] => (first, &none),
        [first, second, ..] => (first, second),
        [] => return Ok(()),
    };
    let (mut fine, mut coarse) = (0.0, 0.0);
    for (i, &(x, w)) in first.points.iter().enumerate() {
        for (j, &(y, v)) in second.points.iter().enumerate() {
            let point = [x, y];
            let mass = w * v * (-energy(&point[..axes.len().min(2)])?).exp();
            // far out a density is 0 or too small to matter; 0 times infinity is then 0
            let mass = if mass.is_nan() { 0.0 } else { mass };
            fine += mass;
            let odd = (!first.exact && i % 2 == 1) || (!second.exact && j % 2 == 1);
            if !odd {
                let twice = |nodes: &Nodes| if nodes.exact { 1.0 } else { 2.0 };
                coarse += twice(first) * twice(second) * mass;
            }
        }
    }
    let tolerance = Tolerance {
        bound: slack * (1e-10 + 2.0 * (fine - coarse).abs()),
        arithmetic: "1e-10 + 2 |I(h) - I(2h)|, trapezoid rule with x = m + s sinh t",
    };
    let place = || Place::scalar("the integral of the density");
    checker.value("normalisation", place, fine, 1.0, tolerance)
}
