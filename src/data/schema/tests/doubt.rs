//! What is in doubt is refused.

use super::*;

/// What a person reads as a number never becomes a level.
#[test]
fn texts_that_look_like_numbers_are_refused() {
    let cells = [
        "\"4,100\"",
        "12%",
        "$5.50",
        "\u{2212}1.5",
        "1 000",
        "31.03.2024",
        "2024/05/31",
        "12:30",
        "1e5e",
        "\"2,5\"",
    ];
    for cell in cells {
        let text = format!("a,y\n{cell},1\n{cell},2\n");
        let error = message(read(&text, &CsvOptions::default()));
        let expected = ["line 2, column 'a'", "--types a=category"];
        assert!(
            expected.iter().all(|words| error.contains(words)),
            "{error}"
        );
        let text = format!("a,y\n1,{cell}\n2,{cell}\n");
        assert!(read(&text, &CsvOptions::default()).is_err(), "{cell}");
    }
    for level in ["18-24", "3+", "A1", "1st", "-"] {
        let text = format!("a,y\n{level},1\nother,2\n");
        assert!(read(&text, &CsvOptions::default()).is_ok(), "{level}");
    }
    // one clear number of the other kind is evidence
    let error = message(read(
        "p;q;y\n3.456.789;1.200;0.5\n1;950;1\n",
        &CsvOptions::default(),
    ));
    assert!(
        error.contains("3.456.789") && error.contains("--decimal"),
        "{error}"
    );
}

#[test]
fn no_row_is_lost_and_no_first_row_becomes_a_header() {
    let data = read("a,y\n1,1\n,2\n3,3.5\n", &CsvOptions::default()).unwrap();
    let error = message(rows(&data, "a\n1\n\n3\n"));
    assert!(
        error.contains("line 4: a blank line before this one"),
        "{error}"
    );
    assert_eq!(rows(&data, "a\n1\n\"\"\n3\n\n").unwrap().rows, 3);
    let error = message(read(
        "low,yes\nhigh,no\nlow,yes\nlow,no\n",
        &CsvOptions::default(),
    ));
    assert!(
        error.contains("looks like data") && error.contains("--header no"),
        "{error}"
    );
    // rows that are not read decide nothing
    let first = CsvOptions {
        rows: Some(2),
        ..CsvOptions::default()
    };
    let data = read("t,y\nu,a\nv,b\nw,c\n", &first).unwrap();
    assert_eq!((data.n(), data.schema().target().classes.len()), (2, 2));
}

#[test]
fn targets_that_are_missing_or_ambiguous_are_refused() {
    let options = CsvOptions {
        missing_values: Some(vec!["-999".into()]),
        ..CsvOptions::default()
    };
    let data = read("a,y\n1,0.5\n2,1\n3,2\n", &options).unwrap();
    let score = |data: &Dataset, text: &str| {
        let options = crate::data::RowOptions::default();
        CsvText::from_bytes(text, "s").dataset_for_schema(&data.schema(), data.task(), &options)
    };
    assert!(message(score(&data, "a,y\n1,-999\n")).contains("a missing target"));
    let asked = CsvOptions {
        task: Some(crate::data::TaskKind::Classification),
        ..CsvOptions::default()
    };
    let error = message(read(
        "a,y\n1,9007199254740992\n2,9007199254740994\n",
        &asked,
    ));
    assert!(error.contains("too large for a label"), "{error}");
    let texts = CsvOptions {
        types: [("y".into(), ColumnType::Category)].into(),
        ..CsvOptions::default()
    };
    let data = read("a,y\n1,01\n2,1\n3,01\n4,1\n", &texts).unwrap();
    assert_eq!(
        score(&data, "a,y\n1,1\n1,01\n").unwrap().targets(),
        [1., 0.]
    );
    assert!(score(&data, "a,y\n1,1.0\n").is_err());
    let empty = Dataset::builder().task(crate::data::TaskKind::Classification);
    assert!(empty.target_numbers("y", []).is_err());
    let twice = Dataset::builder()
        .texts("a", ["u", "v"])
        .numbers("a", [1., 2.]);
    assert!(message(twice.target_numbers("y", [1., 2.])).contains("twice"));
}

/// A cell may hold line ends; a message and a name have one line.
#[test]
fn messages_have_one_line() {
    let text = "t,y\n\"a\nb\",\"u\nv\"\n\"a\nb\",\"u\nv\"\n";
    let error = message(read(text, &CsvOptions::default()));
    assert!(
        error.contains("every label is u\\nv") && !error.contains('\n'),
        "{error}"
    );
    let text = "t,y\n\"a\nb\",1\nc,2\nd,3\n";
    let data = read(text, &CsvOptions::default()).unwrap();
    assert_eq!(data.feature_names(), ["t=a\\nb", "t=c", "t=d"]);
    assert!(
        data.schema()
            .describe()
            .iter()
            .all(|line| !line.contains('\n'))
    );
    assert_eq!(
        data.schema().encode_row(&[Cell::Text("a\nb")]).unwrap(),
        [1., 0., 0.]
    );
}
