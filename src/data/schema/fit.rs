//! From the cells of the training rows to a schema.

use std::collections::HashMap;

use super::{Cell, Encoder, Feature, FeatureKind, Level, MAX_LEVELS, Schema, Target};
use crate::error::{Error, Result, counted};

/// The cells of a column.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) enum Raw {
    /// Numbers; NaN where one is missing.
    Numbers(Vec<f64>),
    /// Texts, each once, in the order in which they appear, and which of them each row has.
    Texts {
        texts: Vec<String>,
        rows: Vec<Option<u32>>,
    },
}

impl Raw {
    /// The texts of all rows; `None` where one is missing.
    pub(in crate::data) fn of_texts(cells: impl IntoIterator<Item = Option<String>>) -> Self {
        let mut texts = Texts::default();
        for cell in cells {
            texts.add(cell.as_deref());
        }
        texts.into_raw()
    }

    /// Number of rows.
    pub(in crate::data) fn len(&self) -> usize {
        match self {
            Raw::Numbers(numbers) => numbers.len(),
            Raw::Texts { rows, .. } => rows.len(),
        }
    }
}

/// Collects the texts of a column, each once.
#[derive(Debug, Default)]
pub(in crate::data) struct Texts {
    texts: Vec<String>,
    rows: Vec<Option<u32>>,
    /// Where each text stands.
    known: HashMap<String, u32>,
}

impl Texts {
    /// No texts yet, and room for so many rows.
    #[cfg(feature = "csv")]
    pub(in crate::data) fn with_capacity(rows: usize) -> Self {
        Self {
            rows: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    /// Adds a row; `None` where the text is missing.
    pub(in crate::data) fn add(&mut self, cell: Option<&str>) {
        let at = cell.map(|text| match self.known.get(text) {
            Some(&at) => at,
            None => {
                let at = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
                self.texts.push(text.to_string());
                self.known.insert(text.to_string(), at);
                at
            }
        });
        self.rows.push(at);
    }

    /// The cells.
    pub(in crate::data) fn into_raw(self) -> Raw {
        let Self { texts, rows, .. } = self;
        Raw::Texts { texts, rows }
    }
}

/// A column with its name.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) struct RawColumn {
    pub name: String,
    pub cells: Raw,
}

impl RawColumn {
    /// The cell of a row.
    fn cell(&self, row: usize) -> Cell<'_> {
        match &self.cells {
            Raw::Numbers(numbers) => match numbers.get(row) {
                Some(number) if !number.is_nan() => Cell::Number(*number),
                _ => Cell::Missing,
            },
            Raw::Texts { texts, rows } => {
                let text = rows.get(row).copied().flatten();
                match text.and_then(|at| texts.get(at as usize)) {
                    Some(text) => Cell::Text(text),
                    None => Cell::Missing,
                }
            }
        }
    }

    fn kind(&self) -> Result<FeatureKind> {
        match &self.cells {
            Raw::Numbers(numbers) => {
                let mut known: Vec<f64> = numbers.iter().copied().filter(|v| !v.is_nan()).collect();
                let missing = known.len() < numbers.len();
                if known.is_empty() {
                    return Err(self.refused("has no values at all: leave it out"));
                }
                Ok(FeatureKind::Number {
                    fill: missing.then(|| median(&mut known)),
                })
            }
            Raw::Texts { texts, rows } => {
                let mut counts = vec![0usize; texts.len()];
                for at in rows.iter().flatten() {
                    counts[*at as usize] += 1;
                }
                let known: usize = counts.iter().sum();
                if known == 0 {
                    return Err(self.refused("has no values at all: leave it out"));
                }
                let mut order: Vec<usize> = (0..texts.len()).filter(|&k| counts[k] > 0).collect();
                sort_levels(&mut order, |k| texts[k].as_str());
                if order.len() > MAX_LEVELS {
                    let texts = counted(order.len(), "different text");
                    let what =
                        format!("has {texts}, and a category has at most {MAX_LEVELS} levels");
                    return Err(self.refused(&what));
                }
                let level = |&k: &usize| Level {
                    name: texts[k].clone(),
                    share: counts[k] as f64 / known as f64,
                };
                Ok(FeatureKind::Category {
                    levels: order.iter().map(level).collect(),
                    missing: known < rows.len(),
                })
            }
        }
    }

    fn refused(&self, what: &str) -> Error {
        Error::Data {
            file: None,
            line: None,
            column: Some(self.name.clone()),
            what: what.into(),
        }
    }
}

impl Schema {
    /// The schema of these columns.
    ///
    /// # Errors
    /// A column without any value, or with more than 100 different texts.
    pub(in crate::data) fn fit(
        columns: &[RawColumn],
        target: Target,
        missing_values: Option<Vec<String>>,
    ) -> Result<Self> {
        let feature = |column: &RawColumn| {
            Ok(Feature {
                name: column.name.clone(),
                kind: column.kind()?,
            })
        };
        Ok(Self {
            features: columns.iter().map(feature).collect::<Result<_>>()?,
            target,
            missing_values,
        })
    }

    /// Encodes the columns that the schema was made from.
    ///
    /// # Errors
    /// Those of [`Encoder::push`].
    pub(in crate::data) fn encode_columns(
        &self,
        columns: &[RawColumn],
        rows: usize,
    ) -> Result<Vec<f64>> {
        let mut encoder = Encoder::new(self);
        let mut cells = Vec::with_capacity(columns.len());
        for row in 0..rows {
            cells.clear();
            cells.extend(columns.iter().map(|column| column.cell(row)));
            encoder.push(&cells)?;
        }
        Ok(encoder.into_values())
    }
}

/// Sorts levels: by their number if all are numbers, else by their text.
pub(in crate::data) fn sort_levels<'t, K: Copy>(levels: &mut [K], text: impl Fn(K) -> &'t str) {
    let number = |k: K| text(k).parse::<f64>().ok().filter(|v| v.is_finite());
    if levels.iter().all(|&k| number(k).is_some()) {
        levels.sort_by(|&a, &b| {
            let (p, q) = (number(a).unwrap_or(0.0), number(b).unwrap_or(0.0));
            p.total_cmp(&q).then_with(|| text(a).cmp(text(b)))
        });
    } else {
        levels.sort_by(|&a, &b| text(a).cmp(text(b)));
    }
}

/// The median; the mean of the middle two of an even number.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => 0.5 * values[middle - 1] + 0.5 * values[middle],
    }
}
