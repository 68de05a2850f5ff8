//! Tests of the module above.

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|s| s.to_string()).collect()
}

fn make(features: &[f64], targets: &[f64], columns: &[&str], task: Task) -> Result<Dataset> {
    Dataset::new(
        features.to_vec(),
        targets.to_vec(),
        names(columns),
        "y",
        task,
    )
}

fn message(result: Result<impl std::fmt::Debug>) -> String {
    result.unwrap_err().to_string()
}

const TWO: Task = Task::Classification { classes: 2 };

#[test]
fn accessors_agree_on_the_row_major_layout() {
    let set = make(&[1., 2., 3., 4., 5., 6.], &[0., 1., 1.], &["a", "b"], TWO).unwrap();
    assert_eq!((set.n(), set.d()), (3, 2));
    assert_eq!(set.row(1), [3.0, 4.0]);
    assert_eq!(set.class_counts(), [1, 2]);
    assert_eq!(set.labels().unwrap(), [0, 1, 1]);
    assert_eq!(set.task().kind(), TaskKind::Classification);
}

#[test]
fn select_keeps_rows_with_their_targets_in_order() {
    let set = make(
        &[1., 2., 3., 4., 5., 6.],
        &[7., 8., 9.],
        &["a", "b"],
        Task::Regression,
    );
    let set = set.unwrap();
    let picked = set.select(&[2, 0, 2]).unwrap();
    assert_eq!(picked.features(), [5., 6., 1., 2., 5., 6.]);
    assert_eq!(picked.targets(), [9., 7., 9.]);
    assert!(message(set.select(&[0, 3])).contains("row 3"));
    assert!(message(set.select(&[])).contains("no rows"));
    assert!(set.labels().is_err() && set.class_counts().is_empty());
}

#[test]
fn an_image_set_keeps_its_shape() {
    let table = || make(&[1.; 12], &[0., 1., 1.], &["a", "b", "c", "d"], TWO).unwrap();
    assert_eq!(table().image(), None);
    let mut set = table().with_image([2, 1, 2]).unwrap();
    assert_eq!(set.image(), Some([2, 1, 2]));
    assert_eq!(set.select(&[1]).unwrap().image(), Some([2, 1, 2]));
    set.truncate(2).unwrap();
    assert_eq!(
        (set.n(), set.targets(), set.features().len()),
        (2, &[0., 1.][..], 8)
    );
    set.truncate(99).unwrap();
    assert_eq!((set.n(), set.image()), (2, Some([2, 1, 2])));
    assert!(message(set.truncate(0)).contains("rows = 0"));
    assert_eq!(set.into_values(), (vec![1.; 8], vec![0., 1.]));
    for shape in [[2, 2, 2], [0, 2, 2], [usize::MAX, 2, 2]] {
        assert!(message(table().with_image(shape)).contains("4 feature columns"));
    }
}

#[test]
fn refuses_what_is_not_a_table() {
    assert!(message(make(&[], &[], &["a"], TWO)).contains("no rows"));
    assert!(message(make(&[], &[1.0], &[], TWO)).contains("no feature columns"));
    assert!(message(make(&[1.0], &[0.0, 1.0], &["a"], TWO)).contains("2 rows x 1 column of"));
    assert!(message(make(&[1., 2.], &[0.], &["a", "a"], TWO)).contains("column 'a'"));
    assert!(message(make(&[1.], &[0.], &["y"], TWO)).contains("twice"));
}

#[test]
fn a_bad_value_is_named_by_row_and_column() {
    let bad = [1., 2., 3., f64::NAN];
    let error = message(make(&bad, &[0., 1.], &["a", "b"], TWO));
    let expected = "Dataset::new: row 1 (from 0), column 'b': \
                    expected a finite number in the range of f64, got NaN";
    assert_eq!(error, expected);
    let error = message(make(&[1.], &[f64::INFINITY], &["a"], Task::Regression));
    assert!(error.contains("row 0 (from 0), column 'y'") && error.ends_with("got inf"));
    for label in [2.0, -1.0, 0.5, 1e300] {
        let error = message(make(&[1., 2.], &[0., label], &["a"], TWO));
        assert!(error.contains("row 1") && error.contains("0..2"), "{error}");
    }
    let one = Task::Classification { classes: 1 };
    assert!(message(make(&[1.], &[0.], &["a"], one)).contains("classes = 1"));
}

#[test]
fn a_test_set_may_hold_one_class_but_a_training_set_may_not() {
    let single = make(&[1., 2.], &[1., 1.], &["a"], TWO).unwrap();
    assert!(message(single.check_trainable()).contains("every row has class 1"));
    let both = make(&[1., 2.], &[1., 0.], &["a"], TWO).unwrap();
    assert!(both.check_trainable().is_ok());
    assert!(message(both.select(&[0]).unwrap().check_trainable()).contains("1 row"));
}

#[test]
fn a_constant_regression_target_is_not_trainable() {
    let noise = 0.1 + 0.2; // one rounding away from 0.3
    for targets in [[0.3, 0.3], [0.3, noise]] {
        let set = make(&[1., 2.], &targets, &["a"], Task::Regression).unwrap();
        assert!(message(set.check_trainable()).contains("nothing to learn"));
    }
    let set = make(&[1., 2.], &[0.3, 0.4], &["a"], Task::Regression).unwrap();
    assert!(set.check_trainable().is_ok());
}
