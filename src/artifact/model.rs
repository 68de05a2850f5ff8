//! A fitted model: save it, load it, and draw posterior samples from it.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;

use super::atomic::write_in;
use super::calibration::{Calibration, share};
use super::compiled::Compiled;
use super::files::Files;
use super::fitted::{Fitted, scaled_head};
use super::header::{KEY, parse_metadata, read_all, read_bytes};
use super::metadata::{Metadata, SampledScales};
use super::tensors::{Archive, Tensor, read, write_archive};
use crate::error::{Error, Result, counted};
use crate::memory;
use crate::model::{Model, Points, StudentT};
use crate::nn::LinearHead;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Most numbers that a set of samples may hold.
const MAX_NUMBERS: usize = 1 << 30;

/// A fitted model with everything that a prediction needs.
pub struct FittedModel<T> {
    /// Its description: data, network, method and report.
    pub metadata: Metadata,
    /// The MAP estimate, `[P]`.
    pub map: Vec<T>,
    /// The posterior.
    pub fitted: Fitted<T>,
    /// The program's own parts that the model was made with, if any.
    pub parts: Option<Model>,
}

/// Posterior draws with the scales that they carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Draws<T> {
    /// Parameters, `[s, P]`.
    pub theta: Vec<T>,
    /// Prior scales, `[s, G]`, named by [`SampledScales::names`](super::SampledScales). Empty if
    /// scales are not part of the posterior.
    pub scales: Vec<f64>,
    /// Standard deviation of the noise in standardised units, `[s]`. Empty if it is not part of the
    /// posterior.
    pub noise_std: Vec<f64>,
    /// Degrees of freedom of Student-t noise, `[s]`. Empty for any other likelihood.
    pub dof: Vec<f64>,
    /// The likelihood's own parameters, in the form that the likelihood takes, `[s, q]`.
    pub params: Vec<f64>,
}

impl<T: Scalar> Draws<T> {
    /// Splits rows `[s, P + extras]` into their parts. Without sampled scales, the `own` parameters
    /// of the likelihood follow the `dim` parameters of the network.
    pub(crate) fn of(rows: Vec<T>, dim: usize, spec: Option<&SampledScales>, own: usize) -> Self {
        let Some(spec) = spec else {
            if own == 0 {
                return Self::plain(rows);
            }
            let (mut theta, mut params) = (Vec::new(), Vec::new());
            for row in rows.chunks_exact(dim + own) {
                theta.extend_from_slice(&row[..dim]);
                params.extend(row[dim..].iter().map(|p| p.to_f64()));
            }
            return Self {
                params,
                ..Self::plain(theta)
            };
        };
        let (mut theta, mut scales, mut noise_std) = (Vec::new(), Vec::new(), Vec::new());
        let (mut dof, mut params) = (Vec::new(), Vec::new());
        let exp = |t: &T| t.to_f64().exp();
        for row in rows.chunks_exact(dim + spec.len()) {
            theta.extend_from_slice(&row[..dim]);
            let (own, rest) = row[dim..].split_at(spec.names.len());
            let (noise, tails) = rest.split_at(usize::from(spec.noise_std));
            params.extend(rest.iter().map(|p| p.to_f64()));
            scales.extend(own.iter().map(exp));
            noise_std.extend(noise.iter().map(exp));
            dof.extend(tails.iter().map(|u| StudentT::dof(u.to_f64())));
        }
        Self {
            theta,
            scales,
            noise_std,
            dof,
            params,
        }
    }

    /// Draws with parameters only.
    fn plain(theta: Vec<T>) -> Self {
        Self {
            theta,
            scales: Vec::new(),
            noise_std: Vec::new(),
            dof: Vec::new(),
            params: Vec::new(),
        }
    }
}

impl<T: Scalar> fmt::Debug for FittedModel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FittedModel")
            .field("metadata", &self.metadata)
            .field("parameters", &self.map.len())
            .finish_non_exhaustive()
    }
}

impl<T: Compiled> FittedModel<T> {
    /// Writes the model by way of a temporary file.
    ///
    /// # Errors
    /// [`Error::Io`] if writing fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.save_in(&Files::default(), path)
    }

    /// [`FittedModel::save`] in the given file system.
    pub(crate) fn save_in(&self, files: &Files, path: &Path) -> Result<()> {
        write_in(files, path, |w: &mut dyn Write| {
            T::write(self, w).map_err(|error| match error {
                // the kind tells a full disk from a mistake
                Error::Io { source, .. } => source,
                other => std::io::Error::other(other),
            })
        })
    }

    /// The model file as bytes.
    ///
    /// # Errors
    /// If the points of a walk are in a separate file that cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        T::write(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a model.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Artifact`] with what is wrong if it is
    /// truncated, foreign, of another version or precision, or inconsistent.
    pub fn load(path: &Path) -> Result<Self> {
        Self::named(&read_bytes(path)?, path, None)
    }

    /// Reads a model that was made with this program's own parts.
    ///
    /// # Errors
    /// Those of [`FittedModel::load`]; also if the parts do not match the file.
    pub fn load_with(path: &Path, parts: &Model) -> Result<Self> {
        Self::named(&read_bytes(path)?, path, Some(parts))
    }

    /// Reads a model from the bytes of its file.
    ///
    /// # Errors
    /// [`Error::Artifact`] as for [`FittedModel::load`]; the error names the file `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::named(bytes, Path::new("bytes"), None)
    }

    /// Reads a model from a reader.
    ///
    /// # Errors
    /// [`Error::Io`] if reading fails, and [`Error::Artifact`]; the error names the file `reader`.
    pub fn from_reader(mut reader: impl Read) -> Result<Self> {
        Self::named(&read_all(&mut reader)?, Path::new("reader"), None)
    }

    fn named(bytes: &[u8], path: &Path, parts: Option<&Model>) -> Result<Self> {
        let read = || T::parse(parse_metadata(bytes)?, bytes, parts);
        read().map_err(|what| Error::Artifact {
            file: path.to_path_buf(),
            what,
        })
    }

    /// Gives the model a calibration, which its predictions then have. One without content is none.
    pub fn calibrate(&mut self, calibration: Calibration) {
        self.metadata.calibration = (calibration != Calibration::default()).then_some(calibration);
        self.metadata.format_version = self.metadata.written_version();
    }

    /// Posterior samples, `[s, P]`.
    ///
    /// An atlas or a flow makes `count` new draws from the given streams. A walk, a baseline or
    /// frozen draws return their stored points, evenly thinned to at most `count`. A MAP estimate
    /// returns its one point.
    ///
    /// # Errors
    /// If `count` is 0 or a draw fails.
    pub fn samples(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        Ok(self.draws(count, streams)?.theta)
    }

    /// As [`FittedModel::samples`], with the scales that each sample carries.
    ///
    /// # Errors
    /// Those of [`FittedModel::samples`].
    pub fn draws(&self, count: usize, streams: Streams) -> Result<Draws<T>> {
        T::draws(self, count, streams)
    }

    /// Replaces an atlas or a flow by `count` stored draws. The model then holds no training rows,
    /// and the size of its file changes.
    ///
    /// Points of a walk or a baseline are thinned to at most `count`. A MAP estimate stays as it
    /// is. In a mixture each model is frozen with its share of `count`, as in
    /// [`FittedModel::predictor`].
    ///
    /// # Errors
    /// Those of [`FittedModel::samples`].
    pub fn freeze(&mut self, count: usize, seed: u64) -> Result<()> {
        if let Fitted::Mixture(members) = &mut self.fitted {
            let crossed = self
                .metadata
                .calibration
                .iter()
                .any(Calibration::is_crossed);
            for (member, spec) in members.iter_mut().zip(&mut self.metadata.members) {
                let own = share(member.weight, count, crossed);
                member.model.freeze(own, seed)?;
                spec.metadata = member.model.metadata.clone();
            }
            return Ok(());
        }
        let frozen = T::freeze(self, count, Streams::new(seed))?;
        if let Fitted::Atlas { .. } | Fitted::Flow { .. } = self.fitted {
            self.metadata.frozen = true;
            self.metadata.flow_units = None;
            self.metadata.flow_hidden = Vec::new();
            self.metadata.flow_proposals = 1;
            self.metadata.flow_layers = 0;
            self.metadata.flow_noise_scale = None;
            if let Some(report) = &mut self.metadata.report {
                report.freeze(count);
            }
        }
        self.fitted = frozen;
        Ok(())
    }
}

impl<T: Scalar> FittedModel<T> {
    pub(super) fn write_to(&self, out: &mut dyn Write) -> Result<()> {
        let io = |source| Error::Io {
            path: "model".into(),
            source,
        };
        let metadata = self.metadata.sealed();
        let json = serde_json::to_string(&metadata).map_err(|e| io(e.into()))?;
        write_archive(self.tensors()?, (KEY, json), out).map_err(io)
    }

    /// Everything that is written besides the metadata.
    pub(super) fn tensors(&self) -> Result<Vec<Tensor<'_>>> {
        let dim = self.map.len();
        let mut tensors = vec![Tensor::new("map", vec![dim], &self.map)];
        tensors.extend(self.fitted.tensors(dim, &self.metadata)?);
        Ok(tensors)
    }

    /// Reads the tensors of a file with these metadata, whose checksum is compared already.
    pub(super) fn parse(
        metadata: Metadata,
        bytes: &[u8],
        parts: Option<&Model>,
    ) -> std::result::Result<Self, String> {
        let network = metadata.check(parts)?;
        if metadata.precision != T::NAME {
            return Err(format!(
                "it is in {}, asked for in {}",
                metadata.precision,
                T::NAME
            ));
        }
        let archive = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        Self::read(metadata, network.as_ref(), parts, &Archive::of(&archive))
    }

    /// Builds a model from its tensors and metadata that are already checked.
    pub(super) fn read(
        metadata: Metadata,
        network: &dyn LinearHead,
        parts: Option<&Model>,
        archive: &Archive<'_>,
    ) -> std::result::Result<Self, String> {
        let (_, map) = read::<T>(archive, "map", 1)?;
        let dim = network.dim() + parts.map_or(0, Model::own_params);
        if map.len() != dim {
            return Err(format!(
                "tensor 'map' has {}, the model {dim}",
                counted(map.len(), "number")
            ));
        }
        let fitted = Fitted::read(&metadata, network, parts, archive)?;
        Ok(Self {
            metadata,
            map,
            fitted,
            parts: parts.cloned(),
        })
    }

    /// The network.
    pub(super) fn network(&self) -> Result<Arc<dyn LinearHead>> {
        self.metadata.network_with(self.parts.as_ref())
    }

    /// Puts draws of a deformation into the layout of files: the network's parameters first, then
    /// the scales.
    fn stored(&self, rows: Vec<T>) -> Result<Vec<T>> {
        let network = self.network()?;
        match scaled_head(&self.metadata, network.as_ref())? {
            None => Ok(rows),
            Some((head, own)) => head.stored(&rows, own),
        }
    }

    pub(super) fn draw(&self, count: usize, streams: Streams) -> Result<Draws<T>> {
        // A MAP estimate carries no scales.
        let own = self.parts.as_ref().map_or(0, Model::own_params);
        let (dim, scales) = (self.map.len() - own, self.metadata.scales.as_ref());
        Ok(match self.stored_draws(count, streams)? {
            Some(rows) => Draws::of(rows, dim, scales, own),
            None => Draws::of(self.map.clone(), dim, None, own),
        })
    }

    /// What replaces a deformation once `count` draws of it are stored.
    pub(super) fn frozen(&self, count: usize, streams: Streams) -> Result<Fitted<T>> {
        let Some(rows) = self.stored_draws(count, streams)? else {
            return Ok(Fitted::Map);
        };
        let width = self.map.len() + self.metadata.extras();
        Ok(Fitted::Points(Points::new(width, rows)?))
    }

    /// Draws in the layout of files, `[s, P + extras]`; `None` for a MAP estimate.
    fn stored_draws(&self, count: usize, streams: Streams) -> Result<Option<Vec<T>>> {
        if count == 0 {
            return Err(Error::config("samples", count, "must be positive"));
        }
        if count
            .checked_mul(self.map.len())
            .is_none_or(|n| n > MAX_NUMBERS)
        {
            let requirement = format!(
                "times {} must be at most 2^30 numbers",
                counted(self.map.len(), "parameter")
            );
            return Err(Error::config("samples", count, &requirement));
        }
        if matches!(self.fitted, Fitted::Atlas { .. } | Fitted::Flow { .. }) {
            // the draws, and a copy in the layout of files
            let row = 2 * size_of::<T>() * self.map.len();
            memory::check("samples", count, memory::bytes(count, row))?;
        }
        if let Fitted::Mixture(members) = &self.fitted {
            let value = counted(members.len(), "model");
            let requirement = "have no parameters in common: take the samples of each";
            return Err(Error::config("samples of a mixture", value, requirement));
        }
        let Some(posterior) = self.fitted.posterior() else {
            return Ok(None);
        };
        let rows = posterior.sample(count, streams)?;
        match &self.fitted {
            Fitted::Atlas { .. } | Fitted::Flow { .. } => self.stored(rows).map(Some),
            _ => Ok(Some(rows)),
        }
    }
}
