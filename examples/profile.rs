//! The compiled gradient of a perceptron's energy, and where its time goes.
//!
//! `cargo run --release --example profile -- 18,50,4 592`: widths, and rows of (random) data. One
//! output means regression.

#![allow(clippy::print_stdout)]

use fiberwalk::{
    Activation, Categorical, Error, Gaussian, IsotropicGaussian, Likelihood, Mlp, Network, Phase,
    PosteriorDensity, Result, Streams,
};
use rand_distr::{Distribution, StandardNormal};

fn number(text: &str) -> Result<usize> {
    let refused = || Error::Config {
        field: "arguments",
        value: text.into(),
        requirement: "must be widths and rows, such as 18,50,4 592".into(),
    };
    text.parse().map_err(|_| refused())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let widths = arguments.next().unwrap_or_else(|| "18,50,4".into());
    let sizes = widths.split(',').map(number).collect::<Result<Vec<_>>>()?;
    let n = number(&arguments.next().unwrap_or_else(|| "592".into()))?;

    let network = Mlp::new(&sizes, Activation::Tanh)?;
    let (streams, outputs) = (Streams::new(0), network.output_dim());
    let rng = streams.rng(Phase::USER, 0);
    let x: Vec<f64> = StandardNormal.sample_iter(rng).take(n * sizes[0]).collect();
    let y: Vec<f64> = match outputs {
        1 => x.iter().step_by(sizes[0]).map(|v| v.sin()).collect(),
        k => (0..n).map(|i| (i % k) as f64).collect(),
    };
    let gaussian = Gaussian::new(0.3)?;
    let likelihood: &dyn Likelihood = if outputs == 1 {
        &gaussian
    } else {
        &Categorical
    };
    let prior = IsotropicGaussian::new(1.0)?;
    let posterior = PosteriorDensity::<f32>::new(&network, likelihood, &prior, &x, &y)?;
    let start = network.init(&mut streams.rng(Phase::INIT, 0));
    let theta: Vec<f32> = start.into_iter().map(|t| t as f32).collect();

    let profile = posterior.profile(&theta, 1000)?;
    let total: f64 = profile.iter().map(|(_, time)| time.as_secs_f64()).sum();
    println!("    us     %  instruction");
    for (line, time) in profile {
        let time = time.as_secs_f64();
        println!("{:6.2}  {:4.1}  {line}", 1e6 * time, 100.0 * time / total);
    }
    println!(
        "{:6.2}  in all, one thread, the shortest of 1000 runs of each instruction",
        1e6 * total
    );
    Ok(())
}
