//! Posteriors with every likelihood and prior against slow oracles, in f64.

mod edges;

use crate::common::{labels, network, normals};
use fiberwalk::autodiff::{Graph, Window};
use fiberwalk::nn::{Conv2d, Flatten, Sequential};
use fiberwalk::optim::{MapOptions, fit_map};
use fiberwalk::{
    Activation, Bernoulli, Categorical, CoordinatePrior, Curved, Error, FanInGaussian, Gaussian,
    GaussianLearnedNoise, GaussianNoiseHead, GaussianPerOutput, HeteroscedasticGaussian,
    IsotropicGaussian, Likelihood, LogDensity, Mlp, Network, PerLayerGaussian, Poisson,
    PosteriorDensity, Prior,
};
use proptest::prelude::*;

struct Case {
    name: &'static str,
    likelihood: Box<dyn Likelihood>,
    outputs: usize,
    /// Diagonal of the Gauss-Newton block of the likelihood's parameters, for `n` rows.
    own: fn(f64) -> Vec<f64>,
}

const CASES: usize = 13;

fn case(index: usize) -> Case {
    let none: fn(f64) -> Vec<f64> = |_| vec![];
    let pair = || GaussianPerOutput::new(&[0.5, 1.5]).unwrap();
    let hetero = || Box::new(HeteroscedasticGaussian::new(0.1).unwrap());
    let head = || Box::new(GaussianNoiseHead::new(0.5).unwrap());
    let (name, likelihood, outputs, own): (_, Box<dyn Likelihood>, _, _) = match index {
        0 => ("categorical", Box::new(Categorical), 3, none),
        1 => ("bernoulli", Box::new(Bernoulli), 1, none),
        2 => ("poisson", Box::new(Poisson), 1, none),
        3 => ("gaussian", Box::new(Gaussian::new(0.7).unwrap()), 1, none),
        4 => ("gaussian", Box::new(Gaussian::new(0.7).unwrap()), 3, none),
        5 => ("per output", Box::new(pair()), 2, none),
        6 => (
            "learned",
            Box::new(GaussianLearnedNoise::shared()),
            1,
            |n| vec![2.0 * n],
        ),
        7 => (
            "learned",
            Box::new(GaussianLearnedNoise::shared()),
            3,
            |n| vec![6.0 * n],
        ),
        8 => (
            "learned each",
            Box::new(
                GaussianLearnedNoise::per_output()
                    .with_prior(0.5, 0.4)
                    .unwrap(),
            ),
            3,
            |n| vec![2.0 * n; 3],
        ),
        9 => ("heteroscedastic", hetero(), 2, none),
        10 => ("heteroscedastic", hetero(), 4, none),
        11 => ("noise head", head(), 2, |n| vec![2.0 * n]),
        _ => ("noise head", head(), 4, |n| vec![4.0 * n]),
    };
    Case {
        name,
        likelihood,
        outputs,
        own,
    }
}

fn prior(index: usize) -> Box<dyn Prior> {
    // with a hidden layer the tensors are those of layer0 and layer2
    let by_name = [
        ("layer0", 0.4),
        ("layer2.weight", 3.0),
        ("layer2.bias", 1.1),
    ];
    match index {
        0 => Box::new(IsotropicGaussian::new(1.3).unwrap()),
        1 => Box::new(PerLayerGaussian::new(&by_name).unwrap()),
        _ => Box::new(FanInGaussian::new(1.5, 0.6).unwrap()),
    }
}

struct Problem {
    case: Case,
    prior: Box<dyn Prior>,
    net: Mlp,
    /// Network parameters, then those of the likelihood, moved away from their start.
    theta: Vec<f64>,
    x: Vec<f64>,
    y: Vec<f64>,
    n: usize,
}

impl std::fmt::Debug for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} n = {}", self.case.name, self.net, self.n)
    }
}

impl Problem {
    fn new(c: usize, p: usize, (d, hidden, n): (usize, usize, usize), seed: u64) -> Self {
        let case = case(c);
        let (net, mut theta) = network(&[d, hidden, case.outputs], Activation::Tanh, seed);
        let mut own = case.likelihood.params(case.outputs).init();
        own.iter_mut()
            .zip(normals(8, seed + 9))
            .for_each(|(s, e)| *s += 0.5 * e);
        theta.extend(own);
        let y = match case.name {
            "categorical" => labels(n, case.outputs, seed + 3),
            "bernoulli" => labels(n, 2, seed + 3),
            "poisson" => labels(n, 6, seed + 3),
            _ => normals(n * case.likelihood.target_dim(case.outputs), seed + 3),
        };
        Self {
            case,
            prior: prior(p),
            net,
            theta,
            x: normals(n * d, seed + 2),
            y,
            n,
        }
    }

    /// The posterior of the rows `from..to`.
    fn posterior(&self, from: usize, to: usize) -> PosteriorDensity<f64> {
        let (d, m) = (self.x.len() / self.n, self.y.len() / self.n);
        let (x, y) = (&self.x[from * d..to * d], &self.y[from * m..to * m]);
        PosteriorDensity::new(&self.net, &*self.case.likelihood, &*self.prior, x, y).unwrap()
    }

    /// `J^T Lambda J` from the rows of the Jacobian and `Lambda` in closed form, and the block of
    /// the likelihood's parameters.
    fn dense_ggn(&self) -> Vec<f64> {
        let (n, k, split) = (self.n, self.case.outputs, self.net.dim());
        let (weights, own) = self.theta.split_at(split);
        let graph = Graph::new();
        let theta = graph.input(&[split]);
        let x = graph.input(&[n, self.net.input_dim()]);
        let seed = graph.input(&[n, k]);
        let out = self.net.forward(theta, x);
        let row = graph.vjp(out, seed, &[theta]).unwrap()[0];
        let program = graph.compile::<f64>(&[out, row]).unwrap();
        let mut ws = program.workspace();
        let (dim, m) = (self.theta.len(), self.y.len() / n);
        let mut dense = vec![0.0; dim * dim];
        let mut lambda = vec![0.0; k * k];
        for i in 0..n {
            let mut jacobian = vec![];
            for c in 0..k {
                let mut unit = vec![0.0; n * k];
                unit[i * k + c] = 1.0;
                program.run(&[weights, &self.x, &unit], &mut ws).unwrap();
                jacobian.push(program.tensor(&ws, 1).unwrap().to_vec());
            }
            let o = &program.tensor(&ws, 0).unwrap()[i * k..(i + 1) * k];
            let y = &self.y[i * m..(i + 1) * m];
            let of = &self.case.likelihood;
            of.output_hessian(o, y, own, &mut lambda).unwrap();
            for (cc, l) in lambda.iter().enumerate() {
                let (a, b) = (&jacobian[cc / k], &jacobian[cc % k]);
                for r in 0..split {
                    for s in 0..split {
                        dense[r * dim + s] += a[r] * l * b[s];
                    }
                }
            }
        }
        for (j, value) in (self.case.own)(n as f64).into_iter().enumerate() {
            dense[(split + j) * (dim + 1)] = value;
        }
        dense
    }
}

fn problems() -> impl Strategy<Value = Problem> {
    let sizes = (1usize..4, 1usize..5, 1usize..8);
    (0..CASES, 0usize..3, sizes, 0u64..1_000)
        .prop_map(|(c, p, sizes, seed)| Problem::new(c, p, sizes, seed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn gradient_and_hessian_product_against_differences(p in problems()) {
        let posterior = p.posterior(0, p.n);
        let dim = posterior.dim();
        prop_assert_eq!(dim, p.theta.len());
        let v = normals(dim, 7);
        let mut ws = posterior.workspace();
        let mut at = |h: f64| {
            let theta: Vec<f64> = p.theta.iter().zip(&v).map(|(t, v)| t + h * v).collect();
            let mut grad = vec![0.0; dim];
            let value = posterior.log_density_and_grad(&theta, &mut grad, &mut ws).unwrap();
            (value, grad)
        };
        let h = 1e-5;
        let (plus, minus, here) = (at(h), at(-h), at(0.0));
        let slope: f64 = here.1.iter().zip(&v).map(|(g, v)| g * v).sum();
        let want = (plus.0 - minus.0) / (2.0 * h);
        // h^2 f'''/6 and cancellation, eps f / h; f''' grows with the energy
        let scale = 1.0 + here.0.abs();
        prop_assert!((slope - want).abs() < 1e-6 * (scale + want.abs()), "{slope} against {want}");
        let mut hv = vec![0.0; dim];
        posterior.hessian_product(&p.theta, &v, &mut hv, &mut posterior.hessian_workspace()).unwrap();
        for ((got, plus), minus) in hv.iter().zip(&plus.1).zip(&minus.1) {
            let want = -(plus - minus) / (2.0 * h);
            prop_assert!((got - want).abs() < 1e-6 * (scale + want.abs()), "H v: {got} against {want}");
        }
    }

    #[test]
    fn ggn_products_make_up_the_dense_matrix(p in problems()) {
        let posterior = p.posterior(0, p.n);
        let dim = posterior.dim();
        let want = p.dense_ggn();
        let scale = want.iter().fold(1.0f64, |a, w| a.max(w.abs()));
        let (mut got, mut ws) = (vec![0.0; dim], posterior.ggn_workspace());
        for i in 0..dim {
            let mut unit = vec![0.0; dim];
            unit[i] = 1.0;
            posterior.ggn_product(&p.theta, &unit, &mut got, &mut ws).unwrap();
            for (g, w) in got.iter().zip(&want[i * dim..]) {
                prop_assert!((g - w).abs() < 1e-11 * scale, "column {i}: {g} against {w}");
            }
        }
    }

    /// The likelihood of all rows is the sum over two blocks of rows. So is the Gauss-Newton
    /// matrix. Neither includes the priors.
    #[test]
    fn blocks_of_rows_add_up(p in problems(), cut in 1usize..7) {
        prop_assume!(cut < p.n);
        let (all, first, second) = (p.posterior(0, p.n), p.posterior(0, cut), p.posterior(cut, p.n));
        let nll = |q: &PosteriorDensity<f64>| q.neg_log_likelihood(&p.theta, &mut q.workspace()).unwrap();
        let whole = nll(&all);
        prop_assert!((nll(&first) + nll(&second) - whole).abs() < 1e-12 * (1.0 + whole.abs()));
        let v = normals(all.dim(), 5);
        let product = |q: &PosteriorDensity<f64>| {
            let mut out = vec![0.0; q.dim()];
            q.ggn_product(&p.theta, &v, &mut out, &mut q.ggn_workspace()).unwrap();
            out
        };
        let (whole, first, second) = (product(&all), product(&first), product(&second));
        let scale = whole.iter().fold(1.0f64, |a, w| a.max(w.abs()));
        for ((w, a), b) in whole.iter().zip(&first).zip(&second) {
            prop_assert!((w - a - b).abs() < 1e-12 * scale);
        }
        // the rest of the energy is normal densities with the stated precisions
        let log_joint = all.log_density(&p.theta, &mut all.workspace()).unwrap();
        let own = p.case.likelihood.params(p.case.outputs);
        let normal = |t: f64, mean: f64, a: f64| {
            0.5 * (a / (2.0 * std::f64::consts::PI)).ln() - 0.5 * a * (t - mean).powi(2)
        };
        let (weights, params) = p.theta.split_at(p.net.dim());
        let precisions = all.prior_precision();
        prop_assert_eq!(precisions.len(), p.theta.len());
        let mut log_prior: f64 = weights.iter().zip(precisions).map(|(&t, &a)| normal(t, 0.0, a)).sum();
        let priors = own.parts().iter().flat_map(|part| vec![part.prior; part.len]);
        for (&s, prior) in params.iter().zip(priors) {
            log_prior += match prior {
                CoordinatePrior::Normal { mean, precision } => normal(s, mean, precision),
                // of e^s, with the Jacobian
                CoordinatePrior::HalfCauchy { scale } => {
                    let sigma = s.exp();
                    (2.0 / std::f64::consts::PI / scale / (1.0 + (sigma / scale).powi(2)) * sigma).ln()
                }
                CoordinatePrior::InverseGamma { .. } => f64::NAN,
            };
        }
        let rest = log_joint + nll(&all);
        prop_assert!((rest - log_prior).abs() < 1e-11 * (1.0 + log_joint.abs() + log_prior.abs()), "{rest} against {log_prior}");
    }
}

#[test]
fn single_precision_agrees_with_double() {
    for c in 0..CASES {
        let p = Problem::new(c, c % 3, (4, 12, 300), 3);
        let double = p.posterior(0, p.n);
        let likelihood = &*p.case.likelihood;
        let single =
            PosteriorDensity::<f32>::new(&p.net, likelihood, &*p.prior, &p.x, &p.y).unwrap();
        let theta: Vec<f32> = p.theta.iter().map(|&t| t as f32).collect();
        let (mut g32, mut g64) = (vec![0.0f32; theta.len()], vec![0.0; theta.len()]);
        let u32 = single
            .log_density_and_grad(&theta, &mut g32, &mut single.workspace())
            .unwrap();
        let u64 = double
            .log_density_and_grad(&p.theta, &mut g64, &mut double.workspace())
            .unwrap();
        assert!((u32 - u64).abs() < 1e-6 * u64.abs(), "{p:?}");
        let norm = g64.iter().map(|g| g * g).sum::<f64>().sqrt();
        let difference = |(a, b): (&f32, &f64)| (f64::from(*a) - b).powi(2);
        let error: f64 = g32.iter().zip(&g64).map(difference).sum::<f64>().sqrt();
        assert!(error < 1e-5 * norm, "{p:?}: {error} of {norm}");
    }
}

/// A line with known noise: the estimated noise level is the root mean square residual, up to its
/// prior.
#[test]
fn learned_noise_is_the_noise_of_the_data() {
    let (n, noise) = (2_000, [0.2, 0.7]);
    let x = normals(n, 1);
    let e = normals(2 * n, 2);
    let row = |i: usize| {
        [
            1.0 + x[i] + noise[0] * e[2 * i],
            -x[i] + noise[1] * e[2 * i + 1],
        ]
    };
    let y: Vec<f64> = (0..n).flat_map(row).collect();
    let net = Mlp::new(&[1, 2], Activation::Identity).unwrap();
    let prior = IsotropicGaussian::new(1e-6).unwrap();
    let options = MapOptions {
        learning_rate: 0.03,
        ..MapOptions::default()
    };
    let residuals = |theta: &[f64]| -> [f64; 2] {
        let square = |i: usize, c: usize| (theta[c] * x[i] + theta[2 + c] - y[2 * i + c]).powi(2);
        [0, 1].map(|c| (0..n).map(|i| square(i, c)).sum::<f64>())
    };
    for (likelihood, levels) in [
        (GaussianLearnedNoise::per_output(), 2),
        (GaussianLearnedNoise::shared(), 1),
    ] {
        let likelihood = likelihood.with_prior(0.4, 10.0).unwrap();
        let posterior = PosteriorDensity::<f64>::new(&net, &likelihood, &prior, &x, &y).unwrap();
        let mut theta = vec![0.0; net.dim()];
        theta.extend(likelihood.params(2).init());
        let map = fit_map(&posterior, theta, &options, |_| ()).unwrap();
        assert!(map.gradient_norm < 1e-3, "{map:?}");
        let squares = residuals(&map.theta);
        let got: Vec<f64> = map.theta[net.dim()..].iter().map(|s| s.exp()).collect();
        let want = if levels == 2 {
            squares.map(|s| (s / n as f64).sqrt()).to_vec()
        } else {
            vec![((squares[0] + squares[1]) / (2 * n) as f64).sqrt()]
        };
        for (g, w) in got.iter().zip(&want) {
            // the prior pulls log noise_std by (s - mean) / log_std^2 / 2n, 5e-6
            assert!((g / w - 1.0).abs() < 2e-5, "{g} against {w}");
        }
        // and the data's true noise: the estimate has relative standard error 1 / sqrt(2 n) =
        // 0.016; 4 sigma
        if levels == 2 {
            for (g, w) in got.iter().zip(noise) {
                assert!((g / w - 1.0).abs() < 0.064, "{g} against {w}");
            }
        }
    }
}
