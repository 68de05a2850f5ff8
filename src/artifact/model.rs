//! A fitted model: saved, loaded, and asked for posterior samples.

use std::io::Write;
use std::path::Path;

use safetensors::SafeTensors;
use serde::Serialize;

use super::atomic::write_atomically;
use super::metadata::{Metadata, TaskSpec};
use super::tensors::{Tensor, read, write_archive};
use crate::data::Dataset;
use crate::deform::{Deformation, Frame, FramedFlow, HeadLikelihood, LastLayer};
use crate::error::{Error, Result};
use crate::metrics::{ClassificationMetrics, RegressionMetrics};
use crate::nn::LinearHead;
use crate::predict::{
    ClassPredictions, Outputs, RegressionPredictions, RegressionSummary, network_outputs,
};
use crate::rng::Streams;
use crate::scalar::Scalar;

/// The key of the JSON in the archive's metadata.
const KEY: &str = "fiberwalk";

/// Largest number of numbers that samples may have.
const MAX_NUMBERS: usize = 1 << 30;

/// What a method leaves behind.
pub enum Fitted<T> {
    /// The MAP estimate alone.
    Map,
    /// Points of a walk, `[S, P]`.
    Walk(Vec<T>),
    /// A deformation, the standardised training rows `[N, d]` and targets `[N]` of its conditional last layer.
    Flow {
        /// The bijection.
        deformation: Box<Deformation<T>>,
        /// Rows that the last layer is conditioned on.
        x: Vec<f64>,
        /// Their targets.
        y: Vec<f64>,
    },
}

/// A fitted model with everything that a prediction needs.
pub struct Model<T> {
    /// What it says about itself.
    pub metadata: Metadata,
    /// The MAP estimate, `[P]`.
    pub map: Vec<T>,
    /// The posterior.
    pub fitted: Fitted<T>,
}

/// Predictive distributions, a row per input.
#[derive(Clone, Debug, PartialEq)]
pub enum Predictions {
    /// Of a class.
    Classes(ClassPredictions),
    /// Of a real target.
    Real(Vec<RegressionSummary>),
}

/// Scores of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scores {
    /// Of class probabilities.
    Classification(ClassificationMetrics),
    /// Of predictive mixtures.
    Regression(RegressionMetrics),
}

/// The metadata of a model file, checked; the tensors are not looked at.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Artifact`] if it is not a model file.
pub fn read_metadata(path: &Path) -> Result<Metadata> {
    let bytes = read_bytes(path)?;
    let wrong = |what| Error::Artifact {
        file: path.to_path_buf(),
        what,
    };
    let metadata = parse_metadata(&bytes).map_err(wrong)?;
    metadata.check().map_err(wrong)?;
    Ok(metadata)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn parse_metadata(bytes: &[u8]) -> std::result::Result<Metadata, String> {
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|e| format!("not a complete safetensors archive ({e})"))?;
    let json = header
        .metadata()
        .as_ref()
        .and_then(|map| map.get(KEY))
        .ok_or("a safetensors archive of another program")?;
    serde_json::from_str(json).map_err(|e| format!("its metadata do not parse: {e}"))
}

impl<T: Scalar> Model<T> {
    /// Writes the model, through a temporary file.
    ///
    /// # Errors
    /// [`Error::Io`] if writing fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        let wrong = |what: String| Error::Artifact {
            file: path.to_path_buf(),
            what,
        };
        let json = serde_json::to_string(&self.metadata).map_err(|e| wrong(e.to_string()))?;
        write_atomically(path, |w: &mut dyn Write| {
            write_archive(self.tensors(), (KEY, json), w)
        })
    }

    fn tensors(&self) -> Vec<Tensor<'_>> {
        let dim = self.map.len();
        let mut all = vec![Tensor::new("map", vec![dim], &self.map)];
        match &self.fitted {
            Fitted::Map => {}
            Fitted::Walk(samples) => {
                let shape = vec![samples.len() / dim.max(1), dim];
                all.push(Tensor::new("samples", shape, samples));
            }
            Fitted::Flow { deformation, x, y } => {
                if let Some(flow) = deformation.hidden() {
                    let (mean, scale, basis, complement) = flow.frame().parts();
                    let (_, mixing, params) = flow.flow_parts();
                    let (h, k) = (flow.dim(), flow.frame().directions());
                    all.push(Tensor::new("frame.mean", vec![h], mean));
                    all.push(Tensor::new("frame.scale", vec![h], scale));
                    all.push(Tensor::new("frame.basis", vec![k, h], basis));
                    all.push(Tensor::new("frame.complement", vec![1], vec![complement]));
                    all.push(Tensor::new("flow.params", vec![params.len()], params));
                    let shape = vec![mixing.len(), k, k];
                    all.push(Tensor::new("flow.mixing", shape, mixing.concat()));
                }
                let shape = vec![y.len(), x.len() / y.len().max(1)];
                all.push(Tensor::new("data.x", shape, x));
                all.push(Tensor::new("data.y", vec![y.len()], y));
            }
        }
        all
    }

    /// Reads a model.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Artifact`] with what is wrong if it is truncated, foreign, of
    /// another version or precision, or inconsistent.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read_bytes(path)?;
        Self::parse(&bytes).map_err(|what| Error::Artifact {
            file: path.to_path_buf(),
            what,
        })
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let metadata = parse_metadata(bytes)?;
        let network = metadata.check()?;
        if metadata.precision != T::NAME {
            return Err(format!(
                "it is in {}, asked for in {}",
                metadata.precision,
                T::NAME
            ));
        }
        let archive = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let (_, map) = read::<T>(&archive, "map", 1)?;
        if map.len() != network.dim() {
            return Err(format!(
                "tensor 'map' has {} numbers, the network {}",
                map.len(),
                network.dim()
            ));
        }
        let fitted = match metadata.method.as_str() {
            "map" => Fitted::Map,
            "walk" => {
                let (shape, samples) = read::<T>(&archive, "samples", 2)?;
                if shape[1] != network.dim() || shape[0] == 0 {
                    return Err(format!(
                        "tensor 'samples' has shape {shape:?}, expected [*, {}]",
                        network.dim()
                    ));
                }
                Fitted::Walk(samples)
            }
            "flow" => Self::parse_flow(&metadata, network.as_ref(), &archive)?,
            other => return Err(format!("method '{other}' is unknown to this version")),
        };
        Ok(Self {
            metadata,
            map,
            fitted,
        })
    }

    fn parse_flow(
        metadata: &Metadata,
        network: &dyn LinearHead,
        archive: &SafeTensors<'_>,
    ) -> std::result::Result<Fitted<T>, String> {
        let say = |e: Error| e.to_string();
        let (shape, x) = read::<f64>(archive, "data.x", 2)?;
        let (rows, y) = read::<f64>(archive, "data.y", 1)?;
        if shape != [rows[0], network.input_dim()] {
            return Err(format!(
                "tensor 'data.x' has shape {shape:?} for {} targets",
                rows[0]
            ));
        }
        let likelihood = match metadata.task {
            TaskSpec::Classification { .. } => HeadLikelihood::Categorical,
            TaskSpec::Regression { noise_std, .. } => HeadLikelihood::Gaussian { noise_std },
        };
        let last =
            LastLayer::new(network, likelihood, metadata.prior_precision, &x, &y).map_err(say)?;
        let hidden = if network.hidden_params() == 0 {
            None
        } else {
            let (_, mean) = read::<T>(archive, "frame.mean", 1)?;
            let (_, scale) = read::<T>(archive, "frame.scale", 1)?;
            let (_, basis) = read::<T>(archive, "frame.basis", 2)?;
            let (_, complement) = read::<T>(archive, "frame.complement", 1)?;
            let (_, params) = read::<T>(archive, "flow.params", 1)?;
            let (mixing_shape, mixing) = read::<f64>(archive, "flow.mixing", 3)?;
            if mean.len() != network.hidden_params() || complement.len() != 1 {
                return Err(format!(
                    "a frame of {} parameters, the network has {}",
                    mean.len(),
                    network.hidden_params()
                ));
            }
            let frame = Frame::from_parts(mean, scale, basis, complement[0]).map_err(say)?;
            let k = frame.directions();
            if mixing_shape[1..] != [k, k] {
                return Err(format!(
                    "tensor 'flow.mixing' has shape {mixing_shape:?} for {k} directions"
                ));
            }
            // k can be 0, and then there is nothing to mix
            let matrices: Vec<Vec<f64>> = mixing
                .chunks_exact((k * k).max(1))
                .map(<[f64]>::to_vec)
                .collect();
            let hidden = metadata.flow_hidden.clone();
            Some(FramedFlow::new(frame, hidden, matrices, params).map_err(say)?)
        };
        Ok(Fitted::Flow {
            deformation: Box::new(Deformation::new(hidden, last)),
            x,
            y,
        })
    }

    /// Posterior samples, `[s, P]`: of a flow `count` new draws from the given streams, of a walk its points, evenly
    /// thinned to at most `count`, of a MAP estimate that one point.
    ///
    /// # Errors
    /// If `count` is 0 or a draw fails.
    pub fn samples(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        if count == 0 {
            return Err(Error::config("samples", count, "must be positive"));
        }
        if count
            .checked_mul(self.map.len())
            .is_none_or(|n| n > MAX_NUMBERS)
        {
            let requirement = format!(
                "times {} parameters must be at most 2^30 numbers",
                self.map.len()
            );
            return Err(Error::config("samples", count, &requirement));
        }
        match &self.fitted {
            Fitted::Map => Ok(self.map.clone()),
            Fitted::Walk(samples) => {
                let dim = self.map.len();
                let all = samples.len() / dim;
                let keep = count.min(all);
                let rows = (0..keep).map(|i| i * all / keep);
                Ok(rows
                    .flat_map(|r| &samples[r * dim..(r + 1) * dim])
                    .copied()
                    .collect())
            }
            Fitted::Flow { deformation, .. } => deformation.sample(count, streams),
        }
    }

    /// Predictive distributions for raw feature rows (`[n, d]`, row-major, in the training file's units), with posterior
    /// samples as in [`Model::samples`].
    ///
    /// # Errors
    /// If the rows do not fit the model, a draw fails, or an output is not finite.
    pub fn predict(&self, features: &[f64], count: usize, streams: Streams) -> Result<Predictions> {
        match self.metadata.task {
            TaskSpec::Classification { classes } => {
                let mut all = ClassPredictions::empty(classes);
                self.outputs(features, count, streams, |block| all.extend(block))?;
                Ok(Predictions::Classes(all))
            }
            TaskSpec::Regression { .. } => {
                let mut all = Vec::new();
                self.outputs(features, count, streams, |block| {
                    all.extend(self.mixtures(block)?.summaries()?);
                    Ok(())
                })?;
                Ok(Predictions::Real(all))
            }
        }
    }

    /// Scores on rows with known targets, with posterior samples as in [`Model::samples`].
    ///
    /// # Errors
    /// If the data are for another task, do not fit the model, or a draw fails.
    pub fn evaluate(&self, data: &Dataset, count: usize, streams: Streams) -> Result<Scores> {
        if data.task() != self.metadata.data_task() {
            let (expected, got) = (self.metadata.data_task(), data.task());
            return Err(Error::shape(
                "evaluate",
                format!("{expected:?}"),
                format!("{got:?}"),
            ));
        }
        match self.metadata.task {
            TaskSpec::Classification { classes } => {
                let mut all = ClassPredictions::empty(classes);
                self.outputs(data.features(), count, streams, |block| all.extend(block))?;
                let labels = data.labels()?;
                let scores = ClassificationMetrics::compute(&all.probabilities, classes, &labels)?;
                Ok(Scores::Classification(scores))
            }
            TaskSpec::Regression { .. } => {
                let (mut parts, mut done) = (Vec::new(), 0);
                self.outputs(data.features(), count, streams, |block| {
                    let p = self.mixtures(block)?;
                    let y = &data.targets()[done..done + block.rows];
                    parts.push(RegressionMetrics::compute(
                        &p.means,
                        p.samples,
                        p.noise_std,
                        y,
                    )?);
                    done += block.rows;
                    Ok(())
                })?;
                let none = || Error::shape("evaluate", "at least one row", 0);
                RegressionMetrics::pooled(&parts)
                    .map(Scores::Regression)
                    .ok_or_else(none)
            }
        }
    }

    fn outputs(
        &self,
        features: &[f64],
        count: usize,
        streams: Streams,
        use_block: impl FnMut(&Outputs) -> Result<()>,
    ) -> Result<()> {
        let samples = self.samples(count, streams)?;
        let x = self.metadata.standardizer()?.transform(features)?;
        let network = self.metadata.build_network()?;
        network_outputs(network.as_ref(), &samples, &x, use_block)
    }

    /// The predictive mixtures of a regression, in the target's own units.
    fn mixtures(&self, outputs: &Outputs) -> Result<RegressionPredictions> {
        match self.metadata.task {
            TaskSpec::Regression {
                noise_std,
                target_mean,
                target_scale,
            } => RegressionPredictions::new(outputs, noise_std, target_mean, target_scale),
            TaskSpec::Classification { .. } => {
                Err(Error::shape("mixtures", "a regression", "a classification"))
            }
        }
    }
}
