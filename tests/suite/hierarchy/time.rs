//! A step size per walker on a funnel, whose stiffness varies by orders of magnitude.
//!
//! Points at equal times follow its marginal; points at equal steps do not.

use super::gibbs::LEVEL;
use super::{Quadrature, kernel};
use crate::common::normals;
use fiberwalk::diagnose::ks_test;
use fiberwalk::walk::{Run, Walk, WalkOptions};
use fiberwalk::{LogDensity, Result, Streams};

/// `v ~ N(0, TAU^2)`, `x_i | v ~ N(0, e^{2v})`, in the coordinates `(v, x_1, x_2)`.
struct Funnel;

const TAU: f64 = 1.2;
const DIM: usize = 3;

impl LogDensity<f64> for Funnel {
    type Workspace = ();
    fn dim(&self) -> usize {
        DIM
    }
    fn workspace(&self) {}
    fn log_density(&self, at: &[f64], ws: &mut ()) -> Result<f64> {
        self.log_density_and_grad(at, &mut [0.0; DIM], ws)
    }
    fn log_density_and_grad(&self, at: &[f64], grad: &mut [f64], (): &mut ()) -> Result<f64> {
        let precision = (-2.0 * at[0]).exp();
        let squares = at[1] * at[1] + at[2] * at[2];
        grad[0] = precision * squares - 2.0 - at[0] / (TAU * TAU);
        (1..DIM).for_each(|i| grad[i] = -precision * at[i]);
        Ok(-0.5 * precision * squares - 2.0 * at[0] - 0.5 * (at[0] / TAU).powi(2))
    }
}

const WALKERS: usize = 2000;

/// Starts drawn from the funnel.
fn starts() -> Vec<Vec<f64>> {
    let start = |z: &[f64]| {
        let v = TAU * z[0];
        vec![v, v.exp() * z[1], v.exp() * z[2]]
    };
    normals(DIM * WALKERS, 41)
        .chunks_exact(DIM)
        .map(start)
        .collect()
}

/// A walk of `steps` that is ended after `until`. `keep` points of each walker are kept after the
/// warm-up.
fn walked(steps: usize, keep: usize, until: usize) -> Walk<f64> {
    let mut kernel = kernel(&[1.0; DIM]);
    let options = WalkOptions {
        particles: WALKERS,
        steps: Some(steps),
        keep,
        block: 10,
        ..WalkOptions::default()
    };
    let mut run = Run::new(&kernel, &Funnel, &starts(), &options, Streams::new(8)).unwrap();
    while run.steps() < until && run.advance(&mut kernel, &Funnel, &()).unwrap() {}
    run.finish_early()
}

/// p-value of `v` over points.
fn marginal<'a>(points: impl Iterator<Item = &'a [f64]>) -> f64 {
    let v: Vec<f64> = points.map(|p| p[0]).collect();
    assert!(v.len() + 20 > WALKERS, "{}", v.len());
    let want = Quadrature::new(|v| -0.5 * (v / TAU).powi(2), -12.0, 12.0);
    ks_test(&v, |v| want.cdf(v)).unwrap().p_value
}

/// At the end, and right after the warm-up.
#[test]
fn equal_times_have_the_marginal_of_a_funnel() {
    let walk = walked(400, 200, 400);
    let all = || walk.points.chunks_exact(DIM).zip(&walk.particle);
    for due in [0, 10, 50, 199] {
        // at each time the points are in the order of the walkers
        let mut times = 0;
        let mut last = usize::MAX;
        let of: Vec<&[f64]> = all()
            .filter(|(_, p)| {
                times += usize::from(last != usize::MAX && **p <= last);
                last = **p;
                times == due
            })
            .map(|(point, _)| point)
            .collect();
        let p = marginal(of.into_iter());
        assert!(p > LEVEL, "due {due}: {p}");
    }
}

/// During the warm-up of a long walk, every stretch has the same number of steps, so its points
/// crowd where steps are short.
#[test]
fn equal_steps_have_another_marginal() {
    let walk = walked(4000, 1, 400);
    assert!(walk.cut_short && walk.len() == WALKERS);
    let p = marginal(walk.points.chunks_exact(DIM));
    assert!(p < LEVEL, "{p}");
}
