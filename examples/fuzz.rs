//! Damaged files for every reader: tables, images and models. A reader returns a value or an error;
//! a panic ends the program.
//!
//! `cargo run --release --example fuzz [SECONDS [SEED]]` mutates small good files for so many
//! seconds (10 by default), a third of the time for each reader, and prints how many it tried. The
//! same seed gives the same files.

// a program talks to its user; the library does not
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use fiberwalk::artifact::AnyModel;
use fiberwalk::data::{CsvOptions, CsvText, Dataset, RowOptions, Schema, read_idx};
use fiberwalk::pipeline::{FitOptions, Method, fit};
use fiberwalk::{Phase, Result, Streams};
use rand::{Rng, RngExt};

const TABLES: [&str; 4] = [
    "a,b,y\n1,2.5,0\n3,4,1\n5,6,1\n",
    "sex;deck;age;fare\nmale;A;22;7,25\nfemale;?;38;71,5\nfemale;C;;8\n",
    "\u{feff}\"x\"\t\"y\"\r\n\"1\"\t\"a \"\"b\"\"\"\r\n2\tc\r\n",
    "# note\n,x,y\n0,1e-3,yes\n1,-2E+4,no\n2,.5,yes\n",
];

/// Bytes that mean something to a reader.
const TELLING: &[u8] = b",;\t|\"\n\r.-+eE0195?N#={}[]:\x00\xff\x1f\x8b";

/// Changes, inserts, removes or repeats a few pieces.
fn mutate(good: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        let byte = match rng.random_range(0..3) {
            0 => rng.random_range(0..=u8::MAX),
            _ => TELLING[rng.random_range(0..TELLING.len())],
        };
        match rng.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + rng.random_range(0..16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

/// Mutates until the time is over. Returns how many files were tried, and how many were read.
fn try_all(
    good: &[Vec<u8>],
    time: Duration,
    rng: &mut impl Rng,
    mut read: impl FnMut(&[u8]) -> bool,
) -> (u64, u64) {
    let (start, mut tried, mut accepted) = (Instant::now(), 0, 0);
    while start.elapsed() < time {
        let bytes = mutate(&good[rng.random_range(0..good.len())], rng);
        accepted += u64::from(read(&bytes));
        tried += 1;
    }
    (tried, accepted)
}

/// Reads a table anew and for a model, and encodes what it has read once more.
fn read_table(bytes: &[u8], known: &Schema) -> bool {
    let text = CsvText::from_bytes(bytes, "fuzz");
    let rows = text.clone().features(known, &RowOptions::default());
    if let Ok(rows) = &rows {
        assert_eq!(rows.features.len(), rows.rows * known.encoded_names().len());
    }
    match text.dataset(&CsvOptions::default()) {
        Ok(data) => {
            let schema = data.schema();
            assert_eq!(schema.encoded_names(), data.feature_names());
            assert!(data.features().iter().all(|v| v.is_finite()));
            true
        }
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error}");
            rows.is_ok()
        }
    }
}

/// Small models: a table with words, and a walk.
fn models() -> Result<Vec<Vec<u8>>> {
    let words = Dataset::builder()
        .texts("city", ["Rome", "Oslo", "Rome", "Lima", "Oslo", "Lima"])
        .optional_numbers(
            "x",
            [Some(1.0), None, Some(0.5), Some(2.0), None, Some(3.0)],
        )
        .target_numbers("y", [0.1, 0.9, 0.2, 1.4, 1.1, 1.9])?;
    let mut all = Vec::new();
    for method in [Method::Map, Method::Walk, Method::Atlas] {
        let mut options = FitOptions::of(method);
        options.hidden = vec![3];
        if let Some(walk) = options.method.walk_mut() {
            (walk.steps, walk.particles) = (Some(20), Some(4));
        }
        all.push(fit::<f32>(&words, &options, &())?.model.to_bytes()?);
    }
    Ok(all)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let seconds: f64 = args.next().map_or(Ok(10.0), |s| s.parse())?;
    let seed: u64 = args.next().map_or(Ok(0), |s| s.parse())?;
    let time = Duration::from_secs_f64(seconds / 3.0);
    let mut rng = Streams::new(seed).rng(Phase::USER, 0);
    let said = |name: &str, (tried, read): (u64, u64)| {
        println!("{name:<7} {tried} files, {read} of them read")
    };

    let tables: Vec<Vec<u8>> = TABLES.iter().map(|t| t.as_bytes().to_vec()).collect();
    let known = CsvText::from_bytes(TABLES[1], "good").dataset(&CsvOptions::default())?;
    let known = known.schema();
    said(
        "tables",
        try_all(&tables, time, &mut rng, |bytes| read_table(bytes, &known)),
    );

    // two images of 2 x 3 pixels, and a vector of floats
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..],
        &[7; 12],
    ]
    .concat();
    let floats = [
        &[0, 0, 13, 1, 0, 0, 0, 2][..],
        &1.5f32.to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    let file = std::env::temp_dir().join(format!("fiberwalk-fuzz-{}", std::process::id()));
    let counts = try_all(&[images, floats], time, &mut rng, |bytes| {
        std::fs::write(&file, bytes).is_ok() && read_idx(&file, None).is_ok()
    });
    std::fs::remove_file(&file)?;
    said("images", counts);

    let counts = try_all(
        &models()?,
        time,
        &mut rng,
        |bytes| match AnyModel::from_bytes(bytes) {
            // what can be read can be used, or says why not
            Ok(model) => model
                .predictor(4, 0)
                .is_ok_and(|p| p.row(&[0.0; 5]).is_ok()),
            Err(_) => false,
        },
    );
    said("models", counts);
    Ok(())
}
