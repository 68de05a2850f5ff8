//! Laplace approximations where they are exact, and each structure against its dense matrix.

mod structures;

use crate::common::{labels, network, normals};
use crate::linear::{inverse, p_value};
use fiberwalk::baselines::{Curvature, Laplace, LaplaceOptions, Structure};
use fiberwalk::curvature::{
    GgnOperator, JacobianRows, KfacBias, KfacOptions, KroneckerFactors, RowFisher, Supervised,
    dense_curvature, dense_operator,
};
use fiberwalk::diagnose::GaussianTarget;
use fiberwalk::linalg::vector::dot;
use fiberwalk::linalg::{Cholesky, LanczosOptions, symmetric_eigen};
use fiberwalk::{
    Activation, Categorical, Gaussian, IsotropicGaussian, Likelihood, Mlp, Network,
    PerLayerGaussian, Posterior, Prior, Streams,
};

pub const JOINED: Structure = Structure::Kfac {
    bias: KfacBias::Joined,
};
pub const SEPARATE: Structure = Structure::Kfac {
    bias: KfacBias::Separate,
};

pub fn options(structure: Structure, curvature: Curvature) -> LaplaceOptions {
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

/// A linear model of `d` features with a bias and Gaussian noise; everything has a closed form.
pub struct Regression {
    pub net: Mlp,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub design: Vec<f64>,
}

impl Regression {
    pub fn new(x: Vec<f64>, d: usize) -> Self {
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

    pub fn data<'a>(&'a self, likelihood: &'a dyn Likelihood) -> Supervised<'a> {
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
    pub fn exact(&self, prior: &[f64], noise: f64) -> (Vec<f64>, Vec<f64>) {
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
    pub fn log_evidence(&self, prior: &[f64], noise: f64) -> f64 {
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

pub fn close(got: f64, want: f64, tolerance: f64, what: &str) {
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
        // the predictive, row by row and for all rows together
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

/// A small network for classes, some rows, and the matrix behind every structure.
pub struct Classes {
    pub net: Mlp,
    pub theta: Vec<f64>,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
}

pub const ALPHA: f64 = 0.8;

impl Classes {
    pub fn new(rows: usize) -> Self {
        let (net, theta) = network(&[2, 3, 3], Activation::Tanh, 5);
        Self {
            net,
            theta,
            x: normals(rows * 2, 6),
            y: labels(rows, 3, 7),
        }
    }

    pub fn data(&self) -> Supervised<'_> {
        Supervised {
            network: &self.net,
            likelihood: &Categorical,
            x: &self.x,
            y: &self.y,
        }
    }

    /// The curvature of a structure as a dense matrix. It comes from products with the operator or
    /// from gradients, so by another route than the structure takes. KFAC is the exception: its
    /// factors are used, and only multiplied out. What is tested there is the use of the blocks.
    /// The factors are tested against plain loops (`kfac`), where they are exact (below) and
    /// against laplace-torch (`laplace_torch`).
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

pub const STRUCTURES: [Structure; 6] = [
    Structure::Full,
    Structure::Diagonal,
    Structure::LowRank { rank: 4 },
    JOINED,
    SEPARATE,
    Structure::LastLayer,
];
