//! Riemannian Laplace: geodesics with closed forms and integrals of motion.
//!
//! Draws must stay where the energy is low.

use super::for_any_threads;
use crate::common::{labels, network, normals};
use crate::linear::{Linear, Quadratic};
use fiberwalk::baselines::{OdeOptions, RiemannLaplace, SecondOrder};
use fiberwalk::linalg::Cholesky;
use fiberwalk::linalg::vector::{distance, norm};
use fiberwalk::model::Points;
use fiberwalk::{
    Activation, Categorical, Error, IsotropicGaussian, LogDensity, Network, Posterior,
    PosteriorDensity, Result, Scalar, Streams,
};

impl SecondOrder<f64> for Quadratic {
    type HessianWorkspace = ();
    fn hessian_workspace(&self) {}
    fn hessian_product(&self, _: &[f64], v: &[f64], out: &mut [f64], (): &mut ()) -> Result<()> {
        let rows = self.precision.chunks_exact(v.len());
        for (out, row) in out.iter_mut().zip(rows) {
            *out = row.iter().zip(v).map(|(a, v)| a * v).sum();
        }
        Ok(())
    }
}

const TIGHT: OdeOptions = OdeOptions {
    relative_tolerance: 1e-10,
    absolute_tolerance: 1e-12,
    max_steps: 5_000,
};

fn anything(p: usize) -> Points<f64> {
    Points::new(p, vec![0.0; p]).unwrap()
}

/// On a line the graph of `a x^2 / 2` is a parabola. The geodesic follows it at the speed `|v|`
/// that it has at the bottom. Its length to `x` is
/// `x (1 + a^2 x^2)^{1/2} / 2 + asinh(a x) / (2 a)`.
#[test]
fn a_geodesic_along_a_parabola_has_the_length_of_its_velocity() {
    for (a, v) in [(0.5, 1.0), (3.0, 2.0), (100.0, -5.0)] {
        let density = Quadratic {
            precision: vec![a],
            mean: vec![0.3],
        };
        let gaussian = anything(1);
        let map = RiemannLaplace::new(&density, vec![0.3], &gaussian, TIGHT).unwrap();
        let end = map.exponential_map(&[v]).unwrap();
        let x = (end.theta[0] - 0.3) * v.signum();
        let length = 0.5 * x * (1.0 + a * a * x * x).sqrt() + (a * x).asinh() / (2.0 * a);
        assert!(
            (length - v.abs()).abs() < 1e-7 * v.abs(),
            "{a} {v}: {length}"
        );
    }
}

/// The graph of an isotropic quadratic is a surface of revolution. Speed and `r^2 phi'` (Clairaut
/// 1733) are constant along a geodesic, from any start.
#[test]
fn geodesics_of_a_paraboloid_keep_speed_and_angular_momentum() {
    let density = Quadratic {
        precision: vec![2.0, 0.0, 0.0, 2.0],
        mean: vec![0.1, -0.2],
    };
    let gaussian = anything(2);
    let start = vec![1.0, 0.5];
    let map = RiemannLaplace::new(&density, start.clone(), &gaussian, TIGHT).unwrap();
    let velocity = [-2.0, 1.5];
    let end = map.exponential_map(&velocity).unwrap();
    let momentum = |x: &[f64], v: &[f64]| (x[0] - 0.1) * v[1] - (x[1] + 0.2) * v[0];
    let (before, after) = (
        momentum(&start, &velocity),
        momentum(&end.theta, &end.velocity),
    );
    assert!((before - after).abs() < 1e-7, "{before} {after}");
    let speed = |x: &[f64], v: &[f64]| map.speed(x, v).unwrap();
    let (before, after) = (speed(&start, &velocity), speed(&end.theta, &end.velocity));
    assert!((before - after).abs() < 1e-7, "{before} {after}");
    // by hand: the gradient is 2 (0.9, 0.7), its product with v -3.6 + 2.1, and |v|^2 = 6.25
    assert!((before - (6.25f64 + 1.5 * 1.5).sqrt()).abs() < 1e-12);
    assert!(distance(&end.theta, &start) > 0.5);
}

/// Against classical Runge-Kutta steps of equal length, on the equation written out with a dense
/// Hessian.
#[test]
fn an_anisotropic_quadratic_is_what_a_fine_integration_says() {
    let linear = Linear::full_rank();
    let (p, a, density) = (linear.dim(), &linear.precision, linear.quadratic());
    let gaussian = anything(p);
    let velocity: Vec<f64> = normals(p, 4).iter().map(|v| 0.3 * v).collect();
    let times = |x: &[f64]| -> Vec<f64> {
        let row = |i: usize| (0..p).map(|j| a[i * p + j] * x[j]).sum();
        (0..p).map(row).collect()
    };
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let f = |y: &[f64]| -> Vec<f64> {
        let (c, v) = y.split_at(p);
        let d: Vec<f64> = c.iter().zip(&linear.mean).map(|(c, m)| c - m).collect();
        let g = times(&d);
        let bend = product(v, &times(v)) / (1.0 + product(&g, &g));
        v.iter()
            .copied()
            .chain(g.iter().map(|g| -bend * g))
            .collect()
    };
    let mut y = [linear.mean.clone(), velocity.clone()].concat();
    let steps = 20_000;
    let h = 1.0 / f64::from(steps);
    let shifted =
        |y: &[f64], k: &[f64], h: f64| y.iter().zip(k).map(|(y, k)| y + h * k).collect::<Vec<_>>();
    for _ in 0..steps {
        let k1 = f(&y);
        let k2 = f(&shifted(&y, &k1, 0.5 * h));
        let k3 = f(&shifted(&y, &k2, 0.5 * h));
        let k4 = f(&shifted(&y, &k3, h));
        for i in 0..2 * p {
            y[i] += h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
        }
    }
    let start = linear.mean.clone();
    let map = RiemannLaplace::new(&density, start.clone(), &gaussian, TIGHT).unwrap();
    let end = map.exponential_map(&velocity).unwrap();
    assert!(
        distance(&end.theta, &y[..p]) < 1e-7,
        "{:?} {y:?}",
        end.theta
    );
    assert!(distance(&end.velocity, &y[p..]) < 1e-6 * norm(&velocity));
    // the network's gradients and Hessian products, for the same energy
    let by_network = RiemannLaplace::new(&linear.posterior, start, &gaussian, TIGHT).unwrap();
    let other = by_network.exponential_map(&velocity).unwrap();
    assert!(distance(&other.theta, &y[..p]) < 1e-7);
}

fn classes<T: Scalar>() -> (PosteriorDensity<T>, Vec<f64>) {
    let (net, theta) = network(&[3, 4, 2], Activation::Tanh, 1);
    let prior = IsotropicGaussian::new(0.5).unwrap();
    let (x, y) = (normals(20 * 3, 2), labels(20, 2, 3));
    assert_eq!(net.dim(), theta.len());
    (
        PosteriorDensity::new(&net, &Categorical, &prior, &x, &y).unwrap(),
        theta,
    )
}

#[test]
fn speed_is_conserved_on_a_network_and_tolerances_are_what_they_say() {
    let (density, theta) = classes::<f64>();
    let gaussian = anything(theta.len());
    let velocity: Vec<f64> = normals(theta.len(), 9).iter().map(|v| 2.0 * v).collect();
    let run = |options| {
        let map = RiemannLaplace::new(&density, theta.clone(), &gaussian, options).unwrap();
        let end = map.exponential_map(&velocity).unwrap();
        let speed = map.speed(&end.theta, &end.velocity).unwrap();
        (end, speed / map.speed(&theta, &velocity).unwrap() - 1.0)
    };
    let (exact, error) = run(TIGHT);
    assert!(error.abs() < 1e-8, "{error}");
    // the path is far from a straight line, so conservation is a real test
    let straight: Vec<f64> = theta.iter().zip(&velocity).map(|(t, v)| t + v).collect();
    let bent = distance(&exact.theta, &straight);
    assert!(bent > 0.2 * norm(&velocity), "{bent}");
    // A step may err by the tolerance times the length of its move, in the solution of order 4. The
    // solution that is kept has order 5. So after about ten steps the end is off by less than the
    // tolerance times the total length (0.2 to 0.7 of that, measured). The error is proportional to
    // the tolerance: the step's `err^{1/5}` allows no other power.
    for tolerance in [1e-3, 1e-4, 1e-5, 1e-6, 1e-7] {
        let (end, error) = run(OdeOptions {
            relative_tolerance: tolerance,
            absolute_tolerance: 1e-3 * tolerance,
            ..OdeOptions::default()
        });
        let share = distance(&end.theta, &exact.theta) / norm(&exact.theta) / tolerance;
        assert!((0.1..1.0).contains(&share), "{tolerance}: {share}");
        // the error of its speed is less; the projection on the gradient is only a part of the
        // speed
        assert!(error.abs() < 3.0 * tolerance, "{tolerance}: {error}");
    }
    let (usual, _) = run(OdeOptions::default());
    assert!(usual.ode.evaluations < 100, "{:?}", usual.ode);
}

/// In single precision gradients are rounded to about 1e-6 of their size. The usual tolerances hide
/// that.
#[test]
fn single_precision_gives_the_same_geodesics() {
    let (double, theta) = classes::<f64>();
    let (single, _) = classes::<f32>();
    let velocity: Vec<f64> = normals(theta.len(), 9);
    let cast = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    let gaussian = anything(theta.len());
    let other = Points::new(theta.len(), cast(&theta)).unwrap();
    let options = OdeOptions::default();
    let a = RiemannLaplace::new(&double, theta.clone(), &gaussian, options).unwrap();
    let b = RiemannLaplace::new(&single, cast(&theta), &other, options).unwrap();
    let a = a.exponential_map(&velocity).unwrap();
    let b = b.exponential_map(&cast(&velocity)).unwrap();
    assert!(distance(&cast(&a.theta), &b.theta) < 1e-3);
}

/// The distance of a draw is never larger than its velocity, and its energy is never more than
/// `|v|` above the minimum, because a length on the graph is at least its height. The Gaussian's
/// draws, from ten times the posterior's width, do not obey that.
#[test]
fn draws_of_a_linear_model_stay_low_whatever_the_gaussian_says() {
    let linear = Linear::full_rank();
    let p = linear.dim();
    let factor = Cholesky::new(&linear.precision, p).unwrap();
    let mut points = Vec::new();
    for z in normals(40 * p, 3).chunks_exact(p) {
        let mut v = z.to_vec();
        factor.solve_transposed(&mut v);
        // each with its reflection
        for scale in [10.0, -10.0] {
            points.extend(v.iter().zip(&linear.mean).map(|(v, m)| m + scale * v));
        }
    }
    let gaussian = Points::new(p, points.clone()).unwrap();
    let start = linear.mean.clone();
    let riemann =
        RiemannLaplace::new(&linear.posterior, start, &gaussian, OdeOptions::default()).unwrap();
    let draws = for_any_threads(|| riemann.sample(80, Streams::new(1)).unwrap());
    let mut ws = linear.posterior.workspace();
    let mut above = |theta: &[f64]| {
        let mut at = |theta: &[f64]| linear.posterior.log_density(theta, &mut ws).unwrap();
        at(&linear.mean) - at(theta)
    };
    let mut far = 0;
    for (draw, point) in draws.chunks_exact(p).zip(points.chunks_exact(p)) {
        let length = distance(point, &linear.mean);
        // up to the tolerances
        assert!(above(draw) < 1.02 * length, "{} {length}", above(draw));
        assert!(distance(draw, &linear.mean) < 1.02 * length);
        far += usize::from(above(point) > 5.0 * length);
    }
    assert!(far > 70, "{far}");
    // a quadratic is symmetric, so a draw and that of its reflection average to the mean
    let riemann_tight =
        RiemannLaplace::new(&linear.posterior, linear.mean.clone(), &gaussian, TIGHT).unwrap();
    let pair = riemann_tight.sample(80, Streams::new(1)).unwrap();
    let middle: Vec<f64> = (0..p).map(|i| 0.5 * (pair[i] + pair[p + i])).collect();
    assert!(distance(&middle, &linear.mean) < 1e-7);
    let (_, report) = riemann
        .sample_with_report(80, Streams::new(1), |_| ())
        .unwrap();
    assert_eq!(report.failed, 0);
    assert_eq!(report.gradients, 2 * 80 + 6 * report.steps);
    assert_eq!(report.products, report.gradients);
}

#[test]
fn geodesics_that_cannot_be_followed_are_counted_and_left_out() {
    let linear = Linear::full_rank();
    let p = linear.dim();
    let density = linear.quadratic();
    // one at rest, one fast
    let fast = linear.mean.iter().map(|m| m + 100.0);
    let both: Vec<f64> = linear.mean.iter().copied().chain(fast).collect();
    let gaussian = Points::new(p, both.clone()).unwrap();
    let options = OdeOptions {
        max_steps: 8,
        ..OdeOptions::default()
    };
    let start = linear.mean.clone();
    let riemann = RiemannLaplace::new(&density, start.clone(), &gaussian, options).unwrap();
    let (draws, report) = riemann
        .sample_with_report(2, Streams::new(1), |_| ())
        .unwrap();
    assert_eq!((draws.len(), report.failed), (p, 1));
    assert!(distance(&draws, &linear.mean) < 1e-12);
    let none = Points::new(p, both[p..].to_vec()).unwrap();
    let riemann = RiemannLaplace::new(&density, start.clone(), &none, options).unwrap();
    let failed = riemann.sample(1, Streams::new(1));
    assert!(matches!(failed, Err(Error::NoConvergence { .. })));
    let wrong = anything(p + 1);
    assert!(RiemannLaplace::new(&density, start.clone(), &wrong, options).is_err());
    assert!(RiemannLaplace::new(&density, vec![0.0], &gaussian, options).is_err());
    assert!(riemann.exponential_map(&[1.0]).is_err() && riemann.speed(&start, &[1.0]).is_err());
    let zero = OdeOptions {
        relative_tolerance: 0.0,
        ..options
    };
    assert!(RiemannLaplace::new(&density, start, &gaussian, zero).is_err());
}
