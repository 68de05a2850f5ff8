//! Whether the particles of a walk agree: R-hat and effective sample sizes after the warm-up.
//!
//! Both are computed for the energy and for predictions for training rows (Vehtari, Gelman,
//! Simpson, Carpenter & Buerkner 2021).
//!
//! Each particle is a short chain. The ensemble may cover the posterior even if no single particle
//! does, so the R-hat of particles is far above 1 in healthy walks. What counts is whether particles
//! have forgotten where they were when the warm-up ended: the nested R-hat over groups that were
//! alike then ([`grouped_rhat`]). With several starts, the nested R-hat over starts (Margossian et
//! al. 2024) tells whether particles from different starts differ more than particles from the same
//! start.
//!
//! **Sixteen walkers** are too few for groups: that many have a walk with sampled scales, and a
//! walk of a mixture. Four groups of four have a limit of 1.92 (`F(3, 12)`), so walkers that never
//! forget where they were pass (a test below: a correlation of 0.7 at any lag). Nor do they have the
//! superchains of Margossian et al.: each starts from a draw of the prior of its own. So the split
//! R-hat of single walkers stands, with limits that say how far each went. If half of a walker's
//! draws are worth `m` independent ones, `R-hat = (m / (m - 1))^{1/2}` about:
//!
//! | R-hat | `m` | independent draws of 16 walkers |
//! |---|---|---|
//! | 1.1 | 5.8 | 180 |
//! | 1.2, the limit of predictions | 3.3 | 105 |
//! | 1.5, the limit of a scale | 1.8 | 58 |
//! | 1.6, of predictions where scales are given, and of a model in a mixture | 1.6 | 53 |
//!
//! So a fit at the limits has enough draws for predictions, if not for the tails of a scale. What
//! no limit shows: a scale that all walkers still approach at the same slow rate, from starts that
//! are near the prior's median.

use super::FitReport;
use crate::artifact::report::{GroupMixing, Mixing, NestedMixing, PredictionMixing};
use crate::diagnose::{
    Chains, ess_bulk, ess_tail, grouped_rhat, grouped_rhat_limit, nested_rhat, rhat,
};
use crate::error::Result;
use crate::scalar::Scalar;
use crate::walk::{Trace, Walk};

/// Groups of particles that were alike, and least particles of a group for its mean to say
/// anything.
const GROUPS: usize = 4;
const GROUP: usize = 8;

/// The draws of one quantity, `[particles, blocks]`.
fn draws(trace: &Trace, of: impl Fn(usize, usize) -> Result<f64>) -> Result<Vec<f64>> {
    let particles = 0..trace.particles();
    particles
        .flat_map(|p| (0..trace.blocks()).map(move |b| (b, p)))
        .map(|(block, particle)| of(block, particle))
        .collect()
}

/// The diagnostics of one quantity.
struct Figures {
    rhat: f64,
    bulk: f64,
    tail: f64,
    nested: Option<f64>,
    grouped: Option<f64>,
}

fn figures(values: &[f64], particles: usize, starts: usize) -> Result<Figures> {
    let chains = Chains::new(values, particles)?;
    Ok(Figures {
        rhat: rhat(&chains),
        bulk: ess_bulk(&chains),
        tail: ess_tail(&chains),
        nested: nested(values, particles, starts)?,
        grouped: match has_groups(&chains) {
            true => Some(grouped_rhat(&chains, GROUPS)?),
            false => None,
        },
    })
}

/// Whether there are enough particles, and enough of their draws.
fn has_groups(chains: &Chains) -> bool {
    chains.draws() >= 8 && chains.chains() >= GROUPS * GROUP
}

/// Nested R-hat over the particles of each start, if there are several starts of equal size.
fn nested(values: &[f64], particles: usize, starts: usize) -> Result<Option<f64>> {
    if starts < 2 || !particles.is_multiple_of(starts) || particles / starts < 2 {
        return Ok(None);
    }
    // particles take the starts in turn; here the chains of one start must be adjacent
    let draws = values.len() / particles;
    let order = (0..starts).flat_map(|s| (s..particles).step_by(starts));
    let sorted: Vec<f64> = order
        .flat_map(|p| values[p * draws..(p + 1) * draws].iter().copied())
        .collect();
    nested_rhat(&Chains::new(&sorted, particles)?, starts).map(Some)
}

impl FitReport {
    /// Adds diagnostics from a walk's trace if it is long enough: at least 4 blocks, 2 particles.
    /// The first `predictions` of the observed numbers are predictions.
    pub(super) fn convergence<T: Scalar>(
        &mut self,
        walk: &Walk<T>,
        starts: usize,
        predictions: usize,
    ) -> Result<()> {
        let trace = &walk.trace;
        if trace.blocks() < 4 || trace.particles() < 2 {
            return Ok(());
        }
        let particles = trace.particles();
        let energies = draws(trace, |block, p| Ok(trace.energies_after(block)?[p]))?;
        let energy = figures(&energies, particles, starts)?;
        let of = |i| {
            draws(
                trace,
                |b, p| Ok(trace.observed_after(b)?[p * trace.len + i]),
            )
        };
        let all = (0..predictions.min(trace.len)).map(|i| figures(&of(i)?, particles, starts));
        let all = all.collect::<Result<Vec<_>>>()?;
        let sorted = |f: &dyn Fn(&Figures) -> f64| -> Vec<f64> {
            // a constant prediction has no R-hat
            let mut values: Vec<f64> = all.iter().map(f).filter(|v| !v.is_nan()).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (rhats, nested) = (
            sorted(&|f| f.rhat),
            sorted(&|f| f.nested.unwrap_or(f64::NAN)),
        );
        let grouped = sorted(&|f| f.grouped.unwrap_or(f64::NAN));
        let middle = grouped.get(grouped.len() / 2).copied();
        let groups = energy.grouped.map(|energy| GroupMixing {
            groups: GROUPS,
            energy,
            predictions: middle.unwrap_or(f64::NAN),
            worst: grouped.last().copied().unwrap_or(f64::NAN),
            limit: grouped_rhat_limit(particles, GROUPS),
        });
        let ends = (rhats.get(rhats.len() / 2), rhats.last());
        let of_predictions = match ends {
            (Some(&rhat_median), Some(&rhat_worst)) => {
                let least = |values: Vec<f64>| values.first().copied().unwrap_or(f64::NAN);
                Some(PredictionMixing {
                    count: rhats.len(),
                    rhat_median,
                    rhat_worst,
                    ess_bulk: least(sorted(&|f| f.bulk)),
                    ess_tail: least(sorted(&|f| f.tail)),
                })
            }
            _ => None,
        };
        self.mixing = Some(Mixing {
            energy_rhat: energy.rhat,
            energy_ess_bulk: energy.bulk,
            energy_ess_tail: energy.tail,
            predictions: of_predictions,
            nested: nested
                .last()
                .map(|&rhat_worst| NestedMixing { starts, rhat_worst }),
            groups,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams, fill_normal};

    /// Eight particles, forty blocks, two observed numbers. `apart` shifts the particles of every
    /// other start.
    fn walk(apart: f64) -> Walk<f64> {
        let mut rng = Streams::new(1).rng(Phase::USER, 0);
        let mut trace = Trace {
            len: 2,
            ..Trace::default()
        };
        for block in 0..40 {
            trace.steps.push(block);
            let mut noise = vec![0.0; 24];
            fill_normal(&mut rng, &mut noise);
            trace.energies.extend_from_slice(&noise[..8]);
            for particle in 0..8 {
                let shift = apart * (particle % 2) as f64;
                trace.observed.push(noise[8 + 2 * particle] + shift);
                trace.observed.push(1.0);
            }
        }
        Walk {
            trace,
            ..Walk::default()
        }
    }

    /// Chains that hold each of `m` independent draws for some time, twice: in each half.
    fn held(m: usize, seed: u64) -> Vec<f64> {
        let mut draws = vec![0.0; 16 * 2 * m];
        fill_normal(&mut Streams::new(seed).rng(Phase::USER, 1), &mut draws);
        draws.iter().flat_map(|x| [*x; 20]).collect()
    }

    /// The table above. R-hat by ranks, and folded, is a little larger: of 16 walkers by up to 0.1.
    #[test]
    fn rhat_says_how_many_independent_draws_a_walker_has() {
        for m in [2, 3, 4, 6] {
            let trials = 200;
            let of = |seed| rhat(&Chains::new(&held(m, seed), 16).unwrap());
            let mean = (0..trials).map(of).sum::<f64>() / trials as f64;
            let want = (m as f64 / (m as f64 - 1.0)).sqrt();
            assert!(
                (want - 0.01..want + 0.1).contains(&mean),
                "{m}: {mean} {want}"
            );
        }
    }

    /// Why sixteen walkers are not judged by groups. Each stays near a place of its own, with a
    /// correlation of 0.7 to where it was at any time before: the groups pass, R-hat finds it.
    #[test]
    fn sixteen_walkers_are_too_few_for_groups() {
        let limit = grouped_rhat_limit(16, GROUPS);
        assert!((limit - 1.92).abs() < 0.01, "{limit}");
        let (trials, mut passed) = (100, 0);
        for seed in 0..trials {
            let (mut places, mut moves) = (vec![0.0; 16], vec![0.0; 16 * 40]);
            let mut rng = Streams::new(seed).rng(Phase::USER, 2);
            fill_normal(&mut rng, &mut places);
            fill_normal(&mut rng, &mut moves);
            let stay = |i: usize| 0.7f64.sqrt() * places[i / 40] + 0.3f64.sqrt() * moves[i];
            let stuck: Vec<f64> = (0..16 * 40).map(stay).collect();
            let chains = Chains::new(&stuck, 16).unwrap();
            passed += usize::from(grouped_rhat(&chains, GROUPS).unwrap() < limit);
            assert!(rhat(&chains) > 1.2);
        }
        assert!(passed > trials as usize / 2, "{passed} of {trials}");
    }

    #[test]
    fn agreement_and_its_lack_are_told_apart() {
        let mixing = |apart: f64, starts: usize| {
            let mut report = FitReport::default();
            report.convergence(&walk(apart), starts, 2).unwrap();
            report.mixing.unwrap()
        };
        let predictions = |apart: f64| mixing(apart, 1).predictions.unwrap();
        assert!(mixing(0.0, 1).energy_rhat < 1.05);
        assert!(predictions(0.0).rhat_worst < 1.05);
        // 320 independent draws
        let ess = predictions(0.0).ess_bulk;
        assert!((200.0..450.0).contains(&ess), "{ess}");
        assert!(predictions(3.0).rhat_worst > 1.5);
        assert!(mixing(3.0, 1).energy_rhat < 1.05);
        // starts alternate among the particles: two of them differ, each agrees with itself
        assert!(mixing(3.0, 2).nested.unwrap().rhat_worst > 1.5);
        assert!(mixing(0.0, 2).nested.unwrap().rhat_worst < 1.05);
        assert!(mixing(0.0, 1).nested.is_none());
        assert!(mixing(0.0, 3).nested.is_none());
    }
}
