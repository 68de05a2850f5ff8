//! Your density and your kernel in this crate's walks: random-walk Metropolis on a banana.
//!
//! `cargo run --release --example own_parts`

// a program talks to its user; the library does not
#![allow(clippy::print_stdout)]

use fiberwalk::linalg::vector::{axpy, norm};
use fiberwalk::rng::fill_normal;
use fiberwalk::walk::{Fields, Info, Kernel, Particle, WalkOptions, walk};
use fiberwalk::{LogDensity, Result, Streams};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// `x ~ N(0, 1)`, `y | x ~ N(x^2, 1/4)`.
struct Banana;

impl LogDensity<f64> for Banana {
    type Workspace = ();

    fn dim(&self) -> usize {
        2
    }

    fn workspace(&self) {}

    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        let r = theta[1] - theta[0].powi(2);
        Ok(-0.5 * theta[0].powi(2) - 2.0 * r * r)
    }

    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
        let r = theta[1] - theta[0].powi(2);
        grad[0] = -theta[0] + 8.0 * r * theta[0];
        grad[1] = -4.0 * r;
        self.log_density(theta, ws)
    }
}

/// Random-walk Metropolis: propose a Gaussian step, accept it with probability
/// `min(1, p(new) / p(old))`.
struct Metropolis {
    step_size: f64,
}

struct Position {
    theta: Vec<f64>,
    log_density: f64,
}

impl Particle<f64> for Position {
    fn theta(&self) -> &[f64] {
        &self.theta
    }

    // with this a walk can be stopped and continued
    fn fields(&mut self, fields: &mut dyn Fields<f64>) -> Result<()> {
        fields.vector("theta", &mut self.theta)?;
        fields.number("log_density", &mut self.log_density)
    }
}

impl<D: LogDensity<f64>> Kernel<f64, D> for Metropolis {
    type State = Position;
    type Workspace = D::Workspace;

    fn workspace(&self, density: &D) -> D::Workspace {
        density.workspace()
    }

    fn init(
        &self,
        density: &D,
        theta: &[f64],
        _: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Position> {
        Ok(Position {
            theta: theta.to_vec(),
            log_density: density.log_density(theta, ws)?,
        })
    }

    fn step(
        &self,
        density: &D,
        state: &mut Position,
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Info> {
        let mut noise = vec![0.0; state.theta.len()];
        fill_normal(rng, &mut noise);
        let mut proposal = state.theta.clone();
        axpy(self.step_size, &noise, &mut proposal);
        let log_density = density.log_density(&proposal, ws)?;
        let acceptance = (log_density - state.log_density).exp().min(1.0);
        let accepted = rng.random::<f64>() < acceptance;
        if accepted {
            *state = Position {
                theta: proposal,
                log_density,
            };
        }
        let length = self.step_size * norm(&noise);
        Ok(Info {
            acceptance,
            gradients: 0,
            ..Info::moved(-state.log_density, if accepted { length } else { 0.0 })
        })
    }
}

fn main() -> Result<()> {
    let options = WalkOptions {
        particles: 2_000,
        steps: Some(400),
        keep: 1,
        ..WalkOptions::default()
    };
    let mut kernel = Metropolis { step_size: 0.8 };
    let starts = [vec![0.0, 0.0]];
    let walked = walk(&mut kernel, &Banana, &starts, &options, Streams::new(0))?;
    let points = || walked.points.chunks_exact(walked.dim);
    let mean = |f: &dyn Fn(&[f64]) -> f64| points().map(f).sum::<f64>() / walked.len() as f64;
    // one independent point of each particle; exact values in brackets
    println!("E x   = {:6.3}  [0]", mean(&|p| p[0]));
    println!("E x^2 = {:6.3}  [1]", mean(&|p| p[0] * p[0]));
    println!("E y   = {:6.3}  [1]", mean(&|p| p[1]));
    println!(
        "Var (y - x^2) = {:6.3}  [0.25]",
        mean(&|p| (p[1] - p[0] * p[0]).powi(2))
    );
    Ok(())
}
