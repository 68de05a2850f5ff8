//! What `predict` writes: quantiles, intervals, draws, and the formats.

use std::fs;

use serde_json::Value;

use crate::common::program::{ok, refused, split, text};

/// Header and rows of a CSV text.
fn table(csv: &str) -> (Vec<String>, Vec<Vec<f64>>) {
    let mut lines = csv.lines();
    let header = lines.next().unwrap().split(',').map(String::from).collect();
    let row = |line: &str| line.split(',').map(|c| c.parse().unwrap()).collect();
    (header, lines.map(row).collect())
}

#[test]
fn quantiles_intervals_and_draws_of_a_number_in_every_format() {
    let (dir, train, test) = split("yacht.csv");
    let model = dir.path().join("m.fw");
    let fit = ["fit", text(&train), "--out", text(&model), "--quiet"];
    let short = ["--steps", "10", "--particles", "4", "--hidden", "6"];
    ok(&[&fit[..], &short].concat());
    let predict = ["predict", text(&model), text(&test)];
    let run = |more: &str| ok(&[&predict[..], &more.split(' ').collect::<Vec<_>>()].concat());
    let plain = ok(&predict);
    assert_eq!(run("--format csv"), plain);
    let (header, rows) = table(&plain);
    assert_eq!(header.join(","), "mean,std,epistemic_std,q05,q95");
    let asked = "--quantiles 0.05,0.975 --interval 0.9 --interval 0.5 --draws 3";
    let (names, got) = table(&run(asked));
    let expected = "mean,std,epistemic_std,q05,q97.5,low_90,high_90,low_50,high_50,draw_0,draw_1,\
                    draw_2";
    assert_eq!(names.join(","), expected);
    assert_eq!(got.len(), rows.len());
    for (all, few) in got.iter().zip(&rows) {
        assert_eq!(all[..4], few[..4]);
        assert_eq!(
            (all[5], all[6]),
            (few[3], few[4]),
            "a 90 % interval ends at q05 and q95"
        );
        assert!(all[5] < all[7] && all[7] < all[8] && all[8] < all[6] && all[6] < all[4]);
    }
    // every draw is another posterior draw, and noise is on top of it
    let (_, clean) = table(&run(&format!("{asked} --noiseless")));
    assert!(
        got.iter()
            .zip(&clean)
            .all(|(a, b)| a[9] != b[9] && b[9] != b[10])
    );

    let list: Value = serde_json::from_str(&run(&format!("{asked} --format json"))).unwrap();
    let lines = run(&format!("{asked} --format jsonl"));
    let lines: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(list.as_array().unwrap(), &lines);
    for (object, row) in lines.iter().zip(&got) {
        assert_eq!(object["q97.5"].as_f64(), Some(row[4]));
        let draws: Vec<f64> = object["draws"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d.as_f64().unwrap())
            .collect();
        assert_eq!(draws, row[9..]);
        let parts = object["aleatoric_std"].as_f64().unwrap().hypot(row[2]);
        assert!((parts / row[1] - 1.0).abs() < 1e-7);
    }
    // to a file as to standard output
    let out = dir.path().join("p.jsonl");
    run(&format!("{asked} --format jsonl --out {}", text(&out)));
    let again: Vec<Value> = fs::read_to_string(&out)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(again, lines);
    for (option, value) in [
        ("--quantiles", "1"),
        ("--quantiles", "0.5,nan"),
        ("--interval", "0"),
        ("--interval", "-0.5"),
        ("--draws", "0"),
        ("--draws", "3000000"),
        ("--format", "xml"),
    ] {
        refused(&[&predict[..], &[option, value]].concat(), &[option]);
    }
    refused(&[&predict[..], &["--noiseless"]].concat(), &["--draws"]);
    refused(
        &[&predict[..], &["--interval", "0.5", "--interval", "0.5"]].concat(),
        &["high_50", "--interval"],
    );
}

#[test]
fn draws_and_parts_of_classes() {
    let (dir, train, test) = split("vehicle.csv");
    let model = dir.path().join("m.fw");
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--quiet",
        "--method",
        "map",
    ];
    ok(&[&fit[..], &["--hidden", "6"]].concat());
    let predict = ["predict", text(&model), text(&test), "--rows", "5"];
    let run = |more: &str| ok(&[&predict[..], &more.split(' ').collect::<Vec<_>>()].concat());
    let labels = run("--draws 2");
    let header = labels.lines().next().unwrap();
    assert!(
        header.ends_with("entropy,mutual_information,draw_0,draw_1"),
        "{header}"
    );
    let clean = run("--draws 2 --noiseless");
    let header: Vec<&str> = clean.lines().next().unwrap().split(',').collect();
    let classes = (header.len() - 2) / 3;
    assert_eq!(header.len(), 3 * classes + 2);
    assert!(header[classes + 2].starts_with("draw_0_p_"));
    let list: Value = serde_json::from_str(&run("--draws 2 --noiseless --format json")).unwrap();
    for row in list.as_array().unwrap() {
        let draws = row["draws"].as_array().unwrap();
        assert!(draws.iter().all(|p| p.as_array().unwrap().len() == classes));
        // one estimate: the draws do not disagree
        assert_eq!(row["mutual_information"].as_f64(), Some(0.0));
        assert_eq!(row["aleatoric_entropy"], row["entropy"]);
    }
    refused(
        &[&predict[..], &["--interval", "0.9"]].concat(),
        &["--interval", "number"],
    );
}

/// `fit --calibrate --conformal`, and what `predict`, `evaluate` and the summary say then.
#[test]
fn calibrated_models_say_sets_and_intervals() {
    let (dir, train, test) = split("vehicle.csv");
    let model = dir.path().join("m.fw");
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--method",
        "map",
        "--hidden",
        "6",
    ];
    let said = ok(&[&fit[..], &["--calibrate", "0.3", "--conformal", "0.9"]].concat());
    for words in [
        "rows held out, which the fit has not seen",
        "nll",
        "90 % by aps from",
    ] {
        assert!(said.contains(words), "'{words}' is not in {said}");
    }
    let predict = ["predict", text(&model), text(&test)];
    let (header, rows) = table(&ok(&predict));
    let sets: Vec<usize> = (0..header.len())
        .filter(|&j| header[j].starts_with("in_set_"))
        .collect();
    assert_eq!(sets.len(), 4);
    assert!(
        rows.iter()
            .all(|row| sets.iter().all(|&j| row[j] == 0.0 || row[j] == 1.0))
    );
    let list = ok(&[&predict[..], &["--format", "json"]].concat());
    let list: Value = serde_json::from_str(&list).unwrap();
    for (object, row) in list.as_array().unwrap().iter().zip(&rows) {
        let size = sets.iter().map(|&j| row[j]).sum::<f64>();
        assert_eq!(
            object["conformal_set"].as_array().unwrap().len() as f64,
            size
        );
    }
    let evaluate = ["evaluate", text(&model), text(&test), "--bootstrap", "0"];
    let scores: Value = serde_json::from_str(&ok(&[&evaluate[..], &["--json"]].concat())).unwrap();
    let promise = &scores["conformal"];
    // 210 test rows, and a threshold of 63 rows: 5 standard errors of the coverage
    let coverage = promise["coverage"].as_f64().unwrap();
    assert!(
        (coverage - 0.9).abs() < 5.0 * (0.09 * (1.0 / 210.0 + 1.0 / 95.0f64)).sqrt(),
        "{promise}"
    );
    assert_eq!(promise["by_class"].as_array().unwrap().len(), 4);
    let lines = ok(&evaluate);
    assert!(
        lines.contains("90 % promised, by aps")
            && lines.contains("coverage of")
            && lines.contains("all classes")
            && !lines.contains("unlimited"),
        "{lines}"
    );

    // a number: both ends in every format, infinite ones too
    let (dir, train, test) = split("yacht.csv");
    let model = dir.path().join("m.fw");
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--method",
        "map",
        "--hidden",
        "6",
    ];
    ok(&[
        &fit[..],
        &["--conformal", "0.9", "--conformal-score", "cqr", "--quiet"],
    ]
    .concat());
    let predict = ["predict", text(&model), text(&test)];
    let (header, rows) = table(&ok(&predict));
    let expected = "mean,std,epistemic_std,q05,q95,conformal_low,conformal_high";
    assert_eq!(header.join(","), expected);
    // the interval between the quantiles, moved by one number on both sides
    let moved: Vec<f64> = rows.iter().map(|r| r[3] - r[5]).collect();
    for (row, m) in rows.iter().zip(&moved) {
        assert!(
            (m - moved[0]).abs() < 1e-5 && (row[6] - row[4] - m).abs() < 1e-5,
            "{row:?}"
        );
    }
    let few = ["--conformal", "0.99", "--quiet"];
    let out = crate::common::program::fiberwalk(&[&fit[..], &few].concat());
    let warning = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(warning.contains("needs 99 rows"), "{warning}");
    let said = ok(&predict);
    assert!(
        said.lines().nth(1).unwrap().ends_with(",-inf,inf"),
        "{said}"
    );
    let lines = ok(&[&predict[..], &["--format", "jsonl"]].concat());
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["conformal_low"], Value::Null);
    for (more, word) in [
        ("--calibrate 1", "calibrate"),
        ("--calibration spread", "--calibrate"),
        ("--conformal-score aps --conformal 0.9", "for classes"),
        ("--conformal-score lac --conformal 0.9", "one of aps"),
        ("--class-conditional", "--conformal"),
        (
            "--conformal 0.9 --conformal-folds 4 --checkpoint-every 60",
            "--checkpoint-every",
        ),
        (
            "--conformal 0.9 --conformal-folds 4 --loo-refits 3",
            "--loo-refits",
        ),
    ] {
        let more: Vec<&str> = more.split(' ').collect();
        refused(&[&fit[..], &more].concat(), &[word]);
    }
}
