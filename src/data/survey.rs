//! The first pass over a table: what each column holds.

use super::csv::at;
use super::dialect::{Decimal, looks_like_a_number, number};
use super::schema::{as_option, is_missing, list, shown};
use crate::error::{Error, Result, counted};
use std::path::Path;

/// What a column is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Numbers.
    Number,
    /// Levels: texts, or numbers that name something.
    Category,
}

impl std::str::FromStr for ColumnType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "number" => Ok(ColumnType::Number),
            "category" => Ok(ColumnType::Category),
            _ => Err(Error::config("types", name, "must be number or category")),
        }
    }
}

/// Counts of the cells of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    numbers: usize,
    texts: usize,
    missing: usize,
    first_text: Option<(u64, String)>,
    /// The first text that a person would read as a date or a number.
    odd_text: Option<(u64, String)>,
    first_missing: Option<u64>,
    /// The numbers so far are 0, 1, 2... or 1, 2, 3...
    counts_from: Option<f64>,
    broken: bool,
}

impl Survey {
    /// Adds a trimmed cell.
    pub(super) fn add(
        &mut self,
        cell: &str,
        line: u64,
        decimal: Decimal,
        missing: Option<&[String]>,
    ) {
        if is_missing(missing, cell) {
            self.missing += 1;
            self.first_missing.get_or_insert(line);
            self.broken = true;
            return;
        }
        match number(cell, decimal) {
            Some(value) => {
                let first = *self.counts_from.get_or_insert(value);
                self.broken |=
                    !(first == 0.0 || first == 1.0) || value != first + self.numbers as f64;
                self.numbers += 1;
            }
            None => {
                self.texts += 1;
                self.broken = true;
                let found = || (line, cell.to_string());
                self.first_text.get_or_insert_with(found);
                if self.odd_text.is_none() && (is_date(cell) || looks_like_a_number(cell)) {
                    self.odd_text = Some(found());
                }
            }
        }
    }

    /// The line of the first missing cell.
    pub(super) fn first_missing(&self) -> Option<u64> {
        self.first_missing
    }

    /// True if the column numbers the rows, from 0 or 1.
    pub(super) fn numbers_the_rows(&self) -> bool {
        !self.broken && self.numbers > 2
    }

    /// What the column holds.
    ///
    /// # Errors
    /// No cell but missing ones; a date; or numbers and texts in one column, unless `given` says
    /// what it is.
    pub(super) fn kind(
        &self,
        path: &Path,
        name: &str,
        given: Option<ColumnType>,
    ) -> Result<ColumnType> {
        let wrong = |line: Option<u64>, what: String| Err(at(path, line, Some(name), what));
        if self.numbers + self.texts == 0 {
            let what = format!(
                "every cell is missing; leave the column out: --ignore {}",
                as_option([name])
            );
            return wrong(None, what);
        }
        let Some((line, text)) = &self.first_text else {
            return Ok(given.unwrap_or(ColumnType::Number));
        };
        let option = as_option([name]);
        match given {
            Some(ColumnType::Category) => return Ok(ColumnType::Category),
            Some(ColumnType::Number) => {
                return wrong(Some(*line), format!("'{}' is not a number", shown(text)));
            }
            None => {}
        }
        match &self.odd_text {
            Some((line, text)) if is_date(text) => {
                let what = format!(
                    "'{}' is a date, which is not read; put numbers in its place (year, month, \
                     days since a first day), or leave the column out: --ignore {option}",
                    shown(text)
                );
                wrong(Some(*line), what)
            }
            _ if self.numbers > 0 => {
                let what = format!(
                    "'{}' is not a number (numbers in the column: {}); mend it, or say that \
                     it means a missing value (--missing-values), or that the column is a category \
                     (--types {option}=category); --decimal decides what is a number",
                    shown(text),
                    self.numbers
                );
                wrong(Some(*line), what)
            }
            Some((line, text)) => {
                let what = format!(
                    "'{}' is not read as a number; mend it, or say which decimal sign the \
                     file has (--decimal), or that the column is a category (--types \
                     {option}=category)",
                    shown(text)
                );
                wrong(Some(*line), what)
            }
            None => Ok(ColumnType::Category),
        }
    }
}

/// Columns with more texts than a category may have levels.
pub(super) fn too_many_levels(path: &Path, columns: &[(String, usize)], most: usize) -> Error {
    let names = list(columns.iter().map(|c| c.0.as_str()));
    let all: Vec<&str> = columns.iter().map(|c| c.0.as_str()).collect();
    let (first, count) = (&columns[0].0, columns[0].1);
    let what = format!(
        "{} ({names}): '{first}' has {}, and a category has at most {most} levels. Leave out what \
         names a row: --ignore {}",
        match columns.len() {
            1 => "a column with too many texts".into(),
            n => format!("{n} columns with too many texts"),
        },
        counted(count, "different text"),
        as_option(all)
    );
    at(path, None, None, what)
}

/// True for `2024-05-31`, with or without a time behind it.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let dashes = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    let ends = matches!(bytes.get(10), None | Some(b'T' | b' '));
    digits(0..4) && digits(5..7) && digits(8..10) && dashes && ends
}
