//! `fiberwalk fit`: a CSV file in, a model file out, a summary on standard output.

use std::time::Instant;

use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{FitOptions, FitResult, fit};
use fiberwalk::{Result, Scalar};

use crate::args::{FitArgs, Precision};
use crate::progress::Bars;
use crate::{check_destination, in_file, say};

pub fn run(args: &FitArgs) -> Result<()> {
    match args.precision {
        Precision::Single => run_in::<f32>(args),
        Precision::Double => run_in::<f64>(args),
    }
}

fn run_in<T: Scalar>(args: &FitArgs) -> Result<()> {
    let started = Instant::now();
    // a fit can take long: a place that cannot be written to is better found out before
    check_destination(&args.out, &[&args.train])?;
    let csv = CsvOptions {
        target: args.target.clone(),
        task: args.task,
    };
    let data = load_csv(&args.train, &csv)?;
    data.check_trainable()
        .map_err(|e| in_file(e, &args.train))?;
    let options = FitOptions {
        hidden: args.hidden.0.clone(),
        activation: args.activation,
        prior_precision: args.prior_precision.value(),
        noise_std: args.noise_std.value(),
        method: args.method,
        particles: args.particles,
        steps: args.steps.value(),
        samples: args.samples,
        seed: args.seed,
    };
    let bars = Bars::new(args.quiet);
    let outcome = fit::<T>(&data, &options, &|stage, done, total| {
        bars.show(stage, done, total)
    });
    bars.clear();
    let FitResult { model, mut summary } = outcome?;
    model.save(&args.out)?;
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
