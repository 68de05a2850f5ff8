//! Data sets from CSV files: new ones, ones for a trained model, or features alone.

use std::path::Path;

use super::columns::{Reading, read_columns, weight};
use super::csv::{CsvFormat, Source, at, finite};
use super::csv_text::CsvText;
use super::dataset::{Dataset, Task, is_label};
use super::dialect::number;
use super::memory;
use super::options::{CsvOptions, FeatureRows, RowOptions};
use super::schema::{Cell, Encoder, FeatureKind, Schema, list, shown};
use crate::error::{Error, Result, counted};

/// Reads a data set. Every column but the target and those to ignore is a feature.
///
/// A column whose cells are numbers is a number, one whose cells are texts is a category; numbers
/// and texts in one column are an error unless [`CsvOptions::types`] decides. [`Schema`] says how
/// they are encoded, and what happens to missing cells. A first column without a name that numbers
/// the rows is left out.
///
/// Texts as targets are classes. Whole numbers are classes if they are exactly `0..K`, with
/// `K >= 2` and `2 (K - 1) <= n` for `n` rows. Otherwise they are real numbers, unless
/// classification is asked for: any whole numbers are labels then. A *count* that takes each of the
/// values 0 to 9 looks like classes, and needs [`CsvOptions::task`]. [`Dataset::notes`] says where
/// the choice may be wrong.
///
/// # Errors
/// Those of [`read_table`](super::read_table) about lines and quotes; an unknown column, no
/// feature, a column without values, a date, more than 100 texts in a column, a missing target, or
/// labels that are not classes.
pub fn load_csv(path: &Path, options: &CsvOptions) -> Result<Dataset> {
    CsvText::open(path)?.dataset(options)
}

/// Reads a data set for a model that was trained on the columns of `schema`. The file may hold them
/// in any order, and other columns too.
///
/// # Errors
/// Those of [`read_table`](super::read_table) about lines and quotes, a missing column, and a cell
/// that does not fit its column. For classification: a label that is not one of the model.
pub fn load_for_schema(
    path: &Path,
    schema: &Schema,
    task: Task,
    options: &RowOptions,
) -> Result<Dataset> {
    CsvText::open(path)?.dataset_for_schema(schema, task, options)
}

/// Reads the features for prediction. The file may hold the columns in any order, and other columns
/// too. The target's cells are not read.
///
/// # Errors
/// Those of [`load_for_schema`], except for the target.
pub fn load_features(path: &Path, schema: &Schema, options: &RowOptions) -> Result<FeatureRows> {
    CsvText::open(path)?.features(schema, options)
}

/// The line, from 1, on which row `row` (from 0) of a CSV file begins; `None` if there is no such
/// row. For messages about a row that was read before: it reads the file again.
///
/// # Errors
/// Those of [`read_table`](super::read_table) about lines and quotes.
pub fn line_of_row(path: &Path, format: &CsvFormat, row: usize) -> Result<Option<u64>> {
    let csv = CsvText::open(path)?;
    let source = Source::open(&csv, format)?;
    let mut last = None;
    let rows = source.rows(row.checked_add(1), |line, _| {
        last = Some(line);
        Ok(())
    })?;
    Ok(last.filter(|_| rows > row))
}

impl CsvText {
    /// A data set, by the rules of [`load_csv`].
    ///
    /// # Errors
    /// [`Error::Data`]: see [`load_csv`].
    pub fn dataset(self, options: &CsvOptions) -> Result<Dataset> {
        let Reading {
            columns,
            targets,
            weights,
            rows,
            notes,
        } = read_columns(&self, options)?;
        let path = self.name.clone();
        // frees the text before the features are built
        drop(self);
        let in_file = |error| place(error, &path, None);
        let missing_values = options.missing_values.clone();
        let schema = Schema::fit(&columns, targets.target, missing_values).map_err(in_file)?;
        schema.check().map_err(in_file)?;
        // the features, and a copy in single precision for the engine
        let width = schema.encoded_names().len();
        let needed = memory::table(rows, width).saturating_mul(3) / 2;
        memory::check(&path, rows, width, needed, memory::available())?;
        let features = schema.encode_columns(&columns, rows).map_err(in_file)?;
        drop(columns);
        let names = schema.encoded_names();
        let target = schema.target().name.clone();
        let data = Dataset::new(features, targets.values, names, target, targets.task);
        let mut data = data.map_err(in_file)?;
        if let (Some(weights), Some(name)) = (weights, &options.weights) {
            data = data.with_weights(name, weights).map_err(in_file)?;
        }
        Ok(data.with_schema(schema).with_notes(notes))
    }

    /// A data set for a model that was trained on the columns of `schema`: see
    /// [`load_for_schema`].
    ///
    /// # Errors
    /// [`Error::Data`]: see [`load_for_schema`].
    pub fn dataset_for_schema(
        self,
        schema: &Schema,
        task: Task,
        options: &RowOptions,
    ) -> Result<Dataset> {
        let path = &*self.name;
        let source = Source::open(&self, &options.format)?;
        let name = &schema.target.name;
        let target = position(&source, name)?;
        let weights = options.weights.as_ref();
        let weighted = weights.and_then(|name| {
            let j = source.names.iter().position(|h| h == name)?;
            Some((j, name))
        });
        let (mut targets, mut of_rows) = (Vec::new(), Vec::new());
        let rows = rows_for(
            &source,
            schema,
            (
                weighted.map_or(&[][..], |w| std::slice::from_ref(w.1)),
                options.rows,
            ),
            |line, row| {
                if let Some((j, name)) = weighted {
                    let weight = weight(row.get(j).unwrap_or("").trim(), source.dialect.decimal);
                    of_rows.push(weight.map_err(|what| at(path, Some(line), Some(name), what))?);
                }
                let cell = row.get(target).unwrap_or("").trim();
                let value = target_value(cell, schema, task, &source);
                targets.push(value.map_err(|what| at(path, Some(line), Some(name), what))?);
                Ok(())
            },
        )?;
        let in_file = |e| place(e, path, None);
        let data = Dataset::new(rows.features, targets, schema.encoded_names(), name, task);
        let (mut data, mut notes) = (data.map_err(in_file)?, rows.notes);
        match (weighted, weights) {
            (Some((_, name)), _) => {
                data = data.with_weights(name, of_rows).map_err(in_file)?;
                notes.push(format!("rows count by their weights, in column '{name}'"));
            }
            (None, Some(name)) => notes.push(format!(
                "no column '{name}' of weights, which the training rows had: every row counts once"
            )),
            (None, None) => {}
        }
        Ok(data.with_schema(schema.clone()).with_notes(notes))
    }

    /// The features of the rows: see [`load_features`].
    ///
    /// # Errors
    /// [`Error::Data`]: see [`load_features`].
    pub fn features(self, schema: &Schema, options: &RowOptions) -> Result<FeatureRows> {
        let source = Source::open(&self, &options.format)?;
        let keep = options
            .keep
            .iter()
            .map(|name| source.known(name, "to keep"));
        let keep: Vec<usize> = keep.collect::<Result<_>>()?;
        for name in &options.ignore {
            source.known(name, "to leave out")?;
            if schema.features().iter().any(|f| f.name == *name) {
                let what = "the model needs this column, so it cannot be left out";
                return Err(at(source.path, source.header_line, Some(name), what));
            }
        }
        let mut kept = Vec::new();
        let rows = rows_for(
            &source,
            schema,
            (&options.ignore, options.rows),
            |_, row| {
                if !keep.is_empty() {
                    let cell = |&j: &usize| row.get(j).unwrap_or("").to_string();
                    kept.push(keep.iter().map(cell).collect());
                }
                Ok(())
            },
        )?;
        Ok(FeatureRows { kept, ..rows })
    }
}

/// Rows from which on the memory for as many again is checked.
const GROWN: usize = 1 << 16;

/// The encoded features of all rows, or of the first `most`. `use_row` sees each row too. Nothing is
/// said of the columns `known`, which are used or left out on purpose.
fn rows_for(
    source: &Source<'_>,
    schema: &Schema,
    (known, most): (&[String], Option<usize>),
    mut use_row: impl FnMut(u64, &::csv::StringRecord) -> Result<()>,
) -> Result<FeatureRows> {
    let (path, decimal) = (source.path, source.dialect.decimal);
    let features = schema.features();
    let places = features.iter().map(|f| position(source, &f.name));
    let places: Vec<usize> = places.collect::<Result<_>>()?;
    let mut encoder = Encoder::new(schema);
    let width = schema.encoded_names().len();
    let mut count = 0;
    let rows = source.rows(most, |line, row| {
        // a vector that is full grows to twice its length
        if count >= GROWN && usize::is_power_of_two(count) {
            let needed = memory::table(2 * count, width);
            memory::check(path, 2 * count, width, needed, memory::available())?;
        }
        count += 1;
        let cell = |(feature, &j): (&super::schema::Feature, &usize)| {
            let text = row.get(j).unwrap_or("").trim();
            if schema.is_missing(text) {
                return Cell::Missing;
            }
            match (&feature.kind, number(text, decimal)) {
                (FeatureKind::Number { .. }, Some(value)) => Cell::Number(value),
                _ => Cell::Text(text),
            }
        };
        let cells: Vec<Cell<'_>> = features.iter().zip(&places).map(cell).collect();
        encoder
            .push(&cells)
            .map_err(|e| place(e, path, Some(line)))?;
        use_row(line, row)
    })?;
    let mut notes: Vec<String> = encoder.unknown().iter().map(ToString::to_string).collect();
    let used = |name: &String| {
        let named = *name == schema.target.name || known.contains(name);
        named || features.iter().any(|f| f.name == *name)
    };
    let others: Vec<&str> = source
        .names
        .iter()
        .filter(|n| !used(n) && !n.is_empty())
        .map(String::as_str)
        .collect();
    if !others.is_empty() {
        let columns = counted(others.len(), "column");
        let names = list(others.into_iter());
        notes.push(format!("{columns} that the model does not use: {names}"));
    }
    Ok(FeatureRows {
        features: encoder.into_values(),
        rows,
        notes,
        kept: Vec::new(),
    })
}

/// The target of a trimmed cell, or what is wrong with it.
fn target_value(
    cell: &str,
    schema: &Schema,
    task: Task,
    source: &Source<'_>,
) -> std::result::Result<f64, String> {
    if schema.is_missing(cell) {
        return Err("a missing target".into());
    }
    let Task::Classification { classes } = task else {
        return finite(cell, source.dialect);
    };
    let value = number(cell, source.dialect.decimal);
    let names = &schema.target.classes;
    if names.is_empty() {
        return match value {
            Some(value) if is_label(value, classes) => Ok(value),
            Some(value) => Err(format!("{value} is not a class in 0..{classes}")),
            None => finite(cell, source.dialect),
        };
    }
    // classes that are numbers may be written in other ways
    let is_number = |n: &String| n.parse::<f64>().is_ok_and(|v| v.to_string() == *n);
    let by_number = || match names.iter().all(is_number) {
        true => schema.class_of(&value?.to_string()),
        false => None,
    };
    let class = schema.class_of(cell).or_else(by_number);
    class.map(|k| k as f64).ok_or_else(|| {
        let names = list(names.iter().map(String::as_str));
        let cell = shown(cell);
        format!("'{cell}' is not a class of the model, which knows {names}")
    })
}

/// The position of a column that a model needs.
fn position(source: &Source<'_>, name: &str) -> Result<usize> {
    source.names.iter().position(|h| h == name).ok_or_else(|| {
        let names = list(source.names.iter().map(String::as_str));
        let what = format!("the model needs this column; there are {names}");
        at(source.path, source.header_line, Some(name), what)
    })
}

/// Adds file and line to an error of data.
pub(super) fn place(error: Error, path: &Path, of_row: Option<u64>) -> Error {
    match error {
        Error::Data {
            line, column, what, ..
        } => Error::Data {
            file: Some(path.into()),
            line: line.or(of_row),
            column,
            what,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests;
