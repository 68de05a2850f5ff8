//! The command line of fiberwalk: fit a Bayesian neural network to a CSV file, predict, evaluate.
//!
//! Exit status 0; 2 for bad usage or bad input, with one line on standard error that says what and where; 1 otherwise.

// a program talks to its user; the library does not
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod evaluate;
mod fit;
mod predict;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use fiberwalk::Error;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            print!("{e}");
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("{}", one_line(&e.to_string()));
            return ExitCode::from(2);
        }
    };
    let outcome = match cli.command {
        Command::Fit(args) => args.threads.run(|| fit::run(&args)),
        Command::Predict(args) => args.threads.run(|| predict::run(&args)),
        Command::Evaluate(args) => args.threads.run(|| evaluate::run(&args)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(status(&e))
        }
    }
}

/// 2 for what the user can mend in the call or the files, 1 for what the mathematics or the machine refused.
fn status(error: &Error) -> u8 {
    match error {
        Error::Data { .. }
        | Error::Config { .. }
        | Error::Shape { .. }
        | Error::Artifact { .. }
        | Error::Io { .. } => 2,
        _ => 1,
    }
}

/// The message of a usage error, without the pages that follow it.
fn one_line(message: &str) -> String {
    let first = message.split("\n\n").next().unwrap_or(message);
    let words: Vec<&str> = first.split_whitespace().collect();
    words.join(" ") + " (see --help)"
}
