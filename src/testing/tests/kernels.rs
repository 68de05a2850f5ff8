//! Kernels that leave a known target invariant, and kernels that do not.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{passes, rejected};
use crate::error::Result;
use crate::linalg::vector::{axpy, distance};
use crate::model::LogDensity;
use crate::rng::fill_normal;
use crate::scalar::Scalar;
use crate::testing::*;
use crate::walk::{Fields, Info, InverseMassMatrix, Kernel, Microcanonical};
use crate::walk::{MicrocanonicalOptions, Particle};

/// The fault of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Accepts every proposal.
    NoTest,
    /// Tests against the density at the start of the walk.
    StaleTest,
    /// Never moves.
    Stays,
    /// Moves the first coordinate alone.
    OneCoordinate,
    /// Reports the energy of the proposal, accepted or not.
    WrongEnergy,
    /// Saves its position and not its log density.
    Forgets,
    /// Saves a field that it does not restore.
    NoRestore,
}

/// Random-walk Metropolis.
struct Metropolis {
    step_size: f64,
    fault: Fault,
}

struct Position<T> {
    theta: Vec<T>,
    log_density: f64,
    fault: Fault,
}

impl<T: Scalar> Particle<T> for Position<T> {
    fn theta(&self) -> &[T] {
        &self.theta
    }
    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        match self.fault {
            Fault::NoRestore => fields.vector("theta", &mut self.theta.clone())?,
            _ => fields.fixed_vector("theta", &mut self.theta)?,
        }
        match self.fault {
            Fault::Forgets => Ok(()),
            _ => fields.number("log_density", &mut self.log_density),
        }
    }
}

impl<T: Scalar, D: LogDensity<T>> Kernel<T, D> for Metropolis {
    type State = Position<T>;
    type Workspace = D::Workspace;
    fn workspace(&self, density: &D) -> D::Workspace {
        density.workspace()
    }
    fn init(
        &self,
        density: &D,
        theta: &[T],
        _: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Position<T>> {
        Ok(Position {
            theta: theta.to_vec(),
            log_density: density.log_density(theta, ws)?,
            fault: self.fault,
        })
    }
    fn step(
        &self,
        density: &D,
        state: &mut Position<T>,
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Info> {
        let mut noise = vec![T::ZERO; state.theta.len()];
        fill_normal(rng, &mut noise);
        match self.fault {
            Fault::Stays => noise.fill(T::ZERO),
            Fault::OneCoordinate => noise[1..].fill(T::ZERO),
            _ => {}
        }
        let mut proposal = state.theta.clone();
        axpy(self.step_size, &noise, &mut proposal);
        let log_density = density.log_density(&proposal, ws)?;
        let acceptance = (log_density - state.log_density).exp().min(1.0);
        let accepted = rng.random::<f64>() < acceptance || self.fault == Fault::NoTest;
        let before = state.theta.clone();
        if accepted {
            state.theta = proposal;
            if self.fault != Fault::StaleTest {
                state.log_density = log_density;
            }
        }
        let energy = match self.fault {
            Fault::WrongEnergy => -log_density,
            // without the fault this is the cached value
            Fault::StaleTest => -density.log_density(&state.theta, ws)?,
            _ => -state.log_density,
        };
        Ok(Info {
            acceptance,
            gradients: 0,
            ..Info::moved(energy, distance(&before, &state.theta))
        })
    }
}

fn metropolis(fault: Fault) -> Metropolis {
    Metropolis {
        step_size: 0.9,
        fault,
    }
}

#[test]
fn metropolis_and_its_faults() {
    let (target, options) = (Banana::default(), KernelOptions::default());
    let check = |fault| check_kernel::<f64, _, _>(|| metropolis(fault), &target, &options);
    passes(check(Fault::None));
    let words = [
        "check_invariance: ranks of coordinate 0 after 10 steps",
        "ranks among exact draws must be uniform",
    ];
    rejected(check(Fault::NoTest), &words);
    rejected(check(Fault::StaleTest), &["check_invariance: ranks of"]);
    let words = ["the mean squared move", "of 2 Var in coordinate 0"];
    rejected(check(Fault::Stays), &words);
    let words = ["the mean squared move", "of 2 Var in coordinate 1"];
    rejected(check(Fault::OneCoordinate), &words);
    let words = ["the energy of a step: Info::energy in step", "of particle"];
    rejected(check(Fault::WrongEnergy), &words);
    let words = ["check_continues: the walk continued from block 1", "bits"];
    rejected(check(Fault::Forgets), &words);
    let words = ["check_continues: block 1, restored and saved", "'theta'"];
    rejected(check(Fault::NoRestore), &words);
    passes(check_kernel::<f32, _, _>(
        || metropolis(Fault::None),
        &target,
        &options,
    ));
}

/// Gibbs sampling of two correlated normal coordinates: `x | y ~ N(rho y, 1 - rho^2)`.
struct Gibbs {
    rho: f64,
    /// 1, or one half: the conditional mean is then wrong.
    share: f64,
}

impl<D: LogDensity<f64>> Kernel<f64, D> for Gibbs {
    type State = Position<f64>;
    type Workspace = D::Workspace;
    fn workspace(&self, density: &D) -> D::Workspace {
        density.workspace()
    }
    fn init(
        &self,
        density: &D,
        theta: &[f64],
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Position<f64>> {
        metropolis(Fault::None).init(density, theta, rng, ws)
    }
    fn step(
        &self,
        density: &D,
        state: &mut Position<f64>,
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Info> {
        let mut z = [0.0; 2];
        fill_normal(rng, &mut z);
        let before = state.theta.clone();
        for (i, z) in z.iter().enumerate() {
            let mean = self.share * self.rho * state.theta[1 - i];
            state.theta[i] = mean + (1.0 - self.rho * self.rho).sqrt() * z;
        }
        state.log_density = density.log_density(&state.theta, ws)?;
        Ok(Info::moved(
            -state.log_density,
            distance(&before, &state.theta),
        ))
    }
}

#[test]
fn gibbs_and_gibbs_off_by_one_half() {
    let rho = 0.6;
    let covariance = vec![1.0, rho, rho, 1.0];
    let target = GaussianDensity::new(vec![0.0; 2], covariance).unwrap();
    let check = |share| {
        let make = || Gibbs { rho, share };
        check_kernel::<f64, _, _>(make, &target, &KernelOptions::default())
    };
    passes(check(1.0));
    // the conditional variance is right, and the mean is too near to 0: too narrow
    let words = ["check_invariance: ranks of coordinate 0", "below"];
    rejected(check(0.5), &words);
}

/// The crate's own kernel, with a step that is rejected sometimes, in both precisions.
#[test]
fn the_adjusted_microcanonical_walk() {
    let covariance = vec![2.0, 0.6, -0.3, 0.6, 1.0, 0.2, -0.3, 0.2, 0.5];
    let gaussian = GaussianDensity::new(vec![1.0, -2.0, 0.5], covariance).unwrap();
    fn check<T: Scalar, D: KnownDensity<T>>(target: &D, step_size: f64, adjusted: bool) -> bool {
        let settings = MicrocanonicalOptions {
            step_size: Some(step_size),
            decoherence_length: Some(1.5),
            adjusted,
            ..MicrocanonicalOptions::default()
        };
        let make = || -> Microcanonical<'_, T> {
            let ones = vec![1.0; target.dim()];
            Microcanonical::new(InverseMassMatrix::diagonal(&ones).unwrap(), &settings).unwrap()
        };
        let options = KernelOptions {
            steps: 5,
            ..KernelOptions::default()
        };
        let result = check_kernel(make, target, &options);
        if adjusted {
            passes(result.clone());
        }
        result.is_ok()
    }
    assert!(check::<f64, _>(&gaussian, 0.8, true));
    assert!(check::<f32, _>(&gaussian, 0.8, true));
    assert!(check::<f64, _>(&Banana::default(), 0.4, true));
    // without the test, a step of this size is biased, and that is found
    assert!(!check::<f64, _>(&Banana::default(), 0.8, false));
}
