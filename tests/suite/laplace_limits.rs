//! What a Laplace approximation guarantees for any number of threads, and what it refuses.

use crate::common::{labels, network, normals};
use crate::laplace::{ALPHA, Classes, JOINED, Regression, SEPARATE, STRUCTURES, options};
use fiberwalk::baselines::{Curvature, Laplace, LaplaceOptions, Structure, TuneOptions};
use fiberwalk::curvature::Supervised;
use fiberwalk::linalg::symmetric_eigen;
use fiberwalk::nn::{Layer, LayerNorm, Linear, Sequential};
use fiberwalk::{
    Activation, Bernoulli, Error, FanInGaussian, Gaussian, GaussianLearnedNoise, IsotropicGaussian,
    Likelihood, Mlp, Network, Poisson, Posterior, Prior, Streams,
};

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
    // a prior that treats weights and biases differently
    let fan_in = FanInGaussian::new(1.0, 0.3).unwrap();
    assert!(message(&problem.data(), &fan_in, &plain(JOINED)).contains("one prior precision"));
    let theta = &problem.theta;
    let fit =
        |o: &LaplaceOptions| Laplace::fit(&problem.data(), &fan_in, theta, o, Streams::new(0));
    assert!(fit(&plain(SEPARATE)).is_ok());
    // a layer without Kronecker factors is named in the error
    let layers: Vec<Box<dyn Layer>> = vec![Box::new(LayerNorm), Box::new(Linear::new(3).unwrap())];
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
        y: &[0.0; 20],
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
    // noise that is not the likelihood's, and likelihoods with their own parameters
    let noisy = LaplaceOptions {
        noise_std: Some(0.5),
        ..LaplaceOptions::default()
    };
    assert!(message(&problem.data(), &isotropic, &noisy).contains("noise_std"));
    // Bernoulli's curvature at an output of 0 is 1/4 and Poisson's is 1; these are not noise levels
    // of 2 and 1
    let (net, theta) = network(&[2, 1], Activation::Identity, 3);
    let likelihoods: [(&dyn Likelihood, f64); 2] = [(&Bernoulli, 2.0), (&Poisson, 1.0)];
    for (likelihood, noise) in likelihoods {
        let data = Supervised {
            network: &net,
            likelihood,
            x: &normals(20, 4),
            y: &labels(10, 2, 5),
        };
        let noisy = LaplaceOptions {
            noise_std: Some(noise),
            ..LaplaceOptions::default()
        };
        let fitted = Laplace::fit(&data, &isotropic, &theta, &noisy, Streams::new(0));
        assert!(
            fitted
                .map(|_| ())
                .unwrap_err()
                .to_string()
                .contains("noise_std")
        );
    }
    let learned = GaussianLearnedNoise::shared();
    let regression = Regression::new(normals(20, 1), 2);
    let said = message(&regression.data(&learned), &isotropic, &plain(JOINED));
    assert!(said.contains("parameters of its own"), "{said}");
}

/// A structure that is not the exact matrix can claim more determined parameters than there are
/// residuals. The evidence then rises with the noise, and it would be wrong to report a maximum.
#[test]
fn noise_that_cannot_be_told_from_the_fit_grows_to_its_bound_or_is_at_a_maximum() {
    let (net, theta) = network(&[3, 40, 1], Activation::Tanh, 8);
    let (x, y) = (normals(60 * 3, 9), normals(60, 10));
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let likelihood = Gaussian::new(0.1).unwrap();
    let data = Supervised {
        network: &net,
        likelihood: &likelihood,
        x: &x,
        y: &y,
    };
    let tuning = TuneOptions {
        groups: None,
        noise_std: true,
        steps: 500,
        tolerance: 1e-8,
        ..TuneOptions::default()
    };
    for structure in [JOINED, Structure::Diagonal] {
        let options = LaplaceOptions {
            structure,
            noise_std: Some(0.1),
            ..LaplaceOptions::default()
        };
        let mut laplace = Laplace::fit(&data, &prior, &theta, &options, Streams::new(0)).unwrap();
        // the case in question: there are 60 residuals
        assert!(laplace.effective_parameters() > 60.0);
        let before = laplace.log_evidence();
        let report = laplace.tune_by_evidence(&tuning).unwrap();
        assert!(report.log_evidence > before, "{report:?}");
        let noise = report.noise_std.unwrap();
        assert!(noise > 0.1, "{report:?}");
        if !report.bounded {
            let mut evidence_at = |factor: f64| {
                laplace.set_noise_std(noise * factor).unwrap();
                laplace.log_evidence()
            };
            let (low, high) = (evidence_at(0.95), evidence_at(1.05));
            assert!(
                report.log_evidence > low && report.log_evidence > high,
                "{report:?}"
            );
        }
    }
}

/// A linear model of `K` outputs has every eigenvalue `K` times, and a Krylov space has one vector
/// for each. So the evidence of the low-rank approximation is above that of the dense one by half
/// of the sum of `log(1 + lambda / alpha)` over what is dropped.
#[test]
fn low_rank_of_several_outputs_misses_no_copy() {
    let (inputs, outputs, rows, distinct) = (30, 4, 60, 8);
    let net = Mlp::new(&[inputs, outputs], Activation::Tanh).unwrap();
    let noise = 0.3;
    let likelihood = Gaussian::new(noise).unwrap();
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    for seed in 0..5 {
        let x = normals(rows * inputs, seed);
        let y = normals(rows * outputs, seed + 100);
        let data = Supervised {
            network: &net,
            likelihood: &likelihood,
            x: &x,
            y: &y,
        };
        let theta = vec![0.0; net.dim()];
        let evidence = |structure| {
            let options = options(structure, Curvature::Ggn);
            let fitted = Laplace::fit(&data, &prior, &theta, &options, Streams::new(seed));
            fitted.unwrap().log_evidence()
        };
        // X^T X with a column of ones
        let q = inputs + 1;
        let entry = |row: &[f64], i: usize| row.get(i).copied().unwrap_or(1.0);
        let gram: Vec<f64> = (0..q * q)
            .map(|at| {
                let each = x.chunks_exact(inputs);
                each.map(|row| entry(row, at / q) * entry(row, at % q))
                    .sum()
            })
            .collect();
        let eigen = symmetric_eigen(&gram, q).unwrap();
        let dropped: f64 = eigen.values[..q - distinct]
            .iter()
            .map(|l| (l.max(0.0) / (noise * noise * ALPHA)).ln_1p())
            .sum();
        let rank = outputs * distinct;
        let gap = evidence(Structure::LowRank { rank }) - evidence(Structure::Full);
        let want = 0.5 * outputs as f64 * dropped;
        assert!(
            (gap - want).abs() < 1e-6 * want,
            "seed {seed}: {gap}, {want}"
        );
    }
}
