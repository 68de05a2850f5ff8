//! `fiberwalk fit`: a table or images in, a model file out, a summary on standard output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fiberwalk::artifact::{remove_checkpoint, remove_spool};
use fiberwalk::pipeline::{CheckpointOptions, FitOptions, FitResult, fit_owned};
use fiberwalk::{Result, Scalar};

use crate::args::{FitArgs, Precision};
use crate::input::Input;
use crate::progress::Bars;
use crate::{check_destination, say};

pub fn run(args: &FitArgs) -> Result<()> {
    match args.settings.precision {
        Precision::Single => run_in::<f32>(args),
        Precision::Double => run_in::<f64>(args),
    }
}

fn run_in<T: Scalar>(args: &FitArgs) -> Result<()> {
    let started = Instant::now();
    // a fit can take long: a place that cannot be written to is better found out before
    let input = Input::find(&args.train)?;
    check_destination(&args.out, &input.files())?;
    let (checkpoint, spool) = (
        beside(&args.out, ".checkpoint"),
        beside(&args.out, ".points"),
    );
    for path in [&checkpoint, &spool] {
        check_destination(path, &input.files())?;
    }
    let data = input.training(&args.settings)?;
    let options = FitOptions {
        frozen: args.frozen,
        spool: Some(spool.clone()),
        checkpoint: Some(CheckpointOptions {
            path: checkpoint.clone(),
            every: args.checkpoint_every.0,
            resume: args.resume,
        }),
        ..args.settings.options(args.method)
    };
    let bars = Bars::new(args.quiet);
    let outcome = fit_owned::<T>(data, &options, &|stage, done, total| {
        bars.show(stage, done, total)
    });
    bars.clear();
    let FitResult { model, mut summary } = outcome?;
    model.save(&args.out)?;
    remove_checkpoint(&checkpoint)?;
    remove_spool(&spool)?;
    if !args.quiet {
        let bytes = std::fs::metadata(&args.out).map_or(0, |m| m.len());
        let text = format!(
            "{}, method {}, {:.1} KiB; {:.1} s in all",
            args.out.display(),
            args.method,
            bytes as f64 / 1024.0,
            started.elapsed().as_secs_f64()
        );
        summary.line("model", text);
        say(&summary.to_string())?;
    }
    Ok(())
}

/// A file beside the model that a walk is kept in while it is under way.
fn beside(model: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(model);
    name.push(ending);
    name.into()
}
