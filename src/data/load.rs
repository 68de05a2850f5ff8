//! Data sets from CSV files: new ones, ones for a trained model, or features alone.

use std::path::Path;

use super::csv::{Table, at, read_columns};
use super::csv_text::CsvText;
use super::dataset::{Dataset, Task, TaskKind, is_label};
use super::labels::{Labels, infer_task};
use crate::error::{Result, counted};

/// How to read a CSV file as a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// Name of the target column. The last column if `None`.
    pub target: Option<String>,
    /// What the targets are. See [`load_csv`] for the rule if `None`.
    pub task: Option<TaskKind>,
}

/// Reads a data set. Every column but the target is a feature.
///
/// Class labels are the whole numbers `0..K`, each of which occurs. If no task is given, targets
/// are class labels if they are exactly that, with `K >= 2` and `2 (K - 1) <= n` for `n` rows.
/// Otherwise they are real numbers. So a quality of 3 to 8 is a regression target, and so is a
/// numbering of the rows from 0. A *count* that takes each of the values 0 to 9 looks like classes,
/// and needs [`CsvOptions::task`].
///
/// # Errors
/// Those of [`read_table`](super::read_table), an unknown target column, or no other column. If
/// classification is requested: a label that is not a whole number from 0, a gap in the labels, or
/// a single label.
pub fn load_csv(path: &Path, options: &CsvOptions) -> Result<Dataset> {
    CsvText::open(path)?.dataset(options)
}

/// Reads a data set for a model that was trained on the given columns. The file may hold them in
/// any order.
///
/// # Errors
/// Those of [`read_table`](super::read_table), and a missing or an unknown column. For
/// classification: a target outside `0..classes`.
pub fn load_for_schema(
    path: &Path,
    feature_names: &[String],
    target_name: &str,
    task: Task,
) -> Result<Dataset> {
    CsvText::open(path)?.dataset_for_schema(feature_names, target_name, task)
}

/// Reads the features `[n, d]`, row-major in the order of `feature_names`, for prediction.
///
/// The file may hold the columns in any order. It may hold the target column, whose cells are
/// ignored.
///
/// # Errors
/// Those of [`read_table`](super::read_table), and a missing or an unknown column.
pub fn load_features(path: &Path, feature_names: &[String], target_name: &str) -> Result<Vec<f64>> {
    CsvText::open(path)?.features(feature_names, target_name)
}

impl CsvText {
    /// A data set, by the rules of [`load_csv`].
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data): see [`load_csv`].
    pub fn dataset(self, options: &CsvOptions) -> Result<Dataset> {
        let path = &self.name.clone();
        let table = self.table()?;
        let target = target_index(path, &table.names, options.target.as_deref())?;
        if table.names.len() < 2 {
            let what = "the only column is the target: there are no features";
            return Err(at(path, Some(1), Some(&table.names[target]), what));
        }
        let targets = column(&table, target);
        let task = match options.task {
            Some(TaskKind::Regression) => Task::Regression,
            Some(TaskKind::Classification) => classification(path, &table, target, &targets)?,
            None => infer_task(&targets),
        };
        let Table { names, values, .. } = table;
        let features = without_column(&values, names.len(), target);
        let mut feature_names = names;
        let target_name = feature_names.remove(target);
        Dataset::new(features, targets, feature_names, target_name, task)
    }

    /// A data set for a model that was trained on the given columns: see [`load_for_schema`].
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data): see [`load_for_schema`].
    pub fn dataset_for_schema(
        self,
        feature_names: &[String],
        target_name: &str,
        task: Task,
    ) -> Result<Dataset> {
        let path = &self.name.clone();
        let table = read_columns(self, |header| {
            let mut columns = feature_columns(path, header, feature_names, target_name)?;
            columns.push(position(path, header, target_name)?);
            Ok(columns)
        })?;
        let target = feature_names.len();
        let targets = column(&table, target);
        if let Task::Classification { classes } = task
            && let Some(row) = targets.iter().position(|&y| !is_label(y, classes))
        {
            let what = format!("{} is not a class in 0..{classes}", targets[row]);
            return Err(at(path, Some(table.lines[row]), Some(target_name), what));
        }
        let features = without_column(&table.values, target + 1, target);
        Dataset::new(features, targets, feature_names.to_vec(), target_name, task)
    }

    /// The features `[n, d]`, row-major in the order of `feature_names`: see [`load_features`].
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data): see [`load_features`].
    pub fn features(self, feature_names: &[String], target_name: &str) -> Result<Vec<f64>> {
        let path = &self.name.clone();
        let choose = |header: &[String]| feature_columns(path, header, feature_names, target_name);
        Ok(read_columns(self, choose)?.values)
    }
}

fn target_index(path: &Path, names: &[String], target: Option<&str>) -> Result<usize> {
    let Some(target) = target else {
        return Ok(names.len() - 1); // a header has at least one field
    };
    names.iter().position(|name| name == target).ok_or_else(|| {
        let what = format!("no such column to be the target; there are {}", list(names));
        at(path, Some(1), Some(target), what)
    })
}

/// The position of each feature of a model in the header. The header may also hold the target, but
/// nothing else.
fn feature_columns(
    path: &Path,
    header: &[String],
    feature_names: &[String],
    target_name: &str,
) -> Result<Vec<usize>> {
    let columns = feature_names
        .iter()
        .map(|name| position(path, header, name))
        .collect::<Result<Vec<usize>>>()?;
    let known = |name: &String| name == target_name || feature_names.contains(name);
    match header.iter().find(|name| !known(name)) {
        None => Ok(columns),
        Some(name) => {
            let what = format!(
                "the model does not know this column: it expects {} and the target '{target_name}'",
                counted(feature_names.len(), "feature")
            );
            Err(at(path, Some(1), Some(name), what))
        }
    }
}

fn position(path: &Path, header: &[String], name: &str) -> Result<usize> {
    header.iter().position(|h| h == name).ok_or_else(|| {
        let what = format!("the model needs this column; there are {}", list(header));
        at(path, Some(1), Some(name), what)
    })
}

fn list(names: &[String]) -> String {
    const MOST: usize = 20;
    let mut text = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST {
        text.push_str(&format!(", ... ({} in all)", names.len()));
    }
    text
}

fn column(table: &Table, j: usize) -> Vec<f64> {
    let width = table.names.len();
    table.values.chunks_exact(width).map(|r| r[j]).collect()
}

fn without_column(values: &[f64], width: usize, j: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(values.len() / width * (width - 1));
    for row in values.chunks_exact(width) {
        out.extend_from_slice(&row[..j]);
        out.extend_from_slice(&row[j + 1..]);
    }
    out
}

fn classification(path: &Path, table: &Table, target: usize, targets: &[f64]) -> Result<Task> {
    let classes = Labels::of(targets).classes(targets);
    let classes = classes.map_err(|(row, what)| {
        let line = row.map(|row| table.lines[row]);
        at(path, line, Some(&table.names[target]), what)
    })?;
    Ok(Task::Classification { classes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tempfile::NamedTempFile;

    fn file(content: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    fn load(content: &str, options: &CsvOptions) -> Result<Dataset> {
        load_csv(file(content).path(), options)
    }

    fn classify() -> CsvOptions {
        CsvOptions {
            task: Some(TaskKind::Classification),
            ..CsvOptions::default()
        }
    }

    fn one_feature(labels: &[&str]) -> String {
        let rows: Vec<String> = labels.iter().map(|l| format!("0.5,{l}\n")).collect();
        format!("x,y\n{}", rows.concat())
    }

    fn inferred(labels: &[&str]) -> Task {
        let set = load(&one_feature(labels), &CsvOptions::default());
        set.unwrap().task()
    }

    fn message(result: Result<impl std::fmt::Debug>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn the_last_column_is_the_target_unless_another_is_named() {
        let text = "a,b,c\n1,2.5,3\n4,5.5,6\n";
        let set = load(text, &CsvOptions::default()).unwrap();
        assert_eq!(set.features(), [1., 2.5, 4., 5.5]);
        assert_eq!((set.targets(), set.target_name()), (&[3., 6.][..], "c"));
        let options = CsvOptions {
            target: Some("b".into()),
            task: None,
        };
        let set = load(text, &options).unwrap();
        assert_eq!(set.features(), [1., 3., 4., 6.]);
        assert_eq!(set.feature_names(), ["a", "c"]);
        assert_eq!(set.targets(), [2.5, 5.5]);
        let options = CsvOptions {
            target: Some("z".into()),
            task: None,
        };
        let error = message(load(text, &options));
        assert!(
            error.contains("'z'") && error.contains("a, b, c"),
            "{error}"
        );
        assert!(message(load("y\n1\n2\n", &CsvOptions::default())).contains("no features"));
    }

    #[test]
    fn the_task_is_inferred_by_the_documented_rule() {
        let classes = |classes| Task::Classification { classes };
        assert_eq!(inferred(&["0", "1"]), classes(2));
        assert_eq!(inferred(&["2", "1.0", "0", "0"]), classes(3));
        assert_eq!(inferred(&["-0", "1", "1"]), classes(2));
        // 2 (K - 1) > n: more likely a numbering than classes
        assert_eq!(inferred(&["2", "1", "0"]), Task::Regression);
        assert_eq!(inferred(&["3", "5", "8", "3"]), Task::Regression); // from 3, with gaps
        assert_eq!(inferred(&["1", "2", "1", "2"]), Task::Regression); // no 0
        assert_eq!(inferred(&["0", "1", "3", "1"]), Task::Regression); // no 2
        assert_eq!(inferred(&["0", "0", "0"]), Task::Regression); // K = 1
        assert_eq!(inferred(&["0", "1", "0.5", "1"]), Task::Regression);
        assert_eq!(inferred(&["0", "1", "-1", "1"]), Task::Regression);
        assert_eq!(inferred(&["0", "1", "1e18", "1"]), Task::Regression);
    }

    #[test]
    fn a_given_task_wins() {
        let set = load(&one_feature(&["2", "1", "0"]), &classify()).unwrap();
        assert_eq!(set.task(), Task::Classification { classes: 3 });
        let options = CsvOptions {
            target: None,
            task: Some(TaskKind::Regression),
        };
        let set = load(&one_feature(&["0", "1", "0"]), &options).unwrap();
        assert_eq!(set.task(), Task::Regression);
    }

    #[test]
    fn bad_labels_are_refused_where_they_stand() {
        for bad in ["0.5", "-1"] {
            let error = message(load(&one_feature(&["0", "1", bad]), &classify()));
            assert!(
                error.contains("line 4, column 'y'") && error.contains(bad),
                "{error}"
            );
        }
        let error = message(load(&one_feature(&["0", "1", "3", "4"]), &classify()));
        assert!(
            error.contains("label 2 never occurs, but 4 does"),
            "{error}"
        );
        let error = message(load(&one_feature(&["0", "1", "3"]), &classify()));
        assert!(
            error.contains("label 2 never occurs, but 3 does"),
            "{error}"
        );
        let error = message(load(&one_feature(&["1", "2"]), &classify()));
        assert!(error.contains("label 0 never occurs"), "{error}");
        // a hostile label must not allocate memory for its classes
        let error = message(load(&one_feature(&["0", "1", "1e15"]), &classify()));
        assert!(error.contains("label 2 never occurs"), "{error}");
        let error = message(load(&one_feature(&["0", "0"]), &classify()));
        assert!(error.contains("every label is 0"), "{error}");
    }

    fn schema() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    const THREE: Task = Task::Classification { classes: 3 };

    #[test]
    fn evaluation_finds_columns_by_name() {
        let shuffled = file("b,y,a\n2,1,1\n4,1,3\n");
        let set = load_for_schema(shuffled.path(), &schema(), "y", THREE).unwrap();
        assert_eq!(set.features(), [1., 2., 3., 4.]);
        assert_eq!((set.targets(), set.task()), (&[1., 1.][..], THREE));
        assert_eq!(set.feature_names(), schema());
    }

    #[test]
    fn evaluation_refuses_columns_and_labels_that_do_not_fit() {
        let load = |text: &str| message(load_for_schema(file(text).path(), &schema(), "y", THREE));
        let error = load("a,y\n1,1\n");
        assert!(
            error.contains("column 'b'") && error.contains("a, y"),
            "{error}"
        );
        assert!(load("a,b\n1,1\n").contains("column 'y'"));
        let error = load("a,b,c,y\n1,1,1,1\n");
        assert!(
            error.contains("column 'c'") && error.contains("2 features"),
            "{error}"
        );
        let error = load("a,b,y\n1,1,1\n1,1,3\n");
        assert!(
            error.contains("line 3, column 'y'") && error.contains("0..3"),
            "{error}"
        );
        assert!(load("a,b,y\n1,1,\n").contains("a missing value"));
    }

    #[test]
    fn prediction_never_looks_at_the_target() {
        for text in [
            "b,y,a\n2,,1\n4,?,3\n",
            "a,b\n1,2\n3,4\n",
            "y,a,b\n7,1,2\n7,3,4\n",
        ] {
            let features = load_features(file(text).path(), &schema(), "y").unwrap();
            assert_eq!(features, [1., 2., 3., 4.]);
        }
        let load = |text: &str| message(load_features(file(text).path(), &schema(), "y"));
        assert!(load("a,y\n1,2\n").contains("column 'b'"));
        assert!(load("a,b,c\n1,2,3\n").contains("column 'c'"));
        assert!(load("a,b,y\n1,oops,3\n").contains("line 2, column 'b'"));
    }
}
