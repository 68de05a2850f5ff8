//! A page on several methods that were fitted to the same rows.

use std::collections::BTreeSet;

use super::page::Page;
use super::pictures::overlay::overlay;
use super::pictures::unsure::Table;
use super::ticks::short;
use crate::error::Result;
use crate::metrics::Bootstrap;
use crate::pipeline::{Measured, MethodScores, Statistic, by_method};

/// The page: scores of all methods, differences to the best one, and their curves in one picture.
/// With one seed, scores have bootstrap intervals of rows; with more, standard errors over seeds.
/// Curves are those of the first seed. `command` is said at the end.
///
/// # Errors
/// Those of scores and their intervals.
pub fn compared(all: &[Measured], command: Option<&str>) -> Result<String> {
    let rows = by_method(all);
    let first = all.first().map(|m| m.seed);
    let of_first: Vec<&Measured> = all.iter().filter(|m| Some(m.seed) == first).collect();
    // some methods may have failed with some seeds
    let seeds: BTreeSet<u64> = all.iter().map(|m| m.seed).collect();
    let seeds = seeds.len();
    let mut page = Page::new("Methods compared");
    let best = rows.iter().find(|r| r.differences.is_none());
    page.paragraph(headline(&rows, best));
    page.heading("Scores");
    let table = match seeds {
        1 => with_intervals(&of_first)?,
        _ => over_seeds(&rows),
    };
    let caption = match seeds {
        1 => "in brackets: 90 % intervals from bootstraps of the test rows".to_string(),
        n => format!("means over {n} seeds, with their standard errors"),
    };
    page.table(&caption, &table);
    if let Some(table) = differences(&rows) {
        page.table(
            "differences to the best method on the same test rows, with standard errors",
            &table,
        );
    }
    let scored = of_first
        .iter()
        .filter_map(|m| Some((m.method.to_string(), m.scored.as_ref()?)));
    let weighted = |m: &Measured| m.scored.as_ref().is_some_and(|s| s.weights().is_some());
    if all.iter().any(weighted) {
        page.remark("Test rows count by their weights, in scores, intervals and curves.");
    }
    page.heading("Curves");
    page.pictures(&overlay(&scored.collect::<Vec<_>>())?);
    page.heading("How this page was made");
    if let Some(command) = command {
        page.verbatim(command);
    }
    page.remark(format!("fiberwalk {}", env!("CARGO_PKG_VERSION")));
    Ok(page.html())
}

/// Which method is ahead, and which ones chance could put in its place.
fn headline(rows: &[MethodScores], best: Option<&MethodScores>) -> String {
    let Some(best) = best.filter(|_| rows.len() > 1) else {
        return "One method was fitted.".into();
    };
    let close = rows.iter().filter(|row| {
        let differences = row.differences.as_ref();
        let nll = differences.and_then(|d| d.columns.get("nll").copied().flatten());
        nll.is_some_and(|d| d.error.is_none_or(|error| d.mean.abs() < 2.0 * error))
    });
    let close: Vec<&str> = close.map(|row| row.method).collect();
    let ahead = format!(
        "{} has the lowest surprise at the true values (nll).",
        best.method
    );
    match close.is_empty() {
        true => format!("{ahead} No other method is within two standard errors of it."),
        false => format!(
            "{ahead} Within two standard errors of it, so perhaps as good: {}.",
            close.join(", ")
        ),
    }
}

fn with_intervals(all: &[&Measured]) -> Result<Table> {
    let shown = |name: &str| {
        [
            "nll",
            "accuracy",
            "ece",
            "brier",
            "rmse",
            "crps",
            "coverage_90",
            "width_90",
            "aurc",
        ]
        .contains(&name)
    };
    let named = all.first().map_or_else(Vec::new, |m| m.scores.named());
    let names: Vec<&str> = named.iter().map(|n| n.0).filter(|n| shown(n)).collect();
    let mut rows = Vec::new();
    for one in all {
        let bootstrap = Bootstrap {
            seed: one.seed,
            ..Bootstrap::default()
        };
        let intervals = match &one.scored {
            Some(scored) => scored.intervals(&bootstrap)?,
            None => Vec::new(),
        };
        let cell = |name: &&str| {
            let value = one
                .scores
                .named()
                .into_iter()
                .find(|n| n.0 == *name)
                .map_or(f64::NAN, |n| n.1);
            match intervals.iter().find(|i| i.0 == *name).and_then(|i| i.1) {
                Some(i) => format!("{} [{}, {}]", short(value), short(i.lower), short(i.upper)),
                None => short(value),
            }
        };
        let costs = [
            format!("{:.1}", one.fit_seconds),
            format!("{:.0}", one.gradients),
        ];
        let method = std::iter::once(one.method.to_string());
        rows.push(method.chain(names.iter().map(cell)).chain(costs).collect());
    }
    let head = std::iter::once("method")
        .chain(names.iter().copied())
        .chain(["fit seconds", "gradients"]);
    Ok(Table {
        head: head.map(|n| n.replace('_', " ")).collect(),
        rows,
    })
}

fn over_seeds(rows: &[MethodScores]) -> Table {
    let names = rows.first().map_or(&[][..], |r| &r.columns);
    let head =
        std::iter::once("method".to_string()).chain(names.iter().map(|c| c.0.replace('_', " ")));
    let cell = |s: &Statistic| match s.error.filter(|_| s.mean.is_finite()) {
        Some(error) => format!("{} ± {}", short(s.mean), short(error)),
        None => short(s.mean),
    };
    let row = |row: &MethodScores| {
        let method = std::iter::once(row.method.to_string());
        method
            .chain(row.columns.iter().map(|c| cell(&c.1)))
            .collect()
    };
    Table {
        head: head.collect(),
        rows: rows.iter().map(row).collect(),
    }
}

fn differences(rows: &[MethodScores]) -> Option<Table> {
    let with: Vec<_> = rows
        .iter()
        .filter_map(|r| Some((r.method, r.differences.as_ref()?)))
        .collect();
    let (_, first) = with.first()?;
    let names: Vec<&str> = first.columns.keys().copied().collect();
    let head = std::iter::once(format!("less {}", first.best))
        .chain(names.iter().map(|n| n.replace('_', " ")));
    let rows = with.iter().map(|(method, d)| {
        let cell = |name: &&str| match d.columns.get(name).copied().flatten() {
            None => "-".into(),
            Some(d) => match d.error {
                Some(error) => format!("{} ± {}", short(d.mean), short(error)),
                None => short(d.mean),
            },
        };
        std::iter::once((*method).to_string())
            .chain(names.iter().map(cell))
            .collect()
    });
    Some(Table {
        head: head.collect(),
        rows: rows.collect(),
    })
}
