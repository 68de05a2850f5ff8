//! Tables as people have them: each of these shapes is fitted, scored and predicted by one command.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::common::normals;
use crate::common::program::piped;

/// Runs in a directory and expects success, with at most notes on standard error. Returns standard
/// output and error.
fn run(dir: &Path, args: &[&str]) -> (String, String) {
    let out = piped(dir, args, b"");
    let error = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(0), "{args:?}: {error}");
    assert!(error.lines().all(|l| l.starts_with("note: ")), "{error}");
    (String::from_utf8(out.stdout).unwrap(), error)
}

fn ok(dir: &Path, args: &[&str]) -> String {
    run(dir, args).0
}

/// Expects bad input: one line with all `words`, nothing on standard output.
fn refused(dir: &Path, args: &[&str], words: &[&str]) {
    let out = piped(dir, args, b"");
    let error = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{args:?}: {error}");
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    for word in words {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
    assert!(out.stdout.is_empty());
}

/// A table, how to fit it, and what predictions look like.
struct Shape {
    name: &'static str,
    text: String,
    fit: &'static [&'static str],
    /// First columns of the predictions.
    predicted: &'static str,
    /// What the summary or standard error says.
    said: &'static [&'static str],
}

/// Rows by their number and two standard normal numbers.
fn rows(n: usize, row: impl Fn(usize, f64, f64) -> String) -> String {
    let z = normals(2 * n, 5);
    (0..n).map(|i| row(i, z[2 * i], z[2 * i + 1])).collect()
}

fn pick<'a>(i: usize, names: &[&'a str]) -> &'a str {
    names[i % names.len()]
}

fn shapes() -> Vec<Shape> {
    let species = ["setosa", "versicolor", "virginica"];
    let german = |v: f64| format!("{v:.3}").replace('.', ",");
    vec![
        Shape {
            name: "iris, labels by name",
            text: "sepal,petal,species\n".to_string()
                + &rows(60, |i, a, b| {
                    let k = i % 3;
                    format!(
                        "{:.2},{:.2},{}\n",
                        k as f64 + 0.2 * a,
                        2.0 - k as f64 + 0.2 * b,
                        species[k]
                    )
                }),
            fit: &[],
            predicted: "p_setosa,p_versicolor,p_virginica,entropy",
            said: &["3 classes", "setosa, versicolor, virginica"],
        },
        Shape {
            name: "titanic-like: texts, gaps, booleans, a name in every row",
            text: "survived,name,sex,age,alone,cabin\n".to_string()
                + &rows(80, |i, a, _| {
                    let age = if i % 5 == 0 {
                        String::new()
                    } else {
                        format!("{:.1}", 30.0 + 9.0 * a)
                    };
                    let (sex, alone) = (
                        pick(i, &["male", "female"]),
                        pick(i / 2, &["True", "False"]),
                    );
                    let cabin = pick(i, &["", "C85", "", "E46"]);
                    format!("{},\"Doe, Mr. {i}\",{sex},{age},{alone},{cabin}\n", i % 2)
                }),
            fit: &["--target", "survived", "--ignore", "name"],
            predicted: "p_0,p_1,entropy",
            said: &[
                "'age': a number; where it is missing",
                "2 levels (False, True)",
                "'cabin'",
            ],
        },
        Shape {
            name: "adult-like: blanks after commas, ' ?' for a gap, labels with signs",
            text: "age, work, hours, income\n".to_string()
                + &rows(60, |i, a, _| {
                    let work = pick(i, &["Private", "?", "State-gov", "Self-emp"]);
                    format!(
                        "{}, {work}, {}, {}\n",
                        30 + i % 40,
                        (40.0 + 5.0 * a).round(),
                        pick(i % 40 / 20, &["<=50K", ">50K"])
                    )
                }),
            fit: &[],
            predicted: "p_<=50K,p_>50K,entropy",
            said: &[
                "'work': a category of 3 levels",
                "missing cells have an indicator",
            ],
        },
        Shape {
            name: "German: semicolons and decimal commas",
            text: "Druck;Ertrag\n".to_string()
                + &rows(50, |_, a, b| {
                    format!("{};{}\n", german(a), german(2.0 * a + 0.1 * b))
                }),
            fit: &[],
            predicted: "mean,std",
            said: &["1 feature, a real target ('Ertrag')"],
        },
        Shape {
            name: "tabs",
            text: "x\ty\n".to_string()
                + &rows(50, |_, a, b| format!("{a:.3}\t{:.3}\n", a - 0.1 * b)),
            fit: &[],
            predicted: "mean,std",
            said: &["1 feature"],
        },
        Shape {
            name: "wine quality: quoted names, semicolons, few whole numbers as target",
            text: "\"fixed acidity\";\"pH\";\"quality\"\n".to_string()
                + &rows(60, |i, a, b| {
                    format!("{:.1};{:.2};{}\n", 7.0 + a, 3.3 + 0.1 * b, 4 + i % 4)
                }),
            fit: &[],
            predicted: "mean,std",
            said: &[
                "4 different whole numbers (4, 5, 6, 7) and is read as a number",
                "--task classification",
            ],
        },
        Shape {
            name: "an index without a name",
            text: ",x,y\n".to_string()
                + &rows(50, |i, a, b| format!("{i},{a:.3},{:.3}\n", a + 0.1 * b)),
            fit: &[],
            predicted: "mean,std",
            said: &["1 feature", "no name and numbers the rows"],
        },
        Shape {
            name: "labels 1 to K",
            text: "x,class\n".to_string()
                + &rows(60, |i, a, _| {
                    format!("{:.2},{}\n", (i % 3) as f64 + 0.2 * a, i % 3 + 1)
                }),
            fit: &["--task", "classification"],
            predicted: "p_1,p_2,p_3,entropy",
            said: &["3 classes"],
        },
        Shape {
            name: "yes and no",
            text: "x,bought\n".to_string()
                + &rows(60, |i, a, _| {
                    format!(
                        "{:.2},{}\n",
                        (i % 2) as f64 + 0.2 * a,
                        pick(i, &["no", "yes"])
                    )
                }),
            fit: &[],
            predicted: "p_no,p_yes,entropy",
            said: &["no, yes"],
        },
        Shape {
            name: "a target in the middle, after a comment, with a byte order mark",
            text: "\u{feff}# made by hand; no \"quotes\" here\na|y|b\n".to_string()
                + &rows(50, |_, a, b| format!("{a:.3}|{:.3}|{b:.3}\n", a - b)),
            fit: &["--target", "y", "--comment", "#"],
            predicted: "mean,std",
            said: &["2 features"],
        },
        Shape {
            name: "no header",
            text: rows(50, |_, a, b| format!("{a:.3},{:.3}\n", a + 0.1 * b)),
            fit: &["--header", "no"],
            predicted: "mean,std",
            said: &["a real target ('c2')"],
        },
    ]
}

/// The options that describe the text, for new rows too.
fn of_text<'a>(fit: &[&'a str]) -> Vec<&'a str> {
    let pairs = fit
        .chunks_exact(2)
        .filter(|p| ["--comment", "--header"].contains(&p[0]));
    pairs.flatten().copied().collect()
}

#[test]
fn common_shapes_take_one_command() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for shape in shapes() {
        let name = shape.name;
        fs::write(dir.join("t.csv"), &shape.text).unwrap();
        let fit = [
            "fit", "t.csv", "--out", "m.fw", "--method", "map", "--hidden", "none",
        ];
        let said = ok(dir, &[&fit[..], shape.fit].concat());
        for words in shape.said {
            assert!(said.contains(words), "{name}: '{words}' is not in\n{said}");
        }
        let text = of_text(shape.fit);
        let scores = ok(dir, &[&["evaluate", "m.fw", "t.csv"][..], &text].concat());
        assert!(scores.contains("nll"), "{name}: {scores}");
        ok(
            dir,
            &[&["predict", "m.fw", "t.csv", "--out", "p.csv"][..], &text].concat(),
        );
        let predictions = fs::read_to_string(dir.join("p.csv")).unwrap();
        assert!(
            predictions.starts_with(shape.predicted),
            "{name}: {predictions}"
        );
        let rows = shape.text.lines().count()
            - usize::from(name != "no header")
            - usize::from(name.contains("comment"));
        assert_eq!(predictions.lines().count(), rows + 1, "{name}");
    }
}

/// What the program says of a name column can be pasted; without it nothing is written.
#[test]
fn a_column_of_names_is_refused_with_the_option_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = "ticket,name,x,y\n".to_string()
        + &rows(150, |i, a, b| format!("T{i},Doe {i},{a:.3},{b:.3}\n"));
    fs::write(dir.join("t.csv"), text).unwrap();
    let fit = [
        "fit", "t.csv", "--out", "m.fw", "--method", "map", "--hidden", "none",
    ];
    refused(dir, &fit, &["2 columns", "--ignore ticket,name"]);
    assert!(!dir.join("m.fw").exists());
    ok(dir, &[&fit[..], &["--ignore", "ticket,name"]].concat());
}

#[test]
fn rows_carry_their_names_and_unknown_levels_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = "city,x,y\n".to_string()
        + &rows(60, |i, a, b| {
            format!(
                "{},{a:.3},{:.3}\n",
                pick(i, &["Rome", "Oslo", "Lima"]),
                a + 0.1 * b
            )
        });
    fs::write(dir.join("t.csv"), text).unwrap();
    ok(
        dir,
        &[
            "fit", "t.csv", "--out", "m.fw", "--method", "map", "--hidden", "none", "--quiet",
        ],
    );
    fs::write(dir.join("new.csv"), "id,x,city\na7,0.5,Rome\nb9,1.5,Bern\n").unwrap();
    let keep = ["predict", "m.fw", "new.csv", "--keep", "id,city"];
    let (predictions, notes) = run(dir, &keep);
    let lines: Vec<&str> = predictions.lines().collect();
    assert!(lines[0].starts_with("id,city,mean,std"), "{predictions}");
    assert!(lines[1].starts_with("a7,Rome,") && lines[2].starts_with("b9,Bern,"));
    assert!(
        notes.contains("'city': 1 cell with a level") && notes.contains("'Bern'"),
        "{notes}"
    );
    assert!(
        notes.contains("1 column that the model does not use: id"),
        "{notes}"
    );
    refused(
        dir,
        &["predict", "m.fw", "new.csv", "--keep", "name"],
        &["'name'", "to keep"],
    );
    // nothing is said of what is left out on purpose
    let (without, notes) = run(dir, &["predict", "m.fw", "new.csv", "--ignore", "id"]);
    assert_eq!(without.lines().count(), 3, "{without}");
    assert!(!notes.contains("does not use"), "{notes}");
    for (name, words) in [
        ("name", ["'name'", "to leave out"]),
        ("x", ["column 'x'", "needs this column"]),
    ] {
        let args = ["predict", "m.fw", "new.csv", "--ignore", name];
        refused(dir, &args, &words);
    }
}

/// A file in gzip is the file.
#[test]
fn gzip_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = "x,y\n".to_string() + &rows(40, |_, a, b| format!("{a:.3},{:.3}\n", a + 0.1 * b));
    fs::write(dir.join("t.csv"), &text).unwrap();
    let file = fs::File::create(dir.join("t.csv.gz")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    gz.write_all(text.as_bytes()).unwrap();
    gz.finish().unwrap();
    let fit = |from: &str, to: &str| {
        ok(
            dir,
            &[
                "fit", from, "--out", to, "--method", "map", "--hidden", "none", "--quiet",
            ],
        );
        fs::read(Path::new(dir).join(to)).unwrap()
    };
    assert!(fit("t.csv", "a.fw") == fit("t.csv.gz", "b.fw"));
}

#[test]
fn what_is_in_doubt_is_refused_with_what_decides() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (text, options, words) in [
        (
            "1.5,2\n3.5,4\n",
            &[][..],
            &["looks like data", "--header yes", "--header no"][..],
        ),
        ("a;b\n1,5;2\n1.5;3\n", &[], &["1,5", "1.5", "--decimal"]),
        ("a,b\n1,x\n2,3\n", &[], &["'x' is not a number"]),
        (
            "a,b\n1,2\n3,4\n",
            &["--delimiter", "ab"],
            &["single ASCII character"],
        ),
        (
            "a,b\n1,2\n3,4\n",
            &["--types", "a=word"],
            &["number or category"],
        ),
        (
            "a,b\n1,2\n3,4\n",
            &["--types", "c=number"],
            &["'c'", "to give a type"],
        ),
        (
            "a,b\n1,2\n3,4\n",
            &["--decimal", "dot"],
            &["point or comma"],
        ),
    ] {
        fs::write(dir.join("t.csv"), text).unwrap();
        let fit = ["fit", "t.csv", "--out", "m.fw", "--method", "map"];
        refused(dir, &[&fit[..], options].concat(), words);
    }
}

/// A model is only written if it can be read.
#[test]
fn images_may_have_named_classes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = "a,b,c,d,animal\n".to_string()
        + &rows(40, |i, a, b| {
            format!("{a:.2},{b:.2},{a:.1},{b:.1},{}\n", pick(i, &["cat", "dog"]))
        });
    fs::write(dir.join("t.csv"), text).unwrap();
    let fit = [
        "fit", "t.csv", "--out", "m.fw", "--method", "map", "--image", "2x2",
    ];
    ok(dir, &[&fit[..], &["--hidden", "none"]].concat());
    let predictions = ok(dir, &["predict", "m.fw", "t.csv"]);
    assert!(predictions.starts_with("p_cat,p_dog,"), "{predictions}");
    fs::write(
        dir.join("g.csv"),
        "a,b,c,d,y\n1,2,3,,0\n1,2,3,4,1\n2,2,2,2,1\n",
    )
    .unwrap();
    let fit = [
        "fit", "g.csv", "--out", "g.fw", "--method", "map", "--image", "2x2",
    ];
    refused(dir, &fit, &["pixels are numbers"]);
}
