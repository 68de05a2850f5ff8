//! The columns of the tables that a model predicts.

use super::Metadata;
use crate::data::Schema;
use crate::model::Observation;

impl Metadata {
    /// The columns that a table to predict must have.
    pub fn schema(&self) -> Schema {
        let plain = || Schema::of_numbers(&self.feature_names, &self.target_name);
        self.schema.clone().unwrap_or_else(plain)
    }

    /// True if predictions may be stretched around their means: those of a real target that is
    /// neither a count nor transformed, whichever model of a mixture they are by.
    pub(crate) fn stretches(&self) -> bool {
        let observation = self.task.observation();
        let plain = self.task.classes().is_none() && self.task.target_map().warp.is_none();
        plain
            && observation != Observation::Poisson
            && observation != Observation::Own
            && self.members.iter().all(|m| m.metadata.stretches())
    }

    /// Checks that the schema is that of the features.
    pub(super) fn check_schema(&self) -> std::result::Result<(), String> {
        let Some(schema) = &self.schema else {
            return Ok(());
        };
        schema.check().map_err(|e| e.to_string())?;
        let classes = schema.target().classes.len();
        let named = classes == 0 || Some(classes) == self.task.classes();
        let fits = schema.encoded_names() == self.feature_names
            && schema.target().name == self.target_name
            && (self.image.is_none() || schema.is_of_numbers());
        match fits && named {
            true => Ok(()),
            false => Err("its schema is not that of its features and target".into()),
        }
    }
}
