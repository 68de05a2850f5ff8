//! The method of a fit, after its estimate: nothing more, a walk and what is made of it, or one of
//! the baselines.

use super::checkpoint::Keeper;
use super::context::Problem;
use super::coordinates::Coordinates;
use super::{FitReport, KernelOptions, MethodOptions};
use crate::artifact::Fitted;
use crate::curvature::{EvidenceReport, GgnOperator, TangentOptions, TangentSpace};
use crate::error::{Error, Result};
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
        let method = &self.options.method;
        if matches!(method, MethodOptions::Map) {
            return Ok(Fitted::Map);
        }
        if let Some(groups) = self.groups() {
            return self.sample_scales(groups, keeper, summary);
        }
        let posterior = self.posterior(evidence.prior_precision, evidence.noise_std)?;
        let Some(settings) = method.walk() else {
            return self.baseline(&posterior, evidence, summary);
        };
        let mut op = GgnOperator::new(&posterior, &evidence.map.theta)?;
        let options = TangentOptions::default();
        let space = TangentSpace::new(&mut op, evidence.prior_precision, &options, self.streams)?;
        summary.tangent(&space);
        let (walked, mass) = self.walk(settings, &posterior, evidence, &space, keeper, summary)?;
        self.bracket(settings, &posterior, &walked, summary)?;
        match method.deforming() {
            None => keeper.points(walked),
            Some(how) => self.deform(how, &posterior, (&walked, mass), evidence, summary),
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
        let method = &self.options.method;
        if let MethodOptions::Hmc(chains) | MethodOptions::Nuts(chains) = method {
            return self.scaled_chains(chains, &density, &coordinates, summary);
        }
        let Some(walk) = method.walk() else {
            let requirement = "does not sample scales";
            return Err(Error::config("method", self.method(), requirement));
        };
        let walked = match &walk.kernel {
            KernelOptions::Microcanonical(of_kernel) => {
                let how = (walk, of_kernel);
                self.scaled_walk(how, &density, &coordinates, groups, keeper, summary)?
            }
            KernelOptions::Drift | KernelOptions::Tangent => {
                self.along_the_scaled_fiber(walk, &density, &coordinates, keeper, summary)?
            }
        };
        self.bracket(walk, &density, &walked, summary)?;
        match method.deforming() {
            None => keeper.points(walked),
            Some(how) => self.deform_scaled(how, groups, walked, summary),
        }
    }
}
