//! What the targets of a table are: numbers, or classes with their names.

use super::dataset::{Task, TaskKind};
use super::labels::infer_task;
use super::schema::{Raw, list, shown, sort_levels};
use crate::error::counted;

/// Fewest different whole numbers that are certainly not classes.
const MANY_LABELS: usize = 20;

/// Fewest classes that may be amounts, and the rows of each below which a note says so.
const CLASSES: usize = 5;
const ROWS_OF_A_CLASS: usize = 5;

/// Targets, read.
#[derive(Debug)]
pub(super) struct Targets {
    /// Numbers, or class indices.
    pub values: Vec<f64>,
    /// What they are.
    pub task: Task,
    /// Names of the classes; empty if they are called 0, 1...
    pub classes: Vec<String>,
    /// What a reader should know about the choice.
    pub note: Option<String>,
}

/// What is wrong, with the row if it concerns a single one.
type Fault = (Option<usize>, String);

impl Targets {
    /// Reads targets, none of which is missing.
    ///
    /// Texts are classes. Numbers are classes if they are exactly `0..K`, with `K >= 2` and
    /// `2 (K - 1) <= n` for `n` rows; or if classes are asked for, and then any whole numbers are
    /// labels. Class names are sorted.
    pub(super) fn of(cells: Raw, asked: Option<TaskKind>) -> Result<Self, Fault> {
        match (cells, asked) {
            (Raw::Texts { rows, .. }, Some(TaskKind::Regression)) => {
                let row = rows.iter().position(Option::is_some);
                Err((row, "a text, and a regression needs a number".into()))
            }
            (Raw::Texts { texts, rows }, _) => Self::of_texts(&texts, &rows),
            (Raw::Numbers(values), Some(TaskKind::Classification)) => Self::of_labels(values),
            (Raw::Numbers(values), asked) => {
                let task = match asked {
                    None => infer_task(&values),
                    Some(_) => Task::Regression,
                };
                let note = match (task, asked) {
                    (Task::Regression, None) => note_on_labels(&values),
                    (Task::Classification { classes }, _) => note_on_classes(classes, values.len()),
                    _ => None,
                };
                Ok(Self {
                    values,
                    task,
                    classes: Vec::new(),
                    note,
                })
            }
        }
    }

    fn of_texts(texts: &[String], rows: &[Option<u32>]) -> Result<Self, Fault> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        sort_levels(&mut order, |k| texts[k].as_str());
        let classes = order.len();
        if classes < 2 {
            return Err((None, one_label(texts.first().map_or("", String::as_str))));
        }
        if classes > 2 && 2 * classes > rows.len() {
            let (texts, rows) = (
                counted(classes, "different text"),
                counted(rows.len(), "row"),
            );
            return Err((None, format!("{texts} in {rows} are not classes")));
        }
        let mut index = vec![0.0; classes];
        for (class, &k) in order.iter().enumerate() {
            index[k] = class as f64;
        }
        let value = |at: &Option<u32>| at.map_or(f64::NAN, |at| index[at as usize]);
        Ok(Self {
            values: rows.iter().map(value).collect(),
            task: Task::Classification { classes },
            classes: order.iter().map(|&k| texts[k].clone()).collect(),
            note: None,
        })
    }

    fn of_labels(values: Vec<f64>) -> Result<Self, Fault> {
        // beyond this, neighbouring whole numbers are one number
        const LARGEST: f64 = 9_007_199_254_740_992.0;
        if values.is_empty() {
            return Err((None, "no rows".into()));
        }
        if let Some(row) = values.iter().position(|y| y.abs() >= LARGEST) {
            let what = "is too large for a label; read the labels as texts: --types NAME=category";
            return Err((Some(row), format!("{} {what}", values[row])));
        }
        if let Some(row) = values.iter().position(|y| y.fract() != 0.0) {
            let what = format!(
                "{} is not a class label: labels are whole numbers",
                values[row]
            );
            return Err((Some(row), what));
        }
        let labels = distinct(&values);
        let classes = labels.len();
        if classes < 2 {
            return Err((None, one_label(&values[0].to_string())));
        }
        let plain = labels.iter().enumerate().all(|(k, &y)| y == k as f64);
        let index = |y: &f64| labels.partition_point(|label| label < y) as f64;
        Ok(Self {
            values: values.iter().map(index).collect(),
            task: Task::Classification { classes },
            classes: match plain {
                true => Vec::new(),
                false => labels.iter().map(f64::to_string).collect(),
            },
            note: note_on_classes(classes, values.len()),
        })
    }
}

fn one_label(label: &str) -> String {
    format!(
        "every label is {}: classification needs at least 2",
        shown(label)
    )
}

/// Finite numbers, sorted, each once; 0 and -0 are one.
fn distinct(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|v| v + 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    sorted
}

/// Few different whole numbers may well be classes.
fn note_on_labels(values: &[f64]) -> Option<String> {
    if values.iter().any(|y| y.fract() != 0.0) {
        return None;
    }
    let labels = distinct(values);
    let count = labels.len();
    if !(2..MANY_LABELS).contains(&count) || 2 * count > values.len() {
        return None;
    }
    let names: Vec<String> = labels.iter().map(f64::to_string).collect();
    let names = list(names.iter().map(String::as_str));
    Some(format!(
        "the target has {} ({names}) and is read as a number; if these are classes, say so: \
         --task classification",
        counted(count, "different whole number")
    ))
}

/// Classes of whole numbers with few rows each may be amounts.
fn note_on_classes(classes: usize, rows: usize) -> Option<String> {
    let few = classes >= CLASSES && classes.saturating_mul(ROWS_OF_A_CLASS) > rows;
    few.then(|| {
        format!(
            "the target has {} in {}; if these whole numbers are amounts, say so: --task regression",
            counted(classes, "class"),
            counted(rows, "row")
        )
    })
}
