//! Walks by minibatches on Bayesian linear regression, where the posterior is known.
//!
//! The tests measure how far off they are, and what their tuning does not see.

use fiberwalk::linalg::Cholesky;
use fiberwalk::linalg::vector::dot;
use fiberwalk::rng::fill_normal;
use fiberwalk::walk::{
    Batched, InverseMassMatrix, Microcanonical, MicrocanonicalOptions, Observable, Run, Walk,
    WalkOptions,
};
use fiberwalk::{
    Activation, Curved, Gaussian, IsotropicGaussian, LogDensity, Minibatch, Mlp, Phase,
    PosteriorDensity, Result, Streams,
};

const N: usize = 512;
const D: usize = 20;

/// The posterior `N(mean, precision^{-1})`, twice: evaluated on all rows and by batches.
struct Regression {
    whole: PosteriorDensity<f64>,
    data: Minibatch<f64>,
    mean: Vec<f64>,
    /// `[P, P]`.
    precision: Vec<f64>,
}

impl Regression {
    fn new() -> Self {
        let mut rng = Streams::new(8).rng(Phase::USER, 0);
        let (mut x, mut y) = (vec![0.0; N * D], vec![0.0; N]);
        fill_normal(&mut rng, &mut x);
        fill_normal(&mut rng, &mut y);
        for (row, y) in x.chunks(D).zip(&mut y) {
            *y += row[0] - 0.5 * row[1];
        }
        let net = Mlp::new(&[D, 1], Activation::Identity).unwrap();
        let (likelihood, prior) = (
            Gaussian::new(1.0).unwrap(),
            IsotropicGaussian::new(1.0).unwrap(),
        );
        let whole = PosteriorDensity::<f64>::new(&net, &likelihood, &prior, &x, &y).unwrap();
        let data = Minibatch::<f64>::new(&net, &likelihood, &prior, &x, &y).unwrap();
        let p = whole.dim();
        let (origin, mut precision) = (vec![0.0; p], Vec::new());
        let mut ws = whole.ggn_workspace();
        for i in 0..p {
            let (mut unit, mut row) = (vec![0.0; p], vec![0.0; p]);
            unit[i] = 1.0;
            whole
                .ggn_product(&origin, &unit, &mut row, &mut ws)
                .unwrap();
            row[i] += 1.0;
            precision.extend(row);
        }
        // the gradient at the origin is the precision times the mean
        let mut mean = vec![0.0; p];
        let mut ws = whole.workspace();
        whole
            .log_density_and_grad(&origin, &mut mean, &mut ws)
            .unwrap();
        Cholesky::new(&precision, p).unwrap().solve(&mut mean);
        Self {
            whole,
            data,
            mean,
            precision,
        }
    }

    fn kernel(&self, step_size: Option<f64>) -> Microcanonical<'static, f64> {
        let p = self.mean.len();
        let diagonal: Vec<f64> = (0..p).map(|i| self.precision[i * p + i]).collect();
        let options = MicrocanonicalOptions {
            step_size,
            decoherence_length: Some(0.5 * (p as f64).sqrt()),
            ..MicrocanonicalOptions::default()
        };
        let frame = InverseMassMatrix::diagonal(&diagonal).unwrap();
        Microcanonical::new(frame, &options).unwrap()
    }

    /// Walks in batches, or in all rows.
    fn walked(&self, step_size: Option<f64>, rows: Option<usize>, steps: usize) -> Walk<f64> {
        let options = WalkOptions {
            particles: 32,
            steps: Some(steps),
            keep: 1,
            ..WalkOptions::default()
        };
        let (starts, streams) = ([self.mean.clone()], Streams::new(4));
        match rows {
            None => {
                let mut kernel = self.kernel(step_size);
                let mut run = Run::new(&kernel, &self.whole, &starts, &options, streams).unwrap();
                while run.advance(&mut kernel, &self.whole, self).unwrap() {}
                run.finish()
            }
            Some(rows) => {
                let mut kernel = Batched::new(self.kernel(step_size), &self.data, rows).unwrap();
                let mut run = Run::new(&kernel, &self.data, &starts, &options, streams).unwrap();
                while run.advance(&mut kernel, &self.data, self).unwrap() {}
                run.finish()
            }
        }
    }

    /// By how much the walk's variance is too large, as a fraction.
    fn excess(&self, step_size: f64, rows: Option<usize>) -> f64 {
        let observed = self.walked(Some(step_size), rows, 4000).trace.observed;
        observed.iter().sum::<f64>() / observed.len() as f64 - 1.0
    }
}

impl Observable<f64> for Regression {
    fn len(&self) -> usize {
        1
    }
    /// `(theta - mean)^T precision (theta - mean) / P`: chi-square divided by its mean.
    fn observe(&self, theta: &[f64], out: &mut [f64]) -> Result<()> {
        let p = self.mean.len();
        let away: Vec<f64> = theta.iter().zip(&self.mean).map(|(a, b)| a - b).collect();
        let rows = self.precision.chunks(p);
        let image: Vec<f64> = rows.map(|row| dot(row, &away)).collect();
        out[0] = dot(&image, &away) / p as f64;
        Ok(())
    }
}

/// A batch's gradient is right on average, and its scatter goes as `count^{-1/2}`.
#[test]
fn a_batch_is_the_whole_on_average() {
    let of = Regression::new();
    let p = of.mean.len();
    let theta: Vec<f64> = of.mean.iter().map(|m| m + 0.02).collect();
    let (mut ws, mut want) = (of.whole.workspace(), vec![0.0; p]);
    let energy = -of
        .whole
        .log_density_and_grad(&theta, &mut want, &mut ws)
        .unwrap();
    let mut rng = Streams::new(1).rng(Phase::USER, 1);
    let draws = 4000;
    for count in [1, 5, 33] {
        let (mut ws, mut grad) = (of.data.draw(count, &mut rng).workspace(), vec![0.0; p]);
        let (mut sums, mut squares) = (vec![0.0; p + 1], vec![0.0; p + 1]);
        for _ in 0..draws {
            let batch = of.data.draw(count, &mut rng);
            let value = -batch
                .log_density_and_grad(&theta, &mut grad, &mut ws)
                .unwrap();
            for (i, (&got, want)) in grad
                .iter()
                .chain([&value])
                .zip(want.iter().chain([&energy]))
                .enumerate()
            {
                sums[i] += (got - want) / f64::from(draws);
                squares[i] += (got - want).powi(2) / f64::from(draws);
            }
        }
        for (sum, square) in sums.iter().zip(&squares) {
            // 5 standard errors
            assert!(sum.abs() < 5.0 * (square / f64::from(draws)).sqrt());
        }
        // whitened, a coordinate's variance is about N / count: residuals and features both have
        // variance 1
        let variance: f64 = squares[..p].iter().sum::<f64>() / (p * N) as f64;
        let expected = N as f64 / count as f64;
        assert!(
            (variance / expected - 1.0).abs() < 0.25,
            "{variance} {expected}"
        );
    }
}

/// The excess grows as the square of the step, divided by the rows of a batch. 32 particles x 2000
/// steps that forget in about 6 are 10,000 draws of a number with standard deviation
/// `(2/21)^{1/2}`, so the standard error is 0.003.
#[test]
fn the_bias_shrinks_with_the_batch_and_with_the_step() {
    let of = Regression::new();
    let exact = of.excess(0.8, None);
    assert!(exact.abs() < 0.015, "all rows: {exact}");
    let coarse = of.excess(0.8, Some(16));
    let larger = of.excess(0.8, Some(64));
    let shorter = of.excess(0.4, Some(16));
    assert!((0.1..0.4).contains(&coarse), "{coarse}");
    for quarter in [larger, shorter] {
        let ratio = coarse / quarter;
        assert!((2.7..5.5).contains(&ratio), "{coarse} {quarter}");
    }
}

/// The energies of two batches differ by `N b^{-1/2}` times the scatter of one row, here by about
/// 90 nats. The error of a step is 0.1.
#[test]
fn the_tuning_does_not_see_the_noise_of_batches() {
    let of = Regression::new();
    let (whole, batched) = (of.walked(None, None, 400), of.walked(None, Some(16), 400));
    let target = 5e-4 * of.mean.len() as f64;
    for walk in [&whole, &batched] {
        let error = walk.sampling.mean_squared_error();
        assert!((0.2..5.0).contains(&(error / target)), "{error} {target}");
    }
    let jump = |walk: &Walk<f64>| {
        let (a, b) = (
            walk.trace.energies_after(3).unwrap(),
            walk.trace.energies_after(4).unwrap(),
        );
        let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
        (squares.sum::<f64>() / a.len() as f64).sqrt()
    };
    assert!(jump(&batched) > 50.0 && jump(&whole) < 10.0);
    // a step on a batch takes two gradients
    let gradients = |walk: &Walk<f64>| walk.gradients() - walk.particles();
    assert_eq!(gradients(&batched), 2 * gradients(&whole));
}
