//! The tables of a report: scores, and what was fitted to what.

use super::pictures::unsure::Table;
use super::ticks::short;
use super::{Report, material};
use crate::artifact::Promise;
use crate::error::counted;

impl Report {
    pub(super) fn score_caption(&self) -> String {
        let rows = counted(self.rows, "row");
        match self.intervals.is_empty() {
            true => format!("{rows}; docs/uncertainty.md defines each score"),
            false => format!(
                "{rows}; 90 % intervals from bootstraps of rows; docs/uncertainty.md defines each score"
            ),
        }
    }

    pub(super) fn score_table(&self) -> Table {
        let named = self.scores.named();
        let rows = named.iter().map(|(name, value)| {
            let interval = self
                .intervals
                .iter()
                .find(|i| i.0 == *name)
                .and_then(|i| i.1);
            let interval = interval.map_or("-".into(), |i| {
                format!("{} to {}", short(i.lower), short(i.upper))
            });
            vec![
                name.replace('_', " "),
                short(*value),
                interval,
                meaning(name).into(),
            ]
        });
        Table {
            head: ["score", "value", "interval", "what it says"]
                .map(String::from)
                .to_vec(),
            rows: rows.collect(),
        }
    }

    pub(super) fn about(&self) -> Table {
        let metadata = &self.metadata;
        let mut rows: Vec<[String; 2]> = Vec::new();
        let mut say = |what: &str, text: String| rows.push([what.into(), text]);
        let classes = material::class_names(metadata);
        say(
            "target",
            match classes.is_empty() {
                true => format!("{}, a number", metadata.target_name),
                false => format!("{}: {}", metadata.target_name, listed(&classes, 20)),
            },
        );
        say(
            "features",
            format!(
                "{}: {}",
                metadata.feature_names.len(),
                listed(&metadata.feature_names, 30)
            ),
        );
        let test_rows = match &self.weights {
            None => self.rows.to_string(),
            Some((column, effective)) => format!(
                "{}, each counts by the column {column}; they tell as much as {effective:.0} \
                 rows of equal weight",
                self.rows
            ),
        };
        say("test rows", test_rows);
        if let Some(report) = &metadata.report {
            if let Some(data) = &report.data {
                say("training rows", data.rows.to_string());
                data.columns.iter().for_each(|c| say("column", c.clone()));
                data.notes.iter().for_each(|n| say("note", n.clone()));
            }
            say(
                "cost of the fit",
                format!("{:.0} gradients of all training rows", report.gradients()),
            );
            if let Some(walk) = &report.walk {
                let share = 100.0 * walk.divergence_rate;
                say(
                    "walk",
                    format!(
                        "{}, {}, {} kept; {} ({} % of the steps)",
                        counted(walk.particles, "walker"),
                        counted(walk.steps, "step"),
                        counted(walk.kept, "point"),
                        counted(walk.divergences, "divergence"),
                        short(share)
                    ),
                );
            }
        }
        for (head, text) in metadata.report.iter().flat_map(|r| r.lines()) {
            if ["calibrate", "conformal"].contains(&head) {
                say(
                    if head == "calibrate" {
                        "calibration"
                    } else {
                        head
                    },
                    text,
                );
            }
        }
        if let Some(promise) = &self.promise {
            say("conformal on the test rows", kept(promise));
        }
        say("method", metadata.method.clone());
        say("network", metadata.network.to_string());
        for member in &metadata.members {
            say(
                "one of its models",
                format!(
                    "weight {}: {}",
                    short(member.weight),
                    member.metadata.network
                ),
            );
        }
        Table {
            head: vec!["what".into(), "how much".into()],
            rows: rows.into_iter().map(|r| r.to_vec()).collect(),
        }
    }
}

/// What came of a promise, in a sentence.
fn kept(promise: &Promise) -> String {
    let percent = |share: f64| short(100.0 * share);
    let mut text = format!(
        "{} ± {} % of the targets are inside, {} % were promised",
        percent(promise.coverage),
        percent(promise.coverage_se),
        // without the rounding of the product
        (1e10 * promise.level).round() / 1e8
    );
    if let Some(size) = promise.size {
        text += &match promise.all_classes {
            Some(_) => format!("; {} classes on average", short(size)),
            None => format!("; mean width {}", short(size)),
        };
    }
    let counts = [
        (promise.unlimited, "unlimited"),
        (promise.all_classes, "with all classes"),
        (promise.empty, "empty"),
    ];
    for (count, name) in counts {
        if let Some(count) = count.filter(|c| *c > 0) {
            text += &format!("; {count} {name}");
        }
    }
    text
}

/// Names with commas; what is left out is counted.
fn listed(names: &[String], most: usize) -> String {
    let shown = names
        .iter()
        .take(most)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() > most {
        true => format!("{shown} and {} more", names.len() - most),
        false => shown,
    }
}

/// A score in a few words.
fn meaning(name: &str) -> &'static str {
    match name {
        "nll" => "surprise at the true values; lower is better",
        "accuracy" => "share of rows whose class is right",
        "balanced_accuracy" => "the same, each class counting alike",
        "ece" => "gap between stated and true frequency; 0 is best",
        "mce" => "the largest such gap of a bin",
        "ece_equal_mass" | "ece_class_wise" | "ece_smooth" => "the gap, measured in another way",
        "brier" => "squared error of the probabilities; lower is better",
        "brier_reliability" => "its part through wrong probabilities",
        "brier_resolution" => "its part gained by telling rows apart; higher is better",
        "brier_uncertainty" => "the score of always stating the frequencies",
        "roc_auc" => "how well it puts rows in order; 1 is best, 0.5 is chance",
        "aurc" => "mean loss of the surest rows; lower is better",
        "overconfidence" => "the gap's part from being too sure",
        "underconfidence" => "the gap's part from being too unsure",
        "rmse" => "typical size of the error, in the target's units",
        "crps" => "error of the whole distribution, in the target's units",
        "coverage_90" => "share of rows in the 90 % interval; 0.9 is right",
        "coverage_50" => "share of rows in the 50 % interval; 0.5 is right",
        "width_90" => "mean width of the 90 % interval",
        "interval_score_90" => "width plus a penalty for rows outside; lower is better",
        "sharpness" => "mean stated standard deviation",
        "pit_distance" => "largest gap of stated and true frequency; 0 is best",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_compared_with_what_came_of_it() {
        let promise = Promise {
            level: 0.9,
            score: "aps",
            coverage: 0.875,
            coverage_se: 0.02,
            size: Some(1.5),
            size_se: None,
            unlimited: None,
            all_classes: Some(3),
            empty: Some(0),
            by_class: Vec::new(),
        };
        let text = kept(&promise);
        assert!(
            text.contains("± 2 % of the targets are inside, 90 % were promised"),
            "{text}"
        );
        assert!(
            text.ends_with("1.5 classes on average; 3 with all classes"),
            "{text}"
        );
    }
}
