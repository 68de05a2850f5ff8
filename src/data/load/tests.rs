//! Tests of the module above.

use super::*;
use crate::data::TaskKind;
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
        ..CsvOptions::default()
    };
    let set = load(text, &options).unwrap();
    assert_eq!(set.features(), [1., 3., 4., 6.]);
    assert_eq!(set.feature_names(), ["a", "c"]);
    assert_eq!(set.targets(), [2.5, 5.5]);
    let options = CsvOptions {
        target: Some("z".into()),
        ..CsvOptions::default()
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
        task: Some(TaskKind::Regression),
        ..CsvOptions::default()
    };
    let set = load(&one_feature(&["0", "1", "0"]), &options).unwrap();
    assert_eq!(set.task(), Task::Regression);
}

#[test]
fn bad_labels_are_refused_where_they_stand() {
    for bad in ["0.5", "-1.5"] {
        let error = message(load(&one_feature(&["0", "1", bad]), &classify()));
        assert!(
            error.contains("line 4, column 'y'") && error.contains(bad),
            "{error}"
        );
    }
    // labels may be any whole numbers, and then have names
    for labels in [["0", "1", "3"], ["2", "1", "2"], ["-1", "0", "1e15"]] {
        let set = load(&one_feature(&labels), &classify()).unwrap();
        let mut numbers: Vec<f64> = labels.iter().map(|l| l.parse().unwrap()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        let names: Vec<String> = numbers.iter().map(f64::to_string).collect();
        assert_eq!(set.schema().target().classes, names);
        let place = |l: &&str| numbers.iter().position(|n| *n == l.parse::<f64>().unwrap());
        let expected: Vec<usize> = labels.iter().filter_map(place).collect();
        assert_eq!(set.labels().unwrap(), expected);
    }
    let error = message(load(&one_feature(&["0", "0"]), &classify()));
    assert!(error.contains("every label is 0"), "{error}");
}

fn schema() -> Schema {
    Schema::of_numbers(&["a".into(), "b".into()], "y")
}

fn load_features(path: &Path, schema: &Schema) -> Result<Vec<f64>> {
    Ok(super::load_features(path, schema, &RowOptions::default())?.features)
}

fn load_for_schema(path: &Path, schema: &Schema, task: Task) -> Result<Dataset> {
    super::load_for_schema(path, schema, task, &RowOptions::default())
}

const THREE: Task = Task::Classification { classes: 3 };

#[test]
fn evaluation_finds_columns_by_name() {
    let shuffled = file("b,y,a\n2,1,1\n4,1,3\n");
    let set = load_for_schema(shuffled.path(), &schema(), THREE).unwrap();
    assert_eq!(set.features(), [1., 2., 3., 4.]);
    assert_eq!((set.targets(), set.task()), (&[1., 1.][..], THREE));
    assert_eq!(set.feature_names(), ["a", "b"]);
}

#[test]
fn evaluation_refuses_columns_and_labels_that_do_not_fit() {
    let load = |text: &str| message(load_for_schema(file(text).path(), &schema(), THREE));
    let error = load("a,y\n1,1\n");
    assert!(
        error.contains("column 'b'") && error.contains("a, y"),
        "{error}"
    );
    assert!(load("a,b\n1,1\n").contains("column 'y'"));
    let error = load("a,b,y\n1,1,1\n1,1,3\n");
    assert!(
        error.contains("line 3, column 'y'") && error.contains("0..3"),
        "{error}"
    );
    assert!(load("a,b,y\n1,1,\n").contains("a missing target"));
}

#[test]
fn prediction_never_looks_at_the_target() {
    for text in [
        "b,y,a\n2,,1\n4,?,3\n",
        "a,b\n1,2\n3,4\n",
        "y,a,b\n7,1,2\n7,3,4\n",
    ] {
        let features = load_features(file(text).path(), &schema()).unwrap();
        assert_eq!(features, [1., 2., 3., 4.]);
    }
    let load = |text: &str| message(load_features(file(text).path(), &schema()));
    assert!(load("a,y\n1,2\n").contains("column 'b'"));
    // a column that the model does not know is not used, and the reader is told
    let file = file("a,note,b\n1,hello,2\n3,,4\n");
    let rows = super::load_features(file.path(), &schema(), &RowOptions::default()).unwrap();
    assert_eq!(rows.features, [1., 2., 3., 4.]);
    assert_eq!(rows.notes, ["1 column that the model does not use: note"]);
    assert!(load("a,b,y\n1,oops,3\n").contains("line 2, column 'b'"));
    // unless it is left out on purpose
    let without = |name: &str| {
        let options = RowOptions {
            ignore: vec![name.into()],
            ..RowOptions::default()
        };
        super::load_features(file.path(), &schema(), &options)
    };
    let rows = without("note").unwrap();
    assert_eq!((rows.features.len(), rows.notes.len()), (4, 0));
    assert!(message(without("nothing")).contains("'nothing'"));
    assert!(message(without("a")).contains("column 'a': the model needs this column"));
}

#[test]
fn rows_to_score_have_the_weights_of_the_table_or_count_once() {
    let options = RowOptions {
        weights: Some("w".into()),
        ..RowOptions::default()
    };
    let read = |text: &str, options: &RowOptions| {
        super::load_for_schema(file(text).path(), &schema(), THREE, options)
    };
    let set = read("w,a,b,y\n0.5,1,2,0\n3,4,5,1\n", &options).unwrap();
    assert_eq!(set.weights(), Some(&[0.5, 3.0][..]));
    assert_eq!(set.weights_name(), Some("w"));
    assert_eq!(set.notes(), ["rows count by their weights, in column 'w'"]);
    let set = read("a,b,y\n1,2,0\n", &options).unwrap();
    assert_eq!(set.weights(), None);
    let note = "no column 'w' of weights, which the training rows had: every row counts once";
    assert_eq!(set.notes(), [note]);
    let error = message(read("w,a,b,y\n-1,1,2,0\n", &options));
    assert!(
        error.contains("line 2, column 'w': '-1' is not a weight"),
        "{error}"
    );
    // the first rows alone
    let some = RowOptions {
        rows: Some(1),
        ..RowOptions::default()
    };
    let set = read("a,b,y\n1,2,0\nx,y,z\n", &some).unwrap();
    assert_eq!(set.features(), [1.0, 2.0]);
}
