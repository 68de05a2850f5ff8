//! The data in the form that the network sees, and the network that fits them.

use super::transforms::feature_map;
use super::{FitOptions, TargetTransform};
use crate::artifact::NetworkSpec;
use crate::data::{Dataset, Standardizer, TargetMap, Task};
use crate::error::{Error, Result};
use crate::model::{Likelihood, Noise, Observation, Weighted};

/// Standardised data, and the maps back to original units.
pub(super) struct Prepared {
    /// Rows `[n, d]`.
    pub x: Vec<f64>,
    /// Targets `[n]`; with weights `[n, 2]`, a target and its weight.
    pub y: Vec<f64>,
    /// Whether rows have weights.
    pub weighted: bool,
    pub features: Standardizer,
    /// The map of a real target, or of counts; `None` for classes.
    pub target: Option<TargetMap>,
    /// Distribution of the targets.
    pub observation: Observation,
    /// The count that an output of 0 means: their mean.
    pub base_rate: f64,
}

impl Prepared {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.x.len() / self.features.columns()
    }

    /// Numbers in a row of `y`.
    fn width(&self) -> usize {
        self.y.len() / self.rows().max(1)
    }

    /// Target and weight of a row of a built-in model.
    pub fn target_of(&self, row: usize) -> (f64, f64) {
        match self.weighted {
            true => (self.y[2 * row], self.y[2 * row + 1]),
            false => (self.y[row], 1.0),
        }
    }

    /// The likelihood of the rows, for a network with so many outputs.
    pub fn likelihood(&self, noise: Noise, outputs: usize) -> Result<Box<dyn Likelihood>> {
        let plain = self.observation.likelihood(noise, self.base_rate)?;
        match self.weighted {
            true => Ok(Box::new(Weighted::new(plain.into(), outputs)?)),
            false => Ok(plain),
        }
    }

    /// Selects rows; their scales stay those of all rows.
    pub fn select(&self, rows: &[usize]) -> Self {
        let some = |values: &[f64], width: usize| {
            let row = |&i: &usize| values[i * width..(i + 1) * width].iter().copied();
            rows.iter().flat_map(row).collect()
        };
        Self {
            x: some(&self.x, self.features.columns()),
            y: some(&self.y, self.width()),
            weighted: self.weighted,
            features: self.features.clone(),
            target: self.target,
            observation: self.observation,
            base_rate: self.base_rate,
        }
    }
}

/// Standardises a data set in place. Counts stay as they are.
pub(super) fn prepare(data: Dataset, options: &FitOptions) -> Result<Prepared> {
    let observation = observation(&data, options)?;
    let features = feature_map(&data, options.feature_transform)?;
    let transform = options.target_transform;
    let weights = options.class_weights.of_rows(&data)?;
    let (x, y) = data.into_values();
    let x = features.transform_owned(x)?;
    let refused = observation.is_of_classes()
        || matches!(observation, Observation::Poisson | Observation::StudentT);
    if refused && transform != TargetTransform::None {
        let requirement = match observation {
            Observation::StudentT => {
                "does not go with Student-t noise: the target would have no mean".into()
            }
            _ => format!("is for real targets with noise, not for the likelihood {observation}"),
        };
        return Err(Error::config("target_transform", transform, &requirement));
    }
    let target = match observation {
        Observation::Categorical | Observation::Bernoulli => None,
        Observation::Poisson => Some(TargetMap::IDENTITY),
        _ => Some(transform.map(&y)?),
    };
    let base_rate = match observation {
        // positive even if all counts are zero
        Observation::Poisson => (y.iter().sum::<f64>() + 0.5) / (y.len() as f64 + 0.5),
        _ => 1.0,
    };
    let y = match target {
        Some(map) if map != TargetMap::IDENTITY => y.iter().map(|&y| map.forward(y)).collect(),
        _ => y,
    };
    let y = match &weights {
        Some(weights) => Weighted::join(&y, weights)?,
        None => y,
    };
    Ok(Prepared {
        x,
        y,
        weighted: weights.is_some(),
        features,
        target,
        observation,
        base_rate,
    })
}

/// Distribution of the targets: as asked for, or the task's default.
pub(super) fn observation(data: &Dataset, options: &FitOptions) -> Result<Observation> {
    let (classes, plain) = match data.task() {
        Task::Classification { classes } => (Some(classes), Observation::Categorical),
        Task::Regression => (None, Observation::Gaussian),
    };
    let Some(asked) = options.likelihood else {
        return Ok(plain);
    };
    let wrong = |requirement: &str| Err(Error::config("likelihood", asked, requirement));
    match (asked.is_of_classes(), classes) {
        (true, None) => wrong("is for classes; this target is a real number (see --task)"),
        (false, Some(_)) => wrong("is for a real target; this one has classes (see --task)"),
        (true, Some(classes)) if asked == Observation::Bernoulli && classes != 2 => {
            wrong(&format!("is for two classes; this target has {classes}"))
        }
        _ => Ok(asked),
    }
}

/// The network that the options ask for, with one input per feature and one output per class or
/// real target.
///
/// # Errors
/// If the likelihood does not go with the target.
pub(super) fn describe(data: &Dataset, options: &FitOptions) -> Result<NetworkSpec> {
    let classes = match data.task() {
        Task::Classification { classes } => classes,
        Task::Regression => 1,
    };
    let outputs = observation(data, options)?.outputs(classes);
    Ok(match &options.layers {
        Some(layers) => NetworkSpec::Layers {
            layers: layers.to_string(),
            outputs,
        },
        None => {
            let mut sizes = vec![data.d()];
            sizes.extend(&options.hidden);
            sizes.push(outputs);
            NetworkSpec::Mlp {
                sizes,
                activation: options.activation.name().into(),
            }
        }
    })
}
