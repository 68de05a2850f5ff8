//! Derivatives of a recorded function, in f64, tensor by tensor.
//!
//! For `y = f(x)` with the Jacobian `J`, and random `u` and `v`, where `v` is zero outside of one
//! tensor of `x` at a time:
//!
//! ```text
//! <u, J v> = <J^T u, v>                       a JVP and a VJP are adjoint
//! J v   = d/dt f(x + t v)                     first derivatives, by central differences
//! J^T u = d/dt <u, f(x + t e_i)>              the same, for some entries i of each tensor
//! H v   = d/dt J(x + t v)^T u                 second derivatives of <u, f>
//! ```

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::checker::{Checker, Tolerance};
use super::differences::compare;
use super::failure::{Failure, Place};
use super::options::normals;
use super::record::Recorded;
use crate::autodiff::{Graph, Var};

/// A tensor of the flat argument.
pub(super) struct Block {
    pub name: String,
    pub shape: Vec<usize>,
    pub range: Range<usize>,
    /// True if its first extent counts rows.
    pub rows: bool,
}

impl Block {
    /// Entry `flat` of this tensor.
    fn place(&self, flat: usize) -> Place {
        match self.shape.split_first() {
            Some((_, inner)) if self.rows => Place::of_row(&self.name, inner, flat),
            _ => Place::entry(&self.name, &self.shape, flat),
        }
    }
}

/// The entry of the flat argument.
pub(super) fn place_of(blocks: &[Block], flat: usize) -> Place {
    match blocks.iter().find(|block| block.range.contains(&flat)) {
        Some(block) => block.place(flat - block.range.start),
        None => Place::entry("argument", &[usize::MAX], flat),
    }
}

/// Entries of a tensor whose derivative is checked one by one.
const ENTRIES: usize = 8;

/// A recorded function of one flat vector. It must return a tensor, `[1]` for a scalar.
pub(super) type Function<'a> = &'a dyn for<'g> Fn(Var<'g>) -> Var<'g>;

/// Checks all derivatives of `f` at `at`, and returns its value there.
///
/// `output` names the value's tensor; its first extent counts rows if `rows` is set.
pub(super) fn check_derivatives(
    checker: Checker,
    slack: f64,
    blocks: &[Block],
    at: &[f64],
    rng: &mut ChaCha8Rng,
    f: Function<'_>,
) -> Result<Vec<f64>, Failure> {
    let graph = Graph::new();
    let (x, v) = (graph.input(&[at.len()]), graph.input(&[at.len()]));
    let y = f(x);
    let shape = y.shape();
    let u = graph.input(&shape);
    let record = || {
        let energy = (y * u).sum();
        let products = [
            y,
            graph.jvp(y, x, v)?,
            graph.vjp(y, u, &[x])?[0],
            graph.hvp(energy, x, v)?,
        ];
        Recorded::new(&graph, &products)
    };
    let mut program = checker.works("recording", record())?;
    let u = normals(rng, shape.iter().product(), 1.0);
    let mut run = |x: &[f64], v: &[f64]| -> Result<[Vec<f64>; 4], Failure> {
        let all = checker.works("running", program.run(&[x, v, &u]))?;
        Ok(all.try_into().unwrap_or_default())
    };
    let here = run(at, &vec![0.0; at.len()])?;
    let output = |i: usize| match shape.split_first() {
        Some((_, inner)) => Place::of_row("output", inner, i),
        None => Place::scalar("output"),
    };
    checker.finite("the value", output, &here[0])?;
    checker.finite("the gradient", |i| place_of(blocks, i), &here[2])?;
    let moved =
        |v: &[f64], t: f64| -> Vec<f64> { at.iter().zip(v).map(|(x, v)| x + t * v).collect() };
    for block in blocks.iter().filter(|block| !block.range.is_empty()) {
        let mut along = vec![0.0; at.len()];
        let direction = normals(rng, block.range.len(), 1.0);
        along[block.range.clone()].copy_from_slice(&direction);
        let [_, jvp, vjp, hvp] = run(at, &along)?;
        let (forward, back) = (terms(&u, &jvp), terms(&vjp, &along));
        checker.value(
            &format!("jvp and vjp adjoint along {}", block.name),
            || Place::scalar("<u, J v>"),
            forward.0,
            back.0,
            Tolerance {
                bound: slack * 1e-12 * (1.0 + forward.1.max(back.1)),
                arithmetic: "1e-12 (1 + sum |terms|), 4500 roundings of either inner product",
            },
        )?;
        let rounding = (f64::EPSILON, slack);
        let name = format!("jvp against finite differences along {}", block.name);
        compare(checker, &name, rounding, output, &jvp, |t| {
            Ok(std::mem::take(&mut run(&moved(&along, t), &along)?[0]))
        })?;
        let name = format!(
            "second derivatives against finite differences along {}",
            block.name
        );
        compare(
            checker,
            &name,
            rounding,
            |i| place_of(blocks, i),
            &hvp,
            |t| Ok(std::mem::take(&mut run(&moved(&along, t), &along)?[2])),
        )?;
        let name = format!("vjp against finite differences in {}", block.name);
        for _ in 0..ENTRIES.min(block.range.len()) {
            let i = rng.random_range(block.range.clone());
            let mut unit = vec![0.0; at.len()];
            unit[i] = 1.0;
            let place = |_| place_of(blocks, i);
            compare(checker, &name, rounding, place, &here[2][i..=i], |t| {
                let y = &run(&moved(&unit, t), &unit)?[0];
                Ok(vec![terms(&u, y).0])
            })?;
        }
    }
    let [value, ..] = here;
    Ok(value)
}

/// An inner product, and the sum of the sizes of its terms.
fn terms(a: &[f64], b: &[f64]) -> (f64, f64) {
    a.iter().zip(b).fold((0.0, 0.0), |(sum, size), (a, b)| {
        (sum + a * b, size + (a * b).abs())
    })
}
