use super::*;
use crate::autodiff::Var;
use crate::linalg::vector::dot;
use crate::model::{Bernoulli, Categorical, Gaussian, PoissonWithBase, StudentT};
use crate::nn::{Activation, LinearHead, Mlp};

const ALPHA: f64 = 0.7;

fn normals(n: usize, seed: u64) -> Vec<f64> {
    let mut v = vec![0.0; n];
    fill_normal(&mut Streams::new(seed).rng(Phase::USER, 3), &mut v);
    v
}

/// The likelihoods of the tests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    Gaussian(f64),
    Categorical,
    Bernoulli,
    Poisson(f64),
    /// Two targets whose noises are correlated; known by its graph alone.
    Correlated,
}

impl Case {
    fn likelihood(self) -> Box<dyn Likelihood> {
        match self {
            Case::Gaussian(std) => Box::new(Gaussian::new(std).unwrap()),
            Case::Categorical => Box::new(Categorical),
            Case::Bernoulli => Box::new(Bernoulli),
            Case::Poisson(base) => Box::new(PoissonWithBase::new(base).unwrap()),
            Case::Correlated => Box::new(Correlated),
        }
    }

    fn targets(self, x: &[f64], outputs: usize) -> Vec<f64> {
        let n = x.len() / 2;
        match self {
            Case::Gaussian(_) | Case::Correlated => normals(n * outputs, 2),
            Case::Categorical => (0..n).map(|i| (i * 7 % outputs) as f64).collect(),
            Case::Bernoulli => (0..n).map(|i| f64::from(x[2 * i] > 0.3)).collect(),
            Case::Poisson(_) => (0..n).map(|i| (i % 5) as f64).collect(),
        }
    }
}

/// `-log p = r^T A r / 2` up to a constant, with `A = [[2, a], [a, 1]]`.
struct Correlated;
const A: f64 = 0.9;

impl Likelihood for Correlated {
    fn target_dim(&self, _: usize) -> usize {
        2
    }

    fn neg_log_likelihood<'g>(&self, o: Var<'g>, y: Var<'g>, _: Var<'g>) -> Var<'g> {
        let r = o - y;
        let (p, q) = (r.slice(1, 0..1), r.slice(1, 1..2));
        (p.square() + q.square() * 0.5 + p * q * A).sum()
    }

    fn check(&self, _: usize, _: &[f64]) -> Result<()> {
        Ok(())
    }
}

/// A likelihood whose closed form is hidden.
struct ByGraph(Box<dyn Likelihood>);

impl Likelihood for ByGraph {
    fn target_dim(&self, outputs: usize) -> usize {
        self.0.target_dim(outputs)
    }

    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        self.0.encode(targets)
    }

    fn neg_log_likelihood<'g>(&self, o: Var<'g>, y: Var<'g>, own: Var<'g>) -> Var<'g> {
        self.0.neg_log_likelihood(o, y, own)
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        self.0.check(outputs, targets)
    }
}

/// A last layer with this likelihood, and random hidden parameters.
fn problem(case: Case, outputs: usize) -> (LastLayer<f64>, Vec<f64>) {
    let (n, net) = (24, Mlp::new(&[2, 3, outputs], Activation::Tanh).unwrap());
    let x = normals(n * 2, 1);
    let y = case.targets(&x, outputs);
    let theta = normals(net.hidden_params(), 3);
    let last = LastLayer::new(&net, case.likelihood().as_ref(), ALPHA, &x, &y);
    (last.unwrap(), theta)
}

const CONVEX: [(Case, usize); 4] = [
    (Case::Categorical, 3),
    (Case::Bernoulli, 1),
    (Case::Poisson(2.5), 1),
    (Case::Correlated, 2),
];

/// A likelihood by its graph gives the conditional that its closed form gives, from other code.
#[test]
fn a_graph_and_a_closed_form_have_the_same_conditional() {
    let cases = [
        (Case::Bernoulli, 1),
        (Case::Poisson(2.5), 1),
        (Case::Gaussian(0.4), 1),
        (Case::Gaussian(0.4), 2),
        (Case::Categorical, 3),
        (Case::Categorical, 4),
    ];
    for (case, outputs) in cases {
        let (ours, theta) = problem(case, outputs);
        let net = Mlp::new(&[2, 3, outputs], Activation::Tanh).unwrap();
        let x = normals(48, 1);
        let (y, by_graph) = (case.targets(&x, outputs), ByGraph(case.likelihood()));
        let theirs = LastLayer::with_precisions(&net, &by_graph, &[ALPHA; 4], &x, &y).unwrap();
        let (mut a, mut b) = (ours.workspace(), theirs.workspace());
        let evidences = [
            ours.log_evidence(&theta, &mut a).unwrap(),
            theirs.log_evidence(&theta, &mut b).unwrap(),
        ];
        let close = |p: f64, q: f64| (p - q).abs() < 1e-6 * (1.0 + p.abs());
        assert!(close(evidences[0], evidences[1]), "{case:?}: {evidences:?}");
        assert!(close(a.log_det(), b.log_det()), "{case:?}");
        let (a, b) = (a.conditional(), b.conditional());
        for (p, q) in a.centre.iter().zip(b.centre) {
            assert!(close(*p, *q), "{case:?}: {p} {q}");
        }
    }
}

/// Correlated noise makes a Gaussian posterior: its evidence is that of a dense linear model.
#[test]
fn the_conditional_under_correlated_noise_is_the_exact_gaussian() {
    let (last, theta) = problem(Case::Correlated, 2);
    let (n, h) = (last.rows, last.features);
    let mut ws = last.workspace();
    let got = last.log_evidence(&theta, &mut ws).unwrap();
    let y = Case::Correlated.targets(&normals(2 * n, 1), 2);
    // [h, outputs], as the last layer has them
    let (dim, noise) = (2 * h, [[2.0, A], [A, 1.0]]);
    let (mut precision, mut b) = (vec![0.0; dim * dim], vec![0.0; dim]);
    let mut constant = 0.0;
    for row in 0..n {
        let phi = |i: usize| ws.phi[i * n + row];
        for (c, with) in noise.iter().enumerate() {
            for (e, a) in with.iter().enumerate() {
                constant += 0.5 * a * y[2 * row + c] * y[2 * row + e];
                for i in 0..h {
                    b[2 * i + c] += phi(i) * a * y[2 * row + e];
                    for j in 0..h {
                        precision[(2 * i + c) * dim + 2 * j + e] += phi(i) * phi(j) * a;
                    }
                }
            }
        }
    }
    for i in 0..dim {
        precision[i * (dim + 1)] += ALPHA;
    }
    let factor = Cholesky::new(&precision, dim).unwrap();
    let mut centre = b.clone();
    factor.solve(&mut centre);
    let truth =
        0.5 * dot(&b, &centre) - constant - 0.5 * factor.log_det() + 0.5 * dim as f64 * ALPHA.ln();
    assert!((got - truth).abs() < 1e-8 * truth.abs(), "{got} {truth}");
    for (p, q) in ws.conditional().centre.iter().zip(&centre) {
        assert!((p - q).abs() < 1e-8, "{p} {q}");
    }
}

/// At the mode all central differences of the energy vanish. The factor is that of the Hessian,
/// which second differences approximate.
#[test]
fn newton_ends_at_the_mode_with_the_hessian() {
    for (likelihood, outputs) in CONVEX {
        let (last, theta) = problem(likelihood, outputs);
        let mut ws = last.workspace();
        last.compute_features(&theta, &mut ws).unwrap();
        last.newton(None, &mut ws).unwrap();
        let (mode, dim, h) = (ws.centre.clone(), last.dim(), 1e-4);
        let factor = ws.factoriser.factor().clone();
        let mut energy = |at: &[f64]| {
            ws.centre.copy_from_slice(at);
            last.energy_at_centre(&mut ws).unwrap()
        };
        let shifted = |i: usize, a: f64, j: usize, b: f64| {
            let mut at = mode.clone();
            at[i] += a;
            at[j] += b;
            at
        };
        for i in 0..dim {
            let slope =
                (energy(&shifted(i, h, i, 0.0)) - energy(&shifted(i, -h, i, 0.0))) / (2.0 * h);
            assert!(slope.abs() < 1e-6, "{likelihood:?}: slope {slope}");
            // a column of the Hessian, which the factor must turn into a unit vector
            let mut column: Vec<f64> = (0..dim)
                .map(|j| {
                    let mut part = |a: f64, b: f64| energy(&shifted(i, a, j, b));
                    (part(h, h) - part(h, -h) - part(-h, h) + part(-h, -h)) / (4.0 * h * h)
                })
                .collect();
            factor.solve(&mut column);
            for (j, x) in column.iter().enumerate() {
                let unit = f64::from(u8::from(i == j));
                // rounding of the energy, 1e-14, over h^2
                assert!((x - unit).abs() < 1e-4, "{likelihood:?}: {x} at {i} {j}");
            }
        }
    }
}

/// `KL(q | p)` without its constant, `E_q[U] + log det A / 2`, by many draws. The fitted Gaussian
/// is no farther from the posterior than Laplace's. It is much nearer where the prior is weak, so
/// that the posterior leans far away from its mode.
#[test]
fn the_fitted_gaussian_is_nearer_to_the_posterior_than_laplaces() {
    for (likelihood, outputs) in CONVEX {
        for (alpha, gain) in [(ALPHA, -0.02), (0.003, 0.3)] {
            let (mut last, theta) = problem(likelihood, outputs);
            last.prior_precision = alpha;
            let mut ws = last.workspace();
            let (dim, count) = (last.dim(), 2_000);
            let divergence = |ws: &mut LastLayerWorkspace<f64>| {
                let (around, factor) = (ws.centre.clone(), ws.factoriser.factor().clone());
                let mut energy = 0.0;
                for z in normals(count * dim, 9).chunks_exact(dim) {
                    for sign in [1.0, -1.0] {
                        let mut w: Vec<f64> = z.iter().map(|z| sign * z).collect();
                        factor.solve_transposed(&mut w);
                        let places = ws.centre.iter_mut().zip(&around).zip(&w);
                        places.for_each(|((c, a), w)| *c = a + w);
                        energy += last.energy_at_centre(ws).unwrap();
                    }
                }
                ws.centre.copy_from_slice(&around);
                energy / (2.0 * count as f64) + 0.5 * factor.log_det()
            };
            last.compute_features(&theta, &mut ws).unwrap();
            last.newton(None, &mut ws).unwrap();
            let laplace = divergence(&mut ws);
            last.centre(&mut ws).unwrap();
            let fitted = divergence(&mut ws);
            // the Poisson data determine the rate, so no direction is weak here
            // and under correlated noise Laplace's Gaussian is exact
            let gain = match likelihood {
                Case::Poisson(_) | Case::Correlated => -0.02,
                _ => gain,
            };
            assert!(
                fitted < laplace - gain,
                "{likelihood:?} {alpha}: {fitted} against {laplace}"
            );
        }
    }
}

/// Logistic regression with two parameters: the integral by a fine grid.
#[test]
fn the_evidence_of_a_logistic_regression() {
    let net = Mlp::new(&[1, 1], Activation::Tanh).unwrap();
    let x = normals(12, 4);
    let y: Vec<f64> = x.iter().map(|x| f64::from(*x > 0.2)).collect();
    let last = LastLayer::<f64>::new(&net, &Bernoulli, ALPHA, &x, &y).unwrap();
    let got = last.log_evidence(&[], &mut last.workspace()).unwrap();
    let (reach, steps) = (12.0, 600);
    let h = 2.0 * reach / f64::from(steps);
    let mut sum = 0.0;
    for i in 0..=steps {
        for j in 0..=steps {
            let (w, b) = (-reach + f64::from(i) * h, -reach + f64::from(j) * h);
            let nll: f64 = x
                .iter()
                .zip(&y)
                .map(|(x, y)| ((1.0 - 2.0 * y) * (w * x + b)).exp().ln_1p())
                .sum();
            sum += (-nll - 0.5 * ALPHA * (w * w + b * b)).exp();
        }
    }
    // smooth, and negligible at the edge: the error of the rule is far below the compared digits
    let truth = (sum * h * h).ln() + ALPHA.ln() - (2.0 * std::f64::consts::PI).ln();
    assert!(got <= truth + 1e-3, "{got} is above {truth}");
    // KL of a Gaussian from a mildly skewed posterior in two dimensions
    assert!(got > truth - 0.1, "{got} is far below {truth}");
}

/// Several outputs with Gaussian noise are separate regressions on the same features.
#[test]
fn outputs_with_gaussian_noise_are_regressions_of_their_own() {
    let (both, theta) = problem(Case::Gaussian(0.4), 2);
    let mut ws = both.workspace();
    let evidence = both.log_evidence(&theta, &mut ws).unwrap();
    let centre = ws.conditional().centre.to_vec();
    let draw = |ws: &mut LastLayerWorkspace<f64>, z: &[f64]| {
        let mut w = z.to_vec();
        ws.forward(&mut w).unwrap();
        let mut back = w.clone();
        ws.inverse(&mut back).unwrap();
        assert!(back.iter().zip(z).all(|(a, b)| (a - b).abs() < 1e-10));
        w
    };
    let z = normals(8, 6);
    let w = draw(&mut ws, &z);
    let volume = ws.log_det();
    let mut sums = (0.0, 0.0);
    for c in 0..2 {
        let net = Mlp::new(&[2, 3, 1], Activation::Tanh).unwrap();
        let y: Vec<f64> = both.exact_targets[c * both.rows..][..both.rows].to_vec();
        let likelihood = Gaussian::new(0.4).unwrap();
        let one = LastLayer::<f64>::new(&net, &likelihood, ALPHA, &normals(48, 1), &y).unwrap();
        let mut ws = one.workspace();
        sums.0 += one.log_evidence(&theta, &mut ws).unwrap();
        sums.1 += ws.log_det();
        let own: Vec<f64> = z[c..].iter().step_by(2).copied().collect();
        let column = draw(&mut ws, &own);
        for (i, m) in ws.conditional().centre.iter().enumerate() {
            assert!((centre[2 * i + c] - m).abs() < 1e-12);
            assert!((w[2 * i + c] - column[i]).abs() < 1e-12);
        }
    }
    assert!((evidence - sums.0).abs() < 1e-10 * evidence.abs());
    assert!((volume - sums.1).abs() < 1e-12);
}

/// Starting where Newton's method ended before gives the same conditional.
#[test]
fn a_start_changes_nothing_but_the_time() {
    for (likelihood, outputs) in CONVEX {
        let (last, theta) = problem(likelihood, outputs);
        let mut ws = last.workspace();
        let first = last.condition(&theta, &mut ws).unwrap().centre.to_vec();
        let again = last.condition_from(&theta, &first, &mut ws).unwrap();
        // the Hessian is that of a point (2 x 4e-8)^{1/2} standard deviations from the mode, on
        // either side
        let distance: Vec<f64> = again
            .centre
            .iter()
            .zip(&first)
            .map(|(a, b)| a - b)
            .collect();
        assert!(dot(&distance, &distance).sqrt() < 1e-3, "{likelihood:?}");
    }
}

#[test]
fn impossible_targets_are_refused() {
    let net = Mlp::new(&[1, 1], Activation::Tanh).unwrap();
    let new = |likelihood: &dyn Likelihood, y: f64| {
        LastLayer::<f64>::new(&net, likelihood, 1.0, &[0.0], &[y]).map(|_| ())
    };
    for (case, bad) in [
        (Case::Bernoulli, 0.5),
        (Case::Poisson(1.0), -1.0),
        (Case::Categorical, 1.0),
        (Case::Gaussian(1.0), f64::NAN),
    ] {
        assert!(new(case.likelihood().as_ref(), bad).is_err(), "{case:?}");
        let by_graph = ByGraph(case.likelihood());
        assert!(new(&by_graph, bad).is_err(), "{case:?}");
    }
    let error = new(&Bernoulli, 0.5).unwrap_err().to_string();
    assert!(error.contains("0.5"), "{error}");
    // a likelihood with parameters of its own
    let error = new(&StudentT::default(), 0.5).unwrap_err().to_string();
    assert!(error.contains("parameters of its own"), "{error}");
}
