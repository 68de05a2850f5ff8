//! Conformal regions by CV+: each model of a mixture is the fit without a fold.

use super::calibrated::{ConformalRegions, quantiles_of};
use super::core::Core;
use super::{Predictions, Predictor};
use crate::artifact::calibration::{Conformal, ConformalScore};
use crate::calibrate::conformal::cross::{cv_plus_interval, cv_plus_set};
use crate::calibrate::conformal::{Ends, interval_score, set_score, set_scores, uniform_of};
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::parallel;
use crate::predict::{ClassPredictions, MixedPredictions, RealPredictions};
use crate::scalar::Scalar;

/// Rows whose regions are computed at once.
const BLOCK: usize = 1024;

impl Predictor {
    /// The regions of rows `x`.
    pub(super) fn crossed(&self, conformal: &Conformal, x: &[f64]) -> Result<ConformalRegions> {
        let (d, classes) = (self.rows.width(), self.rows.classes());
        let (mut ends, mut inside) = (Vec::new(), Vec::new());
        for (at, block) in x.chunks(BLOCK * d).enumerate() {
            let of_block = self.crossed_block(conformal, block);
            match of_block.map_err(|e| e.rows_from(at * BLOCK))? {
                ConformalRegions::Intervals(more) => ends.extend(more),
                ConformalRegions::Sets { inside: more, .. } => inside.extend(more),
            }
        }
        Ok(match classes {
            Some(classes) => ConformalRegions::Sets { classes, inside },
            None => ConformalRegions::Intervals(ends),
        })
    }

    /// The conformal scores of rows that the fit without fold `fold` has not seen, `[n]`.
    pub(crate) fn fold_scores(
        &self,
        conformal: &Conformal,
        fold: usize,
        data: &Dataset,
    ) -> Result<Vec<f64>> {
        let (x, at) = (data.features(), quantiles_of(conformal)?);
        match (conformal.score, self.rows.rows_of(fold, x, &at)?) {
            (ConformalScore::Interval(kind), Predictions::Real(p)) => {
                let each = data.targets().iter().enumerate();
                let score = |(row, &y): (usize, &f64)| interval_score(kind, &ends_of(&p, row), y);
                Ok(each.map(score).collect())
            }
            (ConformalScore::Set(kind), Predictions::Classes(p)) => {
                let rows = p.probabilities.chunks_exact(p.classes.max(1));
                let rows = rows.zip(x.chunks_exact(self.rows.width()));
                let each = rows.zip(data.labels()?);
                let score = |((p, x), y): ((&[f64], &[f64]), usize)| {
                    set_score(kind, p, y, uniform_of(x, conformal.seed))
                };
                Ok(each.map(score).collect())
            }
            _ => Err(other_target(conformal)),
        }
    }

    fn crossed_block(&self, conformal: &Conformal, x: &[f64]) -> Result<ConformalRegions> {
        let (d, at) = (self.rows.width(), quantiles_of(conformal)?);
        let (mut reals, mut classes) = (Vec::new(), Vec::new());
        for model in 0..self.rows.models() {
            match self.rows.rows_of(model, x, &at)? {
                Predictions::Real(p) => reals.push(p),
                Predictions::Classes(p) => classes.push(p),
            }
        }
        let (scores, level) = (&conformal.folds, conformal.level);
        match (conformal.score, self.rows.classes()) {
            (ConformalScore::Interval(kind), None) => {
                let ends = parallel::try_map(x.len() / d, |row| {
                    let each: Vec<Ends> = reals.iter().map(|p| ends_of(p, row)).collect();
                    cv_plus_interval(kind, &each, scores, level)
                })?;
                Ok(ConformalRegions::Intervals(ends))
            }
            (ConformalScore::Set(kind), Some(k)) => {
                let sets = parallel::try_map(x.len() / d, |row| {
                    let u = uniform_of(&x[row * d..(row + 1) * d], conformal.seed);
                    let of_model = |p: &ClassPredictions| {
                        set_scores(kind, &p.probabilities[row * k..(row + 1) * k], u)
                    };
                    let each: Vec<f64> = classes.iter().flat_map(of_model).collect();
                    cv_plus_set(&each, k, scores, level)
                })?;
                let inside = sets.concat();
                Ok(ConformalRegions::Sets { classes: k, inside })
            }
            _ => Err(other_target(conformal)),
        }
    }
}

fn other_target(conformal: &Conformal) -> Error {
    Error::shape("conformal", conformal.score.name(), "another target")
}

fn ends_of(p: &RealPredictions, row: usize) -> Ends {
    let (m, quantiles) = (p.moments[row], p.quantiles_of(row));
    Ends {
        mean: m.mean,
        std: m.std,
        quantiles: match quantiles {
            [low, high] => [*low, *high],
            _ => [f64::NAN; 2],
        },
    }
}

impl<T: Scalar> Core<T> {
    /// Predictions of one model.
    pub(super) fn alone(&self, model: usize, x: &[f64], at: &[f64]) -> Result<Predictions> {
        let missing = || Error::shape("predict", "a model of the mixture", model);
        let member = self.members.get(model).ok_or_else(missing)?;
        if let Task::Classification { classes } = self.task {
            let mut all = ClassPredictions::empty(classes);
            self.named(member.outputs(x, |block| all.extend(block)))?;
            return Ok(Predictions::Classes(all));
        }
        let mut all = RealPredictions::empty(at);
        self.blocks(x, |rows| {
            let laws = member.laws(&member.all_outputs(rows)?)?;
            let block = MixedPredictions {
                rows: rows.len() / self.features.len(),
                members: vec![laws],
            };
            all.extend(&block.summaries(at)?);
            Ok(())
        })?;
        Ok(Predictions::Real(all))
    }
}
