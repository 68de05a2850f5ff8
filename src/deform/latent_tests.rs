//! A latent model against principal component analysis, on a plane and on a curved surface.

use super::*;
use crate::linalg::orthonormal_rows;

const DIM: usize = 12;

fn normals(count: usize, index: u64) -> Vec<f64> {
    let mut all = vec![0.0; count];
    fill_normal(&mut Streams::new(4).rng(Phase::USER, index), &mut all);
    all
}

/// Points `a_1 e_1 + a_2 e_2 + bend (a_1^2 - 1) e_3` in an orthonormal frame, 8 of each of 20
/// walkers, with a little noise.
fn surface(bend: f64) -> (Vec<f64>, Vec<usize>, Vec<f64>) {
    let mut frame = normals(3 * DIM, 1);
    orthonormal_rows(&mut frame, DIM);
    let n = 160;
    let (a, noise) = (normals(2 * n, 2), normals(n * DIM, 3));
    let mut points = Vec::new();
    for (a, noise) in a.chunks_exact(2).zip(noise.chunks_exact(DIM)) {
        let along = [a[0], 0.8 * a[1], bend * (a[0] * a[0] - 1.0)];
        for (j, e) in noise.iter().enumerate() {
            let on: f64 = (0..3).map(|i| along[i] * frame[i * DIM + j]).sum();
            points.push(on + 0.02 * e);
        }
    }
    (points, (0..n).map(|i| i / 8).collect(), frame)
}

fn options() -> LatentOptions {
    LatentOptions {
        codes: 2,
        directions: 6,
        ..LatentOptions::default()
    }
}

fn fitted(bend: f64, steps: usize) -> (Latent<f64>, LatentReport, Vec<f64>) {
    let (points, particles, frame) = surface(bend);
    let of = PointsOf::new(&points, DIM, &particles).unwrap();
    let options = LatentOptions { steps, ..options() };
    let (latent, report) = fit_latent(of, &options, Streams::new(1), |_| ()).unwrap();
    (latent, report, frame)
}

/// Without a step the model is principal component analysis: the error is the mean square of the
/// coordinates that the code leaves out, computed here from the frame alone.
#[test]
fn without_training_it_is_principal_component_analysis() {
    let (points, particles, _) = surface(0.7);
    let (_, report, _) = fitted(0.7, 0);
    let of = PointsOf::new(&points, DIM, &particles).unwrap();
    let (training, held_out, walkers) = split_by_walker(of.particles()).unwrap();
    let order: Vec<usize> = (0..DIM).collect();
    let gathered = |rows: &[usize]| gather(of, rows, &order).unwrap();
    let frame = FrameOptions {
        directions: 6,
        ..FrameOptions::default()
    };
    let frame = Frame::principal(&gathered(&training), DIM, walkers, &frame).unwrap();
    let rows = gathered(&held_out);
    let left: Vec<f64> = rows
        .chunks_exact(DIM)
        .map(|row| frame.coordinates(row).0[2..].iter().map(|g| g * g).sum())
        .collect();
    let want = left.iter().sum::<f64>() / (left.len() * 6) as f64;
    assert!(
        (report.linear_error - want).abs() < 1e-12,
        "{report:?} {want}"
    );
    assert_eq!((report.error, report.best_step), (report.linear_error, 0));
    assert_eq!(report.sizes, [6, 2]);
}

/// On a bent surface two numbers hold nearly all, but not linearly; on a plane training has nothing
/// to gain beyond the noise.
#[test]
fn training_bends_where_the_points_do() {
    let (_, bent, _) = fitted(0.7, 2_000);
    assert!(bent.error < 0.3 * bent.linear_error, "{bent:?}");
    let (_, flat, _) = fitted(0.0, 2_000);
    assert!(flat.error <= flat.linear_error);
    assert!(flat.error > 0.5 * flat.linear_error, "{flat:?}");
}

/// Decoded draws lie on the surface, and have its mean and covariance there. Draws of a linear code
/// are off by the bend, whose root mean square is `0.7 2^{1/2}`.
#[test]
fn draws_lie_on_the_surface() {
    let off = |steps: usize| {
        let (latent, _, frame) = fitted(0.7, steps);
        let draws = latent.sample(4_000, Streams::new(3)).unwrap();
        let (mut square, mut first) = (0.0, Vec::new());
        for row in draws.chunks_exact(DIM) {
            let along = |i: usize| -> f64 {
                let axis = &frame[i * DIM..(i + 1) * DIM];
                axis.iter().zip(row).map(|(a, b)| a * b).sum()
            };
            let (a, c) = (along(0), along(2));
            square += (c - 0.7 * (a * a - 1.0)).powi(2) / 4_000.0;
            first.push(a);
        }
        let mean = first.iter().sum::<f64>() / 4_000.0;
        let variance = first.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / 4_000.0;
        (square.sqrt(), mean, variance)
    };
    let (trained, mean, variance) = off(2_000);
    let (linear, ..) = off(0);
    assert!(trained < 0.4 * linear, "{trained} {linear}");
    // 160 points: errors of a mean are 0.08, of a variance 0.11
    assert!(
        mean.abs() < 0.3 && (variance - 1.0).abs() < 0.4,
        "{mean} {variance}"
    );
}

#[test]
fn draws_depend_on_the_seed_alone_and_bad_input_is_refused() {
    let (latent, ..) = fitted(0.3, 40);
    let draw = |n: usize| latent.sample(n, Streams::new(9)).unwrap();
    assert_eq!(draw(3), draw(5)[..3 * DIM]);
    assert!(latent.sample(0, Streams::new(9)).is_err());
    let (points, particles, _) = surface(0.0);
    let refused = |options: LatentOptions, particles: &[usize]| {
        let of = PointsOf::new(&points, DIM, particles).unwrap();
        fit_latent(of, &options, Streams::new(0), |_| ()).is_err()
    };
    for field in 0..4 {
        let mut bad = options();
        match field {
            0 => bad.codes = 0,
            1 => bad.directions = 0,
            2 => bad.hidden = 0,
            _ => bad.check_every = 0,
        }
        assert!(refused(bad, &particles), "{field}");
    }
    assert!(refused(options(), &[0; 160]));
    let one = LatentOptions {
        directions: 1,
        ..options()
    };
    assert!(refused(one, &particles));
}
