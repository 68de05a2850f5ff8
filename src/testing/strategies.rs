//! Strategies of `proptest`: shapes, small data sets and small networks.
//!
//! They shrink to fewer and smaller extents, simpler activations and numbers nearer to zero. Data
//! come from a pool that is cut to size, so a smaller set is a part of the larger one.

use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::nn::{Activation, Mlp, Network};
use crate::rng::{Phase, Streams};

/// Shapes of the given ranks, with extents from 1 to `extent`.
pub fn shapes(ranks: RangeInclusive<usize>, extent: usize) -> impl Strategy<Value = Vec<usize>> {
    vec(1..=extent.max(1), ranks)
}

/// Rows of features with targets.
#[derive(Clone, Debug, PartialEq)]
pub struct SmallData {
    /// Number of rows, `n`.
    pub rows: usize,
    /// Features of a row, `d`.
    pub features: usize,
    /// Targets of a row; 1 for labels.
    pub targets: usize,
    /// `[n, d]`, row-major.
    pub x: Vec<f64>,
    /// `[n, targets]`, row-major.
    pub y: Vec<f64>,
}

/// Most rows, features and targets of a [`SmallData`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents {
    /// Most rows.
    pub rows: usize,
    /// Most features.
    pub features: usize,
    /// Most real targets of a row, or most classes.
    pub targets: usize,
}

impl Default for Extents {
    fn default() -> Self {
        Self {
            rows: 12,
            features: 4,
            targets: 3,
        }
    }
}

/// Real targets: all numbers from -3 to 3.
pub fn regression(most: Extents) -> impl Strategy<Value = SmallData> {
    let sizes = (1..=most.rows, 1..=most.features, 1..=most.targets);
    let number = -3.0..3.0;
    let pools = (
        vec(number.clone(), most.rows * most.features),
        vec(number, most.rows * most.targets),
    );
    (sizes, pools).prop_map(|((rows, features, targets), (x, y))| SmallData {
        rows,
        features,
        targets,
        x: x[..rows * features].to_vec(),
        y: y[..rows * targets].to_vec(),
    })
}

/// Labels of at least two classes, with the number of classes; not every class need occur.
pub fn classes(most: Extents) -> impl Strategy<Value = (SmallData, usize)> {
    let sizes = (1..=most.rows, 1..=most.features, 2..=most.targets.max(2));
    let pools = (
        vec(-3.0..3.0, most.rows * most.features),
        vec(any::<prop::sample::Index>(), most.rows),
    );
    (sizes, pools).prop_map(|((rows, features, classes), (x, labels))| {
        let labels = labels[..rows]
            .iter()
            .map(|label| label.index(classes) as f64);
        let data = SmallData {
            rows,
            features,
            targets: 1,
            x: x[..rows * features].to_vec(),
            y: labels.collect(),
        };
        (data, classes)
    })
}

/// A perceptron with a point in its parameter space.
#[derive(Clone, Debug)]
pub struct SmallNetwork {
    /// The network.
    pub net: Mlp,
    /// Initial parameters, moved by 0.1 standard normal numbers: biases are not zero.
    pub theta: Vec<f64>,
}

/// Perceptrons of given numbers of inputs and outputs, with up to `depth` hidden layers of up to
/// `width` units.
///
/// Activations shrink towards the first of `activations`; with none given, networks are linear.
pub fn networks(
    inputs: usize,
    outputs: usize,
    (depth, width): (usize, usize),
    activations: &[Activation],
) -> impl Strategy<Value = SmallNetwork> + use<> {
    let known = match activations {
        [] => vec![Activation::Identity],
        some => some.to_vec(),
    };
    let hidden = vec(1..=width.max(1), 0..=depth);
    let ends = (inputs.max(1), outputs.max(1));
    (hidden, prop::sample::select(known), 0u64..1 << 32).prop_filter_map(
        "sizes of a perceptron",
        move |(hidden, activation, seed)| {
            let sizes = [&[ends.0][..], &hidden, &[ends.1]].concat();
            let net = Mlp::new(&sizes, activation).ok()?;
            let streams = Streams::new(seed);
            let mut theta = net.init(&mut streams.rng(Phase::INIT, 0));
            let moves = super::options::normals(&mut streams.rng(Phase::INIT, 1), theta.len(), 0.1);
            theta.iter_mut().zip(&moves).for_each(|(t, m)| *t += m);
            Some(SmallNetwork { net, theta })
        },
    )
}

/// Activations without a kink: finite differences hold everywhere. The simplest first.
pub const SMOOTH: [Activation; 6] = [
    Activation::Identity,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Softplus,
    Activation::Silu,
    Activation::Gelu,
];
