//! The posterior of a network by HMC or NUTS, with the diagnostics that say whether to believe it.
//!
//! This is the ground truth that approximations are measured against.
//!
//! ```text
//! cargo run --release --example ground_truth TRAIN.csv TEST.csv [--sampler nuts|hmc]
//!     [--hidden 50] [--noise-std 0.1] [--chains 4] [--warm-up 1000] [--draws 1000]
//!     [--leapfrog-steps 60] [--max-tree-depth 10] [--acceptance 0.8] [--seed 0]
//!     [--reference PREDICTIONS.csv]
//! ```
//!
//! The network is tanh, with a standard normal prior on every weight and bias. Each chain starts at
//! a separate MAP estimate. Columns are standardised with those of `TRAIN.csv`. A target of whole
//! numbers from 0 means classes. Predictions on `TEST.csv` are class probabilities, or means in
//! standardised units.
//!
//! `PREDICTIONS.csv` holds the predictions of another implementation, a row for each row of
//! `TEST.csv` in the same order (class probabilities; or mean and epistemic deviation).

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use fiberwalk::baselines::{ChainOptions, Chains, HmcOptions, NutsOptions, Trajectory, hmc, nuts};
use fiberwalk::data::{
    CsvOptions, RowOptions, Standardizer, Task, load_csv, load_for_schema, read_table,
};
use fiberwalk::diagnose::{self, E_BFMI_THRESHOLD, TraceSummary, e_bfmi};
use fiberwalk::predict::network_outputs;
use fiberwalk::{
    Activation, Categorical, Gaussian, IsotropicGaussian, Likelihood, MapOptions, Mlp, Network,
    Phase, PosteriorDensity, Result, Streams, fit_map,
};

struct Arguments {
    files: Vec<String>,
    options: Vec<(String, String)>,
}

impl Arguments {
    fn read() -> Self {
        let (mut files, mut options) = (Vec::new(), Vec::new());
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some(name) => options.push((name.to_string(), words.next().unwrap_or_default())),
                None => files.push(word),
            }
        }
        Self { files, options }
    }

    fn text(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    fn number<N: std::str::FromStr>(&self, name: &str, default: N) -> N {
        let given = self.text(name).and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    }
}

/// Predictions `[draws, Q]` of `draws` points, chain by chain, and what is computed from them.
struct Predictions {
    values: Vec<f64>,
    /// Numbers per draw: rows, times classes.
    quantities: usize,
    /// 1 for a regression.
    classes: usize,
}

impl Predictions {
    fn of(network: &Mlp, points: &[f32], x: &[f64]) -> Result<Self> {
        let (classes, count) = (network.output_dim(), points.len() / network.dim());
        let mut columns = Vec::new();
        network_outputs(network, points, x, |outputs| {
            (0..outputs.rows).for_each(|row| columns.push(outputs.row(row).to_vec()));
            Ok(())
        })?;
        let mut values = Vec::with_capacity(count * columns.len() * classes);
        for draw in 0..count {
            for column in &columns {
                let outputs = &column[draw * classes..(draw + 1) * classes];
                let largest = outputs.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
                let sum: f64 = outputs.iter().map(|o| (o - largest).exp()).sum();
                match classes {
                    1 => values.push(outputs[0]),
                    _ => values.extend(outputs.iter().map(|o| (o - largest).exp() / sum)),
                }
            }
        }
        Ok(Self {
            values,
            quantities: columns.len() * classes,
            classes,
        })
    }

    /// Mean and deviation of each quantity over the draws in `range`.
    fn moments(&self, range: std::ops::Range<usize>) -> (Vec<f64>, Vec<f64>) {
        let count = range.len() as f64;
        let rows = || {
            self.values
                .chunks_exact(self.quantities)
                .skip(range.start)
                .take(range.len())
        };
        let (mut mean, mut variance) = (vec![0.0; self.quantities], vec![0.0; self.quantities]);
        rows().for_each(|r| mean.iter_mut().zip(r).for_each(|(m, x)| *m += x / count));
        for row in rows() {
            for ((v, x), m) in variance.iter_mut().zip(row).zip(&mean) {
                *v += (x - m) * (x - m) / count;
            }
        }
        (mean, variance.into_iter().map(f64::sqrt).collect())
    }

    /// Total variation of class probabilities, mean over rows; or root mean square of means.
    fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let differences = a.iter().zip(b).map(|(a, b)| a - b);
        let rows = (self.quantities / self.classes) as f64;
        match self.classes {
            1 => (differences.map(|d| d * d).sum::<f64>() / rows).sqrt(),
            _ => 0.5 * differences.map(f64::abs).sum::<f64>() / rows,
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::read();
    let [train, test] = &arguments.files[..] else {
        println!("usage: ground_truth TRAIN.csv TEST.csv [options]; see the head of the program");
        return Ok(());
    };
    let train = load_csv(Path::new(train), &CsvOptions::default())?;
    let (options, schema) = (RowOptions::default(), train.schema());
    let test = load_for_schema(Path::new(test), &schema, train.task(), &options)?;
    let scaler = Standardizer::fit(train.features(), train.d())?;
    let (x, x_test) = (
        scaler.transform(train.features())?,
        scaler.transform(test.features())?,
    );
    let noise = arguments.number("noise-std", 0.1);
    let (likelihood, outputs, y): (Box<dyn Likelihood>, usize, Vec<f64>) = match train.task() {
        Task::Classification { classes } => {
            (Box::new(Categorical), classes, train.targets().to_vec())
        }
        Task::Regression => {
            let y = Standardizer::fit(train.targets(), 1)?.transform(train.targets())?;
            (Box::new(Gaussian::new(noise)?), 1, y)
        }
    };
    let sizes = [train.d(), arguments.number("hidden", 50), outputs];
    let network = Mlp::new(&sizes, Activation::Tanh)?;
    let prior = IsotropicGaussian::new(1.0)?;
    let posterior = PosteriorDensity::<f32>::new(&network, likelihood.as_ref(), &prior, &x, &y)?;

    let streams = Streams::new(arguments.number("seed", 0));
    let chains = arguments.number("chains", 4);
    let started = Instant::now();
    let mut starts = Vec::new();
    for chain in 0..chains {
        let start = network.init(&mut streams.rng(Phase::INIT, chain));
        let start = start.into_iter().map(|t| t as f32).collect();
        starts.push(fit_map(&posterior, start, &MapOptions::default(), |_| ())?.theta);
    }
    println!("{} parameters, {} rows", network.dim(), train.n());
    println!(
        "{chains} MAP estimates: {:.1} s",
        started.elapsed().as_secs_f64()
    );

    let options = ChainOptions {
        warm_up: arguments.number("warm-up", 1_000),
        draws: arguments.number("draws", 1_000),
        target_acceptance: arguments.number("acceptance", 0.8),
        ..ChainOptions::default()
    };
    let started = Instant::now();
    let sampled = match arguments.text("sampler").unwrap_or("nuts") {
        "hmc" => {
            let options = HmcOptions {
                chains: options,
                trajectory: Trajectory::LeapfrogSteps(arguments.number("leapfrog-steps", 60)),
                ..HmcOptions::default()
            };
            hmc(&posterior, &starts, &options, streams)?
        }
        _ => {
            let defaults = NutsOptions::default();
            let options = NutsOptions {
                chains: options,
                max_tree_depth: arguments.number("max-tree-depth", defaults.max_tree_depth),
            };
            nuts(&posterior, &starts, &options, streams)?
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    report(&sampled, seconds)?;

    let count = sampled.kept();
    let points: Vec<f32> = sampled.points().flatten().copied().collect();
    let predictions = Predictions::of(&network, &points, &x_test)?;
    let summaries =
        TraceSummary::of_columns(&predictions.values, sampled.count(), predictions.quantities)?;
    let worst = |of: fn(&TraceSummary) -> f64| summaries.iter().map(of).fold(f64::NAN, f64::min);
    let bulk = worst(|s| s.ess_bulk);
    println!(
        "predictions: R-hat at most {:.3}, ESS bulk at least {bulk:.0} ({:.1} a second), ESS tail at least {:.0}",
        -worst(|s| -s.rhat),
        bulk / seconds,
        worst(|s| s.ess_tail)
    );
    let means: Vec<Vec<f64>> = (0..sampled.count())
        .map(|c| predictions.moments(c * count..(c + 1) * count).0)
        .collect();
    let mut pairs = Vec::new();
    for (i, a) in means.iter().enumerate() {
        pairs.extend(means[..i].iter().map(|b| predictions.distance(a, b)));
    }
    let unit = if outputs == 1 {
        "RMS of means"
    } else {
        "total variation"
    };
    let between = pairs.iter().sum::<f64>() / pairs.len() as f64;
    println!("{unit} between two chains: {between:.4}");
    if let Some(file) = arguments.text("reference") {
        let table = read_table(Path::new(file))?;
        let (mean, deviation) = predictions.moments(0..count * sampled.count());
        let column = |j: usize| table.values.iter().skip(j).step_by(2).copied();
        let theirs: Vec<f64> = match outputs {
            1 => column(0).collect(),
            _ => table.values.clone(),
        };
        println!(
            "{unit} to the reference: {:.4}",
            predictions.distance(&mean, &theirs)
        );
        if outputs == 1 {
            let ratio = deviation.iter().sum::<f64>() / column(1).sum::<f64>();
            println!("epistemic deviation over that of the reference: {ratio:.3}");
        }
    }
    Ok(())
}

fn report(sampled: &Chains<f32>, seconds: f64) -> Result<()> {
    let gradients = sampled.gradients();
    println!(
        "{gradients} gradients in {seconds:.1} s ({:.1} us each), {} divergences, acceptance {:.3}",
        1e6 * seconds / gradients as f64,
        sampled.divergences(),
        sampled.mean_acceptance()
    );
    println!("              {}", TraceSummary::HEADER);
    for (name, values) in [
        ("potential", sampled.potentials()),
        ("Hamiltonian", sampled.hamiltonians()),
        ("leapfrog", sampled.transitions(|t| t.leapfrog_steps as f64)),
    ] {
        let view = diagnose::Chains::new(&values, sampled.count())?;
        println!("{name:<14}{}", TraceSummary::new(&view));
    }
    let energies = sampled.hamiltonians();
    let mixing = e_bfmi(&diagnose::Chains::new(&energies, sampled.count())?);
    println!("E-BFMI {mixing:.2?} (tails may be missing below {E_BFMI_THRESHOLD})");
    let steps: Vec<f64> = sampled.chains.iter().map(|c| c.step_size).collect();
    println!("step sizes {steps:.4?}");
    Ok(())
}
