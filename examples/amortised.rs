//! Compares a learned last layer with the computed one, on the same walk.
//!
//! `cargo run --release --example amortised [SET]` (default vehicle; a set of `examples/data` with
//! classes)
//!
//! An amortised conditioner needs no training data at prediction time. It is a flow of exchangeable
//! units over *all* numbers of a unit, outgoing weights and incoming ones: a learned
//! `q(w | h) q(h)`. It is compared with the same flow over the incoming weights alone, with the
//! last layer from its conditional. Both conditioners are also tried on the hidden parameters of
//! walkers.

#![allow(clippy::print_stdout)]

use std::path::Path;

use fiberwalk::data::{CsvOptions, Standardizer, load_csv, stratified_split};
use fiberwalk::deform::{Atlas, Deformation, HiddenFlow, LastLayer, UnitTrainOptions, fit_units};
use fiberwalk::metrics::ClassificationMetrics;
use fiberwalk::nn::{UnitBlock, unit_blocks};
use fiberwalk::predict::{ClassPredictions, network_outputs};
use fiberwalk::rng::fill_normal;
use fiberwalk::walk::{
    FrameOptions, FrameSource, GgnFrame, Microcanonical, MicrocanonicalOptions, WalkOptions, walk,
};
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, LinearHead, MapOptions, Mlp, Network, Phase,
    PosteriorDensity, Result, Streams, fit_map,
};

const HIDDEN: usize = 50;
const DRAWS: usize = 256;

/// Units with their outgoing weights; the biases of the outputs are one more unit.
fn whole_units(net: &Mlp) -> Vec<UnitBlock> {
    let (h, k) = (net.hidden_params(), net.output_dim());
    let mut units = unit_blocks(net.layout(), h).remove(0);
    for class in 0..k {
        units.index.extend((0..HIDDEN).map(|j| h + j * k + class));
    }
    units.params += k;
    let biases = UnitBlock {
        units: 1,
        params: k,
        index: (0..k).map(|class| h + HIDDEN * k + class).collect(),
        has_sign: true,
    };
    vec![units, biases]
}

fn main() -> Result<()> {
    let set = std::env::args().nth(1).unwrap_or("vehicle".into());
    let path = format!("examples/data/{set}.csv");
    let data = load_csv(Path::new(&path), &CsvOptions::default())?;
    let streams = Streams::new(0);
    let split = stratified_split(&data, 0.3, &mut streams.rng(Phase::SPLIT, 0))?;
    let (train, test) = (data.select(&split.train)?, data.select(&split.test)?);
    let scale = Standardizer::fit(train.features(), train.d())?;
    let (x, x_test) = (
        scale.transform(train.features())?,
        scale.transform(test.features())?,
    );
    let classes = train.labels()?.into_iter().max().unwrap_or(0) + 1;
    let net = Mlp::new(&[train.d(), HIDDEN, classes], Activation::Tanh)?;
    let (alpha, y) = (1.0, train.targets());
    let prior = IsotropicGaussian::new(alpha)?;
    let posterior = PosteriorDensity::<f32>::new(&net, &Categorical, &prior, &x, y)?;
    let start = net.init(&mut streams.rng(Phase::INIT, 0));
    let start = start.into_iter().map(|t| t as f32).collect();
    let map = fit_map(&posterior, start, &MapOptions::default(), |_| ())?;
    let source = GgnFrame::new(&posterior, &FrameOptions::default(), streams)?;
    let frame = source.frame(&[&map.theta], Some(1_000))?;
    let mut kernel = Microcanonical::new(frame, &MicrocanonicalOptions::default())?;
    let options = WalkOptions {
        keep: DRAWS / 64,
        ..WalkOptions::default()
    };
    let walked = walk(&mut kernel, &posterior, &[map.theta], &options, streams)?;
    let nll = |what: &str, samples: &[f32]| -> Result<()> {
        let mut all = ClassPredictions::empty(classes);
        network_outputs(&net, samples, &x_test, |block| all.extend(block))?;
        let scores = ClassificationMetrics::compute(&all.probabilities, classes, &test.labels()?)?;
        println!("{what:<58} NLL {:.4}, ECE {:.3}", scores.nll, scores.ece);
        Ok(())
    };
    let (h, dim) = (net.hidden_params(), net.dim());
    nll("walk", &walked.points)?;

    let last = LastLayer::new(&net, &Categorical, alpha, &x, y)?;
    let anchors = walked.points.chunks_exact(dim).flat_map(|p| &p[..h]);
    let atlas = Atlas::new(anchors.copied().collect(), walked.len(), last.clone())?;
    nll(
        "walkers' hidden units, computed last layer",
        &atlas.sample(DRAWS, streams)?,
    )?;

    let options = UnitTrainOptions::default();
    let blocks = unit_blocks(net.layout(), h);
    let (flow, _) = fit_units(walked.points_of()?, blocks, true, &options, streams, |_| ())?;
    let deformation = Deformation::new(Some(HiddenFlow::Units(flow)), last);
    let draws = deformation.sample(DRAWS, streams)?;
    nll("learned hidden units, computed last layer", &draws)?;

    // signs are flipped by hand in the whole units; the biases have none
    let (whole, _) = fit_units(
        walked.points_of()?,
        whole_units(&net),
        false,
        &options,
        streams,
        |_| (),
    )?;
    let mut z = vec![0.0; DRAWS * dim];
    fill_normal(&mut streams.rng(Phase::USER, 0), &mut z);
    let learned = whole.forward(&z)?.0;
    nll(
        "learned hidden units, learned last layer (no data needed)",
        &learned,
    )?;
    // the hidden units of walkers with the last layers of the learned draws: what the learned
    // conditioner gives when it is wrong about h
    let mixed: Vec<f32> = walked
        .points
        .chunks_exact(dim)
        .zip(learned.chunks_exact(dim))
        .flat_map(|(p, q)| p[..h].iter().chain(&q[h..]))
        .copied()
        .collect();
    nll(
        "walkers' hidden units, last layer drawn without them",
        &mixed,
    )
}
