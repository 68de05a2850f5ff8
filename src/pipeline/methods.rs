//! The method of a fit, after its estimate: nothing more, a walk and what is made of it, or one of the
//! baselines.

use super::checkpoint::Keeper;
use super::context::Problem;
use super::coordinates::Coordinates;
use super::{FitReport, KernelKind, Method};
use crate::artifact::Fitted;
use crate::curvature::{EvidenceReport, GgnOperator, TangentOptions, TangentSpace};
use crate::error::Result;
use crate::model::ScaleGroups;
use crate::scalar::Scalar;

impl Problem<'_> {
    /// The result of the method, from the estimate and its scales.
    pub(super) fn fit_method<T: Scalar>(
        &mut self,
        evidence: &EvidenceReport<T>,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        if self.options.method == Method::Map {
            return Ok(Fitted::Map);
        }
        if let Some(groups) = self.groups() {
            return self.sample_scales(groups, keeper, summary);
        }
        let posterior = self.posterior(evidence.prior_precision, evidence.noise_std)?;
        if !self.options.method.walks() {
            return self.baseline(&posterior, evidence, summary);
        }
        let mut op = GgnOperator::new(&posterior, &evidence.map.theta)?;
        let options = TangentOptions::default();
        let space = TangentSpace::new(&mut op, evidence.prior_precision, &options, self.streams)?;
        summary.tangent(&space);
        let walked = self.walk(&posterior, evidence, &space, keeper, summary)?;
        match self.options.method {
            Method::Walk => keeper.points(walked),
            _ => self.deform(&posterior, &walked, evidence, summary),
        }
    }

    /// A walk, or chains, in the coordinates of a scaled network.
    fn sample_scales<T: Scalar>(
        &mut self,
        groups: ScaleGroups,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let coordinates = Coordinates {
            scaled: self.scaled_network(groups),
            own: self.own(),
        };
        let density = self.scaled_density(&coordinates.scaled)?;
        if !self.options.method.walks() {
            return self.scaled_chains(&density, &coordinates, summary);
        }
        let walked = match self.options.kernel {
            KernelKind::Microcanonical => {
                self.scaled_walk(&density, &coordinates, groups, keeper, summary)?
            }
            _ => self.along_the_scaled_fiber(&density, &coordinates, keeper, summary)?,
        };
        match self.options.method {
            Method::Walk => keeper.points(walked),
            _ => self.deform_scaled(groups, walked, summary),
        }
    }
}
