//! `fiberwalk compare`: several methods fitted to the same rows, one table.

use std::process::ExitCode;

use fiberwalk::artifact::report::{Finding, FitReport};
use fiberwalk::artifact::write_atomically;
use fiberwalk::data::{Dataset, stratified_split};
use fiberwalk::error::{counted, rounded};
use fiberwalk::pipeline::{
    Differences, FitOptions, Fits, Measured, MethodOptions, MethodScores, Statistic, WalkSettings,
    by_method, compare_to_best, measure,
};
use fiberwalk::report::compared;
use fiberwalk::{Error, Phase, Result, Streams};

use crate::args::{CompareArgs, Precision};
use crate::failure::{Failure, Outcome, in_file, status};
use crate::input::Input;
use crate::progress::Bars;
use crate::report::{claim, command};
use crate::signals::Signals;
use crate::splits::{self, Splits};
use crate::streams::{is_stream, read_once, say, source_name};
use crate::{complain, peak, say_notes};

/// Share of the given rows that is held out for scoring when no test file is given.
const TEST_SHARE: f64 = 0.3;

/// Compares the methods. Returns success, or the status of the first fit that failed; each failure
/// is reported when it happens.
pub fn run(args: &CompareArgs, signals: &Signals) -> Outcome<ExitCode> {
    if args.seeds == 0 {
        let requirement = "must be positive";
        return Err(Error::config("--seeds", 0, requirement).into());
    }
    if args.settings.seed.checked_add(args.seeds - 1).is_none() {
        let room = counted(args.seeds, "seed");
        let requirement = format!("must leave room for {room} below 2^64");
        return Err(Error::config("--seed", args.settings.seed, &requirement).into());
    }
    // other runs are kept from the page until it is written
    let _claim = match &args.report {
        None => None,
        Some(report) if is_stream(report) => {
            let requirement = "must be a file: the table goes to standard output";
            return Err(Error::config("--report", "-", requirement).into());
        }
        Some(report) => {
            let files = [Some(&args.train), args.test.as_ref()];
            let files = files.into_iter().flatten().map(std::path::PathBuf::as_path);
            claim("--report", report, &files.collect::<Vec<_>>())?
        }
    };
    if let Some(test) = &args.test {
        read_once(("TRAIN", &args.train), ("--test", test))?;
    }
    match args.settings.precision {
        Precision::Single => run_in::<f32>(args, signals),
        Precision::Double => run_in::<f64>(args, signals),
    }
}

fn run_in<T: Fits>(args: &CompareArgs, signals: &Signals) -> Outcome<ExitCode> {
    let methods = args.methods.0.iter();
    let mut methods: Vec<MethodOptions> = methods.map(|m| MethodOptions::of(*m)).collect();
    let chooser = args.settings.give(&mut methods, true, [])?;
    let fits = methods.into_iter();
    let fits: Vec<FitOptions> = fits.map(|m| args.settings.options(m, chooser)).collect();
    let input = Input::find(&args.train)?;
    let first = args.settings.seed;
    let seeds = first..=first + (args.seeds - 1);
    if let Some(directory) = &args.write_splits {
        let test = args.test.as_deref().into_iter();
        let inputs: Vec<_> = input.files().into_iter().chain(test).collect();
        splits::check(directory, seeds.clone(), &inputs)?;
    }
    let train = input.training(&args.settings, args.quiet)?;
    say_notes(train.notes());
    let test = match &args.test {
        Some(path) => Some(Input::find(path)?.scored_like(&train, &args.settings.table)?),
        None => None,
    };
    test.iter().for_each(|test| say_notes(test.notes()));
    let sets = |seed: u64| -> Result<Sets<'_>> {
        if let Some(test) = &test {
            return Ok(Sets::Given(&train, test));
        }
        let mut rng = Streams::new(seed).rng(Phase::SPLIT, 0);
        let split = stratified_split(&train, TEST_SHARE, &mut rng)
            .map_err(|e| in_file(e, source_name(&args.train)))?;
        let (train, test) = (train.select(&split.train)?, train.select(&split.test)?);
        Ok(Sets::Split {
            parts: Box::new([train, test]),
            rows: split.test,
        })
    };
    if let Some(directory) = &args.write_splits {
        let of = |seed: u64| {
            let sets = sets(seed)?;
            let (train, test, _) = sets.parts();
            Splits::new(directory, seed, train, test)
        };
        // all of them are looked at before one is written
        seeds.clone().try_for_each(|seed| of(seed)?.check())?;
        seeds.clone().try_for_each(|seed| of(seed)?.write())?;
    }
    // Without the watch, a signal ends the program as the system has it.
    let _ = signals.watch();
    let (mut all, mut first_failure) = (Vec::new(), None);
    for seed in seeds {
        let sets = sets(seed)?;
        let (train, test, rows) = sets.parts();
        for options in &fits {
            let method = options.method.method();
            match one::<T>(args, signals, options, seed, (train, test)) {
                Ok(mut measured) => {
                    measured.losses.rows = rows.to_vec();
                    all.push(measured);
                }
                Err(error @ Error::Cancelled { .. }) => return Err(error.into()),
                // One failed fit does not stop the others.
                Err(error) => {
                    complain(&format!("error: {method}, seed {seed}: {error}"));
                    first_failure.get_or_insert(status(&error));
                }
            }
        }
    }
    let double = matches!(args.settings.precision, Precision::Double);
    warnings(&all, double).iter().for_each(|w| complain(w));
    if let Some(path) = args.report.as_ref().filter(|_| !all.is_empty()) {
        let page = compared(&all, Some(&command()))?;
        write_atomically(path, |w| w.write_all(page.as_bytes()))?;
    }
    if args.json {
        compare_to_best(&mut all);
        let json = serde_json::to_string(&all).map_err(|e| Failure::Output(e.into()))?;
        say(&(json + "\n"))?;
    } else {
        let rows = by_method(&all);
        say(&(table(&scores(&rows)) + &differences(&rows)))?;
    }
    Ok(first_failure.unwrap_or(ExitCode::SUCCESS))
}

/// The rows of a seed.
enum Sets<'a> {
    /// Those of two files.
    Given(&'a Dataset, &'a Dataset),
    /// Training and test rows of one file, and the numbers of the test rows in it.
    Split {
        parts: Box<[Dataset; 2]>,
        rows: Vec<usize>,
    },
}

impl Sets<'_> {
    /// Training rows, test rows, and the numbers of these in the file, if they are of one file.
    fn parts(&self) -> (&Dataset, &Dataset, &[usize]) {
        match self {
            Sets::Given(train, test) => (train, test, &[]),
            Sets::Split { parts, rows } => (&parts[0], &parts[1], rows),
        }
    }
}

fn one<T: Fits>(
    args: &CompareArgs,
    signals: &Signals,
    options: &FitOptions,
    seed: u64,
    (train, test): (&Dataset, &Dataset),
) -> Result<Measured> {
    let options = FitOptions {
        seed,
        ..options.clone()
    };
    // The draws that score are as many as a method keeps.
    let samples = args.settings.samples;
    let samples = samples.unwrap_or(WalkSettings::default().samples);
    let known = peak::reset();
    let bars = Bars::new(args.quiet, signals);
    let measured = measure::<T>(train, test, &options, samples, &bars);
    bars.clear();
    Ok(Measured {
        peak_mib: peak::mib().filter(|_| known),
        ..measured?
    })
}

/// A line for each warning of a method's fits: the seeds that have it, and the figures of the first
/// of them. Fits in double precision are not told to take it.
fn warnings(all: &[Measured], double: bool) -> Vec<String> {
    let fit = FitReport {
        double,
        ..FitReport::default()
    };
    let mut found: Vec<(&str, &Finding, Vec<String>)> = Vec::new();
    for one in all {
        for finding in &one.warnings {
            let seed = one.seed.to_string();
            let same = found.iter_mut();
            let mut same = same.filter(|f| f.0 == one.method && f.1.is_like(finding));
            match same.next() {
                Some((.., seeds)) => seeds.push(seed),
                None => found.push((one.method, finding, vec![seed])),
            }
        }
    }
    let line = |(method, finding, seeds): &(&str, &Finding, Vec<String>)| {
        let what = if seeds.len() == 1 { "seed" } else { "seeds" };
        let (sentence, advice) = (finding.sentence(), finding.advice(&fit));
        let line = format!(
            "warning: {method}, {what} {}: {sentence} {advice}",
            seeds.join(", ")
        );
        line.trim_end().to_string()
    };
    found.iter().map(line).collect()
}

/// The cells of all methods: a mean, and its standard error if there is one.
fn scores(rows: &[MethodScores]) -> Vec<Vec<String>> {
    let Some(first) = rows.first() else {
        return Vec::new();
    };
    let names = first.columns.iter().map(|(name, _)| (*name).to_string());
    let mut cells = vec![std::iter::once("method".to_string()).chain(names).collect()];
    for row in rows {
        let columns = row.columns.iter().map(|(name, s)| cell(name, s));
        let method = std::iter::once(row.method.to_string());
        cells.push(method.chain(columns).collect());
    }
    cells
}

/// The differences to the best method as a second table; empty if no method has any.
fn differences(rows: &[MethodScores]) -> String {
    let with = rows
        .iter()
        .filter_map(|r| Some((r.method, r.differences.as_ref()?)));
    let all: Vec<(&str, &Differences)> = with.collect();
    let Some((_, first)) = all.first() else {
        return String::new();
    };
    // in the order of the scores' table
    let of_scores = rows.iter().flat_map(|r| &r.columns).map(|c| c.0);
    let mut names: Vec<&str> = Vec::new();
    for name in of_scores.filter(|name| first.columns.contains_key(name)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let title = format!("less {}", first.best);
    let header = std::iter::once(title).chain(names.iter().map(|n| (*n).to_string()));
    let mut cells = vec![header.collect()];
    for (method, differences) in &all {
        let cell = |name: &&str| match differences.columns.get(name).copied().flatten() {
            None => "-".into(),
            Some(d) => match d.error {
                Some(error) => format!("{:+.4} +- {error:.4}", d.mean),
                None => format!("{:+.4}", d.mean),
            },
        };
        let method = std::iter::once((*method).to_string());
        cells.push(method.chain(names.iter().map(cell)).collect());
    }
    let note = format!(
        "differences to {}, which has the lowest nll, on the same test rows; +- their standard error",
        first.best
    );
    format!("\n{note}\n{}", table(&cells))
}

/// A table with aligned columns.
fn table(cells: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let lengths = cells.iter().filter_map(|row| Some(row.get(column)?.len()));
        lengths.max().unwrap_or(0)
    };
    let columns = cells.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in cells {
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match i {
                0 => text += &format!("{cell:<width$}"),
                _ => text += &format!("  {cell:>width$}"),
            }
        }
        text.push('\n');
    }
    text
}

fn cell(name: &str, s: &Statistic) -> String {
    if s.mean.is_nan() {
        return "-".into();
    }
    let digits = match name {
        "gradients" | "peak_mib" => 0,
        "fit_seconds" | "elpd_loo" => 1,
        "predict_seconds" => 2,
        _ => 4,
    };
    match (s.error, name) {
        (Some(error), "nll" | "accuracy" | "ece" | "brier" | "rmse" | "crps" | "coverage_90") => {
            let (mean, error) = (rounded(s.mean, digits), rounded(error, digits));
            format!("{mean} +- {error}")
        }
        (_, "gradients" | "peak_mib" | "fit_seconds" | "predict_seconds") => {
            format!("{:.digits$}", s.mean)
        }
        _ => rounded(s.mean, digits),
    }
}
