//! Tail probability and density of a mixture of Gaussians, at the machine's vector width.
//!
//! A quantile needs both a few times for every component. This is where predictions with quantiles
//! spend their time.

use std::f64::consts::PI;

use super::MixtureStds;
use crate::simd::{self, Elementary, Vectorised};

/// Components added side by side: one vector of the widest instruction set.
const LANES: usize = 8;

/// Sums over components at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tails {
    /// Sum of the probabilities below the point, or above it.
    pub tail: f64,
    /// Sum of the densities, times the unit.
    pub density: f64,
}

/// Sums over the components `N(means[i], stds[i]^2)` at `x`: of the upper tails if `upper`, else of
/// the lower ones. Densities are in units of `1 / unit`.
pub(super) fn tails(x: f64, means: &[f64], stds: MixtureStds<'_>, upper: bool, unit: f64) -> Tails {
    let sign = if upper { -1.0 } else { 1.0 };
    simd::dispatch(Work {
        x,
        means,
        stds,
        sign,
        unit,
    })
}

struct Work<'a> {
    x: f64,
    means: &'a [f64],
    stds: MixtureStds<'a>,
    sign: f64,
    unit: f64,
}

impl Vectorised for Work<'_> {
    type Output = Tails;

    #[inline(always)]
    fn run(self) -> Tails {
        let (mut tail, mut density) = ([0.0; LANES], [0.0; LANES]);
        let (groups, rest) = self.means.as_chunks::<LANES>();
        match self.stds {
            MixtureStds::Common(std) => {
                let scale = [self.sign / std; LANES];
                for means in groups {
                    add(self.x, means, &scale, &mut tail, &mut density);
                }
                // pad the last group with means infinitely far away
                let (last, scales) = (filled(rest, f64::NEG_INFINITY), scale);
                add_last(self.x, &last, &scales, rest.len(), &mut tail, &mut density);
                let factor = self.unit / std;
                density.iter_mut().for_each(|d| *d *= factor);
            }
            MixtureStds::Each(stds) => {
                let (scale_groups, scale_rest) = stds.as_chunks::<LANES>();
                for (means, stds) in groups.iter().zip(scale_groups) {
                    let scale = stds.map(|std| self.sign / std);
                    let mut here = [0.0; LANES];
                    add(self.x, means, &scale, &mut tail, &mut here);
                    for i in 0..LANES {
                        density[i] += here[i] * (self.unit / stds[i]);
                    }
                }
                let (last, stds) = (filled(rest, f64::NEG_INFINITY), filled(scale_rest, 1.0));
                let scale = stds.map(|std| self.sign / std);
                let mut here = [0.0; LANES];
                add_last(self.x, &last, &scale, rest.len(), &mut tail, &mut here);
                for i in 0..LANES {
                    density[i] += here[i] * (self.unit / stds[i]);
                }
            }
        }
        let root = (2.0 * PI).sqrt();
        Tails {
            tail: tail.iter().sum(),
            density: density.iter().sum::<f64>() / root,
        }
    }
}

/// Adds the components of a group. Densities still lack their factors.
#[inline(always)]
fn add(
    x: f64,
    means: &[f64; LANES],
    scale: &[f64; LANES],
    tail: &mut [f64; LANES],
    density: &mut [f64; LANES],
) {
    for i in 0..LANES {
        let z = (x - means[i]) * scale[i];
        tail[i] += z.normal_cdf();
        density[i] += Elementary::exp(-0.5 * z * z);
    }
}

/// Adds the first `count` components of a group.
#[inline(always)]
fn add_last(
    x: f64,
    means: &[f64; LANES],
    scale: &[f64; LANES],
    count: usize,
    tail: &mut [f64; LANES],
    density: &mut [f64; LANES],
) {
    let (mut here, mut densities) = ([0.0; LANES], [0.0; LANES]);
    add(x, means, scale, &mut here, &mut densities);
    for i in 0..count {
        tail[i] += here[i];
        density[i] += densities[i];
    }
}

fn filled(part: &[f64], value: f64) -> [f64; LANES] {
    let mut all = [value; LANES];
    all[..part.len()].copy_from_slice(part);
    all
}

#[cfg(test)]
mod tests {
    use super::super::normal_density;
    use super::*;
    use crate::special::normal_cdf;
    use proptest::prelude::*;

    proptest! {
        /// The oracle is libm, one component at a time.
        #[test]
        fn sums_are_those_of_single_components(
            components in prop::collection::vec((-5.0..5.0f64, 0.01..3.0f64), 1..40),
            x in -8.0..8.0f64,
            upper: bool,
            common: bool,
        ) {
            let means: Vec<f64> = components.iter().map(|c| c.0).collect();
            let stds: Vec<f64> = components.iter().map(|c| c.1).collect();
            let std_of = |i: usize| if common { stds[0] } else { stds[i] };
            let unit = 0.3;
            let (mut tail, mut density) = (0.0, 0.0);
            // below 2e-308 numbers lie 5e-324 apart: a tail there is right to some of these steps
            let (mut of_tail, mut of_density) = (1e-321, 1e-300);
            for (i, m) in means.iter().enumerate() {
                let z = (x - m) / std_of(i);
                let one = normal_cdf(if upper { -z } else { z });
                let peak = normal_density(z) * unit / std_of(i);
                (tail, density) = (tail + one, density + peak);
                // z differs by its rounding, at most two units in 2^-52: times z, that is the
                // relative change of exp(-z^2 / 2), and times z + 1/z of a far tail
                let relative = 1e-13 + 1e-15 * z * z;
                (of_tail, of_density) = (of_tail + relative * one, of_density + relative * peak);
            }
            let of = match common {
                true => MixtureStds::Common(stds[0]),
                false => MixtureStds::Each(&stds),
            };
            let got = tails(x, &means, of, upper, unit);
            prop_assert!((got.tail - tail).abs() <= of_tail, "{} {tail}", got.tail);
            prop_assert!((got.density - density).abs() <= of_density, "{} {density}", got.density);
        }
    }
}
