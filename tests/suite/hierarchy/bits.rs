//! A walk with a step size per walker, interwoven with draws of the scales, in renewed frames.
//!
//! It must give the same bits for any number of threads, and when it is saved and continued.

use crate::common::normals;
use crate::continued::{Some2, bits, frames, interrupted, options, save};
use fiberwalk::walk::{
    GgnFrame, InverseMassMatrix, Microcanonical, MicrocanonicalOptions, Run, WalkOptions,
};
use fiberwalk::{
    Activation, Curved, GaussianLearnedNoise, LogDensity, Mlp, PosteriorDensity, ScaleGroups,
    ScaledNetwork, Streams,
};

type Problem = (PosteriorDensity<f64>, Vec<Vec<f64>>);

fn problem(scaled: &ScaledNetwork<'_>) -> Problem {
    let (x, noise) = (normals(2 * 12, 81), normals(12, 82));
    let y: Vec<f64> = x
        .chunks_exact(2)
        .zip(&noise)
        .map(|(x, e)| (x[0] - x[1]).tanh() + 0.1 * e)
        .collect();
    let likelihood = GaussianLearnedNoise::shared()
        .with_half_cauchy(0.5)
        .unwrap();
    let density = PosteriorDensity::new(scaled, &likelihood, &scaled.prior(), &x, &y).unwrap();
    let dim = density.dim();
    let starts = normals(2 * dim, 83)
        .chunks_exact(dim)
        .map(Vec::from)
        .collect();
    (density, starts)
}

fn kernel<'a>(
    scaled: &'a ScaledNetwork<'_>,
    source: &'a GgnFrame<'_, PosteriorDensity<f64>>,
    density: &PosteriorDensity<f64>,
) -> Microcanonical<'a, f64> {
    let settings = MicrocanonicalOptions {
        own_steps: true,
        target_error: 1e-4,
        ..MicrocanonicalOptions::default()
    };
    let mass = InverseMassMatrix::diagonal(density.prior_precision()).unwrap();
    Microcanonical::new(mass, &settings)
        .unwrap()
        .renewed_by(source)
        .interwoven_with(scaled)
}

fn net() -> Mlp {
    Mlp::new(&[2, 4, 1], Activation::Tanh).unwrap()
}

/// Saved after every block, during the warm-up and after it.
#[test]
fn a_walk_with_sampled_scales_goes_on_bit_by_bit() {
    let net = net();
    let scaled = ScaledNetwork::new(&net, ScaleGroups::Ard);
    let problem = problem(&scaled);
    let source = frames(&problem.0);
    for steps in [None, Some(83)] {
        let kernel = || kernel(&scaled, &source, &problem.0);
        let walk = interrupted(&problem, kernel, &options(steps));
        // equal times take different numbers of gradients; equal steps would take 10 and one for
        // the move
        let gradients: Vec<usize> = walk.tallies.iter().map(|t| t.gradients).collect();
        assert!(
            gradients.iter().any(|g| *g != gradients[0]),
            "{gradients:?}"
        );
    }
}

#[test]
fn sampled_scales_are_the_same_bits_for_any_number_of_threads() {
    let net = net();
    let scaled = ScaledNetwork::new(&net, ScaleGroups::PerTensor);
    let (density, starts) = problem(&scaled);
    let source = frames(&density);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let mut kernel = kernel(&scaled, &source, &density);
            let options = WalkOptions {
                particles: 23,
                ..options(Some(80))
            };
            let mut run = Run::new(&kernel, &density, &starts, &options, Streams::new(6)).unwrap();
            while run.advance(&mut kernel, &density, &Some2).unwrap() {}
            assert!(kernel.inverse_mass().directions() > 0, "no frame was made");
            (save(&mut run, &mut kernel), bits(&run.finish()))
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(8));
}
