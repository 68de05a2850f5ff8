//! The table of the README: MAP, walk, atlas and flow on this repository's data, with defaults.
//!
//! `cargo run --release --example table [SEEDS]` splits each set by 70 to 30 at random
//! (stratified), once per seed, and prints the mean over splits of every score.

// a program talks to its user; the library does not
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

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

const METHODS: [Method; 4] = [Method::Map, Method::Walk, Method::Atlas, Method::Flow];

fn main() -> Result<()> {
    let seeds: u64 = std::env::args()
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    println!(
        "| data set | NLL: map | walk | atlas | flow | accuracy or RMSE: map | walk | atlas | flow \
         | ECE or coverage: map | walk | atlas | flow | seconds to fit `flow` |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for set in SETS {
        // rows: methods; columns: likelihood, error, calibration
        let mut mean = [[0.0; 3]; 4];
        let mut seconds = 0.0;
        for (mean, method) in mean.iter_mut().zip(METHODS) {
            for seed in 0..seeds {
                let (scores, time) = run(set, method, seed)?;
                let row = match scores {
                    Scores::Classification(m) => [m.nll, m.accuracy, m.ece],
                    Scores::Regression(m) => [m.nll, m.rmse, m.coverage_90],
                };
                let share = 1.0 / seeds as f64;
                mean.iter_mut().zip(row).for_each(|(m, x)| *m += share * x);
                if method == Method::Flow {
                    seconds += share * time;
                }
            }
        }
        let column = |score: usize| mean.map(|row| format!("{:.3}", row[score]));
        let cells = [column(0), column(1), column(2)].concat();
        println!("| {set} | {} | {seconds:.1} |", cells.join(" | "));
    }
    Ok(())
}

fn run(set: &str, method: Method, seed: u64) -> Result<(Scores, f64)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/data/{set}.csv"));
    let data = load_csv(&path, &CsvOptions::default())?;
    let split = stratified_split(&data, 0.3, &mut Streams::new(seed).rng(Phase::SPLIT, 0))?;
    let (train, test) = (data.select(&split.train)?, data.select(&split.test)?);
    let options = FitOptions {
        method,
        seed,
        ..FitOptions::default()
    };
    let started = Instant::now();
    let fitted = fit::<f32>(&train, &options, &|_, _, _| ())?;
    let seconds = started.elapsed().as_secs_f64();
    let scores = fitted.model.evaluate(&test, 256, Streams::new(seed))?;
    Ok((scores, seconds))
}
