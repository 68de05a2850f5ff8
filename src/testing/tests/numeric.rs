//! Densities, operators, and the densities with known moments.

use super::{passes, rejected};
use crate::error::Result;
use crate::linalg::{DenseOperator, SymmetricOperator};
use crate::model::{Curved, LogDensity};
use crate::scalar::Scalar;
use crate::testing::*;

/// `x ~ N(0, 1)`, `y | x ~ N(x^2, 1/4)`, or with a fault.
#[derive(Clone, Copy, PartialEq)]
enum Bent {
    Right,
    /// The gradient of `y | x ~ N(-x^2, 1/4)`.
    OtherGradient,
    /// Takes any length.
    AnyLength,
    /// The value that comes with the gradient lacks the first term.
    TwoValues,
}

impl LogDensity<f64> for Bent {
    type Workspace = ();
    fn dim(&self) -> usize {
        2
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        if *self == Bent::AnyLength {
            return Ok(-0.5 * theta.iter().map(|t| t * t).sum::<f64>());
        }
        LogDensity::log_density(&Banana::default(), theta, &mut ())
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], (): &mut ()) -> Result<f64> {
        let value = Banana::default().log_density_and_grad(theta, grad, &mut ())?;
        if *self == Bent::OtherGradient {
            grad[0] = -theta[0] - 8.0 * (theta[1] + theta[0].powi(2)) * theta[0];
        }
        let less = f64::from(u8::from(*self == Bent::TwoValues));
        Ok(value + less * 0.5 * theta[0].powi(2))
    }
}

#[test]
fn densities() {
    let points = [vec![0.7, 0.5], vec![-1.0, 2.0]];
    let check = |fault: Bent| check_density(&fault, &points, &CheckOptions::default());
    passes(check(Bent::Right));
    let words = [
        "check_density: gradient against finite differences at point 0: gradient[0] is",
        "|D(2h) - D(h)|",
    ];
    rejected(check(Bent::OtherGradient), &words);
    let words = ["accepted 1 coordinate for 2, which it must refuse"];
    rejected(check(Bent::AnyLength), &words);
    let words = ["log_density against log_density_and_grad"];
    rejected(check(Bent::TwoValues), &words);
    let long = [vec![0.0; 3]];
    let words = ["points of [3] coordinates", "dim = 2"];
    let result = check_density::<f64, _>(&Bent::Right, &long, &CheckOptions::default());
    rejected(result, &words);
}

/// The Gaussian as a density with curvature: `G` is its precision, times a factor.
struct WithCurvature(GaussianDensity, f64, Vec<f64>);

impl LogDensity<f64> for WithCurvature {
    type Workspace = ();
    fn dim(&self) -> usize {
        LogDensity::<f64>::dim(&self.0)
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        self.0.log_density(theta, &mut ())
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], (): &mut ()) -> Result<f64> {
        self.0.log_density_and_grad(theta, grad, &mut ())
    }
}

impl Curved<f64> for WithCurvature {
    type ProductWorkspace = ();
    fn ggn_workspace(&self) {}
    fn ggn_product(&self, _: &[f64], v: &[f64], out: &mut [f64], (): &mut ()) -> Result<()> {
        let mut op = DenseOperator::new(self.2.len(), self.0.precision().to_vec())?;
        op.apply(v, out)?;
        out.iter_mut().for_each(|x| *x *= self.1);
        Ok(())
    }
    fn prior_precision(&self) -> &[f64] {
        &self.2
    }
}

fn correlated() -> GaussianDensity {
    let covariance = vec![2.0, 0.6, -0.3, 0.6, 1.0, 0.2, -0.3, 0.2, 0.5];
    GaussianDensity::new(vec![1.0, -2.0, 0.5], covariance).unwrap()
}

#[test]
fn products_with_curvature() {
    let (points, options) = ([vec![0.0; 3], vec![1.0; 3]], CheckOptions::default());
    let density = |factor| WithCurvature(correlated(), factor, vec![0.0; 3]);
    passes(check_curved(&density(1.0), &points, &options));
    let words = ["check_curved: no negative curvature", "<v, A v> is -"];
    rejected(check_curved(&density(-1.0), &points, &options), &words);
    let hessian = |factor: f64| {
        let density = density(factor);
        let product =
            |theta: &[f64], v: &[f64], out: &mut [f64]| density.ggn_product(theta, v, out, &mut ());
        check_hessian(&density, product, &points, &options)
    };
    passes(hessian(1.0));
    let words = ["H v against differences of the gradient at point 0: H v[0]"];
    rejected(hessian(1.01), &words);
}

/// `out = A v`, or with a fault.
struct Matrix(&'static str);

impl SymmetricOperator<f64> for Matrix {
    fn dim(&self) -> usize {
        3
    }
    fn apply(&mut self, v: &[f64], out: &mut [f64]) -> Result<()> {
        // tridiagonal, eigenvalues 2 and 2 +- sqrt 2
        let a = [[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]];
        let mut op = DenseOperator::new(3, a.concat())?;
        let mut product = vec![0.0; 3];
        op.apply(v, &mut product)?;
        match self.0 {
            "skewed" => product[2] += 1e-6 * v[0],
            "shifted" => product.iter_mut().zip(v).for_each(|(p, v)| *p -= 0.6 * v),
            "affine" => product[0] += 1e-6,
            _ => {}
        }
        for (out, p) in out.iter_mut().zip(product) {
            *out = if self.0 == "adds" { *out + p } else { p };
        }
        Ok(())
    }
}

#[test]
fn operators() {
    let check = |fault, positive| {
        check_operator::<f64>(&mut Matrix(fault), positive, &CheckOptions::default())
    };
    passes(check("none", true));
    passes(check("shifted", false));
    let words = ["check_operator: symmetry: <w, A v> is", "1e4 u max(|w|"];
    rejected(check("skewed", true), &words);
    // the lowest eigenvalue is 2 - sqrt 2 - 0.6 = -0.0142: random vectors do not meet it
    let words = ["no negative eigenvalue", "is -1.42"];
    rejected(check("shifted", true), &words);
    rejected(check("affine", true), &["linearity: A(a v + b w)[0]"]);
    // it adds to memory that holds NaN
    rejected(check("adds", true), &["a product: got NaN in A v[0]"]);
    let mut single = DenseOperator::new(2, vec![2.0f32, -1.0, -1.0, 2.0]).unwrap();
    passes(check_operator::<f32>(
        &mut single,
        true,
        &CheckOptions::default(),
    ));
}

/// Gradients in both precisions; the moments of many draws; the constants, by a grid.
#[test]
fn known_densities_are_what_they_say() {
    fn all<T: Scalar, D: KnownDensity<T>>(density: &D, seed: u64) {
        let d = density.dim();
        let (mean, covariance) = (density.mean(), density.covariance());
        let points = [mean.clone(), vec![0.5; d]];
        passes(check_density::<T, D>(
            density,
            &points,
            &CheckOptions::default(),
        ));
        let checker = crate::testing::checker::Checker {
            check: "known",
            seed,
        };
        let mut rng = checker.rng(0);
        let n = 20_000;
        let mut features = Vec::new();
        for _ in 0..n {
            let x = density.draw(&mut rng);
            let x: Vec<f64> = x.iter().zip(&mean).map(|(x, m)| x - m).collect();
            features.extend_from_slice(&x);
            for i in 0..d {
                features.extend((0..=i).map(|j| x[i] * x[j]));
            }
        }
        let mut expected = vec![0.0; d];
        for i in 0..d {
            expected.extend((0..=i).map(|j| covariance[i * d + j]));
        }
        let test = crate::diagnose::hotelling(&features, &expected).unwrap();
        assert!(test.p_value > 1e-3, "{test:?}");
    }
    let banana = Banana::new(0.8, -1.3, 0.4).unwrap();
    all::<f64, _>(&correlated(), 1);
    all::<f32, _>(&correlated(), 2);
    all::<f64, _>(&banana, 3);
    all::<f32, _>(&banana, 4);
    // the midpoint rule of a smooth density on a grid; the tails beyond 8 deviations are 1e-15
    let plane = GaussianDensity::with_precision(vec![0.3, -0.2], vec![1.5, 0.4, 0.4, 0.8]).unwrap();
    let mass = |density: &dyn Fn(&[f64]) -> f64, side: f64| {
        let step = side / 400.0;
        let cells = (-400..400).flat_map(|i| (-400..400).map(move |j| (i, j)));
        let middle = |i: i32| (f64::from(i) + 0.5) * step;
        let each = cells.map(|(i, j)| density(&[middle(i), middle(j)]).exp());
        each.sum::<f64>() * step * step
    };
    let log = |x: &[f64]| plane.log_density(x, &mut ()).unwrap();
    assert!((mass(&log, 12.0) - 1.0).abs() < 1e-11);
    // y = -1.3 x^2 reaches -1.3 (0.8 8)^2 = -53; steps of 0.15 are 0.4 deviations of y given x
    let log = |x: &[f64]| banana.log_density(x, &mut ()).unwrap();
    assert!((mass(&log, 60.0) - 1.0).abs() < 1e-9);
}

#[test]
fn impossible_densities_are_refused() {
    assert!(GaussianDensity::new(vec![], vec![]).is_err());
    assert!(GaussianDensity::new(vec![0.0], vec![-1.0]).is_err());
    assert!(GaussianDensity::new(vec![0.0; 2], vec![1.0; 3]).is_err());
    assert!(GaussianDensity::new(vec![f64::NAN], vec![1.0]).is_err());
    assert!(GaussianDensity::standard(0).is_err());
    assert!(Banana::new(0.0, 1.0, 1.0).is_err() && Banana::new(1.0, f64::NAN, 1.0).is_err());
}
