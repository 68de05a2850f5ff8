//! How a text file writes its table, found from its first rows.
//!
//! A wrong guess must not change data in silence. So [`number`] never reads a cell as two different
//! numbers: what one decimal sign accepts, the other reads equally or refuses.
//!
//! **What is examined.** The first 200 records, without blank lines and comment lines. A field that
//! begins with a quote, after optional blanks, runs to the closing quote. It may hold delimiters,
//! line ends, and quotes written twice. A record with any other quote is *unsound*. Line ends are
//! LF, CR or both.
//!
//! **Delimiter.** A candidate splits the first record into at least 2 fields, and at least 90 % of
//! the records into equally many. Unsound records never count as alike. The largest share of alike
//! records wins. Ties go to tab, semicolon, vertical bar, comma, in this order: in `1,5;2,5` the
//! commas are decimal signs. This misreads a comma file that has one semicolon outside quotes in
//! every row. Without a candidate, the file has one column and the delimiter is a comma.
//!
//! **Decimal sign.** A point, unless the delimiter is not a comma and some cell is a number only
//! with a decimal comma, such as `1,5` or `1.234.567`. Two cases are refused, and the caller must
//! decide:
//! - another cell is a number only with a decimal point, such as `1.5`;
//! - every number with a comma looks like `1,234`, which may also mean 1234.
//!
//! `1.234` is 1.234 unless a decimal comma is found or given. A file that means 1234 by it, and has
//! no other decimals, must be declared.
//!
//! **Options.** A given option wins without a look at the text. With a given decimal comma, a comma
//! is the delimiter only if that is given too; the cells must then be quoted. A file of one column
//! gets a semicolon instead.

use std::fmt;

/// The sign between whole and fraction of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decimal {
    /// `1.5`
    #[default]
    Point,
    /// `1,5`
    Comma,
}

/// How a file writes its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The ASCII byte between two fields.
    pub delimiter: u8,
    /// The sign between whole and fraction of a number.
    pub decimal: Decimal,
    /// Lines that begin with this byte are skipped.
    pub comment: Option<u8>,
}

/// What a caller fixes. The rest is found from the first rows. Without `comment` there are no
/// comment lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialectOptions {
    /// The ASCII byte between two fields.
    pub delimiter: Option<u8>,
    /// The sign between whole and fraction of a number.
    pub decimal: Option<Decimal>,
    /// The byte that begins a comment line.
    pub comment: Option<u8>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: b',',
            decimal: Decimal::Point,
            comment: None,
        }
    }
}

impl Dialect {
    /// "comma", "semicolon", "tab", "vertical bar" or "other".
    pub fn delimiter_name(&self) -> &'static str {
        match self.delimiter {
            b',' => "comma",
            b';' => "semicolon",
            b'\t' => "tab",
            b'|' => "vertical bar",
            _ => "other",
        }
    }
}

impl fmt::Display for Dialect {
    /// For example "fields separated by semicolons, decimal comma".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.delimiter_name() {
            "other" => write!(f, "fields separated by '{}'", self.delimiter.escape_ascii())?,
            name => write!(f, "fields separated by {name}s")?,
        }
        f.write_str(match self.decimal {
            Decimal::Point => ", decimal point",
            Decimal::Comma => ", decimal comma",
        })?;
        match self.comment {
            Some(byte) => write!(f, ", comments after '{}'", byte.escape_ascii()),
            None => Ok(()),
        }
    }
}

/// True for a text that a person would read as a number, a date or a time, though [`number`] does
/// not: `4,100`, `12%`, `$5.50`, `31.03.2024`, `12:30`. Ranges such as `18-24` are no numbers.
pub(super) fn looks_like_a_number(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-', '\u{2212}']);
    let mut before = ' ';
    let fits = text.chars().all(|c| {
        let exponent = matches!(c, 'e' | 'E') && before.is_ascii_digit();
        let sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        before = c;
        c.is_ascii_digit()
            || exponent
            || sign
            || matches!(
                c,
                '.' | ',' | '%' | '$' | '€' | '£' | '¥' | '\'' | ' ' | '\u{a0}' | '/' | ':'
            )
    });
    fits && text.contains(|c: char| c.is_ascii_digit())
}

/// Records that are examined at most.
const EXAMINED: usize = 200;

/// Finds the dialect of `text`, which has no byte order mark, by the rules in the head of this
/// file. Takes time linear in the examined part of the text.
///
/// # Errors
/// A message, when the decimal sign is unclear, when a decimal comma is given and commas seem to
/// separate the fields, or when a given byte cannot separate fields or begin a comment.
pub fn detect(text: &str, options: &DialectOptions) -> Result<Dialect, String> {
    check(options)?;
    let delimiter = match options.delimiter {
        Some(delimiter) => delimiter,
        None => find_delimiter(text, options)?,
    };
    let decimal = match options.decimal {
        Some(decimal) => decimal,
        None if delimiter == b',' => Decimal::Point,
        None => find_decimal(text, delimiter, options.comment)?,
    };
    Ok(Dialect {
        delimiter,
        decimal,
        comment: options.comment,
    })
}

fn check(options: &DialectOptions) -> Result<(), String> {
    let (delimiter, comment) = (options.delimiter, options.comment);
    // a row may begin with a number, and must not pass for a comment
    let numeric = |byte: u8| byte.is_ascii_alphanumeric() || b"\"+-.".contains(&byte);
    let separates = |byte| byte < 128 && !numeric(byte) && !b"\r\n\0 ".contains(&byte);
    let comments = |byte: u8| byte.is_ascii_punctuation() && !numeric(byte) && byte != b',';
    if delimiter == Some(b' ') {
        return Err("blanks cannot separate fields: use tabs or commas".to_string());
    }
    if let Some(byte) = delimiter.filter(|&byte| !separates(byte)) {
        return Err(format!("'{}' cannot separate fields", byte.escape_ascii()));
    }
    match comment.filter(|&byte| !comments(byte) || delimiter == comment) {
        Some(byte) => Err(format!("'{}' cannot begin a comment", byte.escape_ascii())),
        None => Ok(()),
    }
}

fn find_delimiter(text: &str, options: &DialectOptions) -> Result<u8, String> {
    let mut best: Option<(u8, usize, usize)> = None;
    let candidates = b"\t;|,".iter().copied();
    for delimiter in candidates.filter(|&byte| options.comment != Some(byte)) {
        let records = records(text, delimiter, options.comment);
        let fields = records.first().map_or(0, Vec::len);
        let alike = records.iter().filter(|r| r.len() == fields).count();
        let enough = fields >= 2 && alike * 10 >= records.len() * 9;
        if enough && best.is_none_or(|(_, a, of)| alike * of > a * records.len()) {
            best = Some((delimiter, alike, records.len()));
        }
    }
    match (best, options.decimal) {
        (Some((b',', ..)), Some(Decimal::Comma)) => Err(
            "commas seem to separate the fields, but a decimal comma is given: give the delimiter"
                .to_string(),
        ),
        (Some((delimiter, ..)), _) => Ok(delimiter),
        (None, Some(Decimal::Comma)) if options.comment == Some(b';') => Ok(b'\t'),
        (None, Some(Decimal::Comma)) => Ok(b';'),
        (None, _) => Ok(b','),
    }
}

fn find_decimal(text: &str, delimiter: u8, comment: Option<u8>) -> Result<Decimal, String> {
    let (mut point, mut comma, mut unclear) = (None, None, None);
    for cell in records(text, delimiter, comment).into_iter().flatten() {
        let (by_point, by_comma) = (number(cell, Decimal::Point), number(cell, Decimal::Comma));
        if by_point.is_some() && by_comma.is_none() {
            point.get_or_insert(cell);
        } else if by_point.is_none() && by_comma.is_some() {
            match is_grouped(unsigned(cell), ',') {
                true => unclear.get_or_insert(cell),
                false => comma.get_or_insert(cell),
            };
        }
    }
    match (point, comma, unclear) {
        (Some(point), Some(comma), _) | (Some(point), None, Some(comma)) => Err(format!(
            "numbers with a decimal comma ('{comma:.40}') and with a decimal point ('{point:.40}') \
             were both found: --decimal comma or --decimal point decides"
        )),
        (None, None, Some(cell)) => Err(format!(
            "the comma of '{cell}' may be a decimal comma or separate thousands: --decimal comma \
             reads a decimal comma, --decimal point refuses such cells"
        )),
        (None, Some(_), _) => Ok(Decimal::Comma),
        (_, None, None) => Ok(Decimal::Point),
    }
}

/// The trimmed cells of the examined records. An unsound record has none.
fn records(text: &str, delimiter: u8, comment: Option<u8>) -> Vec<Vec<&str>> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < text.len() && records.len() < EXAMINED {
        if comment == Some(text.as_bytes()[at]) {
            // the LF of a CR LF is left over as a blank line
            let line = text[at..].find(['\r', '\n']);
            at = line.map_or(text.len(), |length| at + length + 1);
            continue;
        }
        let (mut cells, mut all_sound) = (Vec::new(), true);
        loop {
            let (end, cell, sound) = field(text, at, delimiter);
            cells.push(cell);
            all_sound &= sound;
            at = end + 1;
            if text.as_bytes().get(end) != Some(&delimiter) {
                break;
            }
        }
        if cells != [""] {
            records.push(if all_sound { cells } else { Vec::new() });
        }
    }
    records
}

/// The field that begins at `start`: where it ends, its trimmed cell, whether its quotes are sound.
/// Quotes written twice stay as they are, because no such cell is a number.
fn field(text: &str, start: usize, delimiter: u8) -> (usize, &str, bool) {
    let delimiter = char::from(delimiter);
    let end_after = |from: usize| {
        let end = text[from..].find([delimiter, '\r', '\n']);
        end.map_or(text.len(), |n| from + n)
    };
    let blanks = |c: char| c != delimiter && (c == ' ' || c == '\t');
    let Some(quoted) = text[start..].trim_start_matches(blanks).strip_prefix('"') else {
        let end = end_after(start);
        let cell = text[start..end].trim();
        return (end, cell, !cell.contains('"'));
    };
    let (bytes, mut n) = (quoted.as_bytes(), 0);
    while n < bytes.len() && (bytes[n] != b'"' || bytes.get(n + 1) == Some(&b'"')) {
        n += if bytes[n] == b'"' { 2 } else { 1 };
    }
    let Some(rest) = quoted.get(n + 1..) else {
        return (text.len(), quoted, false);
    };
    let closed = text.len() - rest.len();
    let end = end_after(closed);
    (end, quoted[..n].trim(), text[closed..end].trim().is_empty())
}

/// Parses a trimmed cell as a number, or returns `None`.
///
/// A number is decimal, in ASCII, with an optional sign and exponent: `-1.5e3`. Its whole part may
/// be in groups of exactly three digits, separated by the sign that is not the decimal one:
/// `1,234.5` with a decimal point, `1.234,5` with a decimal comma.
///
/// A lone group without a fraction is refused: `1,234` with a decimal point may mean 1234 or 1.234.
/// So may `1.234` with a decimal comma. The caller reports such a cell. `1,234,567` and `1.234.567`
/// are clear. Also refused: infinities, NaN, hexadecimal digits, underscores, numbers too large for
/// f64.
pub fn number(cell: &str, decimal: Decimal) -> Option<f64> {
    let (sign, group) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let digits = unsigned(cell);
    let (whole, rest) = digits.split_at(digits.find([sign, 'e', 'E']).unwrap_or(digits.len()));
    let has_fraction =
        rest.starts_with(sign) && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    let valid = match whole.matches(group).count() {
        0 => true,
        1 => is_grouped(whole, group) && has_fraction,
        _ => is_grouped(whole, group),
    };
    if !valid || rest.contains(group) {
        return None;
    }
    // the grammar of `parse` is the one above, with infinities and NaN
    let value = match cell.contains(',') || whole.contains(group) {
        true => cell.replace(group, "").replace(sign, ".").parse::<f64>(),
        false => cell.parse(),
    };
    value.ok().filter(|value| value.is_finite())
}

fn unsigned(cell: &str) -> &str {
    cell.strip_prefix(['+', '-']).unwrap_or(cell)
}

/// Whether `text` is one to three digits, the first not 0, and then groups of three, if it has no
/// other characters than digits and `sign`.
fn is_grouped(text: &str, sign: char) -> bool {
    let mut groups = text.split(sign).map(str::len);
    let first_is_short = matches!(groups.next(), Some(1..=3)) && !text.starts_with('0');
    first_is_short && groups.all(|length| length == 3)
}

#[cfg(test)]
mod tests;
