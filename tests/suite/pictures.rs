//! Pictures that need more than a model and test rows: contours of the energy, a flow beside its
//! walk, and PNG.

use std::fs;
use std::path::Path;

use crate::common::program::{ok, refused, split, text};
use crate::report::{QUICK, elements, walked};

/// The texts of a class in an SVG file.
fn texts(svg: &str, class: &str) -> Vec<String> {
    let start = format!("<text class=\"{class}");
    let parts = svg.split(&start).skip(1);
    let text = |part: &str| {
        let (_, rest) = part.split_once('>').unwrap();
        rest.split_once('<').unwrap().0.to_string()
    };
    parts.map(text).collect()
}

fn drawn(model: &Path, test: &Path, picture: &str, more: &[&str]) -> String {
    let out = model.with_extension("svg");
    let plot = ["plot", text(model), text(test), "--picture", picture];
    ok(&[&plot[..], &["--out", text(&out)], more].concat());
    let svg = fs::read_to_string(&out).unwrap();
    elements(&svg);
    svg
}

/// A walk's file has no rows, so contours need the table; the page says so. They are in round
/// levels, and rows that the model was not fitted to are refused.
#[test]
fn contours_need_the_training_rows() {
    let (dir, test, model) = walked("yacht.csv", &[]);
    let train = dir.path().join("train.csv");
    let without = drawn(&model, &test, "directions", &[]);
    assert!(without.contains("--train TRAIN.csv") && !without.contains("line level"));
    let with = drawn(&model, &test, "directions", &["--train", text(&train)]);
    let levels: Vec<f64> = texts(&with, "value rim")
        .iter()
        .map(|level| level.parse().unwrap())
        .collect();
    assert!(levels.len() >= 2, "{levels:?}");
    for level in &levels {
        let digit = level / 10f64.powf(level.log10().floor());
        assert!(
            [1.0, 2.0, 5.0].iter().any(|d| (digit - d).abs() < 1e-9),
            "{level}"
        );
    }
    assert!(levels.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(with.matches("class=\"line level").count(), levels.len());
    assert!(with.contains("scales held at their means") && with.contains("It is a slice"));
    let refuse = |more: &[&str], words: &[&str]| {
        let plot = ["plot", text(&model), text(&test), "--picture", "directions"];
        let out = dir.path().join("x.svg");
        refused(&[&plot[..], &["--out", text(&out)], more].concat(), words);
    };
    refuse(&["--train", text(&test)], &["train", "fitted to"]);
    refuse(&["--train-rows", "9"], &["--train"]);
    refuse(
        &["--train", text(&train), "--train-rows", "9"],
        &["9 rows", "fitted to"],
    );
    refuse(&["--train", "nowhere.csv"], &["nowhere.csv"]);
}

/// A flow of points keeps the walk's points, and the training rows too: no table is needed.
#[test]
fn a_flow_of_points_stands_beside_its_walk() {
    let (dir, train, test) = split("yacht.csv");
    let model = dir.path().join("m.fw");
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--method",
        "flow",
    ];
    ok(&[&fit[..], &QUICK, &["--flow", "points"]].concat());
    let svg = drawn(&model, &test, "beside", &[]);
    let keys = texts(&svg, "key");
    for key in ["points of the walk", "draws of the flow"] {
        assert!(keys.iter().any(|k| k == key), "{keys:?}");
    }
    assert!(
        keys.iter().any(|k| k == "50 % and 90 % of walk"),
        "{keys:?}"
    );
    assert!(drawn(&model, &test, "directions", &[]).contains("line level"));
    // other models keep no points
    let walk = dir.path().join("w.fw");
    ok(&[&["fit", text(&train), "--out", text(&walk)][..], &QUICK].concat());
    let out = dir.path().join("x.svg");
    let plot = ["plot", text(&walk), text(&test), "--picture", "beside"];
    refused(
        &[&plot[..], &["--out", text(&out)]].concat(),
        &["beside", "a flow of points"],
    );
}

#[cfg(not(feature = "png"))]
#[test]
fn without_its_feature_a_png_is_refused_in_one_line() {
    let args = [
        "plot",
        "m.fw",
        "t.csv",
        "--picture",
        "pit",
        "--out",
        "x.png",
    ];
    refused(&args, &["--out", "--features png", ".svg"]);
}

#[cfg(feature = "png")]
#[test]
fn a_picture_is_written_as_png() {
    let (dir, test, model) = walked("snelson1d.csv", &[]);
    let (png, svg) = (dir.path().join("x.PNG"), dir.path().join("x.svg"));
    let plot = |out: &Path| {
        let plot = ["plot", text(&model), text(&test), "--picture", "line"];
        ok(&[&plot[..], &["--out", text(out)]].concat())
    };
    plot(&svg);
    plot(&png);
    let bytes = fs::read(&png).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    // two pixels for each unit of the SVG file
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let svg = fs::read_to_string(&svg).unwrap();
    let size = |name: &str| -> f64 {
        let (_, rest) = svg.split_once(&format!(" {name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    assert_eq!(number(16), 2 * size("width") as u32);
    assert!(number(20).abs_diff((2.0 * size("height")) as u32) <= 2);
    plot(&png);
    assert_eq!(fs::read(&png).unwrap(), bytes);
}
