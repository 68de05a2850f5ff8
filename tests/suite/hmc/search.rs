//! The first step size: found over many orders of magnitude, and an error if none exists.

use super::both;
use super::targets::{Distorted, Gauss, Target, counted};
use crate::common::normals;
use fiberwalk::baselines::{ChainOptions, HmcOptions, NutsOptions, hmc, nuts};
use fiberwalk::{Error, Streams};

/// `-min(x^2, 1) / 2`, but smooth: a hill on an endless plain.
struct Plain;

impl Target for Plain {
    fn dim(&self) -> usize {
        1
    }
    fn value(&self, t: &[f64], gradient: &mut [f64]) -> f64 {
        let hill = (-0.5 * t[0] * t[0]).exp();
        gradient[0] = -t[0] * hill;
        hill
    }
}

/// A point outside of which the density is zero.
struct Island;

impl Target for Island {
    fn dim(&self) -> usize {
        1
    }
    fn value(&self, t: &[f64], gradient: &mut [f64]) -> f64 {
        gradient[0] = 0.0;
        if t[0] == 0.5 { 0.0 } else { f64::NEG_INFINITY }
    }
}

/// The errors of both samplers for a density, from 0.5 in every direction.
fn refused<D: Target>(target: D, warm_up: usize) -> [String; 2] {
    let chains = ChainOptions {
        warm_up,
        draws: 5,
        ..ChainOptions::default()
    };
    let starts = [vec![0.5; target.dim()]];
    let target = counted(target);
    let for_hmc = HmcOptions {
        chains: chains.clone(),
        ..HmcOptions::default()
    };
    let for_nuts = NutsOptions {
        chains,
        ..NutsOptions::default()
    };
    let streams = Streams::new(1);
    [
        hmc::<f64, _>(&target, &starts, &for_hmc, streams),
        nuts::<f64, _>(&target, &starts, &for_nuts, streams),
    ]
    .map(|outcome| {
        let error = outcome.unwrap_err();
        let field = "step_size";
        assert!(
            matches!(error, Error::Config { field: f, .. } if f == field),
            "{error}"
        );
        error.to_string()
    })
}

fn distorted(gradient: f64, value: f64) -> Distorted<Gauss> {
    Distorted {
        target: Gauss::rotated(3, 10.0),
        gradient,
        value,
    }
}

#[test]
fn a_flat_density_has_no_step_size() {
    for error in refused(distorted(0.0, 0.0), 0) {
        // 2^23, the last below 1e7
        let words = ["step_size = 8.4e6", "from 1.0e0", "flat", "proper"];
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
    }
}

#[test]
fn a_density_that_no_step_keeps_has_none() {
    // 2^-33, the last above 1e-10
    let words = ["step_size = 1.2e-10", "from 1.0e0", "gradient", "jumps"];
    for errors in [refused(distorted(1e20, 1.0), 0), refused(Island, 0)] {
        for error in errors {
            assert!(words.iter().all(|w| error.contains(w)), "{error}");
        }
    }
}

/// The first search ends on the hill. The chain then leaves it for good, and the search after a
/// window of the warm-up reports that.
#[test]
fn a_chain_that_gets_lost_on_a_plain_is_found_out_after_a_window() {
    let begun = ChainOptions {
        warm_up: 0,
        draws: 1,
        ..ChainOptions::default()
    };
    let starts = [vec![0.5]];
    let options = NutsOptions {
        chains: begun,
        ..NutsOptions::default()
    };
    let first = nuts::<f64, _>(&counted(Plain), &starts, &options, Streams::new(1));
    assert!(first.unwrap().chains[0].step_size < 10.0);
    for error in refused(Plain, 200) {
        assert!(error.contains("flat"), "{error}");
        assert!(!error.contains("from 1.0e0"), "the first search: {error}");
    }
}

#[test]
fn a_step_size_is_found_over_twelve_orders_of_magnitude() {
    // without a warm-up, so that the first step is the one that is kept. For a step of `e <= 1/4`
    // deviations the energy changes by less than 0.2 wherever a chain is likely to be, so that is
    // never too long. Above 2 the energy grows, except for momenta along the one direction that
    // contracts, about 2/e^2 of them
    let options = ChainOptions {
        warm_up: 0,
        draws: 1,
        ..ChainOptions::default()
    };
    for sd in [1e-7f64, 1e-3, 1e3, 1e5] {
        let target = counted(Gauss::new(vec![0.0], vec![sd * sd]));
        let starts: Vec<Vec<f64>> = normals(4, 1).iter().map(|z| vec![sd * z]).collect();
        let options = NutsOptions {
            chains: options.clone(),
            ..NutsOptions::default()
        };
        let chains = nuts::<f64, _>(&target, &starts, &options, Streams::new(1)).unwrap();
        for chain in &chains.chains {
            let share = chain.step_size / sd;
            assert!((0.125..=16.0).contains(&share), "{sd}: {share}");
        }
    }
    // where none is found, a given step size is used
    let given = ChainOptions {
        step_size: Some(1.0),
        ..options
    };
    let _ = both::<f64, _>(&counted(distorted(0.0, 0.0)), &given);
}
