//! `fiberwalk info`: what a model file holds and how its fit went.

use fiberwalk::artifact::{FitReport, Metadata, TaskSpec};
use fiberwalk::error::counted;
use serde_json::{Value, json};

use crate::args::InfoArgs;
use crate::failure::Outcome;
use crate::printable;
use crate::streams::{metadata, say, source_name};

pub fn run(args: &InfoArgs) -> Outcome {
    let (metadata, bytes) = metadata(&args.model)?;
    let file = source_name(&args.model).display().to_string();
    if args.json {
        return say(&format!("{}\n", as_json(&metadata, &file, bytes)));
    }
    let mut text = metadata
        .report
        .as_ref()
        .map_or_else(|| older(&metadata), |report| report.to_string());
    for (heading, line) in about(&metadata, &file, bytes) {
        text += &shown(heading, &line);
    }
    say(&text)
}

/// The findings of the verdict. Each has a severity, a sentence, and what to do.
pub fn verdict(report: &FitReport) -> Vec<Value> {
    let findings = report.verdict().into_iter().map(|finding| {
        let mut said = json!(finding);
        said["severity"] = json!(finding.severity());
        said["sentence"] = finding.sentence().into();
        said["advice"] = finding.advice(report).into();
        said
    });
    findings.collect()
}

fn as_json(metadata: &Metadata, file: &str, bytes: u64) -> Value {
    let report = metadata.report.as_ref();
    let members = metadata.members.iter().map(|member| {
        json!({
            "weight": member.weight,
            "network": member.metadata.network,
            "report": member.metadata.report,
        })
    });
    json!({
        "model": file,
        "method": metadata.method,
        "bytes": bytes,
        "format_version": metadata.format_version,
        "crate_version": metadata.crate_version,
        "precision": metadata.precision,
        "seed": metadata.seed,
        "task": metadata.task,
        "target": metadata.target_name,
        "features": metadata.feature_names,
        "network": metadata.network,
        "gradients": report.map(FitReport::gradients),
        "verdict": report.map(verdict),
        "report": report,
        "diagnostics": metadata.diagnostics,
        "members": members.collect::<Vec<_>>(),
    })
}

/// What is known of a file without a report.
fn older(metadata: &Metadata) -> String {
    let known = match metadata.diagnostics.is_empty() {
        true => "no report of its fit, or one that this program does not know",
        false => "no report of its fit: an older program wrote it. These figures are in it",
    };
    let mut text = shown("report", known);
    text += &shown("network", &metadata.network.to_string());
    for (name, value) in &metadata.diagnostics {
        text += &shown("figure", &format!("{name} = {value}"));
    }
    text
}

fn about(metadata: &Metadata, file: &str, bytes: u64) -> Vec<(&'static str, String)> {
    let features = metadata.feature_names.len();
    let target = match &metadata.task {
        TaskSpec::Classification { classes, .. } => counted(classes, "class").to_string(),
        TaskSpec::Regression { .. } => "a real target".into(),
    };
    let mut lines = vec![
        (
            "predicts",
            format!(
                "{target} ('{}') from {}",
                metadata.target_name,
                counted(features, "feature")
            ),
        ),
        (
            "model",
            format!(
                "{file}, method {}, {:.1} KiB, {}, seed {}, format {} of fiberwalk {}",
                metadata.method,
                bytes as f64 / 1024.0,
                metadata.precision,
                metadata.seed,
                metadata.format_version,
                metadata.crate_version
            ),
        ),
    ];
    for member in &metadata.members {
        let text = format!("{:.3}  {}", member.weight, member.metadata.network);
        lines.push(("member", text));
    }
    lines
}

/// One line of output. The text comes from the file, so control characters are escaped.
fn shown(heading: &str, text: &str) -> String {
    format!("{heading:<10} {}\n", printable(text))
}
