//! Types of argument values and their parsers.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use fiberwalk::Error;
use fiberwalk::data::TaskKind;
use fiberwalk::pipeline::{Batch, Method};

/// A number, or `auto`, which leaves the choice to the program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Auto<N> {
    Auto,
    Value(N),
}

impl<N: Display> Display for Auto<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auto::Auto => f.write_str("auto"),
            Auto::Value(x) => x.fmt(f),
        }
    }
}

impl<N: Copy> Auto<N> {
    pub fn value(self) -> Option<N> {
        match self {
            Auto::Auto => None,
            Auto::Value(x) => Some(x),
        }
    }
}

/// A list of methods without repeats.
#[derive(Clone, Debug)]
pub struct Methods(pub Vec<Method>);

pub fn parse_methods(text: &str) -> std::result::Result<Methods, String> {
    let mut all: Vec<Method> = Vec::new();
    for name in text.split(',') {
        let method: Method = name.trim().parse().map_err(|e: Error| e.to_string())?;
        if all.contains(&method) {
            return Err(format!("{method} is there twice"));
        }
        all.push(method);
    }
    Ok(Methods(all))
}

/// Channels, height and width.
#[derive(Clone, Copy, Debug)]
pub struct ImageShape(pub [usize; 3]);

impl Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [c, h, w] = self.0;
        write!(f, "{c}x{h}x{w}")
    }
}

/// Rows per batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchRows(pub Batch);

/// Time between two checkpoints; `None` writes no checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct Period(pub Option<Duration>);

impl Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.unwrap_or_default().as_secs_f64().fmt(f)
    }
}

/// Hidden widths.
#[derive(Clone, Debug)]
pub enum Hidden {
    /// The given widths.
    Widths(Vec<usize>),
    /// The widths that predict best.
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Single,
    Double,
}

/// How rows of predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// A header and a line per row.
    Csv,
    /// One list of objects.
    Json,
    /// One object per line.
    JsonLines,
}

pub fn parse_format(text: &str) -> std::result::Result<RowFormat, String> {
    match text {
        "csv" => Ok(RowFormat::Csv),
        "json" => Ok(RowFormat::Json),
        "jsonl" => Ok(RowFormat::JsonLines),
        _ => Err("must be one of csv, json, jsonl".into()),
    }
}

/// Names, or other texts, that an option takes: separated by commas, in quotes as in CSV.
#[derive(Clone, Debug)]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// Those of an option that may be given several times.
    pub fn all(given: &[Self]) -> Vec<String> {
        given.iter().flat_map(|texts| texts.0.clone()).collect()
    }
}

pub fn parse_texts(text: &str) -> std::result::Result<Texts, String> {
    if text.trim().is_empty() {
        return Ok(Texts(vec![String::new()]));
    }
    // the second line is a record of its own only if all quotes are closed
    let lines = format!("{text}\n.");
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(lines.as_bytes());
    let records: std::result::Result<Vec<_>, _> = reader.into_records().collect();
    match records.as_deref() {
        Ok([texts, end]) if end == vec!["."] => {
            Ok(Texts(texts.iter().map(String::from).collect()))
        }
        _ => Err("expected texts separated by commas; one that holds a comma is written in quotes, as in CSV: '\"a,b\",c'".into()),
    }
}

pub fn parse_task(text: &str) -> std::result::Result<TaskKind, String> {
    match text {
        "classification" => Ok(TaskKind::Classification),
        "regression" => Ok(TaskKind::Regression),
        _ => Err("must be one of classification, regression".into()),
    }
}

pub fn parse_precision(text: &str) -> std::result::Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::Single),
        "f64" => Ok(Precision::Double),
        _ => Err("must be one of f32, f64".into()),
    }
}

pub fn parse_hidden(text: &str) -> std::result::Result<Hidden, String> {
    match text {
        "none" => return Ok(Hidden::Widths(Vec::new())),
        "auto" => return Ok(Hidden::Auto),
        _ => {}
    }
    let widths = text
        .split(',')
        .map(|w| w.trim().parse().ok().filter(|&w: &usize| w > 0));
    widths
        .collect::<Option<Vec<usize>>>()
        .map(Hidden::Widths)
        .ok_or_else(|| "expected positive widths such as 50 or 50,50, none or auto".into())
}

pub fn parse_image(text: &str) -> std::result::Result<ImageShape, String> {
    let extents = text
        .split('x')
        .map(|x| x.parse().ok().filter(|&x: &usize| x > 0));
    match extents.collect::<Option<Vec<usize>>>().as_deref() {
        Some(&[h, w]) => Ok(ImageShape([1, h, w])),
        Some(&[c, h, w]) => Ok(ImageShape([c, h, w])),
        _ => Err("expected height and width such as 28x28, or channels, height and width such as 3x32x32".into()),
    }
}

pub fn parse_batch(text: &str) -> std::result::Result<BatchRows, String> {
    match text {
        "auto" => Ok(BatchRows(Batch::Auto)),
        "full" => Ok(BatchRows(Batch::Full)),
        _ => match text.parse() {
            Ok(rows) if rows > 0 => Ok(BatchRows(Batch::Rows(rows))),
            _ => Err("expected a positive number, full or auto".into()),
        },
    }
}

pub fn parse_period(text: &str) -> std::result::Result<Period, String> {
    // longer than any walk, and short enough for the clock
    const LONGEST: f64 = 1e9;
    let wrong = "expected a number of seconds, or 0 for never";
    let seconds: f64 = text.parse().map_err(|_| wrong)?;
    let period = Duration::try_from_secs_f64(seconds.min(LONGEST)).map_err(|_| wrong)?;
    // `min` drops a NaN
    match seconds.is_nan() {
        true => Err(wrong.into()),
        false => Ok(Period((seconds > 0.0).then_some(period))),
    }
}

pub fn parse_auto<N: FromStr>(text: &str) -> std::result::Result<Auto<N>, String> {
    if text == "auto" {
        return Ok(Auto::Auto);
    }
    text.parse()
        .map(Auto::Value)
        .map_err(|_| "expected a number or auto".into())
}
