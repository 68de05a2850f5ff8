//! From cells to numbers, one row at a time.

use super::{Feature, FeatureKind, Schema, shown};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::not_a_number;

/// A cell of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// Nothing.
    Missing,
}

/// Cells whose level the training rows lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The column.
    pub column: String,
    /// How many cells.
    pub count: usize,
    /// The text of the first.
    pub example: String,
}

/// Encodes rows by a [`Schema`], and counts the levels that it does not know.
#[derive(Clone, Debug)]
pub struct Encoder<'s> {
    schema: &'s Schema,
    rows: usize,
    values: Vec<f64>,
    /// For each feature, the number of unknown levels and the first of them.
    unknown: Vec<Option<(usize, String)>>,
}

impl Schema {
    /// Encodes one row, whose cells are in the order of [`Schema::features`]. An unknown level is
    /// encoded by the shares of the known ones.
    ///
    /// # Errors
    /// Another number of cells, a text where a number belongs, a number that is not finite, or a
    /// missing cell where no training row lacked one.
    ///
    /// ```
    /// use fiberwalk::data::{Cell, Dataset};
    ///
    /// let data = Dataset::builder()
    ///     .texts("sex", ["female", "male", "male"])
    ///     .optional_numbers("age", [Some(38.0), None, Some(22.0)])
    ///     .target_texts("survived", ["yes", "no", "no"])?;
    /// assert_eq!(data.feature_names(), ["sex=male", "age", "age is missing"]);
    /// let schema = data.schema();
    /// let row = schema.encode_row(&[Cell::Text("female"), Cell::Missing])?;
    /// assert_eq!(row, [0.0, 30.0, 1.0]);
    /// assert_eq!(schema.target().classes, ["no", "yes"]);
    /// # Ok::<(), fiberwalk::Error>(())
    /// ```
    pub fn encode_row(&self, cells: &[Cell<'_>]) -> Result<Vec<f64>> {
        let mut encoder = Encoder::new(self);
        encoder.push(cells)?;
        Ok(encoder.values)
    }
}

impl<'s> Encoder<'s> {
    /// No rows yet.
    pub fn new(schema: &'s Schema) -> Self {
        Self {
            schema,
            rows: 0,
            values: Vec::new(),
            unknown: vec![None; schema.features.len()],
        }
    }

    /// Adds a row, whose cells are in the order of [`Schema::features`].
    ///
    /// # Errors
    /// Those of [`Schema::encode_row`]. The row is then not added.
    pub fn push(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        let features = &self.schema.features;
        if cells.len() != features.len() {
            let expected = counted(features.len(), "cell");
            return Err(Error::shape("Encoder::push", expected, cells.len()));
        }
        let first = self.values.len();
        for (j, (feature, cell)) in features.iter().zip(cells).enumerate() {
            let added = match &feature.kind {
                FeatureKind::Number { fill } => self.number(feature, *fill, *cell),
                FeatureKind::Category { .. } => self.category(j, *cell),
            };
            if let Err(error) = added {
                self.values.truncate(first);
                return Err(error);
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn number(&mut self, feature: &Feature, fill: Option<f64>, cell: Cell<'_>) -> Result<()> {
        let (value, missing) = match (cell, fill) {
            (Cell::Number(value), _) if value.is_finite() => (value, 0.0),
            (Cell::Number(value), _) => {
                let column = Column::Named(feature.name.clone());
                return Err(not_a_number::<f64>("Encoder", self.rows, column, value));
            }
            (Cell::Missing, Some(fill)) => (fill, 1.0),
            (Cell::Missing, None) => return Err(never_missing(feature)),
            (Cell::Text(text), _) => {
                let what = format!("'{}' is not a number", shown(text));
                return Err(in_column(feature, what));
            }
        };
        self.values.push(value);
        if fill.is_some() {
            self.values.push(missing);
        }
        Ok(())
    }

    fn category(&mut self, j: usize, cell: Cell<'_>) -> Result<()> {
        let feature = &self.schema.features[j];
        let FeatureKind::Category { levels, missing } = &feature.kind else {
            return Ok(());
        };
        let known = |text: &str| levels.iter().position(|level| level.name == text);
        let (level, is_missing) = match cell {
            Cell::Missing if !missing => return Err(never_missing(feature)),
            Cell::Missing => {
                // the first of the most frequent levels
                let most = levels.iter().map(|l| l.share).fold(0.0, f64::max);
                (levels.iter().position(|l| l.share == most), 1.0)
            }
            Cell::Text(text) => (self.count(j, text, known(text)), 0.0),
            Cell::Number(number) => {
                let text = number.to_string();
                (self.count(j, &text, known(&text)), 0.0)
            }
        };
        let share_of = |k: usize| match level {
            Some(level) => f64::from(u8::from(level == k)),
            None => levels[k].share,
        };
        match levels.len() {
            // a single level tells nothing: its column is constant, whatever comes later
            1 => self.values.push(1.0),
            2 => self.values.push(share_of(1)),
            count => self.values.extend((0..count).map(share_of)),
        }
        if *missing {
            self.values.push(is_missing);
        }
        Ok(())
    }

    /// Counts a level that is not known.
    fn count(&mut self, j: usize, text: &str, known: Option<usize>) -> Option<usize> {
        if known.is_none() {
            let (count, _) = self.unknown[j].get_or_insert_with(|| (0, shown(text)));
            *count += 1;
        }
        known
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The unknown levels, by column.
    pub fn unknown(&self) -> Vec<Unknown> {
        let columns = self.schema.features.iter().zip(&self.unknown);
        let found = columns.filter_map(|(feature, unknown)| {
            let (count, example) = unknown.clone()?;
            Some(Unknown {
                column: feature.name.clone(),
                count,
                example,
            })
        });
        found.collect()
    }

    /// The encoded rows, row-major, as wide as [`Schema::encoded_names`].
    pub fn into_values(self) -> Vec<f64> {
        self.values
    }
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            column,
            count,
            example,
        } = self;
        let cells = counted(*count, "cell");
        write!(
            f,
            "column '{column}': {cells} with a level that the training rows lack (the first is \
             '{example}'); it counts as unknown"
        )
    }
}

fn never_missing(feature: &Feature) -> Error {
    let what = "a missing value, and no training row lacked one here";
    in_column(feature, what.into())
}

fn in_column(feature: &Feature, what: String) -> Error {
    Error::Data {
        file: None,
        line: None,
        column: Some(feature.name.clone()),
        what,
    }
}
