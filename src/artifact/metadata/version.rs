//! Versions of the format of model files.

use std::borrow::Cow;

use super::Metadata;
use crate::artifact::Method;
use crate::model::Observation;

/// Newest format version that this crate reads. It writes the older of these that can hold the
/// model:
///
/// - Version 7: a calibration, which older programs would leave out; a flow whose draws are not
///   stored, which may smooth points and halve layers.
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
pub(crate) const SEALED: u32 = 6;

impl Metadata {
    /// The oldest format version that can hold these metadata.
    fn least_version(&self) -> u32 {
        let observation = self.task.observation();
        let plain = matches!(
            observation,
            Observation::Categorical | Observation::Gaussian
        );
        let unwarped = self.feature_warps.is_empty() && self.task.target_map().warp.is_none();
        if self.calibration.is_some() {
            FORMAT_VERSION
        } else if self.weights.is_some() || self.flow_layers > 0 {
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

    /// The version of a file with these metadata: the oldest with a checksum that can hold them. A
    /// flow that is sampled gets the newest, whatever its kind.
    pub(crate) fn written_version(&self) -> u32 {
        let sampled = !self.frozen && self.method == Method::Flow.name();
        let own = if sampled {
            FORMAT_VERSION
        } else {
            self.least_version().max(SEALED)
        };
        let members = self.members.iter();
        members.fold(own, |newest, m| newest.max(m.metadata.written_version()))
    }

    /// These metadata as they are written: with the version of what they hold, whichever they were
    /// read with.
    pub(in crate::artifact) fn sealed(&self) -> Cow<'_, Self> {
        let written = self.written_version();
        if self.format_version == written {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            format_version: written,
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
        let least = self.least_version();
        let fits = match self.format_version < SEALED {
            true => least == self.format_version,
            false => least <= self.format_version,
        };
        if !fits {
            return Err(format!(
                "version {} of its format does not fit what it holds, which takes version {}",
                self.format_version, least
            ));
        }
        Ok(())
    }
}
