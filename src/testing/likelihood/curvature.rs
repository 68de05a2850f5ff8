//! The curvature of a likelihood, row by row.
//!
//! ```text
//! Lambda = Lambda^T >= 0                            [k, k] for each row
//! output_hessian_product(w) = Lambda w              of its own row, and of no other
//! Lambda w = d/dt grad_o nll(o + t w)               if Lambda is the Hessian
//! params_hessian_product: symmetric and >= 0        [q, q], a sum over rows
//! ```
//!
//! Products are compared up to `1e-11` of the largest entry: `Lambda` in closed form and the
//! recorded product round differently, 45000 roundings are allowed.

use super::super::checker::Tolerance;
use super::super::failure::{Failure, Place};
use super::super::options::normals;
use super::super::record::Recorded;
use super::{Case, LikelihoodOptions, target_shape};
use crate::autodiff::Graph;
use crate::error::Result as Outcome;
use crate::linalg::symmetric_eigen;

/// Roundings that products may differ by, as a part of the largest entry.
fn tolerance(slack: f64, entries: &[f64]) -> Tolerance {
    let largest = entries.iter().fold(0.0f64, |all, x| all.max(x.abs()));
    Tolerance {
        bound: slack * (1e-11 * largest + 1e-14),
        arithmetic: "1e-11 of the largest entry, 45000 roundings, and 1e-14 for a curvature of 0",
    }
}

/// `Lambda w`, the exact Hessian times `w`, and the block of own parameters times `u`.
struct Products {
    program: Recorded,
    k: usize,
    rows: usize,
    own: usize,
}

impl Products {
    fn new(case: &Case<'_>) -> Outcome<Self> {
        let (rows, k, own) = (case.rows, case.k, case.params.len());
        let graph = Graph::new();
        let (o, w) = (graph.input(&[rows, k]), graph.input(&[rows, k]));
        let y = graph.input(&target_shape(rows, case.encoded.len()));
        let (s, u) = (graph.input(&[own]), graph.input(&[own]));
        let of = case.likelihood;
        let nll = of.neg_log_likelihood(o, y, s);
        let outputs = [
            of.output_hessian_product(o, y, s, w)?,
            graph.hvp(nll, o, w)?,
            of.params_hessian_product(o, y, s, u)?,
        ];
        Ok(Self {
            program: Recorded::new(&graph, &outputs)?,
            k,
            rows,
            own,
        })
    }

    fn run(&mut self, case: &Case<'_>, w: &[f64], u: &[f64]) -> Outcome<[Vec<f64>; 3]> {
        let inputs = [&case.outputs, w, &case.encoded, &case.params, u];
        Ok(self.program.run(&inputs)?.try_into().unwrap_or_default())
    }
}

pub(super) fn check(case: &Case<'_>, options: &LikelihoodOptions) -> Result<(), Failure> {
    let checker = case.checker;
    let mut products = checker.works("recording the curvature", Products::new(case))?;
    let (k, rows) = (products.k, products.rows);
    // Lambda of every row: in closed form
    let mut closed = vec![f64::NAN; rows * k * k];
    for (row, lambda) in closed.chunks_exact_mut(k * k).enumerate() {
        let o = &case.outputs[row * k..(row + 1) * k];
        let y = &case.targets[row * case.m..(row + 1) * case.m];
        let written = case.likelihood.output_hessian(o, y, &case.params, lambda);
        checker.works("output_hessian", written)?;
        check_block(case, &format!("Lambda of row {row}"), lambda, k)?;
    }
    let bound = tolerance(case.slack, &closed);
    // and by products with a random direction in one row at a time
    let mut rng = checker.rng(2);
    let none = vec![0.0; products.own];
    for row in 0..rows {
        let mut w = vec![0.0; rows * k];
        let direction = normals(&mut rng, k, 1.0);
        w[row * k..(row + 1) * k].copy_from_slice(&direction);
        let mut expected = vec![0.0; rows * k];
        for (i, e) in expected[row * k..(row + 1) * k].iter_mut().enumerate() {
            let lambda = &closed[(row * k + i) * k..(row * k + i + 1) * k];
            *e = lambda.iter().zip(&direction).map(|(l, w)| l * w).sum();
        }
        let [product, hessian, _] = checker.works("running", products.run(case, &w, &none))?;
        let place = |i| Place::of_row("Lambda w", &[k], i);
        let name = "output_hessian_product against output_hessian";
        checker.values(name, place, &product, &expected, bound)?;
        if options.exact_hessian {
            let name = "Lambda w against the Hessian of the negative log-likelihood";
            checker.values(name, place, &product, &hessian, bound)?;
        }
    }
    check_own(case, &mut products)
}

/// The block of the likelihood's own parameters.
fn check_own(case: &Case<'_>, products: &mut Products) -> Result<(), Failure> {
    let (checker, q) = (case.checker, products.own);
    if q == 0 {
        return Ok(());
    }
    let zero = vec![0.0; products.rows * products.k];
    let mut block = Vec::new();
    for i in 0..q {
        let mut unit = vec![0.0; q];
        unit[i] = 1.0;
        let [_, _, row] = checker.works("running", products.run(case, &zero, &unit))?;
        block.extend(row);
    }
    check_block(case, "params_hessian_product", &block, q)
}

/// Symmetric and without a negative eigenvalue.
fn check_block(case: &Case<'_>, name: &str, block: &[f64], n: usize) -> Result<(), Failure> {
    let checker = case.checker;
    let place = |i| Place::entry(name, &[n, n], i);
    checker.finite("the curvature", place, block)?;
    let bound = tolerance(case.slack, block);
    for i in 0..n {
        for j in 0..i {
            let (got, expected) = (block[i * n + j], block[j * n + i]);
            let place = || Place::entry(name, &[n, n], i * n + j);
            checker.value("a symmetric curvature", place, got, expected, bound)?;
        }
    }
    let eigen = checker.works("eigenvalues", symmetric_eigen(block, n))?;
    let lowest = eigen.values.first().copied().unwrap_or(0.0);
    let place = || Place::scalar(format!("the lowest eigenvalue of {name}"));
    checker.value(
        "a curvature that is not negative",
        place,
        lowest.min(0.0),
        0.0,
        bound,
    )
}
