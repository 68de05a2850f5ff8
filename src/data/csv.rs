//! Tables of numbers from CSV files, with errors that name the line and the column.

use std::collections::HashSet;
use std::path::Path;

use super::csv_text::CsvText;
use super::quotes::first_fault;
use crate::error::{Error, Result, counted};

/// Named columns of finite numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the columns `[d]`, all different, none empty.
    pub names: Vec<String>,
    /// Cells, row-major `[n, d]`.
    pub values: Vec<f64>,
    /// The line of the file on which each row starts `[n]`. The header is line 1.
    pub lines: Vec<u64>,
}

/// Reads every column of a CSV file.
///
/// The file is UTF-8 (a byte order mark is skipped) and starts with a header. Fields are separated
/// by commas and trimmed. Blank lines are skipped. Quotes follow RFC 4180: a field that begins with
/// a quote ends with one, with no blank before the first or after the last. It may hold commas,
/// line ends, and quotes written twice. No other field holds a quote.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read. [`Error::Data`], with the line, in these cases:
/// - the file is empty, has no rows, is not UTF-8 or holds a NUL;
/// - a quote is misplaced, in any column;
/// - the header is missing, or a name in it is empty, occurs twice or has control characters;
/// - a row has another number of fields than the header, or a cell is not a finite number.
pub fn read_table(path: &Path) -> Result<Table> {
    CsvText::open(path)?.table()
}

/// Reads the columns that `choose` picks by index from the header, in its order. Other columns may
/// hold anything, if their quotes are in place.
///
/// # Errors
/// Those of [`read_table`], for the chosen columns, and those of `choose`. An index without a
/// column is a shape error.
pub(super) fn read_columns(
    csv: CsvText,
    choose: impl FnOnce(&[String]) -> Result<Vec<usize>>,
) -> Result<Table> {
    let path = &*csv.name;
    let text = text(path, &csv.bytes)?;
    let mut rows = Rows::new(path, text);
    let Some((line, header)) = rows.next_row()? else {
        return Err(at(path, None, None, "it is empty"));
    };
    check_header(path, line, &header)?;
    let chosen = choose(&header)?;
    if let Some(index) = chosen.iter().find(|&&j| j >= header.len()) {
        let expected = format!("columns below {}", header.len());
        return Err(Error::shape("read_columns", expected, index));
    }
    let mut table = Table {
        names: chosen.iter().map(|&j| header[j].clone()).collect(),
        values: Vec::new(),
        lines: Vec::new(),
    };
    while let Some((line, row)) = rows.next_row()? {
        if row.len() != header.len() {
            let expected = counted(header.len(), "field");
            let what = format!("expected {expected}, got {}", row.len());
            return Err(at(path, Some(line), None, what));
        }
        table.lines.push(line);
        for &j in &chosen {
            let value =
                number(&row[j]).map_err(|what| at(path, Some(line), Some(&header[j]), what))?;
            table.values.push(value);
        }
    }
    if table.lines.is_empty() {
        return Err(at(path, None, None, "a header but no rows of data"));
    }
    Ok(table)
}

/// A data error in a file.
pub(super) fn at(
    path: &Path,
    line: Option<u64>,
    column: Option<&str>,
    what: impl Into<String>,
) -> Error {
    Error::Data {
        file: Some(path.to_path_buf()),
        line,
        column: column.map(str::to_string),
        what: what.into(),
    }
}

fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    let line_of = |byte| Some(LineCounter::new(bytes).line_at(byte));
    let text = std::str::from_utf8(bytes)
        .map_err(|e| at(path, line_of(e.valid_up_to()), None, "not UTF-8 text"))?;
    if let Some(byte) = text.find('\0') {
        return Err(at(path, line_of(byte), None, "a NUL byte: not a text file"));
    }
    match first_fault(bytes) {
        None => Ok(text),
        Some(fault) => Err(at(path, line_of(fault.at), None, fault.what)),
    }
}

fn check_header(path: &Path, line: u64, header: &[String]) -> Result<()> {
    if header.iter().all(|name| number(name).is_ok()) {
        let what =
            "the first line looks like data: a header with the names of the columns is needed";
        return Err(at(path, Some(line), None, what));
    }
    let mut seen = HashSet::new();
    for (j, name) in header.iter().enumerate() {
        if name.is_empty() {
            let what = format!("column {} of the header has no name", j + 1);
            return Err(at(path, Some(line), None, what));
        }
        if name.contains(char::is_control) {
            // such a name would garble error messages and model files
            let what = format!("column {} has a control character in its name", j + 1);
            return Err(at(path, Some(line), None, what));
        }
        if !seen.insert(name) {
            return Err(at(path, Some(line), Some(name), "this name appears twice"));
        }
    }
    Ok(())
}

/// A trimmed cell as a finite number, or what is wrong with it.
fn number(cell: &str) -> std::result::Result<f64, String> {
    if cell.is_empty() {
        return Err("a missing value".to_string());
    }
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("{} is not finite", shown(cell))),
        Err(_) => Err(format!("'{}' is not a number", shown(cell))),
    }
}

/// A cell made fit for an error message: short, on one line, without control characters.
fn shown(cell: &str) -> String {
    const LONGEST: usize = 40;
    let mut text: String = cell.chars().take(LONGEST).collect();
    if text.len() < cell.len() {
        text.push_str("...");
    }
    text.escape_debug().to_string()
}

/// The records of a text, trimmed, each with the line on which it starts.
struct Rows<'a> {
    path: &'a Path,
    reader: ::csv::Reader<&'a [u8]>,
    record: ::csv::StringRecord,
    lines: LineCounter<'a>,
}

impl<'a> Rows<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        let reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        Self {
            path,
            reader,
            record: ::csv::StringRecord::new(),
            lines: LineCounter::new(text.as_bytes()),
        }
    }

    fn next_row(&mut self) -> Result<Option<(u64, Vec<String>)>> {
        let more = self
            .reader
            .read_record(&mut self.record)
            .map_err(|e| at(self.path, None, None, e.to_string()))?;
        if !more {
            return Ok(None);
        }
        let byte = self.record.position().map_or(0, |p| p.byte());
        let line = self.lines.line_at(byte as usize);
        let fields = self.record.iter().map(|f| f.trim().to_string()).collect();
        Ok(Some((line, fields)))
    }
}

/// Line numbers of byte offsets that never decrease.
///
/// The reader reports for a record the line on which the *previous* record ended. Blank lines and
/// the second half of a CR LF come after that.
struct LineCounter<'a> {
    bytes: &'a [u8],
    counted: usize,
    line: u64,
}

impl<'a> LineCounter<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            counted: 0,
            line: 1,
        }
    }

    /// The line, from 1, of the first byte at or after `byte` that is not a line end.
    fn line_at(&mut self, byte: usize) -> u64 {
        while let Some(&b) = self.bytes.get(self.counted) {
            let ends_line = b == b'\n' || b == b'\r';
            if self.counted >= byte && !ends_line {
                break;
            }
            let crlf = b == b'\r' && self.bytes.get(self.counted + 1) == Some(&b'\n');
            self.line += u64::from(ends_line && !crlf);
            self.counted += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests;
