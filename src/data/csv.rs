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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn read(content: impl AsRef<[u8]>) -> Result<Table> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_ref()).unwrap();
        read_table(file.path())
    }

    /// The message without the name of the temporary file.
    fn message(content: impl AsRef<[u8]>) -> String {
        let text = read(content).unwrap_err().to_string();
        let tail = text.split_once(", ").or_else(|| text.split_once(": "));
        tail.unwrap().1.to_string()
    }

    #[test]
    fn reads_numbers_with_their_lines() {
        let table = read("\u{feff} a ,b\n1, 2.5e-3\n\n\"3\",-4\n").unwrap();
        assert_eq!(table.names, ["a", "b"]);
        assert_eq!(table.values, [1.0, 0.0025, 3.0, -4.0]);
        assert_eq!(table.lines, [2, 4]);
    }

    #[test]
    fn lines_are_right_for_every_line_ending() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("a,b{end}1,2{end}{end}3,4{end}\"5\",6");
            assert_eq!(read(text).unwrap().lines, [2, 4, 5], "{end:?}");
            let text = format!("{end}a,b{end}1,2{end}3,x{end}");
            assert_eq!(message(text), "line 4, column 'b': 'x' is not a number");
        }
    }

    #[test]
    fn a_bad_cell_is_named() {
        assert_eq!(
            message("a,b\n1,2\n3,abc\n"),
            "line 3, column 'b': 'abc' is not a number"
        );
        assert_eq!(message("a,b\n1,\n"), "line 2, column 'b': a missing value");
        assert_eq!(message("a,b\n ,1\n"), "line 2, column 'a': a missing value");
        assert_eq!(message("a\nnan\n"), "line 2, column 'a': nan is not finite");
        assert_eq!(
            message("a\n-inf\n"),
            "line 2, column 'a': -inf is not finite"
        );
        assert_eq!(
            message("a\n1e999\n"),
            "line 2, column 'a': 1e999 is not finite"
        );
    }

    #[test]
    fn a_damaged_table_is_refused() {
        assert_eq!(message("a,b\n1,2\n3\n"), "line 3: expected 2 fields, got 1");
        assert_eq!(message("a,b\n1,2,3\n"), "line 2: expected 2 fields, got 3");
        assert_eq!(message(""), "it is empty");
        assert_eq!(message("\n\n"), "it is empty");
        assert_eq!(message("a,b\n"), "a header but no rows of data");
        let control = "line 1: column 2 has a control character in its name";
        assert_eq!(message("a,\"b\nc\"\n1,2\n"), control);
        assert!(message("1,2\n3,4\n").starts_with("line 1: the first line looks like data"));
        assert_eq!(
            message("a,b,a\n1,2,3\n"),
            "line 1, column 'a': this name appears twice"
        );
        assert_eq!(
            message("a,,c\n1,2,3\n"),
            "line 1: column 2 of the header has no name"
        );
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(message(b"a,b\n1,2\n\xff,4\n"), "line 3: not UTF-8 text");
        assert_eq!(
            message(b"a,b\n1,\0\n"),
            "line 2: a NUL byte: not a text file"
        );
    }

    #[test]
    fn an_unclosed_quote_gives_a_short_message() {
        let rows = "1,2\n".repeat(1000);
        let error = message(format!("a,b\n1,\"2\n{rows}"));
        assert!(error.starts_with("line 2") && error.len() < 120, "{error}");
        assert!(!error.contains('\n'));
    }

    #[test]
    fn a_quote_out_of_place_is_refused_where_it_stands() {
        let cases = [
            ("a,b\n1,\"2\n3,4\n", "line 2: a field begins with a quote"),
            (
                "a,b\r\n1,2\r\n\"3\r\n,4\r\n",
                "line 3: a field begins with a quote",
            ),
            ("a,\"b\n1,2\n", "line 1: a field begins with a quote"),
            (
                "\u{feff}\"a,b\n1,2\n",
                "line 1: a field begins with a quote",
            ),
            (
                "a,b\n\"1\"5,2\n",
                "line 2: a field goes on after its closing quote",
            ),
            (
                "a,b\n\n\"1\n\",2\n3,\"4\"5\n",
                "line 5: a field goes on after its closing quote",
            ),
            ("a,b\n1,5\"\n", "line 2: a quote inside a field"),
        ];
        for (text, start) in cases {
            let said = message(text);
            assert!(
                said.starts_with(start) && !said.contains('\n'),
                "{text:?}: {said}"
            );
        }
    }

    #[test]
    fn a_column_that_is_not_read_has_its_quotes_checked() {
        let first = |text: &str| read_columns(CsvText::from_bytes(text, "f"), |_| Ok(vec![0]));
        for text in [
            "a,y\n1,\"?\n3,?\n5,?\n",
            "a,y\n1,?\n3,\"?\"?\n",
            "a,y\n1,?\n3,?\n5,\"",
            "a,y\n1,?\n3,\"\"\"",
        ] {
            assert!(first(text).is_err(), "{text:?}");
        }
        // a field may span lines, and may hold quotes written twice
        let table = first("a,\"y\"\r\n1,\"\"\"two\"\"\r\nlines\"\r\n\"3\",\"\"\r\n").unwrap();
        assert_eq!(
            (&table.values[..], &table.lines[..]),
            (&[1., 3.][..], &[2, 4][..])
        );
    }

    #[test]
    fn a_missing_file_is_an_io_error_with_its_path() {
        let error = read_table(Path::new("/nonexistent/x.csv")).unwrap_err();
        assert!(matches!(error, Error::Io { .. }));
        assert!(error.to_string().starts_with("/nonexistent/x.csv"));
    }

    #[test]
    fn only_chosen_columns_are_parsed_in_their_order() {
        let csv = CsvText::from_bytes("a,note,b\n1,hello,2\n3,,4\n", "f");
        let table = read_columns(csv.clone(), |_| Ok(vec![2, 0])).unwrap();
        assert_eq!(table.names, ["b", "a"]);
        assert_eq!(table.values, [2., 1., 4., 3.]);
        assert!(read_columns(csv, |_| Ok(vec![3])).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_table_or_an_error(
            bytes in prop::collection::vec(prop::sample::select(b"ab1,.\"\n\r \0\xff-e".to_vec()), 0..60)
        ) {
            if let Ok(table) = read(&bytes) {
                prop_assert_eq!(table.values.len(), table.names.len() * table.lines.len());
                prop_assert!(table.lines.is_sorted());
            }
        }

        #[test]
        fn numbers_survive_a_round_trip(values in prop::collection::vec(-1e300f64..1e300, 1..20)) {
            let rows: String = values.iter().map(|v| format!("{v:e}\n")).collect();
            prop_assert_eq!(read(format!("a\n{rows}")).unwrap().values, values);
        }
    }
}
