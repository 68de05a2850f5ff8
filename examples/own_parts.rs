//! Your own density and your own kernel in this crate's walks: a random-walk Metropolis kernel on a banana.
//!
//! `cargo run --release --example own_parts`

// a program talks to its user; the library does not
#![allow(clippy::print_stdout)]

use fiberwalk::linalg::vector::{axpy, fill_normal, norm};
use fiberwalk::walk::{Info, Kernel, WalkOptions, walk};
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

/// Random-walk Metropolis: propose a Gaussian step, accept with probability `min(1, p(new) / p(old))`.
struct Metropolis {
    step_size: f64,
}

struct Position {
    theta: Vec<f64>,
    log_density: f64,
}

impl<D: LogDensity<f64>> Kernel<f64, D> for Metropolis {
    type State = Position;

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
        let accepted = rng.random::<f64>().ln() < log_density - state.log_density;
        if accepted {
            *state = Position {
                theta: proposal,
                log_density,
            };
        }
        Ok(Info {
            energy: -state.log_density,
            displacement: if accepted {
                self.step_size * norm(&noise)
            } else {
                0.0
            },
            viable: true,
            diverged: false,
            gradients: 0,
        })
    }

    fn theta<'s>(&self, state: &'s Position) -> &'s [f64] {
        &state.theta
    }
}

fn main() -> Result<()> {
    let options = WalkOptions {
        particles: 2_000,
        steps: 400,
        keep: 1,
    };
    let kernel = Metropolis { step_size: 0.8 };
    let walked = walk(
        &kernel,
        &Banana,
        &[0.0, 0.0],
        &options,
        Streams::new(0),
        &|| (),
    )?;
    let mean = |f: &dyn Fn(&[f64]) -> f64| {
        (0..walked.len()).map(|i| f(walked.point(i))).sum::<f64>() / walked.len() as f64
    };
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
