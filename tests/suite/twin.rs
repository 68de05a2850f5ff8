//! A slow and obviously correct microcanonical kernel, as a reference.
//!
//! Coordinates are dense, nothing is cached, and every formula is as the papers print it (arXiv
//! 2212.08549 and 2503.01707). It draws its random numbers in the crate's order, so the two take
//! the same path. It can be given faults.

use fiberwalk::linalg::vector::{dot, norm};
use fiberwalk::rng::fill_normal;
use fiberwalk::walk::{
    Divergence, DivergenceCause, Fields, Info, InverseMassMatrix, Kernel, Particle,
};
use fiberwalk::{LogDensity, Result};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The velocity bends up the gradient.
    Uphill,
    /// The energy error is the change of `U` alone: the change of volume by the kicks is not
    /// counted.
    NoJacobian,
    /// The kicks are counted with the wrong sign.
    InverseJacobian,
    /// `d` instead of `d - 1`, in the bend of the velocity and in its energy.
    FreeIsDim,
    /// The drift goes twice as far as the kicks allow for.
    LongDrift,
    /// The end of a trajectory is not tested.
    NoTest,
    /// One half kick is missing, in the velocity and in its energy.
    OneKick,
    /// The noise that refreshes the velocity prefers one orthant.
    OneSidedNoise,
    /// The first coordinate moves a tenth more than the others, so the kernel treats its
    /// coordinates unequally.
    UnevenDrift,
}

pub struct Twin {
    /// `S`, `[P, P]` row-major.
    s: Vec<f64>,
    pub step_size: f64,
    pub length: f64,
    pub adjusted: bool,
    pub fault: Fault,
}

pub struct TwinState {
    pub theta: Vec<f64>,
    pub velocity: Vec<f64>,
}

impl Particle<f64> for TwinState {
    fn theta(&self) -> &[f64] {
        &self.theta
    }
    fn fields(&mut self, fields: &mut dyn Fields<f64>) -> Result<()> {
        fields.vector("theta", &mut self.theta)?;
        fields.vector("velocity", &mut self.velocity)
    }
}

impl Twin {
    /// A kernel without fault in the coordinates of `map`.
    pub fn new(map: &InverseMassMatrix<f64>, step_size: f64, length: f64, adjusted: bool) -> Self {
        let n = map.dim();
        let mut s = vec![0.0; n * n];
        for j in 0..n {
            let (mut unit, mut column) = (vec![0.0; n], vec![0.0; n]);
            unit[j] = 1.0;
            map.apply(&unit, &mut column, &mut vec![0.0; map.directions()])
                .unwrap();
            (0..n).for_each(|i| s[i * n + j] = column[i]);
        }
        Self {
            s,
            step_size,
            length,
            adjusted,
            fault: Fault::None,
        }
    }

    pub fn with(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// `U`, and `S^T grad U`.
    fn energy<D: LogDensity<f64>>(
        &self,
        density: &D,
        theta: &[f64],
        ws: &mut D::Workspace,
    ) -> Result<(f64, Vec<f64>)> {
        let n = theta.len();
        let mut up = vec![0.0; n];
        let log_density = density.log_density_and_grad(theta, &mut up, ws)?;
        let gradient = (0..n).map(|j| -(0..n).map(|i| self.s[i * n + j] * up[i]).sum::<f64>());
        Ok((-log_density, gradient.collect()))
    }

    /// Returns the change of kinetic energy.
    fn kick(&self, time: f64, gradient: &[f64], u: &mut [f64]) -> f64 {
        let free = u.len() as f64 - f64::from(u8::from(!self.is(Fault::FreeIsDim)));
        let length = norm(gradient);
        let sign = if self.is(Fault::Uphill) { 1.0 } else { -1.0 };
        let e: Vec<f64> = gradient.iter().map(|g| sign * g / length).collect();
        let (delta, along) = (time * length / free, dot(&e, u));
        let denominator = delta.cosh() + along * delta.sinh();
        for (u, e) in u.iter_mut().zip(&e) {
            *u = (*u + e * (delta.sinh() + along * (delta.cosh() - 1.0))) / denominator;
        }
        let rounding = norm(u);
        u.iter_mut().for_each(|x| *x /= rounding);
        free * denominator.ln()
    }

    /// Half kick, drift, half kick. Returns the energy error and `U`.
    fn leap<D: LogDensity<f64>>(
        &self,
        density: &D,
        state: &mut TwinState,
        ws: &mut D::Workspace,
    ) -> Result<(f64, f64)> {
        let (n, t) = (state.theta.len(), self.step_size);
        let (before, gradient) = self.energy(density, &state.theta, ws)?;
        let mut kicks = self.kick(0.5 * t, &gradient, &mut state.velocity);
        let far = if self.is(Fault::LongDrift) {
            2.0 * t
        } else {
            t
        };
        for (i, row) in self.s.chunks_exact(n).enumerate() {
            let uneven = self.is(Fault::UnevenDrift) && i == 0;
            state.theta[i] += far * dot(row, &state.velocity) * if uneven { 1.1 } else { 1.0 };
        }
        let (after, gradient) = self.energy(density, &state.theta, ws)?;
        if !self.is(Fault::OneKick) {
            kicks += self.kick(0.5 * t, &gradient, &mut state.velocity);
        }
        let counted = match self.fault {
            Fault::NoJacobian => 0.0,
            Fault::InverseJacobian => -kicks,
            _ => kicks,
        };
        Ok((counted + after - before, after))
    }

    fn refresh(&self, rng: &mut ChaCha8Rng, u: &mut [f64]) {
        if self.length.is_infinite() {
            return;
        }
        let mut z: Vec<f64> = vec![0.0; u.len()];
        fill_normal(rng, &mut z);
        if self.is(Fault::OneSidedNoise) {
            z.iter_mut().for_each(|z| *z = z.abs());
        }
        refresh_by(self.step_size / self.length, &z, u);
    }
}

/// `u <- (u + nu z) / |u + nu z|`, `nu = ((e^{2 eps / L} - 1) / d)^{1/2}`.
pub fn refresh_by(share: f64, z: &[f64], u: &mut [f64]) {
    let nu = (((2.0 * share).exp() - 1.0) / u.len() as f64).sqrt();
    u.iter_mut().zip(z).for_each(|(u, z)| *u += nu * z);
    let length = norm(u);
    u.iter_mut().for_each(|u| *u /= length);
}

fn fresh(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
    let mut u = vec![0.0; n];
    fill_normal(rng, &mut u);
    let length = norm(&u);
    u.iter().map(|x| x / length).collect()
}

impl<D: LogDensity<f64>> Kernel<f64, D> for Twin {
    type State = TwinState;
    type Workspace = D::Workspace;

    fn workspace(&self, density: &D) -> D::Workspace {
        density.workspace()
    }

    fn init(
        &self,
        _: &D,
        theta: &[f64],
        rng: &mut ChaCha8Rng,
        _: &mut D::Workspace,
    ) -> Result<TwinState> {
        Ok(TwinState {
            theta: theta.to_vec(),
            velocity: fresh(rng, theta.len()),
        })
    }

    fn step(
        &self,
        density: &D,
        state: &mut TwinState,
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Info> {
        let n = state.theta.len();
        let start = state.theta.clone();
        if !self.adjusted {
            let (error, energy) = self.leap(density, state, ws)?;
            self.refresh(rng, &mut state.velocity);
            return Ok(Info {
                energy_error: error,
                ..Info::moved(energy, distance(&state.theta, &start))
            });
        }
        let steps = (2.0 * rng.random::<f64>() * self.length / self.step_size).ceil();
        state.velocity = fresh(rng, n);
        let toss: f64 = rng.random();
        // the error so far, and its range: the range is the same in both directions, so rejecting
        // by it is reversible
        let (mut error, mut low, mut high) = (0.0f64, 0.0f64, 0.0f64);
        for _ in 0..steps.max(1.0) as usize {
            error += self.leap(density, state, ws)?.0;
            (low, high) = (low.min(error), high.max(error));
        }
        let diverged = high.is_nan() || high - low > n as f64;
        let acceptance = if diverged {
            0.0
        } else {
            (-error).exp().min(1.0)
        };
        if toss >= acceptance && !self.is(Fault::NoTest) {
            state.theta.clone_from(&start);
        }
        let energy = self.energy(density, &state.theta, ws)?.0;
        Ok(Info {
            energy_error: error,
            acceptance,
            divergence: diverged.then_some(Divergence {
                cause: DivergenceCause::EnergyError,
                start_energy: f64::NAN,
                energy_error: error,
                step_size: self.step_size,
                after: 0,
            }),
            ..Info::moved(energy, distance(&state.theta, &start))
        })
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}
