//! `fiberwalk fit`: data, network, MAP estimate, tangent space, walk, deformation, model file.

use std::time::Instant;

use fiberwalk::artifact::{FORMAT_VERSION, Fitted, Metadata, Model, NetworkSpec, TaskSpec};
use fiberwalk::curvature::{
    EvidenceOptions, EvidenceReport, GgnOperator, TangentOptions, TangentSpace, log_evidence,
    tune_by_evidence,
};
use fiberwalk::data::{CsvOptions, Dataset, Standardizer, Task, load_csv};
use fiberwalk::deform::{Deformation, HeadLikelihood, LastLayer, TrainOptions, train};
use fiberwalk::walk::{Drift, DriftOptions, Walk, WalkOptions, viability_threshold, walk};
use fiberwalk::{
    Categorical, Error, Gaussian, IsotropicGaussian, LinearHead, Mlp, Network, Phase, Posterior,
    Result, Scalar, Streams,
};

use crate::args::{Auto, FitArgs, Method, Precision};
use crate::progress::bar;
use crate::report::Summary;

pub fn run(args: &FitArgs) -> Result<()> {
    match args.precision {
        Precision::Single => fit::<f32>(args),
        Precision::Double => fit::<f64>(args),
    }
}

/// Standardised data and how to go back.
struct Prepared {
    x: Vec<f64>,
    y: Vec<f64>,
    features: Standardizer,
    /// Mean and scale of a regression target.
    target: Option<(f64, f64)>,
}

fn prepare(data: &Dataset) -> Result<Prepared> {
    let features = Standardizer::fit(data.features(), data.d())?;
    let x = features.transform(data.features())?;
    Ok(match data.task() {
        Task::Classification { .. } => Prepared {
            x,
            y: data.targets().to_vec(),
            features,
            target: None,
        },
        Task::Regression => {
            let target = Standardizer::fit(data.targets(), 1)?;
            Prepared {
                x,
                y: target.transform(data.targets())?,
                features,
                target: Some((target.mean()[0], target.scale()[0])),
            }
        }
    })
}

fn fit<T: Scalar>(args: &FitArgs) -> Result<()> {
    let started = Instant::now();
    check_destination(args)?;
    let options = CsvOptions {
        target: args.target.clone(),
        task: args.task,
    };
    let data = load_csv(&args.train, &options)?;
    data.check_trainable().map_err(|e| in_file(e, args))?;
    let prepared = prepare(&data)?;
    let outputs = match data.task() {
        Task::Classification { classes } => classes,
        Task::Regression => 1,
    };
    let mut sizes = vec![data.d()];
    sizes.extend(&args.hidden.0);
    sizes.push(outputs);
    let network = Mlp::new(&sizes, args.activation)?;
    let mut summary = Summary::default();
    describe(&mut summary, &data, &network);

    let problem = Problem {
        args,
        network,
        prepared,
        streams: Streams::new(args.seed),
    };
    let evidence = problem.fit_map::<T>(&mut summary)?;
    let fitted = problem.fit_method(&evidence, &mut summary)?;
    summary.figure("fit_seconds", started.elapsed().as_secs_f64());
    let metadata = problem.metadata(&data, &evidence, &summary, T::NAME);
    let model = Model {
        metadata,
        map: evidence.map.theta,
        fitted,
    };
    model.save(&args.out)?;
    let bytes = std::fs::metadata(&args.out).map_or(0, |m| m.len());
    let text = format!(
        "{}, method {}, {:.1} KiB, {:.1} s in all",
        args.out.display(),
        args.method.name(),
        bytes as f64 / 1024.0,
        started.elapsed().as_secs_f64()
    );
    summary.line("model", text);
    if !args.quiet {
        print!("{}", summary.text());
    }
    Ok(())
}

/// A fit can take long: a place that cannot be written to is better found out before.
fn check_destination(args: &FitArgs) -> Result<()> {
    let parent = args.out.parent().filter(|p| !p.as_os_str().is_empty());
    let missing = parent.is_some_and(|p| !p.is_dir());
    if missing || args.out.is_dir() {
        let kind = if missing {
            "there is no such directory"
        } else {
            "it is a directory"
        };
        return Err(Error::Config {
            field: "--out",
            value: args.out.display().to_string(),
            requirement: kind.into(),
        });
    }
    Ok(())
}

fn in_file(error: Error, args: &FitArgs) -> Error {
    match error {
        Error::Data {
            file: None,
            line,
            column,
            what,
        } => Error::Data {
            file: Some(args.train.clone()),
            line,
            column,
            what,
        },
        other => other,
    }
}

fn describe(summary: &mut Summary, data: &Dataset, network: &Mlp) {
    let target = match data.task() {
        Task::Classification { classes } => format!("{classes} classes"),
        Task::Regression => "a real target".into(),
    };
    let name = data.target_name();
    summary.line(
        "data",
        format!(
            "{} rows, {} features, {target} ('{name}')",
            data.n(),
            data.d()
        ),
    );
    let widths: Vec<String> = network.sizes().iter().map(usize::to_string).collect();
    let text = format!(
        "{} {}, {} parameters",
        widths.join("-"),
        network.activation(),
        network.dim()
    );
    summary.line("network", text);
}

struct Problem<'a> {
    args: &'a FitArgs,
    network: Mlp,
    prepared: Prepared,
    streams: Streams,
}

impl Problem<'_> {
    fn posterior<T: Scalar>(
        &self,
        prior_precision: f64,
        noise_std: Option<f64>,
    ) -> Result<Posterior<T>> {
        let prior = IsotropicGaussian::new(prior_precision)?;
        let (x, y) = (&self.prepared.x, &self.prepared.y);
        match noise_std {
            None => Posterior::new(&self.network, &Categorical, &prior, x, y),
            Some(std) => Posterior::new(&self.network, &Gaussian::new(std)?, &prior, x, y),
        }
    }

    fn fit_map<T: Scalar>(&self, summary: &mut Summary) -> Result<EvidenceReport<T>> {
        let regression = self.prepared.target.is_some();
        if !regression && self.args.noise_std != Auto::Auto {
            return Err(Error::Config {
                field: "--noise-std",
                value: "given".into(),
                requirement: "is for regression; this target has classes".into(),
            });
        }
        let start_or = |value: Auto<f64>, start: f64| match value {
            Auto::Auto => start,
            Auto::Value(x) => x,
        };
        let options = EvidenceOptions {
            prior_precision: start_or(self.args.prior_precision, 1.0),
            tune_prior_precision: self.args.prior_precision == Auto::Auto,
            noise_std: regression.then(|| start_or(self.args.noise_std, 0.3)),
            tune_noise_std: regression && self.args.noise_std == Auto::Auto,
            ..EvidenceOptions::default()
        };
        let start = self.network.init(&mut self.streams.rng(Phase::INIT, 0));
        let start = start.into_iter().map(T::from_f64).collect();
        let progress = bar("map", options.map.steps, self.args.quiet);
        let report = tune_by_evidence(
            start,
            |alpha, noise| self.posterior(alpha, noise),
            &options,
            self.streams,
            |done| {
                progress.set_length(progress.length().unwrap_or(0).max(done as u64));
                progress.set_position(done as u64);
            },
        )?;
        progress.finish_and_clear();
        let posterior = self.posterior::<T>(report.prior_precision, report.noise_std)?;
        let evidence = log_evidence(&posterior, &report.map.theta, &options, self.streams)?;
        let how = |auto: bool| if auto { "by evidence" } else { "given" };
        let mut text = format!(
            "prior precision {:.4} ({})",
            report.prior_precision,
            how(options.tune_prior_precision)
        );
        if let Some(std) = report.noise_std {
            text += &format!(", noise std {std:.4} ({})", how(options.tune_noise_std));
            summary.figure("noise_std", std);
        }
        if options.tune_prior_precision || options.tune_noise_std {
            text += &format!(", {} rounds", report.rounds);
            if report.rounds == options.rounds {
                text += " (not settled)";
            }
        }
        summary.line("scales", text);
        let map = &report.map;
        summary.line(
            "map",
            format!(
                "U = {:.2}, |grad U| = {:.3} (at the start {:.1}), log evidence {evidence:.1}, {} gradients",
                map.energy, map.gradient_norm, map.initial_gradient_norm, map.gradients
            ),
        );
        summary.figure("prior_precision", report.prior_precision);
        summary.figure("map_energy", map.energy);
        summary.figure("map_gradient_norm", map.gradient_norm);
        summary.figure("map_gradients", map.gradients as f64);
        summary.figure("log_evidence_laplace", evidence);
        Ok(report)
    }

    fn fit_method<T: Scalar>(
        &self,
        evidence: &EvidenceReport<T>,
        summary: &mut Summary,
    ) -> Result<Fitted<T>> {
        if self.args.method == Method::Map {
            return Ok(Fitted::Map);
        }
        let posterior = self.posterior(evidence.prior_precision, evidence.noise_std)?;
        let mut op = GgnOperator::new(&posterior, &evidence.map.theta)?;
        let options = TangentOptions::default();
        let space = TangentSpace::new(&mut op, evidence.prior_precision, &options, self.streams)?;
        let largest = space.values().first().copied().unwrap_or(0.0);
        summary.line(
            "tangent",
            format!(
                "{} normal directions{}, largest eigenvalue {largest:.3e}, they determine {:.1} parameters",
                space.normal_dim(),
                if space.is_complete() { "" } else { " resolved (there are more)" },
                space.effective_dimension()
            ),
        );
        summary.figure("normal_directions", space.normal_dim() as f64);
        summary.figure("largest_eigenvalue", largest);
        let walked = self.walk(&posterior, evidence, largest, summary)?;
        if self.args.method == Method::Walk {
            return Ok(Fitted::Walk(walked.points));
        }
        self.deform(&walked, &space, evidence, summary)
    }

    fn walk<T: Scalar>(
        &self,
        posterior: &Posterior<T>,
        evidence: &EvidenceReport<T>,
        largest: f64,
        summary: &mut Summary,
    ) -> Result<Walk<T>> {
        let (dim, alpha) = (self.network.dim(), evidence.prior_precision);
        let steps = match self.args.steps {
            Auto::Auto => DriftOptions::DEFAULT_STEPS,
            Auto::Value(steps) => steps,
        };
        let options = WalkOptions {
            particles: self.args.particles,
            steps,
            keep: self.args.samples.div_ceil(self.args.particles.max(1)),
        };
        options.validate()?;
        let max_energy = viability_threshold(evidence.map.energy, dim);
        let kernel = Drift::new(DriftOptions::scaled(dim, alpha, largest, steps, max_energy))?;
        let progress = bar("walk", options.particles, self.args.quiet);
        let start = &evidence.map.theta;
        let walked = walk(&kernel, posterior, start, &options, self.streams, &|| {
            progress.inc(1)
        })?;
        progress.finish_and_clear();
        if walked.is_empty() {
            return Err(Error::NoConvergence {
                what: "walk: no viable point was left to keep",
                iterations: steps,
                residual: f64::NAN,
                tolerance: max_energy,
            });
        }
        let viability = walked.viability(steps);
        let count = walked.reports.len() as f64;
        let distance = walked.reports.iter().map(|r| r.distance).sum::<f64>() / count;
        let energy = walked.energies.iter().sum::<f64>() / walked.len() as f64;
        summary.line(
            "walk",
            format!(
                "drift, {} particles x {steps} steps: {} points, viability {:.1} % (U <= {max_energy:.1}), mean U {energy:.1}, \
                 distance {distance:.2} of the prior's {:.2}, {} divergences, {} gradients",
                options.particles,
                walked.len(),
                100.0 * viability,
                (dim as f64 / alpha).sqrt(),
                walked.divergences(),
                walked.gradients()
            ),
        );
        summary.figure("walk_viability", viability);
        summary.figure("walk_threshold", max_energy);
        summary.figure("walk_mean_energy", energy);
        summary.figure("walk_distance", distance);
        summary.figure("walk_divergences", walked.divergences() as f64);
        summary.figure("walk_gradients", walked.gradients() as f64);
        Ok(walked)
    }

    fn deform<T: Scalar>(
        &self,
        walked: &Walk<T>,
        space: &TangentSpace<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut Summary,
    ) -> Result<Fitted<T>> {
        let likelihood = match evidence.noise_std {
            None => HeadLikelihood::Categorical,
            Some(noise_std) => HeadLikelihood::Gaussian { noise_std },
        };
        let (x, y) = (self.prepared.x.clone(), self.prepared.y.clone());
        let last = LastLayer::new(&self.network, likelihood, evidence.prior_precision, &x, &y)?;
        let hidden_dim = self.network.hidden_params();
        let hidden = if hidden_dim == 0 {
            summary.line(
                "flow",
                "no hidden layer: the posterior is the last layer's conditional",
            );
            None
        } else {
            let options = TrainOptions::default();
            let progress = bar("flow", options.steps, self.args.quiet);
            let (flow, report) = train(
                walked,
                hidden_dim,
                space.basis(),
                &options,
                self.streams,
                |done| {
                    progress.set_position(done as u64);
                },
            )?;
            progress.finish_and_clear();
            summary.line(
                "flow",
                format!(
                    "{} directions, {} + {} points (training + held-out walkers), best after {} of {} steps, held-out log-likelihood \
                     {:.1} a point (diagonal Gaussian {:.1}, on training points {:.1})",
                    report.directions,
                    report.points,
                    report.held_out,
                    report.best_step,
                    report.steps,
                    report.log_likelihood,
                    report.gaussian_log_likelihood,
                    report.train_log_likelihood
                ),
            );
            summary.figure("flow_directions", report.directions as f64);
            summary.figure("flow_best_step", report.best_step as f64);
            summary.figure("flow_held_out_log_likelihood", report.log_likelihood);
            Some(flow)
        };
        summary.line(
            "note",
            format!(
                "the file carries the {} training rows: each draw's last layer is conditioned on them",
                y.len()
            ),
        );
        Ok(Fitted::Flow {
            deformation: Box::new(Deformation::new(hidden, last)),
            x,
            y,
        })
    }

    fn metadata<T: Scalar>(
        &self,
        data: &Dataset,
        evidence: &EvidenceReport<T>,
        summary: &Summary,
        precision: &str,
    ) -> Metadata {
        let task = match (data.task(), self.prepared.target) {
            (Task::Classification { classes }, _) => TaskSpec::Classification { classes },
            (Task::Regression, target) => {
                let (target_mean, target_scale) = target.unwrap_or((0.0, 1.0));
                TaskSpec::Regression {
                    noise_std: evidence.noise_std.unwrap_or(1.0),
                    target_mean,
                    target_scale,
                }
            }
        };
        Metadata {
            format_version: FORMAT_VERSION,
            crate_version: env!("CARGO_PKG_VERSION").into(),
            precision: precision.into(),
            task,
            feature_names: data.feature_names().to_vec(),
            target_name: data.target_name().into(),
            feature_mean: self.prepared.features.mean().to_vec(),
            feature_scale: self.prepared.features.scale().to_vec(),
            network: NetworkSpec {
                sizes: self.network.sizes().to_vec(),
                activation: self.network.activation().name().into(),
            },
            prior_precision: evidence.prior_precision,
            method: self.args.method.name().into(),
            seed: self.args.seed,
            flow_hidden: TrainOptions::default().hidden,
            diagnostics: summary.figures.clone(),
        }
    }
}
