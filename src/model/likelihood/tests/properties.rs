//! Checks that densities integrate to one and have the right moments.
//!
//! Derivatives are compared with differences, closed forms and expectations.

use proptest::prelude::*;

use super::*;
use crate::linalg::symmetric_eigen;
use crate::testing::{CheckOptions, LikelihoodOptions, check_likelihood};

/// Outputs and parameters. A case takes as many as it needs.
fn numbers(bound: f64) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-bound..bound, 6)
}

/// A target row under the law: each coordinate `t` standard deviations from its mean, or one of the
/// first few labels and counts.
fn some_target(law: &Law, t: f64) -> Vec<f64> {
    match law {
        Law::Normal(parts) => parts.iter().map(|(m, s)| m + t * s).collect(),
        Law::Student { means, scale, .. } => means.iter().map(|m| m + t * scale).collect(),
        Law::Discrete(p) => vec![(t.abs() * 2.0).floor().min(p.len() as f64 - 1.0)],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Total probability is one, and the moments agree with the law.
    #[test]
    fn densities_are_normalised_and_mean_what_they_say(z in numbers(1.5)) {
        for case in &cases() {
            let mut row = Row::<f64>::new(case);
            let z = &z[..row.dim];
            let name = case.name;
            let mut density = |y: &[f64]| (-row.value(z, y)).exp();
            match (case.law)(&z[..case.outputs], &z[case.outputs..]) {
                Law::Discrete(p) => {
                    let got: Vec<f64> = (0..p.len()).map(|y| density(&[y as f64])).collect();
                    prop_assert!((got.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{name}");
                    for (y, (got, want)) in got.iter().zip(&p).enumerate() {
                        prop_assert!((got - want).abs() < 1e-13, "{name} at {y}: {got} against {want}");
                    }
                }
                law @ Law::Student { .. } => {
                    // the weights of the nodes include the density
                    let Law::Student { means, scale, dof } = &law else { unreachable!() };
                    let mut total = 0.0;
                    for (w, y) in law.nodes() {
                        let mut slope = 1.0;
                        let mut meant = 1.0;
                        for (y, m) in y.iter().zip(means) {
                            let x = (y - m) / scale;
                            slope *= 0.1 * scale * x.asinh().cosh();
                            let law = student_density(x, *dof);
                            meant *= law / scale;
                        }
                        let got = density(&y);
                        prop_assert!((got / meant - 1.0).abs() < 1e-8, "{name}: {got} {meant}");
                        prop_assert!((slope * meant - w).abs() < 1e-9 * w.max(1e-12), "{name}");
                        total += slope * got;
                    }
                    prop_assert!((total - 1.0).abs() < 1e-8, "{name}: {total}");
                }
                Law::Normal(parts) => {
                    // the trapezoid rule at half a standard deviation is exact to e^-79 for a
                    // normal density
                    let axis = |&(mean, std): &(f64, f64)| (-16..=16).map(|i| (0.5 * std, mean + 0.5 * std * f64::from(i))).collect();
                    let m = parts.len();
                    let mut sums = vec![0.0; 1 + 2 * m];
                    for (w, y) in product(&parts.iter().map(axis).collect::<Vec<_>>()) {
                        let p = w * density(&y);
                        sums[0] += p;
                        for (j, (mean, std)) in parts.iter().enumerate() {
                            let t = (y[j] - mean) / std;
                            sums[1 + j] += p * t;
                            sums[1 + m + j] += p * t * t;
                        }
                    }
                    prop_assert!((sums[0] - 1.0).abs() < 1e-12, "{name}: {}", sums[0]);
                    for j in 0..m {
                        prop_assert!(sums[1 + j].abs() < 1e-12 && (sums[1 + m + j] - 1.0).abs() < 1e-12, "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn likelihoods_pass_the_kit((t, seed) in (-2.0..2.0, 0u64..1000)) {
        for case in &cases() {
            let k = case.outputs;
            let own = case.likelihood.params(k).init();
            let y = some_target(&(case.law)(&vec![0.3; k], &own), t);
            let check = CheckOptions { seed, cases: 1, spread: 1.5, ..CheckOptions::default() };
            let exact_hessian = !matches!(case.name, "heteroscedastic" | "noise head" | "student t");
            let options = LikelihoodOptions { check, exact_hessian, ..LikelihoodOptions::default() };
            check_likelihood(&*case.likelihood, k, &y, &options)?;
        }
    }

    /// `Lambda` in closed form agrees with the product in the graph, and has no negative
    /// eigenvalue.
    #[test]
    fn closed_form_and_product_of_lambda_agree((z, t) in (numbers(30.0), -2.0..2.0)) {
        for case in &cases() {
            let (k, likelihood) = (case.outputs, &*case.likelihood);
            let q = likelihood.params(k).len();
            // log noise levels of +-3
            let params: Vec<f64> = z[k..k + q].iter().map(|s| 0.1 * s).collect();
            let y = match (case.law)(&z[..k], &params) {
                // avoid probabilities for rates up to e^30; any count will do
                Law::Discrete(_) => vec![0.0],
                law => some_target(&law, t),
            };
            let (mut got, mut want) = (vec![f64::NAN; k * k], vec![0.0; k * k]);
            likelihood.output_hessian(&z[..k], &y, &params, &mut got).unwrap();
            output_hessian_by_products(likelihood, &z[..k], &y, &params, &mut want).unwrap();
            let scale = want.iter().fold(0.0f64, |a, x| a.max(x.abs()));
            for (g, w) in got.iter().zip(&want) {
                // logits of 30 are rounded to 4e-15, and so are the probabilities in the graph
                prop_assert!((g - w).abs() < 1e-13 * scale + 1e-14, "{}: {g} against {w}", case.name);
            }
            let lowest = symmetric_eigen(&got, k).unwrap().values[0];
            prop_assert!(lowest >= -1e-14 * scale, "{}: eigenvalue {lowest}", case.name);
        }
    }

    /// The two blocks equal the expected Hessian in outputs and parameters, under the model's own
    /// law of the targets. Between outputs and parameters the expectation is zero, unless the case
    /// drops that block.
    #[test]
    fn the_blocks_are_the_expected_hessian(z in numbers(1.5)) {
        for case in &cases() {
            let mut row = Row::<f64>::new(case);
            let z = &z[..row.dim];
            let nodes = row.law(case, z).nodes();
            let mut want = vec![0.0; row.dim * row.dim];
            for (weight, y) in &nodes {
                let hessian = row.matrix(2, z, y);
                want.iter_mut().zip(hessian).for_each(|(w, h)| *w += weight * h);
            }
            if case.drops {
                let (k, dim) = (case.outputs, row.dim);
                for head in k / 2..k {
                    prop_assert!((want[head * dim + k] - 2.0).abs() < 1e-10);
                    (want[head * dim + k], want[k * dim + head]) = (0.0, 0.0);
                }
            }
            let got = row.matrix(3, z, &nodes[0].1);
            let scale = want.iter().fold(1.0f64, |a, x| a.max(x.abs()));
            // tolerance for the tails beyond the last node
            let scale = if case.name == "student t" { 1e3 * scale } else { scale };
            // the product takes and returns a vector of both kinds, so it is compared as a whole
            for (g, w) in got.iter().zip(&want) {
                prop_assert!((g - w).abs() < 1e-11 * scale, "{}: {g} against {w}", case.name);
            }
        }
    }
}

#[test]
fn the_hessian_of_heteroscedastic_noise_is_indefinite() {
    // shows why Lambda is an expectation for this likelihood
    let all = cases();
    let case = all.iter().find(|c| c.name == "heteroscedastic").unwrap();
    let hessian = Row::<f64>::new(case).matrix(2, &[0.5, 0.2], &[0.5]);
    assert!(symmetric_eigen(&hessian, 2).unwrap().values[0] < -0.1);
}
