//! Laplace approximations where they are exact, and each structure against the dense matrix that it stands for.

use crate::common::{labels, network, normals};
use crate::linear::{inverse, p_value};
use fiberwalk::baselines::{
    Curvature, Laplace, LaplaceOptions, PrecisionGroups, Structure, TuneOptions, precision_grid,
};
use fiberwalk::curvature::{
    GgnOperator, JacobianRows, KfacBias, KfacOptions, KroneckerFactors, RowFisher, Supervised,
    dense_curvature, dense_operator,
};
use fiberwalk::diagnose::GaussianTarget;
use fiberwalk::linalg::vector::dot;
use fiberwalk::linalg::{Cholesky, LanczosOptions, symmetric_eigen};
use fiberwalk::nn::{LayerNorm, Linear, Sequential};
use fiberwalk::{
    Activation, Bernoulli, Categorical, Error, FanInGaussian, Gaussian, GaussianLearnedNoise,
    IsotropicGaussian, Likelihood, Mlp, Network, PerLayerGaussian, Posterior, Prior, Streams,
};

const JOINED: Structure = Structure::Kfac {
    bias: KfacBias::Joined,
};
const SEPARATE: Structure = Structure::Kfac {
    bias: KfacBias::Separate,
};

fn options(structure: Structure, curvature: Curvature) -> LaplaceOptions {
    LaplaceOptions {
        structure,
        curvature,
        lanczos: LanczosOptions {
            tolerance: 1e-11,
            max_products: 2_000,
            ..LanczosOptions::default()
        },
        ..LaplaceOptions::default()
    }
}

/// A linear model of `d` features with a bias, Gaussian noise, and everything in closed form.
struct Regression {
    net: Mlp,
    x: Vec<f64>,
    y: Vec<f64>,
    design: Vec<f64>,
}

impl Regression {
    fn new(x: Vec<f64>, d: usize) -> Self {
        let noise = normals(x.len() / d, 41);
        let signal = |row: &[f64]| 0.4 + 0.8 * row[0] - 0.6 * row[d - 1];
        Self {
            net: Mlp::new(&[d, 1], Activation::Identity).unwrap(),
            y: x.chunks_exact(d)
                .zip(noise)
                .map(|(r, e)| signal(r) + 0.5 * e)
                .collect(),
            design: x
                .chunks_exact(d)
                .flat_map(|r| [r, &[1.0]].concat())
                .collect(),
            x,
        }
    }

    fn data<'a>(&'a self, likelihood: &'a dyn Likelihood) -> Supervised<'a> {
        Supervised {
            network: &self.net,
            likelihood,
            x: &self.x,
            y: &self.y,
        }
    }

    fn row(&self, n: usize) -> &[f64] {
        let p = self.net.dim();
        &self.design[n * p..(n + 1) * p]
    }

    /// Mean and covariance of the posterior.
    fn exact(&self, prior: &[f64], noise: f64) -> (Vec<f64>, Vec<f64>) {
        let p = prior.len();
        let (mut precision, mut mean) = (vec![0.0; p * p], vec![0.0; p]);
        for (n, y) in self.y.iter().enumerate() {
            for i in 0..p {
                mean[i] += self.row(n)[i] * y / (noise * noise);
                for j in 0..p {
                    precision[i * p + j] += self.row(n)[i] * self.row(n)[j] / (noise * noise);
                }
            }
        }
        (0..p).for_each(|i| precision[i * p + i] += prior[i]);
        Cholesky::new(&precision, p).unwrap().solve(&mut mean);
        (mean, inverse(&precision, p))
    }

    /// `y ~ N(0, noise^2 I + Phi D^{-1} Phi^T)`.
    fn log_evidence(&self, prior: &[f64], noise: f64) -> f64 {
        let n = self.y.len();
        let entry = |i: usize, j: usize| {
            let products = self.row(i).iter().zip(self.row(j)).zip(prior);
            let shared: f64 = products.map(|((a, b), p)| a * b / p).sum();
            shared + if i == j { noise * noise } else { 0.0 }
        };
        let c: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
        let factor = Cholesky::new(&c, n).unwrap();
        let mut z = self.y.clone();
        factor.solve_lower(&mut z);
        let constant = n as f64 * (2.0 * std::f64::consts::PI).ln();
        -0.5 * (dot(&z, &z) + factor.log_det() + constant)
    }
}

/// Columns of signs that are orthogonal to one another and to a constant.
fn signs() -> Vec<f64> {
    let sign = |n: usize, j: usize| if n >> j & 1 == 1 { 1.0 } else { -1.0 };
    (0..8)
        .flat_map(|n| [sign(n, 0), sign(n, 1), sign(n, 2)])
        .collect()
}

fn close(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!(
        (got - want).abs() <= tolerance * (1.0 + want.abs()),
        "{what}: {got} against {want}"
    );
}

#[test]
fn linear_regression_is_exact() {
    let full = Regression::new(normals(14 * 4, 42), 4);
    let noise = 0.5;
    let likelihood = Gaussian::new(noise).unwrap();
    let by_tensor = PerLayerGaussian::new(&[("layer0.weight", 2.0), ("layer0.bias", 0.7)]).unwrap();
    let one = IsotropicGaussian::new(1.3).unwrap();
    let orthogonal = Regression::new(signs(), 3);
    let (ggn, hessian) = (Curvature::Ggn, Curvature::Hessian);
    let cases: [(&Regression, &dyn Prior, Structure, Curvature); 9] = [
        (&full, &by_tensor, Structure::Full, ggn),
        (&full, &by_tensor, Structure::Full, hessian),
        (&full, &by_tensor, Structure::LastLayer, ggn),
        (&full, &by_tensor, Structure::LowRank { rank: 5 }, ggn),
        (&full, &one, JOINED, ggn),
        (&orthogonal, &by_tensor, Structure::Diagonal, ggn),
        (&orthogonal, &by_tensor, Structure::Diagonal, hessian),
        (&orthogonal, &by_tensor, SEPARATE, ggn),
        (&orthogonal, &by_tensor, Structure::LowRank { rank: 4 }, ggn),
    ];
    for (problem, prior, structure, curvature) in cases {
        let what = format!("{structure:?} {curvature:?}");
        let alpha = prior.precision(problem.net.layout());
        let (mean, covariance) = problem.exact(&alpha, noise);
        let p = mean.len();
        let data = problem.data(&likelihood);
        let options = options(structure, curvature);
        let laplace = Laplace::fit(&data, prior, &mean, &options, Streams::new(1)).unwrap();
        close(
            laplace.log_evidence(),
            problem.log_evidence(&alpha, noise),
            1e-8,
            &what,
        );
        for (i, v) in laplace.variances().iter().enumerate() {
            close(*v, covariance[i * p + i], 1e-8, &what);
        }
        let effective: f64 = (0..p).map(|i| 1.0 - alpha[i] * covariance[i * p + i]).sum();
        close(laplace.effective_parameters(), effective, 1e-8, &what);
        // the predictive, row by row and of all rows together
        let each = laplace.linearised_all(&problem.net, &problem.x).unwrap();
        let joint = laplace.linearised_joint(&problem.net, &problem.x).unwrap();
        let n = problem.y.len();
        assert_eq!(
            (each.rows, joint.rows, joint.covariance.len()),
            (n, n, n * n)
        );
        for i in 0..n {
            close(each.means[i], dot(problem.row(i), &mean), 1e-10, &what);
            for j in 0..n {
                let rows = (0..p * p)
                    .map(|at| problem.row(i)[at / p] * covariance[at] * problem.row(j)[at % p]);
                let want: f64 = rows.sum();
                close(joint.covariance[i * n + j], want, 1e-8, &what);
                if i == j {
                    close(each.covariances[i], want, 1e-8, &what);
                }
            }
        }
    }
}

/// A small network of classes, some rows, and the matrices that every structure stands for.
struct Classes {
    net: Mlp,
    theta: Vec<f64>,
    x: Vec<f64>,
    y: Vec<f64>,
}

const ALPHA: f64 = 0.8;

impl Classes {
    fn new(rows: usize) -> Self {
        let (net, theta) = network(&[2, 3, 3], Activation::Tanh, 5);
        Self {
            net,
            theta,
            x: normals(rows * 2, 6),
            y: labels(rows, 3, 7),
        }
    }

    fn data(&self) -> Supervised<'_> {
        Supervised {
            network: &self.net,
            likelihood: &Categorical,
            x: &self.x,
            y: &self.y,
        }
    }

    /// The curvature as a dense matrix, another way than the structure takes.
    fn curvature(&self, structure: Structure, curvature: Curvature) -> Vec<f64> {
        let p = self.net.dim();
        let density = self.data().density::<f64>().unwrap();
        let mut full = match curvature {
            Curvature::EmpiricalFisher => {
                let mut all = vec![0.0; p * p];
                for n in 0..self.y.len() {
                    let one = Supervised {
                        x: &self.x[2 * n..2 * n + 2],
                        y: &self.y[n..n + 1],
                        ..self.data()
                    };
                    let density = one.density::<f64>().unwrap();
                    let mut ws = fiberwalk::LogDensity::workspace(&density);
                    let mut g = vec![0.0; p];
                    fiberwalk::LogDensity::log_density_and_grad(
                        &density,
                        &self.theta,
                        &mut g,
                        &mut ws,
                    )
                    .unwrap();
                    // without the prior of precision 1
                    g.iter_mut().zip(&self.theta).for_each(|(g, t)| *g += t);
                    (0..p * p).for_each(|at| all[at] += g[at / p] * g[at % p]);
                }
                all
            }
            _ => {
                let mut op = GgnOperator::new(&density, &self.theta).unwrap();
                dense_operator(&mut op, 0..p).unwrap()
            }
        };
        match structure {
            Structure::Full | Structure::LastLayer => full,
            Structure::Diagonal => {
                (0..p * p).for_each(|at| full[at] *= f64::from(at / p == at % p));
                full
            }
            Structure::LowRank { rank } => {
                let eigen = symmetric_eigen(&full, p).unwrap();
                let mut sum = vec![0.0; p * p];
                for i in p - rank..p {
                    let v = &eigen.vectors[i * p..(i + 1) * p];
                    (0..p * p).for_each(|at| sum[at] += eigen.values[i] * v[at / p] * v[at % p]);
                }
                sum
            }
            Structure::Kfac { bias } => {
                let fisher = match curvature {
                    Curvature::EmpiricalFisher => RowFisher::Empirical,
                    _ => RowFisher::Ggn,
                };
                let options = KfacOptions { fisher, bias };
                dense_blocks(&KroneckerFactors::new(&self.data(), &self.theta, options).unwrap())
            }
        }
    }
}

fn dense_blocks(factors: &KroneckerFactors) -> Vec<f64> {
    let p = factors.dim();
    let mut matrix = vec![0.0; p * p];
    let mut seen = vec![false; p];
    for block in factors.blocks() {
        let [a, b] = block.orders();
        for (s, &i) in block.index.iter().enumerate() {
            assert!(!std::mem::replace(&mut seen[i], true), "in two blocks");
            for (t, &j) in block.index.iter().enumerate() {
                matrix[i * p + j] =
                    block.input_factor[s / b * a + t / b] * block.output_factor[s % b * b + t % b];
            }
        }
    }
    assert!(seen.iter().all(|&s| s));
    matrix
}

const STRUCTURES: [Structure; 6] = [
    Structure::Full,
    Structure::Diagonal,
    Structure::LowRank { rank: 4 },
    JOINED,
    SEPARATE,
    Structure::LastLayer,
];

/// Evidence, variances, linearised covariances, and draws by chi-square.
#[test]
fn every_structure_is_the_gaussian_of_its_dense_matrix() {
    let problem = Classes::new(40);
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let jacobian = JacobianRows::new(&problem.net, &problem.theta).unwrap();
    for structure in STRUCTURES {
        for curvature in [Curvature::Ggn, Curvature::EmpiricalFisher] {
            let what = format!("{structure:?} {curvature:?}");
            let laplace = Laplace::fit(
                &problem.data(),
                &prior,
                &problem.theta,
                &options(structure, curvature),
                Streams::new(2),
            )
            .unwrap();
            let (p, range) = (problem.net.dim(), laplace.active());
            let q = range.len();
            let full = problem.curvature(structure, curvature);
            let entry = |at: usize| full[(range.start + at / q) * p + range.start + at % q];
            let mut precision: Vec<f64> = (0..q * q).map(entry).collect();
            (0..q).for_each(|i| precision[i * q + i] += ALPHA);
            let factor = Cholesky::new(&precision, q).unwrap();
            let covariance = inverse(&precision, q);
            let theta = &problem.theta[range.clone()];
            let log_prior = 0.5 * (q as f64 * ALPHA.ln() - ALPHA * dot(theta, theta));
            let want = laplace.log_likelihood() + log_prior - 0.5 * factor.log_det();
            close(laplace.log_evidence(), want, 1e-9, &what);
            for (i, v) in laplace.variances().iter().enumerate() {
                close(*v, covariance[i * q + i], 1e-9, &what);
            }
            let outputs = laplace.linearised_all(&problem.net, &problem.x).unwrap();
            let mut memory = jacobian.memory();
            for row in [0, 17, 39] {
                let mut gradient = |k: usize| -> Vec<f64> {
                    let mut unit = [0.0; 3];
                    unit[k] = 1.0;
                    let x = &problem.x[2 * row..2 * row + 2];
                    let (g, o) = jacobian.pull_back(x, &unit, &mut memory).unwrap();
                    assert_eq!(o, outputs.mean(row));
                    g[range.clone()].to_vec()
                };
                let j: Vec<Vec<f64>> = (0..3).map(&mut gradient).collect();
                for at in 0..9 {
                    let terms =
                        (0..q * q).map(|c| j[at / 3][c / q] * covariance[c] * j[at % 3][c % q]);
                    close(outputs.covariance(row)[at], terms.sum(), 1e-9, &what);
                }
            }
            // three tests of 4,000 draws each: a p-value under 1e-5 somewhere in 36 of them has a chance of 4e-4
            let draws = laplace.sample(4_000, Streams::new(3)).unwrap();
            let active: Vec<f64> = draws
                .chunks_exact(p)
                .flat_map(|d| d[range.clone()].to_vec())
                .collect();
            let target = GaussianTarget::new(theta, &covariance).unwrap();
            let p_value = p_value(&target, &active);
            assert!(p_value > 1e-5, "{what}: {p_value}");
            // what is not active stays
            assert!(
                draws
                    .chunks_exact(p)
                    .all(|d| d[..range.start] == problem.theta[..range.start])
            );
        }
    }
}

#[test]
fn structures_agree_where_they_are_exact() {
    // one row, one layer: a a^T (x) Lambda is a Kronecker product
    let (net, theta) = network(&[3, 4], Activation::Identity, 8);
    let (x, y) = (normals(3, 9), [2.0]);
    let data = Supervised {
        network: &net,
        likelihood: &Categorical,
        x: &x,
        y: &y,
    };
    for fisher in [RowFisher::Ggn, RowFisher::Empirical] {
        let options = KfacOptions {
            fisher,
            ..KfacOptions::default()
        };
        let kfac = dense_blocks(&KroneckerFactors::new(&data, &theta, options).unwrap());
        let full = dense_curvature(&data, &theta, 0..net.dim(), fisher).unwrap();
        for (got, want) in kfac.iter().zip(&full) {
            close(*got, *want, 1e-13, "one row of one layer");
        }
    }
    // all eigenpairs: the full one, of a matrix that is singular
    let problem = Classes::new(4);
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let fit = |structure| {
        let options = options(structure, Curvature::Ggn);
        let data = problem.data();
        Laplace::fit(&data, &prior, &problem.theta, &options, Streams::new(4)).unwrap()
    };
    let p = problem.net.dim();
    let (full, low) = (fit(Structure::Full), fit(Structure::LowRank { rank: p }));
    close(low.log_evidence(), full.log_evidence(), 1e-9, "evidence");
    let [a, b] = [&low, &full].map(|l| l.linearised_joint(&problem.net, &problem.x).unwrap());
    for (got, want) in a.covariance.iter().zip(&b.covariance) {
        close(*got, *want, 1e-9, "covariance");
    }
    // a single input weight and one row: the diagonal is all there is
    let (net, theta) = network(&[2, 1], Activation::Identity, 3);
    let likelihood = Gaussian::new(0.3).unwrap();
    let data = Supervised {
        network: &net,
        likelihood: &likelihood,
        x: &[0.7, 0.0],
        y: &[0.1],
    };
    let full = dense_curvature(&data, &theta, 0..1, RowFisher::Ggn).unwrap();
    close(full[0], 0.49 / 0.09, 1e-13, "one weight");
}

/// Laplace's evidence of a logistic regression with two parameters, against quadrature, and the first term of what it misses.
///
/// With cumulants `k3 = p (1 - p) (1 - 2 p)`, `k4 = p (1 - p) (1 - 6 p (1 - p))` and `S = Q^{-1}`, the expansion in `1 / N` (Tierney & Kadane 1986; Shun
/// & McCullagh 1995) has
/// `log Z - log Z_Laplace ~ -1/8 sum_n k4_n v_nn^2 + 1/8 sum_nm k3_n k3_m v_nn v_nm v_mm + 1/12 sum_nm k3_n k3_m v_nm^3`, `v_nm = x_n^T S x_m`.
#[test]
fn evidence_of_a_logistic_regression_by_quadrature() {
    let net = Mlp::new(&[1, 1], Activation::Identity).unwrap();
    let alpha = 0.5;
    let prior = IsotropicGaussian::new(alpha).unwrap();
    let mut errors = Vec::new();
    for n in [50, 200] {
        let x = normals(n, 11);
        let draws = normals(n, 12);
        let y: Vec<f64> = x
            .iter()
            .zip(&draws)
            .map(|(x, e)| f64::from(1.2 * x - 0.4 + 1.7 * e > 0.0))
            .collect();
        // -log p(D, theta), its gradient and Hessian by hand
        let parts = |w: f64, b: f64| {
            let mut u = 0.5 * alpha * (w * w + b * b) - (alpha / (2.0 * std::f64::consts::PI)).ln();
            let (mut g, mut h) = ([alpha * w, alpha * b], [alpha, 0.0, alpha]);
            for (x, y) in x.iter().zip(&y) {
                let o = w * x + b;
                u += (1.0 + o.abs().neg().exp()).ln() + o.max(0.0) - y * o;
                let p = 1.0 / (1.0 + (-o).exp());
                g[0] += (p - y) * x;
                g[1] += p - y;
                let s = p * (1.0 - p);
                h = [h[0] + s * x * x, h[1] + s * x, h[2] + s];
            }
            (u, g, h)
        };
        use std::ops::Neg;
        let (mut w, mut b) = (0.0, 0.0);
        for _ in 0..50 {
            let (_, g, h) = parts(w, b);
            let det = h[0] * h[2] - h[1] * h[1];
            w -= (h[2] * g[0] - h[1] * g[1]) / det;
            b -= (h[0] * g[1] - h[1] * g[0]) / det;
        }
        let (mode, _, h) = parts(w, b);
        let det = h[0] * h[2] - h[1] * h[1];
        let s = [h[2] / det, -h[1] / det, h[0] / det];
        // the trapezoid rule on +-10 standard deviations in steps of a fifth: exact but for e^-50 and e^{-2 pi^2 25}
        let (dw, db) = (0.2 * s[0].sqrt(), 0.2 * s[2].sqrt());
        let mut sum = 0.0;
        for i in -50..=50 {
            for j in -50..=50 {
                let (u, _, _) = parts(w + dw * f64::from(i), b + db * f64::from(j));
                sum += (mode - u).exp();
            }
        }
        let exact = (sum * dw * db).ln() - mode;
        let data = Supervised {
            network: &net,
            likelihood: &Bernoulli,
            x: &x,
            y: &y,
        };
        for curvature in [Curvature::Ggn, Curvature::Hessian] {
            let options = options(Structure::Full, curvature);
            let laplace = Laplace::fit(&data, &prior, &[w, b], &options, Streams::new(0)).unwrap();
            let by_hand = -mode + (2.0 * std::f64::consts::PI).ln() - 0.5 * det.ln();
            close(
                laplace.log_evidence(),
                by_hand,
                1e-10,
                "two ways to Laplace",
            );
            let p: Vec<f64> = x.iter().map(|x| 1.0 / (1.0 + (-w * x - b).exp())).collect();
            let v = |i: usize, j: usize| s[0] * x[i] * x[j] + s[1] * (x[i] + x[j]) + s[2];
            let k2 = |i: usize| p[i] * (1.0 - p[i]);
            let k3 = |i: usize| k2(i) * (1.0 - 2.0 * p[i]);
            let mut correction = 0.0;
            for i in 0..n {
                correction -= k2(i) * (1.0 - 6.0 * k2(i)) * v(i, i).powi(2) / 8.0;
                for j in 0..n {
                    let pair = v(i, i) * v(i, j) * v(j, j) / 8.0 + v(i, j).powi(3) / 12.0;
                    correction += k3(i) * k3(j) * pair;
                }
            }
            let error = exact - laplace.log_evidence();
            // what is left is of the second order: the square of the first, about
            let left = (error - correction).abs();
            assert!(
                left < 0.25 * correction.abs() && left < 5e-3,
                "{n} rows: error {error}, first term {correction}"
            );
            errors.push(error.abs());
        }
    }
    // 1 / N: a quarter, and the data are others
    assert!(errors[2] < 0.5 * errors[0] && errors[0] < 0.1, "{errors:?}");
}

#[test]
fn scales_are_at_a_maximum_of_the_evidence() {
    let problem = Regression::new(normals(40 * 4, 43), 4);
    let (mut noise, mut alpha) = (1.0, vec![1.0; 5]);
    let tuning = TuneOptions {
        groups: Some(PrecisionGroups::PerTensor),
        noise_std: true,
        steps: 500,
        tolerance: 1e-9,
        ..TuneOptions::default()
    };
    for round in 0..40 {
        let likelihood = Gaussian::new(noise).unwrap();
        let prior =
            PerLayerGaussian::new(&[("layer0.weight", alpha[0]), ("layer0.bias", alpha[4])])
                .unwrap();
        let (mean, _) = problem.exact(&alpha, noise);
        let options = LaplaceOptions {
            noise_std: Some(noise),
            ..options(Structure::Full, Curvature::Ggn)
        };
        let mut laplace = Laplace::fit(
            &problem.data(&likelihood),
            &prior,
            &mean,
            &options,
            Streams::new(5),
        )
        .unwrap();
        let before = laplace.log_evidence();
        let report = laplace.tune_by_evidence(&tuning).unwrap();
        assert!(report.settled && !report.bounded, "{report:?}");
        assert!(report.log_evidence >= before - 1e-9);
        close(laplace.log_evidence(), report.log_evidence, 1e-12, "report");
        alpha = laplace.prior_precision().to_vec();
        noise = laplace.noise_std().unwrap();
        if round == 0 {
            // with mean and curvature as they are, every direction is downhill
            for factor in [0.97, 1.03] {
                let mut other = laplace.clone();
                other.set_noise_std(noise * factor).unwrap();
                assert!(other.log_evidence() < report.log_evidence - 1e-6);
                for tensor in [0..4, 4..5] {
                    let mut prior = alpha.clone();
                    prior[tensor].iter_mut().for_each(|p| *p *= factor);
                    let mut other = laplace.clone();
                    other.set_prior_precision(&prior).unwrap();
                    assert!(other.log_evidence() < report.log_evidence - 1e-6);
                }
            }
        }
    }
    // fitted and tuned in turn: the maximum of the exact evidence
    let best = problem.log_evidence(&alpha, noise);
    for factor in [0.97, 1.03] {
        let mut weights = alpha.clone();
        weights[..4].iter_mut().for_each(|p| *p *= factor);
        let mut bias = alpha.clone();
        bias[4] *= factor;
        assert!(problem.log_evidence(&weights, noise) < best);
        assert!(problem.log_evidence(&bias, noise) < best);
        assert!(problem.log_evidence(&alpha, noise * factor) < best);
    }
}

#[test]
fn a_score_chooses_among_precisions() {
    let problem = Classes::new(30);
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let mut laplace = Laplace::fit(
        &problem.data(),
        &prior,
        &problem.theta,
        &options(JOINED, Curvature::Ggn),
        Streams::new(4),
    )
    .unwrap();
    let grid = precision_grid(1e-2, 1e2, 5);
    for (got, want) in grid.iter().zip([0.01, 0.1, 1.0, 10.0, 100.0]) {
        close(*got, want, 1e-12, "grid");
    }
    let score = |l: &Laplace<f64>| Ok((l.prior_precision()[0].ln() - 2.0).abs());
    let (best, value) = laplace.tune_by_score(&grid, score).unwrap();
    close(best, 10.0, 1e-12, "the nearest to e^2");
    close(value, 10f64.ln() - 2.0, 1e-12, "its score");
    assert!(laplace.prior_precision().iter().all(|&p| p == best));
    assert!(laplace.tune_by_score(&grid, |_| Ok(f64::NAN)).is_err());
    assert!(laplace.tune_by_score(&[-1.0], |_| Ok(0.0)).is_err());
    assert!(laplace.prior_precision().iter().all(|&p| p == best));
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let problem = Classes::new(150);
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let theta: Vec<f32> = problem.theta.iter().map(|&t| t as f32).collect();
    for structure in STRUCTURES {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let options = LaplaceOptions {
                    structure,
                    ..LaplaceOptions::default()
                };
                let data = problem.data();
                let mut laplace =
                    Laplace::fit(&data, &prior, &theta, &options, Streams::new(6)).unwrap();
                let outputs = laplace.linearised_all(&problem.net, &problem.x).unwrap();
                let joint = laplace
                    .linearised_joint(&problem.net, &problem.x[..20])
                    .unwrap();
                let draws = laplace.sample(20, Streams::new(7)).unwrap();
                let tuned = laplace.tune_by_evidence(&TuneOptions::default()).unwrap();
                let mut bits: Vec<u64> = draws.iter().map(|d| u64::from(d.to_bits())).collect();
                let numbers = outputs.covariances.iter().chain(&joint.covariance);
                bits.extend(numbers.chain([&tuned.log_evidence]).map(|v| v.to_bits()));
                bits
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(8), "{structure:?}");
    }
}

#[test]
fn what_cannot_be_approximated_is_refused() {
    let problem = Classes::new(20);
    let isotropic = IsotropicGaussian::new(ALPHA).unwrap();
    let message = |data: &Supervised<'_>, prior: &dyn Prior, options: &LaplaceOptions| {
        let theta = vec![0.1; data.network.dim()];
        let fitted = Laplace::fit(data, prior, &theta, options, Streams::new(0));
        fitted.map(|_| ()).unwrap_err().to_string()
    };
    let plain = |structure| options(structure, Curvature::Ggn);
    // a prior that tells weights from biases
    let fan_in = FanInGaussian::new(1.0, 0.3).unwrap();
    assert!(message(&problem.data(), &fan_in, &plain(JOINED)).contains("one prior precision"));
    let theta = &problem.theta;
    let fit =
        |o: &LaplaceOptions| Laplace::fit(&problem.data(), &fan_in, theta, o, Streams::new(0));
    assert!(fit(&plain(SEPARATE)).is_ok());
    // a layer without Kronecker factors, by name
    let layers: Vec<Box<dyn fiberwalk::nn::Layer>> =
        vec![Box::new(LayerNorm), Box::new(Linear::new(3).unwrap())];
    let normalised = Sequential::new(&[2], layers).unwrap();
    let data = Supervised {
        network: &normalised,
        ..problem.data()
    };
    let said = message(&data, &isotropic, &plain(JOINED));
    assert!(said.contains("layer0."), "{said}");
    // an exact Hessian that is not positive definite: two layers that start at zero are a saddle
    let steep = Supervised {
        x: &problem.x,
        y: &vec![0.0; 20],
        ..problem.data()
    };
    let weak = IsotropicGaussian::new(1e-8).unwrap();
    let at_zero = vec![0.0; problem.net.dim()];
    for (structure, at) in [(Structure::Full, &at_zero), (Structure::Diagonal, theta)] {
        let options = options(structure, Curvature::Hessian);
        let fitted = Laplace::fit(&steep, &weak, at, &options, Streams::new(0));
        assert!(
            matches!(fitted, Err(Error::NotPositiveDefinite { .. })),
            "{structure:?}"
        );
    }
    for structure in [JOINED, Structure::LowRank { rank: 2 }] {
        let options = options(structure, Curvature::Hessian);
        assert!(message(&problem.data(), &isotropic, &options).contains("semidefinite"));
    }
    assert!(
        message(
            &problem.data(),
            &isotropic,
            &plain(Structure::LowRank { rank: 0 })
        )
        .contains("rank")
    );
    // noise that is not the likelihood's, and likelihoods with parameters of their own
    let noisy = LaplaceOptions {
        noise_std: Some(0.5),
        ..LaplaceOptions::default()
    };
    assert!(message(&problem.data(), &isotropic, &noisy).contains("noise_std"));
    let learned = GaussianLearnedNoise::shared();
    let regression = Regression::new(normals(20, 1), 2);
    let said = message(&regression.data(&learned), &isotropic, &plain(JOINED));
    assert!(said.contains("parameters of its own"), "{said}");
}
