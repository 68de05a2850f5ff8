//! What a predictor does in the precision of its model.

use super::member::Member;
use super::row::{Memory, RowPrediction};
use super::{Predictions, Rows, check_task};
use crate::artifact::calibration::{Calibration, share};
use crate::artifact::fitted::Fitted;
use crate::artifact::model::FittedModel;
use crate::artifact::task::TaskSpec;
use crate::data::{Dataset, Task};
use crate::error::{Error, Result, counted};
use crate::metrics::{RealRows, ScoredRows};
use crate::model::Observation;
use crate::parallel::Pool;
use crate::predict::{
    ClassPredictions, DrawOptions, MemberLaws, MixedPredictions, Outputs, PredictiveDraws,
    RealPredictions, RegressionPredictions,
};
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Rows that the models of a mixture predict at once.
const BLOCK: usize = 1024;

/// How a regression's outputs become its target, if by a shift and a scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    pub noise_std: f64,
    pub mean: f64,
    pub scale: f64,
}

impl Plain {
    /// For one model with Gaussian noise and a target that is only shifted and scaled.
    fn of<T>(model: &FittedModel<T>) -> Option<Self> {
        let task = &model.metadata.task;
        let TaskSpec::Regression {
            noise_std,
            target_mean,
            target_scale,
            ..
        } = *task
        else {
            return None;
        };
        let is_plain = !matches!(model.fitted, Fitted::Mixture(_))
            && task.observation() == Observation::Gaussian
            && task.target_map().warp.is_none();
        is_plain.then_some(Self {
            noise_std,
            mean: target_mean,
            scale: target_scale,
        })
    }
}

/// The models that predict, with their shares.
pub(in crate::artifact) struct Core<T: Scalar> {
    pub(super) task: Task,
    /// Names of the features.
    pub(super) features: Vec<String>,
    pub(super) plain: Option<Plain>,
    stretches: bool,
    pub(super) members: Vec<Member<T>>,
    pub(super) pool: Pool<Memory<T>>,
}

impl<T: Scalar> Core<T> {
    pub(in crate::artifact) fn new(
        model: &FittedModel<T>,
        count: usize,
        streams: Streams,
    ) -> Result<Self> {
        let plain = Plain::of(model);
        let crossed = model
            .metadata
            .calibration
            .iter()
            .any(Calibration::is_crossed);
        let members = match &model.fitted {
            Fitted::Mixture(members) => {
                let each = members.iter().map(|member| {
                    let own = share(member.weight, count, crossed);
                    Member::new(member.weight, &member.model, own, streams, false)
                });
                each.collect::<Result<_>>()?
            }
            _ => vec![Member::new(1.0, model, count, streams, plain.is_some())?],
        };
        Ok(Self {
            task: model.metadata.data_task(),
            features: model.metadata.feature_names.clone(),
            plain,
            stretches: model.metadata.stretches(),
            members,
            pool: Pool::new(),
        })
    }

    /// The only model; an error for a mixture.
    fn single(&self, what: &'static str) -> Result<&Member<T>> {
        match &self.members[..] {
            [member] => Ok(member),
            all => {
                let value = counted(all.len(), "model");
                Err(Error::config(
                    what,
                    value,
                    "are of one model, not of a mixture",
                ))
            }
        }
    }

    /// Passes rows on in blocks. The models of a mixture predict each block in turn. Errors count
    /// the rows of a block from its first.
    pub(super) fn blocks(
        &self,
        x: &[f64],
        mut use_block: impl FnMut(&[f64]) -> Result<()>,
    ) -> Result<()> {
        let d = self.features.len();
        if !x.len().is_multiple_of(d) {
            let (expected, got) = (
                format!("rows of {}", counted(d, "feature")),
                counted(x.len(), "number"),
            );
            return Err(Error::shape("predict", expected, got));
        }
        let mut blocks = x.chunks(BLOCK * d).enumerate();
        blocks.try_for_each(|(at, rows)| {
            let used = use_block(rows).map_err(|e| e.rows_from(at * BLOCK));
            self.named(used)
        })
    }

    /// Checks that data have the targets and the number of features that the model knows.
    fn check(&self, op: &'static str, data: &Dataset) -> Result<()> {
        check_task(op, self.task, data)?;
        if data.d() == self.features.len() {
            return Ok(());
        }
        let expected = counted(self.features.len(), "feature column");
        Err(Error::shape(op, expected, data.d()))
    }

    /// The same result; an error names features by their names.
    pub(super) fn named<R>(&self, result: Result<R>) -> Result<R> {
        result.map_err(|e| e.with_names(&self.features))
    }

    fn classes(&self, classes: usize, x: &[f64]) -> Result<ClassPredictions> {
        let mut all = ClassPredictions::empty(classes);
        if let [member] = &self.members[..] {
            self.named(member.outputs(x, |block| all.extend(block)))?;
            return Ok(all);
        }
        self.blocks(x, |rows| {
            let each = self
                .members
                .iter()
                .map(|m| Ok((m.weight, m.all_outputs(rows)?)))
                .collect::<Result<Vec<_>>>()?;
            all.extend_weighted(&each)
        })?;
        Ok(all)
    }

    /// The laws of a real target, block by block.
    fn laws(
        &self,
        x: &[f64],
        mut use_block: impl FnMut(&MixedPredictions) -> Result<()>,
    ) -> Result<()> {
        self.blocks(x, |rows| {
            let members = self
                .members
                .iter()
                .map(|member| member.laws(&member.all_outputs(rows)?))
                .collect::<Result<Vec<_>>>()?;
            let rows = rows.len() / self.features.len();
            use_block(&MixedPredictions { rows, members })
        })
    }

    /// The predictive mixtures of a regression, in the target's units, block by block.
    fn mixtures(
        &self,
        plain: Plain,
        x: &[f64],
        use_block: impl FnMut(&RegressionPredictions) -> Result<()>,
    ) -> Result<()> {
        match self.members.first() {
            Some(member) => self.named(member.mixtures(plain, x, use_block)),
            None => Ok(()),
        }
    }
}

impl<T: Scalar> Rows for Core<T> {
    fn task(&self) -> Task {
        self.task
    }

    fn width(&self) -> usize {
        self.features.len()
    }

    fn row(&self, x: &[f64], probabilities: &[f64], out: &mut RowPrediction) -> Result<()> {
        self.predict_row(x, probabilities, out)
    }

    fn rows(&self, x: &[f64], probabilities: &[f64]) -> Result<Predictions> {
        if let Task::Classification { classes } = self.task {
            return Ok(Predictions::Classes(self.classes(classes, x)?));
        }
        let mut all = RealPredictions::empty(probabilities);
        match self.plain {
            Some(plain) => self.mixtures(plain, x, |block| {
                all.extend(&block.summaries(probabilities)?);
                Ok(())
            })?,
            None => self.laws(x, |block| {
                all.extend(&block.summaries(probabilities)?);
                Ok(())
            })?,
        }
        Ok(Predictions::Real(all))
    }

    fn models(&self) -> usize {
        self.members.len()
    }

    fn rows_of(&self, model: usize, x: &[f64], probabilities: &[f64]) -> Result<Predictions> {
        self.alone(model, x, probabilities)
    }

    fn stretches(&self) -> bool {
        self.stretches
    }

    fn score_rows(&self, data: &Dataset, stretch: f64) -> Result<ScoredRows> {
        self.check("evaluate", data)?;
        if let Task::Classification { classes } = self.task {
            return Ok(ScoredRows::Classes {
                predictions: self.classes(classes, data.features())?,
                labels: data.labels()?,
                weights: data.weights().map(<[f64]>::to_vec),
            });
        }
        let mut all = RealRows::default();
        let y = data.targets();
        match self.plain {
            Some(plain) => self.mixtures(plain, data.features(), |block| {
                let rows = block.means.len() / block.samples.max(1);
                let targets = &y[all.len()..all.len() + rows];
                all.extend(RealRows::of(&*block.stretched(stretch)?, targets)?);
                Ok(())
            })?,
            None => self.laws(data.features(), |block| {
                let targets = &y[all.len()..all.len() + block.rows];
                all.extend(RealRows::of_laws(&*block.stretched(stretch)?, targets)?);
                Ok(())
            })?,
        }
        let all = ScoredRows::Real(all);
        match data.weights() {
            Some(weights) => all.weighted(weights),
            None => Ok(all),
        }
    }

    fn log_densities(&self, data: &Dataset, stretch: f64) -> Result<Vec<f64>> {
        self.check("log_densities", data)?;
        if let Task::Classification { classes } = self.task {
            let all = self.classes(classes, data.features())?;
            let rows = all.probabilities.chunks_exact(classes).zip(data.labels()?);
            return Ok(rows.map(|(p, label)| p[label].ln()).collect());
        }
        let mut all = Vec::new();
        let y = data.targets();
        match self.plain {
            Some(plain) => self.mixtures(plain, data.features(), |block| {
                let targets = &y[all.len()..];
                all.extend(block.stretched(stretch)?.log_densities(targets)?);
                Ok(())
            })?,
            None => self.laws(data.features(), |block| {
                let targets = &y[all.len()..all.len() + block.rows];
                let block = block.stretched(stretch)?;
                all.extend(block.each(|row, mixture| Ok(mixture.log_density(targets[row])))?);
                Ok(())
            })?,
        }
        Ok(all)
    }

    fn log_weighted_densities(&self, data: &Dataset) -> Result<Vec<f64>> {
        let op = "log_weighted_densities";
        self.check(op, data)?;
        let member = self.single("log densities of weighted rows")?;
        let once = vec![1.0; data.n()];
        let weights = data.weights().unwrap_or(&once);
        self.named(member.log_weighted_densities(data.features(), data.targets(), weights))
    }

    fn stretched_losses(&self, data: &Dataset, factors: &[f64]) -> Result<Vec<f64>> {
        self.check("stretched_losses", data)?;
        let (mut done, mut sums) = (0, vec![0.0; factors.len()]);
        let y = data.targets();
        if self.task != Task::Regression {
            return Err(Error::shape("stretched_losses", "a real target", "classes"));
        }
        let weights = data.weights();
        let add = |sum: &mut f64, first: usize, logs: &[f64]| match weights {
            None => *sum -= logs.iter().sum::<f64>(),
            Some(weights) => {
                // a row of weight 0 is not there, even if its density is 0
                let rows = logs
                    .iter()
                    .zip(&weights[first..])
                    .filter(|row| *row.1 > 0.0);
                *sum -= rows.map(|(log, weight)| weight * log).sum::<f64>();
            }
        };
        match self.plain {
            Some(plain) => self.mixtures(plain, data.features(), |block| {
                let rows = block.means.len() / block.samples.max(1);
                for (sum, &factor) in sums.iter_mut().zip(factors) {
                    let logs = block
                        .stretched(factor)?
                        .log_densities(&y[done..done + rows])?;
                    add(sum, done, &logs);
                }
                done += rows;
                Ok(())
            })?,
            None => self.laws(data.features(), |block| {
                let targets = &y[done..done + block.rows];
                for (sum, &factor) in sums.iter_mut().zip(factors) {
                    let block = block.stretched(factor)?;
                    let logs = block.each(|row, mixture| Ok(mixture.log_density(targets[row])));
                    add(sum, done, &logs?);
                }
                done += block.rows;
                Ok(())
            })?,
        }
        Ok(sums)
    }

    fn log_densities_of(&self, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
        let member = self.single("log densities by the likelihood")?;
        self.named(member.log_densities(x, y))
    }

    fn targets(&self, x: &[f64], probabilities: &[f64]) -> Result<Vec<RealPredictions>> {
        let member = self.single("several targets")?;
        if let Task::Classification { classes } = self.task {
            let value = format!("a target of {}", counted(classes, "class"));
            return Err(Error::config("targets", value, "are numbers"));
        }
        let mut all: Vec<RealPredictions> = Vec::new();
        self.blocks(x, |rows| {
            let outputs = member.all_outputs(rows)?;
            let targets = member.likelihood.target_dim(outputs.width);
            all.resize_with(targets, || RealPredictions::empty(probabilities));
            for (target, all) in all.iter_mut().enumerate() {
                let block = MixedPredictions {
                    rows: outputs.rows,
                    members: vec![member.laws_of(target, &outputs)?],
                };
                all.extend(&block.summaries(probabilities)?);
            }
            Ok(())
        })?;
        Ok(all)
    }

    fn draws(&self, x: &[f64], how: &DrawOptions) -> Result<PredictiveDraws> {
        self.joint_draws(x, how)
    }

    fn outputs(&self, x: &[f64]) -> Result<Outputs> {
        self.named(self.single("outputs")?.all_outputs(x))
    }

    fn laws(&self, x: &[f64]) -> Result<MemberLaws> {
        let member = self.single("laws of draws")?;
        self.named(member.all_outputs(x).and_then(|o| member.laws(&o)))
    }
}
