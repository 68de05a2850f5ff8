//! Layers: shapes, parameters, derivatives, and rows that do not see one another.
//!
//! For a layer `y = f(x; p)` with tensors of parameters `p_1, p_2, ...`:
//!
//! ```text
//! y is [n, output_shape...] for x [n, input...]
//! <u, J v> = <J^T u, v>,  J v = df/dt,  H v = d(J^T u)/dt   along x and along each p_j
//! f([a; b]; p) = [f(a; p); f(b; p)]                          row by row
//! ```

use super::checker::Checker;
use super::derivatives::{Block, check_derivatives};
use super::failure::Failure;
use super::options::{CheckOptions, normals};
use super::record::Recorded;
use super::rows::check_rows;
use crate::autodiff::{Graph, Var};
use crate::nn::Layer;

/// Checks a layer for examples of shape `input`: `[features]`, or `[channels, height, width]`.
///
/// Inputs are normal with standard deviation `spread`. Parameters are those of their
/// initialisation, moved by `spread / 2` standard normal numbers: an initialisation may be special,
/// such as zero. The widest piece that the layer reports must hold its input and its output.
///
/// ```
/// use fiberwalk::nn::Linear;
/// use fiberwalk::testing::{CheckOptions, check_layer};
/// check_layer(&Linear::new(3)?, &[4], &CheckOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first property that fails.
pub fn check_layer(
    layer: &dyn Layer,
    input: &[usize],
    options: &CheckOptions,
) -> Result<(), Failure> {
    options
        .cases("check_layer")
        .try_for_each(|checker| check_case(checker, layer, input, options))
}

fn check_case(
    checker: Checker,
    layer: &dyn Layer,
    input: &[usize],
    options: &CheckOptions,
) -> Result<(), Failure> {
    let shape = checker.works("output_shape", layer.output_shape(input))?;
    let rows = options.batch();
    let (blocks, at) = arguments(checker, layer, input, options)?;
    let widest = layer.widest(input);
    let least = numbers(input).max(numbers(&shape));
    checker.claim(
        "the widest piece of an example",
        widest >= least,
        || widest.to_string(),
        || format!("at least {least}, the larger of input and output"),
    )?;
    let size = numbers(input);
    let f = Batch {
        layer,
        blocks: &blocks,
        input,
        rows,
    };
    let graph = Graph::new();
    let y = f.record(graph.input(&[at.len()]));
    checker.shape(
        "the shape of the result",
        &y.shape(),
        &[&[rows], &shape[..]].concat(),
    )?;
    let mut rng = checker.rng(1);
    let all = check_derivatives(checker, options.slack, &blocks, &at, &mut rng, &|all| {
        f.record(all)
    })?;
    let (x, theta) = at.split_at(rows * size);
    let graph = Graph::new();
    let one = Batch { rows: 1, ..f };
    let y = one.record(graph.input(&[size + theta.len()]));
    let mut program = checker.works("a single row", Recorded::new(&graph, &[y]))?;
    check_rows(checker, options.slack, (x, &all, rows), &shape, |row| {
        let argument = [row, theta].concat();
        let mut outputs = checker.works("a single row", program.run(&[&argument]))?;
        Ok(std::mem::take(&mut outputs[0]))
    })
}

/// A layer on a batch; its argument is the batch and then its parameters, in one flat vector.
struct Batch<'a> {
    layer: &'a dyn Layer,
    blocks: &'a [Block],
    input: &'a [usize],
    rows: usize,
}

impl Batch<'_> {
    fn record<'g>(&self, all: Var<'g>) -> Var<'g> {
        let size = self.rows * numbers(self.input);
        let x = all.slice(0, 0..size);
        let x = x.reshape(&[&[self.rows], self.input].concat());
        let mut start = size;
        let params: Vec<Var<'g>> = self
            .blocks
            .iter()
            .skip(1)
            .map(|block| {
                let end = start + block.range.len();
                let view = all.slice(0, start..end).reshape(&block.shape);
                start = end;
                view
            })
            .collect();
        self.layer.forward(&params, x)
    }
}

/// The tensors of the argument, inputs first, and a random point.
fn arguments(
    checker: Checker,
    layer: &dyn Layer,
    input: &[usize],
    options: &CheckOptions,
) -> Result<(Vec<Block>, Vec<f64>), Failure> {
    let mut rng = checker.rng(0);
    let rows = options.batch();
    let mut at = normals(&mut rng, rows * numbers(input), options.spread);
    let mut blocks = vec![Block {
        name: "input".into(),
        shape: [&[rows], input].concat(),
        range: 0..at.len(),
        rows: true,
    }];
    for spec in layer.params(input) {
        let fresh = blocks.iter().all(|block| block.name != spec.name);
        checker.claim(
            "names of parameters",
            fresh,
            || format!("'{}' twice (the input is 'input')", spec.name),
            || "a name for each tensor".into(),
        )?;
        let start = at.len();
        let mut values = vec![0.0; numbers(&spec.shape)];
        spec.init.fill(spec.fan_in, &mut rng, &mut values);
        let moves = normals(&mut rng, values.len(), 0.5 * options.spread);
        at.extend(values.iter().zip(&moves).map(|(value, step)| value + step));
        blocks.push(Block {
            name: spec.name.into(),
            shape: spec.shape,
            range: start..at.len(),
            rows: false,
        });
    }
    Ok((blocks, at))
}

fn numbers(shape: &[usize]) -> usize {
    shape.iter().product()
}
