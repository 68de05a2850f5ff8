//! Exchangeable flows, the atlas, and refinement on the ELBO.
//!
//! The oracles are symmetries, closed forms and moments.

use fiberwalk::deform::{
    Atlas, AtlasRows, Bijection, ElboOptions, ExchangeableUnits, FlowTrainOptions, LastLayer,
    UnitFlow, UnitFlowOptions, UnitTrainOptions, augment, draw_mixing, fit_units, recombine,
    refine,
};
use fiberwalk::nn::{UnitBlock, unit_blocks};
use fiberwalk::walk::Walk;
use fiberwalk::{
    Activation, Gaussian, IsotropicGaussian, LinearHead, LogDensity, Mlp, Network, Phase,
    PosteriorDensity, Streams,
};

use crate::common::{network, normals};

fn blocks_of(net: &Mlp) -> Vec<UnitBlock> {
    unit_blocks(net.layout(), net.hidden_params())
}

/// A flow of the hidden units of a network at random parameters.
fn some_flow(net: &Mlp, seed: u64) -> UnitFlow<f64> {
    let blocks = blocks_of(net);
    let options = UnitFlowOptions {
        blocks: 2,
        hidden: vec![6],
        pooled: 3,
    };
    let mut rng = Streams::new(seed).rng(Phase::USER, 0);
    let mixing: Vec<_> = blocks
        .iter()
        .map(|b| draw_mixing(b.params, 2, &mut rng))
        .collect();
    let map = ExchangeableUnits::new(&blocks, &options, &mixing).unwrap();
    let params = normals(map.param_count(), seed);
    let params = params.iter().map(|x| 0.4 * x).collect();
    UnitFlow::new(blocks, options, mixing, params).unwrap()
}

/// `log q` does not change when units of a layer are permuted with everything that belongs to them.
/// Inverse and forward undo each other.
#[test]
fn units_are_exchangeable() {
    let net = Mlp::new(&[3, 5, 1], Activation::Tanh).unwrap();
    let (flow, h) = (some_flow(&net, 1), net.hidden_params());
    let theta = normals(2 * h, 2);
    let (z, down) = flow.inverse(&theta).unwrap();
    let (back, up) = flow.forward(&z).unwrap();
    for (a, b) in back.iter().zip(&theta) {
        assert!((a - b).abs() < 1e-9);
    }
    for (a, b) in up.iter().zip(&down) {
        assert!((a + b).abs() < 1e-9);
    }
    let before = flow.log_density(&theta).unwrap();
    let mut swapped = theta.clone();
    for row in swapped.chunks_exact_mut(h) {
        let block = &blocks_of(&net)[0];
        for i in 0..block.params {
            let at = |unit: usize| block.index[i * block.units + unit];
            row.swap(at(0), at(3));
        }
    }
    assert_ne!(swapped, theta);
    for (a, b) in before.iter().zip(flow.log_density(&swapped).unwrap()) {
        assert!((a - b).abs() < 1e-9, "{a} and {b}");
    }
    // units of different layers differ, and a later layer depends on the earlier one
    let deep = Mlp::new(&[2, 4, 3, 1], Activation::Tanh).unwrap();
    let (flow, h) = (some_flow(&deep, 3), deep.hidden_params());
    let z = normals(h, 4);
    let mut other = z.clone();
    other[0] += 1.0;
    let (a, b) = (flow.forward(&z).unwrap().0, flow.forward(&other).unwrap().0);
    let first = 2 * 4 + 4;
    let moved =
        |range: std::ops::Range<usize>| range.filter(|&i| (a[i] - b[i]).abs() > 1e-9).count();
    // the pool carries the change to every unit of the first layer, and the summary carries it to
    // the second
    assert!(moved(0..first) > 3 && moved(first..h) > 3);
}

/// Flipping the signs of units, as the training copies do, does not change what a network computes.
#[test]
fn flipped_copies_are_the_same_features() {
    let (net, theta) = network(&[2, 4, 3, 1], Activation::Tanh, 5);
    let (h, blocks) = (net.hidden_params(), blocks_of(&net));
    let order: Vec<usize> = blocks.iter().flat_map(|b| b.index.clone()).collect();
    let canonical: Vec<f64> = order.iter().map(|&at| theta[at]).collect();
    let mut rng = Streams::new(6).rng(Phase::USER, 0);
    let copies = augment(&canonical, &blocks, 8, &mut rng);
    let features = |canonical: &[f64]| {
        let mut theta = vec![0.0; h];
        order
            .iter()
            .zip(canonical)
            .for_each(|(&at, &x)| theta[at] = x);
        let graph = fiberwalk::autodiff::Graph::new();
        let (t, x) = (graph.input(&[h]), graph.input(&[3, 2]));
        let program = graph.compile::<f64>(&[net.feature_map(t, x)]).unwrap();
        let mut ws = program.workspace();
        program.run(&[&theta, &normals(6, 7)], &mut ws).unwrap();
        program.tensor(&ws, 0).unwrap().to_vec()
    };
    let want = features(&canonical);
    let mut changed = 0;
    for copy in copies.chunks_exact(h) {
        for (a, b) in features(copy).iter().zip(&want) {
            assert!((a.abs() - b.abs()).abs() < 1e-12, "{a} and {b}");
        }
        changed += usize::from(copy != &canonical[..]);
    }
    assert!(changed > 4, "of 8 copies hardly any has no flipped sign");
}

/// Units drawn from a known exchangeable density: the flow nearly reaches its likelihood on unseen
/// walkers.
#[test]
fn a_flow_of_units_learns_what_the_units_are() {
    let net = Mlp::new(&[1, 6, 1], Activation::Tanh).unwrap();
    let (blocks, h, dim) = (blocks_of(&net), net.hidden_params(), net.dim());
    let walkers = 300;
    // u = (x, x^2 / 2 + 0.3 e): bent, so no Gaussian fits it
    let mut points = vec![0.0; walkers * dim];
    for (p, e) in points
        .chunks_exact_mut(dim)
        .zip(normals(walkers * h, 8).chunks_exact(h))
    {
        for j in 0..6 {
            let (x, noise) = (e[2 * j], e[2 * j + 1]);
            p[blocks[0].index[j]] = x;
            p[blocks[0].index[6 + j]] = 0.5 * x * x + 0.3 * noise;
        }
    }
    let walk = Walk {
        dim,
        particle: (0..walkers).collect(),
        points,
        ..Walk::default()
    };
    let options = UnitTrainOptions {
        training: FlowTrainOptions {
            steps: 800,
            ..UnitTrainOptions::default().training
        },
        ..UnitTrainOptions::default()
    };
    let streams = Streams::new(9);
    let (_, report) = fit_units(
        walk.points_of().unwrap(),
        blocks,
        false,
        &options,
        streams,
        |_| (),
    )
    .unwrap();
    let entropy = 6.0 * (1.0 + (2.0 * std::f64::consts::PI).ln() + 0.3f64.ln());
    // 60 held-out walkers of 12 numbers: a standard error of (12 / 2 / 60)^{1/2} = 0.32
    assert!(
        report.log_likelihood > -entropy - 1.3,
        "{report:?} {entropy}"
    );
    assert!(
        report.log_likelihood > report.start_log_likelihood + 3.0,
        "{report:?}"
    );
}

/// If the noise drowns the data, the posterior of the hidden parameters is the prior. The refined
/// flow must be the prior, and its ELBO the evidence.
#[test]
fn refinement_finds_a_posterior_that_is_known() {
    let (alpha, noise) = (4.0, 50.0);
    let net = Mlp::new(&[1, 4, 1], Activation::Tanh).unwrap();
    let (x, y) = (normals(20, 11), normals(20, 12));
    let prior = IsotropicGaussian::new(alpha).unwrap();
    let likelihood = Gaussian::new(noise).unwrap();
    let posterior = PosteriorDensity::<f64>::new(&net, &likelihood, &prior, &x, &y).unwrap();
    let head = &Gaussian::new(noise).unwrap();
    let last = LastLayer::new(&net, head, alpha, &x, &y).unwrap();
    let start = some_flow(&net, 13);
    let (flow, options) = (
        start.bijection().unwrap(),
        ElboOptions {
            steps: 1_500,
            learning_rate: 1e-2,
            ..ElboOptions::default()
        },
    );
    let streams = Streams::new(14);
    let params = start.parts().3.to_vec();
    let problem = (&last, &posterior);
    let (params, report) = refine(
        &flow,
        start.order(),
        params,
        problem,
        &options,
        streams,
        |_| (),
    )
    .unwrap();
    // the evidence hardly depends on the hidden parameters: it is that at zero, to 1e-3
    let evidence = last.log_evidence(&[0.0; 8], &mut last.workspace()).unwrap();
    assert!(report.start < evidence - 1.0, "{report:?}");
    assert!(
        (report.elbo - evidence).abs() < 0.1,
        "{report:?} against {evidence}"
    );
    let refined = start.with_params(params).unwrap();
    let (draws, _) = refined.forward(&normals(4_000 * 8, 15)).unwrap();
    for i in 0..8 {
        let column = || draws.iter().skip(i).step_by(8);
        let mean = column().sum::<f64>() / 4_000.0;
        let variance = column().map(|x| (x - mean).powi(2)).sum::<f64>() / 4_000.0;
        // KL below 0.1 nats over 8 numbers means a variance at most a seventh off
        assert!(
            mean.abs() < 0.1 && (variance * alpha - 1.0).abs() < 0.2,
            "{mean} {variance}"
        );
    }
}

fn atlas(anchors: usize) -> (Mlp, Atlas<f64>, Vec<f64>, PosteriorDensity<f64>) {
    let net = Mlp::new(&[2, 4, 1], Activation::Tanh).unwrap();
    let (x, y) = (normals(60, 21), normals(30, 22));
    let head = &Gaussian::new(0.5).unwrap();
    let last = LastLayer::new(&net, head, 2.0, &x, &y).unwrap();
    let hidden = normals(anchors * net.hidden_params(), 23);
    let prior = IsotropicGaussian::new(2.0).unwrap();
    let posterior =
        PosteriorDensity::new(&net, &Gaussian::new(0.5).unwrap(), &prior, &x, &y).unwrap();
    (
        net,
        Atlas::new(hidden.clone(), anchors, last).unwrap(),
        hidden,
        posterior,
    )
}

/// The closed form of the atlas for a row agrees with its draws, anchor by anchor.
#[test]
fn components_are_the_moments_of_draws() {
    let (anchors, each) = (3, 4_000);
    let (net, atlas, hidden, _) = atlas(anchors);
    let draws = atlas.sample(anchors * each, Streams::new(24)).unwrap();
    let (dim, h) = (net.dim(), net.hidden_params());
    let rows = normals(10, 25);
    let mut outputs = Vec::new();
    fiberwalk::predict::network_outputs(&net, &draws, &rows, |block| {
        outputs.extend_from_slice(&block.values);
        Ok(())
    })
    .unwrap();
    let mut checked = 0;
    let closed = AtlasRows::new(atlas, &net, 100).unwrap();
    assert_eq!(closed.count(), anchors);
    let mut ws = closed.workspace();
    closed
        .blocks(&rows, |c| {
            assert_eq!((c.rows, c.anchors), (5, anchors));
            for row in 0..5 {
                // one row alone says the same
                let (mut means, mut stds) = ([0.0; 3], [0.0; 3]);
                let x = &rows[2 * row..2 * row + 2];
                closed.row(x, &mut ws, &mut means, &mut stds).unwrap();
                for a in 0..anchors {
                    let (m, s) = (c.means[row * anchors + a], c.stds[row * anchors + a]);
                    assert!((means[a] - m).abs() < 1e-12 && (stds[a] - s).abs() < 1e-12);
                }
                for a in 0..anchors {
                    let own = || (a..anchors * each).step_by(anchors);
                    let values = || own().map(|i| outputs[row * anchors * each + i]);
                    let n = each as f64;
                    let mean = values().sum::<f64>() / n;
                    let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                    let (m, s) = (c.means[row * anchors + a], c.stds[row * anchors + a]);
                    assert!((mean - m).abs() < 4.5 * s / n.sqrt(), "{mean} against {m}");
                    let error = 4.5 * (2.0 / n).sqrt();
                    assert!(
                        (variance / (s * s) - 1.0).abs() < error,
                        "{variance} against {s}^2"
                    );
                    checked += 1;
                }
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(checked, 15);
    for (i, draw) in draws.chunks_exact(dim).enumerate().take(9) {
        let a = i % anchors;
        assert_eq!(draw[..h], hidden[a * h..(a + 1) * h]);
    }
}

/// For a given anchor, the energy of draws is that of the conditional posterior: chi-square above
/// the mode's.
#[test]
fn draws_of_the_atlas_have_the_conditionals_distribution() {
    let (_, atlas, hidden, posterior) = atlas(2);
    let count = 6_000;
    let draws = atlas.sample(count, Streams::new(26)).unwrap();
    let (h, k) = (hidden.len() / 2, atlas.last().dim());
    let mut ws = posterior.workspace();
    let mut sums = [(0.0, 0.0); 2];
    for (i, theta) in draws.chunks_exact(h + k).enumerate() {
        let a = i % 2;
        let mode = &atlas.parts().1[a * k..(a + 1) * k];
        let at = [&theta[..h], mode].concat();
        let top = posterior.log_density(&at, &mut ws).unwrap();
        let form = 2.0 * (top - posterior.log_density(theta, &mut ws).unwrap());
        sums[a].0 += form;
        sums[a].1 += form * form;
    }
    let n = count as f64 / 2.0;
    for (first, second) in sums {
        let (mean, k) = (first / n, k as f64);
        let variance = second / n - mean * mean;
        // chi-square of k: mean k, variance 2 k, fourth central moment 12 k^2 + 48 k
        assert!((mean - k).abs() < 4.5 * (2.0 * k / n).sqrt(), "{mean}");
        let error = 4.5 * ((12.0 * k * k + 48.0 * k - 4.0 * k * k) / n).sqrt();
        assert!((variance - 2.0 * k).abs() < error, "{variance}");
    }
}

/// Every unit is one of the anchors', each as often as any other. All its parameters come from the
/// same anchor.
#[test]
fn recombined_units_come_from_anchors_at_random() {
    let net = Mlp::new(&[2, 5, 1], Activation::Tanh).unwrap();
    let (blocks, h, n, count) = (blocks_of(&net), net.hidden_params(), 4, 800);
    let anchors: Vec<f64> = (0..n * h).map(|i| i as f64).collect();
    let all = recombine(&anchors, &blocks, count, Streams::new(27)).unwrap();
    let mut counts = vec![0u64; n];
    for row in all.chunks_exact(h) {
        for unit in 0..5 {
            let places: Vec<usize> = blocks[0].index[unit..].iter().step_by(5).copied().collect();
            let from = row[places[0]] as usize / h;
            counts[from] += 1;
            for at in places {
                assert_eq!(row[at], anchors[from * h + at]);
            }
        }
    }
    let expected = (count * 5 / n) as f64;
    let statistic: f64 = counts
        .iter()
        .map(|&c| (c as f64 - expected).powi(2) / expected)
        .sum();
    // three degrees of freedom: a p-value of 1e-4 is at 21
    assert!(statistic < 21.0, "{counts:?}");
    let few = recombine(&anchors, &blocks, 3, Streams::new(27)).unwrap();
    assert_eq!(few, all[..3 * h]);
    assert!(recombine(&anchors[1..], &blocks, 3, Streams::new(0)).is_err());
}
