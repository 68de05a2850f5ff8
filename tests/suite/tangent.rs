//! The tangent walk where the fiber is known: a linear model with more parameters than rows.

use fiberwalk::curvature::{GgnOperator, TangentOptions, TangentSpace};
use fiberwalk::linalg::vector::{dot, norm};
use fiberwalk::linalg::{Cholesky, orthonormal_rows, project_out};
use fiberwalk::walk::{
    FrameOptions, FrameSource, GgnFrame, Kernel, Tangent, TangentWalkOptions, Walk, WalkOptions,
    walk, whitened_space,
};
use fiberwalk::{
    Activation, Gaussian, IsotropicGaussian, Mlp, Network, Phase, PosteriorDensity, Streams,
};

use crate::common::normals;

const ROWS: usize = 5;
const D: usize = 11;
const NOISE: f64 = 0.2;
const ALPHA: f64 = 0.5;

/// `y = w x + b` with 12 parameters and 5 rows, and the mode in closed form.
struct Linear {
    posterior: PosteriorDensity<f64>,
    /// Rows `[x, 1]` in the order of the parameters.
    features: Vec<f64>,
    mode: Vec<f64>,
}

fn linear() -> Linear {
    let (x, y) = (normals(ROWS * D, 1), normals(ROWS, 2));
    let net = Mlp::new(&[D, 1], Activation::Identity).unwrap();
    let (likelihood, prior) = (Gaussian::new(NOISE).unwrap(), IsotropicGaussian::new(ALPHA));
    let posterior = PosteriorDensity::new(&net, &likelihood, &prior.unwrap(), &x, &y).unwrap();
    let dim = D + 1;
    assert_eq!(net.dim(), dim);
    let features: Vec<f64> = x
        .chunks_exact(D)
        .flat_map(|row| row.iter().copied().chain([1.0]))
        .collect();
    // (Phi^T Phi / noise^2 + alpha) mode = Phi^T y / noise^2
    let mut a = vec![0.0; dim * dim];
    let mut mode = vec![0.0; dim];
    for (row, y) in features.chunks_exact(dim).zip(&y) {
        for i in 0..dim {
            mode[i] += row[i] * y / (NOISE * NOISE);
            for j in 0..dim {
                a[i * dim + j] += row[i] * row[j] / (NOISE * NOISE);
            }
        }
    }
    (0..dim).for_each(|i| a[i * dim + i] += ALPHA);
    Cholesky::new(&a, dim).unwrap().solve(&mut mode);
    Linear {
        posterior,
        features,
        mode,
    }
}

fn kernel(problem: &Linear, start: &[f64], step_size: f64, streams: Streams) -> Tangent<f64> {
    let options = TangentOptions {
        tolerance: 1e-12,
        ..TangentOptions::default()
    };
    let space = whitened_space(&problem.posterior, start, None, &options, streams).unwrap();
    assert!(space.is_complete() && space.normal_dim() == ROWS);
    let settings = TangentWalkOptions {
        step_size,
        renew_every: 7,
        ..TangentWalkOptions::scaled(&space, &options, 1, f64::INFINITY)
    };
    Tangent::new(settings, vec![(start.to_vec(), space)], streams).unwrap()
}

fn walked(problem: &Linear, start: &[f64], steps: usize) -> Walk<f64> {
    let streams = Streams::new(4);
    let mut kernel = kernel(problem, start, 0.1, streams);
    let options = WalkOptions {
        particles: 16,
        steps: Some(steps),
        keep: 2,
        ..WalkOptions::default()
    };
    walk(
        &mut kernel,
        &problem.posterior,
        &[start.to_vec()],
        &options,
        streams,
    )
    .unwrap()
}

/// The fiber is the mode plus the directions that the rows do not see. So predictions of the
/// training rows stay those of the mode.
#[test]
fn it_stays_on_the_affine_fiber() {
    let problem = linear();
    let dim = D + 1;
    // also from a point off the fiber: the first step returns to it
    let mut beside = problem.mode.clone();
    beside
        .iter_mut()
        .zip(normals(dim, 3))
        .for_each(|(t, n)| *t += n);
    for start in [&problem.mode, &beside] {
        let walked = walked(&problem, start, 40);
        assert_eq!(walked.len(), 32);
        for i in 0..walked.len() {
            for row in problem.features.chunks_exact(dim) {
                let (got, want) = (dot(row, walked.point(i).unwrap()), dot(row, &problem.mode));
                assert!((got - want).abs() < 1e-8, "{got} against {want}");
            }
        }
        let off = walked.sampling.mean_fiber_distance().unwrap();
        assert!(off < 1e-8, "{off}");
        assert_eq!(walked.total().divergences, 0);
    }
}

/// On a flat fiber the path is straight. Its length is `eps` times the number of steps, in units of
/// the prior's standard deviation, also when the frame is renewed on the way.
#[test]
fn its_path_is_a_line_of_the_length_that_it_says() {
    let problem = linear();
    let walked = walked(&problem, &problem.mode, 40);
    for distance in &walked.distances {
        let want = 0.1 * 40.0 / ALPHA.sqrt();
        assert!((distance - want).abs() < 1e-8, "{distance} against {want}");
    }
    // directions of the tangent space, uniform: their projections on the rows vanish, and no two
    // particles have the same
    let mut rows = problem.features.clone();
    assert_eq!(orthonormal_rows(&mut rows, D + 1), ROWS);
    let direction = |i: usize| -> Vec<f64> {
        let point = walked.point(16 + i).unwrap();
        point
            .iter()
            .zip(&problem.mode)
            .map(|(p, m)| p - m)
            .collect()
    };
    for i in 0..16 {
        let mut v = direction(i);
        let length = norm(&v);
        project_out(&rows, &mut v);
        assert!((norm(&v) - length).abs() < 1e-8);
        assert!(dot(&v, &direction((i + 1) % 16)) / (length * length) < 0.999);
    }
}

/// `eps` is the radius of the prior in the free directions, divided by the number of steps.
#[test]
fn its_radius_is_that_of_the_prior_in_the_free_directions() {
    let problem = linear();
    let options = TangentOptions::default();
    let streams = Streams::new(0);
    let space = whitened_space(&problem.posterior, &problem.mode, None, &options, streams).unwrap();
    let settings = TangentWalkOptions::scaled(&space, &options, 50, 1.0);
    let free = (D + 1) as f64 - space.effective_dimension();
    assert!(free > 7.0 - 1e-9 && free < 7.5, "{free}");
    assert!((settings.step_size * 50.0 - free.sqrt()).abs() < 1e-12);
}

/// If one number is the prior, one tangent space also serves whitened coordinates and the first
/// frame of a walk. It need not be computed again.
#[test]
fn one_space_serves_whitened_walks_and_their_frame() {
    let problem = linear();
    let streams = Streams::new(3);
    let options = TangentOptions {
        tolerance: 1e-12,
        ..TangentOptions::default()
    };
    let mut op = GgnOperator::new(&problem.posterior, &problem.mode).unwrap();
    let space = TangentSpace::new(&mut op, ALPHA, &options, streams).unwrap();
    let white = space.whitened();
    let want = whitened_space(&problem.posterior, &problem.mode, None, &options, streams).unwrap();
    assert_eq!(white.prior_precision(), 1.0);
    assert!((white.effective_dimension() - want.effective_dimension()).abs() < 1e-9);
    for (a, b) in white.values().iter().zip(want.values()) {
        assert!((a - b).abs() < 1e-9 * b, "{a} {b}");
    }
    let frame = FrameOptions {
        tolerance: 1e-12,
        ..FrameOptions::default()
    };
    let source = GgnFrame::new(&problem.posterior, &frame, streams).unwrap();
    let known = source.known(&white).unwrap().unwrap();
    let computed = source.frame(&[&problem.mode], None).unwrap();
    assert_eq!(known.directions(), computed.directions());
    let (v, mut scratch) = (normals(D + 1, 5), vec![0.0; known.directions()]);
    let [a, b] = [&known, &computed].map(|frame| {
        let mut out = vec![0.0; D + 1];
        frame.apply(&v, &mut out, &mut scratch).unwrap();
        out
    });
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() < 1e-8, "{a} {b}");
    }
    // a space that may lack directions gives no frame
    let (values, basis) = (
        white.values()[..2].to_vec(),
        white.basis()[..2 * (D + 1)].to_vec(),
    );
    let part = TangentSpace::from_parts(D + 1, values, basis, 1.0, false).unwrap();
    assert!(source.known(&part).unwrap().is_none());
}

#[test]
fn settings_are_checked_and_bad_starts_are_refused() {
    let problem = linear();
    let streams = Streams::new(0);
    let good = kernel(&problem, &problem.mode, 0.1, streams);
    let options = good.options().clone();
    for bad in [
        TangentWalkOptions {
            step_size: -1.0,
            ..options.clone()
        },
        TangentWalkOptions {
            corrections: 0,
            ..options.clone()
        },
        TangentWalkOptions {
            renew_every: 0,
            ..options.clone()
        },
        TangentWalkOptions {
            max_energy: f64::NAN,
            ..options
        },
    ] {
        assert!(Tangent::<f64>::new(bad, Vec::new(), streams).is_err());
    }
    let mut ws = good.workspace(&problem.posterior);
    let mut rng = streams.rng(Phase::WALK, 0);
    for start in [vec![0.0; 3], vec![f64::NAN; D + 1]] {
        let state = good.init(&problem.posterior, &start, &mut rng, &mut ws);
        assert!(state.is_err());
    }
}
