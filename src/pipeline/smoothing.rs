//! Smoothed points of a walk, as widely as kinetic layers can afford.
//!
//! The family leads from the Gaussian of the walk's frame, at width 1, to the walk's points
//! themselves, at width 0 ([`Smoothed`]). A wide one makes new draws, but where the posterior is stiff
//! their energy is far too high. So the width is the largest at which it is within reach of layers.

use super::Stage;
use super::choice::mean_and_error;
use super::context::Problem;
use super::layers::{Candidate, Judge};
use super::material::Material;
use super::trust::energies;
use crate::deform::{Deformation, Frame, HiddenFlow, Smoothed};
use crate::error::{Result, counted};
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// Widths to try, from the widest. The first whose draws have an energy at most [`RAISED`] nats a
/// parameter above the walk's is taken, or one standard error more. [`FEW`] draws judge.
const WIDTHS: [f64; 12] = [
    0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.06, 0.03, 0.015, 0.007, 0.003, 0.001,
];
const RAISED: f64 = 0.01;
const FEW: usize = 64;

/// Widths to try where the walk's energies say nothing.
const UNJUDGED: [f64; 3] = [0.7, 0.35, 0.1];

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
    /// The points of the walk, smoothed in the shape of `frame`.
    pub(super) fn smoothings<T: Scalar, D: LogDensity<T>>(
        &self,
        frame: &Frame<T>,
        (material, judge): (&Material<'_, T, D>, &Judge<'_>),
    ) -> Result<Smoothings<T>> {
        let anchors = anchors(material);
        let kept = anchors.len() / material.hidden.max(1);
        let of_width = |width: f64| {
            let smoothed = Smoothed::new(frame.clone(), &anchors, width)?;
            let hidden = HiddenFlow::Smoothed(smoothed);
            Ok::<_, crate::error::Error>(Deformation::new(Some(hidden), material.last.clone()))
        };
        let named = |width: f64| format!("{} x {width}", counted(kept, "point"));
        let of = (material, judge);
        if !judge.rule.judges_energy() {
            let each = UNJUDGED.into_iter();
            let candidates = each.map(|w| self.candidate(named(w), of_width(w)?, of));
            return Ok(Smoothings {
                candidates: candidates.collect::<Result<_>>()?,
                broad: true,
            });
        }
        for width in WIDTHS {
            self.progress.go_on(Stage::Flow)?;
            let deformation = of_width(width)?;
            let draws = deformation.sample(FEW.min(self.judged()), self.streams);
            let energies = draws.and_then(|draws| energies(material.density, &draws));
            // draws that have no energy are as wrong as draws of too much
            let low = energies.is_ok_and(|u| judge.rule.is_near(mean_and_error(&u), RAISED));
            if low || WIDTHS.last() == Some(&width) {
                return Ok(Smoothings {
                    candidates: vec![self.candidate(named(width), deformation, of)?],
                    broad: width >= BROAD,
                });
            }
        }
        Ok(Smoothings {
            candidates: Vec::new(),
            broad: false,
        })
    }
}

/// The hidden values of some points, as many of each walker as may be, evenly in time.
fn anchors<T: Scalar, D>(material: &Material<'_, T, D>) -> Vec<T> {
    let (points, hidden) = (material.points, material.hidden);
    let (count, dim) = (points.len(), points.dim());
    let kept = POINTS.min(count.div_ceil(OF_POINTS));
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&row| points.particles()[row]);
    let rows = (0..kept).map(|i| order[i * count / kept] * dim);
    let rows = rows.flat_map(|at| &points.values()[at..at + hidden]);
    rows.copied().collect()
}
