//! The tables of the README: MAP estimate, atlas, flow and walk on the data sets of this
//! repository, all with default settings.
//!
//! `cargo run --release --example table [SEEDS [SET...]]` splits each set by 70 to 30 at random
//! (stratified), once per seed, and prints the mean of every score over the splits.

// a program talks to its user; the library does not
#![allow(clippy::print_stdout)]

use std::path::Path;

use fiberwalk::artifact::Scores;
use fiberwalk::data::{CsvOptions, load_csv, stratified_split};
use fiberwalk::pipeline::{FitOptions, Method, fit};
use fiberwalk::{Phase, Result, Streams};

const SETS: [&str; 10] = [
    "vehicle",
    "australian",
    "glass",
    "ionosphere",
    "breast_cancer",
    "yacht",
    "energy",
    "concrete",
    "wine_red",
    "snelson1d",
];

const METHODS: [Method; 4] = [Method::Map, Method::Atlas, Method::Flow, Method::Walk];

const SCORES: [&str; 3] = ["NLL", "accuracy or RMSE", "ECE or coverage"];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let seeds: u64 = args.next().and_then(|s| s.parse().ok()).unwrap_or(1);
    let mut sets: Vec<String> = args.collect();
    if sets.is_empty() {
        sets = SETS.map(String::from).to_vec();
    }
    // sets, then methods, then scores
    let mut means = Vec::new();
    for set in &sets {
        let mut of_set = [[0.0; 3]; METHODS.len()];
        for (mean, method) in of_set.iter_mut().zip(METHODS) {
            for seed in 0..seeds {
                let scores = scores(set, method, seed)?;
                let share = 1.0 / seeds as f64;
                mean.iter_mut()
                    .zip(scores)
                    .for_each(|(m, x)| *m += share * x);
            }
        }
        means.push(of_set);
    }
    for (score, name) in SCORES.iter().enumerate() {
        println!("\n| {name} | {} |", METHODS.map(Method::name).join(" | "));
        println!("|---|---|---|---|---|");
        for (set, of_set) in sets.iter().zip(&means) {
            let cells = of_set.map(|row| format!("{:.3}", row[score]));
            println!("| {set} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}

/// Likelihood, error and calibration of a method on one split.
fn scores(set: &str, method: Method, seed: u64) -> Result<[f64; 3]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/data/{set}.csv"));
    let data = load_csv(&path, &CsvOptions::default())?;
    let split = stratified_split(&data, 0.3, &mut Streams::new(seed).rng(Phase::SPLIT, 0))?;
    let (train, test) = (data.select(&split.train)?, data.select(&split.test)?);
    let options = FitOptions {
        seed,
        ..FitOptions::of(method)
    };
    let fitted = fit::<f32>(&train, &options, &())?;
    Ok(
        match fitted.model.evaluate(&test, 256, Streams::new(seed))? {
            Scores::Classification(m) => [m.nll, m.accuracy, m.ece],
            Scores::Regression(m) => [m.nll, m.rmse, m.coverage_90],
        },
    )
}
