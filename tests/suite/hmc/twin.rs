//! HMC and NUTS from their definitions.
//!
//! Every state of a trajectory is kept, and every stretch is summed anew. The momentum is the
//! textbook's, `p ~ N(0, M)`, with `M` wherever the textbook has it. The twin draws the same random
//! numbers in the same order. It can be given faults, which a test of a sampler must find.

use fiberwalk::LogDensity;
use fiberwalk::rng::fill_normal;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The fault made on purpose.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// Every proposal of HMC is accepted.
    NoMetropolis,
    /// The states of a trajectory are drawn with equal weights, whatever their energy.
    UniformWeights,
    /// The rule uses the wrong sign for momenta of states built backward in time.
    WrongSign,
}

#[derive(Clone)]
struct Leaf {
    theta: Vec<f64>,
    p: Vec<f64>,
    gradient: Vec<f64>,
    log_density: f64,
    /// `H`.
    energy: f64,
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A draw, its energy, and its numbers of doublings and of leapfrog steps.
pub type Draw = (Vec<f64>, f64, usize, usize);

/// A sampler of a density with a step size and a diagonal inverse mass matrix.
pub struct Twin<'a, D> {
    pub density: &'a D,
    pub step: f64,
    pub inverse_mass: Vec<f64>,
    pub fault: Fault,
}

impl<D: LogDensity<f64, Workspace = ()>> Twin<'_, D> {
    fn leaf(&self, theta: Vec<f64>, p: Vec<f64>) -> Leaf {
        let mut leaf = Leaf {
            gradient: vec![0.0; theta.len()],
            theta,
            p,
            log_density: 0.0,
            energy: 0.0,
        };
        let gradient = &mut leaf.gradient;
        leaf.log_density = self
            .density
            .log_density_and_grad(&leaf.theta, gradient, &mut ())
            .unwrap();
        self.with_energy(leaf)
    }

    fn with_energy(&self, mut leaf: Leaf) -> Leaf {
        leaf.energy = 0.5 * product(&leaf.p, &self.velocity(&leaf.p)) - leaf.log_density;
        leaf
    }

    /// `M^-1 p`.
    fn velocity(&self, p: &[f64]) -> Vec<f64> {
        p.iter()
            .zip(&self.inverse_mass)
            .map(|(p, m)| m * p)
            .collect()
    }

    fn leapfrog(&self, from: &Leaf, forward: bool) -> Leaf {
        let step = if forward { self.step } else { -self.step };
        let kick = |p: &[f64], g: &[f64]| -> Vec<f64> {
            p.iter().zip(g).map(|(p, g)| p + 0.5 * step * g).collect()
        };
        let p = kick(&from.p, &from.gradient);
        let moved = from.theta.iter().zip(self.velocity(&p));
        let mut next = self.leaf(moved.map(|(t, v)| t + step * v).collect(), p);
        next.p = kick(&next.p, &next.gradient);
        self.with_energy(next)
    }

    /// Draws one after the other. Each starts at the one before with a new momentum.
    fn chain(
        &self,
        theta: &[f64],
        draws: usize,
        rng: &mut ChaCha8Rng,
        transition: impl Fn(&Leaf, &mut ChaCha8Rng) -> (Leaf, usize, usize),
    ) -> Vec<Draw> {
        let mut theta = theta.to_vec();
        let mut draw = |_| {
            let mut p = vec![0.0; theta.len()];
            fill_normal(rng, &mut p);
            for (p, m) in p.iter_mut().zip(&self.inverse_mass) {
                *p /= m.sqrt();
            }
            let start = self.leaf(theta.clone(), p);
            let (next, depth, leapfrogs) = transition(&start, rng);
            theta.clone_from(&next.theta);
            (next.theta, next.energy, depth, leapfrogs)
        };
        (0..draws).map(&mut draw).collect()
    }

    /// HMC with the given number of leapfrog steps.
    pub fn hmc(
        &self,
        theta: &[f64],
        steps: usize,
        draws: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Draw> {
        self.chain(theta, draws, rng, |start, rng| {
            let _jitter: f64 = rng.random();
            let toss: f64 = rng.random();
            let leaf = (0..steps).fold(start.clone(), |leaf, _| self.leapfrog(&leaf, true));
            let accepted = toss < (start.energy - leaf.energy).exp();
            let next = match accepted || self.fault == Fault::NoMetropolis {
                true => leaf,
                false => start.clone(),
            };
            (next, 0, steps)
        })
    }

    /// NUTS with at most the given number of doublings.
    pub fn nuts(
        &self,
        theta: &[f64],
        max_depth: usize,
        draws: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Draw> {
        self.chain(theta, draws, rng, |start, rng| {
            let weight = |leaf: &Leaf| match self.fault {
                Fault::UniformWeights => 1.0,
                _ => (start.energy - leaf.energy).exp(),
            };
            let rule = |leaf: &Leaf, forward: bool| match self.fault == Fault::WrongSign && !forward
            {
                true => leaf.p.iter().map(|p| -p).collect::<Vec<f64>>(),
                false => leaf.p.clone(),
            };
            // in order of time, with the momenta that the rule sees
            let mut whole = vec![start.clone()];
            let mut seen = vec![start.p.clone()];
            let mut drawn = start.clone();
            let (mut total, mut depth, mut leapfrogs) = (1.0, 0, 0);
            'doubling: while depth < max_depth {
                let forward = rng.random::<bool>();
                let size = whole.len();
                let (mut added, mut proposal, mut sum) = (Vec::new(), start.clone(), 0.0);
                let mut leaf = whole[if forward { size - 1 } else { 0 }].clone();
                let mut momenta = Vec::new();
                for n in 1..=size {
                    leaf = self.leapfrog(&leaf, forward);
                    leapfrogs += 1;
                    if leaf.energy.is_nan() || leaf.energy - start.energy > 1000.0 {
                        break 'doubling;
                    }
                    sum += weight(&leaf);
                    if rng.random::<f64>() < weight(&leaf) / sum {
                        proposal = leaf.clone();
                    }
                    added.push(leaf.clone());
                    momenta.push(rule(&leaf, forward));
                    let mut block = 2;
                    while n % block == 0 {
                        if !self.goes_on(&momenta[n - block..]) {
                            break 'doubling;
                        }
                        block *= 2;
                    }
                }
                depth += 1;
                if rng.random::<f64>() < sum / total {
                    drawn = proposal;
                }
                total += sum;
                if forward {
                    whole.extend(added);
                    seen.extend(momenta);
                } else {
                    whole.splice(0..0, added.into_iter().rev());
                    seen.splice(0..0, momenta.into_iter().rev());
                }
                if !self.goes_on(&seen) {
                    break;
                }
            }
            (drawn, depth, leapfrogs)
        })
    }

    /// Whether the trajectory goes on. It uses the velocities at the ends and the sums over a
    /// stretch of an even number of momenta.
    fn goes_on(&self, stretch: &[Vec<f64>]) -> bool {
        let along = |part: &[Vec<f64>]| {
            let sum = |i: usize| part.iter().map(|p| p[i]).sum::<f64>();
            let rho: Vec<f64> = (0..part[0].len()).map(sum).collect();
            let with = |p: &[f64]| product(&self.velocity(p), &rho) > 0.0;
            with(&part[0]) && with(&part[part.len() - 1])
        };
        let half = stretch.len() / 2;
        along(stretch) && along(&stretch[..=half]) && along(&stretch[half - 1..])
    }
}
