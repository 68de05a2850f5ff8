//! Kinetic layers: steps of the microcanonical map, as layers of a flow that learn only how long
//! they are.
//!
//! A particle has a position `theta` and a velocity `u` with `|u| = 1`, both in `P` dimensions. It
//! moves in the energy `U(theta) = -log p(D, theta)` and in the coordinates `theta = S y` of an
//! [`InverseMassMatrix`]. With `g = S^T grad U`, layer `k` of step length `eps` is
//!
//! ```text
//! u <- kick(eps / 2, g(theta)) u        theta <- theta + eps S u        u <- kick(eps / 2, g(theta)) u
//!
//! kick(t, g) u = (u + e (sinh d + (e.u)(cosh d - 1))) / q,    e = -g / |g|,  d = t |g| / (P - 1)
//!            q =  cosh d + (e.u) sinh d
//! ```
//!
//! **Inverse.** The layer with the velocity turned round: `(theta, u) -> (theta, -u)`, the same
//! three maps with the same `eps`, and `u -> -u` again. Both kicks see the gradients that they saw
//! before, so nothing is solved for.
//!
//! **Log-determinant.** With respect to the volume on `R^P x S^{P-1}`, a drift keeps volume and a
//! kick changes it by `q^{-(P - 1)}`. So
//!
//! ```text
//! log |det| = -(P - 1) (log q_1 + log q_2)
//! W = U(theta') - U(theta) - log |det|         the energy error of the layer
//! ```
//!
//! `(P - 1) log q` is also the change of the kinetic energy, so `W` is what the layer fails to
//! conserve. It is of third order in `eps`, and it is the only thing to tune: [`tune_layers`] makes
//! its mean square 5e-4 a dimension, as the walk does.
//!
//! **What layers do to a density.** Let `theta_0 ~ q_0`, and `u_0` uniform. After any number of
//! layers,
//!
//! ```text
//! log p(D, theta_K) / q(theta_K, u_K)  =  log p(D, theta_0) / q_0(theta_0)  -  sum W
//! ```
//!
//! up to the constant area of the sphere. The layers carry draws to where predictions and energies
//! are the posterior's. The weight of a draw goes with it: layers alone change neither an ELBO nor
//! a k-hat, except by their errors.
//!
//! The dynamics are those of Robnik, De Luca, Silverstein & Seljak, "Microcanonical Hamiltonian
//! Monte Carlo", JMLR 24 (2023), arXiv 2212.08549; the determinant is in Robnik, Cohn-Gordon &
//! Seljak (2025), arXiv 2503.01707.
//!
//! What it drops: the refreshment of velocities between steps, which has no inverse; and the
//! Metropolis test. Where it deviates: the step length belongs to the layer, not to the walk; and
//! the last velocity is thrown away, so a draw has the marginal of `theta_K`, whose density would
//! take an integral over `u_K`.

mod layers;
#[cfg(test)]
mod tests;
mod tune;

use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, counted};
use crate::model::LogDensity;
use crate::rng::fill_normal;
use crate::scalar::Scalar;
use crate::walk::{InverseMassMatrix, kick, normalise};

pub use layers::Layers;
pub use tune::{TuneOptions, tune_layers};

/// Kinetic layers: a bijection of positions and velocities.
#[derive(Clone, Debug)]
pub struct Kinetic<T> {
    mass: InverseMassMatrix<T>,
    steps: Vec<f64>,
}

/// What a passage through layers did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passage {
    /// `log |det|`, in nats.
    pub log_det: f64,
    /// `U` before and after, in nats.
    pub energies: [f64; 2],
}

impl Passage {
    /// `W`, in nats.
    pub fn energy_error(&self) -> f64 {
        self.energies[1] - self.energies[0] - self.log_det
    }
}

/// A particle on its way. Velocity and force are lifted ([`InverseMassMatrix`]).
#[derive(Clone)]
struct Particle<T> {
    theta: Vec<T>,
    velocity: Vec<T>,
    /// `-S^T grad U`.
    force: Vec<T>,
    energy: f64,
    /// Memory for the next position.
    next: Vec<T>,
}

/// Memory for the evaluation of an energy.
struct Scratch<T, W> {
    density: W,
    gradient: Vec<T>,
    along: [Vec<f64>; 2],
}

/// Memory for a passage. Each thread needs one.
pub struct KineticWorkspace<T, W> {
    particle: Particle<T>,
    scratch: Scratch<T, W>,
}

impl<T: Scalar> Particle<T> {
    fn new(mass: &InverseMassMatrix<T>) -> Self {
        let zeros = |n| vec![T::ZERO; n];
        Self {
            theta: zeros(mass.dim()),
            velocity: zeros(mass.lifted_len()),
            force: zeros(mass.lifted_len()),
            energy: f64::NAN,
            next: zeros(mass.dim()),
        }
    }

    /// A particle at `theta` with a random velocity.
    fn start<D: LogDensity<T>>(
        &mut self,
        mass: &InverseMassMatrix<T>,
        (density, theta): (&D, &[T]),
        rng: &mut ChaCha8Rng,
        scratch: &mut Scratch<T, D::Workspace>,
    ) -> Result<()> {
        let dim = mass.dim();
        fill_normal(rng, &mut self.velocity[..dim]);
        mass.lift(&mut self.velocity, &mut scratch.along[0]);
        normalise(&mut self.velocity);
        self.theta.copy_from_slice(theta);
        self.evaluate(mass, density, scratch)
    }

    /// Energy and force at `theta`.
    fn evaluate<D: LogDensity<T>>(
        &mut self,
        mass: &InverseMassMatrix<T>,
        density: &D,
        scratch: &mut Scratch<T, D::Workspace>,
    ) -> Result<()> {
        let ws = &mut scratch.density;
        let value = density.log_density_and_grad(&self.theta, &mut scratch.gradient, ws)?;
        self.energy = -value;
        let along = scratch.along.each_mut().map(|a| &mut a[..]);
        mass.pull_back(&scratch.gradient, &mut self.force, None, along);
        Ok(())
    }

    /// One layer; returns its log-determinant.
    fn step<D: LogDensity<T>>(
        &mut self,
        mass: &InverseMassMatrix<T>,
        density: &D,
        time: f64,
        scratch: &mut Scratch<T, D::Workspace>,
    ) -> Result<f64> {
        let dim = mass.dim();
        let first = kick(0.5 * time, dim, &self.force, &mut self.velocity);
        mass.drift(time, &self.velocity, &self.theta, &mut self.next);
        std::mem::swap(&mut self.theta, &mut self.next);
        self.evaluate(mass, density, scratch)?;
        let second = kick(0.5 * time, dim, &self.force, &mut self.velocity);
        Ok(-(first + second))
    }

    fn turn(&mut self) {
        self.velocity.iter_mut().for_each(|u| *u = -*u);
    }
}

impl<T: Scalar, W> Scratch<T, W> {
    fn new<D: LogDensity<T, Workspace = W>>(mass: &InverseMassMatrix<T>, density: &D) -> Self {
        Self {
            density: density.workspace(),
            gradient: vec![T::ZERO; mass.dim()],
            along: [(); 2].map(|()| vec![0.0; mass.directions()]),
        }
    }
}

/// Checks that a density has the coordinates of a mass matrix.
fn same_dim(dim: usize, density: usize) -> Result<()> {
    match dim == density {
        true => Ok(()),
        false => {
            let expected = format!("a density of {}", counted(dim, "coordinate"));
            Err(Error::shape("Kinetic", expected, density))
        }
    }
}

impl<T: Scalar> Kinetic<T> {
    /// Layers with these step lengths, in order, in the coordinates of `mass`. Lengths are in these
    /// coordinates, where the prior's standard deviation is 1.
    ///
    /// # Errors
    /// If there are fewer than two dimensions, or a length is not positive and finite.
    pub fn new(mass: InverseMassMatrix<T>, steps: Vec<f64>) -> Result<Self> {
        if mass.dim() < 2 {
            let requirement = "must be at least 2: in one dimension a velocity of unit length has no direction to turn to";
            return Err(Error::config("dim", mass.dim(), requirement));
        }
        if let Some(step) = steps.iter().find(|s| !(**s > 0.0 && s.is_finite())) {
            let requirement = "must be positive and finite for every layer";
            return Err(Error::config("step_size", step, requirement));
        }
        Ok(Self { mass, steps })
    }

    /// `P`.
    pub fn dim(&self) -> usize {
        self.mass.dim()
    }

    /// The step length of each layer.
    pub fn steps(&self) -> &[f64] {
        &self.steps
    }

    /// The coordinates.
    pub fn mass(&self) -> &InverseMassMatrix<T> {
        &self.mass
    }

    /// Fresh memory for passages in `density`.
    pub fn workspace<D: LogDensity<T>>(&self, density: &D) -> KineticWorkspace<T, D::Workspace> {
        KineticWorkspace {
            particle: Particle::new(&self.mass),
            scratch: Scratch::new(&self.mass, density),
        }
    }

    /// Maps `theta` (`[P]`) and a velocity of unit length in the frame's coordinates (`[P]`), in
    /// place. Takes a gradient for each layer, and one more.
    ///
    /// # Errors
    /// If a length does not fit.
    pub fn forward<D: LogDensity<T>>(
        &self,
        density: &D,
        theta: &mut [T],
        velocity: &mut [T],
        ws: &mut KineticWorkspace<T, D::Workspace>,
    ) -> Result<Passage> {
        self.map(density, theta, velocity, ws, false)
    }

    /// The inverse of [`Kinetic::forward`], and its log-determinant.
    ///
    /// # Errors
    /// If a length does not fit.
    pub fn inverse<D: LogDensity<T>>(
        &self,
        density: &D,
        theta: &mut [T],
        velocity: &mut [T],
        ws: &mut KineticWorkspace<T, D::Workspace>,
    ) -> Result<Passage> {
        self.map(density, theta, velocity, ws, true)
    }

    /// Moves `theta` (`[P]`) through all layers from a random velocity, in place.
    ///
    /// # Errors
    /// If a length does not fit.
    pub fn carry<D: LogDensity<T>>(
        &self,
        density: &D,
        theta: &mut [T],
        rng: &mut ChaCha8Rng,
        ws: &mut KineticWorkspace<T, D::Workspace>,
    ) -> Result<Passage> {
        self.check(density, theta.len(), self.dim())?;
        let start = (density, &*theta);
        ws.particle.start(&self.mass, start, rng, &mut ws.scratch)?;
        let passage = self.pass(density, ws, false)?;
        theta.copy_from_slice(&ws.particle.theta);
        Ok(passage)
    }

    fn map<D: LogDensity<T>>(
        &self,
        density: &D,
        theta: &mut [T],
        velocity: &mut [T],
        ws: &mut KineticWorkspace<T, D::Workspace>,
        backwards: bool,
    ) -> Result<Passage> {
        self.check(density, theta.len(), velocity.len())?;
        let particle = &mut ws.particle;
        particle.theta.copy_from_slice(theta);
        particle.velocity[..velocity.len()].copy_from_slice(velocity);
        let along = &mut ws.scratch.along[0];
        self.mass.lift(&mut particle.velocity, along);
        if backwards {
            particle.turn();
        }
        particle.evaluate(&self.mass, density, &mut ws.scratch)?;
        let passage = self.pass(density, ws, backwards)?;
        let particle = &mut ws.particle;
        if backwards {
            particle.turn();
        }
        theta.copy_from_slice(&particle.theta);
        velocity.copy_from_slice(&self.mass.lower(&particle.velocity)?);
        Ok(passage)
    }

    /// All layers, in order or in reverse.
    fn pass<D: LogDensity<T>>(
        &self,
        density: &D,
        ws: &mut KineticWorkspace<T, D::Workspace>,
        backwards: bool,
    ) -> Result<Passage> {
        let (particle, n) = (&mut ws.particle, self.steps.len());
        let start = particle.energy;
        let mut log_det = 0.0;
        for k in 0..n {
            let step = self.steps[if backwards { n - 1 - k } else { k }];
            log_det += particle.step(&self.mass, density, step, &mut ws.scratch)?;
        }
        Ok(Passage {
            log_det,
            energies: [start, particle.energy],
        })
    }

    fn check<D: LogDensity<T>>(&self, density: &D, theta: usize, velocity: usize) -> Result<()> {
        same_dim(self.dim(), density.dim())?;
        if (theta, velocity) == (self.dim(), self.dim()) {
            return Ok(());
        }
        let expected = format!(
            "positions and velocities of {}",
            counted(self.dim(), "number")
        );
        let got = format!("{theta} and {velocity}");
        Err(Error::shape("Kinetic", expected, got))
    }
}
