//! Laplace approximations of a small network, one structure after the other.
//!
//! For each structure it prints the evidence, the tuned prior precision and the scores of the
//! predictives.
//!
//! `cargo run --release --example laplace [DATA.csv [WEIGHTS.txt]]` (default: 18-50-4 tanh on
//! vehicle, a fifth of the rows held out)
//!
//! With a second argument, the MAP estimate of *all* rows at prior precision 1 goes to that file
//! for another program to read: one number per line, in the order of `theta`.

#![allow(clippy::print_stdout)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use fiberwalk::baselines::{
    Curvature, Laplace, LaplaceOptions, PrecisionGroups, Structure, TuneOptions,
};
use fiberwalk::curvature::{KfacBias, Supervised};
use fiberwalk::data::{CsvOptions, Standardizer, load_csv};
use fiberwalk::predict::{SoftmaxMean, class_probabilities, network_outputs};
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, MapOptions, Mlp, Network, Phase, Posterior,
    PosteriorDensity, Result, Streams, fit_map,
};

const HIDDEN: usize = 50;

/// Standardised rows and labels.
struct Rows {
    x: Vec<f64>,
    y: Vec<f64>,
    d: usize,
}

/// Mean negative log-likelihood, in nats per row.
fn nll(probabilities: &[f64], y: &[f64]) -> f64 {
    let k = probabilities.len() / y.len();
    let of = |(p, y): (&[f64], &f64)| -p[*y as usize].ln();
    probabilities.chunks_exact(k).zip(y).map(of).sum::<f64>() / y.len() as f64
}

/// Probabilities averaged over samples of the parameters.
fn by_samples(net: &Mlp, samples: &[f64], x: &[f64]) -> Result<Vec<f64>> {
    let mut predictions = fiberwalk::predict::ClassPredictions::empty(net.output_dim());
    network_outputs(net, samples, x, |block| predictions.extend(block))?;
    Ok(predictions.probabilities)
}

fn fit(net: &Mlp, rows: &Rows, alpha: f64) -> Result<Vec<f64>> {
    let prior = IsotropicGaussian::new(alpha)?;
    let posterior = PosteriorDensity::<f64>::new(net, &Categorical, &prior, &rows.x, &rows.y)?;
    let start = net.init(&mut Streams::new(0).rng(Phase::INIT, 0));
    Ok(fit_map(&posterior, start, &MapOptions::default(), |_| ())?.theta)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next();
    let file = file.as_deref().unwrap_or("examples/data/vehicle.csv");
    let data = load_csv(Path::new(file), &CsvOptions::default())?;
    let d = data.d();
    let x = Standardizer::fit(data.features(), d)?.transform(data.features())?;
    let y = data.targets();
    let classes = 1 + y.iter().fold(0.0f64, |a, &b| a.max(b)) as usize;
    let net = Mlp::new(&[d, HIDDEN, classes], Activation::Tanh)?;
    let pick = |held_out: bool| {
        let rows = (0..y.len()).filter(|i| (i % 5 == 4) == held_out);
        let (mut x_of, mut y_of) = (Vec::new(), Vec::new());
        for i in rows {
            x_of.extend_from_slice(&x[i * d..(i + 1) * d]);
            y_of.push(y[i]);
        }
        Rows {
            x: x_of,
            y: y_of,
            d,
        }
    };
    if let Some(path) = arguments.next() {
        let all = Rows {
            x: x.clone(),
            y: y.to_vec(),
            d,
        };
        let lines: Vec<String> = fit(&net, &all, 1.0)?.iter().map(f64::to_string).collect();
        let done = fs::write(&path, lines.join("\n") + "\n");
        println!("{path}: {:?}", done.map(|()| lines.len()));
        return Ok(());
    }

    let (train, test) = (pick(false), pick(true));
    let (prior, streams) = (IsotropicGaussian::new(1.0)?, Streams::new(1));
    let theta = fit(&net, &train, 1.0)?;
    println!(
        "{} rows of {} features, {} parameters; MAP: test NLL {:.4}",
        train.y.len(),
        train.d,
        net.dim(),
        nll(&by_samples(&net, &theta, &test.x)?, &test.y)
    );
    println!(
        "structure        fit s  evidence  tuned precision  evidence  linearised  pairs  by weights"
    );
    let supervised = Supervised {
        network: &net,
        likelihood: &Categorical,
        x: &train.x,
        y: &train.y,
    };
    let kfac = |bias| Structure::Kfac { bias };
    for (name, structure) in [
        ("full", Structure::Full),
        ("kfac", kfac(KfacBias::Joined)),
        ("low rank (200)", Structure::LowRank { rank: 200 }),
        ("last layer", Structure::LastLayer),
        ("diagonal", Structure::Diagonal),
    ] {
        let options = LaplaceOptions {
            structure,
            curvature: Curvature::Ggn,
            ..LaplaceOptions::default()
        };
        let started = Instant::now();
        let mut laplace = Laplace::fit(&supervised, &prior, &theta, &options, streams)?;
        let seconds = started.elapsed().as_secs_f64();
        let outputs = laplace.linearised_all(&net, &test.x)?;
        let probit = class_probabilities(&outputs, SoftmaxMean::Probit)?;
        let pairs = class_probabilities(&outputs, SoftmaxMean::Pairs)?;
        let sampled = by_samples(&net, &laplace.sample(64, streams)?, &test.x)?;
        let before = laplace.log_evidence();
        let tuned = laplace.tune_by_evidence(&TuneOptions {
            groups: Some(PrecisionGroups::One),
            ..TuneOptions::default()
        })?;
        println!(
            "{name:<15} {seconds:>6.3} {before:>9.2} {:>16.3} {:>9.2} {:>11.4} {:>6.4} {:>11.4}",
            tuned.prior_precision[0].1,
            tuned.log_evidence,
            nll(&probit, &test.y),
            nll(&pairs, &test.y),
            nll(&sampled, &test.y),
        );
    }
    Ok(())
}
