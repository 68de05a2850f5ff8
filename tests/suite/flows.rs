//! Flows fitted to points: closed forms, known densities, and which parameters are kept.

use crate::common::normals;
use fiberwalk::deform::{
    Beside, Bijection, DiagonalAffine, FlowData, FlowDensity, FlowKind, FlowOptions, FlowReport,
    FlowTrainOptions, SplineOptions, TrainOptions, coupling_flow, draw_mixing, fit_flow, train,
};
use fiberwalk::walk::Walk;
use fiberwalk::{Phase, Streams};

const SPLINE: FlowKind = FlowKind::Spline(SplineOptions {
    bins: 8,
    bound: 5.0,
    min_bin: 1e-2,
    min_derivative: 1e-2,
});

fn moments(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// The maximum likelihood of the diagonal map is mean and standard deviation. 301 points make a
/// batch of two pieces of 151, and one piece has a row of padding. If that row counted, the mean
/// would move by a 300th of a standard deviation.
#[test]
fn a_diagonal_map_finds_mean_and_deviation() {
    let points: Vec<f64> = normals(602, 1)
        .chunks_exact(2)
        .flat_map(|e| [e[0], 2.0 + 3.0 * e[1]])
        .collect();
    let second: Vec<f64> = points.iter().skip(1).step_by(2).copied().collect();
    let (mean, deviation) = moments(&second);
    let options = FlowTrainOptions {
        steps: 2_000,
        learning_rate: 2e-2,
        weight_decay: 0.0,
        ..FlowTrainOptions::default()
    };
    // the first coordinate is a context: its density is neither learned nor counted
    let flow = Beside::new(1, DiagonalAffine::new(1));
    let data = FlowData {
        context: 1,
        points: &points,
        held_out: &[],
    };
    let (params, report) =
        fit_flow(&flow, &[0.0, 0.0], data, &options, Streams::new(1), |_| ()).unwrap();
    assert!((params[0] - deviation.ln()).abs() < 1e-5, "{params:?}");
    assert!((params[1] - mean).abs() < 1e-5, "{params:?} {mean}");
    let best = -0.5 - deviation.ln() - 0.5 * (2.0 * std::f64::consts::PI).ln();
    assert!((report.train_log_likelihood - best).abs() < 1e-9);
    assert_eq!(
        (report.steps, report.best_step, report.points),
        (2_000, 2_000, 301)
    );
    // a prior of precision 1 per point shrinks the mean: minimise (mean - m)^2 / (2 s^2) + log s +
    // (m^2 + log(s)^2) / 2
    let decayed = FlowTrainOptions {
        weight_decay: 1.0,
        ..options
    };
    let (params, _) =
        fit_flow(&flow, &[0.0, 0.0], data, &decayed, Streams::new(1), |_| ()).unwrap();
    let (log_s, m) = (params[0], params[1]);
    let precision = (-2.0 * log_s).exp();
    assert!(((m - mean) * precision + m).abs() < 1e-5);
    let spread = deviation.powi(2) + (m - mean).powi(2);
    assert!((1.0 - spread * precision + log_s).abs() < 1e-5);
}

/// Maps two standard normal numbers to a point of a known density. The second value is what the
/// map adds to the logarithm of the normal density.
type Draw = fn(&[f64]) -> ([f64; 2], f64);

/// `x ~ N(0, 1)`, `y | x ~ N(x^2, 0.25)`.
fn banana(e: &[f64]) -> ([f64; 2], f64) {
    ([e[0], e[0] * e[0] + 0.5 * e[1]], -0.5f64.ln())
}

/// `v ~ N(0, 3^2)`, `x | v ~ N(0, e^v)`: Neal's funnel. Within three deviations the scale runs from
/// e^-4.5 to e^4.5.
fn funnel(e: &[f64]) -> ([f64; 2], f64) {
    let v = 3.0 * e[0];
    ([v, (0.5 * v).exp() * e[1]], -3f64.ln() - 0.5 * v)
}

/// The divergence of the truth from a flow fitted to 20,000 points, on as many fresh points, with
/// its standard error.
fn divergence(
    draw: Draw,
    kind: FlowKind,
    context: usize,
    (blocks, steps): (usize, usize),
) -> (f64, f64, FlowReport) {
    let dim = 2 - context;
    let points = |count: usize, seed: u64| -> Vec<f32> {
        let e = normals(2 * count, seed);
        e.chunks_exact(2)
            .flat_map(|e| draw(e).0.map(|x| x as f32))
            .collect()
    };
    let (training, held_out) = (points(20_000, 1), points(4_000, 2));
    let options = FlowOptions {
        kind,
        hidden: vec![32],
        context,
    };
    let mut rng = Streams::new(4).rng(Phase::DEFORM, 0);
    let flow = coupling_flow(dim, &draw_mixing(dim, blocks, &mut rng), &options).unwrap();
    let mut start = flow.init(&mut rng);
    let last = start.len() - 2 * dim;
    for j in 0..dim {
        let column = training.iter().skip(context + j).step_by(2);
        let (mean, deviation) = moments(&column.map(|&x| f64::from(x)).collect::<Vec<_>>());
        (start[last + j], start[last + dim + j]) = (deviation.ln(), mean);
    }
    let options = FlowTrainOptions {
        steps,
        batch_rows: 512,
        learning_rate: 5e-3,
        weight_decay: 0.0,
        patience: 1_000,
        ..FlowTrainOptions::default()
    };
    let data = FlowData {
        context,
        points: &training,
        held_out: &held_out,
    };
    let (params, report) =
        fit_flow(&flow, &start, data, &options, Streams::new(5), |_| ()).unwrap();
    let count = 20_000;
    let log_q = FlowDensity::new(&flow, context)
        .unwrap()
        .log_density(&params, &points(count, 3))
        .unwrap();
    let constant = 0.5 * (2.0 * std::f64::consts::PI).ln();
    let e = normals(2 * count, 3);
    let ratios: Vec<f64> = e
        .chunks_exact(2)
        .zip(&log_q)
        .map(|(e, log_q)| {
            let both = draw(e).1 - 0.5 * (e[0] * e[0] + e[1] * e[1]) - 2.0 * constant;
            // of the funnel and the banana the first coordinate is a normal of scale 3 or 1
            let first = -0.5 * e[0] * e[0] - constant - (draw(&[1.0, 0.0]).0[0]).ln();
            let given = if context == 1 { first } else { 0.0 };
            both - given - log_q
        })
        .collect();
    let (kl, deviation) = moments(&ratios);
    (kl, deviation / (count as f64).sqrt(), report)
}

/// The flow learns from samples to a divergence below 0.02, four standard errors included. The
/// Gaussian at the start misses by 0.7 and more.
fn learns(what: &str, (kl, error, report): (f64, f64, FlowReport)) {
    assert!(
        kl + 4.0 * error < 0.02,
        "{what}: {kl} +- {error}, {report:?}"
    );
    assert!(kl > -4.0 * error, "{what}: {kl} +- {error}");
    let gain = report.log_likelihood - report.start_log_likelihood;
    assert!(gain > 0.5, "{what}: {report:?}");
}

#[test]
fn the_banana_is_learned() {
    learns(
        "affine",
        divergence(banana, FlowKind::Affine, 0, (3, 2_000)),
    );
    learns("spline", divergence(banana, SPLINE, 0, (2, 1_500)));
    learns(
        "given x",
        divergence(banana, FlowKind::Affine, 1, (3, 2_500)),
    );
}

#[test]
fn the_funnel_is_learned() {
    learns(
        "affine",
        divergence(funnel, FlowKind::Affine, 0, (5, 2_500)),
    );
    learns("given v", divergence(funnel, SPLINE, 1, (2, 1_500)));
}

/// The same bits whatever the number of threads; other bits with another seed.
#[test]
fn a_fit_depends_on_the_seed_alone() {
    // not the distribution that the flow starts from, so that there is something to learn
    let points: Vec<f32> = normals(3 * 700, 1)
        .iter()
        .map(|&x| (1.5 * x + 0.3) as f32)
        .collect();
    let fit = |threads: usize, seed: u64| {
        let mut rng = Streams::new(4).rng(Phase::DEFORM, 0);
        let options = FlowOptions {
            kind: SPLINE,
            ..FlowOptions::default()
        };
        let flow = coupling_flow(3, &draw_mixing(3, 1, &mut rng), &options).unwrap();
        let data = FlowData {
            context: 0,
            points: &points[..3 * 600],
            held_out: &points[3 * 600..],
        };
        let options = FlowTrainOptions {
            steps: 20,
            batch_rows: 520,
            check_every: 4,
            ..FlowTrainOptions::default()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let start = flow.init(&mut rng);
        let (params, report) = pool
            .unwrap()
            .install(|| fit_flow(&flow, &start, data, &options, Streams::new(seed), |_| ()))
            .unwrap();
        assert!(report.best_step > 0);
        let bits: Vec<u32> = params.iter().map(|p| p.to_bits()).collect();
        (bits, report.log_likelihood.to_bits())
    };
    let one = fit(1, 1);
    assert!(one == fit(2, 1) && one == fit(8, 1));
    assert!(one.0 != fit(2, 2).0);
}

/// Few points and many steps overfit. The flow that is kept is the best on the held-out points, and
/// its reported figures are those of the density.
#[test]
fn the_best_on_held_out_points_is_kept() {
    let (points, held_out) = (normals(2 * 30, 1), normals(2 * 40, 2));
    let mut rng = Streams::new(4).rng(Phase::DEFORM, 0);
    let options = FlowOptions::default();
    let flow = coupling_flow(2, &draw_mixing(2, 2, &mut rng), &options).unwrap();
    let start = flow.init(&mut rng);
    let data = FlowData {
        context: 0,
        points: &points,
        held_out: &held_out,
    };
    let options = FlowTrainOptions {
        steps: 1_000,
        weight_decay: 0.0,
        learning_rate: 1e-2,
        check_every: 5,
        ..FlowTrainOptions::default()
    };
    let mut calls = 0;
    let (params, report) = fit_flow(&flow, &start, data, &options, Streams::new(5), |done| {
        calls += 1;
        assert_eq!(done, calls);
    })
    .unwrap();
    assert_eq!(report.steps, report.best_step + 50);
    assert!(report.steps < 1_000 && calls == report.steps);
    assert!(report.log_likelihood >= report.start_log_likelihood);
    let density = FlowDensity::new(&flow, 0).unwrap();
    let mean = |rows: &[f64]| moments(&density.log_density(&params, rows).unwrap()).0;
    assert!((mean(&held_out) - report.log_likelihood).abs() < 1e-12);
    assert!((mean(&points) - report.train_log_likelihood).abs() < 1e-12);
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let flow = DiagonalAffine::new(2);
    let error =
        |start: &[f64], points: &[f64], context: usize, change: fn(&mut FlowTrainOptions)| {
            let mut options = FlowTrainOptions::default();
            change(&mut options);
            let data = FlowData {
                context,
                points,
                held_out: &[],
            };
            let fit = fit_flow(&flow, start, data, &options, Streams::new(5), |_| ());
            fit.err().unwrap().to_string()
        };
    let (start, points) = ([0.0; 4], [1.0, 2.0, 3.0, 4.0]);
    assert!(error(&start, &[], 0, |_| ()).contains("points"));
    assert!(error(&start, &points[..3], 0, |_| ()).contains("rows of 2 numbers"));
    assert!(error(&start[..3], &points, 0, |_| ()).contains("4 parameters"));
    assert!(error(&start, &points, 2, |_| ()).contains("context"));
    let said = error(&start, &[1.0, f64::NAN], 0, |_| ());
    assert!(
        said.contains("training of the flow cannot start (1 gradient)"),
        "{said}"
    );
    assert!(error(&start, &points, 0, |o| o.batch_rows = 0).contains("batch_rows"));
    assert!(error(&start, &points, 0, |o| o.clip_norm = Some(0.0)).contains("clip_norm"));
    assert!(error(&start, &points, 0, |o| o.learning_rate = f64::NAN).contains("learning_rate"));
    assert!(error(&start, &points, 0, |o| o.weight_decay = -1.0).contains("weight_decay"));
}

/// A framed flow of splines is a bijection, as one of affine layers is, and is no worse than the
/// Gaussian it starts from.
#[test]
fn a_framed_flow_of_splines() {
    let (dim, each) = (6, 4);
    let points = normals(200 * dim, 1);
    let walk = Walk {
        dim,
        steps: 1,
        particle: (0..200).map(|i| i / each).collect(),
        energies: vec![0.0; 200],
        points,
        ..Walk::<f64>::default()
    };
    let options = TrainOptions {
        kind: SPLINE,
        blocks: 1,
        steps: 40,
        ..TrainOptions::default()
    };
    let directions = normals(3 * dim, 2);
    let (flow, report) = train(
        walk.points_of().unwrap(),
        dim,
        &directions,
        &options,
        Streams::new(3),
        |_| (),
    )
    .unwrap();
    assert_eq!(flow.kind(), SPLINE);
    assert!(report.log_likelihood >= report.gaussian_log_likelihood);
    let z = normals(50 * dim, 4);
    let (theta, log_det) = flow.forward(&z).unwrap();
    let (back, inverse) = flow.inverse(&theta).unwrap();
    for (a, b) in back.iter().zip(&z) {
        assert!((a - b).abs() < 1e-9);
    }
    for (a, b) in log_det.iter().zip(&inverse) {
        assert!((a + b).abs() < 1e-9);
    }
}
