//! Tests of the module above.

use super::*;
use crate::data::{RowOptions, Schema};
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
    assert_eq!(
        message("a,b\n1,2\n3\n"),
        "line 3: expected 2 fields, got 1 (fields are separated by a comma)"
    );
    assert_eq!(
        message("a,b\n1,2,3\n"),
        "line 2: expected 2 fields, got 3 (fields are separated by a comma)"
    );
    assert_eq!(message(""), "it is empty");
    assert_eq!(message("\n\n"), "it is empty");
    assert_eq!(message("a,b\n"), "a header but no rows of data");
    let control = "line 1: column 2 has a control character in its name";
    assert_eq!(message("a,\"b\nc\"\n1,2\n"), control);
    assert!(message("1,2\n3,4\n").starts_with("line 1: the first line looks like data"));
    assert_eq!(
        message("a,b,a\n1,2,3\n"),
        "line 1, column 'a': this name appears twice (if the file has no header: --header no)"
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
    let first = |text: &str| {
        let schema = Schema::of_numbers(&["a".into()], "y");
        CsvText::from_bytes(text, "f").features(&schema, &RowOptions::default())
    };
    for text in [
        "a,y\n1,\"?\n3,?\n5,?\n",
        "a,y\n1,?\n3,\"?\"?\n",
        "a,y\n1,?\n3,?\n5,\"",
        "a,y\n1,?\n3,\"\"\"",
    ] {
        assert!(first(text).is_err(), "{text:?}");
    }
    // a field may span lines, and may hold quotes written twice
    let rows = first("a,\"y\"\r\n1,\"\"\"two\"\"\r\nlines\"\r\n\"3\",\"\"\r\n").unwrap();
    assert_eq!((&rows.features[..], rows.rows), (&[1., 3.][..], 2));
}

#[test]
fn a_missing_file_is_an_io_error_with_its_path() {
    let error = read_table(Path::new("/nonexistent/x.csv")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().starts_with("/nonexistent/x.csv"));
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

proptest! {
    /// A data set, or the error in its place, does not depend on how many bytes are read at once.
    #[test]
    fn the_size_of_the_buffer_makes_no_difference(
        lines in prop::collection::vec(
            prop_oneof![
                6 => "[0-9]{1,3},(a|b|NA|\"c,\"\"d\"|\"e\r\nf\"),[01]\r?\n",
                1 => "[0-9]{1,2};x,1\n",
                1 => Just("\n".to_string()),
                1 => "(1,\"a|1,a\"|1,\"a\"b|\u{0},é|1,é,2\r)",
            ],
            0..12
        ),
        buffer in 1..40usize,
        packed: bool,
    ) {
        let text = format!("n,t,y\n{}", lines.concat());
        let bytes = match packed {
            false => text.into_bytes(),
            true => {
                use std::io::Write;
                let mut all = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                all.write_all(text.as_bytes()).unwrap();
                all.finish().unwrap()
            }
        };
        let whole = CsvText::from_bytes(bytes, "t");
        let mut streamed = whole.clone();
        streamed.buffer = buffer;
        let read = |text: CsvText| text.dataset(&crate::data::CsvOptions::default());
        match (read(whole), read(streamed)) {
            (Ok(a), Ok(b)) => prop_assert_eq!(a, b),
            (Err(a), Err(b)) => prop_assert_eq!(a.to_string(), b.to_string()),
            (a, b) => prop_assert!(false, "{:?}, {:?}", a.err(), b.err()),
        }
    }
}

/// What is wrong with the whole text is told before what is wrong with a row above it.
#[test]
fn a_text_is_checked_to_its_end() {
    let late = |tail: &[u8]| message([b"a,b\n1,x\n2,3\n", tail].concat());
    assert_eq!(late(b"4,5\n"), "line 2, column 'b': 'x' is not a number");
    assert_eq!(late(b"4,\xff\n"), "line 4: not UTF-8 text");
    assert_eq!(late(b"4,\xe2\x82"), "line 4: not UTF-8 text");
    assert_eq!(late(b"4,5\n\0"), "line 5: a NUL byte: not a text file");
    assert!(late(b"4,\"5\n").starts_with("line 4: a field begins with a quote"));
}

/// A dialect is found in the first [`HEAD`] bytes: rows beyond them make no difference.
#[test]
fn the_head_of_a_long_text_decides() {
    let long = "x".repeat(HEAD / 100);
    let rows: String = (0..150).map(|i| format!("{i};{long}\n")).collect();
    let csv = CsvText::from_bytes(format!("a;y\n{rows}{}", "1,2,3\n".repeat(100)), "t");
    let source = Source::open(&csv, &CsvFormat::default()).unwrap();
    assert_eq!(source.dialect.delimiter, b';');
    let error = source.rows(None, |_, _| Ok(())).unwrap_err().to_string();
    assert!(
        error.starts_with("t, line 152: expected 2 fields, got 1"),
        "{error}"
    );
    // a line that is longer, with a character across the end of the head
    let line = format!("{}é{}\n1\n", "x".repeat(HEAD - 1), "x".repeat(10));
    let csv = CsvText::from_bytes(line, "t");
    assert_eq!(
        Source::open(&csv, &CsvFormat::default())
            .unwrap()
            .names
            .len(),
        1
    );
}

/// A file that is written to between two passes is refused.
#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"a,y\n1,2\n3,4\n").unwrap();
    let text = CsvText::open(file.path()).unwrap();
    let source = Source::open(&text, &CsvFormat::default()).unwrap();
    assert_eq!(source.rows(None, |_, _| Ok(())).unwrap(), 2);
    file.write_all(b"5,6\n").unwrap();
    let error = source.rows(None, |_, _| Ok(())).unwrap_err().to_string();
    assert!(error.ends_with("it changed while it was read"), "{error}");
}

thread_local! {
    /// Reads until one fails; 0: none does.
    static FAILS_AFTER: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A reader of which one read may fail.
pub(in crate::data) struct Failing<R>(pub R);

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let left = FAILS_AFTER.get();
        FAILS_AFTER.set(left.saturating_sub(1));
        match left {
            1 => Err(std::io::Error::other("fault")),
            _ => self.0.read(bytes),
        }
    }
}

/// Each read of each pass over a file fails in turn: the error names the file, and nothing is taken
/// for the end of the text. The next try reads it.
#[test]
fn a_table_whose_reading_fails_at_any_point_is_refused() {
    let rows: String = (0..20)
        .map(|i| format!("{i},b{},{}\n", i % 2, i % 3))
        .collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(format!("n,t,y\n{rows}").as_bytes()).unwrap();
    let schema = Schema::of_numbers(&["n".into()], "y");
    let text = || CsvText::open(file.path()).unwrap();
    let read = |what: usize| match what {
        0 => text()
            .dataset(&crate::data::CsvOptions::default())
            .map(|d| d.n()),
        1 => text()
            .features(&schema, &RowOptions::default())
            .map(|f| f.rows),
        _ => super::super::line_of_row(file.path(), &CsvFormat::default(), 19).map(|_| 20),
    };
    for what in 0..3 {
        let mut failed = 0;
        for n in 1.. {
            FAILS_AFTER.set(n);
            let outcome = read(what);
            if FAILS_AFTER.replace(0) > 0 {
                assert_eq!(outcome.unwrap(), 20);
                break;
            }
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Io { .. }), "{what}, {n}: {error}");
            assert!(error.to_string().ends_with(": fault"), "{error}");
            assert_eq!(read(what).unwrap(), 20);
            failed += 1;
        }
        assert!(failed >= 6, "{what}: {failed}");
    }
}
