//! The evidence of a small network, by a flow fitted to a walk, and independently by annealing.
//!
//! `cargo run --release --example evidence [UNITS]` (default 2: 1-2-1 tanh on snelson1d, seven
//! parameters)
//!
//! With so few units the posterior has well separated copies, one for every permutation of the
//! units and every flip of their signs. A walk stays in the copy that it started in, and the flow
//! learns that copy. The importance weights use the *symmetrised* flow, the mean of `q` over all
//! copies, which covers the posterior. It has the same value at all copies, so draws of `q` are
//! enough.

#![allow(clippy::print_stdout)]

use std::path::Path;

use fiberwalk::data::{CsvOptions, Standardizer, load_csv};
use fiberwalk::deform::{
    Bijection, FlowData, FlowDensity, FlowOptions, FlowTrainOptions, LastLayer, coupling_flow,
    draw_mixing, fit_flow,
};
use fiberwalk::diagnose::ImportanceSummary;
use fiberwalk::linalg::log_mean_exp;
use fiberwalk::rng::fill_normal;
use fiberwalk::walk::{
    AnnealedEvidence, AnnealedOptions, FrameOptions, FrameSource, GgnFrame, Microcanonical,
    MicrocanonicalOptions, WalkOptions, annealed_evidence, walk,
};
use fiberwalk::{
    Activation, Gaussian, IsotropicGaussian, LinearHead, MapOptions, Mlp, Network, Phase,
    PosteriorDensity, Result, Streams, fit_map,
};

const NOISE: f64 = 0.3;

/// All copies of the hidden parameters `[w_1 .. w_H, b_1 .. b_H]` of a network 1-H-1, under
/// permutations and sign flips of its units.
fn copies(h: &[f64]) -> Vec<f64> {
    let units = h.len() / 2;
    let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..units {
        orders = orders
            .iter()
            .flat_map(|o| {
                (0..units)
                    .filter(|i| !o.contains(i))
                    .map(|i| [&o[..], &[i]].concat())
            })
            .collect();
    }
    let mut all = Vec::new();
    for order in &orders {
        for signs in 0..1u32 << units {
            let sign = |i: usize| if signs >> i & 1 == 1 { -1.0 } else { 1.0 };
            all.extend((0..units).map(|i| sign(i) * h[order[i]]));
            all.extend((0..units).map(|i| sign(i) * h[units + order[i]]));
        }
    }
    all
}

/// How much work to do.
pub struct Effort {
    /// Particles of the walk that the flow is fitted to.
    pub walkers: usize,
    /// Most steps of the flow's training.
    pub steps: usize,
    /// Draws of the flow.
    pub draws: usize,
    /// Settings of the annealing.
    pub annealing: AnnealedOptions,
}

/// The summary of the importance weights, and the annealed evidence.
pub fn evidence(units: usize, effort: &Effort) -> Result<(ImportanceSummary, AnnealedEvidence)> {
    let data = load_csv(
        Path::new("examples/data/snelson1d.csv"),
        &CsvOptions::default(),
    )?;
    let x = Standardizer::fit(data.features(), 1)?.transform(data.features())?;
    let y = Standardizer::fit(data.targets(), 1)?.transform(data.targets())?;
    let net = Mlp::new(&[1, units, 1], Activation::Tanh)?;
    let (likelihood, prior) = (Gaussian::new(NOISE)?, IsotropicGaussian::new(1.0)?);
    let posterior = PosteriorDensity::<f64>::new(&net, &likelihood, &prior, &x, &y)?;
    let streams = Streams::new(0);

    let start = net.init(&mut streams.rng(Phase::INIT, 0));
    let map = fit_map(&posterior, start, &MapOptions::default(), |_| ())?;
    let frame = GgnFrame::new(&posterior, &FrameOptions::default(), streams)?;
    let mut kernel = Microcanonical::new(
        frame.frame(&[&map.theta], None)?,
        &MicrocanonicalOptions::default(),
    )?;
    let options = WalkOptions {
        particles: effort.walkers,
        keep: 16,
        ..WalkOptions::default()
    };
    let walked = walk(&mut kernel, &posterior, &[map.theta], &options, streams)?;

    let h = net.hidden_params();
    let mut rng = streams.rng(Phase::USER, 0);
    let flow = coupling_flow(h, &draw_mixing(h, 6, &mut rng), &FlowOptions::default())?;
    let hidden = |held_out: bool| -> Vec<f64> {
        let points = walked.points.chunks_exact(walked.dim).zip(&walked.particle);
        let rows = points.filter(|(_, particle)| (*particle % 5 == 4) == held_out);
        rows.flat_map(|(point, _)| &point[..h]).copied().collect()
    };
    let (training, held_out) = (hidden(false), hidden(true));
    let data = FlowData {
        context: 0,
        points: &training,
        held_out: &held_out,
    };
    let (params, _) = fit_flow(
        &flow,
        &flow.init(&mut rng),
        data,
        &FlowTrainOptions {
            steps: effort.steps,
            ..FlowTrainOptions::default()
        },
        streams,
        |_| (),
    )?;

    // draws of the hidden parameters; the last layer is integrated out exactly
    let draws = effort.draws;
    let mut z = vec![0.0; draws * h];
    fill_normal(&mut streams.rng(Phase::USER, 1), &mut z);
    let graph = fiberwalk::autodiff::Graph::new();
    let (p, latent) = (graph.input(&[params.len()]), graph.input(&[draws, h]));
    let program = graph.compile::<f64>(&[flow.forward(p, latent).0])?;
    let mut ws = program.workspace();
    program.run(&[&params, &z], &mut ws)?;
    let likelihood = &Gaussian::new(NOISE)?;
    let last = LastLayer::<f64>::new(&net, likelihood, 1.0, &x, &y)?;
    let mut last_ws = last.workspace();
    let density = FlowDensity::new(&flow, 0)?;
    let constant = 0.5 * h as f64 * (2.0 * std::f64::consts::PI).ln();
    let mut weights = Vec::with_capacity(draws);
    for theta_h in program.tensor(&ws, 0)?.chunks_exact(h) {
        let squares: f64 = theta_h.iter().map(|t| t * t).sum();
        let joint = last.log_evidence(theta_h, &mut last_ws)? - 0.5 * squares - constant;
        let q = density.log_density(&params, &copies(theta_h))?;
        weights.push(joint - log_mean_exp(&q).value);
    }
    let summary = ImportanceSummary::new(&weights)?;
    let prior = vec![1.0; net.dim()];
    let annealed = annealed_evidence(&posterior, &prior, &effort.annealing, Streams::new(1))?;
    Ok((summary, annealed))
}

fn main() -> Result<()> {
    let units = std::env::args().nth(1).and_then(|a| a.parse().ok());
    let effort = Effort {
        walkers: 512,
        steps: 6_000,
        draws: 4_000,
        annealing: AnnealedOptions {
            temperatures: 2_000,
            leapfrog_steps: 64,
            ..AnnealedOptions::default()
        },
    };
    let (weights, annealed) = evidence(units.unwrap_or(2), &effort)?;
    println!(
        "weights    ELBO {:.3} +- {:.3}, k-hat {:.2}, {:.0} of {} draws effective",
        weights.elbo, weights.elbo_error, weights.k_hat, weights.ess, weights.draws
    );
    match weights.log_evidence {
        Ok(e) => println!(
            "flow       log evidence {:.3} +- {:.3}",
            e.value, e.std_error
        ),
        Err(refusal) => println!("flow       no evidence: {refusal:?}"),
    }
    println!(
        "annealing  log evidence {:.3} +- {:.3}, {} gradients, {:.0} of {} effective",
        annealed.log_evidence,
        annealed.std_error,
        annealed.gradients,
        annealed.ess,
        effort.annealing.particles
    );
    Ok(())
}
