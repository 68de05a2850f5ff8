//! Entries of sampled scales in the report of a fit.

use super::FitReport;
use crate::artifact::report;
use crate::diagnose::{Chains, rhat};
use crate::error::Result;
use crate::model::ScaleGroups;
use crate::scalar::Scalar;
use crate::walk::Walk;

impl FitReport {
    /// The scales at the joint mode.
    pub(super) fn joint_mode(&mut self, names: &[String], scales: &[f64]) {
        let each = names.iter().zip(scales);
        let each = each.map(|(name, &value)| report::ModeScale {
            name: name.clone(),
            value,
        });
        self.mode_scales = each.collect();
    }

    /// The posterior of the scales, and whether walkers agree about them. `first` values are
    /// observed before the log scales.
    pub(super) fn sampled_scales<T: Scalar>(
        &mut self,
        walk: &Walk<T>,
        groups: ScaleGroups,
        names: &[String],
        first: usize,
    ) -> Result<()> {
        let trace = &walk.trace;
        if trace.blocks() < 4 || trace.particles() < 2 {
            return Ok(());
        }
        let particles = trace.particles();
        let mut scales = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let at = first + i;
            let logs: Vec<f64> = (0..particles)
                .flat_map(|p| (0..trace.blocks()).map(move |b| (b, p)))
                .map(|(b, p)| Ok(trace.observed_after(b)?[p * trace.len + at]))
                .collect::<Result<_>>()?;
            let n = logs.len() as f64;
            let mean = logs.iter().map(|t| t.exp()).sum::<f64>() / n;
            let squares: f64 = logs.iter().map(|t| (t.exp() - mean).powi(2)).sum();
            scales.push(report::SampledScale {
                name: name.clone(),
                mean,
                std: (squares / n).sqrt(),
                rhat: rhat(&Chains::new(&logs, particles)?),
            });
        }
        let groups = groups.to_string();
        self.sampled_scales = Some(report::SampledScales { groups, scales });
        Ok(())
    }
}
