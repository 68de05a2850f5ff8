//! Versions of the format of model files.

use std::borrow::Cow;

use super::Metadata;
use crate::model::Observation;

/// Newest format version that this crate reads, and the one that it writes:
///
/// - Version 7: any of the following, or a flow of smoothed points, or kinetic layers that draws
///   halve.
/// - Version 6: any of the following, rows with weights, or a flow with kinetic layers; with a
///   checksum.
///
/// Files of versions before 6 have no checksum. Each has the oldest version that can hold it:
///
/// - Version 1: everything that needs none of the following.
/// - Version 2: samples that carry their own scales.
/// - Version 3: warped columns, likelihoods other than softmax and Gaussian, or several models in
///   one file.
/// - Version 4: a model built from parts of the program that made the file.
/// - Version 5: columns that are not plain numbers, or classes with names.
pub const FORMAT_VERSION: u32 = 7;

/// The first version whose files must have a checksum.
pub(in crate::artifact) const SEALED: u32 = 6;

impl Metadata {
    /// The oldest format version that can hold these metadata.
    fn least_version(&self) -> u32 {
        let observation = self.task.observation();
        let plain = matches!(
            observation,
            Observation::Categorical | Observation::Gaussian
        );
        let unwarped = self.feature_warps.is_empty() && self.task.target_map().warp.is_none();
        if self.weights.is_some() || self.flow_layers > 0 {
            SEALED
        } else if self.schema.is_some() {
            5
        } else if self.own_model().is_some() {
            4
        } else if !plain || !unwarped || !self.members.is_empty() {
            3
        } else if self.scales.is_some() {
            2
        } else {
            1
        }
    }

    /// These metadata as they are written: with the newest version, whichever they were read with.
    pub(in crate::artifact) fn sealed(&self) -> Cow<'_, Self> {
        if self.format_version == FORMAT_VERSION {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            format_version: FORMAT_VERSION,
            ..self.clone()
        })
    }

    /// Checks that this program reads the version, and that it is the one of what the file holds.
    pub(super) fn check_version(&self) -> std::result::Result<(), String> {
        if !(1..=FORMAT_VERSION).contains(&self.format_version) {
            return Err(format!(
                "its format is version {}, this program reads versions 1 to {FORMAT_VERSION}",
                self.format_version
            ));
        }
        if self.format_version < SEALED && self.least_version() != self.format_version {
            return Err(format!(
                "version {} of its format does not fit what it holds, which takes version {}",
                self.format_version,
                self.least_version()
            ));
        }
        Ok(())
    }
}
