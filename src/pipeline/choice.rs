//! The rule by which method `flow` chooses: predictions, energy and spread are judged together.
//!
//! Draws of the posterior have its predictions, its energy, and its spread. A Gaussian that is too
//! narrow can have the first alone: its last layer, conditioned, carries the spread, and its energy
//! is far below. So a sampler is *faithful* if
//!
//! - the mean energy of its draws is the walk's: within 0.02 nats a parameter, or within two
//!   standard errors of the difference if these are larger;
//! - its predictions spread as much as the walk's, within 25 %.
//!
//! A walk along the fiber, or one by batches, does not have the posterior's energy. Then spread
//! alone is judged, and no layers are tried unless asked for.
//!
//! Among the faithful ones, those at most [`ALIKE`] times as far from the walk as the nearest
//! predict alike: so few draws cannot tell them apart. The highest ELBO decides between maps, and
//! then the fewest layers from [`SETTLED`] on, or the most if all have fewer. Distances to a walk
//! cannot tell 10 layers from 40, since the walk has an error of its own; distances to long HMC
//! can (`docs/deformation.md`). If none is faithful, the one that is least far out is kept: by the worst
//! of its energy and spread in units of what is allowed, and its distance in units of
//! [`ALIKE`] times the least. The summary says that it is not faithful.

use super::agreement::Closeness;
use crate::model::PointsOf;
use crate::scalar::Scalar;

/// Predictions are alike if their distance is at most this multiple of the least distance.
pub(super) const ALIKE: f64 = 1.2;

/// Nats a parameter by which the mean energy of draws may differ from the walk's.
const ENERGY: f64 = 0.02;

/// Nats a parameter by which the mean energy of draws may be too high for layers to bring it down.
const FAR: f64 = 0.2;

/// Fewest layers that are kept, where so many were tried and predict alike.
const SETTLED: usize = 40;

/// Faithful draws that went through so many layers have arrived if their distance is not below this
/// share of that after half as many.
const LONG: usize = 160;
const GAIN: f64 = 0.97;

/// Ratio of spreads that is allowed.
const SPREAD: f64 = 1.25;

/// What draws of a sampler are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    /// Kinetic layers that the draws went through.
    pub layers: usize,
    /// Their predictions, against the walk's.
    pub close: Closeness,
    /// Mean of their energies, and its standard error, in nats.
    pub energy: (f64, f64),
}

/// What samplers are held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    /// Mean energy of the walk's points, and its standard error.
    energy: (f64, f64),
    dim: usize,
}

/// Mean and standard error of independent numbers.
pub(super) fn mean_and_error(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0) / n).sqrt())
}

impl Rule {
    /// From a walk's points and their energies. A particle counts as one independent point.
    pub fn new<T: Scalar>(points: PointsOf<'_, T>, energies: &[f64]) -> Self {
        let (mean, error) = mean_and_error(energies);
        let mut particles = points.particles().to_vec();
        particles.sort_unstable();
        particles.dedup();
        let independent = particles.len().max(1) as f64;
        let correlated = (energies.len().max(1) as f64 / independent).sqrt();
        Self {
            energy: (mean, error * correlated),
            dim: points.dim(),
        }
    }

    /// The same for a walk that does not sample the posterior, such as one along the fiber or by
    /// batches: its energies say nothing of the posterior's.
    pub fn without_energy(self) -> Self {
        Self {
            energy: (self.energy.0, f64::INFINITY),
            ..self
        }
    }

    /// Whether energies say anything: see [`Rule::without_energy`].
    pub fn judges_energy(&self) -> bool {
        self.energy.1.is_finite()
    }

    /// The difference of energies that is allowed, in nats.
    pub fn allowed(&self, judged: &Judged) -> f64 {
        let error = self.energy.1.hypot(judged.energy.1);
        (2.0 * error).max(ENERGY * self.dim as f64)
    }

    /// Energy and spread in units of what is allowed: both at most 1 for a faithful sampler.
    fn excess(&self, judged: &Judged) -> f64 {
        let energy = (judged.energy.0 - self.energy.0).abs() / self.allowed(judged);
        let spread = judged.close.spread.ln().abs() / SPREAD.ln();
        // a NaN is as bad as can be
        match energy.max(spread) {
            worst if energy.is_finite() && spread.is_finite() => worst,
            _ => f64::INFINITY,
        }
    }

    /// Nats a parameter by which the mean energy of draws exceeds the walk's.
    pub fn too_high(&self, energy: f64) -> f64 {
        (energy - self.energy.0) / self.dim.max(1) as f64
    }

    /// Whether a mean energy, with its standard error, exceeds the walk's by no more than `raised`
    /// nats a parameter and one standard error.
    pub fn is_near(&self, (mean, error): (f64, f64), raised: f64) -> bool {
        mean - self.energy.0 <= raised * self.dim as f64 + error
    }

    /// Whether more layers may bring draws nearer. They cannot where the energy is too high by more
    /// than [`FAR`]; and faithful draws that came no nearer stay where they are.
    pub fn may_gain(&self, before: Option<&Judged>, now: &Judged) -> bool {
        // a NaN is not near
        let near = self.too_high(now.energy.0) < FAR;
        let far = self.judges_energy() && !near;
        let gained = before.is_none_or(|b| now.close.distance < GAIN * b.close.distance);
        !far && (gained || now.layers < LONG || !self.is_faithful(now))
    }

    /// Whether draws have the energy and the spread of the walk.
    pub fn is_faithful(&self, judged: &Judged) -> bool {
        self.excess(judged) <= 1.0
    }

    /// The best of all that was tried with each map: the number of the map, and of what was tried
    /// with it. `elbo` gives the ELBO of a map; it is asked only if several maps are alike.
    ///
    /// # Errors
    /// Those of `elbo`.
    pub fn best<E>(
        &self,
        maps: &[&[Judged]],
        mut elbo: impl FnMut(usize) -> Result<f64, E>,
    ) -> Result<Option<(usize, usize)>, E> {
        let all = maps.iter().enumerate();
        let all = all.flat_map(|(m, tried)| tried.iter().enumerate().map(move |(k, j)| (m, k, j)));
        let all: Vec<(usize, usize, &Judged)> = all.collect();
        let faithful = all.iter().filter(|(.., j)| self.is_faithful(j));
        let mut faithful: Vec<_> = faithful.copied().collect();
        let nearest = |all: &[(usize, usize, &Judged)]| {
            let distances = all.iter().map(|(.., j)| j.close.distance);
            distances.fold(f64::INFINITY, f64::min)
        };
        if faithful.is_empty() {
            let least = ALIKE * nearest(&all);
            let penalty = |j: &Judged| self.excess(j).max(j.close.distance / least);
            let best = all
                .iter()
                .min_by(|a, b| penalty(a.2).total_cmp(&penalty(b.2)));
            return Ok(best.map(|&(m, k, _)| (m, k)));
        }
        let least = ALIKE * nearest(&faithful);
        faithful.retain(|(.., j)| j.close.distance <= least);
        let mut among: Vec<usize> = faithful.iter().map(|f| f.0).collect();
        among.dedup();
        let mut chosen = among.first().copied();
        if among.len() > 1 {
            let mut highest = f64::NEG_INFINITY;
            for &map in &among {
                let value = elbo(map)?;
                if value > highest {
                    (chosen, highest) = (Some(map), value);
                }
            }
        }
        let of_chosen = faithful.iter().filter(|f| Some(f.0) == chosen);
        // settled ones first, fewest layers first; then the others, most layers first
        let kept = of_chosen.min_by_key(|f| match f.2.layers {
            settled @ SETTLED.. => (0, settled),
            fewer => (1, SETTLED - fewer),
        });
        Ok(kept.map(|&(m, k, _)| (m, k)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn judged(layers: usize, distance: f64, energy: f64, spread: f64) -> Judged {
        Judged {
            layers,
            close: Closeness { distance, spread },
            energy: (energy, 0.5),
        }
    }

    const RULE: Rule = Rule {
        energy: (100.0, 0.5),
        dim: 200,
    };

    fn best(maps: &[&[Judged]], elbos: &[f64]) -> Option<(usize, usize)> {
        let elbo = |map: usize| Ok::<f64, Infallible>(elbos[map]);
        RULE.best(maps, elbo).unwrap()
    }

    /// 0.02 nats for each of 200 parameters: 4 nats.
    #[test]
    fn a_narrow_map_does_not_win_by_its_predictions() {
        let narrow = [judged(0, 0.01, 40.0, 1.0)];
        let wide = [judged(0, 0.08, 130.0, 1.1), judged(40, 0.03, 103.9, 1.1)];
        assert_eq!(best(&[&narrow, &wide], &[0.0, -1.0]), Some((1, 1)));
        // nor one that spreads too little or too much, or whose energy is not a number
        for bad in [
            judged(0, 0.01, 100.0, 0.79),
            judged(0, 0.01, 100.0, 1.26),
            judged(0, 0.01, f64::NAN, 1.0),
            judged(0, 0.01, 104.1, 1.0),
            judged(0, f64::NAN, 100.0, f64::NAN),
        ] {
            assert!(!RULE.is_faithful(&bad), "{bad:?}");
            assert_eq!(
                best(&[&[bad], &wide], &[9.0, -1.0]),
                Some((1, 1)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn among_faithful_ones_distance_then_density_then_cost_decide() {
        let near = [judged(0, 0.031, 101.0, 1.0), judged(10, 0.030, 101.0, 1.0)];
        let other = [judged(20, 0.035, 99.0, 1.0)];
        let far = [judged(0, 0.050, 100.0, 1.0)];
        // `far` is not alike, whatever its ELBO; of the others the ELBO decides
        assert_eq!(
            best(&[&near, &other, &far], &[0.0, 5.0, 99.0]),
            Some((1, 0))
        );
        // of one map, the most layers if all have few
        assert_eq!(
            best(&[&near, &other, &far], &[5.0, 0.0, 99.0]),
            Some((0, 1))
        );
        // no ELBO at all
        let none = [f64::NAN; 3];
        assert_eq!(best(&[&near, &other, &far], &none), Some((0, 1)));
        assert_eq!(best(&[], &[]), None);
    }

    #[test]
    fn of_many_layers_the_fewest_that_settle_are_kept() {
        let of = |layers: &[usize]| -> Vec<Judged> {
            let all = layers.iter().map(|&k| judged(k, 0.03, 100.0, 1.0));
            all.collect()
        };
        let kept = |layers: &[usize]| {
            let tried = of(layers);
            best(&[&tried], &[0.0]).map(|(_, k)| layers[k])
        };
        assert_eq!(kept(&[0, 10, 20, 40, 80, 160]), Some(40));
        assert_eq!(kept(&[0, 10, 20, 50]), Some(50));
        assert_eq!(kept(&[0, 10, 20, 35]), Some(35));
        assert_eq!(kept(&[0]), Some(0));
        // not where they are farther, or have left the walk's energy
        let mut tried = of(&[0, 10, 40]);
        tried[2].close.distance = 0.037;
        assert_eq!(best(&[&tried], &[0.0]), Some((0, 1)));
        tried[1].energy.0 = 120.0;
        assert_eq!(best(&[&tried], &[0.0]), Some((0, 0)));
    }

    #[test]
    fn the_energy_of_a_walk_that_is_no_sampler_is_not_judged() {
        let rule = RULE.without_energy();
        assert!(rule.is_faithful(&judged(0, 0.01, 400.0, 1.0)));
        assert!(!rule.is_faithful(&judged(0, 0.01, 100.0, 1.3)));
        assert!(!rule.is_faithful(&judged(0, 0.01, f64::NAN, 1.0)));
    }

    #[test]
    fn without_a_faithful_one_the_least_bad_is_kept() {
        let narrow = [judged(0, 0.01, 40.0, 1.0), judged(10, 0.02, 80.0, 1.0)];
        assert_eq!(best(&[&narrow], &[0.0]), Some((0, 1)));
        // but not if its predictions are far out
        let silly = [judged(0, 1.0, 94.0, 1.0)];
        assert_eq!(best(&[&narrow, &silly], &[0.0; 2]), Some((0, 1)));
    }

    /// Points of one particle are alike: four times as many are no more certain.
    #[test]
    fn particles_count_and_not_points() {
        let values = [0.0f64; 16];
        let energies: Vec<f64> = (0..16).map(|i| f64::from(i / 4)).collect();
        let particles: Vec<usize> = (0..16).map(|i| i / 4).collect();
        let points = PointsOf::new(&values, 1, &particles).unwrap();
        let rule = Rule::new(points, &energies);
        let (mean, error) = mean_and_error(&energies);
        assert_eq!(rule.energy.0, mean);
        assert!((rule.energy.1 - 2.0 * error).abs() < 1e-12);
    }
}
