//! A likelihood is a sum over rows, and a density of its targets.
//!
//! ```text
//! nll(rows) = sum_i nll(row i),     nll(rows twice) = 2 nll(rows)
//! encode(rows) = [encode(row 1); encode(row 2); ...]
//! integral exp(-nll(o, y)) dy = 1   over the stated support, for one target a row
//! ```

use super::super::checker::Tolerance;
use super::super::failure::{Failure, Place};
use super::super::integral::{Nodes, check_mass};
use super::super::record::Recorded;
use super::{Case, LikelihoodOptions, Support, target_shape, values};
use crate::autodiff::Graph;
use crate::error::counted;

/// Sums over rows.
pub(super) fn check(case: &Case<'_>) -> Result<(), Failure> {
    let (checker, k) = (case.checker, case.k);
    let each = case.encoded.len() / case.rows;
    checker.shape(
        "encoded targets",
        &[case.encoded.len()],
        &[each * case.rows],
    )?;
    let own = case.params.len();
    let mut one = values(checker, case.likelihood, (1, k), (each, own))?;
    let mut terms = Vec::new();
    for row in 0..case.rows {
        let target = &case.targets[row * case.m..(row + 1) * case.m];
        let encoded = case.likelihood.encode(target);
        let exact = Tolerance {
            bound: 0.0,
            arithmetic: "a row is encoded by itself, so bit by bit",
        };
        let place = |i| Place::of_row("encoded targets", &[each], row * each + i);
        let all = &case.encoded[row * each..(row + 1) * each];
        checker.values("a row encoded among others", place, all, &encoded, exact)?;
        let o = &case.outputs[row * k..(row + 1) * k];
        let term = checker.works("a single row", one.scalar(&[o, &encoded, &case.params]))?;
        let place = |_| Place::of_row("negative log-likelihood", &[], row);
        checker.finite("the value", place, &[term])?;
        terms.push(term);
    }
    check_rows(case, each, &terms)?;
    let sum: f64 = terms.iter().sum();
    let size: f64 = terms.iter().map(|term| term.abs()).sum();
    for times in [1, 2] {
        let shape = (times * case.rows, k);
        let mut all = values(
            checker,
            case.likelihood,
            shape,
            (times * each * case.rows, own),
        )?;
        let (o, y) = (case.outputs.repeat(times), case.encoded.repeat(times));
        let got = checker.works("all rows", all.scalar(&[&o, &y, &case.params]))?;
        let expected = times as f64 * sum;
        let tolerance = Tolerance {
            bound: case.slack * 1e-12 * (1.0 + times as f64 * size),
            arithmetic: "1e-12 (1 + sum |terms|), 4500 roundings",
        };
        let mean = expected / (times * case.rows) as f64;
        let property = if (got - mean).abs() <= tolerance.bound {
            "a mean over rows, not a sum"
        } else if times == 1 {
            "the rows together against the sum over single rows"
        } else {
            "the rows twice against twice the sum"
        };
        let place = || Place::scalar("negative log-likelihood");
        checker.value(property, place, got, expected, tolerance)?;
    }
    Ok(())
}

/// The rows that a likelihood states, against the values of single rows.
fn check_rows(case: &Case<'_>, each: usize, terms: &[f64]) -> Result<(), Failure> {
    let (checker, own) = (case.checker, case.params.len());
    let graph = Graph::new();
    let o = graph.input(&[case.rows, case.k]);
    let y = graph.input(&target_shape(case.rows, each * case.rows));
    let s = graph.input(&[own]);
    let Some(rows) = case.likelihood.row_neg_log_likelihoods(o, y, s) else {
        return Ok(());
    };
    let what = "the shape of row_neg_log_likelihoods";
    checker.shape(what, &rows.shape(), &[case.rows])?;
    let mut rows = checker.works("recording", Recorded::new(&graph, &[rows]))?;
    let inputs = [&case.outputs[..], &case.encoded, &case.params];
    let got = checker.works("rows", rows.run(&inputs))?.concat();
    let size = terms.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    let tolerance = Tolerance {
        bound: case.slack * 1e-12 * size,
        arithmetic: "1e-12 times the largest term, 4500 roundings",
    };
    let place = |i| Place::of_row("row_neg_log_likelihoods", &[], i);
    checker.values("a row against its own value", place, &got, terms, tolerance)
}

/// The mass of the density over its targets, at the outputs of every row.
pub(super) fn check_normalisation(
    case: &Case<'_>,
    options: &LikelihoodOptions,
) -> Result<(), Failure> {
    let (checker, k, own) = (case.checker, case.k, case.params.len());
    if options.support == Support::Unchecked {
        return Ok(());
    }
    checker.claim(
        "normalisation",
        case.m == 1,
        || format!("{} a row", counted(case.m, "target")),
        || "one target a row, where the support is stated".into(),
    )?;
    let each = case.encoded.len() / case.rows;
    let mut one = values(checker, case.likelihood, (1, k), (each, own))?;
    for o in case.outputs.chunks_exact(k) {
        let mut energy = |y: &[f64]| {
            let encoded = case.likelihood.encode(y);
            checker.works("a single row", one.scalar(&[o, &encoded, &case.params]))
        };
        let axis = match options.support {
            Support::Labels(count) => Nodes::count(count),
            Support::Real | Support::Unchecked => Nodes::around_peak(&mut energy)?,
        };
        check_mass(checker, case.slack, &[axis], energy)?;
    }
    Ok(())
}
