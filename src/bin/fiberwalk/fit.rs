//! `fiberwalk fit`: a table or images in, a model file out, a summary on standard output.

use std::slice::from_mut;
use std::time::Instant;

use fiberwalk::Result;
use fiberwalk::artifact::report::Severity;
use fiberwalk::pipeline::{
    CheckpointOptions, FitOptions, FitReport, FitResult, Fits, MethodOptions, fit_owned,
};
use serde_json::json;

use crate::args::{FitArgs, Precision};
use crate::destination::Destination;
use crate::failure::Outcome;
use crate::info::verdict;
use crate::input::Input;
use crate::progress::Bars;
use crate::settings::{Own, as_is};
use crate::signals::Signals;
use crate::streams::say;
use crate::{complain, say_notes};

pub fn run(args: &FitArgs, signals: &Signals) -> Outcome {
    match args.settings.precision {
        Precision::Single => run_in::<f32>(args, signals),
        Precision::Double => run_in::<f64>(args, signals),
    }
}

fn run_in<T: Fits>(args: &FitArgs, signals: &Signals) -> Outcome {
    let started = Instant::now();
    let mut options = options(args)?;
    // A fit can take long, so check first that the output can be written.
    let input = Input::find(&args.train)?;
    let destination = Destination::of(args, &input)?;
    let data = input.training(&args.settings, args.quiet)?;
    // Of several fits, none could be continued.
    let single = args.held_out.conformal_folds.is_none();
    if let Some(place) = checkpoint_of(&mut options.method).filter(|_| single) {
        *place = destination.checkpoint(args);
    }
    if let MethodOptions::Walk(points) = &mut options.method
        && single
    {
        points.spool = destination.spool();
    }
    // Without the watch, a signal ends the program as the system has it.
    let _ = signals.watch();
    let bars = Bars::new(args.quiet, signals).before_walk(destination.replaced(args));
    let outcome = fit_owned::<T>(data, &options, &bars);
    bars.clear();
    let FitResult {
        model,
        mut report,
        loo,
    } = outcome?;
    // Not said yet if the method does not walk.
    bars.say_note();
    let bytes = destination.write(model)?;
    report.warnings.extend(destination.warning());
    if args.json || args.quiet {
        // The summary, which has them, is not printed.
        report.data.iter().for_each(|data| say_notes(&data.notes));
        warnings(&report);
    }
    if args.json {
        let said = json!({
            "model": destination.name(),
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
            destination.name(),
            args.method,
            bytes as f64 / 1024.0,
            started.elapsed().as_secs_f64()
        );
        destination.show(&format!("{report}{:<10} {text}\n", "model"))?;
    }
    Ok(())
}

/// Says on standard error what is wrong with the fit.
fn warnings(report: &FitReport) {
    let findings = report.verdict().into_iter();
    for finding in findings.filter(|f| f.severity() == Severity::Warning) {
        let text = format!("warning: {} {}", finding.sentence(), finding.advice(report));
        complain(text.trim_end());
    }
}

/// The settings of the fit, without its files.
fn options(args: &FitArgs) -> Result<FitOptions> {
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
            |_| None,
            checkpoint_of,
        ),
        Own::given(
            "--resume",
            args.resume.then_some(true),
            |_| None,
            checkpoint_of,
        ),
    ];
    let own = own.into_iter().flatten();
    let mut method = MethodOptions::of(args.method);
    let chooser = args.settings.give(from_mut(&mut method), false, own)?;
    Ok(FitOptions {
        calibration: args.held_out.settings()?,
        ..args.settings.options(method, chooser)
    })
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
