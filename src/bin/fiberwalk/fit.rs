//! `fiberwalk fit`: a table or images in, a model file out, a summary on standard output.

use std::time::Instant;

use fiberwalk::pipeline::{FitOptions, FitResult, Fits, fit_owned};
use serde_json::json;

use crate::args::{FitArgs, Precision};
use crate::destination::Destination;
use crate::failure::Outcome;
use crate::info::verdict;
use crate::input::Input;
use crate::progress::Bars;
use crate::streams::say;

pub fn run(args: &FitArgs) -> Outcome {
    match args.settings.precision {
        Precision::Single => run_in::<f32>(args),
        Precision::Double => run_in::<f64>(args),
    }
}

fn run_in<T: Fits>(args: &FitArgs) -> Outcome {
    let started = Instant::now();
    // A fit can take long, so check first that the output can be written.
    let input = Input::find(&args.train)?;
    let destination = Destination::of(args, &input)?;
    let data = input.training(&args.settings)?;
    let options = FitOptions {
        frozen: args.frozen,
        loo_refits: args.loo_refits,
        spool: destination.spool(),
        checkpoint: destination.checkpoint(args),
        ..args.settings.options(args.method)
    };
    let bars = Bars::new(args.quiet);
    let outcome = fit_owned::<T>(data, &options, &bars);
    bars.clear();
    let FitResult {
        model,
        mut report,
        loo,
    } = outcome?;
    let bytes = destination.write(model)?;
    report.warnings.extend(destination.warning());
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
