//! Densities: values, gradients, curvature products, and input that must be refused.
//!
//! At given points `theta`, for `f = log p`:
//!
//! ```text
//! f by log_density = f by log_density_and_grad          up to rounding, and finite
//! grad f = df/dt along single coordinates               by central differences
//! the same point twice gives the same bits              also after another point
//! G(a v + b w) = a G v + b G w,  <w, G v> = <G w, v>,  <v, G v> >= 0
//! H v = d(grad f)/dt along v                            for a product that is handed in
//! ```

use rand::RngExt;

use super::checker::{Checker, Tolerance};
use super::differences::compare;
use super::failure::{Failure, Place};
use super::operator::check_products;
use super::options::{CheckOptions, normals};
use crate::error::counted;
use crate::linalg::vector::axpy;
use crate::model::{Curved, LogDensity};
use crate::scalar::Scalar;

/// Coordinates whose derivative is checked at each point; all if there are no more.
const COORDINATES: usize = 40;

/// Checks a density at the given points, which must be inside its support and where it is smooth.
///
/// The points are used as they are, and `cases` random ones around each: moved by `spread / 10`
/// standard normal numbers.
///
/// ```
/// use fiberwalk::testing::{Banana, CheckOptions, check_density};
/// let points = [vec![0.0, 1.0], vec![-1.5, 2.0]];
/// check_density::<f64, _>(&Banana::default(), &points, &CheckOptions::default())?;
/// # Ok::<(), fiberwalk::testing::Failure>(())
/// ```
///
/// # Errors
/// The first property that fails.
pub fn check_density<T: Scalar, D: LogDensity<T>>(
    density: &D,
    points: &[Vec<f64>],
    options: &CheckOptions,
) -> Result<(), Failure> {
    let mut ws = density.workspace();
    for checker in options.cases("check_density") {
        check_lengths(checker, density, points)?;
        let mut first: Option<(Vec<T>, u64)> = None;
        for (index, point) in points.iter().enumerate() {
            for near in [false, true] {
                let theta = around::<T>(checker, index, point, near, options);
                let value = check_point(checker, density, &theta, index, options)?;
                first.get_or_insert((theta, value.to_bits()));
            }
        }
        if let Some((theta, bits)) = first {
            let mut grad = vec![T::ZERO; theta.len()];
            let other = points
                .last()
                .map(|p| around::<T>(checker, 0, p, true, options));
            let again = density
                .log_density_and_grad(&other.unwrap_or_default(), &mut grad, &mut ws)
                .and_then(|_| density.log_density_and_grad(&theta, &mut grad, &mut ws));
            let again = checker.works("the same point again", again)?;
            checker.claim(
                "the same point after another one",
                again.to_bits() == bits,
                || format!("{again:e}"),
                || format!("{:e}, bit by bit", f64::from_bits(bits)),
            )?;
        }
    }
    Ok(())
}

/// The point, or one near it.
fn around<T: Scalar>(
    checker: Checker,
    index: usize,
    point: &[f64],
    near: bool,
    options: &CheckOptions,
) -> Vec<T> {
    let spread = if near { 0.1 * options.spread } else { 0.0 };
    let moves = normals(&mut checker.rng(index as u64), point.len(), spread);
    let moved = point.iter().zip(&moves).map(|(p, m)| T::from_f64(p + m));
    moved.collect()
}

/// Points of the right length are taken, others are refused.
fn check_lengths<T: Scalar, D: LogDensity<T>>(
    checker: Checker,
    density: &D,
    points: &[Vec<f64>],
) -> Result<(), Failure> {
    let dim = density.dim();
    checker.claim(
        "points",
        !points.is_empty() && dim > 0 && points.iter().all(|p| p.len() == dim),
        || {
            let lens: Vec<usize> = points.iter().map(Vec::len).collect();
            format!("points of {lens:?} coordinates")
        },
        || {
            format!(
                "at least one point, all of dim = {}",
                counted(dim, "coordinate")
            )
        },
    )?;
    let Some(point) = points.first() else {
        return Ok(());
    };
    let theta: Vec<T> = point.iter().map(|&p| T::from_f64(p)).collect();
    for wrong in [dim - 1, dim + 1] {
        let mut other = theta.clone();
        other.resize(wrong, T::ONE);
        let mut ws = density.workspace();
        let property = "a wrong length";
        let input = format!("{} for {dim}", counted(wrong, "coordinate"));
        checker.refuses(property, density.log_density(&other, &mut ws), &input)?;
        let mut grad = vec![T::ZERO; wrong];
        let result = density.log_density_and_grad(&other, &mut vec![T::ZERO; dim], &mut ws);
        checker.refuses(property, result, &(input + ", with gradient"))?;
        let result = density.log_density_and_grad(&theta, &mut grad, &mut ws);
        let input = format!("room for {} of {dim}", counted(wrong, "derivative"));
        checker.refuses(property, result, &input)?;
    }
    Ok(())
}

/// Value and gradient at one point.
fn check_point<T: Scalar, D: LogDensity<T>>(
    checker: Checker,
    density: &D,
    theta: &[T],
    index: usize,
    options: &CheckOptions,
) -> Result<f64, Failure> {
    let (dim, rounding) = (theta.len(), T::EPSILON.to_f64());
    let mut ws = density.workspace();
    let mut grad = vec![T::from_f64(f64::NAN); dim];
    let property = format!("evaluation at point {index}");
    let both = density.log_density_and_grad(theta, &mut grad, &mut ws);
    let value = checker.works(&property, both)?;
    let alone = checker.works(&property, density.log_density(theta, &mut ws))?;
    checker.finite(&property, |_| Place::scalar("the log density"), &[value])?;
    let grad: Vec<f64> = grad.iter().map(|g| g.to_f64()).collect();
    let entry = |i: usize| Place::entry("gradient", &[dim], i);
    checker.finite(&property, entry, &grad)?;
    let tolerance = Tolerance {
        bound: options.slack * 100.0 * rounding * (1.0 + value.abs()),
        arithmetic: "100 u (1 + |f|)",
    };
    let place = || Place::scalar("log_density");
    let property = "log_density against log_density_and_grad";
    checker.value(property, place, alone, value, tolerance)?;
    let mut rng = checker.rng(1_000 + index as u64);
    for turn in 0..dim.min(COORDINATES) {
        let i = if dim > COORDINATES {
            rng.random_range(0..dim)
        } else {
            turn
        };
        let property = format!("gradient against finite differences at point {index}");
        let place = |_| entry(i);
        let limits = (rounding, options.slack);
        let middle = theta[i].to_f64();
        // a step is an exact number of the scalar type only near 1: it is divided out as it is
        compare(checker, &property, limits, place, &grad[i..=i], |t| {
            let mut moved = theta.to_vec();
            moved[i] = T::from_f64(middle + t);
            let taken = moved[i].to_f64() - middle;
            let value = checker.works(&property, density.log_density(&moved, &mut ws))?;
            // the value at the step that was asked for, from the slope
            Ok(vec![value + grad[i] * (t - taken)])
        })?;
    }
    Ok(value)
}

/// Checks the Gauss-Newton product of a density at given points: linear, symmetric, never negative,
/// and with a positive precision of the prior for every parameter.
///
/// That the matrix is `J^T Lambda J` cannot be seen from the trait. For a Gaussian likelihood of a
/// network that is linear in its parameters, compare with [`check_hessian`].
///
/// # Errors
/// The first property that fails.
pub fn check_curved<T: Scalar, D: Curved<T>>(
    density: &D,
    points: &[Vec<f64>],
    options: &CheckOptions,
) -> Result<(), Failure> {
    for checker in options.cases("check_curved") {
        let (dim, prior) = (density.dim(), density.prior_precision());
        checker.shape("prior_precision", &[prior.len()], &[dim])?;
        checker.claim(
            "prior_precision",
            prior.iter().all(|&p| p >= 0.0 && p.is_finite()),
            || "a negative or infinite one".into(),
            || "precisions".into(),
        )?;
        for (index, point) in points.iter().enumerate() {
            let theta = around::<T>(checker, index, point, index % 2 == 1, options);
            let mut ws = density.ggn_workspace();
            let mut product = |v: &[T], out: &mut [T]| density.ggn_product(&theta, v, out, &mut ws);
            check_products(checker, options, dim, true, &mut product)?;
        }
    }
    Ok(())
}

/// Checks a product with the Hessian of `-log p` against differences of the gradient.
///
/// `product(theta, v, out)` writes `out = H v`.
///
/// # Errors
/// The first entry that differs.
pub fn check_hessian<T: Scalar, D: LogDensity<T>>(
    density: &D,
    mut product: impl FnMut(&[T], &[T], &mut [T]) -> crate::error::Result<()>,
    points: &[Vec<f64>],
    options: &CheckOptions,
) -> Result<(), Failure> {
    for checker in options.cases("check_hessian") {
        for (index, point) in points.iter().enumerate() {
            let theta = around::<T>(checker, index, point, true, options);
            let dim = theta.len();
            let direction = normals(&mut checker.rng(2_000 + index as u64), dim, 1.0);
            let v: Vec<T> = direction.iter().map(|&v| T::from_f64(v)).collect();
            let mut out = vec![T::from_f64(f64::NAN); dim];
            checker.works("a Hessian product", product(&theta, &v, &mut out))?;
            let out: Vec<f64> = out.iter().map(|x| x.to_f64()).collect();
            let mut ws = density.workspace();
            let property = format!("H v against differences of the gradient at point {index}");
            let limits = (T::EPSILON.to_f64(), options.slack);
            let place = |i| Place::entry("H v", &[dim], i);
            compare(checker, &property, limits, place, &out, |t| {
                let mut moved = theta.clone();
                axpy(t, &v, &mut moved);
                let mut grad = vec![T::ZERO; dim];
                let value = density.log_density_and_grad(&moved, &mut grad, &mut ws);
                checker.works(&property, value)?;
                Ok(grad.iter().map(|g| -g.to_f64()).collect())
            })?;
        }
    }
    Ok(())
}
