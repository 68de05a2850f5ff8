//! The rows where the model is least sure.

use crate::metrics::ScoredRows;
use crate::report::material::Material;
use crate::report::ticks::short;

use super::confusion::top;

/// Rows and features that are listed.
const ROWS: usize = 10;
const FEATURES: usize = 5;

/// A table of texts: a heading for each column, and the cells of each row.
pub struct Table {
    /// Headings.
    pub head: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

/// The least sure rows, first the most doubtful one. Ties are in the order of the file.
pub fn order(doubt: &[f64], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..doubt.len()).collect();
    order.sort_by(|a, b| doubt[*b].total_cmp(&doubt[*a]));
    order.truncate(most);
    order
}

/// The rows of highest entropy, or of largest standard deviation.
pub fn unsure(material: &Material<'_>) -> Table {
    let names = material
        .metadata
        .feature_names
        .iter()
        .take(FEATURES)
        .cloned();
    let names: Vec<String> = if material.metadata.image.is_some() {
        Vec::new()
    } else {
        names.collect()
    };
    let cells = |row: usize| -> Vec<String> {
        let features = material.test.row(row).iter().take(names.len());
        features.map(|v| short(*v)).collect()
    };
    let name = |k: usize| material.classes.get(k).cloned().unwrap_or_default();
    let (head, rows): (&[&str], Vec<Vec<String>>) = match material.scored {
        ScoredRows::Classes {
            predictions,
            labels,
            ..
        } => {
            let k = predictions.classes;
            let of = |row: usize| {
                let p = &predictions.probabilities[row * k..(row + 1) * k];
                let named = top(p);
                let said = format!("{} ({} %)", name(named), short(100.0 * p[named]));
                vec![
                    (row + 1).to_string(),
                    said,
                    name(labels[row]),
                    short(predictions.entropy[row]),
                    short(predictions.mutual_information[row]),
                ]
            };
            let rows = order(&predictions.entropy, ROWS).into_iter();
            (
                &[
                    "row",
                    "predicted",
                    "true",
                    "entropy (nats)",
                    "mutual information (nats)",
                ],
                rows.map(|r| [of(r), cells(r)].concat()).collect(),
            )
        }
        ScoredRows::Real(real) => {
            let (low, high) = real.intervals();
            let of = |row: usize| {
                let ends = format!("{} to {}", short(low[row]), short(high[row]));
                vec![
                    (row + 1).to_string(),
                    short(real.means()[row]),
                    ends,
                    short(real.targets()[row]),
                    short(real.stds()[row]),
                ]
            };
            let rows = order(real.stds(), ROWS).into_iter();
            (
                &[
                    "row",
                    "predicted",
                    "90 % interval",
                    "true",
                    "standard deviation",
                ],
                rows.map(|r| [of(r), cells(r)].concat()).collect(),
            )
        }
    };
    let head = head.iter().map(|h| (*h).to_string());
    Table {
        head: head.chain(names.clone()).collect(),
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_most_doubtful_come_first() {
        assert_eq!(order(&[0.1, 0.5, 0.3, 0.5], 3), [1, 3, 2]);
        assert_eq!(order(&[f64::NAN; 0], 3), [0; 0]);
    }
}
