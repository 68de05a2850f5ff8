//! The data as the network sees them, and the network that fits them.

use super::FitOptions;
use crate::artifact::NetworkSpec;
use crate::data::{Dataset, Standardizer, Task};
use crate::error::Result;

/// Standardised data and how to go back.
pub(super) struct Prepared {
    /// Rows `[n, d]`.
    pub x: Vec<f64>,
    /// Targets `[n]`.
    pub y: Vec<f64>,
    pub features: Standardizer,
    /// Mean and scale of a regression target.
    pub target: Option<(f64, f64)>,
}

impl Prepared {
    /// Some of the rows, on the scales of all.
    pub fn select(&self, rows: &[usize]) -> Self {
        let d = self.x.len() / self.y.len().max(1);
        let row = |&i: &usize| self.x[i * d..(i + 1) * d].iter().copied();
        Self {
            x: rows.iter().flat_map(row).collect(),
            y: rows.iter().map(|&i| self.y[i]).collect(),
            features: self.features.clone(),
            target: self.target,
        }
    }
}

/// Standardises a set in place. Pixels of images share one mean and scale: they are one quantity at many places, and a pixel that
/// is nearly always blank must not be blown up to the size of the others.
pub(super) fn prepare(data: Dataset) -> Result<Prepared> {
    let features = match data.image() {
        Some(_) => Standardizer::fit_shared(data.features(), data.d())?,
        None => Standardizer::fit(data.features(), data.d())?,
    };
    let task = data.task();
    let (x, y) = data.into_values();
    let x = features.transform_owned(x)?;
    Ok(match task {
        Task::Classification { .. } => Prepared {
            x,
            y,
            features,
            target: None,
        },
        Task::Regression => {
            let target = Standardizer::fit(&y, 1)?;
            Prepared {
                x,
                y: target.transform_owned(y)?,
                features,
                target: Some((target.mean()[0], target.scale()[0])),
            }
        }
    })
}

/// The network that the options ask for, with an input for every feature and an output for every class or real target.
pub(super) fn describe(data: &Dataset, options: &FitOptions) -> NetworkSpec {
    let outputs = match data.task() {
        Task::Classification { classes } => classes,
        Task::Regression => 1,
    };
    match &options.layers {
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
    }
}
