//! The mode of a posterior whose scales are sampled, and walks along its fiber.
//!
//! Over standard normal numbers and log scales the joint mode exists: as a scale goes to zero, the
//! numbers that it multiplies would have to grow, and that costs energy. (Over parameters and
//! scales the density has no bound: all parameters of a group at zero and its scale near zero.) At
//! the mode, a group of `n` parameters with a sum of squares `s` has its scale near `s^{1/2}`. Most
//! of the posterior has it near `(s / n)^{1/2}`. So the mode is a point to start from and to
//! compare with; it does not predict well.

use super::checkpoint::Keeper;
use super::context::Problem;
use super::coordinates::Coordinates;
use super::hierarchy::descent;
use super::probe::ScaledProbe;
use super::walk::{Along, Way};
use super::{FitReport, Method, Stage, WalkSettings};
use crate::curvature::{EvidenceReport, GgnOperator, TangentOptions, TangentSpace};
use crate::error::Result;
use crate::model::{LogDensity, Observation, PosteriorDensity};
use crate::nn::Network;
use crate::optim::{MapOptions, MapReport, fit_map};
use crate::scalar::Scalar;
use crate::walk::Walk;

/// Prior precision of the standard normal numbers.
const UNIT: f64 = 1.0;

impl Problem<'_> {
    /// The joint mode; with fewer steps, a point on the way to it.
    fn descend<T: Scalar>(
        &self,
        density: &PosteriorDensity<T>,
        coordinates: &Coordinates<'_>,
        options: &MapOptions,
        stage: Stage,
    ) -> Result<MapReport<T>> {
        let starts = self.scaled_starts(&coordinates.scaled, coordinates.own, 1)?;
        let start = starts.into_iter().next().unwrap_or_default();
        fit_map(density, start, options, |done| {
            self.progress.step(stage, done, options.steps)
        })
    }

    /// For `map`, the joint mode. For a walk, a substitute: the first start, moved to where the
    /// network explains the data.
    pub(super) fn stand_in<T: Scalar>(&self, summary: &mut FitReport) -> Result<EvidenceReport<T>> {
        let Some(coordinates) = self.coordinates() else {
            return self.fit_map(summary);
        };
        let Coordinates { scaled, own } = &coordinates;
        let density = self.scaled_density::<T>(scaled)?;
        let to_the_mode = self.method() == Method::Map;
        let options = if to_the_mode {
            MapOptions::default()
        } else {
            descent()
        };
        let mut map = self.descend(&density, &coordinates, &options, Stage::Map)?;
        if to_the_mode {
            summary.map(&map, None);
            let logs = map.theta[scaled.inner().dim()..].iter();
            let scales: Vec<f64> = logs.map(|t| t.to_f64().exp()).collect();
            summary.joint_mode(&coordinates.names(), &scales);
        }
        let noise_std = match (self.options.noise_std, own) {
            (Some(std), _) => Some(std),
            (None, 0) => None,
            (None, _) => map.theta.get(scaled.dim()).map(|s| s.to_f64().exp()),
        };
        let mut theta = vec![T::ZERO; scaled.inner().dim()];
        scaled.theta(&map.theta, &mut theta)?;
        map.theta = theta;
        summary.descent_gradients = Some(map.gradients);
        Ok(EvidenceReport::given(map, UNIT, noise_std))
    }

    /// A drift or a tangent walk from the joint mode.
    pub(super) fn along_the_scaled_fiber<T: Scalar>(
        &self,
        settings: &WalkSettings,
        density: &PosteriorDensity<T>,
        coordinates: &Coordinates<'_>,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<Walk<T>> {
        let options = self.walk_options(settings)?;
        let map = self.descend(density, coordinates, &MapOptions::default(), Stage::Starts)?;
        summary.map(&map, None);
        let how = TangentOptions::default();
        let mut op = GgnOperator::new(density, &map.theta)?;
        let space = TangentSpace::new(&mut op, UNIT, &how, self.streams)?;
        summary.tangent(&space);
        let (scaled, own) = (&coordinates.scaled, coordinates.own);
        let softmax = self.prepared.observation == Observation::Categorical;
        let probe = ScaledProbe::new(scaled, own, &self.prepared.x, softmax)?;
        let starts = [map.theta];
        let along = Along {
            density,
            starts: &starts,
            energy: map.energy,
            alpha: UNIT,
            space: &space,
            probe: &probe,
        };
        let mut way = Way {
            settings,
            keeper,
            summary,
            workspace: density.workspace_bytes(),
            frame: size_of_val(space.basis()),
        };
        let walked = self.along_the_fiber(&along, &options, &mut way)?;
        let predictions = probe.predictions();
        summary.walk(&walked, (density.dim() as f64).sqrt());
        summary.convergence(&walked, 1, predictions)?;
        if let Some(groups) = self.groups() {
            summary.sampled_scales(&walked, groups, &coordinates.names(), predictions)?;
        }
        summary.cut_short(&walked, options.most_steps());
        Ok(walked)
    }
}
