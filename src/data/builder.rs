//! Tables from columns in memory: numbers, texts, and either with gaps.

use super::dataset::{Dataset, TaskKind};
use super::schema::{Raw, RawColumn, Schema, Target};
use super::targets::Targets;
use crate::error::{Column, Error, Result, counted};
use crate::linalg::not_a_number;

/// Builds a [`Dataset`] from columns, by the rules of [`Schema`]. Start with [`Dataset::builder`].
#[derive(Debug, Default)]
pub struct DatasetBuilder {
    columns: Vec<RawColumn>,
    weights: Option<(String, Vec<f64>)>,
    task: Option<TaskKind>,
    error: Option<Error>,
}

impl Dataset {
    /// A data set from columns of numbers and texts, with or without gaps.
    pub fn builder() -> DatasetBuilder {
        DatasetBuilder::default()
    }
}

impl DatasetBuilder {
    /// Adds a feature of numbers.
    #[must_use]
    pub fn numbers(self, name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        self.optional_numbers(name, values.into_iter().map(Some))
    }

    /// Adds a feature of numbers, some of which are missing.
    #[must_use]
    pub fn optional_numbers(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = Option<f64>>,
    ) -> Self {
        let name = name.into();
        let cells = self.numbers_of(&name, values);
        self.columns.push(RawColumn { name, cells });
        self
    }

    /// Adds a category.
    #[must_use]
    pub fn texts<S: Into<String>>(
        self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        self.optional_texts(name, values.into_iter().map(Some))
    }

    /// Adds a category, some cells of which are missing.
    #[must_use]
    pub fn optional_texts<S: Into<String>>(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = Option<S>>,
    ) -> Self {
        let cells = Raw::of_texts(values.into_iter().map(|text| text.map(Into::into)));
        let name = name.into();
        self.columns.push(RawColumn { name, cells });
        self
    }

    /// Says what the targets are. Without it, texts are classes. So are numbers that are exactly
    /// `0..K`, with `K >= 2` and `2 (K - 1) <= n` for `n` rows.
    #[must_use]
    pub fn task(mut self, task: TaskKind) -> Self {
        self.task = Some(task);
        self
    }

    /// Says how often each row counts in the likelihood. The column is no feature.
    #[must_use]
    pub fn weights(
        mut self,
        name: impl Into<String>,
        weights: impl IntoIterator<Item = f64>,
    ) -> Self {
        self.weights = Some((name.into(), weights.into_iter().collect()));
        self
    }

    /// Adds the targets as numbers or class labels, and ends the table.
    ///
    /// # Errors
    /// No columns, columns of unequal length, a number that is not finite, a name that appears
    /// twice, a column without values, more than 100 texts in a column, or labels that are not
    /// classes.
    pub fn target_numbers(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = f64>,
    ) -> Result<Dataset> {
        let name = name.into();
        let cells = self.numbers_of(&name, values.into_iter().map(Some));
        self.end(name, cells)
    }

    /// Adds the targets as texts that name classes, and ends the table. Classes are sorted.
    ///
    /// # Errors
    /// Those of [`DatasetBuilder::target_numbers`].
    pub fn target_texts<S: Into<String>>(
        self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Result<Dataset> {
        let cells = Raw::of_texts(values.into_iter().map(|text| Some(text.into())));
        self.end(name.into(), cells)
    }

    /// Numbers with NaN for a missing one. The first that is not finite is remembered as an error.
    fn numbers_of(&mut self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Raw {
        let values: Vec<Option<f64>> = values.into_iter().collect();
        let bad = values
            .iter()
            .position(|v| v.is_some_and(|v| !v.is_finite()));
        if let (Some(row), None) = (bad, &self.error) {
            let (column, value) = (Column::Named(name.into()), values[row].unwrap_or(f64::NAN));
            self.error = Some(not_a_number::<f64>("DatasetBuilder", row, column, value));
        }
        Raw::Numbers(values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }

    fn end(self, name: String, cells: Raw) -> Result<Dataset> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let rows = cells.len();
        if let Some(column) = self.columns.iter().find(|c| c.cells.len() != rows) {
            let expected = format!("{} in column '{}'", counted(rows, "cell"), column.name);
            return Err(Error::shape("DatasetBuilder", expected, column.cells.len()));
        }
        let targets = Targets::of(cells, self.task).map_err(|(row, what)| {
            let place = row.map_or_else(String::new, |row| format!("row {row}: "));
            Error::Data {
                file: None,
                line: None,
                column: Some(name.clone()),
                what: place + &what,
            }
        })?;
        let classes = targets.classes;
        let schema = Schema::fit(&self.columns, Target { name, classes }, None)?;
        schema.check()?;
        let features = schema.encode_columns(&self.columns, rows)?;
        let (names, target) = (schema.encoded_names(), schema.target().name.clone());
        let mut data = Dataset::new(features, targets.values, names, target, targets.task)?;
        if let Some((name, weights)) = self.weights {
            data = data.with_weights(name, weights)?;
        }
        Ok(data
            .with_schema(schema)
            .with_notes(targets.note.into_iter().collect()))
    }
}
