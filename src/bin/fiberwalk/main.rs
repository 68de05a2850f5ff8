//! The command line of fiberwalk.
//!
//! It fits a Bayesian neural network to a CSV file or to images, predicts, evaluates, compares
//! methods, shows what a model file says about its fit, and writes reports, pictures and exports.
//!
//! Exit status: 0 for success; 2 for bad usage or bad input, with one line on standard error that
//! says what is wrong and where; 1 for any other failure. After SIGINT or SIGTERM it ends cleanly,
//! with status 130 or 143: a walk leaves a checkpoint. If whoever reads standard output closes
//! it, as `head` does, the program ends without a word and with status 141, which shells report for
//! other programs that end so.

mod args;
mod compare;
mod destination;
mod evaluate;
mod export;
mod failure;
mod fit;
mod held_out;
mod info;
mod input;
mod pages;
mod peak;
mod predict;
mod prior;
mod progress;
mod promise;
mod report;
mod report_args;
mod rows_out;
mod settings;
mod signals;
mod splits;
mod streams;
mod suggest;
mod table;
mod threads;
mod values;

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind as Usage};
use clap::{Arg, CommandFactory, FromArgMatches};
use fiberwalk::{Error, Result};

use args::{Cli, Command};
use failure::Failure;
use signals::Signals;
use suggest::similar;

/// 128 and the number of SIGPIPE: the status that shells report for a program that ends by it.
const CLOSED_PIPE: u8 = 141;

fn main() -> ExitCode {
    let cli = match arguments() {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), Usage::DisplayHelp | Usage::DisplayVersion) => {
            // A closed pipe does not turn a request for help into an error.
            let _ = write!(std::io::stdout(), "{e}");
            return ExitCode::SUCCESS;
        }
        Err(e) if e.kind() == Usage::DisplayHelpOnMissingArgumentOrSubcommand => {
            complain(
                "error: a command is missing: fit, predict, evaluate, compare, report, plot, export or info (see --help)",
            );
            return ExitCode::from(2);
        }
        Err(e) => {
            complain(&one_line(&e));
            return ExitCode::from(2);
        }
    };
    let signals = Signals::default();
    let outcome = match cli.command {
        Command::Fit(args) => {
            let threads = &args.settings.threads;
            threads.run(|| fit::run(&args, &signals)).map(success)
        }
        Command::Predict(args) => args.threads.run(|| predict::run(&args)).map(success),
        Command::Evaluate(args) => args.threads.run(|| evaluate::run(&args)).map(success),
        Command::Compare(args) => {
            let threads = &args.settings.threads;
            threads.run(|| compare::run(&args, &signals))
        }
        Command::Report(args) => {
            let threads = &args.shown.threads;
            threads.run(|| report::run(&args)).map(success)
        }
        Command::Plot(args) => {
            let threads = &args.shown.threads;
            threads.run(|| report::plot(&args)).map(success)
        }
        Command::Export(args) => args.threads.run(|| export::run(&args)).map(success),
        Command::Info(args) => info::run(&args).map(success),
        Command::Completions { shell } => pages::completions(shell).map(success),
        Command::Man { command } => pages::man(command.as_deref()).map(success),
    };
    match outcome {
        Ok(code) => code,
        Err(e) if streams::is_closed(&e) => ExitCode::from(CLOSED_PIPE),
        Err(Failure::Run(Error::Cancelled { stage, checkpoint })) => {
            complain(&interrupted(stage, checkpoint.as_deref()));
            ExitCode::from(signals.status().unwrap_or(1))
        }
        Err(e) => {
            complain(&format!("error: {e}"));
            e.status()
        }
    }
}

/// The arguments. A number with a sign is the value of the option before it: that option says what
/// is wrong with it.
fn arguments() -> std::result::Result<Cli, clap::Error> {
    let signed = |arg: Arg| {
        let is_option = arg.get_long().is_some() && arg.get_action().takes_values();
        match is_option && !arg.is_allow_hyphen_values_set() {
            true => arg.allow_negative_numbers(true),
            false => arg,
        }
    };
    let mut program = Cli::command().mut_subcommands(|command| command.mut_args(signed));
    let matches = program.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut program))
}

/// What a signal has left behind.
fn interrupted(stage: &str, checkpoint: Option<&Path>) -> String {
    match checkpoint {
        Some(path) => format!(
            "interrupted at stage {stage}: {} holds the walk so far; the same command with \
             --resume goes on from there",
            path.display()
        ),
        None => format!("interrupted at stage {stage}: nothing was kept"),
    }
}

fn success((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// Writes one line to standard error.
pub fn complain(message: &str) {
    // If this fails, there is nowhere left to report it.
    let _ = writeln!(std::io::stderr(), "{}", printable(message));
}

/// Says on standard error how a table was read, where that may surprise.
pub fn say_notes(notes: &[String]) {
    notes
        .iter()
        .for_each(|note| complain(&format!("note: {note}")));
}

/// Escapes control characters: names of files and columns come from outside.
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Refuses an output path that cannot be written or that is one of the inputs.
pub fn check_destination(out: &Path, inputs: &[&Path]) -> Result<()> {
    let refuse = |requirement: &str| {
        Err(Error::Config {
            field: "--out",
            value: out.display().to_string(),
            requirement: requirement.into(),
        })
    };
    let shown = out.display().to_string();
    if out.is_dir() || shown.ends_with(std::path::is_separator) || out.file_name().is_none() {
        return refuse("it names a directory; add the name of a file");
    }
    let parent = out.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|p| !p.is_dir()) {
        let missing = parent.display();
        return refuse(&format!(
            "there is no such directory as {missing}; make it first"
        ));
    }
    let Ok(real) = out.canonicalize() else {
        // A rename would put a file in the place of the link.
        return match out.symlink_metadata() {
            Ok(there) if there.is_symlink() => refuse("it is a link that leads to no file"),
            _ => Ok(()),
        };
    };
    if !real.is_file() {
        return refuse("it is there and not a regular file");
    }
    if inputs
        .iter()
        .any(|p| p.canonicalize().is_ok_and(|p| p == real))
    {
        return refuse("it is one of the inputs");
    }
    if real.metadata().is_ok_and(|m| m.permissions().readonly()) {
        let what = "it is there and write-protected; write to another file, or remove it";
        return Err(Error::Io {
            path: out.into(),
            source: std::io::Error::new(ErrorKind::PermissionDenied, what),
        });
    }
    Ok(())
}

/// The first paragraph of a usage error and a likely correction, without the help text that
/// follows.
fn one_line(error: &clap::Error) -> String {
    let message = &error.to_string();
    let first = message.split("\n\n").next().unwrap_or(message);
    let words: Vec<&str> = first.split_whitespace().collect();
    let tips = message
        .lines()
        .filter_map(|l| l.trim().strip_prefix("tip: "));
    let mut meant: String = tips
        .filter(|tip| tip.contains("similar"))
        .map(|tip| format!("; {tip}"))
        .collect();
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && meant.is_empty()
        && let Some(name) = similar(value, first)
    {
        meant = format!("; a similar value exists: '{name}'");
    }
    plain(words.join(" ")) + &meant + " (see --help)"
}

/// The message with what parsers of numbers say in plain words.
fn plain(mut message: String) -> String {
    for (said, meant) in [
        (
            "invalid digit found in string",
            "expected a whole number, 0 or more",
        ),
        (
            "cannot parse integer from empty string",
            "expected a whole number, 0 or more",
        ),
        (
            "number too large to fit in target type",
            "expected a whole number below 2^64",
        ),
        ("invalid float literal", "expected a number"),
        ("cannot parse float from empty string", "expected a number"),
    ] {
        if let Some(start) = message.strip_suffix(said) {
            message = format!("{start}{meant}");
        }
    }
    message
}
