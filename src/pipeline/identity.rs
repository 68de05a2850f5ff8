//! What a checkpoint must share with the fit that resumes it.
//!
//! Options are compared one by one, the data by a checksum of the standardised rows. The parts of a
//! user's model can only be tried: the identity holds checksums of what they compute.

use super::context::Problem;
use super::{FitOptions, MicrocanonicalSettings, WalkSettings};
use crate::artifact::Checksum;
use crate::autodiff::Graph;
use crate::error::Result;
use crate::model::{LogDensity, Model};
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;

/// Points at which the parts of a user's model are tried, and the seed that they are drawn with.
const TRIED: u64 = 2;
const SEED: u64 = 0;

/// Everything that a walk's outcome depends on, by name. The options are destructured field by
/// field, so that a new option cannot be forgotten here. What a method does after its walk does not
/// matter.
///
/// # Errors
/// If a part of a user's model cannot be evaluated.
pub(super) fn identity<T: Scalar>(
    problem: &Problem<'_>,
    walk: &WalkSettings,
) -> Result<Vec<(String, String)>> {
    let FitOptions {
        layers,
        hidden,
        // rows are held out before
        calibration: _,
        choose_hidden: _,
        activation,
        likelihood: _,
        // weights are part of the data
        class_weights: _,
        feature_transform,
        target_transform,
        prior,
        prior_precision,
        noise_std,
        batch,
        epochs,
        method,
        seed,
    } = problem.options;
    let WalkSettings {
        kernel,
        starts,
        particles,
        steps,
        samples,
        max_seconds: _,
        max_memory: _,
        bracket: _,
    } = walk;
    // of a kernel without these settings, the defaults are written
    let MicrocanonicalSettings {
        step_size,
        decoherence_length,
        adjusted,
        walk_batch,
    } = &kernel.microcanonical().copied().unwrap_or_default();
    let auto = |value: &Option<f64>| value.map_or("auto".into(), |x| format!("{x:?}"));
    let (x, y) = (&problem.prepared.x, &problem.prepared.y);
    let data = checksum(x.iter().chain(y).copied());
    let layers = layers.as_ref().map_or("none".into(), |l| l.to_string());
    let entries = [
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("precision", T::NAME.into()),
        ("method", method.method().name().into()),
        ("kernel", kernel.kind().name().into()),
        ("rows", problem.prepared.rows().to_string()),
        ("features", problem.network.input_dim().to_string()),
        ("layers", layers),
        ("hidden", format!("{hidden:?}")),
        ("activation", activation.name().into()),
        ("likelihood", likelihood_name(problem)),
        ("feature_transform", feature_transform.name().into()),
        ("target_transform", target_transform.name().into()),
        ("prior", prior.name().into()),
        ("prior_precision", auto(prior_precision)),
        ("noise_std", auto(noise_std)),
        ("batch", format!("{batch:?}")),
        ("epochs", format!("{epochs:?}")),
        ("step_size", auto(step_size)),
        ("decoherence_length", auto(decoherence_length)),
        ("adjusted", adjusted.to_string()),
        ("starts", starts.to_string()),
        (
            "particles",
            particles.map_or("auto".into(), |n| n.to_string()),
        ),
        ("steps", steps.map_or("auto".into(), |n| n.to_string())),
        ("samples", samples.to_string()),
        ("walk_batch", format!("{walk_batch:?}")),
        ("seed", seed.to_string()),
        // last: the maps of columns depend on all of the above
        ("data", format!("(standardised, {data})")),
    ];
    let mut all: Vec<(String, String)> = entries.map(|(name, value)| (name.into(), value)).into();
    if let Some(model) = problem.own {
        all.extend(parts::<T>(problem, model)?);
    }
    Ok(all)
}

/// The likelihood's name.
fn likelihood_name(problem: &Problem<'_>) -> String {
    match problem.own {
        Some(model) => format!("of model '{}'", model.name()),
        None => problem.prepared.observation.name().into(),
    }
}

/// What the parts of a user's model compute from the rows of the fit at some points: two models of
/// one name may have other parts. The same parts give the same bits on one machine, and only there
/// is a resumed walk the same.
fn parts<T: Scalar>(problem: &Problem<'_>, model: &Model) -> Result<Vec<(String, String)>> {
    let (network, dim) = (model.network(), problem.dim());
    // compiled once for the whole fit; the scales are those of the model
    let density = problem.posterior::<T>(1.0, None)?;
    let mut ws = density.workspace();
    let graph = Graph::new();
    let theta = graph.input(&[network.dim()]);
    let prior = model.prior().neg_log_density(theta, network.layout());
    let prior = graph.compile::<T>(&[prior])?;
    let mut prior_ws = prior.workspace();
    let (mut all, mut of_data) = (Vec::new(), Vec::new());
    // a walk's frame starts from these
    let mut of_prior = model.prior().precision(network.layout());
    for index in 0..TRIED {
        let mut theta = vec![T::ZERO; dim];
        fill_normal(&mut Streams::new(SEED).rng(Phase::PROBE, index), &mut theta);
        all.push(density.log_density(&theta, &mut ws)?);
        of_data.push(density.neg_log_likelihood(&theta, &mut ws)?);
        prior.run(&[&theta[..network.dim()]], &mut prior_ws)?;
        of_prior.push(prior.scalar(&prior_ws, 0)?);
    }
    let named = [
        ("parameters", dim.to_string()),
        ("prior", format!("(at two points, {})", checksum(of_prior))),
        (
            "network and likelihood",
            format!("(at two points, {})", checksum(of_data)),
        ),
        ("log density", format!("(at two points, {})", checksum(all))),
    ];
    Ok(named.map(|(name, value)| (name.into(), value)).into())
}

/// A checksum of numbers, by their bits.
fn checksum(numbers: impl IntoIterator<Item = f64>) -> String {
    let mut sum = Checksum::new();
    for x in numbers {
        sum.add(&x.to_bits().to_le_bytes());
    }
    format!("checksum {:016x}", sum.value())
}
