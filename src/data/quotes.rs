//! Checks that the quotes of a CSV text are where RFC 4180 allows them.
//!
//! The reader behind [`read_table`](super::read_table) is more lenient. If a quote is never closed,
//! it takes the whole rest of the file as one field. It also reads `"1"5` as 15.
//!
//! A quoted field begins and ends with a quote, right next to the delimiters and line ends. It may
//! hold delimiters, line ends, and quotes written twice. A field that does not begin with a quote
//! holds none: `5"` is rejected. So is a blank before or after the quotes, which RFC 4180 counts as
//! part of the field.

use super::dialect::Dialect;

/// A misplaced quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The place to point at. For a field that is never closed, that of its first byte.
    pub at: u64,
    /// What is wrong there.
    pub what: &'static str,
}

const NOT_CLOSED: &str = "a field begins with a quote that is never closed";
const AFTER: &str = "a field goes on after its closing quote";
const INSIDE: &str = "a quote inside a field that does not begin with one (put the field in quotes and write the quote twice)";

#[derive(Clone, Copy)]
enum State {
    /// At the first byte of a line.
    Line,
    /// At the first byte of a field.
    Start,
    Plain,
    /// In a comment, to the end of the line.
    Comment,
    Quoted {
        opened: u64,
    },
    /// After a quote in a quoted field: either the field's end, or the first of two quotes.
    Quote {
        opened: u64,
    },
}

/// Looks for a misplaced quote, byte by byte.
pub(super) struct Quotes {
    dialect: Dialect,
    state: State,
}

impl Quotes {
    /// At the start of a text without a byte order mark.
    pub(super) fn new(dialect: Dialect) -> Self {
        let state = State::Line;
        Self { dialect, state }
    }

    /// Takes the next byte, which is at a place that the caller numbers. Do not go on after a
    /// fault.
    pub(super) fn step(&mut self, byte: u8, at: u64) -> Option<Fault> {
        let fault = |what| Some(Fault { at, what });
        let ends_line = byte == b'\n' || byte == b'\r';
        self.state = match (self.state, byte) {
            (State::Quoted { opened }, b'"') => State::Quote { opened },
            (State::Quoted { opened }, _) | (State::Quote { opened }, b'"') => {
                State::Quoted { opened }
            }
            (_, _) if ends_line => State::Line,
            (State::Comment, _) => State::Comment,
            (State::Line, byte) if Some(byte) == self.dialect.comment => State::Comment,
            (_, byte) if byte == self.dialect.delimiter => State::Start,
            (State::Quote { .. }, _) => return fault(AFTER),
            (State::Line | State::Start, b'"') => State::Quoted { opened: at },
            (State::Plain, b'"') => return fault(INSIDE),
            (State::Line | State::Start | State::Plain, _) => State::Plain,
        };
        None
    }

    /// A field that is not closed where the text ends here.
    pub(super) fn finish(&self) -> Option<Fault> {
        match self.state {
            State::Quoted { opened: at } => Some(Fault {
                at,
                what: NOT_CLOSED,
            }),
            _ => None,
        }
    }
}

/// The first misplaced quote of a text in memory, by its offset.
#[cfg(test)]
pub(super) fn first_fault(text: &[u8], dialect: Dialect) -> Option<Fault> {
    let mark = super::stream::BYTE_ORDER_MARK;
    let skipped = if text.starts_with(mark) {
        mark.len()
    } else {
        0
    };
    let mut quotes = Quotes::new(dialect);
    let bytes = text.iter().enumerate().skip(skipped);
    for (at, &byte) in bytes {
        let fault = quotes.step(byte, at as u64);
        if fault.is_some() {
            return fault;
        }
    }
    quotes.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> Option<(usize, &'static str)> {
        first_fault(text.as_bytes(), Dialect::default()).map(|f| (f.at as usize, f.what))
    }

    #[test]
    fn what_rfc_4180_allows_passes() {
        for text in [
            "",
            "\"\"",
            "a,b\n1,2\n",
            "\"a\",\"b\"\r\n\"1\",\"2\"\r\n",
            "\u{feff}\"a\",b\n1,\"2\"",
            "\"a\rb\",\"c\n\nd\"\r1,2",
            "\"a \"\"b\"\"\",\"\"\"\"\n",
            "\"a,b\",,\"\"\n",
            "\"\u{feff}\"\n",
        ] {
            assert_eq!(fault(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_quote_out_of_place_is_found() {
        for (text, at, what) in [
            ("\"", 0, NOT_CLOSED),
            ("a,b\n1,\"2\n3,4\n", 6, NOT_CLOSED),
            ("a,\"b\n1,2\n", 2, NOT_CLOSED),
            ("\"a\"\"", 0, NOT_CLOSED),
            ("\"a\"\",b\n1,2\n", 0, NOT_CLOSED),
            ("\u{feff}\"a,b\n", 3, NOT_CLOSED),
            ("a\n\"1\"5\n", 5, AFTER),
            ("a\n\"1\" \n", 5, AFTER),
            ("\"\u{feff}\"\u{feff}", 5, AFTER),
            ("a\n5\"\n", 3, INSIDE),
            ("a\n \"5\"\n", 3, INSIDE),
            ("\u{feff}\u{feff}\"a\"", 6, INSIDE),
        ] {
            assert_eq!(fault(text), Some((at, what)), "{text:?}");
        }
    }

    #[test]
    fn delimiters_and_comments_of_the_dialect_are_heeded() {
        let dialect = Dialect {
            delimiter: b';',
            comment: Some(b'#'),
            ..Dialect::default()
        };
        for (text, at) in [
            ("a;\"b\"\n#it's \"open\n1;2\n", None),
            ("a,\"b\";c\n", Some(2)),
            ("a;#\"b\"\n", Some(3)),
        ] {
            let found = first_fault(text.as_bytes(), dialect);
            assert_eq!(found.map(|f| f.at as usize), at, "{text:?}");
        }
    }

    fn cell() -> impl Strategy<Value = String> {
        let pieces = [
            "\"", ",", "\n", "\r", "\r\n", " ", "a", "1", "é", "\u{feff}",
        ];
        let pieces = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..6);
        prop_oneof![any::<String>(), pieces.prop_map(|p| p.concat())]
    }

    fn written(rows: &[Vec<String>], always: bool, crlf: bool) -> Vec<u8> {
        let mut writer = ::csv::WriterBuilder::new()
            .flexible(true)
            .quote_style(match always {
                true => ::csv::QuoteStyle::Always,
                false => ::csv::QuoteStyle::Necessary,
            })
            .terminator(match crlf {
                true => ::csv::Terminator::CRLF,
                false => ::csv::Terminator::Any(b'\n'),
            })
            .from_writer(Vec::new());
        rows.iter().for_each(|r| writer.write_record(r).unwrap());
        writer.into_inner().unwrap()
    }

    fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(prop::collection::vec(cell(), 1..5), 1..5)
    }

    proptest! {
        #[test]
        fn whatever_a_writer_writes_passes(rows in rows(), always: bool, crlf: bool, mark: bool) {
            let mark = if mark { "\u{feff}" } else { "" };
            let bytes = [mark.as_bytes(), &written(&rows, always, crlf)].concat();
            prop_assert_eq!(first_fault(&bytes, Dialect::default()), None);
        }

        #[test]
        fn a_text_cut_off_inside_quotes_fails_where_they_begin(
            rows in rows(), inside in cell(), place in any::<prop::sample::Index>(), crlf: bool
        ) {
            let before = written(&rows, true, crlf);
            let field = inside.replace('"', "\"\"");
            // a cut between the two halves of a doubled quote would make the first one end the
            // field
            let cuts: Vec<usize> = (0..=field.len())
                .filter(|&n| field.as_bytes()[..n].iter().filter(|&&b| b == b'"').count() % 2 == 0)
                .collect();
            let cut = cuts[place.index(cuts.len())];
            let text = [&before, &b"\""[..], &field.as_bytes()[..cut]].concat();
            let at = before.len();
            prop_assert_eq!(first_fault(&text, Dialect::default()), Some(Fault { at: at as u64, what: NOT_CLOSED }));
            // the complete text passes
            let text = [&before, &b"\""[..], field.as_bytes(), &b"\""[..]].concat();
            prop_assert_eq!(first_fault(&text, Dialect::default()), None);
        }

        /// The scan and the reader agree on where fields end: an extra line becomes a new record
        /// exactly if no field is open.
        #[test]
        fn the_reader_ends_fields_where_the_scan_does(
            mut text in prop::collection::vec(prop::sample::select(b"a1,\"\n\r ".to_vec()), 0..12)
        ) {
            let fault = first_fault(&text, Dialect::default());
            prop_assume!(fault.is_none_or(|f| f.what == NOT_CLOSED));
            text.extend(b"\nz");
            let mut reader = ::csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(&text[..]);
            let last = reader.records().last().unwrap().unwrap();
            prop_assert_eq!(last == vec!["z"], fault.is_none(), "{:?}", last);
        }
    }
}
