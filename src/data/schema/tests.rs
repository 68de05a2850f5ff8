//! Tests of the modules above. The oracle of an encoding is the table written out by hand.

mod doubt;

use super::*;
use crate::data::{ColumnType, CsvOptions, CsvText, Dataset, MissingCells, RowOptions, Task};
use crate::error::Result;
use proptest::prelude::*;

const TABLE: &str = "\
sex,deck,age,fare,survived
male,A,22,7.25,no
female,?,38,71.5,yes
female,C,NA,8,yes
male,B,35,8.5,no
male,C,,9,no
";

fn read(text: &str, options: &CsvOptions) -> Result<Dataset> {
    CsvText::from_bytes(text, "t.csv").dataset(options)
}

fn message<R>(result: Result<R>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

fn rows(data: &Dataset, text: &str) -> Result<crate::data::FeatureRows> {
    CsvText::from_bytes(text, "p.csv").features(&data.schema(), &RowOptions::default())
}

#[test]
fn a_table_with_words_and_gaps_is_encoded_as_written_out_here() {
    let data = read(TABLE, &CsvOptions::default()).unwrap();
    let names = [
        "sex=male",
        "deck=A",
        "deck=B",
        "deck=C",
        "deck is missing",
        "age",
        "age is missing",
        "fare",
    ];
    assert_eq!(data.feature_names(), names);
    // the most frequent deck is C, the median of 22, 35, 38 is 35
    let expected = [
        [1., 1., 0., 0., 0., 22., 0., 7.25],
        [0., 0., 0., 1., 1., 38., 0., 71.5],
        [0., 0., 0., 1., 0., 35., 1., 8.],
        [1., 0., 1., 0., 0., 35., 0., 8.5],
        [1., 0., 0., 1., 0., 35., 1., 9.],
    ];
    assert_eq!(data.features(), expected.concat());
    assert_eq!(data.task(), Task::Classification { classes: 2 });
    assert_eq!(data.schema().target().classes, ["no", "yes"]);
    assert_eq!(data.targets(), [0., 1., 1., 0., 0.]);
    let said = data.schema().describe().join("\n");
    for words in [
        "'sex': a category of 2 levels (female, male)",
        "median 35",
        "no, yes",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_builder_gives_what_the_file_gives() {
    let built = Dataset::builder()
        .texts("sex", ["male", "female", "female", "male", "male"])
        .optional_texts("deck", [Some("A"), None, Some("C"), Some("B"), Some("C")])
        .optional_numbers("age", [Some(22.), Some(38.), None, Some(35.), None])
        .numbers("fare", [7.25, 71.5, 8., 8.5, 9.])
        .target_texts("survived", ["no", "yes", "yes", "no", "no"])
        .unwrap();
    assert_eq!(built, read(TABLE, &CsvOptions::default()).unwrap());
    // its errors name column and row
    let error = message(
        Dataset::builder()
            .numbers("a", [1., f64::NAN])
            .target_numbers("y", [1., 2.]),
    );
    assert!(error.contains("'a'") && error.contains('1'), "{error}");
    let error = message(
        Dataset::builder()
            .numbers("a", [1.])
            .target_numbers("y", [1., 2.]),
    );
    assert!(error.contains("2 cells in column 'a'"), "{error}");
    let error = message(Dataset::builder().target_numbers("y", [1., 2.]));
    assert!(error.contains("no feature columns"), "{error}");
}

#[test]
fn new_rows_are_encoded_by_the_training_rows() {
    let data = read(TABLE, &CsvOptions::default()).unwrap();
    // other order, other columns, no target, an unknown level, missing cells
    let new = "id,fare,age,deck,sex\n7,1,?,F,male\n8,2,50,NULL,robot\n";
    let read = rows(&data, new).unwrap();
    let expected = [
        // an unknown deck is the mean of the training rows that have one: A 1/4, B 1/4, C 1/2
        [1., 0.25, 0.25, 0.5, 0., 35., 1., 1.],
        [0.6, 0., 0., 1., 1., 50., 0., 2.],
    ];
    assert_eq!(read.features, expected.concat());
    assert_eq!(read.rows, 2);
    assert_eq!(
        read.notes,
        [
            "column 'sex': 1 cell with a level that the training rows lack (the first is 'robot'); \
             it counts as unknown",
            "column 'deck': 1 cell with a level that the training rows lack (the first is 'F'); it \
             counts as unknown",
            "1 column that the model does not use: id",
        ]
    );
    let error = message(rows(&data, "sex,deck,age,fare\nmale,A,1,\n"));
    assert_eq!(
        error,
        "p.csv, line 2, column 'fare': a missing value, and no training row lacked one here"
    );
    let error = message(rows(&data, "sex,deck,age,fare\nmale,A,old,1\n"));
    assert_eq!(error, "p.csv, line 2, column 'age': 'old' is not a number");
    let error = message(rows(&data, "sex,deck,fare\nmale,A,1\n"));
    assert!(
        error.contains("column 'age'") && error.contains("sex, deck, fare"),
        "{error}"
    );
}

#[test]
fn scored_rows_find_their_classes_by_name() {
    let data = read(TABLE, &CsvOptions::default()).unwrap();
    let score = |text: &str| {
        let options = crate::data::RowOptions::default();
        CsvText::from_bytes(text, "s.csv").dataset_for_schema(&data.schema(), data.task(), &options)
    };
    let header = "survived,sex,deck,age,fare\n";
    let scored = score(&format!("{header}yes,male,A,1,2\nno,male,A,1,2\n")).unwrap();
    assert_eq!(scored.targets(), [1., 0.]);
    assert_eq!(scored.feature_names(), data.feature_names());
    let error = message(score(&format!("{header}maybe,male,A,1,2\n")));
    assert_eq!(
        error,
        "s.csv, line 2, column 'survived': 'maybe' is not a class of the model, which knows no, yes"
    );
}

#[test]
fn options_decide_what_columns_are() {
    let zip = "zip,x,y\n10,1,0.5\n20,2,1.5\n10,3,2.5\n30,4,3.5\n";
    let mut options = CsvOptions::default();
    assert_eq!(read(zip, &options).unwrap().feature_names(), ["zip", "x"]);
    options.types = [("zip".into(), ColumnType::Category)].into();
    let data = read(zip, &options).unwrap();
    assert_eq!(data.feature_names(), ["zip=10", "zip=20", "zip=30", "x"]);
    options.ignore = vec!["zip".into()];
    options.types.clear();
    assert_eq!(read(zip, &options).unwrap().feature_names(), ["x"]);
    options.ignore = vec!["postcode".into()];
    assert!(message(read(zip, &options)).contains("'postcode'"));
    // a sentinel of the user's is missing in new rows too, however it is written
    let options = CsvOptions {
        missing_values: Some(vec!["-999".into()]),
        ..CsvOptions::default()
    };
    let data = read("a,y\n1,0.5\n-999.0,1\n3,2\n", &options).unwrap();
    assert_eq!(data.features(), [1., 0., 2., 1., 3., 0.]);
    assert_eq!(rows(&data, "a\n-999\n").unwrap().features, [2., 1.]);
    assert_eq!(rows(&data, "a,b\n,1\n").unwrap().features, [2., 1.]);
    assert!(data.notes().is_empty());
    let never = read("a,y\n1,0.5\n2,1\n3,2\n", &options).unwrap();
    assert!(
        never.notes()[0].contains("no cell is '-999'"),
        "{:?}",
        never.notes()
    );
    let refuse = CsvOptions {
        missing: MissingCells::Refuse,
        ..CsvOptions::default()
    };
    assert_eq!(
        message(read(TABLE, &refuse)),
        "t.csv, line 3, column 'deck': a missing value"
    );
}

#[test]
fn what_cannot_be_a_feature_is_refused_with_what_to_do() {
    let many: String = (0..150)
        .map(|i| format!("name {i},id{i},{i},0.5\n"))
        .collect();
    let cases = [
        (
            "a,y\n1,2\nx,3\n2,4\n",
            "line 3, column 'a': 'x' is not a number (numbers in the column: 2)",
        ),
        (
            "day,y\n2024-05-01,2\n2024-05-02,3\n",
            "'2024-05-01' is a date",
        ),
        (
            "a,b,y\n1,NA,2\n2,?,3\n",
            "column 'b': every cell is missing",
        ),
        ("a,y\n1,2\n2,\n", "line 3, column 'y': a missing target"),
        (&format!("n,i,a,y\n{many}"), "--ignore n,i"),
        ("a,y\n1,u\n2,u\n", "every label is u"),
        (
            "a,y\n1,u\n2,v\n3,w\n",
            "3 different texts in 3 rows are not classes",
        ),
    ];
    for (text, words) in cases {
        let error = message(read(text, &CsvOptions::default()));
        assert!(error.contains(words), "{error}");
    }
    let options = CsvOptions {
        task: Some(crate::data::TaskKind::Regression),
        ..CsvOptions::default()
    };
    let error = message(read("a,y\n1,u\n2,v\n", &options));
    assert!(
        error.contains("line 2, column 'y': a text, and a regression"),
        "{error}"
    );
}

/// A regression on few whole numbers is never silent.
#[test]
fn a_choice_that_may_be_wrong_is_noted() {
    let quality: String = (0..40)
        .map(|i| format!("{}.5,{}\n", i, 3 + i % 4))
        .collect();
    let data = read(&format!("a,y\n{quality}"), &CsvOptions::default()).unwrap();
    assert_eq!(data.task(), Task::Regression);
    let [note] = data.notes() else {
        panic!("{:?}", data.notes())
    };
    assert!(
        note.contains("4 different whole numbers (3, 4, 5, 6)"),
        "{note}"
    );
    // an index without a name is left out, one with a name is pointed at
    let text = ",a,y\n0,1.5,0.1\n1,2.5,0.2\n2,0.5,0.3\n";
    let data = read(text, &CsvOptions::default()).unwrap();
    assert_eq!(
        (data.feature_names(), data.notes().len()),
        (&["a".to_string()][..], 1)
    );
    let more: String = (3..9).map(|i| format!("{i},0.5,0.{i}\n")).collect();
    let named = text.replacen(",a", "id,a", 1) + &more;
    let data = read(&named, &CsvOptions::default()).unwrap();
    assert_eq!(data.d(), 2);
    assert!(
        data.notes()[0].contains("--ignore id"),
        "{:?}",
        data.notes()
    );
    assert!(message(read(",a,y\n5,1,2\n7,2,3\n", &CsvOptions::default())).contains("no name"));
}

#[test]
fn a_plain_table_needs_no_schema() {
    let data = read("a,b,y\n1,2,0\n3,4,1\n5,6,1\n", &CsvOptions::default()).unwrap();
    assert!(data.special_schema().is_none() && data.schema().is_plain());
    assert!(
        read(TABLE, &CsvOptions::default())
            .unwrap()
            .special_schema()
            .is_some()
    );
}

fn cell() -> impl Strategy<Value = (Option<f64>, Option<String>)> {
    let number = prop::option::weighted(0.8, -5.0..5.0f64);
    (number, prop::option::weighted(0.8, "[a-d]"))
}

proptest! {
    /// Rows encoded one by one, in any order, are the rows of the table: nothing depends on the
    /// others but the schema.
    #[test]
    fn a_row_is_encoded_as_it_was_in_the_table(
        cells in prop::collection::vec(cell(), 3..20)
    ) {
        prop_assume!(cells.iter().any(|c| c.0.is_some()) && cells.iter().any(|c| c.1.is_some()));
        let n = cells.len();
        let data = Dataset::builder()
            .optional_numbers("x", cells.iter().map(|c| c.0))
            .optional_texts("t", cells.iter().map(|c| c.1.clone()))
            .target_numbers("y", (0..n).map(|i| i as f64 + 0.5))
            .unwrap();
        let schema = data.schema();
        prop_assert!(schema.check().is_ok());
        for (i, (x, t)) in cells.iter().enumerate() {
            let x = x.map_or(Cell::Missing, Cell::Number);
            let t = t.as_deref().map_or(Cell::Missing, Cell::Text);
            let row = schema.encode_row(&[x, t]).unwrap();
            prop_assert_eq!(&row[..], data.row(i));
        }
        // the levels' shares sum to 1, so the mean of indicators is what an unknown level gets
        let unknown = schema.encode_row(&[Cell::Number(0.0), Cell::Text("z")]).unwrap();
        let first = 1 + usize::from(schema.features()[0].kind.has_missing());
        let known: Vec<usize> = (0..n).filter(|&i| cells[i].1.is_some()).collect();
        let missing = usize::from(schema.features()[1].kind.has_missing());
        for (j, &got) in unknown[..data.d() - missing].iter().enumerate().skip(first) {
            let mean = known.iter().map(|&i| data.row(i)[j]).sum::<f64>() / known.len() as f64;
            prop_assert!((got - mean).abs() < 1e-12, "{} {}", got, mean);
        }
    }
}
