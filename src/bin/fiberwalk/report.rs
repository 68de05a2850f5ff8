//! `fiberwalk report` and `fiberwalk plot`: whether to trust a model, as a page, and its pictures.

use std::path::Path;

use fiberwalk::artifact::{Claim, write_atomically};
use fiberwalk::report::{NAMES, Report, ReportOptions};
use fiberwalk::{Error, Result};

use crate::failure::{Outcome, in_file};
use crate::input::Input;
use crate::report_args::{PlotArgs, ReportArgs, Shown};
use crate::streams::{self, is_stream, read_once, say};
use crate::suggest::similar;
use crate::{check_destination, printable, say_notes};

pub fn run(args: &ReportArgs) -> Outcome {
    if (1..20).contains(&args.bootstrap) {
        let requirement = "must be 0 (no intervals) or at least 20";
        return Err(Error::config("--bootstrap", args.bootstrap, requirement).into());
    }
    let (_claim, report) = look(&args.shown, &args.out, args.bootstrap)?;
    let page = report.html();
    write(&args.out, &page)?;
    if !args.quiet && !is_stream(&args.out) {
        let kib = page.len() as f64 / 1024.0;
        let verdict = report.verdict().trust.headline();
        say(&format!(
            "{verdict}.\n{}: {kib:.0} KiB\n",
            args.out.display()
        ))?;
    }
    Ok(())
}

pub fn plot(args: &PlotArgs) -> Outcome {
    let format = Format::of(&args.out)?;
    if !NAMES.iter().any(|n| n.0 == args.picture) {
        let names: Vec<&str> = NAMES.iter().map(|n| n.0).collect();
        let all = names.join(", ");
        let names_said = format!("one of {all}");
        let meant = similar(&args.picture, &names_said);
        let meant = meant.map_or(String::new(), |name| {
            format!("; a similar name is '{name}'")
        });
        let requirement = format!("must be one of {all}{meant}");
        return Err(Error::config("--picture", printable(&args.picture), &requirement).into());
    }
    // its intervals are not drawn
    let (_claim, report) = look(&args.shown, &args.out, 0)?;
    match format {
        Format::Svg => write(&args.out, &report.svg(&args.picture)?),
        #[cfg(feature = "png")]
        Format::Png => {
            let bytes = report.png(&args.picture)?;
            Ok(write_atomically(&args.out, |w| w.write_all(&bytes))?)
        }
    }
}

/// The formats of pictures.
enum Format {
    Svg,
    #[cfg(feature = "png")]
    Png,
}

impl Format {
    /// By the ending of a file's name. Standard output and names without an ending are SVG.
    fn of(out: &Path) -> Result<Self> {
        let ending = out.extension().map(|e| e.to_string_lossy().to_lowercase());
        let requirement = match ending.as_deref() {
            None | Some("svg") => return Ok(Self::Svg),
            #[cfg(feature = "png")]
            Some("png") => return Ok(Self::Png),
            #[cfg(not(feature = "png"))]
            Some("png") => {
                "this program was built without PNG: install it with `--features png`, or end the \
                 name in .svg"
            }
            Some(_) => "pictures are SVG or PNG: end the name in .svg or .png",
        };
        let value = printable(&out.display().to_string());
        Err(Error::config("--out", value, requirement))
    }
}

/// Reads model and rows, and looks at them. The claim keeps others from writing to `out`.
fn look(args: &Shown, out: &Path, bootstrap: usize) -> Outcome<(Option<Claim>, Report)> {
    read_once(("MODEL", &args.model), ("TEST", &args.test))?;
    if let Some(other) = &args.ood {
        read_once(("MODEL", &args.model), ("--ood", other))?;
        read_once(("TEST", &args.test), ("--ood", other))?;
    }
    if let Some(train) = &args.train {
        read_once(("MODEL", &args.model), ("--train", train))?;
        read_once(("TEST", &args.test), ("--train", train))?;
        if let Some(other) = &args.ood {
            read_once(("--ood", other), ("--train", train))?;
        }
    }
    let input = Input::find(&args.test)?;
    let other = args.ood.as_deref().map(Input::find).transpose()?;
    let train = args.train.as_deref().map(Input::find).transpose()?;
    let mut files = input.files();
    files.extend(other.iter().chain(&train).flat_map(Input::files));
    files.extend(Some(&*args.model).filter(|model| !is_stream(model)));
    let claim = claim("--out", out, &files)?;
    let model = streams::model(&args.model)?;
    let metadata = model.metadata();
    let test = input.scored(metadata, args.rows.rows, &args.table)?;
    say_notes(test.notes());
    let elsewhere = match &other {
        None => Vec::new(),
        Some(other) => {
            let read = other.features(metadata, args.rows.rows, &args.table, &[], true)?;
            say_notes(&read.notes);
            read.features
        }
    };
    let training = match &train {
        None => None,
        Some(train) => Some(train.scored(metadata, args.train_rows, &args.table)?),
    };
    let options = ReportOptions {
        samples: args.sampling.samples,
        seed: args.sampling.seed,
        bootstrap,
        elsewhere,
        training,
        command: Some(command()),
    };
    let report = Report::new(&model, &test, &options);
    let report = report.map_err(|e| in_file(input.place(e, &args.table), input.rows()))?;
    Ok((claim, report))
}

/// Checks that a file can be written, and keeps other runs from it.
pub fn claim(field: &'static str, out: &Path, inputs: &[&Path]) -> Outcome<Option<Claim>> {
    if is_stream(out) {
        return Ok(None);
    }
    check_named(field, out, inputs)?;
    Ok(Some(Claim::of(out)?))
}

/// Checks that a file can be written; the error names its option.
pub fn check_named(field: &'static str, out: &Path, inputs: &[&Path]) -> Result<()> {
    check_destination(out, inputs).map_err(|e| match e {
        Error::Config {
            value, requirement, ..
        } => Error::Config {
            field,
            value,
            requirement,
        },
        other => other,
    })
}

/// Writes a text to a file, or to standard output.
pub fn write(out: &Path, text: &str) -> Outcome {
    match is_stream(out) {
        true => say(text),
        false => Ok(write_atomically(out, |w| w.write_all(text.as_bytes()))?),
    }
}

/// The command as it was given. Words that a shell would split are in quotes.
pub fn command() -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,=:+".contains(c);
    let quoted = |word: std::ffi::OsString| {
        let word = printable(&word.to_string_lossy());
        match !word.is_empty() && word.chars().all(plain) {
            true => word,
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    };
    let words: Vec<String> = std::env::args_os().skip(1).map(quoted).collect();
    format!("fiberwalk {}", words.join(" "))
}
