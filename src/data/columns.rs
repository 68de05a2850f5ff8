//! A new table: the columns of a text, read twice. The first pass finds what each column holds, the
//! second reads it.

use super::csv::{Header, Source, at, unnamed};
use super::csv_text::CsvText;
use super::dataset::{Task, TaskKind};
use super::dialect::{Decimal, Dialect, number};
use super::memory;
use super::options::{CsvOptions, MissingCells};
use super::schema::{MAX_LEVELS, Raw, RawColumn, Target, Texts, is_missing, shown, stands_for};
use super::surprises::{note_on_numbering, notes_on_texts};
use super::survey::{ColumnType, Survey, too_many_levels};
use super::targets::Targets;
use crate::error::{Error, Result};

/// A table, read.
pub(super) struct Reading {
    pub columns: Vec<RawColumn>,
    pub targets: ReadTargets,
    /// Weights of the rows, if a column holds them.
    pub weights: Option<Vec<f64>>,
    pub rows: usize,
    pub notes: Vec<String>,
}

/// The targets of the rows, and how they are called.
pub(super) struct ReadTargets {
    pub target: Target,
    pub values: Vec<f64>,
    pub task: Task,
}

/// Reads a table.
pub(super) fn read_columns(csv: &CsvText, options: &CsvOptions) -> Result<Reading> {
    let source = Source::open(csv, &options.format)?;
    for name in options.types.keys() {
        source.known(name, "to give a type")?;
    }
    for name in &options.ignore {
        source.known(name, "to leave out")?;
    }
    let missing = options.missing_values.as_deref();
    let decimal = source.dialect.decimal;
    let mut surveys = vec![Survey::default(); source.names.len()];
    // which of the given texts occur
    let mut found = vec![false; missing.map_or(0, <[String]>::len)];
    let rows = source.rows(options.rows, |line, row| {
        for (survey, cell) in surveys.iter_mut().zip(row) {
            survey.add(cell.trim(), line, decimal, missing);
            for (found, text) in found.iter_mut().zip(missing.unwrap_or(&[])) {
                *found |= stands_for(text, cell.trim());
            }
        }
        Ok(())
    })?;
    let mut notes = Vec::new();
    if source.dialect != Dialect::default() {
        notes.push(source.dialect.to_string());
    }
    for (text, _) in missing.unwrap_or(&[]).iter().zip(found).filter(|f| !f.1) {
        notes.push(format!(
            "no cell is '{text}', which should stand for a missing one"
        ));
    }
    let weights = match &options.weights {
        Some(name) => Some(source.known(name, "to hold weights")?),
        None => None,
    };
    let mut used = used_columns(&source, &surveys, options, &mut notes)?;
    used.retain(|&j| Some(j) != weights);
    let target = match &options.target {
        Some(name) => source.known(name, "to be the target")?,
        None => *used.last().ok_or_else(|| no_features(&source, 0))?,
    };
    if weights == Some(target) {
        let what = "it cannot be both the target and the weights";
        return Err(at(source.path, None, Some(&source.names[target]), what));
    }
    let features: Vec<usize> = used.iter().copied().filter(|&j| j != target).collect();
    if features.is_empty() {
        return Err(no_features(&source, target));
    }
    let name = |j: usize| &source.names[j];
    if let Some(line) = surveys[target].first_missing() {
        let what = "a missing target: leave the row out";
        return Err(at(source.path, Some(line), Some(name(target)), what));
    }
    // cells as they are read, numbers or places of levels, with the target and the lines of the
    // rows
    let held = features.len() + 2 + usize::from(weights.is_some());
    let needed = memory::table(rows, held);
    memory::check(source.path, rows, held, needed, memory::available())?;
    let (mut readers, mut numbering) = (Vec::new(), Vec::new());
    for &j in features.iter().chain([&target]) {
        if options.missing == MissingCells::Refuse
            && let Some(line) = surveys[j].first_missing()
        {
            return Err(at(
                source.path,
                Some(line),
                Some(name(j)),
                "a missing value",
            ));
        }
        let given = options.types.get(name(j)).copied();
        let kind = surveys[j].kind(source.path, name(j), given)?;
        if j != target && surveys[j].numbers_the_rows() && kind == ColumnType::Number {
            numbering.push(name(j).as_str());
        }
        readers.push(Reader::new(j, kind, rows));
    }
    notes.extend(note_on_numbering(&numbering, rows));
    let mut lines = Vec::with_capacity(rows);
    let mut of_rows = weights.map(|_| Vec::with_capacity(rows));
    source.rows(options.rows, |line, row| {
        lines.push(line);
        if let (Some(j), Some(of_rows)) = (weights, &mut of_rows) {
            let cell = row.get(j).unwrap_or("").trim();
            of_rows.push(
                weight(cell, decimal)
                    .map_err(|what| at(source.path, Some(line), Some(name(j)), what))?,
            );
        }
        for reader in &mut readers {
            let cell = row.get(reader.column).unwrap_or("").trim();
            let cell = (!is_missing(missing, cell)).then_some(cell);
            reader.add(cell, |text| number(text, decimal));
        }
        Ok(())
    })?;
    let of_target = readers
        .pop()
        .map_or(Raw::Numbers(Vec::new()), Reader::into_raw);
    let columns = readers.into_iter().map(|reader| RawColumn {
        name: name(reader.column).clone(),
        cells: reader.into_raw(),
    });
    let columns: Vec<RawColumn> = columns.collect();
    let wide = columns.iter().filter_map(|column| match &column.cells {
        Raw::Texts { texts, .. } if texts.len() > MAX_LEVELS => {
            Some((column.name.clone(), texts.len()))
        }
        _ => None,
    });
    let wide: Vec<(String, usize)> = wide.collect();
    if !wide.is_empty() {
        return Err(too_many_levels(source.path, &wide, MAX_LEVELS));
    }
    let of_names = |cells: &Raw, name: &String| match cells {
        Raw::Texts { texts, .. } => texts.contains(name),
        Raw::Numbers(_) => false,
    };
    if options.format.header == Header::Auto
        && columns.iter().all(|c| of_names(&c.cells, &c.name))
        && of_names(&of_target, name(target))
    {
        let what = "the first line looks like data: all its cells occur below. If it names the \
                    columns, say --header yes; if there is no header, --header no";
        return Err(at(source.path, source.header_line, None, what));
    }
    let odd = columns.iter().map(|c| notes_on_texts(&c.name, &c.cells));
    notes.extend(odd.flatten());
    notes.extend(notes_on_texts(name(target), &of_target));
    let asked = match options.types.get(name(target)) {
        Some(ColumnType::Category) => options.task.or(Some(TaskKind::Classification)),
        _ => options.task,
    };
    let targets = Targets::of(of_target, asked).map_err(|(row, what)| {
        let line = row.and_then(|row| lines.get(row).copied());
        at(source.path, line, Some(name(target)), what)
    })?;
    notes.extend(targets.note);
    Ok(Reading {
        columns,
        targets: ReadTargets {
            target: Target {
                name: name(target).clone(),
                classes: targets.classes,
            },
            values: targets.values,
            task: targets.task,
        },
        weights: of_rows,
        rows,
        notes,
    })
}

/// The weight in a cell.
pub(super) fn weight(cell: &str, decimal: Decimal) -> std::result::Result<f64, String> {
    let value = number(cell, decimal).filter(|w| *w >= 0.0 && w.is_finite());
    value.ok_or_else(|| {
        let cell = shown(cell);
        format!("'{cell}' is not a weight: weights are numbers that are not negative")
    })
}

/// The columns that are not left out.
fn used_columns(
    source: &Source<'_>,
    surveys: &[Survey],
    options: &CsvOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<usize>> {
    let mut used = Vec::new();
    for (j, name) in source.names.iter().enumerate() {
        if name.is_empty() {
            if !surveys[j].numbers_the_rows() {
                return Err(unnamed(source.path, source.header_line, j));
            }
            notes.push("the first column has no name and numbers the rows: it is left out".into());
        } else if !options.ignore.contains(name) {
            used.push(j);
        }
    }
    Ok(used)
}

fn no_features(source: &Source<'_>, target: usize) -> Error {
    let delimiter = source.dialect.delimiter_name();
    let what = format!(
        "the only column is the target: there are no features (fields are separated by a \
         {delimiter}; --delimiter says otherwise)"
    );
    at(
        source.path,
        source.header_line,
        Some(&shown(&source.names[target])),
        what,
    )
}

/// Reads the cells of a column.
struct Reader {
    column: usize,
    cells: Cells,
}

enum Cells {
    Numbers(Vec<f64>),
    Texts(Texts),
}

impl Reader {
    fn new(column: usize, kind: ColumnType, rows: usize) -> Self {
        Self {
            column,
            cells: match kind {
                ColumnType::Number => Cells::Numbers(Vec::with_capacity(rows)),
                ColumnType::Category => Cells::Texts(Texts::with_capacity(rows)),
            },
        }
    }

    /// Adds a cell; `None` is a missing one.
    fn add(&mut self, cell: Option<&str>, number: impl Fn(&str) -> Option<f64>) {
        match &mut self.cells {
            // the first pass has seen that all are numbers
            Cells::Numbers(numbers) => numbers.push(cell.and_then(number).unwrap_or(f64::NAN)),
            Cells::Texts(texts) => texts.add(cell),
        }
    }

    fn into_raw(self) -> Raw {
        match self.cells {
            Cells::Numbers(numbers) => Raw::Numbers(numbers),
            Cells::Texts(texts) => texts.into_raw(),
        }
    }
}
