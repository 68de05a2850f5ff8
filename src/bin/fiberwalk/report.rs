//! The summary of a fit: lines for the reader, and the same figures for the model file.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Collects what a fit has to say.
#[derive(Default)]
pub struct Summary {
    text: String,
    pub figures: BTreeMap<String, f64>,
}

impl Summary {
    /// A line under a heading.
    pub fn line(&mut self, heading: &str, text: impl AsRef<str>) {
        // writing to a String cannot fail
        let _ = writeln!(self.text, "{heading:<10} {}", text.as_ref());
    }

    /// A figure for the model file.
    pub fn figure(&mut self, name: &str, value: f64) {
        // JSON has no infinities
        if value.is_finite() {
            self.figures.insert(name.into(), value);
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}
