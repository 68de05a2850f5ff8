//! A model whose precision is known only when it is loaded.

use std::io::Read;
use std::path::Path;

use super::compiled::Compiled;
use super::files::Files;
use super::header::{parse_metadata, read_all, read_bytes, read_bytes_in};
use super::metadata::Metadata;
use super::model::{Draws, FittedModel};
use super::predictor::Predictor;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::rng::Streams;

/// A fitted model in `f32` or `f64`.
#[derive(Debug)]
pub enum AnyModel {
    /// In single precision.
    F32(FittedModel<f32>),
    /// In double precision.
    F64(FittedModel<f64>),
}

impl From<FittedModel<f32>> for AnyModel {
    fn from(model: FittedModel<f32>) -> Self {
        Self::F32(model)
    }
}

impl From<FittedModel<f64>> for AnyModel {
    fn from(model: FittedModel<f64>) -> Self {
        Self::F64(model)
    }
}

/// Evaluates the same expression for a model of either precision.
macro_rules! either {
    ($any:expr, $model:ident => $f:expr) => {
        match $any {
            AnyModel::F32($model) => $f,
            AnyModel::F64($model) => $f,
        }
    };
}

impl AnyModel {
    /// Reads a model of either precision.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Artifact`], which says what is wrong, if
    /// it is truncated, foreign, of another version, or inconsistent.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_in(&Files::default(), path)
    }

    /// [`AnyModel::load`] in the given file system.
    pub(crate) fn load_in(files: &Files, path: &Path) -> Result<Self> {
        Self::named(&read_bytes_in(files, path)?, path, None)
    }

    /// Reads a model that was made with parts of this program: `parts`.
    ///
    /// # Errors
    /// Those of [`AnyModel::load`], and if the parts are not those of the file.
    pub fn load_with(path: &Path, parts: &Model) -> Result<Self> {
        Self::named(&read_bytes(path)?, path, Some(parts))
    }

    /// Reads a model from the bytes of its file.
    ///
    /// # Errors
    /// [`Error::Artifact`] as for [`AnyModel::load`]; it names the file `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::named(bytes, Path::new("bytes"), None)
    }

    /// Reads a model from a reader.
    ///
    /// # Errors
    /// [`Error::Io`] if reading fails, and [`Error::Artifact`]; it names the file `reader`.
    pub fn from_reader(mut reader: impl Read) -> Result<Self> {
        Self::named(&read_all(&mut reader)?, Path::new("reader"), None)
    }

    fn named(bytes: &[u8], path: &Path, parts: Option<&Model>) -> Result<Self> {
        let read = || {
            let metadata = parse_metadata(bytes)?;
            match metadata.precision.as_str() {
                "f64" => f64::parse(metadata, bytes, parts).map(Self::F64),
                _ => f32::parse(metadata, bytes, parts).map(Self::F32),
            }
        };
        read().map_err(|what| Error::Artifact {
            file: path.to_path_buf(),
            what,
        })
    }

    /// Writes the model, through a temporary file.
    ///
    /// # Errors
    /// [`Error::Io`] if writing fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        either!(self, model => model.save(path))
    }

    /// The bytes of the model's file.
    ///
    /// # Errors
    /// Those of [`FittedModel::to_bytes`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        either!(self, model => model.to_bytes())
    }

    /// The model's metadata.
    pub fn metadata(&self) -> &Metadata {
        either!(self, model => &model.metadata)
    }

    /// This model, ready to predict, with `draws` posterior samples: see
    /// [`FittedModel::predictor`].
    ///
    /// # Errors
    /// Those of [`FittedModel::predictor`].
    pub fn predictor(&self, draws: usize, seed: u64) -> Result<Predictor> {
        either!(self, model => model.predictor(draws, seed))
    }

    /// Posterior draws with their scales, in double precision: see [`FittedModel::draws`].
    ///
    /// # Errors
    /// Those of [`FittedModel::draws`].
    pub fn draws(&self, count: usize, seed: u64) -> Result<Draws<f64>> {
        let streams = Streams::new(seed);
        match self {
            Self::F64(model) => model.draws(count, streams),
            Self::F32(model) => {
                let draws = model.draws(count, streams)?;
                Ok(Draws {
                    theta: draws.theta.iter().map(|t| f64::from(*t)).collect(),
                    scales: draws.scales,
                    noise_std: draws.noise_std,
                    dof: draws.dof,
                    params: draws.params,
                })
            }
        }
    }

    /// Replaces an atlas or a flow by `count` stored draws: see [`FittedModel::freeze`].
    ///
    /// # Errors
    /// Those of [`FittedModel::freeze`].
    pub fn freeze(&mut self, count: usize, seed: u64) -> Result<()> {
        either!(self, model => model.freeze(count, seed))
    }
}
