//! Tests of the module above.

use super::Decimal::{Comma, Point};
use super::*;

/// Delimiter and decimal sign, such as ";,", or the message. `given` is the delimiter, decimal
/// sign and comment byte, with `_` for those to find.
fn found(text: &str, given: &[u8; 3]) -> String {
    let [delimiter, decimal, comment] = given.map(|b| Some(b).filter(|&b| b != b'_'));
    let options = DialectOptions {
        delimiter,
        decimal: decimal.map(|b| if b == b',' { Comma } else { Point }),
        comment,
    };
    let sign = |d| if d == Comma { ',' } else { '.' };
    let written = |d: Dialect| [char::from(d.delimiter), sign(d.decimal)].iter().collect();
    detect(text, &options).map_or_else(|message| message, written)
}

#[test]
fn dialects_are_found() {
    for (expected, given, text) in [
        (",.", b"___", "a,b\n1.5,2\n"),
        (";.", b"___", "a;b\n1.5;2\n"),
        ("\t,", b"___", "a\tb\r1,5\t2\r"),
        ("|.", b"___", "a|b\r\n1.5|2\r\n"),
        (";,", b"___", "a;b\n1,5;2,5\n"),
        ("\t,", b"___", "a\tb\n\" 1.234,5 \"\tx\n"),
        // ties
        ("\t.", b"___", "1|2;x\t3\n"),
        (";.", b"___", "1|2;x\n"),
        ("|,", b"___", "1,2|3\n"),
        // quotes; a split that leaves a quote inside a field does not qualify
        (";,", b"___", "\"a\n\n;b\" ;c\n \"x; \"\"y\"\"\";1,5\n"),
        (",.", b"___", "a,\"b;\"\n1,\"2;\"\n"),
        (",.", b"___", "\"a;\",b\n\"1;\",2\n"),
        (",.", b"___", "\"a\",b;c\n\"1\",2;3\n"),
        (";,", b"___", "\"a|b\";c\n1;2,5\n"),
        ("\t,", b"___", "\t\"a\"\n1,5\t2\n"),
        (",.", b"___", "a;\"b"),
        (",.", b"___", "\"a;b\n1;2\n"),
        // one column
        (",.", b"___", "a\n1,5\n2,5\n"),
        // no decimal commas in a comma file; a lone group of three proves nothing
        (",.", b"___", "a,b\n\"1,5\",\"2,5\"\n"),
        (";.", b"___", "a;b\n1.234;2\n"),
        (";,", b"___", "a;b\n1,234;0,123\n"),
        // options
        (":.", b":__", "a,b\n1;5\n"),
        (",,", b",,_", "1,5;2"),
        (";.", b"_._", "1,5;2\n"),
        (";,", b"_,_", "a\n1,5\n2,5\n"),
        ("\t,", b"_,;", ""),
        (",.", b"__;", "a;b,c"),
        (";,", b"__#", "#a,\"\r\na;b\r\n\r\n#c\r1,5;2\n#1.5;\n# ;\""),
    ] {
        assert_eq!(found(text, given), expected, "{text:?}");
    }
}

#[test]
fn most_rows_decide_among_the_first_200() {
    let text = |even: usize, odd: usize| "a;b\n".repeat(even) + &"1;2;3\n".repeat(odd);
    for (even, odd, expected) in [(9, 1, ";."), (8, 1, ",."), (180, 20, ";."), (179, 21, ",.")] {
        assert_eq!(found(&text(even, odd), b"___"), expected, "{even}");
    }
    assert_eq!(found(&text(180, 99), b"___"), ";.");
    let late = text(199, 0) + "\n \n\"1,5\";2\n1.5;2\n";
    assert_eq!(found(&late, b"___"), ";,");
    // commas split all records alike; semicolons 9 of 10, then 20 of 22
    for (rows, end) in [(9, "1,2"), (18, "1;2,\"x\ny;z\ny;z\nw\"")] {
        assert_eq!(found(&("a;b,c\n".repeat(rows) + end), b"___"), ",.");
    }
}

#[test]
fn what_is_unclear_or_impossible_is_refused() {
    for (text, given, words) in [
        ("a;b\n1,5;2.5\n", b"___", "'1,5' '2.5' --decimal"),
        ("a;b\n2.5;1,234\n", b"___", "'1,234' '2.5' --decimal"),
        ("a;b\n1,5;1.234\n", b"___", "'1,5' '1.234' --decimal"),
        (
            "a;b\n1,234,567;1.234.567\n",
            b"___",
            "'1,234,567' '1.234.567' --decimal",
        ),
        (
            "a;b\n1.234.567;1.200\n",
            b"___",
            "'1.234.567' '1.200' --decimal",
        ),
        ("\t-123,456", b"___", "'-123,456' thousands --decimal"),
        ("1,2\n3,4\n", b"_,_", "commas decimal comma give"),
        ("", b" __", "blanks tabs commas"),
    ] {
        let message = found(text, given);
        let mut words = words.split(' ');
        assert!(words.all(|w| message.contains(w)), "{message}");
    }
    let fine = |delimiter, comment| found("", &[delimiter, b'_', comment]).chars().count() == 2;
    for byte in (0..=255_u8).filter(|&b| b != b'_') {
        let may = byte < 128 && !byte.is_ascii_alphanumeric() && !b"\".-+ ".contains(&byte);
        assert_eq!(
            fine(byte, b'_'),
            may && !b"\r\n\0".contains(&byte),
            "{byte}"
        );
        let printed = (33..127).contains(&byte);
        assert_eq!(fine(b'_', byte), may && printed && byte != b',', "{byte}");
        assert!(!fine(byte, byte), "{byte}");
    }
}

#[test]
fn the_description_is_plain() {
    let found = |text| {
        detect(text, &DialectOptions::default())
            .unwrap()
            .to_string()
    };
    assert_eq!(
        found("1,5;2"),
        "fields separated by semicolons, decimal comma"
    );
    assert_eq!(found(""), Dialect::default().to_string());
}

#[test]
fn numbers() {
    // cell, value with a decimal point, value with a decimal comma
    let rows = "0 0 0|-12 -12 -12|+1.5 1.5 x|-1,5 x -1.5|1.5e3 1500 x|1,5E-3 x 0.0015|.5 0.5 x\
        |1e+2 100 100|1.234,5 x 1234.5|1,234.5 1234.5 x|-1,234,567.25e1 -12345672.5 x|5. 5 x\
        |1.234.567,25 x 1234567.25|1,234,567 1234567 x|1.234.567 x 1234567|1,234 x 1.234\
        |1.234 1.234 x|+123,456.5 123456.5 x|1,234,567e2 123456700 x|1.234.567E1 x 12345670\
        |,5 x 0.5|5, x 5|1e-999 0 0";
    for row in rows.split('|') {
        let parts: Vec<&str> = row.split(' ').collect();
        assert_eq!(number(parts[0], Point), parts[1].parse().ok(), "{row}");
        assert_eq!(number(parts[0], Comma), parts[2].parse().ok(), "{row}");
    }
    let none = "| |-|+|.|,|e5|1e|1e+|1e5.0|1e999|-1e999|inf|NaN|0x10|1_000|１|1,2,3|1.2.3|--1|1 \
        |1,23.5|12.34,5|1,2345.5|1234,567.5|1234.567,5|0,123.5|0.123.456|,123.5|1,234,|1.234.\
        |1,234.|1,,234|1,234.5,6|1.234,567.8|1,234.567,8|1,234,56|1e0,001|1e0.001|1,234.e5\
        |1,234e5.0|1,23a.5|inf,nan.5|1-2|−1|1d5|infinity";
    for cell in none.split('|') {
        let values = [Point, Comma].map(|decimal| number(cell, decimal));
        assert_eq!(values, [None, None], "{cell:?}");
    }
}

/// A congruential generator: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851f42d4c957f2d).wrapping_add(1);
        (self.0 >> 33) as usize % n
    }

    fn text(&mut self, alphabet: &str, longest: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let length = 0..self.below(longest + 1);
        length.map(|_| letters[self.below(letters.len())]).collect()
    }
}

#[test]
fn no_text_panics_and_no_cell_is_two_numbers() {
    let mut random = Random(1);
    for _ in 0..100_000 {
        let text = random.text(",;\t|\"\n\r .1a-#é", 24);
        let given = [b"___", b"__#"][random.below(2)];
        let got = found(&text, given);
        assert_eq!(got, found(&text, given));
        assert_ne!(got, ",,", "{text:?}");
        let cell = random.text("01234.,+-e", 9);
        if let (Some(a), Some(b)) = (number(&cell, Point), number(&cell, Comma)) {
            assert_eq!(a, b, "{cell}");
        }
    }
}

#[test]
fn a_written_table_is_found() {
    let mut random = Random(2);
    for round in 0..2_000 {
        let dialect = [";.", "\t.", "|.", ",.", ";,", "\t,", "|,"][round % 7];
        let (delimiter, sign) = dialect.split_at(1);
        let columns = 2 + random.below(4);
        let mut text = String::new();
        for at in 0..columns * (1 + random.below(20)) {
            let mut cell = match random.below(3) {
                _ if at == 0 => "0.5".to_string(),
                0 => random.text(",;\t|\"\n\r a", 6),
                _ => (random.below(2_000_000) as f64 / 1e3 - 500.0).to_string(),
            };
            if cell.contains([',', ';', '\t', '|', '"', '\n', '\r']) || cell.is_empty() {
                cell = format!("\"{}\"", cell.replace('"', "\"\""));
            }
            if !cell.starts_with('"') {
                cell = cell.replace('.', sign);
            }
            text += &cell;
            let lines = ["\n", "\r\n\r\n", "\n#a,b;\"\n"];
            let row_ends = at % columns + 1 == columns;
            text += [delimiter, lines[random.below(3)]][usize::from(row_ends)];
        }
        assert_eq!(found(&text, b"__#"), dialect, "{text:?}");
    }
}
