//! An atlas and a flow whose hidden numbers hold their scales: coordinates, conditionals, files.

use fiberwalk::artifact::{Fitted, FittedModel, Predictions};
use fiberwalk::data::{Dataset, banana};
use fiberwalk::deform::LastLayer;
use fiberwalk::model::{
    Gaussian, GaussianLearnedNoise, HiddenFirst, Likelihood, LogDensity, PosteriorDensity,
    ScaledHead,
};
use fiberwalk::nn::LinearHead;
use fiberwalk::pipeline::{
    AtlasSettings, FitOptions, FlowChoice, FlowSettings, KernelKind, Method, PriorChoice,
    WalkSettings,
};
use fiberwalk::{Activation, Mlp, Network, Observation, ScaleGroups, Streams};

use crate::common::{normals, short};
use crate::observations::{fitted, regression};

const GROUPS: [ScaleGroups; 3] = ScaleGroups::ALL;

/// With a hidden layer and without. Without one, the inputs' scales are those of the last layer.
fn networks() -> [Mlp; 2] {
    [&[2, 3, 2][..], &[2, 2]].map(|sizes| Mlp::new(sizes, Activation::Tanh).unwrap())
}

/// The same point in two coordinates: `p(psi) = p(phi) / prod sigma_last`, since
/// `W = z sigma_last`.
#[test]
fn the_density_of_a_scaled_head_is_that_of_the_scaled_network() {
    let (x, y) = (normals(16, 1), normals(16, 2));
    let likelihood = Gaussian::new(0.4).unwrap();
    for net in &networks() {
        for groups in GROUPS {
            let head = ScaledHead::new(net, groups);
            let (p, h) = (net.dim(), net.hidden_params());
            let phi = normals(head.dim(), 3);
            let psi = head.hidden_first(&phi, 0).unwrap();
            let scaled = head.scaled();
            let value = |network: &dyn Network, prior: &dyn fiberwalk::Prior, at: &[f64]| {
                let density = PosteriorDensity::new(network, &likelihood, prior, &x, &y).unwrap();
                density.log_density(at, &mut density.workspace()).unwrap()
            };
            let of_phi = value(scaled, &scaled.prior(), &phi);
            let of_psi = value(&head, &head.prior(), &psi);
            let mut std = vec![0.0; p];
            scaled.prior_std(&phi[p..], &mut std).unwrap();
            let volume: f64 = std[h..].iter().map(|s| s.ln()).sum();
            let want = of_phi - volume;
            assert!(
                (of_psi - want).abs() < 1e-10 * want.abs(),
                "{groups}: {of_psi} {want}"
            );
            // and back, in the order of files
            let mut theta = vec![0.0; p];
            scaled.theta(&phi, &mut theta).unwrap();
            theta.extend_from_slice(&phi[p..]);
            let stored = head.stored(&psi, 0).unwrap();
            for (a, b) in stored.iter().zip(&theta) {
                assert!((a - b).abs() < 1e-14 * (1.0 + b.abs()), "{groups}: {a} {b}");
            }
        }
    }
}

/// `p(D, w | hidden) / q(w | hidden)` is `p(D | hidden)` for every `w`. Scales, noise, orders and
/// volumes have to agree.
#[test]
fn the_conditional_is_exact_for_every_scale_and_noise() {
    let (x, y) = (normals(24, 4), normals(24, 5));
    for net in &networks() {
        for (groups, own) in GROUPS.into_iter().flat_map(|g| [(g, 0), (g, 1)]) {
            let head = ScaledHead::new(net, groups);
            let likelihood: Box<dyn Likelihood> = match own {
                0 => Box::new(Gaussian::new(0.3).unwrap()),
                _ => Box::new(
                    GaussianLearnedNoise::shared()
                        .with_half_cauchy(0.5)
                        .unwrap(),
                ),
            };
            let prior = head.prior();
            let density =
                PosteriorDensity::<f64>::new(&head, likelihood.as_ref(), &prior, &x, &y).unwrap();
            let density = HiddenFirst::new(density, head.hidden_params(), own).unwrap();
            let given = &Gaussian::new(0.3).unwrap();
            let last = LastLayer::<f64>::new(&head, given, 1.0, &x, &y)
                .unwrap()
                .with_scales(head.head_scales(own > 0))
                .unwrap();
            let n = last.hidden_dim();
            assert_eq!(n, head.hidden_params() + own);
            let mut ws = last.workspace();
            let mut evidences = Vec::new();
            for hidden in normals(2 * n, 6).chunks_exact(n) {
                let evidence = last.log_evidence(hidden, &mut ws).unwrap();
                let mut values = Vec::new();
                for z in normals(3 * last.dim(), 7).chunks_exact(last.dim()) {
                    let mut row = hidden.to_vec();
                    row.extend_from_slice(z);
                    ws.forward(&mut row[n..]).unwrap();
                    let log_joint = density.log_density(&row, &mut density.workspace());
                    let squares: f64 = z.iter().map(|z| z * z).sum();
                    let constant = last.dim() as f64 * (2.0 * std::f64::consts::PI).ln();
                    let log_q = -0.5 * (squares + constant) - ws.log_det();
                    values.push(log_joint.unwrap() - log_q);
                }
                let first = values[0];
                for v in &values {
                    let off = (v - first).abs() / first.abs();
                    assert!(off < 1e-10, "{groups} {own}: {values:?}");
                }
                evidences.push(first - evidence);
            }
            // what is left is the density of the hidden numbers, which does not depend on the data
            let other: Vec<f64> = y.iter().map(|y| y + 1.0).collect();
            let last = LastLayer::<f64>::new(&head, given, 1.0, &x, &other)
                .unwrap()
                .with_scales(head.head_scales(own > 0))
                .unwrap();
            let density =
                PosteriorDensity::<f64>::new(&head, likelihood.as_ref(), &prior, &x, &other)
                    .unwrap();
            let density = HiddenFirst::new(density, head.hidden_params(), own).unwrap();
            for (hidden, want) in normals(2 * n, 6).chunks_exact(n).zip(&evidences) {
                let evidence = last.log_evidence(hidden, &mut ws).unwrap();
                let mut row = hidden.to_vec();
                row.resize(n + last.dim(), 0.0);
                ws.forward(&mut row[n..]).unwrap();
                let constant = 0.5 * last.dim() as f64 * (2.0 * std::f64::consts::PI).ln();
                let log_joint = density.log_density(&row, &mut density.workspace()).unwrap();
                let got = log_joint + constant + ws.log_det() - evidence;
                let scale = 1.0 + evidence.abs();
                assert!(
                    (got - want).abs() < 1e-10 * scale,
                    "{groups} {own}: {got} {want}"
                );
            }
        }
    }
}

/// The gradient is in the order of its numbers.
#[test]
fn gradients_follow_the_order_of_the_numbers() {
    let net = Mlp::new(&[2, 3, 2], Activation::Tanh).unwrap();
    let (x, y) = (normals(24, 4), normals(24, 5));
    let head = ScaledHead::new(&net, ScaleGroups::Ard);
    let likelihood = GaussianLearnedNoise::shared()
        .with_half_cauchy(0.5)
        .unwrap();
    let density = PosteriorDensity::<f64>::new(&head, &likelihood, &head.prior(), &x, &y).unwrap();
    let density = HiddenFirst::new(density, head.hidden_params(), 1).unwrap();
    let at = normals(density.dim(), 8);
    let mut ws = density.workspace();
    let mut grad = vec![0.0; at.len()];
    density
        .log_density_and_grad(&at, &mut grad, &mut ws)
        .unwrap();
    let step = 1e-5;
    for i in 0..at.len() {
        let mut value = |sign: f64| {
            let mut moved = at.clone();
            moved[i] += sign * step;
            density.log_density(&moved, &mut ws).unwrap()
        };
        let slope = (value(1.0) - value(-1.0)) / (2.0 * step);
        // the third derivative times step^2, and rounding over step
        assert!(
            (slope - grad[i]).abs() < 1e-4 * (1.0 + slope.abs()),
            "{i}: {slope} {}",
            grad[i]
        );
    }
    assert!(density.log_density(&at[1..], &mut ws).is_err());
}

fn options(method: Method, prior: PriorChoice) -> FitOptions {
    FitOptions {
        method: short(method, 8, 60, 32),
        prior,
        hidden: vec![6],
        ..FitOptions::default()
    }
}

fn waves() -> Dataset {
    let x: Vec<f64> = normals(50, 9);
    let y = x.iter().zip(normals(50, 10));
    let y = y.map(|(x, e)| (2.0 * x).sin() + 0.2 * e).collect();
    regression(x, y)
}

#[test]
fn deformations_with_scales_are_saved_and_predict_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (real, classes) = (waves(), banana(80, &Streams::new(1)).unwrap());
    let (hierarchical, ard) = (PriorChoice::Hierarchical, PriorChoice::Ard);
    let points = FlowChoice::Points;
    let bernoulli = FitOptions {
        likelihood: Some(Observation::Bernoulli),
        ..options(Method::Atlas, PriorChoice::Auto)
    };
    let given = FitOptions {
        noise_std: Some(0.2),
        ..options(Method::Atlas, PriorChoice::Shared)
    };
    let walk = WalkSettings {
        particles: Some(8),
        steps: Some(60),
        samples: 32,
        ..WalkSettings::default()
    };
    let atlas = AtlasSettings {
        walk,
        ..AtlasSettings::default()
    };
    let recombined = AtlasSettings {
        recombine: true,
        ..atlas.clone()
    };
    let recombined = FitOptions {
        method: recombined.into(),
        ..options(Method::Atlas, PriorChoice::Ard)
    };
    let frozen = AtlasSettings {
        frozen: Some(24),
        ..atlas
    };
    let frozen = FitOptions {
        method: frozen.into(),
        ..options(Method::Atlas, hierarchical)
    };
    let flow = |flow| FlowSettings {
        walk,
        flow,
        ..FlowSettings::default()
    };
    let frame = FitOptions {
        method: flow(FlowChoice::Frame).into(),
        ..options(Method::Flow, hierarchical)
    };
    let units = FitOptions {
        method: flow(FlowChoice::Units).into(),
        ..options(Method::Flow, PriorChoice::Ard)
    };
    let layered = |choice, prior| FitOptions {
        method: FlowSettings {
            layers: Some(5),
            ..flow(choice)
        }
        .into(),
        ..options(Method::Flow, prior)
    };
    let latent = |prior| FitOptions {
        method: flow(FlowChoice::Latent).into(),
        ..options(Method::Flow, prior)
    };
    let layers_given_noise = FitOptions {
        noise_std: Some(0.2),
        ..layered(FlowChoice::Units, PriorChoice::Shared)
    };
    let linear = FitOptions {
        hidden: Vec::new(),
        ..options(Method::Atlas, PriorChoice::Auto)
    };
    let cases = [
        ("atlas", &real, options(Method::Atlas, PriorChoice::Auto)),
        ("given noise", &real, given),
        ("recombined", &real, recombined),
        ("frozen", &real, frozen),
        ("linear", &real, linear),
        ("frame", &real, frame),
        ("units", &real, units.clone()),
        ("units of classes", &classes, units),
        ("layers", &real, layered(FlowChoice::Frame, hierarchical)),
        ("layers, points", &real, layered(points, hierarchical)),
        ("layers of points", &classes, layered(points, ard)),
        ("latent", &real, latent(hierarchical)),
        ("latent of classes", &classes, latent(ard)),
        ("layers, given noise", &real, layers_given_noise),
        (
            "layers of classes",
            &classes,
            layered(FlowChoice::Units, PriorChoice::Ard),
        ),
        (
            "classes",
            &classes,
            options(Method::Atlas, PriorChoice::Auto),
        ),
        ("bernoulli", &classes, bernoulli),
    ];
    for (name, data, options) in cases {
        let model = fitted(data, &options).model;
        let path = dir.path().join("m.fw");
        model.save(&path).unwrap();
        let loaded = FittedModel::<f32>::load(&path).unwrap();
        let streams = || Streams::new(4);
        let predict = |m: &FittedModel<f32>| m.predict(data.features(), 64, streams()).unwrap();
        assert_eq!(predict(&model), predict(&loaded), "{name}");
        let layers = if name.starts_with("layers") { 5 } else { 0 };
        if name != "frame" && !name.starts_with("units") {
            assert_eq!(loaded.metadata.flow_layers, layers, "{name}");
        }
        let scales = loaded.metadata.scales.as_ref();
        let scales = scales.unwrap_or_else(|| panic!("{name} has scales"));
        let draws = loaded.draws(20, streams()).unwrap();
        let of = draws.theta.len() / loaded.map.len();
        assert_eq!(draws.scales.len(), of * scales.names.len(), "{name}");
        assert_eq!(draws.noise_std.len(), of * usize::from(scales.noise_std));
        assert!(draws.scales.iter().all(|s| *s > 0.0 && s.is_finite()));
        if let Fitted::Atlas { atlas, .. } = &loaded.fitted {
            assert!(atlas.len() > 1, "{name}: an anchor for each point");
        }
    }
}

/// The closed form of an atlas agrees with its draws, each with its noise.
#[test]
fn closed_predictions_are_those_of_draws() {
    let data = waves();
    let model = fitted(&data, &options(Method::Atlas, PriorChoice::Auto)).model;
    let rows = [-1.0, 0.0, 0.7, 3.0];
    let Predictions::Real(closed) = model.predict(&rows, 64, Streams::new(0)).unwrap() else {
        panic!("a regression")
    };
    let count = 32 * 400;
    let draws = model.draws(count, Streams::new(5)).unwrap();
    let network = model.metadata.build_network().unwrap();
    let features = model.metadata.standardizer().unwrap();
    let x = features.transform(&rows).unwrap();
    let target = model.metadata.task.target_map();
    let network: &dyn Network = network.as_ref();
    fiberwalk::predict::network_outputs(network, &draws.theta, &x, |block| {
        for (row, closed) in closed.moments.iter().enumerate() {
            let outputs = block.row(row);
            let n = outputs.len() as f64;
            let mean = outputs.iter().sum::<f64>() / n;
            let spread = outputs.iter().map(|o| (o - mean).powi(2)).sum::<f64>() / n;
            let noise = draws.noise_std.iter().map(|s| s * s).sum::<f64>() / n;
            let std = (spread + noise).sqrt();
            let want = (closed.mean - target.mean) / target.scale;
            // four standard errors of a mean of that many draws; all anchors occur equally often
            let error = 4.0 * std / n.sqrt();
            assert!((mean - want).abs() < error, "{row}: {mean} {want} {error}");
            let ratio = std * target.scale / closed.std;
            // 4 sqrt(1 / (2 n)) for a normal law; the tails here are heavier
            assert!((ratio - 1.0).abs() < 0.06, "{row}: {ratio}");
        }
        Ok(())
    })
    .unwrap();
}

/// The kernels that go along a fiber start from the joint mode. The mode exists, and its scales are
/// not zero.
#[test]
fn every_kernel_and_the_map_go_with_sampled_scales() {
    let dir = tempfile::tempdir().unwrap();
    let data = waves();
    for kernel in [KernelKind::Drift, KernelKind::Tangent] {
        let walk = WalkSettings {
            kernel: kernel.into(),
            particles: Some(8),
            steps: Some(60),
            samples: 32,
            ..WalkSettings::default()
        };
        let options = FitOptions {
            method: walk.into(),
            ..options(Method::Walk, PriorChoice::Hierarchical)
        };
        let result = fitted(&data, &options);
        let path = dir.path().join("m.fw");
        result.model.save(&path).unwrap();
        let loaded = FittedModel::<f32>::load(&path).unwrap();
        let draws = loaded.draws(32, Streams::new(0)).unwrap();
        assert_eq!(draws.noise_std.len(), 32, "{kernel:?}");
        assert!(draws.noise_std.iter().all(|s| (0.01..2.0).contains(s)));
        assert_eq!(draws.scales.len(), 32 * 3);
        // a kernel that is not a sampler has no leave-one-out
        assert!(result.loo.is_none());
    }
    for (prior, scales) in [(PriorChoice::Hierarchical, 3), (PriorChoice::Shared, 1)] {
        let result = fitted(&data, &options(Method::Map, prior));
        let report = &result.report;
        assert!(result.model.metadata.scales.is_none());
        let logs = report.mode_scales.iter().map(|s| s.value.ln());
        let logs: Vec<f64> = logs.collect();
        assert_eq!(logs.len(), scales + 1);
        // of order one, and not on the way to zero or beyond
        assert!(logs.iter().all(|l| l.abs() < 4.0), "{report:?}");
        // a start of such a network has an energy of hundreds
        let energy = report.estimate.as_ref().unwrap().energy;
        assert!(energy < 60.0, "{report:?}");
    }
}
