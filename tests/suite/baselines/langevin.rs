//! Langevin dynamics on a linear model, where the chain's moments have a closed form.
//!
//! The closed form includes the chain's bias.

use super::{bits, for_any_threads, minibatch};
use crate::common::{labels, network, normals};
use crate::linear::{Linear, NOISE, p_value};
use fiberwalk::baselines::{
    AllRows, GradientSource, Preconditioner, RandomBatches, SgldOptions, StepDecay, sgld,
};
use fiberwalk::diagnose::{GaussianTarget, hotelling};
use fiberwalk::linalg::symmetric_eigen;
use fiberwalk::rng::fill_normal;
use fiberwalk::{
    Activation, Categorical, Error, IsotropicGaussian, Minibatch, Network, Phase, Streams,
};

const CHAINS: usize = 1_500;
const STEPS: usize = 150;

/// Chains from the mean. Their last points are independent. The step is `share` of
/// `4 / largest eigenvalue`, the limit of stability.
fn options(linear: &Linear, share: f64, rows: usize) -> SgldOptions {
    let eigen = symmetric_eigen(&linear.precision, linear.dim()).unwrap();
    let step_size = share * 4.0 / eigen.values[linear.dim() - 1];
    SgldOptions {
        chains: CHAINS,
        steps: STEPS,
        burn_in: 0,
        keep: 1,
        // eps = 2 lr / N
        learning_rate: 0.5 * step_size * rows as f64,
        ..SgldOptions::default()
    }
}

fn ends<S: GradientSource<f64>>(linear: &Linear, source: &S, options: &SgldOptions) -> Vec<f64> {
    let starts = [linear.mean.clone()];
    let report = sgld(source, &starts, options, Streams::new(11)).unwrap();
    assert_eq!((report.diverged, report.gradients), (0, CHAINS * STEPS));
    report.posterior.values().to_vec()
}

/// A Gaussian stays Gaussian. In the eigenvector of eigenvalue a, with `r = 1 - eps a / 2`, the
/// variance is the sum of `eps r^2k` over the steps: `eps (1 - r^2t) / (1 - r^2)`, which tends to
/// `1 / (a (1 - eps a / 4))`.
#[test]
fn a_constant_step_has_the_closed_forms_bias_and_no_other() {
    let linear = Linear::full_rank();
    let p = linear.dim();
    let rows = linear.posterior.rows();
    let source = AllRows::new(&linear.posterior, rows).unwrap();
    let options = options(&linear, 0.3, rows);
    let step_size = 2.0 * options.learning_rate / rows as f64;
    let eigen = symmetric_eigen(&linear.precision, p).unwrap();
    let variance = |a: f64| {
        let r = 1.0 - 0.5 * step_size * a;
        step_size * (1.0 - r.powi(2 * STEPS as i32)) / (1.0 - r * r)
    };
    let covariance: Vec<f64> = (0..p * p)
        .map(|ij| {
            let term = |k: usize| {
                eigen.vectors[k * p + ij / p]
                    * eigen.vectors[k * p + ij % p]
                    * variance(eigen.values[k])
            };
            (0..p).map(term).sum()
        })
        .collect();
    let target = GaussianTarget::new(&linear.mean, &covariance).unwrap();
    let draws = ends(&linear, &source, &options);
    let right = p_value(&target, &draws);
    assert!(right > 1e-4, "{right}");
    // the step is long enough to show its bias: for a variance 1 / 0.7 times too large, one of the
    // 15 terms of chi-square is 1500/2 0.43^2 = 138
    let unbiased = p_value(&linear.target(), &draws);
    assert!(unbiased < 1e-8, "{unbiased}");
    // noise of the wrong scale
    let hot = SgldOptions {
        temperature: 1.2,
        ..options
    };
    let wrong = p_value(&target, &ends(&linear, &source, &hot));
    assert!(wrong < 1e-8, "{wrong}");
}

/// Second moments about the mean after that many steps with batches of `b` rows. With
/// `d = theta - mean`, `g_i = g_i(mean) + H_i d`, and
/// `Cov_B = N^2 / b (N - b) / (N - 1) (population covariance of the g_i)` for distinct rows. This
/// is exact, because the mean of d is 0 at every step.
fn second_moments(linear: &Linear, step_size: f64, b: f64) -> Vec<f64> {
    let p = linear.dim();
    let rows: Vec<&[f64]> = linear.design.chunks_exact(p).collect();
    let n = rows.len() as f64;
    let precise = 1.0 / (NOISE * NOISE);
    let residual = |i: usize| -> f64 {
        let fit: f64 = rows[i].iter().zip(&linear.mean).map(|(x, m)| x * m).sum();
        fit - linear.targets[i]
    };
    let grads: Vec<Vec<f64>> = (0..rows.len())
        .map(|i| rows[i].iter().map(|x| x * residual(i) * precise).collect())
        .collect();
    let mean = |f: &dyn Fn(usize) -> f64| (0..rows.len()).map(f).sum::<f64>() / n;
    let sandwich = |m: &[f64], c: &[f64]| -> Vec<f64> {
        let product = |a: &[f64], b: &[f64]| -> Vec<f64> {
            let entry = |ij: usize| (0..p).map(|k| a[ij / p * p + k] * b[k * p + ij % p]).sum();
            (0..p * p).map(entry).collect()
        };
        // all matrices are symmetric
        product(&product(m, c), m)
    };
    let hessian = |i: usize, jk: usize| rows[i][jk / p] * rows[i][jk % p] * precise;
    let average: Vec<f64> = (0..p * p).map(|jk| mean(&|i| hessian(i, jk))).collect();
    let apart: Vec<Vec<f64>> = (0..rows.len())
        .map(|i| (0..p * p).map(|jk| hessian(i, jk) - average[jk]).collect())
        .collect();
    let drift: Vec<f64> = (0..p * p)
        .map(|jk| f64::from(jk / p == jk % p) - 0.5 * step_size * linear.precision[jk])
        .collect();
    let center: Vec<f64> = (0..p).map(|j| mean(&|i| grads[i][j])).collect();
    let at_mean: Vec<f64> = (0..p * p)
        .map(|jk| {
            mean(&|i| (grads[i][jk / p] - center[jk / p]) * (grads[i][jk % p] - center[jk % p]))
        })
        .collect();
    let scale = 0.25 * step_size * step_size * n * n / b * (n - b) / (n - 1.0);
    let mut c = vec![0.0; p * p];
    for _ in 0..STEPS {
        let mut spread = vec![0.0; p * p];
        for h in &apart {
            for (s, x) in spread.iter_mut().zip(sandwich(h, &c)) {
                *s += x / n;
            }
        }
        c = sandwich(&drift, &c);
        for (jk, c) in c.iter_mut().enumerate() {
            *c += step_size * f64::from(jk / p == jk % p) + scale * (at_mean[jk] + spread[jk]);
        }
    }
    c
}

/// p-value of first and second moments of independent draws that need not be Gaussian.
fn moments_test(linear: &Linear, draws: &[f64], moments: &[f64]) -> f64 {
    let p = linear.dim();
    let pairs: Vec<(usize, usize)> = (0..p).flat_map(|i| (0..=i).map(move |j| (i, j))).collect();
    let features = draws.chunks_exact(p).flat_map(|x| {
        let d: Vec<f64> = x.iter().zip(&linear.mean).map(|(x, m)| x - m).collect();
        let products: Vec<f64> = pairs.iter().map(|&(i, j)| d[i] * d[j]).collect();
        d.into_iter().chain(products)
    });
    let second = pairs.iter().map(|&(i, j)| moments[i * p + j]);
    let expected: Vec<f64> = std::iter::repeat_n(0.0, p).chain(second).collect();
    hotelling(&features.collect::<Vec<_>>(), &expected)
        .unwrap()
        .p_value
}

#[test]
fn batches_add_the_noise_that_they_should() {
    let linear = Linear::full_rank();
    let density = minibatch(&linear);
    let source = RandomBatches::new(&density, 3).unwrap();
    let options = options(&linear, 0.15, density.rows());
    let step_size = 2.0 * options.learning_rate / density.rows() as f64;
    let draws = ends(&linear, &source, &options);
    let right = moments_test(&linear, &draws, &second_moments(&linear, step_size, 3.0));
    assert!(right > 1e-4, "{right}");
    // no noise from batches at all, or that of batches of 2
    for b in [linear.posterior.rows() as f64, 2.0] {
        let wrong = moments_test(&linear, &draws, &second_moments(&linear, step_size, b));
        assert!(wrong < 1e-6, "{b}: {wrong}");
    }
}

fn classes() -> (Minibatch<f64>, Vec<f64>) {
    let (net, theta) = network(&[3, 4, 2], Activation::Tanh, 1);
    let prior = IsotropicGaussian::new(0.5).unwrap();
    let (x, y) = (normals(20 * 3, 2), labels(20, 2, 3));
    assert_eq!(net.dim(), theta.len());
    (
        Minibatch::new(&net, &Categorical, &prior, &x, &y).unwrap(),
        theta,
    )
}

/// The whole loop again, as printed in the paper, with the same random numbers.
#[test]
fn both_kinds_are_the_papers_loop() {
    let (density, start) = classes();
    let source = RandomBatches::new(&density, 6).unwrap();
    let (n, p, streams) = (20.0, start.len(), Streams::new(2));
    for preconditioner in [Preconditioner::None, Preconditioner::rms_prop()] {
        let options = SgldOptions {
            chains: 2,
            steps: 30,
            burn_in: 10,
            keep: 4,
            learning_rate: 0.01,
            decay: Some(StepDecay {
                onset: 7.0,
                exponent: 0.55,
            }),
            preconditioner,
            temperature: 1.0,
            max_seconds: None,
        };
        let report = sgld(&source, std::slice::from_ref(&start), &options, streams).unwrap();
        for chain in 0..2 {
            let mut rng = streams.rng(Phase::SGLD, chain as u64);
            let mut memory = source.memory();
            let (mut theta, mut v) = (start.clone(), vec![0.0; p]);
            let (mut grad, mut z) = (vec![0.0; p], vec![0.0; p]);
            for t in 0..30 {
                let eps = 2.0 * 0.01 / n * (1.0 + t as f64 / 7.0f64).powf(-0.55);
                source.draw_batch(&mut memory, &mut rng);
                source
                    .energy_and_grad(&theta, &mut grad, &mut memory)
                    .unwrap();
                fill_normal(&mut rng, &mut z);
                for i in 0..p {
                    let mean = grad[i] / n;
                    v[i] = 0.99 * v[i] + (1.0 - 0.99) * mean * mean;
                    let g = match preconditioner {
                        Preconditioner::None => 1.0,
                        _ => 1.0 / (1e-5 + (v[i] / (1.0 - 0.99f64.powi(t + 1))).sqrt()),
                    };
                    theta[i] += -0.5 * eps * g * grad[i] + (eps * g).sqrt() * z[i];
                }
            }
            // the last of the four points of each chain
            let row = chain * 4 + 3;
            let got = &report.posterior.values()[row * p..(row + 1) * p];
            for (a, b) in got.iter().zip(&theta) {
                assert!((a - b).abs() < 1e-11, "{preconditioner:?}: {a} {b}");
            }
        }
        assert!(report.first_step_size > report.last_step_size);
        assert_eq!((report.posterior.count(), report.energies.len()), (8, 2));
    }
}

/// Two directions, one a thousand times as stiff as the other. Plain dynamics could not sample them
/// in so few steps.
///
/// If `G` were equal to its mean, the variance would be `1 / (a (1 - eps G a / 4))` with
/// `eps = 2 lr / N = 0.01` and `G a = (a / 1.08)^{1/2}`. That is 1.08 times the stiff direction's
/// and 1.00 times the soft one's. But `G` is an average over 1,000 steps, and the soft direction
/// forgets in 200, so `G` moves with the chain. 40,000 chains have 1.097 and 1.088, each to 0.008
/// (1.094 and 1.026 with an average over 10,000). The 1,500 chains here have a standard error of
/// `(2 / 1500)^{1/2} = 0.037`; four of these are 0.15. A wrong root in `G` would be a factor.
#[test]
fn preconditioned_chains_have_the_width_of_a_stiff_and_of_a_soft_direction() {
    let density = crate::linear::Quadratic {
        precision: vec![1.0e3, 0.0, 0.0, 1.0],
        mean: vec![0.0; 2],
    };
    let source = AllRows::new(&density, 1).unwrap();
    let options = SgldOptions {
        chains: CHAINS,
        steps: 4_000,
        burn_in: 0,
        keep: 1,
        learning_rate: 0.005,
        preconditioner: Preconditioner::RmsProp {
            decay: 0.999,
            epsilon: 1e-5,
        },
        ..SgldOptions::default()
    };
    let starts = [vec![0.03, 1.0], vec![-0.03, -1.0]];
    let report = sgld(&source, &starts, &options, Streams::new(5)).unwrap();
    let mut variance = [0.0; 2];
    let n = CHAINS as f64;
    for x in report.posterior.values().chunks_exact(2) {
        variance[0] += x[0] * x[0] / n;
        variance[1] += x[1] * x[1] / n;
    }
    for share in [variance[0] * 1e3, variance[1]] {
        assert!((share / 1.092 - 1.0).abs() < 0.15, "{share}");
    }
}

#[test]
fn the_same_points_for_any_number_of_threads() {
    let (density, start) = classes();
    let source = RandomBatches::new(&density, 6).unwrap();
    let options = SgldOptions {
        chains: 5,
        steps: 40,
        burn_in: 20,
        keep: 3,
        preconditioner: Preconditioner::rms_prop(),
        ..SgldOptions::default()
    };
    let run = || {
        sgld(
            &source,
            std::slice::from_ref(&start),
            &options,
            Streams::new(1),
        )
        .unwrap()
    };
    let points = for_any_threads(|| run().posterior.values().to_vec());
    let chain = 3 * start.len();
    assert_ne!(bits(&points[..chain]), bits(&points[chain..2 * chain]));
}

#[test]
fn chains_that_diverge_are_counted_and_left_out() {
    let linear = Linear::full_rank();
    let source = AllRows::new(&linear.posterior, 14).unwrap();
    let options = SgldOptions {
        chains: 4,
        steps: 10,
        burn_in: 5,
        keep: 2,
        ..SgldOptions::default()
    };
    let starts = [linear.mean.clone(), vec![1e200; linear.dim()]];
    let report = sgld(&source, &starts, &options, Streams::new(1)).unwrap();
    assert_eq!((report.diverged, report.posterior.count()), (2, 4));
    assert!((report.first_step_size - 2.0 * 0.01 / 14.0).abs() < 1e-15);
    let run = |starts: &[Vec<f64>], options: &SgldOptions| {
        sgld(&source, starts, options, Streams::new(1)).unwrap_err()
    };
    // four chains with one gradient each
    assert!(matches!(
        run(&starts[1..], &options),
        Error::Diverged {
            step: 0,
            gradients: 4,
            ..
        }
    ));
    assert!(matches!(run(&[], &options), Error::Shape { .. }));
    assert!(matches!(run(&[vec![0.0]], &options), Error::Shape { .. }));
    let change = |f: fn(&mut SgldOptions)| {
        let mut changed = options.clone();
        f(&mut changed);
        run(&starts, &changed)
    };
    for (field, error) in [
        ("chains", change(|o| o.chains = 0)),
        ("keep", change(|o| o.keep = 0)),
        ("steps", change(|o| o.keep = 6)),
        ("steps", change(|o| o.burn_in = 10)),
        ("learning_rate", change(|o| o.learning_rate = f64::NAN)),
        ("temperature", change(|o| o.temperature = -1.0)),
        (
            "decay",
            change(|o| {
                o.preconditioner = Preconditioner::RmsProp {
                    decay: 1.0,
                    epsilon: 1.0,
                }
            }),
        ),
        (
            "onset",
            change(|o| {
                o.decay = Some(StepDecay {
                    onset: 0.0,
                    exponent: 1.0,
                })
            }),
        ),
    ] {
        assert!(
            matches!(error, Error::Config { field: f, .. } if f == field),
            "{error}"
        );
    }
}
