//! What the program says of itself and of model files: `info`, help in groups, completions, manual
//! pages, and misspelt options.

use std::fs;
use std::path::Path;

use fiberwalk::artifact::{FitReport, FittedModel, read_metadata};
use fiberwalk::pipeline::{FitOptions, Method, fit};
use serde_json::{Value, json};

use crate::common::model_bytes::with_json;
use crate::common::program::{ok, refused, split, text};
use crate::common::short;

/// A small network.
const SMALL: [&str; 2] = ["--hidden", "4"];

fn json_of(args: &[&str]) -> Value {
    serde_json::from_str(&ok(args)).unwrap()
}

/// The model file with its JSON edited.
fn edited(path: &Path, edit: impl Fn(&mut Value)) {
    let bytes = fs::read(path).unwrap();
    let edited = with_json(&bytes, |text| {
        let mut json: Value = serde_json::from_str(text).unwrap();
        edit(&mut json);
        json.to_string()
    });
    fs::write(path, edited).unwrap();
}

#[test]
fn a_model_file_tells_what_its_fit_told() {
    let (dir, train, _) = split("glass.csv");
    let model = dir.path().join("m.fw");
    for method in ["map", "walk", "flow", "laplace-kfac"] {
        let fit = ["fit", text(&train), "--out", text(&model), "--json"];
        let few: &[&str] = match method {
            "map" => &[],
            "laplace-kfac" => &["--samples", "10"],
            _ => &["--steps", "20", "--particles", "5", "--samples", "10"],
        };
        let said = json_of(&[&fit[..], &["--method", method], &SMALL, few].concat());
        let info = json_of(&["info", text(&model), "--json"]);
        assert_eq!(info["report"], said["report"], "{method}");
        assert_eq!(info["verdict"], said["verdict"]);
        assert_eq!(info["bytes"], said["bytes"]);
        assert_eq!(info["gradients"], said["gradients"]);
        assert_eq!(info["method"], method);
        assert_eq!(said["lines"][0][0], "verdict");
        let first = &info["verdict"][0];
        assert!(first["sentence"].as_str().unwrap().ends_with('.'));
        assert!(first["advice"].is_string() && first["finding"].is_string());
        // the same lines for people, the verdict first
        let shown = ok(&["info", text(&model)]);
        assert!(shown.starts_with("verdict    "), "{shown}");
        for line in said["lines"].as_array().unwrap() {
            assert!(shown.contains(line[1].as_str().unwrap()), "{line}");
        }
        assert!(shown.contains(&format!("method {method}")), "{shown}");
        // it is typed all the way
        let report = read_metadata(&model).unwrap().report.unwrap();
        assert_eq!(serde_json::to_value(&report).unwrap(), said["report"]);
        let typed: FitReport = serde_json::from_value(said["report"].clone()).unwrap();
        assert_eq!(typed, report);
    }
    refused(&["info", text(&train)], &["train.csv", "safetensors"]);
    refused(&["info", "nowhere.fw"], &["nowhere.fw"]);
}

#[test]
fn files_of_older_and_of_later_programs_are_shown_as_far_as_they_go() {
    let (dir, train, test) = split("glass.csv");
    let model = dir.path().join("m.fw");
    let fit = ["fit", text(&train), "--out", text(&model), "--quiet"];
    ok(&[&fit[..], &["--method", "map"], &SMALL].concat());
    let score = || ok(&["evaluate", text(&model), text(&test)]);
    let before = score();
    edited(&model, |json| {
        assert!(json.get("diagnostics").is_none(), "not in new files");
        json.as_object_mut().unwrap().remove("report");
        json["diagnostics"] = json!({"map_energy": 3.25, "k_hat": 0.5});
    });
    let shown = ok(&["info", text(&model)]);
    assert!(shown.contains("an older program"), "{shown}");
    assert!(
        shown.contains("map_energy = 3.25") && shown.contains("9-4-"),
        "{shown}"
    );
    let info = json_of(&["info", text(&model), "--json"]);
    assert_eq!(info["diagnostics"]["k_hat"], 0.5);
    assert!(info["report"].is_null() && info["verdict"].is_null());
    // what nobody knows here is left out, and the model is as good as before
    edited(&model, |json| {
        json["report"] = json!({"kernel": {"kind": "of a later program"}});
        json["diagnostics"] = json!({});
    });
    let shown = ok(&["info", text(&model)]);
    assert!(shown.contains("no report of its fit"), "{shown}");
    assert_eq!(score(), before);
}

/// Draws in the place of a sampler: the report says what the file holds now.
#[test]
fn a_model_that_is_frozen_later_says_so() {
    let data = fiberwalk::data::banana(60, &fiberwalk::Streams::new(1)).unwrap();
    let options = FitOptions {
        method: short(Method::Atlas, 5, 20, 10),
        hidden: vec![4],
        ..FitOptions::default()
    };
    let mut model: FittedModel<f32> = fit(&data, &options, &|_, _, _| ()).unwrap().model;
    let said = |model: &FittedModel<f32>| model.metadata.report.as_ref().unwrap().to_string();
    assert!(said(&model).contains("carries the 60 training rows"));
    model.freeze(7, 0).unwrap();
    assert!(said(&model).contains("7 draws and no training data"));
}

#[test]
fn help_is_in_groups_and_misspelt_words_are_guessed() {
    let help = ok(&["fit", "--help"]);
    let groups = ["Data:", "Model:", "Training:", "Walk:", "Files:", "Run:"];
    for group in groups {
        assert!(help.lines().any(|l| l == group), "{group} {help}");
    }
    // nothing is left over but the help itself
    let (_, rest) = help.split_once("\nOptions:").unwrap();
    let rest = rest.split("\n\n").next().unwrap();
    assert!(!rest.contains("--out") && rest.contains("--help"), "{rest}");
    let misspelt = ["fit", "a.csv", "--out", "m.fw", "--partciles", "3"];
    refused(&misspelt, &["'--partciles'", "similar", "'--particles'"]);
    refused(&["evalute"], &["'evalute'", "similar", "'evaluate'"]);
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = ok(&["completions", shell]);
        assert!(script.contains("--walk-batch") || script.contains("walk-batch"));
        assert!(
            script.contains("evaluate") && script.contains("info"),
            "{shell}"
        );
    }
    refused(&["completions", "cmd"], &["cmd", "bash"]);
    let page = ok(&["man"]);
    assert!(
        page.contains(".TH fiberwalk 1") && page.contains("fiberwalk\\-fit(1)"),
        "{page}"
    );
    let page = ok(&["man", "fit"]);
    assert!(
        page.contains("fiberwalk-fit") && page.contains("\\-\\-walk\\-batch"),
        "{page}"
    );
    refused(&["man", "what"], &["what", "fit", "predict"]);
}
