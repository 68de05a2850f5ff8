//! Rows of CSV files, and tables of numbers, with errors that name the line and the column.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use super::csv_text::CsvText;
use super::dialect::{Dialect, DialectOptions, detect, looks_like_a_number, number};
use super::schema::{list, shown};
use super::stream::Checked;
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

/// How to read a text as a table. What is `None` or automatic is found from the first rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvFormat {
    /// Delimiter, decimal sign and comments.
    pub dialect: DialectOptions,
    /// Whether the first line names the columns.
    pub header: Header,
}

/// Whether the first line of a table names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It does; a line with a number in it is refused, for it may be data.
    #[default]
    Auto,
    /// It does, whatever it looks like.
    Yes,
    /// It does not. Columns are called `c1`, `c2`...
    No,
}

impl std::str::FromStr for Header {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Header::Auto),
            "yes" => Ok(Header::Yes),
            "no" => Ok(Header::No),
            _ => Err(Error::config("header", name, "must be auto, yes or no")),
        }
    }
}

/// Reads every column of a CSV file of numbers.
///
/// The file is UTF-8 (a byte order mark is skipped), plain or in gzip, and starts with a header.
/// Delimiter and decimal sign are found from the first rows ([`CsvFormat`]). Fields are trimmed.
/// Blank lines are skipped. Quotes follow RFC 4180: a field that begins with a quote ends with one,
/// with no blank before the first or after the last. It may hold delimiters, line ends, and quotes
/// written twice. No other field holds a quote.
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

/// Rows between two words to somebody who watches.
const TOLD: usize = 4_096;

/// A text with its header, ready to be read as often as needed.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    csv: &'a CsvText,
    pub dialect: Dialect,
    /// Names of the columns, all different. The first may be empty: an index.
    pub names: Vec<String>,
    /// The line of the names, if they are in the file.
    pub header_line: Option<u64>,
}

impl<'a> Source<'a> {
    pub(super) fn open(csv: &'a CsvText, format: &CsvFormat) -> Result<Self> {
        let path = &*csv.name;
        let head = csv.head()?;
        let head = match examined(&head) {
            Some(head) => head,
            None => return Err(csv.wrong_or(None, at(path, None, None, "not UTF-8 text"))),
        };
        let dialect = detect(head, &format.dialect)
            .map_err(|what| csv.wrong_or(None, at(path, None, None, what)))?;
        Self::opened(csv, format, dialect).map_err(|error| csv.wrong_or(Some(dialect), error))
    }

    fn opened(csv: &'a CsvText, format: &CsvFormat, dialect: Dialect) -> Result<Self> {
        let path = &*csv.name;
        let mut rows = Rows::new(csv, dialect)?;
        let Some((line, first)) = rows.next_row()? else {
            return Err(at(path, None, None, "it is empty"));
        };
        let first: Vec<&str> = first.iter().map(str::trim).collect();
        let names = match format.header {
            Header::No => (1..=first.len()).map(|j| format!("c{j}")).collect(),
            header => {
                check_header(path, line, &first, header, dialect)?;
                first.iter().map(ToString::to_string).collect()
            }
        };
        Ok(Self {
            path,
            csv,
            dialect,
            names,
            header_line: (format.header != Header::No).then_some(line),
        })
    }

    /// The position of a column that an option names. `purpose` says what for, in errors.
    ///
    /// # Errors
    /// If there is no such column.
    pub(super) fn known(&self, name: &str, purpose: &str) -> Result<usize> {
        self.names.iter().position(|h| h == name).ok_or_else(|| {
            let names = list(self.names.iter().map(String::as_str));
            let what = format!("no such column {purpose}; there are {names}");
            at(self.path, self.header_line, Some(name), what)
        })
    }

    /// Calls `use_row` with the line and the fields of every row, or of the first `most`. Returns
    /// the number of rows. The text is read to its end and checked in any case.
    ///
    /// # Errors
    /// What is wrong with the text as a whole; a row with another number of fields than there are
    /// names, no rows at all, or what `use_row` returns.
    pub(super) fn rows(
        &self,
        most: Option<usize>,
        use_row: impl FnMut(u64, &::csv::StringRecord) -> Result<()>,
    ) -> Result<usize> {
        let mut rows = Rows::new(self.csv, self.dialect)?;
        let outcome = self.rows_of(&mut rows, most, use_row);
        let outcome = match outcome {
            Err(error @ Error::Io { .. }) => return Err(error),
            other => other,
        };
        rows.finish()?;
        self.csv.unchanged()?;
        outcome
    }

    fn rows_of(
        &self,
        rows: &mut Rows<'_>,
        most: Option<usize>,
        mut use_row: impl FnMut(u64, &::csv::StringRecord) -> Result<()>,
    ) -> Result<usize> {
        if self.header_line.is_some() {
            rows.next_row()?;
        }
        let mut count = 0;
        let mut before = None;
        while let Some((line, row)) = rows.next_row()? {
            if most == Some(count) {
                break;
            }
            if row.len() != self.names.len() {
                let expected = counted(self.names.len(), "field");
                let delimiter = self.dialect.delimiter_name();
                let what = format!(
                    "expected {expected}, got {} (fields are separated by a {delimiter})",
                    row.len()
                );
                return Err(at(self.path, Some(line), None, what));
            }
            if self.names.len() == 1 && before.is_some_and(|end| line > end + 1) {
                let what = "a blank line before this one: where there is one column, write an \
                            empty cell as \"\"";
                return Err(at(self.path, Some(line), None, what));
            }
            // a cell may span lines
            let spanned = row.get(0).map_or(0, |cell| cell.matches('\n').count());
            before = Some(line + spanned as u64);
            use_row(line, row)?;
            if count % TOLD == 0 {
                let byte = row.position().map_or(0, |p| p.byte());
                self.csv.tell(rows.done(byte));
            }
            count += 1;
        }
        match count {
            0 => Err(at(self.path, None, None, "a header but no rows of data")),
            _ => Ok(count),
        }
    }

    /// Every column as numbers.
    pub(super) fn table(&self) -> Result<Table> {
        if self.names[0].is_empty() {
            return Err(unnamed(self.path, self.header_line, 0));
        }
        let mut table = Table {
            names: self.names.clone(),
            values: Vec::new(),
            lines: Vec::new(),
        };
        self.rows(None, |line, row| {
            table.lines.push(line);
            for (name, cell) in self.names.iter().zip(row) {
                let value = finite(cell.trim(), self.dialect)
                    .map_err(|what| at(self.path, Some(line), Some(name), what))?;
                table.values.push(value);
            }
            Ok(())
        })?;
        Ok(table)
    }
}

/// The error of a column without a name.
pub(super) fn unnamed(path: &Path, line: Option<u64>, j: usize) -> Error {
    let what = format!("column {} of the header has no name", j + 1);
    at(path, line, None, what)
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

/// Bytes in which the dialect is found, at most.
pub(super) const HEAD: usize = 1 << 20;

/// The lines of the head of a text in which its dialect is found; `None` if they are not UTF-8. A
/// head of more than [`HEAD`] bytes is not the whole text.
fn examined(head: &[u8]) -> Option<&str> {
    let head = match head.len() > HEAD {
        false => head,
        true => {
            let ends = |b: &u8| *b == b'\n' || *b == b'\r';
            let end = head[..HEAD].iter().rposition(ends);
            &head[..end.unwrap_or(HEAD)]
        }
    };
    match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        // a character that is cut off, in a line longer than the head
        Err(e) if e.error_len().is_none() && head.len() == HEAD => {
            std::str::from_utf8(&head[..e.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

fn check_header(
    path: &Path,
    line: u64,
    header: &[&str],
    given: Header,
    dialect: Dialect,
) -> Result<()> {
    let is_number =
        |name: &&&str| number(name, dialect.decimal).is_some() || looks_like_a_number(name);
    if given == Header::Auto
        && let Some(cell) = header.iter().find(is_number)
    {
        let what = format!(
            "the first line looks like data: '{}' is a number. If it names the columns, say \
             --header yes; if there is no header, --header no",
            shown(cell)
        );
        return Err(at(path, Some(line), None, what));
    }
    let mut seen = HashSet::new();
    for (j, name) in header.iter().enumerate() {
        if name.is_empty() && j > 0 {
            return Err(unnamed(path, Some(line), j));
        }
        if name.contains(char::is_control) {
            // such a name would garble error messages and model files
            let what = format!("column {} has a control character in its name", j + 1);
            return Err(at(path, Some(line), None, what));
        }
        if !seen.insert(name) {
            let what = "this name appears twice (if the file has no header: --header no)";
            return Err(at(path, Some(line), Some(name), what));
        }
    }
    Ok(())
}

/// A trimmed cell as a finite number, or what is wrong with it.
pub(super) fn finite(cell: &str, dialect: Dialect) -> std::result::Result<f64, String> {
    if cell.is_empty() {
        return Err("a missing value".to_string());
    }
    match number(cell, dialect.decimal) {
        Some(value) => Ok(value),
        None if cell.parse::<f64>().is_ok() => Err(format!("{} is not finite", shown(cell))),
        None => Err(format!("'{}' is not a number", shown(cell))),
    }
}

/// The records of a text, each with the line on which it starts.
struct Rows<'a> {
    csv: &'a CsvText,
    reader: ::csv::Reader<Checked<Box<dyn Read + 'a>>>,
    record: ::csv::StringRecord,
}

impl<'a> Rows<'a> {
    fn new(csv: &'a CsvText, dialect: Dialect) -> Result<Self> {
        let reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(dialect.delimiter)
            .comment(dialect.comment)
            .buffer_capacity(csv.buffer)
            .from_reader(csv.checked(Some(dialect))?);
        Ok(Self {
            csv,
            reader,
            record: ::csv::StringRecord::new(),
        })
    }

    fn next_row(&mut self) -> Result<Option<(u64, &::csv::StringRecord)>> {
        let more = self.reader.read_record(&mut self.record);
        let more = more.map_err(|error| match error.into_kind() {
            ::csv::ErrorKind::Io(source) => self.csv.io(source),
            // what it is, and where, is told when the text has been read
            _ => at(&self.csv.name, None, None, "not UTF-8 text"),
        })?;
        if !more {
            return Ok(None);
        }
        // The reader reports for a record where the previous one ended. Blank lines and the second
        // half of a CR LF come after that.
        let byte = self.record.position().map_or(0, |p| p.byte());
        let line = self.reader.get_mut().line_at(byte);
        Ok(Some((line, &self.record)))
    }

    /// Bytes of the source that are read where the text is read up to `byte`.
    fn done(&self, byte: u64) -> u64 {
        self.reader.get_ref().done(byte)
    }

    /// Reads the rest of the text.
    ///
    /// # Errors
    /// What is wrong with it.
    fn finish(mut self) -> Result<()> {
        let found = self.reader.get_mut().finish();
        match found.map_err(|source| self.csv.io(source))? {
            None => Ok(()),
            Some((line, what)) => Err(at(&self.csv.name, line, None, what)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
