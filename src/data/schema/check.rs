//! Checks of a schema that comes from a file.

use std::collections::HashSet;

use super::{Feature, FeatureKind, Schema};
use crate::error::{Error, Result};

impl Schema {
    /// Checks a schema that was read from a file.
    ///
    /// # Errors
    /// A name that appears twice, a category without levels, a level that appears twice, or a
    /// number that is not finite.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |name: &str, what: &str| {
            let what = format!("the schema of column '{name}' {what}");
            Err(Error::data(what))
        };
        let mut seen = HashSet::from([self.target.name.as_str()]);
        for Feature { name, kind } in &self.features {
            if !seen.insert(name) {
                return wrong(name, "appears twice");
            }
            match kind {
                FeatureKind::Number { fill } => {
                    if fill.is_some_and(|fill| !fill.is_finite()) {
                        return wrong(name, "has a median that is not finite");
                    }
                }
                FeatureKind::Category { levels, .. } => {
                    let names: HashSet<&str> = levels.iter().map(|l| l.name.as_str()).collect();
                    if levels.is_empty() || names.len() != levels.len() {
                        return wrong(name, "has no levels, or one twice");
                    }
                    if levels.iter().any(|l| !(0.0..=1.0).contains(&l.share)) {
                        return wrong(name, "has a share outside 0 to 1");
                    }
                }
            }
        }
        let classes: HashSet<&String> = self.target.classes.iter().collect();
        if classes.len() != self.target.classes.len() || classes.len() == 1 {
            return wrong(&self.target.name, "has one class, or one twice");
        }
        Ok(())
    }
}
