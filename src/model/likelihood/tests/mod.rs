//! Checks every likelihood against a second implementation, written out by hand.

mod edges;
mod properties;
mod weighted;

use super::*;
use crate::autodiff::{Program, Workspace};
use crate::scalar::Scalar;

/// The distribution of one row of targets, written out by hand.
enum Law {
    /// Independent normal targets: mean and standard deviation.
    Normal(Vec<(f64, f64)>),
    /// One target `0, 1, 2...`, with its probabilities.
    Discrete(Vec<f64>),
    /// Independent Student-t targets of a common scale and degrees of freedom.
    Student {
        means: Vec<f64>,
        scale: f64,
        dof: f64,
    },
}

impl Law {
    /// Weighted targets that replace the law when the expectation of a Hessian is taken.
    fn nodes(&self) -> Vec<(f64, Vec<f64>)> {
        match self {
            Law::Discrete(p) => p
                .iter()
                .enumerate()
                .map(|(y, &p)| (p, vec![y as f64]))
                .collect(),
            Law::Normal(parts) => {
                // three Gauss-Hermite nodes: exact, as the Hessian is of degree two in the targets
                let axis = |&(mean, std): &(f64, f64)| {
                    let far = 3f64.sqrt() * std;
                    vec![
                        (1.0 / 6.0, mean - far),
                        (2.0 / 3.0, mean),
                        (1.0 / 6.0, mean + far),
                    ]
                };
                product(&parts.iter().map(axis).collect::<Vec<_>>())
            }
            Law::Student { means, scale, dof } => {
                // y = mean + scale sinh t: the trapezoid rule in t is exact to rounding
                let axis = |&mean: &f64| {
                    let node = |i: i32| {
                        let t = 0.1 * f64::from(i);
                        let x = t.sinh();
                        (0.1 * t.cosh() * student_density(x, *dof), mean + scale * x)
                    };
                    (-140..=140).map(node).collect::<Vec<_>>()
                };
                product(&means.iter().map(axis).collect::<Vec<_>>())
            }
        }
    }
}

struct Case {
    name: &'static str,
    likelihood: Box<dyn Likelihood>,
    outputs: usize,
    /// The law, from outputs and own parameters.
    law: fn(&[f64], &[f64]) -> Law,
    /// True if the block between the heads and the first own parameter is dropped.
    drops: bool,
}

const NOISES: [f64; 3] = [0.4, 1.3, 0.8];
const FLOOR: f64 = 0.05;

fn softmax(o: &[f64]) -> Vec<f64> {
    let total: f64 = o.iter().map(|o| o.exp()).sum();
    o.iter().map(|o| o.exp() / total).collect()
}

/// `r^y e^-r / y!` for `y = 0, 1, ...`, by repeated multiplication.
fn poisson(rate: f64) -> Vec<f64> {
    let mut p = (-rate).exp();
    let next = |y: usize| {
        let now = p;
        p *= rate / (y + 1) as f64;
        now
    };
    (0..220).map(next).collect()
}

fn heteroscedastic(o: &[f64]) -> Law {
    let (means, heads) = o.split_at(o.len() / 2);
    let pair = |(&m, &h): (&f64, &f64)| (m, (1.0 + h.exp()).ln() + FLOOR);
    Law::Normal(means.iter().zip(heads).map(pair).collect())
}

fn noise_head(o: &[f64], s: &[f64]) -> Law {
    let (means, heads) = o.split_at(o.len() / 2);
    let pair = |(&m, &h): (&f64, &f64)| (m, (s[0] + h).exp());
    Law::Normal(means.iter().zip(heads).map(pair).collect())
}

/// Density of Student's t with location 0 and scale 1.
fn student_density(x: f64, dof: f64) -> f64 {
    let ratio = libm::lgamma(0.5 * (dof + 1.0)) - libm::lgamma(0.5 * dof);
    let peak = ratio - 0.5 * (dof * std::f64::consts::PI).ln();
    (peak - 0.5 * (dof + 1.0) * (x * x / dof).ln_1p()).exp()
}

fn student_t(o: &[f64], s: &[f64]) -> Law {
    Law::Student {
        means: o.to_vec(),
        scale: s[0].exp(),
        dof: 2.0 + s[1].exp(),
    }
}

fn cases() -> Vec<Case> {
    let case = |name, likelihood, outputs, law| Case {
        name,
        likelihood,
        outputs,
        law,
        drops: name == "noise head",
    };
    let categorical: fn(&[f64], &[f64]) -> Law = |o, _| Law::Discrete(softmax(o));
    let fixed: fn(&[f64], &[f64]) -> Law =
        |o, _| Law::Normal(o.iter().map(|&o| (o, NOISES[0])).collect());
    let per_output: fn(&[f64], &[f64]) -> Law =
        |o, _| Law::Normal(o.iter().copied().zip(NOISES).collect());
    let shared: fn(&[f64], &[f64]) -> Law =
        |o, s| Law::Normal(o.iter().map(|&o| (o, s[0].exp())).collect());
    let each: fn(&[f64], &[f64]) -> Law =
        |o, s| Law::Normal(o.iter().zip(s).map(|(&o, s)| (o, s.exp())).collect());
    let gaussian = || Box::new(Gaussian::new(NOISES[0]).unwrap());
    let gaussians = |k| Box::new(GaussianPerOutput::new(&NOISES[..k]).unwrap());
    let learned = || Box::new(GaussianLearnedNoise::shared());
    let learned_each = || Box::new(GaussianLearnedNoise::per_output());
    let hetero = || Box::new(HeteroscedasticGaussian::new(FLOOR).unwrap());
    let head = || Box::new(GaussianNoiseHead::new(0.5).unwrap());
    let student = || Box::new(StudentT::default());
    let base = || Box::new(PoissonWithBase::new(1.7).unwrap());
    vec![
        case("categorical", Box::new(Categorical), 1, categorical),
        case("categorical", Box::new(Categorical), 2, categorical),
        case("categorical", Box::new(Categorical), 5, categorical),
        case("bernoulli", Box::new(Bernoulli), 1, |o, _| {
            let p = 1.0 / (1.0 + (-o[0]).exp());
            Law::Discrete(vec![1.0 - p, p])
        }),
        case("poisson", Box::new(Poisson), 1, |o, _| {
            Law::Discrete(poisson(o[0].exp()))
        }),
        case("gaussian", gaussian(), 1, fixed),
        case("gaussian", gaussian(), 3, fixed),
        case("per output", gaussians(1), 1, per_output),
        case("per output", gaussians(3), 3, per_output),
        case("learned", learned(), 1, shared),
        case("learned", learned(), 3, shared),
        case("learned each", learned_each(), 1, each),
        case("learned each", learned_each(), 3, each),
        case("heteroscedastic", hetero(), 2, |o, _| heteroscedastic(o)),
        case("heteroscedastic", hetero(), 4, |o, _| heteroscedastic(o)),
        case("noise head", head(), 2, noise_head),
        case("noise head", head(), 4, noise_head),
        case("student t", student(), 1, student_t),
        case("student t", student(), 2, student_t),
        case("poisson with base", base(), 1, |o, _| {
            Law::Discrete(poisson(1.7 * o[0].exp()))
        }),
    ]
}

/// One row, compiled: the negative log-likelihood as a function of `z = (outputs, params)`, its
/// gradient and Hessian, and the two blocks of the Gauss-Newton matrix.
struct Row<'a, T> {
    likelihood: &'a dyn Likelihood,
    k: usize,
    dim: usize,
    program: Program<T>,
    ws: Workspace<T>,
}

impl<'a, T: Scalar> Row<'a, T> {
    fn new(case: &'a Case) -> Self {
        let (likelihood, k) = (&*case.likelihood, case.outputs);
        let dim = k + likelihood.params(k).len();
        let m = likelihood.target_dim(k);
        let graph = Graph::new();
        let z = graph.input(&[dim]);
        let y = graph.input(&target_shape(1, likelihood.encode(&vec![0.0; m]).len()));
        let v = graph.input(&[dim]);
        let of = |z: Var<'_>| (z.slice(0, 0..k).reshape(&[1, k]).id, z.slice(0, k..dim).id);
        let var = |id| Var { graph: &graph, id };
        let ((o, s), (w, u)) = (of(z), of(v));
        let (o, s, w, u) = (var(o), var(s), var(w), var(u));
        let nll = likelihood.neg_log_likelihood(o, y, s);
        let gradient = graph.grad(nll, &[z]).unwrap()[0];
        let hessian = graph.hvp(nll, z, v).unwrap();
        let lambda = likelihood.output_hessian_product(o, y, s, w).unwrap();
        let block = likelihood.params_hessian_product(o, y, s, u).unwrap();
        let gauss_newton = graph.concat(0, &[lambda.reshape(&[k]), block]);
        let program = graph
            .compile(&[nll, gradient, hessian, gauss_newton])
            .unwrap();
        let ws = program.workspace();
        Self {
            likelihood,
            k,
            dim,
            program,
            ws,
        }
    }

    fn run(&mut self, z: &[f64], y: &[f64], v: &[f64]) {
        let cast = |x: &[f64]| x.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
        let y = self.likelihood.encode(y);
        let inputs = [&cast(z)[..], &cast(&y), &cast(v)];
        self.program.run(&inputs, &mut self.ws).unwrap();
    }

    fn value(&mut self, z: &[f64], y: &[f64]) -> f64 {
        self.run(z, y, z);
        self.program.scalar(&self.ws, 0).unwrap()
    }

    fn tensor(&self, output: usize) -> Vec<f64> {
        let numbers = self.program.tensor(&self.ws, output).unwrap();
        numbers.iter().map(|x| x.to_f64()).collect()
    }

    /// The Hessian (output 2) or the Gauss-Newton matrix (output 3) in `z`.
    fn matrix(&mut self, output: usize, z: &[f64], y: &[f64]) -> Vec<f64> {
        let mut all = Vec::new();
        for i in 0..self.dim {
            let mut unit = vec![0.0; self.dim];
            unit[i] = 1.0;
            self.run(z, y, &unit);
            all.extend(self.tensor(output));
        }
        all
    }

    fn law(&self, case: &Case, z: &[f64]) -> Law {
        (case.law)(&z[..self.k], &z[self.k..])
    }
}

/// All combinations of one weighted node for each coordinate: `(weight, point)`.
fn product(axes: &[Vec<(f64, f64)>]) -> Vec<(f64, Vec<f64>)> {
    axes.iter().fold(vec![(1.0, vec![])], |all, axis| {
        let extend = |(w, point): &(f64, Vec<f64>)| {
            let (w, point) = (*w, point.clone());
            axis.iter()
                .map(move |&(v, x)| (w * v, [&point[..], &[x]].concat()))
                .collect::<Vec<_>>()
        };
        all.iter().flat_map(extend).collect()
    })
}
