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
//! its square 5e-4 a dimension for three draws in four.
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
//! **Halvings.** Where scales are large or the noise is small, the posterior is stiffer by orders
//! of magnitude. With a *tolerance*, a draw takes a layer as `2^j` steps of `eps / 2^j`, so the
//! layer keeps its length in time. `j` grows until no step has a larger energy error than the
//! tolerance, and falls by one where errors are far below it. The passage records `j` for each
//! layer, and the inverse takes them: for given `j` the map is the bijection above.
//!
//! The dynamics are those of Robnik, De Luca, Silverstein & Seljak, "Microcanonical Hamiltonian
//! Monte Carlo", JMLR 24 (2023), arXiv 2212.08549; the determinant is in Robnik, Cohn-Gordon &
//! Seljak (2025), arXiv 2503.01707.
//!
//! What it drops: the refreshment of velocities between steps, which has no inverse; the Metropolis
//! test; and with a tolerance the draws that would take other `j` on the way back. Where it
//! deviates: the step length belongs to the layer, not to the walk; and the last velocity is thrown
//! away, so a draw has the marginal of `theta_K`, whose density would take an integral over `u_K`.

mod layers;
mod particle;
#[cfg(test)]
mod tests;
mod tune;

use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, counted};
use crate::model::LogDensity;
use crate::scalar::Scalar;
use crate::walk::InverseMassMatrix;
use particle::{Particle, Passed, Scratch};

pub use layers::Layers;
pub use tune::{Passing, TuneOptions, tune_layers};

/// Kinetic layers: a bijection of positions and velocities.
#[derive(Clone, Debug)]
pub struct Kinetic<T> {
    mass: InverseMassMatrix<T>,
    steps: Vec<f64>,
    tolerance: f64,
}

/// What a passage through layers did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passage {
    /// `log |det|`, in nats.
    pub log_det: f64,
    /// `U` before and after, in nats.
    pub energies: [f64; 2],
    /// How often each layer was halved, in order.
    pub halvings: Vec<u8>,
    /// Gradients that it took.
    pub gradients: usize,
}

impl Passage {
    /// `W`, in nats.
    pub fn energy_error(&self) -> f64 {
        self.energies[1] - self.energies[0] - self.log_det
    }
}

/// Memory for a passage. Each thread needs one.
pub struct KineticWorkspace<T, W> {
    particle: Particle<T>,
    /// Where a layer began, to begin again.
    saved: Particle<T>,
    scratch: Scratch<T, W>,
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
        Ok(Self {
            mass,
            steps,
            tolerance: f64::INFINITY,
        })
    }

    /// The same layers, halved for a draw where the energy error of a step is above `tolerance`, in
    /// nats. Infinity: never.
    ///
    /// # Errors
    /// If the tolerance is not positive.
    pub fn with_tolerance(self, tolerance: f64) -> Result<Self> {
        match tolerance > 0.0 {
            true => Ok(Self { tolerance, ..self }),
            false => Err(Error::config("tolerance", tolerance, "must be positive")),
        }
    }

    /// The largest energy error of a step that is not halved, in nats.
    pub fn tolerance(&self) -> f64 {
        self.tolerance
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
            saved: Particle::new(&self.mass),
            scratch: Scratch::new(&self.mass, density),
        }
    }

    /// Maps `theta` (`[P]`) and a velocity of unit length in the frame's coordinates (`[P]`), in
    /// place. Takes a gradient for each step, also for those taken back, and one more.
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
        self.map(density, theta, velocity, ws, None)
    }

    /// The inverse of a passage of [`Kinetic::forward`] that halved each layer as `halvings` says,
    /// and its log-determinant.
    ///
    /// # Errors
    /// If a length does not fit.
    pub fn inverse<D: LogDensity<T>>(
        &self,
        density: &D,
        theta: &mut [T],
        velocity: &mut [T],
        halvings: &[u8],
        ws: &mut KineticWorkspace<T, D::Workspace>,
    ) -> Result<Passage> {
        if halvings.len() != self.steps.len() {
            let expected = format!("halvings of {}", counted(self.steps.len(), "layer"));
            return Err(Error::shape("Kinetic", expected, halvings.len()));
        }
        self.map(density, theta, velocity, ws, Some(halvings))
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
        let passage = self.pass(density, ws, None)?;
        theta.copy_from_slice(&ws.particle.theta);
        Ok(passage)
    }

    fn map<D: LogDensity<T>>(
        &self,
        density: &D,
        theta: &mut [T],
        velocity: &mut [T],
        ws: &mut KineticWorkspace<T, D::Workspace>,
        backwards: Option<&[u8]>,
    ) -> Result<Passage> {
        self.check(density, theta.len(), velocity.len())?;
        let particle = &mut ws.particle;
        particle.theta.copy_from_slice(theta);
        particle.velocity[..velocity.len()].copy_from_slice(velocity);
        let along = &mut ws.scratch.along[0];
        self.mass.lift(&mut particle.velocity, along);
        if backwards.is_some() {
            particle.turn();
        }
        particle.evaluate(&self.mass, density, &mut ws.scratch)?;
        let passage = self.pass(density, ws, backwards)?;
        let particle = &mut ws.particle;
        if backwards.is_some() {
            particle.turn();
        }
        theta.copy_from_slice(&particle.theta);
        velocity.copy_from_slice(&self.mass.lower(&particle.velocity)?);
        Ok(passage)
    }

    /// All layers in order, or in reverse with the halvings that they had.
    fn pass<D: LogDensity<T>>(
        &self,
        density: &D,
        ws: &mut KineticWorkspace<T, D::Workspace>,
        backwards: Option<&[u8]>,
    ) -> Result<Passage> {
        let (particle, scratch) = (&mut ws.particle, &mut ws.scratch);
        let (start, mass) = (particle.energy, &self.mass);
        let mut passage = Passage {
            gradients: 1,
            ..Passage::default()
        };
        let mut add = |passed: Passed| {
            passage.log_det += passed.log_det;
            passage.gradients += passed.gradients;
            passage.halvings.push(passed.halvings);
        };
        match backwards {
            None => {
                let mut halvings = 0;
                for &step in &self.steps {
                    let (how, memory) = ((step, self.tolerance), (&mut ws.saved, &mut *scratch));
                    add(particle.layer(mass, density, how, &mut halvings, memory)?);
                }
            }
            Some(halvings) => {
                for (&step, &halvings) in self.steps.iter().zip(halvings).rev() {
                    let how = (step, halvings, f64::INFINITY);
                    add(particle.steps(mass, density, how, scratch)?);
                }
                passage.halvings.reverse();
            }
        }
        passage.energies = [start, particle.energy];
        Ok(passage)
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
