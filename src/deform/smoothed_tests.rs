//! The mixture against its definition, its moments, and weights that a mixture alone makes
//! unbiased.

use super::*;
use crate::linalg::orthonormal_rows;
use crate::rng::{Phase, Streams, fill_normal};
use crate::testing::log_abs_det;

const DIM: usize = 4;

fn normals(count: usize, index: u64) -> Vec<f64> {
    let mut all = vec![0.0; count];
    fill_normal(&mut Streams::new(8).rng(Phase::USER, index), &mut all);
    all
}

fn frame() -> Frame<f64> {
    let mut basis = normals(2 * DIM, 1);
    orthonormal_rows(&mut basis, DIM);
    let (mean, scale) = (vec![0.5, -1.0, 2.0, 0.0], vec![1.0, 0.5, 2.0, 1.5]);
    Frame::from_parts(mean, scale, basis, 0.7).unwrap()
}

fn mixture(width: f64) -> (Smoothed<f64>, Vec<f64>) {
    let points: Vec<f64> = normals(5 * DIM, 2).iter().map(|z| 1.5 * z).collect();
    (Smoothed::new(frame(), &points, width).unwrap(), points)
}

/// `F` as a dense matrix, column by column.
fn dense(frame: &Frame<f64>) -> Vec<f64> {
    let mean = frame.image(vec![0.0; DIM]);
    let mut matrix = vec![0.0; DIM * DIM];
    for c in 0..DIM {
        let mut unit = vec![0.0; DIM];
        unit[c] = 1.0;
        for (r, x) in frame.image(unit).iter().enumerate() {
            matrix[r * DIM + c] = x - mean[r];
        }
    }
    matrix
}

/// A point that is mapped there and back, and the volume of the map.
#[test]
fn the_frame_maps_there_and_back() {
    let frame = frame();
    for k in 0..4 {
        let z = normals(DIM, 10 + k);
        let back = frame.latent(&frame.image(z.clone()));
        assert!(distance(&z, &back) < 1e-12, "{z:?} {back:?}");
    }
    let volume = log_abs_det(dense(&frame), DIM);
    assert!((volume - frame.log_det()).abs() < 1e-10);
}

/// The density is the mean of Gaussian densities with covariance `s^2 F F^T`, written out. A shrink
/// that is forgotten, or a width in the wrong power, moves it by nats.
#[test]
fn the_density_is_that_of_the_mixture() {
    for width in [0.1, 0.6, 1.0f64] {
        let (smoothed, points) = mixture(width);
        let (matrix, mean) = (dense(&frame()), frame().image(vec![0.0; DIM]));
        let volume = log_abs_det(matrix.clone(), DIM) + DIM as f64 * width.ln();
        let keep = (1.0 - width * width).sqrt();
        for k in 0..5 {
            let x: Vec<f64> = points[k * DIM..(k + 1) * DIM].to_vec();
            let x: Vec<f64> = x
                .iter()
                .zip(normals(DIM, 30))
                .map(|(x, e)| x + 0.1 * e)
                .collect();
            let each = points.chunks_exact(DIM).map(|point| {
                let centre = point.iter().zip(&mean).map(|(p, m)| m + keep * (p - m));
                let off: Vec<f64> = x.iter().zip(centre).map(|(x, c)| x - c).collect();
                // F e = off, by the map's own inverse
                let moved: Vec<f64> = off.iter().zip(&mean).map(|(o, m)| o + m).collect();
                let e = frame().latent(&moved);
                let square: f64 = e.iter().map(|e| (e / width).powi(2)).sum();
                (-0.5 * square - volume - 0.5 * DIM as f64 * std::f64::consts::TAU.ln()).exp()
            });
            let want = (each.sum::<f64>() / 5.0).ln();
            let got = smoothed.log_density(&x).unwrap()[0];
            assert!((got - want).abs() < 1e-9, "{width}: {got} {want}");
        }
    }
}

/// In latent numbers the mean of draws is `(1 - s^2)^{1/2}` times that of the points, and their
/// variance `(1 - s^2) Var z_a + s^2`. Without the shrink the variance is too large by
/// `s^2 Var z_a`: 0.4 or more here, forty standard errors.
#[test]
fn draws_have_the_moments_of_the_points() {
    let width = 0.6;
    let (smoothed, points) = mixture(width);
    let n = 50_000;
    let (draws, log_det) = smoothed.forward(&normals(n * DIM, 3)).unwrap();
    let volume = log_abs_det(dense(&frame()), DIM) + DIM as f64 * width.ln();
    assert!(log_det.iter().all(|l| (l - volume).abs() < 1e-10));
    let column = |rows: &[f64], j: usize| -> (f64, f64) {
        let latents = rows.chunks_exact(DIM).map(|row| frame().latent(row)[j]);
        let z: Vec<f64> = latents.collect();
        let mean = z.iter().sum::<f64>() / z.len() as f64;
        let squares = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>();
        (mean, squares / z.len() as f64)
    };
    for j in 0..DIM {
        let ((mean, variance), (m, v)) = (column(&draws, j), column(&points, j));
        let (keep, add) = (1.0 - width * width, width * width);
        let want = (keep.sqrt() * m, keep * v + add);
        let error = (want.1 / n as f64).sqrt();
        assert!(
            (mean - want.0).abs() < 5.0 * error,
            "{j}: {mean} {}",
            want.0
        );
        let error = want.1 * (2.0 / n as f64).sqrt();
        assert!(
            (variance - want.1).abs() < 5.0 * error,
            "{j}: {variance} {}",
            want.1
        );
    }
    // row i goes through component i mod 5
    let centre = smoothed.forward(&[0.0; 7 * DIM]).unwrap().0;
    assert_eq!(centre[..DIM], centre[5 * DIM..6 * DIM]);
    assert_ne!(centre[..DIM], centre[DIM..2 * DIM]);
}

/// `E_q[p / q] = 1` with the density of the mixture. With that of the component that made the draw
/// it is 1 too, but these weights are less even: the density of a component is below the mean of all
/// at draws that others could have made.
#[test]
fn weights_with_the_density_of_the_mixture_are_unbiased_and_even() {
    let (smoothed, _) = mixture(0.8);
    let n = 20_000;
    let z = normals(n * DIM, 4);
    let (draws, log_det) = smoothed.forward(&z).unwrap();
    let log_q = smoothed.log_density(&draws).unwrap();
    // the Gaussian of the frame, half as wide
    let target = |row: &[f64]| {
        let far: f64 = frame().latent(row).iter().map(|z| (2.0 * z).powi(2)).sum();
        let volume = frame().log_det() - DIM as f64 * 2f64.ln();
        -0.5 * far - volume - 0.5 * DIM as f64 * std::f64::consts::TAU.ln()
    };
    let logs: Vec<f64> = draws.chunks_exact(DIM).map(target).collect();
    let moments = |log_q: &[f64]| {
        let weights = logs.iter().zip(log_q).map(|(p, q)| (p - q).exp());
        let weights: Vec<f64> = weights.collect();
        let mean = weights.iter().sum::<f64>() / n as f64;
        let squares: f64 = weights.iter().map(|w| (w - mean).powi(2)).sum();
        (mean, (squares / n as f64).sqrt())
    };
    let (mean, spread) = moments(&log_q);
    assert!(
        (mean - 1.0).abs() < 5.0 * spread / (n as f64).sqrt(),
        "{mean} {spread}"
    );
    let of_component = z.chunks_exact(DIM).zip(&log_det).map(|(z, log_det)| {
        let square: f64 = z.iter().map(|z| z * z).sum();
        -0.5 * square - log_det - 0.5 * DIM as f64 * std::f64::consts::TAU.ln()
    });
    let (_, uneven) = moments(&of_component.collect::<Vec<f64>>());
    assert!(uneven > 1.05 * spread, "{uneven} {spread}");
}

#[test]
fn bad_input_is_refused() {
    let points = normals(2 * DIM, 5);
    for width in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(Smoothed::new(frame(), &points, width).is_err(), "{width}");
    }
    assert!(Smoothed::new(frame(), &[], 0.5).is_err());
    assert!(Smoothed::new(frame(), &points[1..], 0.5).is_err());
    assert!(Smoothed::new(frame(), &[f64::NAN; DIM], 0.5).is_err());
    assert!(Smoothed::from_latents(frame(), vec![0.0; DIM + 1], 0.5).is_err());
    let smoothed = Smoothed::new(frame(), &points, 0.5).unwrap();
    assert!(smoothed.forward(&[0.0; DIM + 1]).is_err());
    assert!(smoothed.log_density(&[0.0; DIM - 1]).is_err());
    let flow = crate::deform::HiddenFlow::Smoothed(smoothed);
    let error = flow.inverse(&points).unwrap_err().to_string();
    assert!(error.contains("no inverse"), "{error}");
}
