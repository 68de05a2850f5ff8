//! A posterior as ArviZ reads it: the JSON that `arviz.from_dict` takes (Kumar et al. 2019).
//!
//! Groups and names are those of ArviZ's schema. All arrays begin with `chain` and `draw`; with
//! `particles` walkers that keep all their points, each walker is a chain. Otherwise all draws are
//! one chain.
//!
//! | group | variable | further dimensions |
//! |---|---|---|
//! | `posterior` | `theta`, if there are at most 2^20 numbers of it | `parameter` |
//! | | the scales, by their names; `noise_std` (standardised units); `dof` | |
//! | `sample_stats` | `lp`, `energy`: minus `U`, and `U`, if the file has them | |
//! | `log_likelihood` | the target's name: log density or probability of each row, in its units | `row` |
//! | `posterior_predictive` | the same: a draw of each row's target, or its class | `row` |
//! | `observed_data` | the same: the targets; no chain and draw | `row` |
//!
//! The last three need test rows. A calibration that stretches a real target's distribution counts
//! in both: with the factor `c` and the row's mean `m`, draw `s` says `p_s(m + (y - m) / c) / c`,
//! and its draws are `m + c (y_s - m)`. The mean of these densities is the one that is scored. A
//! map of probabilities is of their average, so it does not count here: the arrays are those before
//! it.
//!
//! `docs/uncertainty.md` has the lines of Python that read it.

use serde_json::{Map, Value, json};

use super::material::Material;
use crate::artifact::{AnyModel, Metadata, Predictions};
use crate::data::Dataset;
use crate::error::{Error, Result, counted};
use crate::metrics::ScoredRows;
use crate::model::Observation;
use crate::predict::{RealMoments, draw_class};
use crate::rng::{Phase, Streams};

/// Most numbers of `theta`, and of an array over rows, that are written.
const THETA: usize = 1 << 20;
const ROWS: usize = 1 << 22;

/// Draws by chains.
#[derive(Clone, Copy)]
struct Shape {
    chains: usize,
    draws: usize,
}

impl Shape {
    /// Nested lists `[chain][draw]` of what `of` says about draw `s` in the order of the model.
    fn nested(self, of: impl Fn(usize) -> Value) -> Value {
        let draw = |chain: usize| {
            let draws = 0..self.draws;
            draws
                .map(|t| of(t * self.chains + chain))
                .collect::<Vec<_>>()
        };
        Value::from((0..self.chains).map(draw).collect::<Vec<_>>())
    }
}

/// The JSON, with `test` rows or without.
///
/// # Errors
/// If the model has no draws of its own (a MAP estimate, a mixture) or too many numbers, if rows
/// times draws exceed 2^22, with rows if it predicts without draws (an atlas of a regression), and
/// those of predictions.
pub fn arviz(model: &AnyModel, test: Option<&Dataset>, samples: usize, seed: u64) -> Result<Value> {
    let metadata = model.metadata();
    if test.is_some() && without_draws(metadata) {
        let requirement = "predicts without draws: freeze it (--frozen N), or leave TEST out";
        return Err(Error::config("model", "an atlas", requirement));
    }
    let walk = metadata.report.as_ref().and_then(|r| r.walk.as_ref());
    let kept = walk.filter(|_| metadata.method == "walk").map(|w| w.kept);
    let samples = kept.unwrap_or(samples).max(1);
    let predictor = model.predictor(samples, seed)?;
    let known;
    let empty = ScoredRows::Real(crate::metrics::RealRows::default());
    // rows are only needed for predictions
    let rows = match test {
        Some(test) => test,
        None => {
            let d = metadata.feature_names.len();
            let (x, y) = (vec![0.0; d], vec![0.0]);
            let names = metadata.feature_names.clone();
            known = Dataset::new(x, y, names, &metadata.target_name, metadata.data_task())?;
            &known
        }
    };
    let how = (samples, seed, usize::MAX);
    let material = Material::with_most(model, &predictor, rows, &empty, how)?;
    let Some(draws) = &material.draws else {
        let requirement = "has no draws to export, or too many numbers: a MAP estimate has one \
                           point, and the models of a mixture have no parameters in common";
        return Err(Error::config("model", &metadata.method, requirement));
    };
    let dim = material.parameters;
    let count = draws.theta.len() / dim.max(1);
    let chains = material.particles.unwrap_or(1);
    let shape = Shape {
        chains,
        draws: count / chains,
    };
    let mut posterior = Map::new();
    let mut dims = Map::new();
    if draws.theta.len() <= THETA {
        let theta = |s: usize| json!(draws.theta[s * dim..(s + 1) * dim]);
        posterior.insert("theta".into(), shape.nested(theta));
        dims.insert("theta".into(), json!(["parameter"]));
    }
    let names = metadata.scales.as_ref().map_or(&[][..], |s| &s.names);
    let mut scalar = |name: &str, of: &dyn Fn(usize) -> f64| {
        posterior.insert(name.into(), shape.nested(|s| json!(of(s))));
    };
    for (i, name) in names.iter().enumerate() {
        scalar(name, &|s| draws.scales[s * names.len() + i]);
    }
    for (name, values) in [("noise_std", &draws.noise_std), ("dof", &draws.dof)] {
        if values.len() == count {
            scalar(name, &|s| values[s]);
        }
    }
    let mut all = Map::new();
    all.insert("posterior".into(), posterior.into());
    let energies = walk.map_or(&[][..], |w| &w.energies);
    if energies.len() == count && kept == Some(count) {
        let lp = shape.nested(|s| json!(-energies[s]));
        let energy = shape.nested(|s| json!(energies[s]));
        all.insert("sample_stats".into(), json!({ "lp": lp, "energy": energy }));
    }
    if let Some(test) = test {
        let cells = test.n().saturating_mul(count);
        if cells > ROWS {
            let requirement = format!(
                "times {} is more than 2^22: take fewer (--rows)",
                counted(count, "draw")
            );
            return Err(Error::config("rows", test.n(), &requirement));
        }
        let name = &metadata.target_name;
        let of_rows = match material.classes.is_empty() {
            true => of_laws(&material, test, seed)?,
            false => of_classes(&material, test, seed)?,
        };
        let ByDraw { log_lik, drawn, .. } = &of_rows;
        if of_rows.samples != count {
            // chains and draws would be cut in the wrong places
            let expected = counted(count, "draw");
            return Err(Error::shape("arviz", expected, of_rows.samples));
        }
        let n = test.n();
        // [row, draw] to [draw][row]
        let column = |values: &[f64], s: usize| {
            json!((0..n).map(|r| values[r * count + s]).collect::<Vec<_>>())
        };
        all.insert(
            "log_likelihood".into(),
            json!({ name: shape.nested(|s| column(log_lik, s)) }),
        );
        all.insert(
            "posterior_predictive".into(),
            json!({ name: shape.nested(|s| column(drawn, s)) }),
        );
        all.insert("observed_data".into(), json!({ name: test.targets() }));
        dims.insert(name.clone(), json!(["row"]));
    }
    all.insert("dims".into(), dims.into());
    Ok(Value::from(all))
}

/// True for an atlas of a real target with Gaussian noise: it integrates its last layer out.
fn without_draws(metadata: &Metadata) -> bool {
    let task = &metadata.task;
    metadata.method == "atlas"
        && !metadata.frozen
        && task.classes().is_none()
        && task.observation() == Observation::Gaussian
        && task.target_map().warp.is_none()
}

/// What each draw says of each row, `[row, draw]`.
struct ByDraw {
    /// Draws.
    samples: usize,
    /// Log densities, or log probabilities, of the targets.
    log_lik: Vec<f64>,
    /// Drawn targets, or classes.
    drawn: Vec<f64>,
}

/// Log probabilities and drawn classes.
fn of_classes(material: &Material<'_>, test: &Dataset, seed: u64) -> Result<ByDraw> {
    let Some(by_draw) = material.by_draw(test.features())? else {
        let requirement = "says no probabilities by draw";
        return Err(Error::config("model", "own", requirement));
    };
    let k = by_draw.width.max(1);
    let labels = test.labels()?;
    let (mut log_lik, mut drawn) = (Vec::new(), Vec::new());
    for (row, label) in labels.iter().enumerate() {
        let mut rng = Streams::new(seed).rng(Phase::REPORT, row as u64);
        for p in by_draw.row(row).chunks(k) {
            log_lik.push(p[*label].ln());
            drawn.push(draw_class(p, &mut rng) as f64);
        }
    }
    Ok(ByDraw {
        samples: by_draw.samples,
        log_lik,
        drawn,
    })
}

/// Log densities and drawn targets, in the target's units, stretched as the model's predictions
/// are.
fn of_laws(material: &Material<'_>, test: &Dataset, seed: u64) -> Result<ByDraw> {
    let laws = material.predictor.laws(test.features())?;
    let factor = material.stretch();
    // the means are those before the stretch
    let moments = match material.predictor.rows(test.features())? {
        Predictions::Real(p) if factor != 1.0 => Some(p.moments),
        _ => None,
    };
    let (mut log_lik, mut drawn) = (Vec::new(), Vec::new());
    for (row, y) in test.targets().iter().enumerate() {
        let mut rng = Streams::new(seed).rng(Phase::REPORT, row as u64);
        let moments = moments.as_ref().and_then(|m| m.get(row));
        let stretched = |m: &RealMoments, y: f64, by: f64| m.stretched_quantile(y, by);
        let plain = moments.map_or(*y, |m| stretched(m, *y, 1.0 / factor));
        let z = laws.target.forward(plain);
        let slope = laws.target.log_slope(plain) - factor.ln();
        for law in &laws.laws[row * laws.samples..(row + 1) * laws.samples] {
            log_lik.push(law.log_density(z) + slope);
            let y = laws.target.inverse(law.draw(&mut rng)?);
            drawn.push(moments.map_or(y, |m| stretched(m, y, factor)));
        }
    }
    Ok(ByDraw {
        samples: laws.samples,
        log_lik,
        drawn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_step_by_step_become_chains() {
        let shape = Shape {
            chains: 2,
            draws: 3,
        };
        assert_eq!(shape.nested(|s| json!(s)), json!([[0, 2, 4], [1, 3, 5]]));
    }
}
