//! `fiberwalk fit`: a table or images in, a model file out, a summary on standard output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::slice::from_mut;
use std::time::{Duration, Instant};

use fiberwalk::artifact::{Claim, remove_checkpoint, remove_spool};
use fiberwalk::pipeline::{
    CheckpointOptions, FitOptions, FitResult, Fits, MethodOptions, fit_owned,
};
use fiberwalk::{Error, Result};
use serde_json::json;

use crate::args::{FitArgs, Precision};
use crate::failure::Outcome;
use crate::info::verdict;
use crate::input::Input;
use crate::progress::Bars;
use crate::settings::{Own, as_is};
use crate::{check_destination, say};

pub fn run(args: &FitArgs) -> Outcome {
    match args.settings.precision {
        Precision::Single => run_in::<f32>(args),
        Precision::Double => run_in::<f64>(args),
    }
}

fn run_in<T: Fits>(args: &FitArgs) -> Outcome {
    let started = Instant::now();
    let options = options(args)?;
    // A fit can take long, so check first that the output can be written.
    let input = Input::find(&args.train)?;
    let (checkpoint, spool) = (
        beside(&args.out, ".checkpoint"),
        beside(&args.out, ".points"),
    );
    for path in [&args.out, &checkpoint, &spool] {
        check_destination(path, &input.files())?;
        check_destination(&beside(path, ".lock"), &input.files())?;
    }
    // Held to the end: another run with the same --out would use the same file names.
    let claim = Claim::of(&args.out)?;
    let data = input.training(&args.settings)?;
    let bars = Bars::new(args.quiet);
    let outcome = fit_owned::<T>(data, &options, &bars);
    bars.clear();
    let FitResult {
        model,
        mut report,
        loo,
    } = outcome?;
    model.save(&args.out)?;
    // The model reads its points from the file that is about to be removed.
    drop(model);
    if_free(&checkpoint, remove_checkpoint)?;
    if_free(&spool, remove_spool)?;
    if !claim.keeps_processes_out() {
        let text = "there are no file locks here: another run with the same --out would not have been noticed";
        report.warnings.push(text.into());
    }
    let bytes = std::fs::metadata(&args.out).map_or(0, |m| m.len());
    if args.json {
        let said = json!({
            "model": args.out.display().to_string(),
            "method": args.method.name(),
            "bytes": bytes,
            "seconds": started.elapsed().as_secs_f64(),
            "gradients": report.gradients(),
            "verdict": verdict(&report),
            "lines": report.lines(),
            "report": report,
            // Numbers that are not finite become null.
            "loo": loo.map(|loo| json!({
                "elpd": loo.elpd_loo,
                "se": loo.se,
                "p_loo": loo.p_loo,
                "threshold": loo.threshold(),
                "pointwise": loo.pointwise,
                "pareto_k": loo.pareto_k,
            })),
        });
        say(&format!("{said}\n"))?;
    } else if !args.quiet {
        let text = format!(
            "{}, method {}, {:.1} KiB; {:.1} s in all",
            args.out.display(),
            args.method,
            bytes as f64 / 1024.0,
            started.elapsed().as_secs_f64()
        );
        say(&format!("{report}{:<10} {text}\n", "model"))?;
    }
    Ok(())
}

/// Time between two checkpoints, unless it is given.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

/// The settings of the fit, with its files.
fn options(args: &FitArgs) -> Result<FitOptions> {
    let checkpoint = CheckpointOptions {
        path: beside(&args.out, ".checkpoint"),
        every: match args.checkpoint_every {
            Some(period) => period.0,
            None => Some(CHECKPOINT_EVERY),
        },
        resume: args.resume,
        ..CheckpointOptions::default()
    };
    let kept = Some(checkpoint);
    let own = [
        Own::given("--frozen", args.frozen, Some, |m| match m {
            MethodOptions::Atlas(atlas) => Some(&mut atlas.frozen),
            MethodOptions::Flow(flow) => Some(&mut flow.frozen),
            _ => None,
        }),
        Own::given("--loo-refits", args.loo_refits, as_is, |m| match m {
            MethodOptions::Walk(points) => Some(&mut points.loo_refits),
            MethodOptions::Hmc(chains)
            | MethodOptions::Nuts(chains)
            | MethodOptions::Sgld(chains) => Some(&mut chains.loo_refits),
            _ => None,
        }),
        Own::given(
            "--checkpoint-every",
            args.checkpoint_every,
            |_| kept.clone(),
            checkpoint_of,
        ),
        Own::given(
            "--resume",
            args.resume.then_some(true),
            |_| kept.clone(),
            checkpoint_of,
        ),
    ];
    let own = own.into_iter().flatten();
    let mut method = MethodOptions::of(args.method);
    let chooser = args.settings.give(from_mut(&mut method), false, own)?;
    if let Some(place) = checkpoint_of(&mut method) {
        *place = kept;
    }
    if let MethodOptions::Walk(points) = &mut method {
        points.spool = Some(beside(&args.out, ".points"));
    }
    Ok(args.settings.options(method, chooser))
}

/// The checkpoint of a method that walks.
fn checkpoint_of(method: &mut MethodOptions) -> Option<&mut Option<CheckpointOptions>> {
    match method {
        MethodOptions::Walk(points) => Some(&mut points.checkpoint),
        MethodOptions::Atlas(atlas) => Some(&mut atlas.checkpoint),
        MethodOptions::Flow(flow) => Some(&mut flow.checkpoint),
        _ => None,
    }
}

/// Removes a file, unless another program has claimed it under that name.
fn if_free(path: &Path, remove: fn(&Path) -> Result<()>) -> Result<()> {
    match Claim::of(path) {
        Ok(_claim) => remove(path),
        Err(Error::InUse { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Path of a file beside the model: the model's path with `ending` added.
fn beside(model: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(model);
    name.push(ending);
    name.into()
}
