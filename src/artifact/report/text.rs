//! A report in lines for people: a heading, then short sentences. The verdict comes first.
//!
//! `docs/summary.md` explains every line.

use std::fmt;

use super::calibration::calibration;
use super::text_choice::{mixture, widths};
use super::text_data::{data, transforms};
use super::text_walk::Walked;
use super::{
    Baseline, Estimate, FitReport, GivenScales, Laplace, LeaveOneOut, Origin, Severity, Tangent,
    Training,
};
use crate::error::{counted, rounded};

/// Lines with their headings.
#[derive(Default)]
pub(super) struct Lines(Vec<(&'static str, String)>);

impl Lines {
    /// Adds a line. Names of columns and files come from outside: control characters are shown,
    /// not obeyed.
    pub(super) fn add(&mut self, heading: &'static str, text: &str) {
        let shown = |c: char| match c.is_control() {
            true => c.escape_default().collect::<String>(),
            false => c.to_string(),
        };
        self.0.push((heading, text.chars().map(shown).collect()));
    }
}

impl FitReport {
    /// Headings and texts, the verdict first.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Lines::default();
        self.say_verdict(&mut lines);
        self.portfolio.iter().for_each(|p| widths(p, &mut lines));
        self.data.iter().for_each(|d| data(d, &mut lines));
        self.portfolio.iter().for_each(|p| mixture(p, &mut lines));
        if let Some(network) = &self.network {
            let text = format!(
                "{}, {}",
                network.description,
                counted(network.parameters, "parameter")
            );
            lines.add("network", &text);
        }
        self.data.iter().for_each(|d| transforms(d, &mut lines));
        self.scales.iter().for_each(|s| scales(s, &mut lines));
        self.training.iter().for_each(|t| training(t, &mut lines));
        self.estimate.iter().for_each(|e| estimate(e, &mut lines));
        self.say_mode_scales(&mut lines);
        self.tangent.iter().for_each(|t| tangent(t, &mut lines));
        Walked(self).say(&mut lines);
        self.say_baseline(&mut lines);
        self.loo.iter().for_each(|l| leave_one_out(l, &mut lines));
        let held_out = self.calibration.iter();
        held_out.for_each(|c| calibration(c, &mut lines));
        lines.0
    }

    fn say_verdict(&self, lines: &mut Lines) {
        for finding in self.verdict() {
            let heading = match finding.severity() {
                Severity::Note => "note",
                Severity::Well | Severity::Warning => "verdict",
            };
            let text = format!("{} {}", finding.sentence(), finding.advice(self));
            lines.add(heading, text.trim_end());
        }
    }

    fn say_mode_scales(&self, lines: &mut Lines) {
        let listed = self
            .mode_scales
            .iter()
            .filter(|s| !s.name.contains(".inputs"));
        let text: Vec<String> = listed
            .map(|s| format!("{} {}", s.name, rounded(s.value, 3)))
            .collect();
        if !text.is_empty() {
            lines.add("scales", &format!("at the joint mode: {}", text.join(", ")));
        }
    }

    fn say_baseline(&self, lines: &mut Lines) {
        let Some(baseline) = &self.baseline else {
            return;
        };
        let expected = match self.expected_energy() {
            Some(energy) => format!(" (expected of draws from the posterior: about {energy:.1})"),
            None => String::new(),
        };
        let (heading, text) = match baseline {
            Baseline::Laplace(of) => ("laplace", laplace(of)),
            Baseline::Riemann {
                laplace: of,
                geodesics,
                failed,
                steps,
                gradients,
                products,
            } => {
                lines.add("laplace", &laplace(of));
                let text = format!(
                    "{}, {failed} of them not followed to the end, {}, {}, {}",
                    counted(geodesics, "geodesic"),
                    counted(steps, "step"),
                    counted(gradients, "gradient"),
                    counted(products, "Hessian product")
                );
                ("riemann", text)
            }
            Baseline::Ensemble {
                members,
                lowest_energy,
                highest_energy,
                gradients,
            } => {
                let text = format!(
                    "{}, U from {lowest_energy:.1} to {highest_energy:.1}, {}",
                    counted(members, "member"),
                    counted(gradients, "gradient")
                );
                ("ensemble", text)
            }
            Baseline::Swag {
                rate,
                chosen,
                points,
                energy,
                initial_energy,
                gradients,
                batch_rows,
            } => {
                let chosen = chosen.as_ref().map_or(String::new(), |c| {
                    format!(
                        " (of held-out rows {:.0e} is best, NLL {:.3})",
                        c.rate, c.nll
                    )
                });
                let text = format!(
                    "rate {rate:.0e}{chosen}, moments of {}, U {energy:.1} at their mean (estimate \
                     {initial_energy:.1}), {} of {}",
                    counted(points, "point"),
                    counted(gradients, "gradient"),
                    counted(batch_rows, "row")
                );
                ("swag", text)
            }
            Baseline::Sgld {
                chains,
                steps,
                rate,
                diverged,
                mean_energy,
                gradients,
                batch_rows,
            } => {
                let text = format!(
                    "{} of {} at rate {rate:.0e}, {diverged} of them diverged, mean U \
                     {mean_energy:.1}{expected}, {} of {}",
                    counted(chains, "chain"),
                    counted(steps, "step"),
                    counted(gradients, "gradient"),
                    counted(batch_rows, "row")
                );
                ("sgld", text)
            }
            Baseline::Vi {
                elbo,
                elbo_error,
                gradients,
            } => {
                let text = format!(
                    "ELBO {elbo:.1} +- {elbo_error:.1}, {}",
                    counted(gradients, "gradient")
                );
                ("vi", text)
            }
            Baseline::Dropout { rate, gradients } => (
                "dropout",
                format!("rate {rate}, {}", counted(gradients, "gradient")),
            ),
            Baseline::Chains {
                chains,
                acceptance,
                divergences,
                energy_rhat,
                energy_ess_bulk,
                e_bfmi,
                gradients,
            } => {
                let text = format!(
                    "{}, acceptance {acceptance:.2}, {}, R-hat \
                     of the energy {energy_rhat:.3}, its bulk ESS {energy_ess_bulk:.0}, E-BFMI \
                     {e_bfmi:.2}, {}",
                    counted(chains, "chain"),
                    counted(divergences, "divergence"),
                    counted(gradients, "gradient")
                );
                ("chains", text)
            }
        };
        lines.add(heading, &text);
    }
}

impl fmt::Display for FitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (heading, text) in self.lines() {
            writeln!(f, "{heading:<10} {text}")?;
        }
        Ok(())
    }
}

fn scales(scales: &GivenScales, lines: &mut Lines) {
    let how = |origin: Origin| match origin {
        Origin::Given => "given",
        Origin::Evidence => "by evidence",
        Origin::Default => "not tuned: minibatches",
        Origin::Learned => "learned with the weights",
    };
    let mut text = format!(
        "prior precision {} ({})",
        rounded(scales.prior_precision, 4),
        how(scales.prior_origin)
    );
    if let Some(std) = scales.noise_std {
        let std = rounded(std, 4);
        text += &format!(", noise std {std} ({})", how(scales.noise_origin));
    }
    if scales.is_tuned() {
        text += &format!(", {}", counted(scales.rounds, "round"));
        text += if scales.settled { "" } else { " (not settled)" };
        text += if scales.bounded { " (at a bound)" } else { "" };
    }
    lines.add("scales", &text);
    let each = scales.noise_starts.iter().map(|s| {
        let evidence = s
            .log_evidence
            .map_or("failed".into(), |e| format!("{e:.1}"));
        format!("{}: {evidence}", s.start)
    });
    let each: Vec<String> = each.collect();
    if !each.is_empty() {
        let text = "log evidence by start of the noise, the best is kept:";
        lines.add("scales", &format!("{text} {}", each.join(", ")));
    }
}

fn training(training: &Training, lines: &mut Lines) {
    let mut text = format!(
        "{} of {} in batches of {}",
        counted(training.epochs, "epoch"),
        counted(training.rows, "row"),
        training.batch_rows
    );
    if let Some(nll) = training.validation_nll {
        text += &format!(
            "; best epoch {}: nll {nll:.4} on {} held out",
            training.best_epoch,
            counted(training.validation_rows, "row")
        );
    }
    lines.add("training", &text);
}

fn estimate(map: &Estimate, lines: &mut Lines) {
    let error = map
        .log_evidence_error
        .map_or(String::new(), |s| format!(" +- {s:.1}"));
    let evidence = map
        .log_evidence
        .map_or(String::new(), |e| format!(", log evidence {e:.1}{error}"));
    let text = format!(
        "U = {:.2}, |grad U| = {:.3} (at the start {:.1}){evidence}, {}",
        map.energy,
        map.gradient_norm,
        map.initial_gradient_norm,
        counted(map.gradients, "gradient")
    );
    lines.add("map", &text);
}

fn tangent(tangent: &Tangent, lines: &mut Lines) {
    let more = if tangent.complete {
        ""
    } else {
        " resolved (there are more)"
    };
    let text = format!(
        "{}{more}, largest eigenvalue {:.3e}, they determine {:.1} parameters",
        counted(tangent.normal_directions, "normal direction"),
        tangent.largest_eigenvalue,
        tangent.effective_parameters
    );
    lines.add("tangent", &text);
}

fn laplace(laplace: &Laplace) -> String {
    format!(
        "{} precision of {}, {:.1} of them effective, log evidence {:.1}{}",
        laplace.structure,
        counted(laplace.parameters, "parameter"),
        laplace.effective_parameters,
        laplace.log_evidence,
        if laplace.linearised {
            "; predictions are linearised"
        } else {
            ""
        }
    )
}

fn leave_one_out(loo: &LeaveOneOut, lines: &mut Lines) {
    let mut text = format!(
        "elpd {:.1} +- {:.1} nats ({:.4} a row), {:.1} effective parameters",
        loo.elpd,
        loo.se,
        loo.elpd / loo.rows.max(1) as f64,
        loo.p_loo
    );
    if loo.unreliable_rows > 0 {
        text += &format!(
            "; k is above {:.2} for {} of {}: the figures there are too good",
            loo.threshold,
            loo.unreliable_rows,
            counted(loo.rows, "row")
        );
    }
    lines.add("loo", &text);
    match &loo.refits {
        Some(refits) if refits.needed > refits.allowed => {
            let text = format!(
                "{} needed, and --loo-refits allows {}",
                counted(refits.needed, "refit"),
                refits.allowed
            );
            lines.add("loo", &text);
        }
        Some(refits) => {
            let text = format!(
                "with {} without a row (elpd {:.1} before)",
                counted(refits.done, "exact fit"),
                refits.elpd_before
            );
            lines.add("loo", &text);
            for failed in &refits.failed {
                let text = format!("no fit without row {} (from 0): {}", failed.row, failed.why);
                lines.add("loo", &text);
            }
        }
        None => {}
    }
}
