//! `fiberwalk evaluate`: scores on rows with known targets, and how well the model tells rows from
//! elsewhere.

use std::collections::BTreeMap;

use fiberwalk::artifact::{Predictions, Predictor, Promise};
use fiberwalk::error::rounded;
use fiberwalk::metrics::{
    Bootstrap, DEFAULT_BINS, Interval, OutOfDistribution, ScoredRows, Scores, class_uncertainties,
};
use fiberwalk::{Error, Result};
use serde::Serialize;

use crate::args::EvaluateArgs;
use crate::failure::{Failure, Outcome, in_file};
use crate::input::Input;
use crate::promise;
use crate::say_notes;
use crate::streams::{self, read_once, say};
use crate::table::TableArgs;

/// What is printed.
#[derive(Serialize)]
struct Evaluation {
    #[serde(flatten)]
    scores: Scores,
    /// The column that says how much each row counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intervals: Option<Intervals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conformal: Option<Promise>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ood: Option<Elsewhere>,
}

/// Intervals of the scores by their names.
#[derive(Serialize)]
struct Intervals {
    level: f64,
    replicates: usize,
    #[serde(flatten)]
    of: BTreeMap<&'static str, Option<Interval>>,
}

/// How well uncertainties tell the rows of another file.
#[derive(Serialize)]
struct Elsewhere {
    rows: usize,
    #[serde(flatten)]
    by: BTreeMap<&'static str, Detection>,
}

#[derive(Serialize)]
struct Detection {
    #[serde(flatten)]
    scores: OutOfDistribution,
    #[serde(skip_serializing_if = "Option::is_none")]
    intervals: Option<Intervals>,
}

/// Checks the number of bootstraps.
///
/// # Errors
/// If intervals cannot be made from so many.
pub fn replicates(count: usize) -> Result<usize> {
    if count == 0 || (20..=Bootstrap::MOST).contains(&count) {
        return Ok(count);
    }
    let requirement = format!("must be 0 (no intervals) or from 20 to {}", Bootstrap::MOST);
    Err(Error::config("--bootstrap", count, &requirement))
}

pub fn run(args: &EvaluateArgs) -> Outcome {
    read_once(("MODEL", &args.model), ("TEST", &args.test))?;
    if let Some(other) = &args.ood {
        read_once(("MODEL", &args.model), ("--ood", other))?;
        read_once(("TEST", &args.test), ("--ood", other))?;
    }
    let model = streams::model(&args.model)?;
    let metadata = model.metadata();
    let input = Input::find(&args.test)?;
    let data = input.scored(metadata, args.rows.rows, &args.table)?;
    say_notes(data.notes());
    let seed = args.sampling.seed_of(metadata);
    let bootstrap = match replicates(args.bootstrap)? {
        0 => None,
        replicates => Some(Bootstrap {
            replicates,
            seed,
            ..Bootstrap::default()
        }),
    };
    let predictor = model.predictor(args.sampling.samples, seed)?;
    let scored = predictor
        .score_rows(&data)
        .map_err(|e| input.place(e, &args.table))?;
    let scores = scored.scores().map_err(|e| in_file(e, input.rows()))?;
    let intervals = bootstrap.map(|b| Ok::<_, Error>(Intervals::new(&b, scored.intervals(&b)?)));
    let conformal = predictor.promise(&data, &scored);
    let conformal = conformal.map_err(|e| in_file(input.place(e, &args.table), input.rows()))?;
    let ood = match &args.ood {
        None => None,
        Some(other) => {
            let input = Input::find(other)?;
            let read = input.features(metadata, args.rows.rows, &args.table, (&[], &[]), true)?;
            say_notes(&read.notes);
            // Quantiles are not needed.
            let predictor = predictor.with_quantiles(&[])?;
            Some(elsewhere(
                &scored,
                &predictor,
                &read.features,
                (&input, &args.table),
                bootstrap,
            )?)
        }
    };
    let found = Evaluation {
        scores,
        weights: data.weights_name().map(String::from),
        conformal,
        intervals: intervals.transpose()?,
        ood,
    };
    if args.json {
        // Only a NaN or an infinity could fail here, and serde_json writes those as null.
        let json = serde_json::to_string(&found).map_err(|e| Failure::Output(e.into()))?;
        return say(&(json + "\n"));
    }
    say(&text(&found))
}

impl Intervals {
    fn new(
        bootstrap: &Bootstrap,
        of: impl IntoIterator<Item = (&'static str, Option<Interval>)>,
    ) -> Self {
        Self {
            level: bootstrap.level,
            replicates: bootstrap.replicates,
            of: of.into_iter().collect(),
        }
    }
}

/// Compares the uncertainties of scored rows with those of the rows `x` of another file.
fn elsewhere(
    scored: &ScoredRows,
    predictor: &Predictor,
    x: &[f64],
    (input, table): (&Input, &TableArgs),
    bootstrap: Option<Bootstrap>,
) -> Outcome<Elsewhere> {
    let outside = match predictor.rows(x).map_err(|e| input.place(e, table))? {
        Predictions::Classes(p) => class_uncertainties(&p),
        Predictions::Real(p) => vec![("std", p.moments.iter().map(|m| m.std).collect())],
    };
    let rows = outside.first().map_or(0, |(_, all)| all.len());
    // rows from elsewhere count once
    let weights = scored.weights().map(|w| [w, &vec![1.0; rows]].concat());
    let weights = weights.as_deref();
    let mut by = BTreeMap::new();
    for ((name, inside), (_, outside)) in scored.uncertainties().into_iter().zip(outside) {
        let scores = OutOfDistribution::new(&inside, &outside, weights);
        let scores = scores.map_err(|e| in_file(e, input.rows()))?;
        let intervals = match bootstrap {
            None => None,
            Some(b) => {
                let of = OutOfDistribution::intervals(&inside, &outside, weights, &b)?;
                Some(Intervals::new(&b, of))
            }
        };
        by.insert(name, Detection { scores, intervals });
    }
    Ok(Elsewhere { rows, by })
}

fn text(found: &Evaluation) -> String {
    let rows = found.scores.rows();
    let mut text = format!("{:<18} {rows}\n", "n");
    for (name, value) in found.scores.named() {
        let cell = cell(value, name, found.intervals.as_ref());
        text += &format!("{name:<18} {cell}\n");
    }
    if let Some(promise) = &found.conformal {
        text += &promise::lines(promise);
    }
    if let Some(other) = &found.ood {
        text += &format!("\nrows from elsewhere  {}\n", other.rows);
        for (name, by) in &other.by {
            let scores = [
                ("auroc", by.scores.auroc),
                ("aupr", by.scores.aupr),
                ("fpr95", by.scores.fpr95),
            ];
            for (score, value) in scores {
                let cell = cell(value, score, by.intervals.as_ref());
                text += &format!("{:<24} {cell}\n", format!("{name} {score}"));
            }
        }
    }
    text.push('\n');
    if let Some(intervals) = &found.intervals {
        let (level, replicates) = (100.0 * intervals.level, intervals.replicates);
        text +=
            &format!("in brackets: {level:.0} % intervals, from {replicates} bootstraps of rows; ");
    }
    if let Scores::Classification(_) = found.scores {
        text += &format!("calibration errors have {DEFAULT_BINS} bins; ");
    }
    text + "see docs/uncertainty.md\n"
}

/// A score to four decimal places, and its interval if there is one.
fn cell(value: f64, name: &str, intervals: Option<&Intervals>) -> String {
    if value.is_nan() {
        return "-".into();
    }
    match intervals.and_then(|all| all.of.get(name).copied().flatten()) {
        None => rounded(value, 4),
        Some(i) => format!(
            "{}  [{}, {}]",
            rounded(value, 4),
            rounded(i.lower, 4),
            rounded(i.upper, 4)
        ),
    }
}
