//! Options for reading tables: their format, and what their columns are.

use std::collections::HashMap;

use clap::Args;
use fiberwalk::data::{ColumnType, CsvFormat, Decimal, DialectOptions, Header, MissingCells};
use fiberwalk::{Error, Result};

use crate::values::{Texts, parse_texts};

/// How the text of a table is written.
#[derive(Args, Default)]
pub struct TableArgs {
    /// What separates fields: comma, semicolon, tab, bar, or a single character [default: found
    /// from the first rows]
    #[arg(long, value_name = "NAME", value_parser = parse_delimiter, help_heading = "Data")]
    pub delimiter: Option<u8>,
    /// point or comma [default: found from the first rows]
    #[arg(long, value_name = "point|comma", value_parser = parse_decimal, help_heading = "Data")]
    pub decimal: Option<Decimal>,
    /// Skip lines that begin with this character [default: none]
    #[arg(long, value_name = "C", value_parser = parse_byte, help_heading = "Data")]
    pub comment: Option<u8>,
    /// Whether the first line names the columns: yes, no (they are called c1, c2...), or auto (a
    /// first line with a number in it is refused) [default: auto]
    #[arg(long, value_name = "auto|yes|no", help_heading = "Data")]
    pub header: Option<Header>,
}

impl TableArgs {
    /// The format for the library.
    pub fn format(&self) -> CsvFormat {
        CsvFormat {
            dialect: DialectOptions {
                delimiter: self.delimiter,
                decimal: self.decimal,
                comment: self.comment,
            },
            header: self.header.unwrap_or_default(),
        }
    }

    /// Refuses options that images have no use for.
    pub fn refuse(&self) -> Result<()> {
        let given = [
            ("--delimiter", self.delimiter.is_some()),
            ("--decimal", self.decimal.is_some()),
            ("--comment", self.comment.is_some()),
            ("--header", self.header.is_some()),
        ];
        refuse_given(&given)
    }
}

/// What the columns of a new table are.
#[derive(Args, Default)]
pub struct ColumnArgs {
    /// Types of columns that are not found right: number, or category (texts, or numbers that only
    /// name something)
    #[arg(long, value_name = "NAME=TYPE,...", value_parser = parse_types, help_heading = "Data")]
    pub types: Vec<Types>,
    /// Columns to leave out, separated by commas (in quotes, as in CSV, where a name holds one)
    #[arg(long, value_name = "NAME,...", value_parser = parse_texts, help_heading = "Data")]
    pub ignore: Vec<Texts>,
    /// Column of weights: how often each row counts in the likelihood. It is no feature
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub weights: Option<String>,
    /// Missing cells of features: fill (the median or the most frequent level, and an indicator
    /// column) or error [default: fill]
    #[arg(long, value_name = "fill|error", value_parser = parse_missing, help_heading = "Data")]
    pub missing: Option<MissingCells>,
    /// Cells that stand for a missing value, besides an empty one, separated by commas [default: NA,
    /// N/A, NaN, null, ?]
    #[arg(
        long,
        value_name = "TEXT,...",
        value_parser = parse_texts,
        allow_hyphen_values = true,
        help_heading = "Data"
    )]
    pub missing_values: Vec<Texts>,
}

/// Types of columns, by their names.
#[derive(Clone, Debug)]
pub struct Types(Vec<(String, ColumnType)>);

impl ColumnArgs {
    /// Types by column.
    ///
    /// # Errors
    /// A column that is named twice.
    pub fn types(&self) -> Result<HashMap<String, ColumnType>> {
        let mut types = HashMap::new();
        for (name, kind) in self.types.iter().flat_map(|types| &types.0) {
            if types.insert(name.clone(), *kind).is_some() {
                let requirement = "names each column once";
                return Err(Error::config("--types", name, requirement));
            }
        }
        Ok(types)
    }

    /// Columns to leave out.
    pub fn ignored(&self) -> Vec<String> {
        Texts::all(&self.ignore)
    }

    /// Cells that stand for a missing value, if they were given.
    pub fn missing_values(&self) -> Option<Vec<String>> {
        (!self.missing_values.is_empty()).then(|| Texts::all(&self.missing_values))
    }

    /// Refuses options that images have no use for.
    pub fn refuse(&self) -> Result<()> {
        let given = [
            ("--types", !self.types.is_empty()),
            ("--ignore", !self.ignore.is_empty()),
            ("--weights", self.weights.is_some()),
            ("--missing", self.missing.is_some()),
            ("--missing-values", !self.missing_values.is_empty()),
        ];
        refuse_given(&given)
    }
}

fn refuse_given(options: &[(&'static str, bool)]) -> Result<()> {
    match options.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((name, _)) => Err(Error::config(name, "given", "is for CSV files")),
    }
}

fn parse_delimiter(text: &str) -> std::result::Result<u8, String> {
    match text {
        "comma" => Ok(b','),
        "semicolon" => Ok(b';'),
        "tab" | "\\t" => Ok(b'\t'),
        "bar" => Ok(b'|'),
        _ => parse_byte(text),
    }
}

fn parse_byte(text: &str) -> std::result::Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("must be a single ASCII character".into()),
    }
}

fn parse_decimal(text: &str) -> std::result::Result<Decimal, String> {
    match text {
        "point" => Ok(Decimal::Point),
        "comma" => Ok(Decimal::Comma),
        _ => Err("must be point or comma".into()),
    }
}

fn parse_missing(text: &str) -> std::result::Result<MissingCells, String> {
    match text {
        "fill" => Ok(MissingCells::Fill),
        "error" => Ok(MissingCells::Refuse),
        _ => Err("must be fill or error".into()),
    }
}

fn parse_types(text: &str) -> std::result::Result<Types, String> {
    let each = parse_texts(text)?.0;
    let each: std::result::Result<Vec<_>, _> = each.iter().map(|one| parse_type(one)).collect();
    each.map(Types)
}

fn parse_type(text: &str) -> std::result::Result<(String, ColumnType), String> {
    // a name may hold an equals sign, a type does not
    let (name, kind) = text
        .rsplit_once('=')
        .ok_or("must be NAME=number or NAME=category")?;
    let kind = kind.parse().map_err(|e: Error| e.to_string())?;
    Ok((name.to_string(), kind))
}
