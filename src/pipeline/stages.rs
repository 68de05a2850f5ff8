//! A fit, from the rows to the model.

use super::checkpoint::Keeper;
use super::describe::About;
use super::exact_loo::exact_rows;
use super::fit::Problem;
use super::own::{OwnFit, prepare_own};
use super::portfolio::fit_portfolio;
use super::prepare::{describe, prepare};
use super::width::fit_chosen;
use super::{FitOptions, FitReport, MethodOptions, Stage};
use crate::artifact::{Compiled, FittedModel, NetworkSpec};
use crate::data::Dataset;
use crate::diagnose::Loo;
use crate::error::Result;
use crate::model::Model;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// A fitted model, and what is known about its fit.
pub struct FitResult<T> {
    /// The model.
    pub model: FittedModel<T>,
    /// The results of every stage, and the verdict.
    pub report: FitReport,
    /// Leave-one-out of the training rows, if the points are draws of the posterior and its cost is
    /// small compared with the fit's.
    pub loo: Option<Loo>,
}

/// Fits a posterior to a data set. `progress` is called from any thread with a stage, how much of
/// it is done, and how much there is.
///
/// # Errors
/// If the data cannot train a model, a setting is out of range, another fit writes to the same
/// files, or a stage fails.
pub fn fit<T: Fits>(
    data: &Dataset,
    options: &FitOptions,
    progress: &(dyn Fn(Stage, usize, usize) + Sync),
) -> Result<FitResult<T>> {
    fit_owned(data.clone(), options, progress)
}

/// As [`fit`], for a data set that is not needed afterwards. It is standardised in place, which
/// saves the memory of a copy.
///
/// # Errors
/// Those of [`fit`].
pub fn fit_owned<T: Fits>(
    data: Dataset,
    options: &FitOptions,
    progress: &(dyn Fn(Stage, usize, usize) + Sync),
) -> Result<FitResult<T>> {
    T::fit_data(data, options, progress)
}

/// `f32` or `f64`. All methods are compiled for it in this crate, and not again in the user's.
pub trait Fits: Compiled {
    #[doc(hidden)]
    fn fit_data(
        data: Dataset,
        options: &FitOptions,
        progress: &(dyn Fn(Stage, usize, usize) + Sync),
    ) -> Result<FitResult<Self>>;
    #[doc(hidden)]
    fn fit_own(
        model: &Model,
        x: &[f64],
        y: &[f64],
        options: &FitOptions,
        progress: &(dyn Fn(Stage, usize, usize) + Sync),
    ) -> Result<FitResult<Self>>;
}

macro_rules! fits {
    ($t:ident) => {
        impl Fits for $t {
            fn fit_data(
                data: Dataset,
                options: &FitOptions,
                progress: &(dyn Fn(Stage, usize, usize) + Sync),
            ) -> Result<FitResult<$t>> {
                stages(data, options, progress)
            }
            fn fit_own(
                model: &Model,
                x: &[f64],
                y: &[f64],
                options: &FitOptions,
                progress: &(dyn Fn(Stage, usize, usize) + Sync),
            ) -> Result<FitResult<$t>> {
                stages_of_own(model, x, y, options, progress)
            }
        }
    };
}

fits!(f32);
fits!(f64);

fn stages<T: Fits>(
    data: Dataset,
    options: &FitOptions,
    progress: &(dyn Fn(Stage, usize, usize) + Sync),
) -> Result<FitResult<T>> {
    data.check_trainable()?;
    if let MethodOptions::Auto(auto) = &options.method {
        return fit_portfolio(&data, options, auto, progress);
    }
    if let Some(walk) = &options.choose_hidden {
        return fit_chosen(data, options, walk, progress);
    }
    // exact leave-one-out needs the raw rows, and `data` is standardised in place
    let untouched = (options.method.loo_refits() > 0).then(|| data.clone());
    let spec = describe(&data, options)?;
    let network = spec.build(data.image())?;
    let mut summary = FitReport::default();
    summary.data(&data);
    summary.network(&spec, network.dim());
    let about = About::of(&data);
    let problem = Problem {
        options,
        own: None,
        network: network.as_ref(),
        prepared: prepare(data, options)?,
        streams: Streams::new(options.seed),
        progress,
    };
    problem.check_options()?;
    summary.columns(&problem.prepared, about.feature_names());
    let mut result = problem.run::<T>(about, spec, summary)?;
    let samples = options.method.samples();
    if let (Some(of_walk), Some(data), Some(samples)) = (&result.loo, &untouched, samples) {
        let (of_walk, how) = (of_walk.clone(), (options, samples));
        let exact = exact_rows::<T>(data, how, of_walk, &mut result.report, progress)?;
        result.loo = Some(exact);
        result.model.metadata.report = Some(result.report.clone());
    }
    Ok(result)
}

fn stages_of_own<T: Fits>(
    model: &Model,
    x: &[f64],
    y: &[f64],
    options: &FitOptions,
    progress: &(dyn Fn(Stage, usize, usize) + Sync),
) -> Result<FitResult<T>> {
    let OwnFit {
        prepared,
        about,
        spec,
    } = prepare_own(model, x, y, options)?;
    let network = model.linear_head();
    let mut summary = FitReport::default();
    summary.network(&spec, network.dim());
    let problem = Problem {
        options,
        own: Some(model),
        network: network.as_ref(),
        prepared,
        streams: Streams::new(options.seed),
        progress,
    };
    problem.check_options()?;
    problem.run(about, spec, summary)
}

impl Problem<'_> {
    /// Runs all stages after the settings are checked.
    fn run<T: Scalar>(
        mut self,
        about: About,
        spec: NetworkSpec,
        mut summary: FitReport,
    ) -> Result<FitResult<T>> {
        let mut keeper = Keeper::<T>::new(&self)?;
        let evidence = match (keeper.evidence(), self.own) {
            (Some((evidence, said)), _) => {
                summary = said;
                evidence
            }
            (None, Some(model)) => self.own_estimate(model, &mut summary)?,
            // if scales are sampled, the walk has separate starts
            (None, None) if self.groups().is_some() => self.stand_in(&mut summary)?,
            (None, None) => self.fit_map(&mut summary)?,
        };
        keeper.trained(&evidence, &summary);
        let fitted = self.fit_method(&evidence, &mut keeper, &mut summary)?;
        keeper.say(&mut summary);
        let loo = self.leave_one_out(&fitted, evidence.noise_std, &mut summary)?;
        let metadata = self.metadata(about, spec, &evidence, &fitted, &summary);
        Ok(FitResult {
            model: FittedModel {
                metadata,
                map: evidence.map.theta,
                fitted,
                parts: self.own.cloned(),
            },
            report: summary,
            loo,
        })
    }
}
