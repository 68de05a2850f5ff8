//! A fit, from the rows to the model.

use super::calibrated::fit_calibrated;
use super::checkpoint::{Keeper, Subject};
use super::constant::{SomeRows, judge};
use super::context::Problem;
use super::densities::Densities;
use super::describe::About;
use super::exact_loo::exact_rows;
use super::identity::identity;
use super::own::{OwnFit, prepare_own};
use super::portfolio::fit_portfolio;
use super::prepare::{describe, prepare};
use super::width::fit_chosen;
use super::{FitOptions, FitReport, FitResult, Fits, MethodOptions, Progress};
use crate::artifact::{Files, FittedModel, NetworkSpec};
use crate::curvature::EvidenceReport;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::rng::Streams;
use crate::scalar::Scalar;

macro_rules! fits {
    ($t:ident) => {
        impl Fits for $t {
            fn fit_data(
                data: Dataset,
                options: &FitOptions,
                progress: &dyn Progress,
            ) -> Result<FitResult<$t>> {
                stages(&Files::default(), data, options, progress)
            }
            fn fit_own(
                model: &Model,
                x: &[f64],
                y: &[f64],
                options: &FitOptions,
                progress: &dyn Progress,
            ) -> Result<FitResult<$t>> {
                stages_of_own(model, x, y, options, progress)
            }
        }
    };
}

fits!(f32);
fits!(f64);

/// Fits a posterior to a data set; the files of its walk are in the given file system.
pub(super) fn stages<T: Fits>(
    files: &Files,
    data: Dataset,
    options: &FitOptions,
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    data.check_trainable()?;
    if let Some(how) = &options.calibration {
        return fit_calibrated(data, options, how, progress);
    }
    if let MethodOptions::Auto(auto) = &options.method {
        return fit_portfolio(&data, options, auto, progress);
    }
    if let Some(walk) = &options.choose_hidden {
        return fit_chosen(data, options, walk, progress);
    }
    // exact leave-one-out needs the raw rows, and `data` is standardised in place
    let untouched = (options.method.loo_refits() > 0).then(|| data.clone());
    let some = SomeRows::of(data.features(), data.targets());
    let spec = describe(&data, options)?;
    let network = spec.build(data.image())?;
    let mut summary = FitReport::default();
    summary.data(&data, options.class_weights)?;
    summary.network(&spec, network.dim());
    let about = About::of(&data, options.class_weights);
    let problem = Problem {
        files,
        options,
        own: None,
        network: network.as_ref(),
        prepared: prepare(data, options)?,
        streams: Streams::new(options.seed),
        progress,
        densities: Densities::default(),
    };
    problem.check_options()?;
    summary.columns(&problem.prepared, about.feature_names());
    problem.run(about, spec, summary, (untouched.as_ref(), &some))
}

fn stages_of_own<T: Fits>(
    model: &Model,
    x: &[f64],
    y: &[f64],
    options: &FitOptions,
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    if let Some(how) = &options.calibration {
        let requirement = "is for built-in models: hold out rows yourself, and use `calibrate`";
        return Err(Error::config("calibrate", how.share, requirement));
    }
    let OwnFit {
        prepared,
        about,
        spec,
    } = prepare_own(model, x, y, options)?;
    let (network, files) = (model.linear_head(), Files::default());
    let mut summary = FitReport::default();
    summary.network(&spec, network.dim());
    let problem = Problem {
        files: &files,
        options,
        own: Some(model),
        network: network.as_ref(),
        prepared,
        streams: Streams::new(options.seed),
        progress,
        densities: Densities::default(),
    };
    problem.check_options()?;
    // of several targets in a row, none is compared
    let some = SomeRows::of(
        x,
        if y.len() == problem.prepared.rows() {
            y
        } else {
            &[]
        },
    );
    problem.run(about, spec, summary, (None, &some))
}

impl<'a> Problem<'a> {
    /// What the keeper of checkpoints has to know.
    fn subject<T: Scalar>(&self) -> Result<Subject<'a>> {
        let method = &self.options.method;
        let (checkpoint, walk) = (method.checkpoint(), method.walk());
        let identified = checkpoint.is_some_and(|o| o.saves_cancelled() || o.resume);
        Ok(Subject {
            files: self.files.clone(),
            options: checkpoint,
            spool: method.spool(),
            dim: self.dim(),
            others: walk.map_or(0, |walk| walk.starts.saturating_sub(1)),
            coordinates: self.coordinates(),
            identity: match walk.filter(|_| identified) {
                Some(walk) => identity::<T>(self, walk)?,
                None => Vec::new(),
            },
        })
    }

    /// Runs all stages after the settings are checked. `raw` are the rows for exact leave-one-out,
    /// and some rows whose predictions are looked at.
    fn run<T: Fits>(
        self,
        about: About,
        spec: NetworkSpec,
        summary: FitReport,
        raw: (Option<&Dataset>, &SomeRows),
    ) -> Result<FitResult<T>> {
        let mut keeper = Keeper::<T>::new(self.subject::<T>()?)?;
        self.run_with(&mut keeper, (about, spec), summary, raw)
            .map_err(|error| keeper.tidy(error))
    }

    fn run_with<T: Fits>(
        mut self,
        keeper: &mut Keeper<'_, T>,
        (about, spec): (About, NetworkSpec),
        mut summary: FitReport,
        (untouched, some): (Option<&Dataset>, &SomeRows),
    ) -> Result<FitResult<T>> {
        let evidence = match keeper.evidence() {
            Some((evidence, said)) => {
                summary = said;
                evidence
            }
            None => self.estimate(&mut summary)?,
        };
        summary.double = T::NAME == "f64";
        keeper.trained(&evidence, &summary);
        let fitted = self.fit_method(&evidence, keeper, &mut summary)?;
        keeper.say(&mut summary);
        let mut loo = self.leave_one_out(&fitted, evidence.noise_std, &mut summary)?;
        let samples = self.options.method.samples();
        if let (Some(of_walk), Some(data), Some(samples)) = (&mut loo, untouched, samples) {
            let (how, progress) = ((self.options, samples), self.progress);
            *of_walk = exact_rows::<T>(data, how, of_walk.clone(), &mut summary, progress)?;
        }
        let metadata = self.metadata(about, spec, &evidence, &fitted, &summary);
        let mut model = FittedModel {
            metadata,
            map: evidence.map.theta,
            fitted,
            parts: self.own.cloned(),
        };
        judge(&mut model, some, &mut summary);
        Ok(FitResult {
            model,
            report: summary,
            loo,
        })
    }

    fn estimate<T: Scalar>(&self, summary: &mut FitReport) -> Result<EvidenceReport<T>> {
        match self.own {
            Some(model) => self.own_estimate(model, summary),
            // if scales are sampled, the walk has separate starts
            None if self.groups().is_some() => self.stand_in(summary),
            None => self.fit_map(summary),
        }
    }
}
