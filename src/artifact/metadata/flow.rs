//! What the metadata say of a flow.

use super::Metadata;
use crate::artifact::task::positive;
use crate::deform::UnitFlowOptions;

impl Metadata {
    /// The settings of a flow of exchangeable units; `None` for any other file.
    pub fn unit_flow(&self) -> Option<UnitFlowOptions> {
        let [blocks, pooled] = self.flow_units?;
        Some(UnitFlowOptions {
            blocks,
            hidden: self.flow_hidden.clone(),
            pooled,
        })
    }

    /// Checks the numbers of a flow; an error is a sentence.
    pub(super) fn check_flow(&self) -> Result<(), String> {
        // A file must not ask for more memory than it has bytes. A flow with so many layers has
        // more parameters than the tensors hold.
        if self
            .flow_units
            .is_some_and(|[blocks, pooled]| blocks > 64 || pooled > 4_096)
        {
            return Err(format!("flow_units is {:?}", self.flow_units));
        }
        if self.flow_proposals == 0 || self.flow_proposals > 1_024 {
            return Err(format!("{} proposals a draw", self.flow_proposals));
        }
        if self.flow_layers > 100_000 {
            return Err(format!("{} kinetic layers", self.flow_layers));
        }
        if let Some(scale) = self.flow_noise_scale {
            positive("flow_noise_scale", scale)?;
        }
        Ok(())
    }
}
