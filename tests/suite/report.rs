//! `report`, `plot` and `compare --report`: pages that anybody can open, and that hurt
//! nobody.

use std::fs;
use std::path::PathBuf;

use fiberwalk::report::NAMES;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::program::{ok, refused, split, text};

pub const QUICK: [&str; 9] = [
    "--hidden",
    "5",
    "--steps",
    "60",
    "--particles",
    "8",
    "--samples",
    "64",
    "--quiet",
];

/// A short walk on three quarters of a data set: directory, test rows, model.
pub fn walked(name: &str, more: &[&str]) -> (TempDir, PathBuf, PathBuf) {
    let (dir, train, test) = split(name);
    let model = dir.path().join("m.fw");
    let fit = ["fit", text(&train), "--out", text(&model)];
    ok(&[&fit[..], &QUICK, more].concat());
    (dir, test, model)
}

/// Checks that elements are closed in the order in which they were opened, and that attributes are
/// in quotes. Returns the names of all elements.
pub fn elements(page: &str) -> Vec<String> {
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap_or(page);
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "a bare > in {:?}", &rest[..at]);
        let end = at + rest[at..].find('>').unwrap();
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            continue;
        }
        let closed = tag.ends_with('/');
        let name = tag
            .trim_end_matches('/')
            .split(' ')
            .next()
            .unwrap()
            .to_string();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if !closed {
            open.push(name.clone());
        }
        all.push(name);
    }
    assert_eq!(open, [""; 0], "left open");
    all
}

/// What every page has to keep to.
fn check(page: &str) -> Vec<String> {
    assert!(page.starts_with("<!DOCTYPE html>") && page.len() < 1_000_000);
    for foreign in [
        "http",
        "<script",
        "src=",
        "@import",
        "<link",
        "javascript",
        "onload",
        "<iframe",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    // only places on the page itself
    let all = page.matches("url(").count();
    assert_eq!(all, page.matches("url(#").count());
    assert!(
        !page.contains("NaN") && !page.contains(">inf"),
        "a number that is none"
    );
    let names = elements(page);
    // what HTML does not let close itself is never empty
    for void in [
        "<td/>", "<th/>", "<p/>", "<div/>", "<li/>", "<title/>", "<text/>",
    ] {
        assert!(!page.contains(void), "{void}");
    }
    let count = |what: &str| names.iter().filter(|n| *n == what).count();
    assert_eq!(count("svg"), page.matches(r#"role="img""#).count());
    assert_eq!(count("svg"), count("desc"));
    assert_eq!(
        count("th"),
        page.matches("<th class=\"\" scope=\"col\"").count()
            + page.matches("<th class=\"text\" scope=\"col\"").count()
            + page.matches("<th scope=\"row\"").count()
    );
    // each id once
    let mut ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .map(|s| s.split('"').next().unwrap())
        .collect();
    let with_twins = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), with_twins, "an id appears twice");
    names
}

#[test]
fn a_page_on_classes_is_whole_small_and_the_same_each_time() {
    let (dir, test, model) = walked("glass.csv", &[]);
    let other = dir.path().join("other.csv");
    let far = fs::read_to_string(&test).unwrap();
    let far: Vec<String> = far
        .lines()
        .enumerate()
        .map(|(i, line)| match i {
            0 => line.to_string(),
            _ => line
                .split(',')
                .map(|c| format!("{c}9"))
                .collect::<Vec<_>>()
                .join(","),
        })
        .collect();
    fs::write(&other, far.join("\n")).unwrap();
    let out = dir.path().join("r.html");
    let args = [
        "report",
        text(&model),
        text(&test),
        "--ood",
        text(&other),
        "--out",
        text(&out),
    ];
    let said = ok(&args);
    assert!(
        said.contains("r.html") && said.lines().count() == 2,
        "{said}"
    );
    let page = fs::read_to_string(&out).unwrap();
    let names = check(&page);
    assert!(names.iter().filter(|n| *n == "svg").count() >= 15);
    for picture in [
        "reliability",
        "confidence",
        "confusion",
        "doubt",
        "risk-coverage",
        "elsewhere",
        "dependence",
        "energy",
        "predictions",
        "ranks",
        "mixing",
        "directions",
        "scales",
        "loo",
    ] {
        assert!(page.contains(&format!("id=\"{picture}\"")), "{picture}");
    }
    // the verdict comes first, in words, with what to do
    let (verdict, scores) = (
        page.find("class=\"verdict").unwrap(),
        page.find("Scores on").unwrap(),
    );
    assert!(verdict < scores && !page[verdict..scores].contains("<svg"));
    assert!(page.contains("fiberwalk report "));
    // again, and with other threads, but for the command that is said
    let command = |page: &str| {
        let (_, last) = page.rsplit_once("<pre>").unwrap();
        last.split("</pre>").next().unwrap().to_string()
    };
    for more in [&["--quiet"][..], &["--quiet", "--threads", "1"]] {
        ok(&[&args[..], more].concat());
        let again = fs::read_to_string(&out).unwrap();
        assert_eq!(
            again.replace(&command(&again), ""),
            page.replace(&command(&page), "")
        );
    }
    // the scores are those of evaluate
    let scores: Value =
        serde_json::from_str(&ok(&["evaluate", text(&model), text(&test), "--json"])).unwrap();
    let accuracy = format!("{:.3}", scores["accuracy"].as_f64().unwrap());
    let shown = accuracy.trim_end_matches('0').trim_end_matches('.');
    assert!(page.contains(&format!(">{shown}</td>")), "accuracy {shown}");
}

#[test]
fn a_page_on_numbers_has_its_own_pictures_and_each_can_be_a_file() {
    let (dir, test, model) = walked("snelson1d.csv", &[]);
    let out = dir.path().join("r.html");
    ok(&[
        "report",
        text(&model),
        text(&test),
        "--out",
        text(&out),
        "--bootstrap",
        "0",
    ]);
    let page = fs::read_to_string(&out).unwrap();
    check(&page);
    let svg = dir.path().join("p.svg");
    let there: Vec<&str> = NAMES
        .iter()
        .map(|n| n.0)
        .filter(|n| page.contains(&format!("id=\"{n}\"")))
        .collect();
    for wanted in [
        "line",
        "predicted",
        "widths",
        "coverage",
        "pit",
        "qq",
        "errors",
    ] {
        assert!(there.contains(&wanted), "{wanted}");
    }
    for name in ["line", "pit"] {
        ok(&[
            "plot",
            text(&model),
            text(&test),
            "--picture",
            name,
            "--out",
            text(&svg),
        ]);
        let picture = fs::read_to_string(&svg).unwrap();
        elements(&picture);
        assert_eq!(
            picture.matches("http").count(),
            1,
            "only the name of the format"
        );
        assert!(picture.starts_with("<svg") && picture.contains("prefers-color-scheme"));
    }
    let plot = |name: &'static str, out: &'static str, words: &[&str]| {
        let out = dir.path().join(out);
        refused(
            &[
                "plot",
                text(&model),
                text(&test),
                "--picture",
                name,
                "--out",
                text(&out),
            ],
            words,
        );
    };
    plot("lines", "x.svg", &["--picture", "'line'"]);
    plot("line", "x.gif", &["--out", "SVG or PNG"]);
    plot(
        "confusion",
        "x.svg",
        &["confusion", "is of classes", "coverage"],
    );
    refused(
        &["report", text(&model), text(&test), "--out", text(&test)],
        &["one of the inputs"],
    );
    refused(
        &[
            "report",
            text(&model),
            text(&test),
            "--out",
            text(&out),
            "--bootstrap",
            "3",
        ],
        &["--bootstrap"],
    );
    refused(
        &["report", "-", "-", "--out", text(&out)],
        &["standard input"],
    );
}

/// Names come from outside. They must not become part of the page's language.
#[test]
fn names_of_columns_and_classes_are_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("d.csv");
    let mut rows = "\"<script>alert(1)</script>\",\"a\"\"&<b>'\",\"</title><h1>\"\n".to_string();
    for i in 0..60 {
        let label = if i % 2 == 0 {
            "<img src=x onerror=e()>"
        } else {
            "&amp;"
        };
        rows += &format!("{},{},{label}\n", i % 7, (i * 5 + i % 2 * 9) % 11);
    }
    fs::write(&table, rows).unwrap();
    let (model, out) = (dir.path().join("m.fw"), dir.path().join("r.html"));
    ok(&[&["fit", text(&table), "--out", text(&model)][..], &QUICK].concat());
    ok(&[
        "report",
        text(&model),
        text(&table),
        "--out",
        text(&out),
        "--bootstrap",
        "20",
    ]);
    let page = fs::read_to_string(&out).unwrap();
    elements(&page);
    for raw in ["<script", "<img", "<h1>\"", "<b>", "</title><h1"] {
        assert!(!page.contains(raw), "{raw}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("&lt;img src=x onerror=e()&gt;"));
    assert!(page.contains("id=\"map\""), "two features and classes");
    let svg = dir.path().join("p.svg");
    ok(&[
        "plot",
        text(&model),
        text(&table),
        "--picture",
        "dependence",
        "--out",
        text(&svg),
    ]);
    let picture = fs::read_to_string(&svg).unwrap();
    elements(&picture);
    assert!(!picture.contains("<script"));
}

#[test]
fn methods_are_laid_over_one_another() {
    let (dir, train, test) = split("yacht.csv");
    let out = dir.path().join("c.html");
    let compare = [
        "compare",
        text(&train),
        "--test",
        text(&test),
        "--report",
        text(&out),
    ];
    let args = [&compare[..], &QUICK, &["--methods", "map,walk"]].concat();
    let table = ok(&args);
    assert!(table.contains("less "));
    let page = fs::read_to_string(&out).unwrap();
    let names = check(&page);
    assert_eq!(names.iter().filter(|n| *n == "svg").count(), 2);
    assert!(page.contains(">map</text>") && page.contains(">walk</text>"));
    assert!(page.contains("lowest surprise"));
    let bad = dir.path().join("missing").join("c.html");
    refused(
        &["compare", text(&train), "--report", text(&bad)],
        &["--report", "no such directory"],
    );
    refused(
        &["compare", text(&train), "--report", "-"],
        &["--report", "must be a file"],
    );
}
