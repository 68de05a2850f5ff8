//! A fitted model: saved, loaded, and asked for posterior samples.

use std::io::Write;
use std::path::Path;

use safetensors::SafeTensors;
use serde::Serialize;

use super::atomic::write_atomically;
use super::fitted::Fitted;
use super::metadata::{Metadata, SampledScales, TaskSpec};
use super::tensors::{Tensor, read, write_archive};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::metrics::{ClassificationMetrics, RegressionMetrics};
use crate::predict::{
    ClassPredictions, Outputs, RegressionPredictions, RegressionSummary, linearised_outputs,
    network_outputs,
};
use crate::rng::Streams;
use crate::scalar::Scalar;

/// The key of the JSON in the archive's metadata.
const KEY: &str = "fiberwalk";

/// Largest number of numbers that samples may have.
const MAX_NUMBERS: usize = 1 << 30;

/// A fitted model with everything that a prediction needs.
pub struct Model<T> {
    /// What it says about itself.
    pub metadata: Metadata,
    /// The MAP estimate, `[P]`.
    pub map: Vec<T>,
    /// The posterior.
    pub fitted: Fitted<T>,
}

/// Posterior draws with the scales that they carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Draws<T> {
    /// Parameters, `[s, P]`.
    pub theta: Vec<T>,
    /// Prior scales, `[s, G]`, named by [`SampledScales::names`](super::SampledScales); empty where scales are not
    /// part of the posterior.
    pub scales: Vec<f64>,
    /// Standard deviation of the noise in standardised units, `[s]`; empty where it is not part of the posterior.
    pub noise_std: Vec<f64>,
}

impl<T: Scalar> Draws<T> {
    /// Takes rows `[s, P + extras]` apart.
    pub(crate) fn of(rows: Vec<T>, dim: usize, spec: Option<&SampledScales>) -> Self {
        let Some(spec) = spec else {
            return Self {
                theta: rows,
                scales: Vec::new(),
                noise_std: Vec::new(),
            };
        };
        let (mut theta, mut scales, mut noise_std) = (Vec::new(), Vec::new(), Vec::new());
        let exp = |t: &T| t.to_f64().exp();
        for row in rows.chunks_exact(dim + spec.len()) {
            theta.extend_from_slice(&row[..dim]);
            let (own, noise) = row[dim..].split_at(spec.names.len());
            scales.extend(own.iter().map(exp));
            noise_std.extend(noise.iter().map(exp));
        }
        Self {
            theta,
            scales,
            noise_std,
        }
    }
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
        let dim = self.map.len();
        let mut tensors = vec![Tensor::new("map", vec![dim], &self.map)];
        tensors.extend(self.fitted.tensors(dim, &self.metadata)?);
        write_atomically(path, |w: &mut dyn Write| {
            write_archive(tensors, (KEY, json), w)
        })
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
        let fitted = Fitted::read(&metadata, network.as_ref(), &archive)?;
        Ok(Self {
            metadata,
            map,
            fitted,
        })
    }

    /// Posterior samples, `[s, P]`: of an atlas or a flow `count` new draws from the given streams, of a walk, a baseline or frozen draws its points, evenly
    /// thinned to at most `count`, of a MAP estimate that one point.
    ///
    /// # Errors
    /// If `count` is 0 or a draw fails.
    pub fn samples(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        Ok(self.draws(count, streams)?.theta)
    }

    /// The same with the scales that each sample carries.
    ///
    /// # Errors
    /// Those of [`Model::samples`].
    pub fn draws(&self, count: usize, streams: Streams) -> Result<Draws<T>> {
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
        let rows = match self.fitted.posterior() {
            // the estimate has no scales of its own
            None => {
                return Ok(Draws {
                    theta: self.map.clone(),
                    scales: Vec::new(),
                    noise_std: Vec::new(),
                });
            }
            Some(posterior) => posterior.sample(count, streams)?,
        };
        Ok(Draws::of(
            rows,
            self.map.len(),
            self.metadata.scales.as_ref(),
        ))
    }

    /// Predictive distributions for raw feature rows (`[n, d]`, row-major, in the training file's units), with posterior
    /// samples as in [`Model::samples`]; of an atlas and a regression, with the exact mixture over `count` anchors.
    ///
    /// # Errors
    /// If the rows do not fit the model, a draw fails, or an output is not finite.
    pub fn predict(&self, features: &[f64], count: usize, streams: Streams) -> Result<Predictions> {
        match self.metadata.task {
            TaskSpec::Classification { classes } => {
                let mut all = ClassPredictions::empty(classes);
                self.outputs(features, count, streams, |block, _| all.extend(block))?;
                Ok(Predictions::Classes(all))
            }
            TaskSpec::Regression { .. } => {
                let mut all = Vec::new();
                self.mixtures(features, count, streams, |block| {
                    all.extend(block.summaries()?);
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
                self.outputs(data.features(), count, streams, |block, _| {
                    all.extend(block)
                })?;
                let labels = data.labels()?;
                let scores = ClassificationMetrics::compute(&all.probabilities, classes, &labels)?;
                Ok(Scores::Classification(scores))
            }
            TaskSpec::Regression { .. } => {
                let (mut parts, mut done) = (Vec::new(), 0);
                self.mixtures(data.features(), count, streams, |block| {
                    let rows = block.means.len() / block.samples.max(1);
                    let y = &data.targets()[done..done + rows];
                    parts.push(RegressionMetrics::of(block, y)?);
                    done += rows;
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
        mut use_block: impl FnMut(&Outputs, &[f64]) -> Result<()>,
    ) -> Result<()> {
        let draws = self.draws(count, streams)?;
        let (samples, noise) = (&draws.theta, &draws.noise_std);
        let use_block = |block: &Outputs| use_block(block, noise);
        let x = self.metadata.standardizer()?.transform(features)?;
        let network = self.metadata.build_network()?;
        if self.metadata.linearised {
            return linearised_outputs(network.as_ref(), &self.map, samples, &x, use_block);
        }
        network_outputs(network.as_ref(), samples, &x, use_block)
    }

    /// The predictive mixtures of a regression, in the target's own units, block by block. An atlas knows its components in closed form.
    fn mixtures(
        &self,
        features: &[f64],
        count: usize,
        streams: Streams,
        mut use_block: impl FnMut(&RegressionPredictions) -> Result<()>,
    ) -> Result<()> {
        let TaskSpec::Regression {
            noise_std,
            target_mean,
            target_scale,
        } = self.metadata.task
        else {
            return Err(Error::shape("mixtures", "a regression", "a classification"));
        };
        let Fitted::Atlas { atlas, .. } = &self.fitted else {
            return self.outputs(features, count, streams, |block, own| {
                let mixtures = if own.is_empty() {
                    RegressionPredictions::new(block, noise_std, target_mean, target_scale)
                } else {
                    RegressionPredictions::with_noise_stds(block, own, target_mean, target_scale)
                };
                use_block(&mixtures?)
            });
        };
        let x = self.metadata.standardizer()?.transform(features)?;
        let network = self.metadata.build_network()?;
        atlas.components(network.as_ref(), &x, count, |c| {
            let outputs = Outputs {
                rows: c.rows,
                samples: c.anchors,
                width: 1,
                values: c.means.clone(),
            };
            let mixtures = RegressionPredictions::analytic(
                &outputs,
                &c.stds,
                noise_std,
                target_mean,
                target_scale,
            )?;
            use_block(&mixtures)
        })
    }
}
