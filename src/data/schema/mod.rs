//! What the columns of a table are, and how their cells become numbers.
//!
//! | column | becomes |
//! |---|---|
//! | numbers | themselves |
//! | a category of one or two levels | one number: 0 for the first level, 1 for the second |
//! | a category of `K > 2` levels | `K` indicators |
//! | a column that some training rows lack | one more indicator: 1 where a cell is missing |
//!
//! A missing cell itself gets the median, or the most frequent level, of the training rows.
//!
//! Levels are sorted, by their number if all are numbers. A level that the training rows lack is
//! *unknown*. It is encoded by the shares of the known levels: the mean of the encoded rows, which
//! standardisation turns into 0. A cell that is missing where no training row lacked one is an
//! error: the model has never seen that.

mod check;
mod encode;
mod fit;
#[cfg(test)]
mod tests;

pub use encode::{Cell, Encoder, Unknown};
#[cfg(feature = "csv")]
pub(super) use fit::Texts;
pub(super) use fit::{Raw, RawColumn, sort_levels};

use crate::error::counted;

/// Most levels of a category.
pub(super) const MAX_LEVELS: usize = 100;

/// What stands for a missing cell unless told otherwise, in any case: `""`, `NA`, `N/A`, `NaN`,
/// `null`, `?`.
pub const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "?"];

/// The columns of a table: features in order, and the target.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct Schema {
    pub(super) features: Vec<Feature>,
    pub(super) target: Target,
    /// What stands for a missing cell besides an empty one, if it is not [`MISSING`].
    #[cfg_attr(
        feature = "safetensors",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub(super) missing_values: Option<Vec<String>>,
}

/// A column that a model learns from.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct Feature {
    /// Name of the column.
    pub name: String,
    /// What it holds.
    #[cfg_attr(feature = "safetensors", serde(flatten))]
    pub kind: FeatureKind,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "safetensors",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum FeatureKind {
    /// Numbers.
    Number {
        /// The median of the training rows, if some of them lack the number.
        #[cfg_attr(
            feature = "safetensors",
            serde(default, skip_serializing_if = "Option::is_none")
        )]
        fill: Option<f64>,
    },
    /// Text, or numbers that name something.
    Category {
        /// The levels, sorted.
        levels: Vec<Level>,
        /// True if some training rows lack the level.
        #[cfg_attr(
            feature = "safetensors",
            serde(default, skip_serializing_if = "std::ops::Not::not")
        )]
        missing: bool,
    },
}

/// A level of a category.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct Level {
    /// Its text.
    pub name: String,
    /// Its share of the training rows that have a level.
    pub share: f64,
}

/// The column that a model predicts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct Target {
    /// Name of the column.
    pub name: String,
    /// Names of the classes, in order. Empty for a number, and for classes that are called 0, 1...
    #[cfg_attr(
        feature = "safetensors",
        serde(default, skip_serializing_if = "Vec::is_empty")
    )]
    pub classes: Vec<String>,
}

impl FeatureKind {
    /// True if some training rows lack the cell.
    pub fn has_missing(&self) -> bool {
        match self {
            FeatureKind::Number { fill } => fill.is_some(),
            FeatureKind::Category { missing, .. } => *missing,
        }
    }
}

impl Schema {
    /// A table of numbers without missing cells.
    pub fn of_numbers(features: &[String], target: &str) -> Self {
        let feature = |name: &String| Feature {
            name: name.clone(),
            kind: FeatureKind::Number { fill: None },
        };
        Self {
            features: features.iter().map(feature).collect(),
            target: Target {
                name: target.into(),
                classes: Vec::new(),
            },
            missing_values: None,
        }
    }

    /// The columns that a model learns from.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The column that a model predicts.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// True if every feature is a number that is never missing, and classes are called 0, 1...
    pub fn is_plain(&self) -> bool {
        self.is_of_numbers() && self.target.classes.is_empty() && self.missing_values.is_none()
    }

    /// True if every feature is a number that is never missing.
    pub(crate) fn is_of_numbers(&self) -> bool {
        let number = |f: &Feature| f.kind == FeatureKind::Number { fill: None };
        self.features.iter().all(number)
    }

    /// True if this trimmed cell stands for a missing one.
    pub fn is_missing(&self, cell: &str) -> bool {
        is_missing(self.missing_values.as_deref(), cell)
    }

    /// Names of the encoded columns: `age`, `sex=male`, `deck=A`, `deck=B`, `age is missing`.
    pub fn encoded_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for Feature { name, kind } in &self.features {
            match kind {
                FeatureKind::Number { .. } => names.push(name.clone()),
                FeatureKind::Category { levels, .. } => {
                    let shown = if levels.len() > 2 {
                        &levels[..]
                    } else {
                        &levels[levels.len() - 1..]
                    };
                    names.extend(
                        shown
                            .iter()
                            .map(|level| format!("{name}={}", one_line(&level.name))),
                    );
                }
            }
            if kind.has_missing() {
                names.push(format!("{name} is missing"));
            }
        }
        names
    }

    /// The class that a label names.
    pub fn class_of(&self, label: &str) -> Option<usize> {
        self.target.classes.iter().position(|name| name == label)
    }

    /// A line for every feature that is not simply a number.
    pub fn describe(&self) -> Vec<String> {
        let special = self.features.iter().filter_map(|Feature { name, kind }| {
            let missing = if kind.has_missing() {
                "; missing cells have an indicator"
            } else {
                ""
            };
            match kind {
                FeatureKind::Number { fill: None } => None,
                FeatureKind::Number { fill: Some(fill) } => Some(format!(
                    "'{name}': a number; where it is missing, the median {fill} and an indicator"
                )),
                FeatureKind::Category { levels, .. } => {
                    let names = list(levels.iter().map(|l| l.name.as_str()));
                    let count = counted(levels.len(), "level");
                    Some(format!(
                        "'{name}': a category of {count} ({names}){missing}"
                    ))
                }
            }
        });
        let classes = (!self.target.classes.is_empty()).then(|| {
            let names = list(self.target.classes.iter().map(String::as_str));
            format!("'{}': classes in this order: {names}", self.target.name)
        });
        special.chain(classes).collect()
    }
}

/// True if a trimmed cell stands for a missing one: it is empty, or one of `values`, or of
/// [`MISSING`].
pub(super) fn is_missing(values: Option<&[String]>, cell: &str) -> bool {
    match values {
        None => MISSING.iter().any(|m| m.eq_ignore_ascii_case(cell)),
        Some(values) => cell.is_empty() || values.iter().any(|v| stands_for(v, cell)),
    }
}

/// True if a cell is a text, in any case, or the number that it says: `-999.0` is `-999`.
pub(super) fn stands_for(text: &str, cell: &str) -> bool {
    let number = |text: &str| text.replace(',', ".").parse::<f64>().ok();
    text.eq_ignore_ascii_case(cell) || number(text).is_some_and(|v| number(cell) == Some(v))
}

/// A cell made fit for an error message: short, on one line, without control characters.
pub(super) fn shown(cell: &str) -> String {
    const LONGEST: usize = 40;
    let mut text: String = cell.chars().take(LONGEST).collect();
    if text.len() < cell.len() {
        text.push_str("...");
    }
    text.escape_debug().to_string()
}

/// A text without control characters, which would garble messages and tables.
fn one_line(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Names as an option takes them: separated by commas, in quotes as in CSV where they need them,
/// and all in quotes of the shell where it would not take them as they are.
#[cfg(feature = "csv")]
pub(super) fn as_option<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |name: &str| match name.contains([',', '"']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_string(),
    };
    let names: Vec<String> = names.into_iter().map(quoted).collect();
    let all = names.join(",");
    let plain = |c: char| c.is_alphanumeric() || "_-.,:+@%/".contains(c);
    match all.chars().all(plain) {
        true => all,
        false => format!("'{}'", all.replace('\'', "'\\''")),
    }
}

/// Names for a message: the first ones, and how many there are.
pub(super) fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let count = names.len();
    let mut text = names.take(MOST).map(shown).collect::<Vec<_>>().join(", ");
    if count > MOST {
        text.push_str(&format!(", ... ({count} in all)"));
    }
    text
}
