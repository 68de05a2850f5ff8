//! Kinetic layers in a model file: step lengths, the frame that they step in, and the energy, which
//! is computed from the training rows again.

use super::fitted::{of_rows, scaled_head};
use super::metadata::Metadata;
use super::tensors::{Archive, Tensor, read};
use super::training::TrainingRows;
use crate::deform::{Deformation, Kinetic, Layers};
use crate::error::{Error, Result as Outcome, counted};
use crate::model::{HiddenFirst, IsotropicGaussian, Model, Noise, PosteriorDensity};
use crate::nn::LinearHead;
use crate::scalar::Scalar;
use crate::walk::InverseMassMatrix;

/// The energy that the layers of a deformation step in: that of the fit, over rows that hold the
/// hidden numbers first.
///
/// # Errors
/// Those of [`PosteriorDensity::new`].
fn energy<T: Scalar>(
    metadata: &Metadata,
    network: &dyn LinearHead,
    parts: Option<&Model>,
    rows: &TrainingRows<T>,
) -> Outcome<HiddenFirst<T>> {
    let (x, y) = (rows.features(), &rows.y);
    if let Some(model) = parts {
        let (likelihood, prior) = (model.likelihood(), model.prior());
        let density = PosteriorDensity::new(network, likelihood, prior, &x, y)?;
        return HiddenFirst::new(density, network.hidden_params(), 0);
    }
    if let Some((head, own)) = scaled_head(metadata, network)? {
        let noise = metadata.flow_noise_scale.filter(|_| own > 0);
        let likelihood = match noise {
            Some(scale) => metadata.task.likelihood_with(Noise::Sampled { scale })?,
            None => metadata.task.likelihood(false)?,
        };
        let likelihood = of_rows(metadata, network, likelihood)?;
        let prior = head.prior();
        let density = PosteriorDensity::new(&head, likelihood.as_ref(), &prior, &x, y)?;
        return HiddenFirst::new(density, head.hidden_params(), own);
    }
    let prior = IsotropicGaussian::new(metadata.prior_precision)?;
    let likelihood = of_rows(metadata, network, metadata.task.likelihood(false)?)?;
    let density = PosteriorDensity::new(network, likelihood.as_ref(), &prior, &x, y)?;
    HiddenFirst::new(density, network.hidden_params(), 0)
}

/// The tensors of layers.
pub(super) fn layer_tensors<'a, T: Scalar>(layers: &'a Layers<T>, all: &mut Vec<Tensor<'a>>) {
    let kinetic = layers.kinetic();
    let (basis, shrink) = kinetic.mass().parts();
    let steps = kinetic.steps();
    all.push(Tensor::new("kinetic.steps", vec![steps.len()], steps));
    let shape = vec![shrink.len(), kinetic.dim()];
    all.push(Tensor::new("kinetic.basis", shape, basis));
    all.push(Tensor::new("kinetic.shrink", vec![shrink.len()], shrink));
    if kinetic.tolerance().is_finite() {
        let tolerance = vec![kinetic.tolerance()];
        all.push(Tensor::new("kinetic.tolerance", vec![1], tolerance));
    }
}

/// Adds the layers of the file to a deformation, if it has any.
pub(super) fn read_layers<T: Scalar>(
    deformation: Deformation<T>,
    metadata: &Metadata,
    (network, parts): (&dyn LinearHead, Option<&Model>),
    rows: &TrainingRows<T>,
    archive: &Archive<'_>,
) -> Result<Deformation<T>, String> {
    if metadata.flow_layers == 0 {
        return Ok(deformation);
    }
    let say = |e: Error| e.to_string();
    let (_, steps) = read::<f64>(archive, "kinetic.steps", 1)?;
    let (_, basis) = read::<T>(archive, "kinetic.basis", 2)?;
    let (_, shrink) = read::<f64>(archive, "kinetic.shrink", 1)?;
    if steps.len() != metadata.flow_layers {
        return Err(format!(
            "steps of {}, expected {}",
            counted(steps.len(), "kinetic layer"),
            metadata.flow_layers
        ));
    }
    let energy = energy(metadata, network, parts, rows).map_err(say)?;
    let mass = InverseMassMatrix::from_parts(&energy.prior_precision(), basis, shrink);
    let mut kinetic = Kinetic::new(mass.map_err(say)?, steps).map_err(say)?;
    // layers of the first files were never halved
    if archive.has("kinetic.tolerance") {
        let (_, tolerance) = read::<f64>(archive, "kinetic.tolerance", 1)?;
        let &[tolerance] = &tolerance[..] else {
            return Err(format!("tolerances of {}, expected 1", tolerance.len()));
        };
        kinetic = kinetic.with_tolerance(tolerance).map_err(say)?;
    }
    let layers = Layers::new(kinetic, energy).map_err(say)?;
    deformation.with_layers(layers).map_err(say)
}
