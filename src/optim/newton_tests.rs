//! The last steps to a minimum, on a valley and by hand.

use super::*;

/// Rosenbrock's valley as least squares, `r = (10 (y - x^2), 1 - x)`, `U = |r|^2 / 2`.
struct Valley;

impl LogDensity<f64> for Valley {
    type Workspace = ();
    fn dim(&self) -> usize {
        2
    }
    fn workspace(&self) {}
    fn log_density(&self, t: &[f64], _: &mut ()) -> Result<f64> {
        let (a, b) = (10.0 * (t[1] - t[0] * t[0]), 1.0 - t[0]);
        Ok(-0.5 * (a * a + b * b))
    }
    fn log_density_and_grad(&self, t: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
        let (a, b) = (10.0 * (t[1] - t[0] * t[0]), 1.0 - t[0]);
        grad[0] = 20.0 * t[0] * a + b;
        grad[1] = -10.0 * a;
        self.log_density(t, ws)
    }
}

fn curvature(t: &[f64]) -> Result<Vec<f64>> {
    let x = t[0];
    Ok(vec![400.0 * x * x + 1.0, 0.0, -200.0 * x, 100.0])
}

fn start() -> MapReport<f64> {
    MapReport {
        theta: vec![-1.2, 1.0],
        energy: f64::NAN,
        gradient_norm: f64::NAN,
        initial_gradient_norm: 0.0,
        gradients: 7,
        clipped: 0,
    }
}

#[test]
fn the_end_of_a_valley_is_found() {
    let mut map = start();
    let options = PolishOptions {
        matrices: 50,
        tolerance: 1e-12,
    };
    let report = polish(&Valley, &mut map, curvature, &options).unwrap();
    assert!(report.converged && report.matrices < 10, "{report:?}");
    assert!((map.theta[0] - 1.0).abs() < 1e-5 && (map.theta[1] - 1.0).abs() < 1e-5);
    assert!(map.energy < 1e-11 && map.gradient_norm < 1e-4);
    // seven before; one at the start
    assert!((9..200).contains(&map.gradients), "{}", map.gradients);
}

#[test]
fn too_few_matrices_are_said_and_never_lead_uphill() {
    let before = 0.5 * (10.0f64 * (1.0 - 1.44)).powi(2) + 0.5 * 2.2f64.powi(2);
    let mut map = start();
    let options = |matrices| PolishOptions {
        matrices,
        tolerance: 1e-12,
    };
    let report = polish(&Valley, &mut map, curvature, &options(2)).unwrap();
    assert!(!report.converged && report.matrices == 2);
    assert!(map.energy < before);
    // what is said to be left is left where the fit ended, not some steps before
    let again = polish(&Valley, &mut map, curvature, &options(1)).unwrap();
    assert_eq!(again.decrement, report.decrement);
    let options = options(2);
    let wrong = |_: &[f64]| Ok(vec![1.0; 3]);
    assert!(polish(&Valley, &mut map, wrong, &options).is_err());
    let indefinite = |_: &[f64]| Ok(vec![-1.0, 0.0, 0.0, 1.0]);
    assert!(polish(&Valley, &mut map, indefinite, &options).is_err());
}

/// A matrix that is singular by rounding ends no fit: the prior's share of it is lost beside that
/// of the data. Without damping it cannot be factorised.
#[test]
fn a_singular_matrix_is_damped() {
    let mut map = start();
    let singular = |t: &[f64]| {
        let x = t[0];
        Ok(vec![400.0 * x * x, 0.0, -200.0 * x, 100.0])
    };
    assert!(
        Factoriser::new(2)
            .factorise(&singular(&[1.0]).unwrap())
            .is_err()
    );
    let report = polish(&Valley, &mut map, singular, &PolishOptions::default()).unwrap();
    assert!(report.matrices > 1, "{report:?}");
    assert!(map.energy < 1e-6, "{}", map.energy);
}

/// Where rounding hides what is left, the fit ends and says that it is not there.
#[test]
fn a_valley_of_rounding_errors_ends() {
    let mut map = start();
    let options = PolishOptions {
        matrices: 1_000,
        tolerance: 0.0,
    };
    let report = polish(&Valley, &mut map, curvature, &options).unwrap();
    assert!(report.matrices < 20 && map.gradients < 2_000, "{report:?}");
    assert!(map.energy < 1e-20);
}

/// The two loops against their definition, a dense matrix updated pair by pair:
/// `H <- (I - s y^T / s.y) H (I - y s^T / s.y) + s s^T / s.y`. So `H y = s` for the last pair.
#[test]
fn two_loops_are_the_dense_update() {
    let steps = [[1.0, 0.5, -0.2], [0.3, -1.0, 0.4], [-0.7, 0.2, 0.9]];
    let changes = [[2.0, 0.1, 0.3], [0.2, -0.8, 1.0], [-1.0, 0.5, 0.6]];
    let start = [0.5, 2.0, 1.5];
    let mut dense = [[0.0; 3]; 3];
    (0..3).for_each(|i| dense[i][i] = start[i]);
    let mut pairs = VecDeque::new();
    for (s, y) in steps.iter().zip(&changes) {
        let inverse = 1.0 / dot(s, y);
        let left = |i: usize, j: usize| f64::from(u8::from(i == j)) - inverse * s[i] * y[j];
        let before = dense;
        for (i, row) in dense.iter_mut().enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                let sum = (0..9).map(|k| left(i, k / 3) * before[k / 3][k % 3] * left(j, k % 3));
                *entry = sum.sum::<f64>() + inverse * s[i] * s[j];
            }
        }
        pairs.push_back(Pair {
            step: s.to_vec(),
            change: y.to_vec(),
            inverse,
        });
    }
    let g = [0.3, -0.6, 1.1];
    let mut got = g.to_vec();
    two_loops(&pairs, &mut got, |g| {
        g.iter_mut().zip(&start).for_each(|(g, h)| *g *= h);
    });
    for (got, row) in got.iter().zip(&dense) {
        assert!((got - dot(row, &g)).abs() < 1e-12, "{got}");
    }
    let mut last = changes[2].to_vec();
    two_loops(&pairs, &mut last, |g| {
        g.iter_mut().zip(&start).for_each(|(g, h)| *g *= h);
    });
    assert!(
        last.iter()
            .zip(&steps[2])
            .all(|(a, b)| (a - b).abs() < 1e-12)
    );
}
