//! Rows of predictions as CSV, as one JSON list, or as a JSON object per line.

use fiberwalk::error::shortest;
use std::io::{self, Write};

use serde_json::Value;

use crate::values::RowFormat;

/// What stands in a column of a row.
pub enum Cell {
    Number(f64),
    Text(String),
    /// A class that may or may not be in a set: its name.
    Member(String, bool),
    /// Several numbers or names, one CSV column each.
    Many(Vec<Cell>),
}

/// A column: its name in JSON, and its names in CSV, where it may be several or none.
pub struct Column {
    pub name: String,
    pub in_csv: Vec<String>,
}

impl Column {
    /// A column that is one in both.
    pub fn one(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            in_csv: vec![name.clone()],
            name,
        }
    }

    /// A column that only JSON has.
    pub fn of_json(name: &str) -> Self {
        Self {
            name: name.into(),
            in_csv: Vec::new(),
        }
    }
}

/// A writer of rows. The header of a CSV file, or the beginning of a list, comes with the first
/// row: until then nothing is written.
pub struct RowWriter<'w> {
    format: RowFormat,
    columns: &'w [Column],
    out: Sink<'w>,
    rows: usize,
}

enum Sink<'w> {
    Csv(Box<csv::Writer<&'w mut dyn Write>>),
    Json(&'w mut dyn Write),
}

impl<'w> RowWriter<'w> {
    /// A writer of rows with these columns.
    pub fn new(out: &'w mut dyn Write, format: RowFormat, columns: &'w [Column]) -> Self {
        let out = match format {
            RowFormat::Csv => Sink::Csv(Box::new(csv::Writer::from_writer(out))),
            RowFormat::Json | RowFormat::JsonLines => Sink::Json(out),
        };
        Self {
            format,
            columns,
            out,
            rows: 0,
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        match &mut self.out {
            Sink::Csv(csv) => {
                let names = self.columns.iter().flat_map(|c| &c.in_csv);
                csv.write_record(names).map_err(cause)
            }
            Sink::Json(out) if self.format == RowFormat::Json => out.write_all(b"["),
            Sink::Json(_) => Ok(()),
        }
    }

    /// Writes a row: a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        if self.rows == 0 {
            self.begin()?;
        }
        self.rows += 1;
        match &mut self.out {
            Sink::Csv(csv) => {
                let cells = self.columns.iter().zip(cells);
                let shown = cells.filter(|(column, _)| !column.in_csv.is_empty());
                let mut texts = Vec::new();
                shown.for_each(|(_, cell)| in_csv(cell, &mut texts));
                csv.write_record(&texts).map_err(cause)
            }
            Sink::Json(out) => {
                let before = match (self.format, self.rows) {
                    (RowFormat::Json, 1) => "\n",
                    (RowFormat::Json, _) => ",\n",
                    _ => "",
                };
                write!(out, "{before}{{")?;
                for (at, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    let name = Value::from(column.name.as_str());
                    write!(out, "{comma}{name}:{}", in_json(cell))?;
                }
                out.write_all(match self.format {
                    RowFormat::JsonLines => b"}\n",
                    _ => b"}",
                })
            }
        }
    }

    /// Writes what stands behind the last row.
    pub fn end(mut self) -> io::Result<()> {
        if self.rows == 0 {
            self.begin()?;
        }
        match self.out {
            Sink::Csv(mut csv) => csv.flush(),
            Sink::Json(out) if self.format == RowFormat::Json => out.write_all(b"\n]\n"),
            Sink::Json(_) => Ok(()),
        }
    }
}

fn in_csv(cell: Cell, texts: &mut Vec<String>) {
    match cell {
        Cell::Number(x) => texts.push(shortest(x)),
        Cell::Text(text) => texts.push(text),
        Cell::Member(_, inside) => texts.push(u8::from(inside).to_string()),
        Cell::Many(cells) => cells.into_iter().for_each(|cell| in_csv(cell, texts)),
    }
}

/// Numbers that are not finite become null.
fn in_json(cell: Cell) -> Value {
    match cell {
        // the sum of -0 and 0 is 0
        Cell::Number(x) => (x + 0.0).into(),
        Cell::Text(text) | Cell::Member(text, _) => text.into(),
        Cell::Many(cells) => {
            let outside = |cell: &Cell| matches!(cell, Cell::Member(_, false));
            let inside = cells.into_iter().filter(|cell| !outside(cell));
            inside.map(in_json).collect()
        }
    }
}

/// The error of the writer below, which tells a closed pipe from a full disk.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
