//! Smoothed points of a walk, as widely as kinetic layers can afford.
//!
//! The family leads from a Gaussian with the walk's mean and variances, at width 1, to the walk's
//! points themselves, at width 0 ([`Smoothed`]). A wide one makes new draws, but where the
//! posterior is stiff their energy is far too high. So the width is the largest at which it is
//! within reach of layers.
//!
//! In networks of many thousand parameters that is not enough: an energy within reach leaves room
//! for other predictions, and few layers can be afforded. Where draws predict more than half as far
//! from the walk as the MAP estimate does, narrower widths are candidates too.

use super::Stage;
use super::choice::mean_and_error;
use super::context::Problem;
use super::layers::{Candidate, Judge};
use super::material::Material;
use super::trust::energies;
use crate::deform::{Deformation, Frame, FrameOptions, HiddenFlow, Smoothed};
use crate::error::{Error, Result, counted};
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// Widths to try, from the widest. The first whose draws have an energy at most [`RAISED`] nats a
/// parameter above the walk's is taken, or one standard error more. [`FEW`] draws judge, or
/// [`CHEAP`] if a conditional is cheap.
const WIDTHS: [f64; 12] = [
    0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.06, 0.03, 0.015, 0.007, 0.003, 0.001,
];
const RAISED: f64 = 0.01;
const FEW: usize = 64;
const CHEAP: usize = 256;

/// Widths to try where the walk's energies say nothing.
const UNJUDGED: [f64; 3] = [0.7, 0.35, 0.1];

/// Draws farther from the walk than this share of the MAP estimate's distance are far.
const FAR: f64 = 0.5;

/// Where draws are far, so many narrower widths are tried at most. Each is at most [`NARROWER`] times
/// the one before.
const MORE: usize = 2;
const NARROWER: f64 = 0.25;

/// Most points that are smoothed, and one for so many of the walk's points at most: a flow's file
/// must be smaller than the walk's.
const POINTS: usize = 96;
const OF_POINTS: usize = 2;

/// Below this width the posterior is too stiff for flows that know less of the walk.
const BROAD: f64 = 0.4;

/// Smoothed points that may be kept.
pub(super) struct Smoothings<T> {
    pub candidates: Vec<Candidate<T>>,
    /// Whether a wide one is within reach, so that other flows are worth a training.
    pub broad: bool,
}

impl Problem<'_> {
    /// The points of the walk, smoothed in the shape of their scales.
    pub(super) fn smoothings<T: Scalar, D: LogDensity<T>>(
        &self,
        material: &Material<'_, T, D>,
        judge: &Judge<'_>,
    ) -> Result<Smoothings<T>> {
        let frame = frame(material)?;
        let anchors = anchors(material);
        let kept = anchors.len() / material.hidden.max(1);
        let of_width = |width: f64| {
            let smoothed = Smoothed::new(frame.clone(), &anchors, width)?;
            let hidden = HiddenFlow::Smoothed(smoothed);
            Ok::<_, Error>(Deformation::new(Some(hidden), material.last.clone()))
        };
        let named = |width: f64| format!("{} x {width}", counted(kept, "point"));
        let of = (material, judge);
        if !judge.rule.judges_energy() {
            let (mut candidates, mut failure) = (Vec::new(), None);
            for width in UNJUDGED {
                // a width whose draws have no last layer is not kept
                match self.candidate(named(width), of_width(width)?, of) {
                    Ok(candidate) => candidates.push(candidate),
                    Err(error @ Error::Cancelled { .. }) => return Err(error),
                    Err(error) => failure = Some(error),
                }
            }
            return match failure {
                Some(error) if candidates.is_empty() => Err(error),
                _ => Ok(Smoothings {
                    candidates,
                    broad: true,
                }),
            };
        }
        let few = if material.last.is_gaussian() {
            CHEAP
        } else {
            FEW
        };
        let far = match material.map {
            Some(map) => FAR * judge.agreement.distance(map)?,
            None => f64::INFINITY,
        };
        let mut smoothings = Smoothings {
            candidates: Vec::new(),
            broad: false,
        };
        let mut below = f64::INFINITY;
        for width in WIDTHS {
            if width > below {
                continue;
            }
            self.progress.go_on(Stage::Flow)?;
            let deformation = of_width(width)?;
            let first = smoothings.candidates.is_empty();
            if first && WIDTHS.last() != Some(&width) {
                let draws = deformation.sample(few.min(self.judged()), self.streams);
                let energies = draws.and_then(|draws| energies(material.density, &draws));
                // draws that have no energy are as wrong as draws of too much
                if !energies.is_ok_and(|u| judge.rule.is_near(mean_and_error(&u), RAISED)) {
                    continue;
                }
            }
            let candidate = self.candidate(named(width), deformation, of)?;
            let distances = candidate.tried.iter().map(|judged| judged.close.distance);
            let near = distances.fold(f64::INFINITY, f64::min) <= far;
            smoothings.broad |= width >= BROAD;
            smoothings.candidates.push(candidate);
            if near || smoothings.candidates.len() > MORE {
                break;
            }
            below = NARROWER * width;
        }
        Ok(smoothings)
    }
}

/// Mean and scales of the hidden values of all points, without directions.
fn frame<T: Scalar, D>(material: &Material<'_, T, D>) -> Result<Frame<T>> {
    let (points, hidden) = (material.points, material.hidden);
    let rows = points.values().chunks_exact(points.dim());
    let values: Vec<T> = rows.flat_map(|row| &row[..hidden]).copied().collect();
    let mut walkers = points.particles().to_vec();
    walkers.sort_unstable();
    walkers.dedup();
    let options = FrameOptions {
        directions: 0,
        ..FrameOptions::default()
    };
    Frame::fit(&values, hidden, walkers.len(), &[], &options)
}

/// The hidden values of some points, evenly in time. The first few are of different walkers, so
/// that few draws are too.
fn anchors<T: Scalar, D>(material: &Material<'_, T, D>) -> Vec<T> {
    let (points, hidden) = (material.points, material.hidden);
    let dim = points.dim();
    let rows = spread(
        points.particles(),
        POINTS.min(points.len().div_ceil(OF_POINTS)),
    );
    let rows = rows.into_iter().map(|row| row * dim);
    let values = rows.flat_map(|at| &points.values()[at..at + hidden]);
    values.copied().collect()
}

/// `kept` rows: as many of each particle as may be, evenly in time, a first one of each particle, a
/// second one of each, and so on. `particles` are those of all rows, in order of time.
fn spread(particles: &[usize], kept: usize) -> Vec<usize> {
    let count = particles.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&row| particles[row]);
    let rows = (0..kept).map(|i| order[i * count / kept]);
    let (mut turn, mut before) = (0, None);
    let mut turns: Vec<(usize, usize)> = rows
        .map(|row| {
            turn = if before == Some(particles[row]) {
                turn + 1
            } else {
                0
            };
            before = Some(particles[row]);
            (turn, row)
        })
        .collect();
    turns.sort_by_key(|&(turn, row)| (turn, particles[row]));
    turns.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    /// 4 particles, 8 points each, in order of time. An even stride over time alone would take all
    /// points of one particle.
    #[test]
    fn few_points_are_of_many_walkers() {
        let particles: Vec<usize> = (0..32).map(|i| i % 4).collect();
        let rows = spread(&particles, 8);
        let of: Vec<usize> = rows.iter().map(|&row| particles[row]).collect();
        assert_eq!(of, [0, 1, 2, 3, 0, 1, 2, 3]);
        // of each particle one from the first half and one from the second
        assert!(rows[..4].iter().all(|row| *row < 16) && rows[4..].iter().all(|row| *row >= 16));
        let mut all = spread(&particles, 32);
        all.sort_unstable();
        assert_eq!(all, (0..32).collect::<Vec<usize>>());
        assert_eq!(spread(&[0; 5], 3).len(), 3);
        assert_eq!(spread(&particles, 1), [0]);
    }
}
