//! The drift walk against closed forms: its points, its counts, and its bits.

use fiberwalk::linalg::vector::norm;
use fiberwalk::walk::{
    Divergence, DivergenceCause, Drift, DriftOptions, Fields, Info, Kernel, Particle, WalkOptions,
    viability_threshold, walk,
};
use fiberwalk::{LogDensity, Result, Streams};
use rand_chacha::ChaCha8Rng;

/// `U = 1/2 sum h_i x_i^2`, and NaN outside a ball.
struct Quadratic {
    h: Vec<f64>,
    support: f64,
}

impl LogDensity<f64> for Quadratic {
    type Workspace = ();
    fn dim(&self) -> usize {
        self.h.len()
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        if norm(theta) > self.support {
            return Ok(f64::NAN);
        }
        Ok(-0.5
            * self
                .h
                .iter()
                .zip(theta)
                .map(|(h, x)| h * x * x)
                .sum::<f64>())
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
        for i in 0..theta.len() {
            grad[i] = -self.h[i] * theta[i];
        }
        self.log_density(theta, ws)
    }
}

fn drift(step_size: f64, correction: f64, max_energy: f64) -> Drift<f64> {
    Drift::new(DriftOptions {
        step_size,
        correction,
        max_energy,
        retries: 8,
    })
    .unwrap()
}

fn one_walk(
    kernel: Drift<f64>,
    density: &Quadratic,
    options: &WalkOptions,
) -> fiberwalk::walk::Walk<f64> {
    let start = vec![0.0; density.h.len()];
    walk(&mut { kernel }, density, &[start], options, Streams::new(5)).unwrap()
}

/// On a quadratic with a flat direction (a fiber) a step is linear. After `t` steps a particle is
/// at `eps d (1 - (1 - eta h)^t) / (eta h)` along eigenvalue `h`, and at `eps d t` along the fiber.
#[test]
fn the_path_on_a_quadratic_is_the_closed_form() {
    let h = vec![4.0, 1.0, 0.25, 0.0, 0.0];
    let density = Quadratic {
        h: h.clone(),
        support: f64::INFINITY,
    };
    let (eps, eta, steps) = (0.02, 0.3, 50usize);
    let options = WalkOptions {
        particles: 40,
        steps: Some(steps),
        keep: 2,
        ..WalkOptions::default()
    };
    let walked = one_walk(drift(eps, eta, f64::INFINITY), &density, &options);
    assert_eq!(walked.len(), 80);
    assert_eq!(walked.gradients(), 40 * (steps + 1));
    let reach = |h: f64, t: usize| {
        let q = 1.0 - eta * h;
        if h == 0.0 {
            t as f64
        } else {
            (1.0 - q.powi(t as i32)) / (eta * h)
        }
    };
    for particle in 0..40 {
        // points after steps 38 (a quarter from the end, rounded) and 50
        let (middle, end) = (
            walked.point(particle).unwrap(),
            walked.point(40 + particle).unwrap(),
        );
        let direction: Vec<f64> = end
            .iter()
            .zip(&h)
            .map(|(x, &h)| x / (eps * reach(h, steps)))
            .collect();
        assert!(
            (norm(&direction) - 1.0).abs() < 1e-12,
            "the drift is a unit vector"
        );
        let kept = (25..=50).find(|&t| {
            ((reach(4.0, t) * eps * direction[0]) - middle[0]).abs() < 1e-15
                && (reach(0.0, t) * eps * direction[3] - middle[3]).abs() < 1e-12
        });
        assert_eq!(
            kept,
            Some(37),
            "the first of two points kept of the second half"
        );
        let energy = 0.5 * h.iter().zip(end).map(|(h, x)| h * x * x).sum::<f64>();
        assert!((walked.energies[40 + particle] - energy).abs() < 1e-12);
        assert!((walked.distances[particle] - norm(end)).abs() < 1e-12);
    }
}

/// Without a gradient the ends are `eps T d`: uniform on a sphere, with coordinates of mean 0 and
/// variance 1/P.
#[test]
fn drifts_are_uniform_on_the_sphere() {
    let (p, n) = (6, 3_000);
    let density = Quadratic {
        h: vec![0.0; p],
        support: f64::INFINITY,
    };
    let options = WalkOptions {
        particles: n,
        steps: Some(2),
        keep: 1,
        ..WalkOptions::default()
    };
    let walked = one_walk(drift(0.5, 0.0, f64::INFINITY), &density, &options);
    for i in 0..p {
        let column = || (0..n).map(|k| walked.point(k).unwrap()[i]);
        let mean = column().sum::<f64>() / n as f64;
        let second = column().map(|x| x * x).sum::<f64>() / n as f64;
        let fourth = column().map(|x| x.powi(4)).sum::<f64>() / n as f64;
        let (p, n) = (p as f64, n as f64);
        assert!(mean.abs() < 4.5 / (p * n).sqrt(), "mean {mean}");
        // E x^4 = 3 / (P (P + 2)), so x^2 has variance 2 (P - 1) / (P^2 (P + 2))
        let sd = (2.0 * (p - 1.0) / (p * p * (p + 2.0)) / n).sqrt();
        assert!((second - 1.0 / p).abs() < 4.5 * sd, "variance {second}");
        assert!(
            (fourth - 3.0 / (p * (p + 2.0))).abs() < 0.1 * fourth,
            "fourth moment {fourth}"
        );
    }
}

#[test]
fn no_kept_point_is_above_the_threshold_and_retries_are_counted() {
    // the correction alone would diverge: eta h = 3
    let density = Quadratic {
        h: vec![10.0, 0.1, 0.1],
        support: f64::INFINITY,
    };
    let options = WalkOptions {
        particles: 16,
        steps: Some(200),
        keep: 8,
        ..WalkOptions::default()
    };
    let walked = one_walk(drift(0.05, 0.3, 2.0), &density, &options);
    assert!(!walked.is_empty() && walked.energies.iter().all(|&u| u <= 2.0));
    assert!(walked.gradients() > 16 * 201, "some steps were tried again");
    assert_eq!(walked.viability(), 1.0);
    assert_eq!(walked.total().divergences, 0);
}

#[test]
fn a_wall_is_a_divergence_that_is_counted_not_an_error() {
    let density = Quadratic {
        h: vec![0.0; 4],
        support: 1.0,
    };
    let options = WalkOptions {
        particles: 8,
        steps: Some(100),
        keep: 1,
        ..WalkOptions::default()
    };
    let walked = one_walk(drift(0.1, 0.0, f64::INFINITY), &density, &options);
    for (report, distance) in walked.tallies.iter().zip(&walked.distances) {
        // ten steps reach the wall; after that the particle can only stay
        assert!((distance - 1.0).abs() < 0.11, "{distance}");
        assert!(
            report.divergences >= 89,
            "steps that lost their drift are counted: {report:?}"
        );
    }
    assert!(walked.points.iter().all(|x| x.is_finite()));
    let nowhere = Quadratic {
        h: vec![0.0; 4],
        support: -1.0,
    };
    let start = vec![0.0; 4];
    let error = walk(
        &mut drift(0.1, 0.0, 1.0),
        &nowhere,
        &[start],
        &options,
        Streams::new(0),
    );
    assert!(error.is_err(), "a start without a density is misuse");
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let density = Quadratic {
        h: vec![3.0, 2.0, 1.0, 0.5, 0.1],
        support: f64::INFINITY,
    };
    let options = WalkOptions {
        particles: 23,
        steps: Some(40),
        keep: 3,
        ..WalkOptions::default()
    };
    let runs: Vec<Vec<u64>> = [1, 2, 8]
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let walked = pool.install(|| one_walk(drift(0.1, 0.2, 9.0), &density, &options));
            walked
                .points
                .iter()
                .chain(&walked.energies)
                .map(|x| x.to_bits())
                .collect()
        })
        .into();
    assert!(runs[0] == runs[1] && runs[0] == runs[2]);
}

#[test]
fn settings_are_checked() {
    let density = Quadratic {
        h: vec![1.0],
        support: 1.0,
    };
    for (particles, steps, keep) in [(0, 10, 1), (1, 0, 1), (1, 10, 0), (1, 10, 6)] {
        let options = WalkOptions {
            particles,
            steps: Some(steps),
            keep,
            ..WalkOptions::default()
        };
        assert!(
            walk(
                &mut drift(0.1, 0.1, 1.0),
                &density,
                &[vec![0.0]],
                &options,
                Streams::new(0)
            )
            .is_err()
        );
    }
    assert!(
        Drift::<f64>::new(DriftOptions {
            step_size: -1.0,
            correction: 0.1,
            max_energy: 1.0,
            retries: 1
        })
        .is_err()
    );
    // chi-square with P degrees of freedom: mean P, standard deviation sqrt(2 P)
    assert!((viability_threshold(10.0, 200) - (10.0 + 100.0 + 3.0 * 10.0)).abs() < 1e-12);
}

/// The walk's reach along flat directions is the one in its settings, whatever the number of steps
/// and the strength of the correction. With `eps = R / steps` it would collapse onto the start as
/// steps grow.
#[test]
fn the_radius_does_not_depend_on_the_number_of_steps() {
    let (p, alpha, largest) = (400, 2.0, 30.0);
    // one stiff direction; all others feel only the prior
    let mut h = vec![alpha; p];
    h[0] = largest + alpha;
    let density = Quadratic {
        h,
        support: f64::INFINITY,
    };
    let radius = 0.5 * (p as f64 / alpha).sqrt();
    for steps in [1, 10, 100, 3_000] {
        let settings = DriftOptions::scaled(p as f64, alpha, largest, steps, f64::INFINITY);
        let options = WalkOptions {
            particles: 3,
            steps: Some(steps),
            keep: 1,
            ..WalkOptions::default()
        };
        for distance in one_walk(Drift::new(settings).unwrap(), &density, &options).distances {
            // the stiff direction, one of 400, may take away up to its share
            let ratio = distance / radius;
            assert!((0.97..1.001).contains(&ratio), "{steps} steps: {ratio}");
        }
    }
}

/// A kernel that guarantees only every other point.
struct Alternating;

struct Counter {
    theta: Vec<f64>,
    steps: usize,
}

impl Particle<f64> for Counter {
    fn theta(&self) -> &[f64] {
        &self.theta
    }
    fn fields(&mut self, fields: &mut dyn Fields<f64>) -> Result<()> {
        fields.vector("theta", &mut self.theta)?;
        fields.count("steps", &mut self.steps)
    }
}

impl Kernel<f64, Quadratic> for Alternating {
    type State = Counter;
    type Workspace = ();
    fn workspace(&self, _: &Quadratic) {}
    fn init(
        &self,
        _: &Quadratic,
        theta: &[f64],
        _: &mut ChaCha8Rng,
        (): &mut (),
    ) -> Result<Counter> {
        Ok(Counter {
            theta: theta.to_vec(),
            steps: 0,
        })
    }
    fn step(
        &self,
        _: &Quadratic,
        state: &mut Counter,
        _: &mut ChaCha8Rng,
        (): &mut (),
    ) -> Result<Info> {
        state.steps += 1;
        state.theta[0] = state.steps as f64;
        let viable = state.steps.is_multiple_of(2);
        Ok(Info {
            viable,
            divergence: (!viable).then_some(Divergence {
                cause: DivergenceCause::Retries,
                start_energy: 0.0,
                energy_error: f64::NAN,
                step_size: 1.0,
                after: 1,
            }),
            gradients: 2,
            ..Info::moved(0.0, 1.0)
        })
    }
}

#[test]
fn points_that_are_not_viable_are_counted_and_not_kept() {
    let density = Quadratic {
        h: vec![1.0],
        support: 9.0,
    };
    let options = WalkOptions {
        particles: 3,
        steps: Some(8),
        keep: 4,
        ..WalkOptions::default()
    };
    let walked = walk(
        &mut Alternating,
        &density,
        &[vec![0.0]],
        &options,
        Streams::new(0),
    )
    .unwrap();
    // due after steps 5, 6, 7 and 8
    assert_eq!(walked.points, [6.0, 6.0, 6.0, 8.0, 8.0, 8.0]);
    assert_eq!(walked.particle, [0, 1, 2, 0, 1, 2]);
    assert_eq!(
        (
            walked.discarded,
            walked.total().divergences,
            walked.gradients()
        ),
        (6, 12, 3 * 17)
    );
    assert_eq!((walked.viability(), walked.divergence_rate()), (0.5, 0.5));
}
