//! Kinetic layers after a map: how many there may be, their tuning, and what draws are like on the
//! way.

use super::Stage;
use super::agreement::{Agreement, Closeness};
use super::choice::{Judged, Rule, mean_and_error};
use super::context::Problem;
use super::material::Material;
use super::trust::{CARRIED, energies};
use crate::deform::{Deformation, Kinetic, Layers, Passing, TuneOptions, tune_layers};
use crate::error::Result;
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// A flow that may be kept: a map, and what its draws are like after some layers.
pub(super) struct Candidate<T> {
    pub what: String,
    pub map: Deformation<T>,
    /// All layers that were tried.
    pub kinetic: Kinetic<T>,
    pub tried: Vec<Judged>,
}

/// What candidates are held against.
pub(super) struct Judge<'a> {
    pub agreement: Agreement<'a>,
    pub rule: Rule,
    pub plan: LayerPlan,
}

/// How many layers are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayerPlan {
    /// So many, as asked for.
    Given(usize),
    /// None, [`FIRST`], twice as many and so on, and this number.
    UpTo(usize),
}

/// Number of layers at which draws are judged first.
const FIRST: usize = 10;

/// A draw may take this share of a walker's gradients for its layers: with its last layer it then
/// takes at most half of a walker's time.
const SHARE: f64 = 0.25;

/// Most layers that are tried, and gradients for each of them on average: draws in stiff places
/// halve theirs.
const MOST: usize = 320;
const HALVED: f64 = 2.0;

/// Rows times parameters times gradients that may be spent on the draws of one candidate, if that
/// is more than this share of the walk's gradients.
const EFFORT: f64 = 2e10;
const OF_WALK: f64 = 1.0 / 16.0;

impl LayerPlan {
    /// A plan that draws and the fit can afford. `walked` are the gradients of one walker, and the
    /// number of walkers; `size` is rows times parameters.
    pub fn affordable(walked: (usize, usize), size: f64, draws: usize) -> Self {
        let (each, walkers) = (walked.0 as f64, walked.1 as f64);
        let all = (OF_WALK * each * walkers).max(EFFORT / size);
        let most = (SHARE * each).min(all / draws.max(1) as f64);
        Self::UpTo((most as usize).min(MOST))
    }

    fn most(self) -> usize {
        match self {
            Self::Given(layers) | Self::UpTo(layers) => layers,
        }
    }

    /// Whether draws may go on that took so many gradients on average.
    fn affords(self, gradients: f64) -> bool {
        match self {
            Self::Given(_) => true,
            Self::UpTo(most) => gradients < HALVED * most as f64,
        }
    }

    /// Whether draws are judged after so many layers.
    fn looks(self, layers: usize) -> bool {
        match self {
            Self::Given(given) => layers == given,
            Self::UpTo(most) => {
                let doubled = layers.is_multiple_of(FIRST) && (layers / FIRST).is_power_of_two();
                layers == 0 || layers == most || doubled
            }
        }
    }
}

impl Problem<'_> {
    /// Tunes layers on draws of a map, and judges the draws on the way.
    pub(super) fn candidate<T: Scalar, D: LogDensity<T>>(
        &self,
        what: String,
        map: Deformation<T>,
        (material, judge): (&Material<'_, T, D>, &Judge<'_>),
    ) -> Result<Candidate<T>> {
        self.progress.go_on(Stage::Flow)?;
        let draws = map.sample(self.judged().min(CARRIED), self.streams)?;
        let options = TuneOptions {
            layers: judge.plan.most(),
            ..TuneOptions::default()
        };
        let (mut tried, dim) = (Vec::new(), self.network.dim());
        let judged = |layers: usize, rows: Vec<T>, energies: &[f64]| {
            let samples = material.thetas(rows, dim)?;
            // outputs that are not finite are no error of the fit: such draws are not kept
            let lost = Closeness {
                distance: f64::NAN,
                spread: f64::NAN,
            };
            Ok(Judged {
                layers,
                close: judge.agreement.closeness(&samples).unwrap_or(lost),
                energy: mean_and_error(energies),
            })
        };
        let watch = |far: Passing, draws: &mut dyn Iterator<Item = (&[T], f64)>| {
            self.progress.go_on(Stage::Flow)?;
            let (layers, affordable) = (far.layers, judge.plan.affords(far.gradients));
            // the last look may come early, where draws halve many layers
            if affordable && !judge.plan.looks(layers) {
                return Ok(true);
            }
            let (mut rows, mut energies) = (Vec::new(), Vec::new());
            for (row, energy) in draws {
                rows.extend_from_slice(row);
                energies.push(energy);
            }
            let now = judged(layers, rows, &energies)?;
            let given = matches!(judge.plan, LayerPlan::Given(_));
            let go_on = given || (affordable && judge.rule.may_gain(tried.last(), &now));
            tried.push(now);
            Ok(go_on)
        };
        let (mass, energy) = (material.mass.clone(), &material.energy);
        let kinetic = tune_layers(mass, energy, &draws, &options, self.streams, watch)?;
        if tried.is_empty() {
            // draws diverged before the number of layers that was asked for
            let mut rows = draws;
            Layers::new(kinetic.clone(), energy.clone())?.carry(&mut rows, self.streams)?;
            let energies = energies(material.density, &rows)?;
            tried.push(judged(kinetic.steps().len(), rows, &energies)?);
        }
        Ok(Candidate {
            what,
            map,
            kinetic,
            tried,
        })
    }
}

impl<T: Scalar> Candidate<T> {
    /// The map with `layers` layers.
    pub(super) fn with_layers<D>(
        self,
        layers: usize,
        material: &Material<'_, T, D>,
    ) -> Result<Deformation<T>> {
        if layers == 0 {
            return Ok(self.map);
        }
        let steps = self.kinetic.steps().iter().take(layers).copied().collect();
        let kinetic = Kinetic::new(self.kinetic.mass().clone(), steps)?
            .with_tolerance(self.kinetic.tolerance())?;
        let layers = Layers::new(kinetic, material.energy.clone())?;
        self.map.with_layers(layers)
    }
}

#[cfg(test)]
mod tests {
    use super::LayerPlan::{Given, UpTo};
    use super::*;

    #[test]
    fn draws_are_judged_after_doubled_numbers_of_layers_and_after_all() {
        let all = |plan: LayerPlan| -> Vec<usize> {
            (0..=plan.most()).filter(|&k| plan.looks(k)).collect()
        };
        assert_eq!(all(UpTo(315)), [0, 10, 20, 40, 80, 160, 315]);
        assert_eq!(all(UpTo(6)), [0, 6]);
        assert_eq!(all(UpTo(0)), [0]);
        assert_eq!(all(Given(30)), [30]);
        assert_eq!(all(Given(0)), [0]);
    }

    #[test]
    fn layers_are_bounded_by_walkers_and_by_effort() {
        let plan =
            |each: usize, size: f64, draws: usize| LayerPlan::affordable((each, 64), size, draws);
        // a quarter of a walker's gradients; vehicle, 592 x 1154
        assert_eq!(plan(200, 6.8e5, 128), UpTo(50));
        assert_eq!(plan(1260, 8.7e4, 256), UpTo(315));
        assert_eq!(plan(9000, 8.7e3, 256), UpTo(320));
        // LeNet-5 on 5,000 images: a sixteenth of 16 x 100 gradients, for 16 draws
        let lenet = LayerPlan::affordable((100, 16), 3.1e8, 16);
        assert_eq!(lenet, UpTo(6));
    }
}
