//! The result of a fit, and its conversion to tensors and back.

use std::io::Write;

use super::hidden_flows::{hidden_tensors, read_hidden};
use super::layers::{layer_tensors, read_layers};
use super::metadata::Metadata;
use super::method::Method;
use super::model::FittedModel;
use super::spool::Spool;
use super::tensors::{Archive, Tensor, read};
use super::training::TrainingRows;
use crate::deform::{Atlas, Deformation, LastLayer};
use crate::error::{Error, Result as Outcome, counted};
use crate::model::{Likelihood, Model, Points, Posterior, ScaledHead, Weighted};
use crate::nn::{LinearHead, UnitBlock, unit_blocks};
use crate::scalar::Scalar;

/// What a fit leaves behind, by method.
pub enum Fitted<T> {
    /// The MAP estimate alone.
    Map,
    /// Points `[S, P]`: of a walk, or frozen draws of a deformation.
    Points(Points<T>),
    /// Points of a walk, in a separate file. A saved model has them as [`Fitted::Points`].
    Spooled(Spool<T>),
    /// Anchors, and the training rows of their conditional last layer.
    Atlas {
        /// The sampler.
        atlas: Box<Atlas<T>>,
        /// Rows that condition the last layer.
        rows: TrainingRows<T>,
    },
    /// A deformation, and the training rows of its conditional last layer.
    Flow {
        /// The density.
        deformation: Box<Deformation<T>>,
        /// Rows that condition the last layer.
        rows: TrainingRows<T>,
    },
    /// Several models with their weights, in the order of the metadata.
    Mixture(Vec<Member<T>>),
}

/// One of the models of a mixture.
pub struct Member<T> {
    /// Its share. All shares sum to 1.
    pub weight: f64,
    /// The model.
    pub model: FittedModel<T>,
}

type Parsed<X> = Result<X, String>;

fn say(e: Error) -> String {
    e.to_string()
}

/// The conditional last layer of a model, given its training rows.
///
/// # Errors
/// Those of [`LastLayer::new`].
pub(super) fn last_layer<T: Scalar>(
    metadata: &Metadata,
    network: &dyn LinearHead,
    parts: Option<&Model>,
    rows: &TrainingRows<T>,
) -> Outcome<LastLayer<T>> {
    if let Some(model) = parts {
        return own_last_layer(model, &rows.features(), &rows.y);
    }
    let likelihood = of_rows(metadata, network, metadata.task.likelihood(false)?)?;
    let (likelihood, x, y) = (likelihood.as_ref(), rows.features(), &rows.y);
    match scaled_head(metadata, network)? {
        None => LastLayer::new(network, likelihood, metadata.prior_precision, &x, y),
        Some((head, own)) => {
            LastLayer::new(&head, likelihood, 1.0, &x, y)?.with_scales(head.head_scales(own > 0))
        }
    }
}

/// The likelihood of the training rows in a file, which may have weights.
///
/// # Errors
/// Those of [`Weighted::new`].
pub(super) fn of_rows(
    metadata: &Metadata,
    network: &dyn LinearHead,
    plain: Box<dyn Likelihood>,
) -> Outcome<Box<dyn Likelihood>> {
    Ok(match metadata.weights {
        Some(_) => Box::new(Weighted::new(plain.into(), network.output_dim())?),
        None => plain,
    })
}

/// The conditional last layer of the program's own model.
///
/// # Errors
/// If its network has no linear head, or its prior has another precision for each output of a
/// feature; and those of [`LastLayer::with_precisions`].
pub(crate) fn own_last_layer<T: Scalar>(
    model: &Model,
    x: &[f64],
    y: &[f64],
) -> Outcome<LastLayer<T>> {
    let head = model.head().ok_or_else(|| {
        let requirement = "has no linear head, which an atlas and a flow need";
        Error::config("network", model.name(), requirement)
    })?;
    let precisions = model.prior().precision(head.layout());
    let of_last = &precisions[head.hidden_params().min(precisions.len())..];
    // [H + 1, outputs]: those of a feature must be one
    let features = of_last.chunks(head.output_dim().max(1));
    if let Some(unequal) = features.clone().find(|f| f.iter().any(|p| *p != f[0])) {
        let requirement = "must give the weights of one feature to all outputs one precision";
        return Err(Error::config("prior", format!("{unequal:?}"), requirement));
    }
    let precisions: Vec<f64> = features.map(|f| f[0]).collect();
    LastLayer::with_precisions(head, model.likelihood(), &precisions, x, y)
}

/// The coordinates of a deformation whose scales are part of the posterior, and the number of the
/// likelihood's parameters among them.
///
/// # Errors
/// If the groups are unknown, or the names of the scales are not those of the network.
pub(super) fn scaled_head<'n>(
    metadata: &Metadata,
    network: &'n dyn LinearHead,
) -> Outcome<Option<(ScaledHead<'n>, usize)>> {
    let Some(scales) = &metadata.scales else {
        return Ok(None);
    };
    let head = ScaledHead::new(network, scales.groups.parse()?);
    let names = head.scaled().scale_names();
    if names != scales.names {
        let (expected, got) = (names.join(", "), scales.names.join(", "));
        return Err(Error::shape("scales", expected, got));
    }
    Ok(Some((head, scales.len() - scales.names.len())))
}

/// The number of hidden parameters of a deformation, and the units they belong to.
fn hidden_of(metadata: &Metadata, network: &dyn LinearHead) -> Outcome<(usize, Vec<UnitBlock>)> {
    let hidden = network.hidden_params();
    Ok(match scaled_head(metadata, network)? {
        None => (hidden, unit_blocks(network.layout(), hidden)),
        Some((head, own)) => (head.hidden_params() + own, head.unit_blocks(own)),
    })
}

impl<T: Scalar> Fitted<T> {
    /// The posterior to draw from. `None` for a MAP estimate, which is one point, and for a
    /// mixture.
    pub fn posterior(&self) -> Option<&dyn Posterior<T>> {
        match self {
            Fitted::Map | Fitted::Mixture(_) => None,
            Fitted::Points(points) => Some(points),
            Fitted::Spooled(spool) => Some(spool),
            Fitted::Atlas { atlas, .. } => Some(atlas.as_ref()),
            Fitted::Flow { deformation, .. } => Some(deformation.as_ref()),
        }
    }

    /// The tensors of a model with `dim` parameters. Each sample holds these first, then its
    /// extras.
    pub(super) fn tensors(&self, dim: usize, metadata: &Metadata) -> Outcome<Vec<Tensor<'_>>> {
        let mut all = Vec::new();
        match self {
            Fitted::Map => {}
            Fitted::Mixture(members) => {
                for (k, member) in members.iter().enumerate() {
                    let own = member.model.tensors()?.into_iter();
                    all.extend(own.map(|tensor| tensor.prefixed(&prefix(k))));
                }
            }
            Fitted::Points(points) => {
                let shape = vec![points.count(), dim + metadata.extras()];
                all.push(Tensor::new("samples", shape, points.values()));
            }
            Fitted::Spooled(spool) => {
                let shape = vec![spool.count(), dim + metadata.extras()];
                let copy = move |out: &mut dyn Write| spool.copy_to(out);
                all.push(Tensor::streamed::<T>("samples", shape, copy));
            }
            Fitted::Atlas { atlas, rows } => {
                let (anchors, modes) = atlas.parts();
                let shape = |numbers: &[T]| vec![atlas.len(), numbers.len() / atlas.len()];
                all.push(Tensor::new("atlas.anchors", shape(anchors), anchors));
                all.push(Tensor::new("atlas.modes", shape(modes), modes));
                all.extend(rows.tensors(&metadata.standardizer()?));
            }
            Fitted::Flow { deformation, rows } => {
                if let Some(hidden) = deformation.hidden() {
                    hidden_tensors(hidden, &mut all);
                }
                if let Some(layers) = deformation.layers() {
                    layer_tensors(layers, &mut all);
                }
                all.extend(rows.tensors(&metadata.standardizer()?));
            }
        }
        Ok(all)
    }

    /// Reads what `metadata.method` left behind.
    pub(super) fn read(
        metadata: &Metadata,
        network: &dyn LinearHead,
        parts: Option<&Model>,
        archive: &Archive<'_>,
    ) -> Parsed<Self> {
        let points = |archive| {
            let (shape, samples) = read::<T>(archive, "samples", 2)?;
            let own = parts.map_or(0, Model::own_params);
            let expected = network.dim() + metadata.extras() + own;
            if shape[1] != expected || shape[0] == 0 {
                return Err(format!(
                    "tensor 'samples' has shape {shape:?}, expected [*, {expected}]"
                ));
            }
            let points = Points::new(expected, samples).map_err(say)?;
            Ok(Fitted::Points(points))
        };
        let rows = || {
            let features = metadata.standardizer().map_err(say)?;
            TrainingRows::read(archive, &features, network.input_dim())
        };
        let name = &metadata.method;
        let unknown = |_| format!("method '{name}' is unknown to this version");
        if !metadata.members.is_empty() {
            let members = metadata.members.iter().enumerate().map(|(k, spec)| {
                let network = spec.metadata.build_network().map_err(say)?;
                let part = archive.part(&prefix(k));
                let model =
                    FittedModel::read(spec.metadata.clone(), network.as_ref(), None, &part)?;
                let weight = spec.weight;
                Ok(Member { weight, model })
            });
            return members.collect::<Parsed<_>>().map(Fitted::Mixture);
        }
        match name.parse::<Method>().map_err(unknown)? {
            Method::Map => Ok(Fitted::Map),
            Method::Auto => Err("a mixture without models".into()),
            Method::Atlas | Method::Flow if metadata.frozen => points(archive),
            Method::Atlas => {
                let rows = rows()?;
                let (shape, anchors) = read::<T>(archive, "atlas.anchors", 2)?;
                let (_, modes) = read::<T>(archive, "atlas.modes", 2)?;
                let (hidden, _) = hidden_of(metadata, network).map_err(say)?;
                if shape[1] != hidden {
                    return Err(format!(
                        "anchors of {}, the model has {hidden} hidden ones",
                        counted(shape[1], "number")
                    ));
                }
                let last = last_layer(metadata, network, parts, &rows).map_err(say)?;
                let atlas = Atlas::from_parts(anchors, modes, last).map_err(say)?;
                if atlas.len() != shape[0] {
                    return Err(format!(
                        "{}, but modes of {}",
                        counted(shape[0], "anchor"),
                        atlas.len()
                    ));
                }
                let atlas = Box::new(atlas);
                Ok(Fitted::Atlas { atlas, rows })
            }
            Method::Flow => {
                let rows = rows()?;
                let last = last_layer(metadata, network, parts, &rows).map_err(say)?;
                let (hidden, blocks) = hidden_of(metadata, network).map_err(say)?;
                let hidden = read_hidden(metadata, (hidden, blocks), archive)?;
                let deformation = Deformation::new(hidden, last)
                    .with_proposals(metadata.flow_proposals)
                    .map_err(say)?;
                let of = (network, parts);
                let deformation = read_layers(deformation, metadata, of, &rows, archive)?;
                let deformation = Box::new(deformation);
                Ok(Fitted::Flow { deformation, rows })
            }
            _ => points(archive),
        }
    }
}

/// The prefix of the tensor names of model `k` in a mixture.
fn prefix(k: usize) -> String {
    format!("model{k}.")
}
