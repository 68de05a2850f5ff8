//! `fiberwalk evaluate`: scores on rows with known targets.

use fiberwalk::artifact::Scores;

use crate::args::EvaluateArgs;
use crate::failure::{Failure, Outcome};
use crate::input::Input;
use crate::numbers::rounded;
use crate::say_notes;
use crate::streams::{self, read_once, say};

pub fn run(args: &EvaluateArgs) -> Outcome {
    read_once(("MODEL", &args.model), ("TEST", &args.test))?;
    let model = streams::model(&args.model)?;
    let metadata = model.metadata();
    let input = Input::find(&args.test)?;
    let data = input.scored(metadata, args.rows.rows, &args.table)?;
    say_notes(data.notes());
    let seed = args.sampling.seed_of(metadata);
    let scores = model
        .predictor(args.sampling.samples, seed)?
        .evaluate(&data)
        .map_err(|e| input.place(e, &args.table))?;
    if args.json {
        // Only a NaN or an infinity could fail here, and serde_json writes those as null.
        let json = serde_json::to_string(&scores).map_err(|e| Failure::Output(e.into()))?;
        return say(&(json + "\n"));
    }
    let figures = match scores {
        Scores::Classification(m) => vec![
            ("n", m.n as f64),
            ("nll", m.nll),
            ("accuracy", m.accuracy),
            ("ece", m.ece),
            ("mce", m.mce),
            ("brier", m.brier),
        ],
        Scores::Regression(m) => vec![
            ("n", m.n as f64),
            ("nll", m.nll),
            ("rmse", m.rmse),
            ("crps", m.crps),
            ("coverage_90", m.coverage_90),
        ],
    };
    let line = |(name, x): (&str, f64)| {
        // Counts as integers, scores to four decimal places.
        let digits = if name == "n" { 0 } else { 4 };
        format!("{name:<12} {}\n", rounded(x, digits))
    };
    say(&figures.into_iter().map(line).collect::<String>())
}
