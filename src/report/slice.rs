//! The energy on a plane through the mean of some draws.
//!
//! `U(theta) = -log p(D | theta) - log p(theta)` with the scales held: prior standard deviations and
//! the noise at the means of their logarithms over the draws, or as they were given. On a plane
//! `theta = mean + a e_1 + b e_2` with unit directions `e` it is a function of two numbers.
//!
//! What it drops: the posterior of the scales, and all that is not on the plane.

use std::f64::consts::PI;

use crate::artifact::{Draws, Metadata, TrainingRows};
use crate::autodiff::Var;
use crate::data::Dataset;
use crate::error::{Error, Result, counted};
use crate::model::{
    IsotropicGaussian, Likelihood, LogDensity, Noise, Observation, PosteriorDensity, Prior,
    ScaledNetwork, Weighted,
};
use crate::nn::{Network, ParamLayout};
use crate::pipeline::ClassWeights;

use super::contours::Grid;

/// Nodes along each side of a grid, at most and at least.
const SIDES: [usize; 2] = [41, 15];
/// Multiplications that a grid may take: some seconds.
const WORK: f64 = 4e10;
/// How often an image uses a weight, about: convolutions share them.
const SHARED: f64 = 8.0;

/// The training rows of a table as the network sees them.
///
/// # Errors
/// If it cannot be the table that the model was fitted to.
pub fn training_rows(metadata: &Metadata, data: &Dataset) -> Result<TrainingRows<f64>> {
    let report = metadata.report.as_ref();
    let fitted = report.and_then(|r| r.data.as_ref()).map(|d| d.rows);
    let whole = metadata.calibration.is_none();
    if let Some(rows) = fitted.filter(|rows| whole && *rows != data.n()) {
        let requirement = format!("the model was fitted to {}", counted(rows, "row"));
        return Err(Error::config(
            "train",
            counted(data.n(), "row"),
            &requirement,
        ));
    }
    let x = metadata.standardizer()?.transform(data.features())?;
    let map = metadata.task.target_map();
    let y: Vec<f64> = data.targets().iter().map(|y| map.forward(*y)).collect();
    let balanced = metadata.weights.as_ref().is_some_and(|w| w.balanced);
    let classes = match balanced {
        true => ClassWeights::Balanced,
        false => ClassWeights::None,
    };
    let y = match (classes.of_rows(data)?, &metadata.weights) {
        (Some(weights), Some(_)) => Weighted::join(&y, &weights)?,
        (None, Some(_)) => {
            let requirement = "lacks the column of weights that the model was fitted with";
            return Err(Error::config(
                "train",
                counted(data.n(), "row"),
                requirement,
            ));
        }
        (_, None) => y,
    };
    Ok(TrainingRows { x, y })
}

/// A Gaussian prior with a precision for each parameter.
struct Held(Vec<f64>);

impl Prior for Held {
    fn neg_log_density<'g>(&self, theta: Var<'g>, _: &ParamLayout) -> Var<'g> {
        let constant: f64 = self
            .0
            .iter()
            .map(|p| 0.5 * ((2.0 * PI).ln() - p.ln()))
            .sum();
        let precision = theta.graph().tensor(&[self.0.len()], self.0.clone());
        (theta.square() * precision).sum() * 0.5 + constant
    }

    fn precision(&self, _: &ParamLayout) -> Vec<f64> {
        self.0.clone()
    }
}

/// The energy of a model, with its scales held.
pub struct Energy {
    density: PosteriorDensity<f64>,
    /// The likelihood's own parameters, which follow the network's.
    own: Vec<f64>,
    /// Nodes along a side that time allows.
    side: usize,
}

impl Energy {
    /// The energy of these training rows. `None`: the model's parts are not in its file, or a grid
    /// would take too long.
    ///
    /// # Errors
    /// Those of densities.
    pub fn new(
        metadata: &Metadata,
        rows: &TrainingRows<f64>,
        draws: &Draws<f64>,
    ) -> Result<Option<Self>> {
        let (Ok(network), true) = (metadata.build_network(), metadata.members.is_empty()) else {
            return Ok(None);
        };
        let n = rows.x.len() / network.input_dim().max(1);
        let uses = if metadata.image.is_some() {
            SHARED
        } else {
            1.0
        };
        let work = n as f64 * network.dim() as f64 * uses;
        let side = ((WORK / work).sqrt() as usize).min(SIDES[0]);
        if side < SIDES[1] {
            return Ok(None);
        }
        let observation = metadata.task.observation();
        let held = held(metadata, network.as_ref(), draws)?;
        let prior: Box<dyn Prior> = match held {
            Some(held) => Box::new(held),
            None => Box::new(IsotropicGaussian::new(metadata.prior_precision)?),
        };
        let own = means(&draws.params, observation.own());
        let (noise, base_rate) = match metadata.task {
            crate::artifact::TaskSpec::Regression {
                noise_std,
                base_rate,
                ..
            } => (noise_std, base_rate.unwrap_or(1.0)),
            crate::artifact::TaskSpec::Classification { .. } => (1.0, 1.0),
        };
        let noise = match own.is_empty() {
            true => Noise::Given(noise),
            // its prior is a constant here
            false => Noise::Sampled { scale: 0.5 },
        };
        let Ok(plain) = observation.likelihood(noise, base_rate) else {
            return Ok(None);
        };
        let likelihood: Box<dyn Likelihood> = match metadata.weights {
            Some(_) => Box::new(Weighted::new(plain.into(), network.output_dim())?),
            None => plain,
        };
        let parts = (network.as_ref(), likelihood.as_ref(), prior.as_ref());
        let density = PosteriorDensity::new(parts.0, parts.1, parts.2, &rows.x, &rows.y)?;
        Ok(Some(Self { density, own, side }))
    }

    /// `U` of points `[s, P]`.
    ///
    /// # Errors
    /// If their length is wrong.
    pub fn of(&self, points: &[f64], dim: usize) -> Result<Vec<f64>> {
        let mut memory = self.density.workspace();
        let each = points.chunks_exact(dim.max(1)).map(|point| {
            let all = [point, &self.own].concat();
            self.density.log_density(&all, &mut memory).map(|u| -u)
        });
        each.collect()
    }

    /// `U` on the plane `mean + a e_1 + b e_2`, for `a` and `b` in two ranges, less its least
    /// value; and that value.
    ///
    /// # Errors
    /// If lengths are wrong.
    pub fn on(
        &self,
        mean: &[f64],
        axes: [&[f64]; 2],
        ranges: [[f64; 2]; 2],
    ) -> Result<(Grid, f64)> {
        let [x, y] = ranges.map(|[low, high]| {
            let step = (high - low) / (self.side - 1) as f64;
            let places = (0..self.side).map(|i| low + i as f64 * step);
            places.collect::<Vec<f64>>()
        });
        let rows = crate::parallel::try_map(y.len(), |j| {
            let b = y[j];
            let of = |&a: &f64| {
                let each = mean.iter().zip(axes[0].iter().zip(axes[1]));
                each.map(move |(m, (e, f))| m + a * e + b * f)
            };
            let points: Vec<f64> = x.iter().flat_map(of).collect();
            self.of(&points, mean.len())
        })?;
        let mut values = rows.concat();
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let lowest = finite.fold(f64::INFINITY, f64::min);
        values.iter_mut().for_each(|v| *v -= lowest);
        Ok((Grid { x, y, values }, lowest))
    }
}

/// The prior with the sampled scales at the means of their logarithms.
fn held(metadata: &Metadata, network: &dyn Network, draws: &Draws<f64>) -> Result<Option<Held>> {
    let Some(spec) = &metadata.scales else {
        return Ok(None);
    };
    let groups = spec.groups.parse()?;
    let scaled = match metadata.task.observation() {
        Observation::Heteroscedastic => ScaledNetwork::with_scale_per_output(network, groups),
        _ => ScaledNetwork::new(network, groups),
    };
    if scaled.scale_names() != spec.names {
        let (expected, got) = (scaled.scale_names().join(", "), spec.names.join(", "));
        return Err(Error::shape("scales", expected, got));
    }
    let logs: Vec<f64> = draws.scales.iter().map(|s| s.ln()).collect();
    let mut std = vec![1.0; network.dim()];
    scaled.prior_std(&means(&logs, spec.names.len()), &mut std)?;
    Ok(Some(Held(std.iter().map(|s| s.powi(-2)).collect())))
}

/// The mean of each of `width` columns; nothing without rows.
fn means(values: &[f64], width: usize) -> Vec<f64> {
    let rows = values.len() / width.max(1);
    if rows == 0 {
        return Vec::new();
    }
    let column = |c: usize| values.iter().skip(c).step_by(width).sum::<f64>() / rows as f64;
    (0..width).map(column).collect()
}

#[cfg(test)]
#[path = "slice_tests.rs"]
mod tests;
