//! HMC and NUTS from their definitions: every state of a trajectory is kept, and every stretch is summed anew. With these random numbers in this order, and
//! with faults that a test of a sampler must find.

use fiberwalk::LogDensity;
use fiberwalk::linalg::vector::fill_normal;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// What is done wrong on purpose.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// Every proposal of HMC is accepted.
    NoMetropolis,
    /// The states of a trajectory are drawn as if all had the same energy.
    UniformWeights,
    /// The rule takes the momenta of what is built backward in time with the wrong sign.
    WrongSign,
}

#[derive(Clone)]
struct Leaf {
    theta: Vec<f64>,
    r: Vec<f64>,
    gradient: Vec<f64>,
    log_density: f64,
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Leaf {
    fn at<D: LogDensity<f64, Workspace = ()>>(density: &D, theta: &[f64], r: Vec<f64>) -> Self {
        let mut gradient = vec![0.0; theta.len()];
        let log_density = density
            .log_density_and_grad(theta, &mut gradient, &mut ())
            .unwrap();
        Self {
            theta: theta.to_vec(),
            r,
            gradient,
            log_density,
        }
    }

    fn energy(&self) -> f64 {
        0.5 * product(&self.r, &self.r) - self.log_density
    }

    fn leapfrog<D: LogDensity<f64, Workspace = ()>>(&self, density: &D, step: f64) -> Self {
        let kick = |r: &[f64], g: &[f64]| -> Vec<f64> {
            r.iter().zip(g).map(|(r, g)| r + 0.5 * step * g).collect()
        };
        let r = kick(&self.r, &self.gradient);
        let moved = self.theta.iter().zip(&r).map(|(t, r)| t + step * r);
        let theta: Vec<f64> = moved.collect();
        let mut next = Self::at(density, &theta, r);
        next.r = kick(&next.r, &next.gradient);
        next
    }
}

/// A draw, its energy, and the number of doublings and of leapfrog steps that it took.
pub type Draw = (Vec<f64>, f64, usize, usize);

pub fn hmc<D: LogDensity<f64, Workspace = ()>>(
    density: &D,
    theta: &[f64],
    (step, steps): (f64, usize),
    draws: usize,
    rng: &mut ChaCha8Rng,
    fault: Fault,
) -> Vec<Draw> {
    let mut theta = theta.to_vec();
    let mut out = Vec::new();
    for _ in 0..draws {
        let mut r = vec![0.0; theta.len()];
        fill_normal(rng, &mut r);
        let start = Leaf::at(density, &theta, r);
        let _jitter: f64 = rng.random();
        let toss: f64 = rng.random();
        let mut leaf = start.clone();
        for _ in 0..steps {
            leaf = leaf.leapfrog(density, step);
        }
        let accepted = toss < (start.energy() - leaf.energy()).exp();
        let next = match accepted || fault == Fault::NoMetropolis {
            true => leaf,
            false => start,
        };
        theta = next.theta.clone();
        out.push((theta.clone(), next.energy(), 0, steps));
    }
    out
}

/// Whether the trajectory goes on, by the sums over a stretch of an even number of momenta.
fn goes_on(stretch: &[Vec<f64>]) -> bool {
    let along = |part: &[Vec<f64>]| {
        let sum = |i: usize| part.iter().map(|r| r[i]).sum::<f64>();
        let rho: Vec<f64> = (0..part[0].len()).map(sum).collect();
        product(&part[0], &rho) > 0.0 && product(&part[part.len() - 1], &rho) > 0.0
    };
    let half = stretch.len() / 2;
    along(stretch) && along(&stretch[..=half]) && along(&stretch[half - 1..])
}

pub fn nuts<D: LogDensity<f64, Workspace = ()>>(
    density: &D,
    theta: &[f64],
    (step, max_depth): (f64, usize),
    draws: usize,
    rng: &mut ChaCha8Rng,
    fault: Fault,
) -> Vec<Draw> {
    let mut theta = theta.to_vec();
    let mut out = Vec::new();
    for _ in 0..draws {
        let mut r = vec![0.0; theta.len()];
        fill_normal(rng, &mut r);
        let start = Leaf::at(density, &theta, r);
        let initial = start.energy();
        let weight = |leaf: &Leaf| match fault {
            Fault::UniformWeights => 1.0,
            _ => (initial - leaf.energy()).exp(),
        };
        let rule = |leaf: &Leaf, forward: bool| match fault == Fault::WrongSign && !forward {
            true => leaf.r.iter().map(|r| -r).collect::<Vec<f64>>(),
            false => leaf.r.clone(),
        };
        // in the order of time, with the momenta that the rule sees
        let mut whole = vec![start.clone()];
        let mut seen = vec![start.r.clone()];
        let mut drawn = start.clone();
        let (mut total, mut depth, mut leapfrogs) = (1.0, 0, 0);
        'doubling: while depth < max_depth {
            let forward = rng.random::<bool>();
            let size = whole.len();
            let (mut added, mut proposal, mut sum) = (Vec::new(), start.clone(), 0.0);
            let mut leaf = whole[if forward { size - 1 } else { 0 }].clone();
            let mut momenta = Vec::new();
            for n in 1..=size {
                leaf = leaf.leapfrog(density, if forward { step } else { -step });
                leapfrogs += 1;
                if leaf.energy().is_nan() || leaf.energy() - initial > 1000.0 {
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
                    if !goes_on(&momenta[n - block..]) {
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
            if !goes_on(&seen) {
                break;
            }
        }
        theta = drawn.theta.clone();
        out.push((theta.clone(), drawn.energy(), depth, leapfrogs));
    }
    out
}
