//! Bijections: there and back, and the change of volume.
//!
//! ```text
//! T^{-1}(T(z)) = z,  T(T^{-1}(y)) = y
//! log |det dT/dz| = log |det J|,  J by jvp, column by column; J by finite differences too
//! log |det dT^{-1}/dy| at y = T(z)  =  -log |det dT/dz| at z
//! a row in a block = the same row alone;  a context passes bit for bit
//! ```
//!
//! There and back, and log-determinants, agree up to `1e-9`: `z` of size 10 is known to 2e-15, and
//! slopes from `1e-5` to `1e5` are allowed for.

use super::checker::{Checker, Tolerance};
use super::differences::compare;
use super::failure::{Failure, Place};
use super::options::{CheckOptions, normals};
use super::record::Recorded;
use super::rows::check_rows;
use crate::autodiff::Graph;
use crate::deform::Bijection;

/// Settings of [`check_bijection`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BijectionOptions {
    /// Seed, cases, rows; `spread` is the standard deviation of the points.
    pub check: CheckOptions,
    /// Standard deviation of the parameters around 0, where a map is usually the identity.
    pub params: f64,
    /// The map leaves that many first coordinates as they are.
    pub context: usize,
}

impl Default for BijectionOptions {
    fn default() -> Self {
        Self {
            check: CheckOptions {
                // wide enough that some points are beyond the bound of a spline
                spread: 2.0,
                ..CheckOptions::default()
            },
            params: 0.5,
            context: 0,
        }
    }
}

/// Checks a bijection at random points and parameters.
///
/// ```
/// use fiberwalk::deform::AffineCoupling;
/// use fiberwalk::testing::{BijectionOptions, check_bijection};
/// let layer = AffineCoupling::new(4, 2, &[5], false)?;
/// check_bijection(&layer, &BijectionOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first property that fails.
pub fn check_bijection(
    bijection: &dyn Bijection,
    options: &BijectionOptions,
) -> Result<(), Failure> {
    options
        .check
        .cases("check_bijection")
        .try_for_each(|checker| check_case(checker, bijection, options))
}

const ARITHMETIC: &str = "1e-9: 2e-15 of a value of size 10, times slopes of 1e5";

/// Outputs of the program: `T(z)`, its log-determinant, `T^{-1}(z)`, its log-determinant, `J v`.
const OUTPUTS: usize = 5;

struct Map<'a> {
    checker: Checker,
    params: &'a [f64],
    program: Recorded,
}

impl<'a> Map<'a> {
    fn new(
        checker: Checker,
        bijection: &dyn Bijection,
        n: usize,
        params: &'a [f64],
    ) -> Result<Self, Failure> {
        let d = bijection.dim();
        let graph = Graph::new();
        let (p, x) = (graph.input(&[params.len()]), graph.input(&[n, d]));
        let v = graph.input(&[n, d]);
        let (y, log_det) = bijection.forward(p, x);
        let (back, inverse) = bijection.inverse(p, x);
        checker.shape("the shape of forward", &y.shape(), &[n, d])?;
        checker.shape("the shape of inverse", &back.shape(), &[n, d])?;
        checker.shape(
            "the shape of the log-determinant of forward",
            &log_det.shape(),
            &[n],
        )?;
        checker.shape(
            "the shape of the log-determinant of inverse",
            &inverse.shape(),
            &[n],
        )?;
        let record = || {
            let outputs = [y, log_det, back, inverse, graph.jvp(y, x, v)?];
            Recorded::new(&graph, &outputs)
        };
        let program = checker.works("recording", record())?;
        Ok(Self {
            checker,
            params,
            program,
        })
    }

    fn run(&mut self, x: &[f64], v: &[f64]) -> Result<[Vec<f64>; OUTPUTS], Failure> {
        let outputs = self.program.run(&[self.params, x, v]);
        let outputs = self.checker.works("running", outputs)?;
        Ok(outputs.try_into().unwrap_or_default())
    }
}

fn check_case(
    checker: Checker,
    bijection: &dyn Bijection,
    options: &BijectionOptions,
) -> Result<(), Failure> {
    let (n, d, slack) = (options.check.batch(), bijection.dim(), options.check.slack);
    let count = bijection.param_count();
    let start = bijection.init(&mut checker.rng(2));
    checker.shape("initial parameters", &[start.len()], &[count])?;
    checker.finite(
        "initial parameters",
        |i| Place::entry("params", &[count], i),
        &start,
    )?;
    if d == 0 {
        return Ok(());
    }
    let params = normals(&mut checker.rng(0), count, options.params);
    let z = normals(&mut checker.rng(1), n * d, options.check.spread);
    let mut map = Map::new(checker, bijection, n, &params)?;
    let [y, log_det, pre, pre_log_det, _] = map.run(&z, &z)?;
    let place = |name: &'static str| move |i: usize| Place::of_row(name, &[d], i);
    checker.finite("forward", place("T(z)"), &y)?;
    checker.finite("inverse", place("T^-1(z)"), &pre)?;
    for (row, (y, z)) in y.chunks_exact(d).zip(z.chunks_exact(d)).enumerate() {
        let exact = Tolerance {
            bound: 0.0,
            arithmetic: "bit for bit",
        };
        let context = options.context.min(d);
        let at = |i| Place::of_row("T(z)", &[d], row * d + i);
        checker.values("the context", at, &y[..context], &z[..context], exact)?;
    }
    check_jacobian(checker, &mut map, &z, &log_det, options)?;
    let tolerance = Tolerance {
        bound: slack * 1e-9,
        arithmetic: ARITHMETIC,
    };
    let [_, _, back, inverse, _] = map.run(&y, &z)?;
    checker.values(
        "inverse(forward(z)) against z",
        place("T^-1(T(z))"),
        &back,
        &z,
        tolerance,
    )?;
    let row = |i: usize| Place::of_row("log-determinant", &[], i);
    let negative = |all: &[f64]| all.iter().map(|x| -x).collect::<Vec<f64>>();
    let property = "the log-determinant of inverse against that of forward";
    checker.values(property, row, &inverse, &negative(&log_det), tolerance)?;
    // an inverse far out carries the rounding of its size
    let [there, forward, ..] = map.run(&pre, &z)?;
    let far = pre.iter().fold(10.0f64, |all, x| all.max(x.abs()));
    let tolerance = Tolerance {
        bound: 0.1 * far * tolerance.bound,
        arithmetic: "1e-10 max(10, |T^-1(z)|): 2e-16 of that size, times slopes of 5e5",
    };
    let name = place("T(T^-1(z))");
    checker.values("forward(inverse(z)) against z", name, &there, &z, tolerance)?;
    checker.values(property, row, &pre_log_det, &negative(&forward), tolerance)?;
    let mut one = Map::new(checker, bijection, 1, &params)?;
    check_rows(checker, slack, (&z, &y, n), &[d], |z| {
        Ok(std::mem::take(&mut one.run(z, z)?[0]))
    })
}

/// The log-determinant of forward against the dense Jacobian of each row.
fn check_jacobian(
    checker: Checker,
    map: &mut Map<'_>,
    z: &[f64],
    log_det: &[f64],
    options: &BijectionOptions,
) -> Result<(), Failure> {
    let (n, slack) = (log_det.len(), options.check.slack);
    let d = z.len() / n;
    let mut jacobians = vec![vec![0.0; d * d]; n];
    for c in 0..d {
        let mut v = vec![0.0; n * d];
        v.iter_mut().skip(c).step_by(d).for_each(|v| *v = 1.0);
        let [.., column] = map.run(z, &v)?;
        for (i, x) in column.iter().enumerate() {
            jacobians[i / d][(i % d) * d + c] = *x;
        }
        let property = format!("jvp against finite differences along coordinate {c}");
        let place = |i| Place::of_row("T(z)", &[d], i);
        compare(
            checker,
            &property,
            (f64::EPSILON, slack),
            place,
            &column,
            |t| {
                let moved: Vec<f64> = z.iter().zip(&v).map(|(z, v)| z + t * v).collect();
                Ok(std::mem::take(&mut map.run(&moved, &v)?[0]))
            },
        )?;
    }
    for (row, jacobian) in jacobians.into_iter().enumerate() {
        let tolerance = Tolerance {
            bound: slack * 1e-9,
            arithmetic: ARITHMETIC,
        };
        let expected = log_abs_det(jacobian, d);
        let place = || Place::of_row("log-determinant", &[], row);
        let property = "the log-determinant of forward against the dense Jacobian";
        checker.value(property, place, log_det[row], expected, tolerance)?;
    }
    Ok(())
}

/// `log |det A|` of a dense matrix `[n, n]`, by Gaussian elimination with pivoting.
pub(crate) fn log_abs_det(mut a: Vec<f64>, n: usize) -> f64 {
    let mut sum = 0.0;
    for c in 0..n {
        let size = |r: &usize| a[r * n + c].abs();
        let pivot = (c..n)
            .max_by(|i, j| size(i).total_cmp(&size(j)))
            .unwrap_or(c);
        for k in 0..n {
            a.swap(c * n + k, pivot * n + k);
        }
        sum += a[c * n + c].abs().ln();
        for r in c + 1..n {
            let factor = a[r * n + c] / a[c * n + c];
            for k in c..n {
                a[r * n + k] -= factor * a[c * n + k];
            }
        }
    }
    sum
}
