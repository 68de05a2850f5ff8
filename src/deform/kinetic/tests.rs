//! There and back, the change of volume, densities that integrate to one, and what layers are for.

use super::*;
use crate::model::{Gaussian, IsotropicGaussian, PosteriorDensity};
use crate::nn::{Activation, Mlp};
use crate::rng::{Phase, Streams, fill_normal};
use crate::testing::{Banana, GaussianDensity, KnownDensity, log_abs_det};
use crate::walk::normalise;

fn normals(count: usize, scale: f64, index: u64) -> Vec<f64> {
    let mut all = vec![0.0; count];
    fill_normal(&mut Streams::new(3).rng(Phase::USER, index), &mut all);
    all.iter().map(|x| x * scale).collect()
}

fn unit(count: usize, index: u64) -> Vec<f64> {
    let mut u = normals(count, 1.0, index);
    normalise(&mut u);
    u
}

/// 1-3-1 tanh on nine points of a sine: 10 parameters.
fn network() -> PosteriorDensity<f64> {
    let network = Mlp::new(&[1, 3, 1], Activation::Tanh).unwrap();
    let x: Vec<f64> = (-4..=4).map(|i| 0.5 * f64::from(i)).collect();
    let y: Vec<f64> = x.iter().map(|x| (1.5 * x).sin()).collect();
    let (likelihood, prior) = (Gaussian::new(0.2), IsotropicGaussian::new(2.0));
    PosteriorDensity::new(&network, &likelihood.unwrap(), &prior.unwrap(), &x, &y).unwrap()
}

/// The prior's coordinates, and a frame of three directions.
fn masses() -> [InverseMassMatrix<f64>; 2] {
    let mut basis = normals(30, 1.0, 7);
    crate::linalg::orthonormal_rows(&mut basis, 10);
    let precision = [2.0; 10];
    [
        InverseMassMatrix::diagonal(&precision).unwrap(),
        InverseMassMatrix::new(&precision, &[900.0, 50.0, 4.0], &basis, 0.01).unwrap(),
    ]
}

/// Step lengths that differ, so that an inverse in the wrong order fails.
fn lengths(layers: usize, size: f64) -> Vec<f64> {
    (0..layers)
        .map(|k| size * (1.0 + 0.5 * (k as f64).sin()))
        .collect()
}

/// An inverse that forgets to turn the velocity, takes the lengths in the wrong order, or uses the
/// gradient of the other end is off by the size of a step.
#[test]
fn deep_chains_come_back() {
    let density = network();
    for mass in masses() {
        for layers in [0, 1, 64] {
            let kinetic = Kinetic::new(mass.clone(), lengths(layers, 0.1)).unwrap();
            let mut ws = kinetic.workspace(&density);
            let (theta, u) = (normals(10, 0.7, 1), unit(10, 2));
            let (mut t, mut v) = (theta.clone(), u.clone());
            let there = kinetic.forward(&density, &mut t, &mut v, &mut ws).unwrap();
            let moved: f64 = t.iter().zip(&theta).map(|(a, b)| (a - b).abs()).sum();
            assert_eq!(moved > 0.05, layers > 0);
            assert!((crate::linalg::vector::norm(&v) - 1.0).abs() < 1e-9);
            let halvings = &there.halvings;
            let back = kinetic.inverse(&density, &mut t, &mut v, halvings, &mut ws);
            let back = back.unwrap();
            for (a, b) in t.iter().zip(&theta).chain(v.iter().zip(&u)) {
                assert!((a - b).abs() < 1e-6, "{layers}: {a} {b}");
            }
            assert!((there.log_det + back.log_det).abs() < 1e-6);
            assert!((there.energy_error() + back.energy_error()).abs() < 1e-6);
        }
    }
}

/// With a small tolerance layers are halved, by other numbers for other draws, no step errs by more
/// than the tolerance, and the passage inverts with the halvings that it records. With other
/// halvings it does not. (From draw 1 the first kicks turn the velocity into the force by a factor
/// `e^{300}`, more than rounding can undo, so it is left out.)
#[test]
fn halved_layers_come_back() {
    let density = network();
    let mass = masses()[0].clone();
    let tolerance = 0.002;
    let kinetic = Kinetic::new(mass, lengths(64, 0.05)).unwrap();
    assert!(kinetic.clone().with_tolerance(f64::NAN).is_err());
    let kinetic = kinetic.with_tolerance(tolerance).unwrap();
    let mut ws = kinetic.workspace(&density);
    let mut seen = Vec::new();
    for k in [0, 2, 3] {
        let (theta, u) = (normals(10, 0.7, 50 + k), unit(10, 60 + k));
        let (mut t, mut v) = (theta.clone(), u.clone());
        let there = kinetic.forward(&density, &mut t, &mut v, &mut ws).unwrap();
        // 64 layers of 2^j steps each
        let steps: usize = there.halvings.iter().map(|&j| 1 << j).sum();
        assert!(there.energy_error().abs() <= tolerance * steps as f64);
        assert!(there.gradients > steps);
        let end = (t.clone(), v.clone());
        let halvings = &there.halvings;
        let back = kinetic.inverse(&density, &mut t, &mut v, halvings, &mut ws);
        assert_eq!(&back.unwrap().halvings, halvings);
        let off = |t: &[f64]| crate::linalg::vector::distance(t, &theta);
        assert!(off(&t) < 1e-6, "{}", off(&t));
        let wrong: Vec<u8> = halvings.iter().map(|j| j + 1).collect();
        let (mut t, mut v) = end;
        let back = kinetic.inverse(&density, &mut t, &mut v, &wrong, &mut ws);
        assert!(back.is_ok() && off(&t) > 1e-3, "{}", off(&t));
        let short = kinetic.inverse(&density, &mut t, &mut v, &wrong[1..], &mut ws);
        assert!(short.is_err());
        seen.push(there.halvings);
    }
    assert!(seen.iter().any(|h| h.iter().max() > Some(&1)), "{seen:?}");
    assert!(seen.iter().any(|h| h.iter().min() == Some(&0)), "{seen:?}");
    assert_ne!(seen[0], seen[1]);
}

/// An orthonormal basis of the plane orthogonal to `u`, `[n - 1, n]`.
fn tangent(u: &[f64]) -> Vec<f64> {
    let n = u.len();
    let mut rows = u.to_vec();
    rows.extend(normals(n * (n - 1), 1.0, 11));
    crate::linalg::orthonormal_rows(&mut rows, n);
    rows[n..].to_vec()
}

/// `log |det|` of the map on `R^P x S^{P-1}`, by central differences along `P` coordinates and
/// `P - 1` tangents.
fn dense(kinetic: &Kinetic<f64>, density: &PosteriorDensity<f64>, theta: &[f64], u: &[f64]) -> f64 {
    let n = theta.len();
    let size = 2 * n - 1;
    let mut ws = kinetic.workspace(density);
    let mut run = |theta: &[f64], u: &[f64]| {
        let (mut t, mut v) = (theta.to_vec(), u.to_vec());
        normalise(&mut v);
        kinetic.forward(density, &mut t, &mut v, &mut ws).unwrap();
        (t, v)
    };
    let (from, to) = (tangent(u), tangent(&run(theta, u).1));
    let mut jacobian = vec![0.0; size * size];
    let h = 1e-5;
    for c in 0..size {
        let mut ends = Vec::new();
        for sign in [-h, h] {
            let (mut t, mut v) = (theta.to_vec(), u.to_vec());
            match c < n {
                true => t[c] += sign,
                false => (0..n).for_each(|i| v[i] += sign * from[(c - n) * n + i]),
            }
            let (t, v) = run(&t, &v);
            let along = to
                .chunks_exact(n)
                .map(|row| crate::linalg::vector::dot(row, &v));
            ends.push(t.iter().copied().chain(along).collect::<Vec<f64>>());
        }
        for r in 0..size {
            jacobian[r * size + c] = (ends[1][r] - ends[0][r]) / (2.0 * h);
        }
    }
    log_abs_det(jacobian, size)
}

/// The error of central differences is of order `h^2 = 1e-10` times third derivatives, and
/// `1e-16 / h` from rounding. Where forces are steep, third derivatives reach 1e4. A wrong sign is
/// off by nats, and a missing kick or `P` for `P - 1` by a tenth of that.
#[test]
fn the_log_determinant_is_that_of_the_dense_jacobian() {
    let density = network();
    for mass in masses() {
        for (layers, index) in [(1, 20), (1, 30), (5, 40)] {
            let kinetic = Kinetic::new(mass.clone(), lengths(layers, 0.2)).unwrap();
            let (theta, u) = (normals(10, 0.7, index), unit(10, index + 1));
            let want = dense(&kinetic, &density, &theta, &u);
            let (mut t, mut v) = (theta, u);
            let mut ws = kinetic.workspace(&density);
            let got = kinetic.forward(&density, &mut t, &mut v, &mut ws).unwrap();
            let got = got.log_det;
            assert!((got - want).abs() < 1e-5, "{layers}: {got} against {want}");
            assert!(want.abs() > 0.1, "{want}: too small to tell signs apart");
            // the wrong control
            assert!((-got - want).abs() > 0.1);
        }
    }
}

/// `q(theta, phi) = N(theta_0; 0, I) / (2 pi) / |det|` over the plane and the circle. A grid that
/// covers seven standard deviations gives 0.99993 in a separate program, and the same with finer
/// ones: far out, kicks crowd the directions, and 48 angles resolve that to 1e-4.
#[test]
fn a_density_in_the_plane_integrates_to_one() {
    let density = Banana::new(1.5, 0.3, 1.0).unwrap();
    let mass = InverseMassMatrix::diagonal(&[1.0, 1.0]).unwrap();
    let kinetic = Kinetic::new(mass, lengths(4, 0.15)).unwrap();
    let mut ws = kinetic.workspace(&density);
    let mut mass = |sign: f64| {
        let (cells, angles, side) = (60, 48, 7.0);
        let h = 2.0 * side / f64::from(cells);
        let mut sum = 0.0;
        for i in 0..cells * cells {
            let at = |k: i32| -side + (f64::from(k) + 0.5) * h;
            for k in 0..angles {
                let phi = std::f64::consts::TAU * f64::from(k) / f64::from(angles);
                let (mut t, mut v) = (
                    vec![at(i / cells), at(i % cells)],
                    vec![phi.cos(), phi.sin()],
                );
                let back = kinetic.inverse(&density, &mut t, &mut v, &[0; 4], &mut ws);
                let back = back.unwrap();
                let log = -0.5 * (t[0] * t[0] + t[1] * t[1]) + sign * back.log_det;
                sum += log.exp() * h * h / std::f64::consts::TAU / f64::from(angles);
            }
        }
        sum
    };
    let (right, wrong) = (mass(1.0), mass(-1.0));
    assert!((right - 1.0).abs() < 1e-3, "{right}");
    assert!((wrong - 1.0).abs() > 0.02, "{wrong}: the wrong sign passes");
}

/// Draws of the target stay draws of the target, up to the error of the steps; draws from elsewhere
/// take its energy. `U` has mean `P / 2` and variance `P / 2`.
#[test]
fn draws_of_the_target_stay_and_others_come() {
    let (dim, n) = (20, 400);
    let mut covariance = vec![0.0; dim * dim];
    for i in 0..dim {
        covariance[i * dim + i] = if i < 10 { 1.0 } else { 0.25 };
    }
    let density = GaussianDensity::new(vec![0.0; dim], covariance).unwrap();
    let constant = {
        let at = LogDensity::<f64>::log_density(
            &density,
            &vec![0.0; dim],
            &mut LogDensity::<f64>::workspace(&density),
        );
        at.unwrap()
    };
    let mass = InverseMassMatrix::<f64>::diagonal(&vec![1.0; dim]).unwrap();
    let run = |scale: f64| {
        let starts = (0..n).flat_map(|i| {
            let mut rng = Streams::new(5).rng(Phase::USER, i);
            let draw = KnownDensity::<f64>::draw(&density, &mut rng);
            draw.into_iter().map(move |x| scale * x)
        });
        let starts: Vec<f64> = starts.collect();
        let mut energies = Vec::new();
        let options = TuneOptions {
            layers: 60,
            ..TuneOptions::default()
        };
        let tuned = tune_layers(
            mass.clone(),
            &density,
            &starts,
            &options,
            Streams::new(1),
            |_, rows| {
                let sum: f64 = rows.map(|(_, u)| u + constant).sum();
                energies.push(sum / n as f64);
                Ok(true)
            },
        );
        (tuned.unwrap(), energies)
    };
    // 5 standard errors of the mean: 5 (10 / 400)^{1/2} = 0.8
    let (kinetic, stay) = run(1.0);
    assert!(stay.iter().all(|u| (u - 10.0).abs() < 0.8), "{stay:?}");
    assert_eq!((stay.len(), kinetic.steps().len()), (13, 60));
    // steps of the length that the walk finds: errors of 5e-4 a dimension
    let mut ws = kinetic.workspace(&density);
    let steps = kinetic.steps();
    assert!(steps.iter().all(|s| (0.3..3.0).contains(s)), "{steps:?}");
    for i in 0..5 {
        let mut rng = Streams::new(9).rng(Phase::USER, i);
        let mut theta = KnownDensity::<f64>::draw(&density, &mut rng);
        let passage = kinetic
            .carry(&density, &mut theta, &mut rng, &mut ws)
            .unwrap();
        // 60 errors of (5e-4 x 20)^{1/2} = 0.1 that partly cancel
        assert!(passage.energy_error().abs() < 3.0);
    }
    // From a narrow and from a wide start: energies swing around that of the target, since without
    // refreshment two frequencies stay in step. Their mean over the second half is a fifth to a
    // third of the distance at the start; a map that keeps energies would leave all of it.
    for scale in [0.5, 2.0] {
        let (_, come) = run(scale);
        let later = come[7..].iter().sum::<f64>() / 6.0;
        let (first, later) = (come[0] - 10.0, later - 10.0);
        assert!(later.abs() < 0.4 * first.abs(), "{scale}: {first} {later}");
    }
}

/// The weight of a draw changes by `-W` only: `E_q0[e^{-W} p / q0] = 1` whatever the steps.
#[test]
fn weights_are_unbiased_through_layers() {
    let density = Banana::default();
    let mass = InverseMassMatrix::<f64>::diagonal(&[1.0, 1.0]).unwrap();
    let kinetic = Kinetic::new(mass, vec![0.3; 3]).unwrap();
    let mut ws = kinetic.workspace(&density);
    let n = 40_000;
    let mut weights = Vec::with_capacity(n);
    for i in 0..n {
        // q0 = N((0, 1), 4 I), wider than the banana
        let mut rng = Streams::new(2).rng(Phase::USER, i as u64);
        let mut theta = vec![0.0f64; 2];
        fill_normal(&mut rng, &mut theta);
        let log_q =
            -0.5 * (theta[0].powi(2) + theta[1].powi(2)) - (8.0 * std::f64::consts::PI).ln();
        theta = vec![2.0 * theta[0], 1.0 + 2.0 * theta[1]];
        let passage = kinetic
            .carry(&density, &mut theta, &mut rng, &mut ws)
            .unwrap();
        weights.push((passage.log_det - passage.energies[1] - log_q).exp());
    }
    let mean = weights.iter().sum::<f64>() / n as f64;
    let squares: f64 = weights.iter().map(|w| (w - mean).powi(2)).sum();
    let error = (squares).sqrt() / n as f64;
    assert!(
        (mean - 1.0).abs() < 5.0 * error && error < 0.02,
        "{mean} +- {error}"
    );
}

#[test]
fn bad_input_is_refused() {
    let mass = InverseMassMatrix::<f64>::diagonal(&[1.0; 3]).unwrap();
    assert!(Kinetic::new(InverseMassMatrix::<f64>::diagonal(&[1.0]).unwrap(), vec![]).is_err());
    for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            Kinetic::new(mass.clone(), vec![0.1, step]).is_err(),
            "{step}"
        );
    }
    let kinetic = Kinetic::new(mass.clone(), vec![0.1]).unwrap();
    let density = GaussianDensity::standard(3).unwrap();
    let mut ws = kinetic.workspace(&density);
    let mut go = |t: usize, v: usize| {
        let (mut t, mut v) = (vec![0.5; t], vec![0.5; v]);
        kinetic.forward(&density, &mut t, &mut v, &mut ws).is_ok()
    };
    assert_eq!([go(3, 3), go(2, 3), go(3, 4)], [true, false, false]);
    let streams = Streams::new(0);
    let tune = |rows: usize, options: &TuneOptions| {
        let rows = vec![0.5; rows];
        tune_layers(mass.clone(), &density, &rows, options, streams, |_, _| {
            Ok(true)
        })
        .is_ok()
    };
    let defaults = TuneOptions::default();
    assert!(tune(6, &defaults) && !tune(0, &defaults) && !tune(4, &defaults));
    let negative = TuneOptions {
        target_error: -1.0,
        ..TuneOptions::default()
    };
    assert!(!tune(6, &negative));
}
