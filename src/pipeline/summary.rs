//! What a fit has to say: lines for the reader, and the same figures for the model file.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::prepare::Prepared;
use crate::artifact::NetworkSpec;
use crate::curvature::{EvidenceOptions, EvidenceReport, LogEvidence, TangentSpace};
use crate::data::{Dataset, Task, Warp};
use crate::model::Observation;
use crate::optim::{MapReport, MinibatchOptions, MinibatchReport, PolishReport};
use crate::scalar::Scalar;

/// Columns that are listed by name.
const LISTED: usize = 8;

/// Headed lines and named figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    lines: Vec<(String, String)>,
    figures: BTreeMap<String, f64>,
}

impl Summary {
    /// Adds a line under a heading.
    pub fn line(&mut self, heading: &'static str, text: impl Into<String>) {
        self.lines.push((heading.into(), text.into()));
    }

    /// Adds a figure. One that is not finite is left out: JSON has no such numbers.
    pub fn figure(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.figures.insert(name.into(), value);
        }
    }

    /// Puts the lines of `first` before these, and adds its figures.
    pub(super) fn after(&mut self, mut first: Summary) {
        first.lines.append(&mut self.lines);
        self.lines = first.lines;
        self.figures.extend(first.figures);
    }

    /// Headings and texts of all lines.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|(h, t)| (h.as_str(), t.as_str()))
    }

    /// All of it, to be read by [`Summary::from_json`].
    pub(super) fn to_json(&self) -> String {
        // strings and finite numbers: there is nothing that could not be written
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// The figures by name.
    pub fn figures(&self) -> &BTreeMap<String, f64> {
        &self.figures
    }
}

impl Summary {
    pub(super) fn data(&mut self, data: &Dataset) {
        let target = match data.task() {
            Task::Classification { classes } => format!("{classes} classes"),
            Task::Regression => "a real target".into(),
        };
        let (n, d, name) = (data.n(), data.d(), data.target_name());
        let rows = match data.image() {
            Some([c, h, w]) => format!("{n} images of {c}x{h}x{w}"),
            None => format!("{n} rows, {d} features"),
        };
        self.line("data", format!("{rows}, {target} ('{name}')"));
    }

    /// What is out of the ordinary about likelihood and columns.
    pub(super) fn columns(&mut self, prepared: &Prepared, names: &[String]) {
        let observation = prepared.observation;
        if !matches!(
            observation,
            Observation::Categorical | Observation::Gaussian
        ) {
            self.line("likelihood", observation.name());
        }
        if let Some(warp) = prepared.target.and_then(|target| target.warp) {
            let text = match warp {
                Warp::Log => "the target's logarithm".into(),
                Warp::YeoJohnson { lambda, .. } => {
                    format!("the target by a Yeo-Johnson map of power {lambda:.2}")
                }
            };
            self.line("transform", text);
        }
        let warped = prepared.features.warps().iter().zip(names);
        let warped: Vec<&str> = warped
            .filter(|w| w.0.is_some())
            .map(|w| w.1.as_str())
            .collect();
        if !warped.is_empty() {
            let listed = warped[..warped.len().min(LISTED)].join(", ");
            let more = match warped.len().saturating_sub(LISTED) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            let text = format!("Yeo-Johnson maps for {listed}{more}");
            self.line("transform", text);
        }
    }

    pub(super) fn network(&mut self, network: &NetworkSpec, dim: usize) {
        let text = match network {
            NetworkSpec::Mlp { sizes, activation } => {
                let widths: Vec<String> = sizes.iter().map(usize::to_string).collect();
                format!("{} {activation}", widths.join("-"))
            }
            NetworkSpec::Layers { layers, outputs } => format!("{layers},linear:{outputs}"),
            NetworkSpec::Own { own, .. } => format!("the program's own, of model '{own}'"),
        };
        self.line("network", format!("{text}, {dim} parameters"));
    }

    /// The scales of the MAP estimate.
    pub(super) fn scales<T>(&mut self, report: &EvidenceReport<T>, options: &EvidenceOptions) {
        let how = |auto: bool| if auto { "by evidence" } else { "given" };
        let (alpha, how_alpha) = (report.prior_precision, how(options.tune_prior_precision));
        let mut text = format!("prior precision {alpha:.4} ({how_alpha})");
        self.figure("prior_precision", alpha);
        if let Some(std) = report.noise_std {
            text += &format!(", noise std {std:.4} ({})", how(options.tune_noise_std));
            self.figure("noise_std", std);
        }
        if options.tune_prior_precision || options.tune_noise_std {
            text += &format!(", {} rounds", report.rounds);
            if !report.settled {
                text += " (not settled)";
            }
            if report.bounded {
                text += " (at a bound)";
            }
        }
        self.line("scales", text);
    }

    pub(super) fn minibatches<T>(
        &mut self,
        report: &MinibatchReport<T>,
        options: &MinibatchOptions,
        alpha: f64,
        given: bool,
    ) {
        let how = if given {
            "given"
        } else {
            "not tuned: minibatches"
        };
        self.line("scales", format!("prior precision {alpha:.4} ({how})"));
        self.figure("prior_precision", alpha);
        let (epochs, best) = (report.history.len(), report.best_epoch);
        let mut text = format!(
            "{epochs} epochs of {} rows in batches of {}",
            report.training_rows, options.batch_rows
        );
        let of_best = report.history.get(best.saturating_sub(1));
        if let Some(nll) = of_best.and_then(|epoch| epoch.validation_nll) {
            let rows = report.validation_rows;
            text += &format!("; best epoch {best}: nll {nll:.4} on {rows} rows held out");
            self.figure("validation_nll", nll);
        }
        self.line("training", text);
        self.figure("epochs", epochs as f64);
    }

    /// The noise started at several levels.
    pub(super) fn noise_starts(&mut self, starts: &[f64], evidences: &[Option<f64>]) {
        let each = starts.iter().zip(evidences).map(|(start, evidence)| {
            let evidence = evidence.map_or("failed".into(), |e| format!("{e:.1}"));
            format!("{start}: {evidence}")
        });
        let each: Vec<String> = each.collect();
        let text = format!(
            "log evidence by start of the noise, the best is kept: {}",
            each.join(", ")
        );
        self.line("scales", text);
    }

    /// The last steps of the estimate.
    pub(super) fn polished(&mut self, end: &PolishReport) {
        self.figure("map_matrices", end.matrices as f64);
        self.figure("map_decrement", end.decrement);
        if !end.converged {
            let text = format!(
                "the estimate is {:.2} nats above its minimum, after {} Gauss-Newton matrices",
                end.decrement, end.matrices
            );
            self.line("map", text);
        }
    }

    pub(super) fn map<T>(&mut self, map: &MapReport<T>, log_evidence: Option<LogEvidence>) {
        let evidence = log_evidence.map_or(String::new(), |e| {
            let error = e.std_error.map_or(String::new(), |s| format!(" +- {s:.1}"));
            format!(", log evidence {:.1}{error}", e.value)
        });
        self.line(
            "map",
            format!(
                "U = {:.2}, |grad U| = {:.3} (at the start {:.1}){evidence}, {} gradients",
                map.energy, map.gradient_norm, map.initial_gradient_norm, map.gradients
            ),
        );
        self.figure("map_energy", map.energy);
        self.figure("map_gradient_norm", map.gradient_norm);
        self.figure("map_gradients", map.gradients as f64);
        if let Some(evidence) = log_evidence {
            self.figure("log_evidence_laplace", evidence.value);
            if let Some(error) = evidence.std_error {
                self.figure("log_evidence_laplace_error", error);
            }
        }
    }

    pub(super) fn tangent<T: Scalar>(&mut self, space: &TangentSpace<T>) {
        let largest = space.values().first().copied().unwrap_or(0.0);
        let more = if space.is_complete() {
            ""
        } else {
            " resolved (there are more)"
        };
        self.line(
            "tangent",
            format!(
                "{} normal directions{more}, largest eigenvalue {largest:.3e}, they determine {:.1} parameters",
                space.normal_dim(),
                space.effective_dimension()
            ),
        );
        self.figure("effective_dimension", space.effective_dimension());
        self.figure("normal_directions", space.normal_dim() as f64);
        self.figure("largest_eigenvalue", largest);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (heading, text) in &self.lines {
            writeln!(f, "{heading:<10} {text}")?;
        }
        Ok(())
    }
}
