//! HMC and NUTS against samplers written from their definitions, and against known distributions.

mod calibration;
mod definitions;
mod funnel;
#[cfg(feature = "csv")]
mod reference;
mod search;
mod targets;
mod twin;

use std::sync::atomic::Ordering;

use crate::common::normals;
use fiberwalk::baselines::{ChainOptions, Chains, HmcOptions, NutsOptions, Trajectory, hmc, nuts};
use fiberwalk::diagnose::{
    self, GaussianTarget, TraceSummary, chi_square_survival, e_bfmi, mcse_mean,
};
use fiberwalk::model::Points;
use fiberwalk::{LogDensity, Posterior, Scalar, Streams};
use targets::{Banana, Counted, Funnel, Gauss, Target, counted};

/// Starts of the chains, standard normal.
fn starts<T: Scalar>(dim: usize, chains: usize) -> Vec<Vec<T>> {
    let numbers = normals(dim * chains, 11);
    let row = |r: &[f64]| r.iter().map(|&x| T::from_f64(x)).collect();
    numbers.chunks_exact(dim).map(row).collect()
}

/// Both samplers with these settings for their chains.
fn both<T: Scalar, D: LogDensity<T>>(density: &D, chains: &ChainOptions) -> [Chains<T>; 2] {
    let starts = starts(density.dim(), 4);
    let for_hmc = HmcOptions {
        chains: chains.clone(),
        ..HmcOptions::default()
    };
    let for_nuts = NutsOptions {
        chains: chains.clone(),
        ..NutsOptions::default()
    };
    [
        hmc(density, &starts, &for_hmc, Streams::new(1)).unwrap(),
        nuts(density, &starts, &for_nuts, Streams::new(1)).unwrap(),
    ]
}

fn bits<T: Scalar>(chains: &Chains<T>) -> Vec<u64> {
    let points = chains.points().flatten().map(|x| x.to_f64());
    let all = points.chain(chains.hamiltonians());
    let steps = chains.chains.iter().map(|c| c.step_size);
    all.chain(steps).map(f64::to_bits).collect()
}

/// Deviations of quantities whose expectation is 0, in standard errors, each by its effective size.
/// Their squares are chi-square if the quantities are independent.
fn covered<T: Scalar>(chains: &Chains<T>, quantities: usize, of: impl Fn(&[f64]) -> Vec<f64>) {
    covered_at(1e-4, chains, quantities, of);
}

/// The same at a given level, for tests that ask many times.
fn covered_at<T: Scalar>(
    level: f64,
    chains: &Chains<T>,
    quantities: usize,
    of: impl Fn(&[f64]) -> Vec<f64>,
) {
    let rows: Vec<Vec<f64>> = chains
        .points()
        .map(|p| of(&p.iter().map(|x| x.to_f64()).collect::<Vec<f64>>()))
        .collect();
    let mut squares = 0.0;
    for q in 0..quantities {
        let column: Vec<f64> = rows.iter().map(|r| r[q]).collect();
        let view = diagnose::Chains::new(&column, chains.count()).unwrap();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        squares += (mean / mcse_mean(&view)).powi(2);
    }
    let p = chi_square_survival(squares, quantities as f64);
    assert!(p > level, "{squares} of {quantities}");
}

/// Checks mean and covariance of a Gaussian, in the coordinates in which it is standard.
fn gaussian_is_met<T: Scalar>(target: &Gauss, chains: &Chains<T>) {
    let dim = target.dim();
    let exact = GaussianTarget::new(&target.mean, &target.covariance).unwrap();
    covered(chains, dim, |x| exact.whiten(x));
    covered(chains, dim, |x| {
        exact.whiten(x).iter().map(|z| z * z - 1.0).collect()
    });
    covered(chains, dim * (dim - 1) / 2, |x| {
        let z = exact.whiten(x);
        (0..dim)
            .flat_map(|i| (0..i).map(|j| z[i] * z[j]).collect::<Vec<f64>>())
            .collect()
    });
}

#[test]
fn a_correlated_gaussian_in_both_precisions() {
    let target = counted(Gauss::new(
        vec![1.0, -2.0, 0.5],
        vec![1.0, 0.9, -0.6, 0.9, 4.0, 0.3, -0.6, 0.3, 2.0],
    ));
    let options = ChainOptions::default();
    for chains in both::<f64, _>(&target, &options) {
        gaussian_is_met(&target.target, &chains);
        assert_eq!(chains.divergences(), 0);
    }
    for chains in both::<f32, _>(&target, &options) {
        gaussian_is_met(&target.target, &chains);
    }
}

#[test]
fn an_ill_conditioned_gaussian_and_its_energies() {
    let target = counted(Gauss::rotated(20, 1000.0));
    for chains in both::<f64, _>(&target, &ChainOptions::default()) {
        gaussian_is_met(&target.target, &chains);
        // U - U_min is half a chi-square of 20 degrees of freedom, H - U_min half of one of 40
        let energies = chains.hamiltonians();
        for (values, mean) in [(chains.potentials(), 10.0), (energies.clone(), 20.0)] {
            let view = diagnose::Chains::new(&values, 4).unwrap();
            let summary = TraceSummary::new(&view);
            assert!(
                (summary.mean - mean).abs() < 4.0 * summary.mcse,
                "{summary}"
            );
            assert!(
                (summary.sd / f64::sqrt(mean) - 1.0).abs() < 0.1,
                "{summary}"
            );
            assert!(summary.rhat < 1.02, "{summary}");
        }
        let mixing = e_bfmi(&diagnose::Chains::new(&energies, 4).unwrap());
        assert!(mixing.iter().all(|&e| e > 0.7), "{mixing:?}");
    }
}

#[test]
fn the_mass_is_the_variances() {
    // variances 1, 100, 10^4, which no single step size fits; with their mass the density is round
    let covariance = vec![1.0, 0.0, 0.0, 0.0, 100.0, 0.0, 0.0, 0.0, 1e4];
    let target = counted(Gauss::new(vec![0.0; 3], covariance));
    for chains in both::<f64, _>(&target, &ChainOptions::default()) {
        for chain in &chains.chains {
            // 500 draws of the last window: 4 sqrt(2/500) = 25 %, more if they are correlated
            for (mass, variance) in chain.inverse_mass.iter().zip([1.0, 100.0, 1e4]) {
                assert!((mass / variance).ln().abs() < 0.4, "{mass} {variance}");
            }
            assert!(chain.step_size > 0.5 && chain.step_size < 2.0, "{chain:?}");
        }
    }
}

/// The last 50 transitions of a warm-up are too few for the average to forget its first, short
/// steps. So chains end above their target (Stan's and the reference's do so too). A long warm-up
/// meets the target.
#[test]
fn the_acceptance_is_the_one_asked_for() {
    let target = counted(Gauss::rotated(6, 10.0));
    for target_acceptance in [0.6, 0.8, 0.9] {
        let options = ChainOptions {
            warm_up: 4_000,
            draws: 2_000,
            adapt_mass: false,
            target_acceptance,
            ..ChainOptions::default()
        };
        for (chains, name) in both::<f64, _>(&target, &options)
            .iter()
            .zip(["HMC", "NUTS"])
        {
            let got = chains.mean_acceptance();
            assert!((got - target_acceptance).abs() < 0.05, "{name}: {got}");
        }
    }
}

#[test]
fn the_moments_of_a_banana() {
    // a curved density, with small steps
    let options = ChainOptions {
        draws: 4_000,
        target_acceptance: 0.95,
        ..ChainOptions::default()
    };
    for chains in both::<f64, _>(&counted(Banana), &options) {
        let moments = |t: &[f64]| {
            let r = t[1] - t[0] * t[0];
            vec![t[0], t[0] * t[0] - 1.0, 4.0 * r * r - 1.0, t[1] - 1.0]
        };
        // the quantities are not independent: each is checked alone, at 4 standard errors
        for q in 0..4 {
            covered(&chains, 1, |t| vec![moments(t)[q]]);
        }
    }
}

#[test]
fn divergences_are_counted() {
    let target = counted(Funnel { sd: 3.0 });
    for chains in both::<f64, _>(&target, &ChainOptions::default()) {
        assert!(chains.divergences() > 0);
    }
    // a step far beyond the limit of stability, which is 2 standard deviations
    let options = ChainOptions {
        warm_up: 0,
        draws: 50,
        step_size: Some(40.0),
        ..ChainOptions::default()
    };
    let target = counted(Gauss::new(vec![0.0], vec![1.0]));
    let starts = [vec![0.3]];
    let chains = nuts::<f64, _>(
        &target,
        &starts,
        &NutsOptions {
            chains: options.clone(),
            ..NutsOptions::default()
        },
        Streams::new(1),
    )
    .unwrap();
    assert!(chains.divergences() > 25, "{}", chains.divergences());
    assert!(chains.points().all(|p| p[0].is_finite()));
    let settings = HmcOptions {
        chains: options,
        trajectory: Trajectory::LeapfrogSteps(20),
        jitter: 0.0,
    };
    let chains = hmc::<f64, _>(&target, &starts, &settings, Streams::new(1)).unwrap();
    assert_eq!(chains.divergences(), 50);
    assert!(chains.points().all(|p| p[0] == 0.3));
}

#[test]
fn threads_change_nothing() {
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let target = counted(Gauss::rotated(6, 50.0));
            let options = ChainOptions {
                warm_up: 150,
                draws: 100,
                ..ChainOptions::default()
            };
            let double = both::<f64, _>(&target, &options).map(|c| bits(&c));
            let single = both::<f32, _>(&target, &options).map(|c| bits(&c));
            [double, single]
        })
    };
    let one = of(1);
    assert_eq!(one, of(2));
    assert_eq!(one, of(8));
    // chains differ
    assert_ne!(one[0][0][..600], one[0][0][600..1200]);
}

#[test]
fn gradients_are_counted_and_points_thinned() {
    let all = ChainOptions {
        warm_up: 40,
        draws: 95,
        ..ChainOptions::default()
    };
    let some = ChainOptions {
        keep: Some(10),
        ..all.clone()
    };
    let target = counted(Gauss::rotated(3, 10.0));
    let gradients = |c: &Counted<Gauss>| c.gradients.swap(0, Ordering::Relaxed);
    let full = both::<f64, _>(&target, &all);
    assert_eq!(
        gradients(&target),
        full[0].gradients() + full[1].gradients()
    );
    for (thin, full) in both::<f64, _>(&target, &some).into_iter().zip(full) {
        assert_eq!((thin.kept(), full.kept()), (10, 95));
        assert_eq!(thin.hamiltonians(), full.hamiltonians());
        let dim = 3;
        for (thin, full) in thin.chains.iter().zip(&full.chains) {
            for i in 0..10 {
                let at = (i + 1) * 95usize;
                let at = at.div_ceil(10) - 1;
                let kept = &thin.points[i * dim..(i + 1) * dim];
                assert_eq!(kept, &full.points[at * dim..(at + 1) * dim]);
            }
        }
        // each energy belongs to its point
        let mut values = full
            .points()
            .map(|p| -target.log_density(p, &mut ()).unwrap());
        assert!(full.potentials().iter().all(|u| Some(*u) == values.next()));
        let count = thin.count() * thin.kept();
        let points: Points<f64> = thin.try_into().unwrap();
        assert_eq!(points.count(), count);
        assert_eq!(points.sample(7, Streams::new(0)).unwrap().len(), 21);
    }
}

#[test]
fn what_cannot_be_sampled_is_refused() {
    let target = counted(Gauss::rotated(3, 10.0));
    let refused = |starts: &[Vec<f64>], chains: ChainOptions| {
        let options = NutsOptions {
            chains,
            ..NutsOptions::default()
        };
        let got = nuts(&target, starts, &options, Streams::new(0));
        got.unwrap_err().to_string()
    };
    let good = || ChainOptions {
        warm_up: 10,
        draws: 5,
        ..ChainOptions::default()
    };
    assert!(refused(&[], good()).contains("0 starts"));
    assert!(refused(&[vec![0.0; 2]], good()).contains("3 parameters, got 2"));
    let nowhere = [vec![0.0; 3], vec![f64::NAN; 3]];
    assert!(refused(&nowhere, good()).contains("the chain cannot start"));
    let mass = ChainOptions {
        inverse_mass: Some(vec![1.0; 4]),
        ..good()
    };
    assert!(refused(&[vec![0.0; 3]], mass).contains("3 parameters, got 4"));
    let none = ChainOptions { draws: 0, ..good() };
    assert!(refused(&[vec![0.0; 3]], none).contains("draws = 0"));
}
