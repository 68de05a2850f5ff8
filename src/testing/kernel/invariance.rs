//! A kernel leaves its target invariant: exact draws stay exact draws.
//!
//! Each particle starts at its own exact draw and takes some steps. If the kernel leaves the target
//! invariant, the end points are independent exact draws too, whatever the step size.
//!
//! ```text
//! rank of f(end) among L fresh exact draws: uniform on 0 ..= L       f: coordinates, log p
//! mean of (x - m, (x - m)(x - m)^T - C) over the ends: 0             Hotelling's test
//! ```
//!
//! The ranks are those of simulation-based calibration (Talts et al. 2018), with the known target
//! in place of a posterior: four tests each, see [`RankTests`]. The level is shared out over the
//! `d + 1` sets of ranks and the test of the moments.
//!
//! A kernel that stays where it is leaves everything invariant. So the mean squared move of every
//! coordinate must be a share of `2 Var`, which independent draws would give.

use rand::RngExt;

use super::super::checker::{Checker, Tolerance};
use super::super::failure::{Cause, Failure, Place};
use super::super::targets::KnownDensity;
use super::KernelOptions;
use crate::diagnose::{RankTests, hotelling};
use crate::error::counted;
use crate::parallel;
use crate::scalar::Scalar;
use crate::walk::{Info, Kernel, Particle};

/// Particles whose reported energy is compared with the density after every step.
const WATCHED: usize = 16;

/// Bins of the test of counts.
const BINS: usize = 20;

/// Checks that a kernel, as it is, leaves the target invariant and moves every coordinate.
///
/// # Errors
/// The first quantity that is not distributed as it must be; a kernel that does not move; a report
/// of a step that is not true.
pub fn check_invariance<T, D, K>(
    kernel: &K,
    target: &D,
    options: &KernelOptions,
) -> Result<(), Failure>
where
    T: Scalar,
    D: KnownDensity<T>,
    K: Kernel<T, D>,
{
    let checker = Checker {
        check: "check_invariance",
        seed: options.seed,
    };
    let d = target.dim();
    let lens = [target.mean().len(), target.covariance().len()];
    checker.shape("the known moments", &lens, &[d, d * d])?;
    let draws = options.draws.max(BINS);
    let ends = parallel::map(options.particles, |index| {
        walk(checker, kernel, target, (index, draws), options)
    });
    let all = ends.into_iter().collect::<Result<Vec<End>, _>>()?;
    check_moves(checker, target, &all, options)?;
    let tests = d as f64 + 2.0;
    let level = options.level / tests;
    for q in 0..=d {
        let ranks: Vec<usize> = all.iter().map(|end| end.ranks[q]).collect();
        let tested = checker.works("ranks", RankTests::new(&ranks, draws, BINS))?;
        let name = if q < d {
            format!(
                "ranks of coordinate {q} after {}",
                counted(options.steps, "step")
            )
        } else {
            format!(
                "ranks of the log density after {}",
                counted(options.steps, "step")
            )
        };
        let each = [tested.counts, tested.kolmogorov, tested.mean, tested.spread];
        let worst = each.iter().min_by(|a, b| a.p_value.total_cmp(&b.p_value));
        let (statistic, p_value) = (worst.map_or(f64::NAN, |t| t.statistic), tested.p_value);
        let outcome = crate::diagnose::TestOutcome { statistic, p_value };
        checker.likely(
            &name,
            outcome,
            level,
            "ranks among exact draws must be uniform",
        )?;
    }
    let (mean, covariance) = (target.mean(), target.covariance());
    let mut features = Vec::new();
    let mut expected = vec![0.0; d];
    for end in &all {
        let x: Vec<f64> = end.to.iter().zip(&mean).map(|(x, m)| x - m).collect();
        features.extend_from_slice(&x);
        for i in 0..d {
            features.extend((0..=i).map(|j| x[i] * x[j]));
        }
    }
    for i in 0..d {
        expected.extend((0..=i).map(|j| covariance[i * d + j]));
    }
    let outcome = checker.works("moments", hotelling(&features, &expected))?;
    let name = format!(
        "mean and covariance after {}",
        counted(options.steps, "step")
    );
    checker.likely(
        &name,
        outcome,
        level,
        "Hotelling's test of first and second moments",
    )
}

/// Where a particle started and ended, and its ranks.
struct End {
    from: Vec<f64>,
    to: Vec<f64>,
    /// Of the coordinates, then of the log density.
    ranks: Vec<usize>,
}

fn walk<T, D, K>(
    checker: Checker,
    kernel: &K,
    target: &D,
    (index, draws): (usize, usize),
    options: &KernelOptions,
) -> Result<End, Failure>
where
    T: Scalar,
    D: KnownDensity<T>,
    K: Kernel<T, D>,
{
    // two streams a particle: for its walk, and for the draws that it is compared with
    let mut rng = checker.rng(2 * index as u64);
    let mut others = checker.rng(2 * index as u64 + 1);
    let mut ws = kernel.workspace(target);
    let mut own = target.workspace();
    let cast = |x: Vec<f64>| -> Vec<T> { x.iter().map(|&x| T::from_f64(x)).collect() };
    let start = cast(target.draw(&mut rng));
    let init = kernel.init(target, &start, &mut rng, &mut ws);
    let mut state = checker.works("init at an exact draw", init)?;
    for step in 0..options.steps {
        let info = kernel.step(target, &mut state, &mut rng, &mut ws);
        let info = checker.works("a step", info)?;
        if index < WATCHED {
            let at = target.log_density(state.theta(), &mut own);
            let energy = -checker.works("the density at a point of the walk", at)?;
            check_report::<T>(checker, (index, step), &info, energy, options)?;
        }
    }
    let d = start.len();
    checker.shape("the length of a position", &[state.theta().len()], &[d])?;
    let mut quantities = |theta: &[T]| -> Result<Vec<f64>, Failure> {
        let mut all: Vec<f64> = theta.iter().map(|t| t.to_f64()).collect();
        all.push(checker.works("the density", target.log_density(theta, &mut own))?);
        checker.finite(
            "a position",
            |i| Place::entry("theta, log p", &[d + 1], i),
            &all,
        )?;
        Ok(all)
    };
    let at = quantities(state.theta())?;
    let (mut below, mut tied) = (vec![0; d + 1], vec![0; d + 1]);
    for _ in 0..draws {
        let draw = cast(target.draw(&mut others));
        for (q, (value, at)) in quantities(&draw)?.iter().zip(&at).enumerate() {
            below[q] += usize::from(value < at);
            tied[q] += usize::from(value == at);
        }
    }
    let broken = below.iter().zip(&tied);
    let ranks = broken
        .map(|(b, &t)| b + others.random_range(0..=t))
        .collect();
    Ok(End {
        from: start.iter().map(|t| t.to_f64()).collect(),
        to: at[..d].to_vec(),
        ranks,
    })
}

/// What a step reports of itself.
fn check_report<T: Scalar>(
    checker: Checker,
    (particle, step): (usize, usize),
    info: &Info,
    energy: f64,
    options: &KernelOptions,
) -> Result<(), Failure> {
    let place = format!("step {step} of particle {particle}");
    checker.claim(
        "the probability of acceptance",
        (0.0..=1.0).contains(&info.acceptance),
        || format!("{} in {place}", info.acceptance),
        || "a number from 0 to 1".into(),
    )?;
    checker.claim(
        "the length of a move",
        info.displacement >= 0.0,
        || format!("{} in {place}", info.displacement),
        || "a number that is not negative".into(),
    )?;
    if !options.energy || info.diverged() {
        return Ok(());
    }
    let tolerance = Tolerance {
        bound: 1e4 * T::EPSILON.to_f64() * (1.0 + energy.abs()),
        arithmetic: "1e4 u (1 + |U|)",
    };
    let at = || Place::scalar(format!("Info::energy in {place}"));
    checker.value("the energy of a step", at, info.energy, energy, tolerance)
}

/// Every coordinate moves.
fn check_moves<T: Scalar, D: KnownDensity<T>>(
    checker: Checker,
    target: &D,
    all: &[End],
    options: &KernelOptions,
) -> Result<(), Failure> {
    let (d, covariance) = (target.dim(), target.covariance());
    for i in 0..d {
        let squares = all.iter().map(|end| (end.to[i] - end.from[i]).powi(2));
        let moved = squares.sum::<f64>() / all.len() as f64;
        let share = moved / (2.0 * covariance[i * (d + 1)]);
        if share.is_nan() || share < options.least_move {
            let cause = Cause::Claim {
                got: format!("{share:.3e} of 2 Var in coordinate {i}"),
                expected: format!("at least {:.3e}", options.least_move),
            };
            return Err(checker.fail("the mean squared move", cause));
        }
    }
    Ok(())
}
