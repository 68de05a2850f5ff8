//! Networks: parameter layout, initialisation, derivatives, rows, and the linear head.
//!
//! ```text
//! theta = (tensor_1, tensor_2, ...)       in order, without gaps, P numbers
//! y = f(x; theta) is [n, output_dim]      for x [n, input_dim]
//! <u, J v> = <J^T u, v>,  J v = df/dt,  H v = d(J^T u)/dt      along x and along each tensor
//! f([a; b]; theta) = [f(a; theta); f(b; theta)]                row by row
//! f(x; theta) = phi(x; theta_h) W + b     for a network with a linear head
//! ```

use super::checker::{Checker, Tolerance};
use super::derivatives::{Block, check_derivatives};
use super::failure::{Failure, Place};
use super::options::{CheckOptions, normals};
use super::record::Recorded;
use super::rows::check_rows;
use crate::autodiff::{Graph, Var};
use crate::nn::{LinearHead, Network, ParamTensor};

/// Checks a network: layout, initialisation, shapes, derivatives and rows.
///
/// Inputs are normal with standard deviation `spread`. Parameters are initial ones, moved by
/// `spread / 10` standard normal numbers, so that biases are not zero.
///
/// ```
/// use fiberwalk::testing::{CheckOptions, check_network};
/// use fiberwalk::{Activation, Mlp};
/// let net = Mlp::new(&[2, 3, 1], Activation::Tanh)?;
/// check_network(&net, &CheckOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first property that fails.
pub fn check_network<N: Network + ?Sized>(
    network: &N,
    options: &CheckOptions,
) -> Result<(), Failure> {
    options.cases("check_network").try_for_each(|checker| {
        check_layout(checker, network)?;
        check_case(checker, network, options)
    })
}

/// Checks what [`check_network`] does, and that the network is linear in its last tensors.
///
/// The last two tensors are `W` `[features, output_dim]`, from `hidden_params` on, and `b`
/// `[output_dim]`.
///
/// # Errors
/// The first property that fails.
pub fn check_linear_head<N: LinearHead + ?Sized>(
    network: &N,
    options: &CheckOptions,
) -> Result<(), Failure> {
    check_network(network, options)?;
    options
        .cases("check_linear_head")
        .try_for_each(|checker| check_head(checker, network, options))
}

/// Tensors follow one another, and their names differ.
fn check_layout<N: Network + ?Sized>(checker: Checker, network: &N) -> Result<(), Failure> {
    let layout = network.layout();
    let mut end = 0;
    for (i, tensor) in layout.tensors().iter().enumerate() {
        let len = tensor.shape.iter().product::<usize>();
        checker.claim(
            "the place of a tensor",
            tensor.range == (end..end + len),
            || format!("{} at {:?}", tensor.name, tensor.range),
            || format!("{:?} for shape {:?}", end..end + len, tensor.shape),
        )?;
        end += len;
        let earlier = &layout.tensors()[..i];
        checker.claim(
            "names of tensors",
            earlier.iter().all(|other| other.name != tensor.name),
            || format!("{} twice", tensor.name),
            || "a name for each tensor".into(),
        )?;
    }
    let (dim, layout) = (network.dim(), layout.len());
    checker.shape("the number of parameters", &[dim, layout], &[end, end])?;
    let extents = (network.input_dim(), network.output_dim());
    let least = extents.0.max(extents.1);
    checker.claim(
        "the widest piece of a row",
        extents.0 > 0 && extents.1 > 0 && network.widest() >= least,
        || format!("{} for {extents:?} inputs and outputs", network.widest()),
        || "at least the larger of the two, both positive".into(),
    )
}

/// The initial parameters, which the stream alone decides.
fn initial<N: Network + ?Sized>(checker: Checker, network: &N) -> Result<Vec<f64>, Failure> {
    let theta = network.init(&mut checker.rng(2));
    let again = network.init(&mut checker.rng(2));
    let place = |i: usize| named(network.layout().tensors(), i);
    checker.shape("initial parameters", &[theta.len()], &[network.dim()])?;
    checker.finite("initial parameters", place, &theta)?;
    let exact = Tolerance {
        bound: 0.0,
        arithmetic: "the same random stream gives the same bits",
    };
    checker.values("initial parameters", place, &again, &theta, exact)?;
    Ok(theta)
}

fn named(tensors: &[ParamTensor], flat: usize) -> Place {
    match tensors.iter().find(|tensor| tensor.range.contains(&flat)) {
        Some(t) => Place::entry(&t.name, &t.shape, flat - t.range.start),
        None => Place::entry("theta", &[usize::MAX], flat),
    }
}

fn check_case<N: Network + ?Sized>(
    checker: Checker,
    network: &N,
    options: &CheckOptions,
) -> Result<(), Failure> {
    let (rows, d, k) = (options.batch(), network.input_dim(), network.output_dim());
    let mut rng = checker.rng(3);
    let mut at = normals(&mut rng, rows * d, options.spread);
    at.extend(moved(checker, network, options)?);
    let mut blocks = vec![Block {
        name: "input".into(),
        shape: vec![rows, d],
        range: 0..rows * d,
        rows: true,
    }];
    blocks.extend(network.layout().tensors().iter().map(|tensor| Block {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        range: rows * d + tensor.range.start..rows * d + tensor.range.end,
        rows: false,
    }));
    let graph = Graph::new();
    let y = record(network, rows, graph.input(&[at.len()]));
    checker.shape("the shape of the outputs", &y.shape(), &[rows, k])?;
    let all = check_derivatives(checker, options.slack, &blocks, &at, &mut rng, &|all| {
        record(network, rows, all)
    })?;
    let (x, theta) = at.split_at(rows * d);
    let graph = Graph::new();
    let y = record(network, 1, graph.input(&[d + theta.len()]));
    let mut program = checker.works("a single row", Recorded::new(&graph, &[y]))?;
    check_rows(checker, options.slack, (x, &all, rows), &[k], |row| {
        let argument = [row, theta].concat();
        let mut outputs = checker.works("a single row", program.run(&[&argument]))?;
        Ok(std::mem::take(&mut outputs[0]))
    })
}

/// Initial parameters, moved a little.
fn moved<N: Network + ?Sized>(
    checker: Checker,
    network: &N,
    options: &CheckOptions,
) -> Result<Vec<f64>, Failure> {
    let theta = initial(checker, network)?;
    let steps = normals(&mut checker.rng(4), theta.len(), 0.1 * options.spread);
    Ok(theta.iter().zip(&steps).map(|(t, s)| t + s).collect())
}

/// The outputs for a flat argument: `rows` rows, then `theta`.
fn record<'g, N: Network + ?Sized>(network: &N, rows: usize, all: Var<'g>) -> Var<'g> {
    let size = rows * network.input_dim();
    let x = all.slice(0, 0..size).reshape(&[rows, network.input_dim()]);
    network.forward(all.slice(0, size..size + network.dim()), x)
}

fn check_head<N: LinearHead + ?Sized>(
    checker: Checker,
    network: &N,
    options: &CheckOptions,
) -> Result<(), Failure> {
    let (rows, d, k) = (options.batch(), network.input_dim(), network.output_dim());
    let (hidden, features, dim) = (network.hidden_params(), network.features(), network.dim());
    let expected = hidden + (features + 1) * k;
    checker.shape("parameters of the linear head", &[dim], &[expected])?;
    let tensors = network.layout().tensors();
    let last = &tensors[tensors.len().saturating_sub(2)..];
    let shapes: Vec<&[usize]> = last.iter().map(|t| &t.shape[..]).collect();
    checker.claim(
        "the last two tensors",
        shapes == [&[features, k][..], &[k]],
        || format!("{shapes:?}"),
        || format!("[{features}, {k}] and [{k}]"),
    )?;
    let graph = Graph::new();
    let (theta, x) = (graph.input(&[dim]), graph.input(&[rows, d]));
    let y = network.forward(theta, x);
    let phi = network.feature_map(theta.slice(0, 0..hidden), x);
    checker.shape("the shape of the features", &phi.shape(), &[rows, features])?;
    let mut program = checker.works("recording", Recorded::new(&graph, &[y, phi]))?;
    let at = moved(checker, network, options)?;
    let x = normals(&mut checker.rng(3), rows * d, options.spread);
    let outputs = checker.works("running", program.run(&[&at, &x]))?;
    let (w, b) = at[hidden..].split_at(features * k);
    for (i, &got) in outputs[0].iter().enumerate() {
        let (row, j) = (i / k, i % k);
        let phi = &outputs[1][row * features..(row + 1) * features];
        let parts = phi.iter().enumerate().map(|(f, phi)| phi * w[f * k + j]);
        let (sum, size) = parts.fold((b[j], b[j].abs()), |(sum, size), part| {
            (sum + part, size + part.abs())
        });
        let tolerance = Tolerance {
            bound: options.slack * 1e-13 * (1.0 + size),
            arithmetic: "1e-13 (1 + sum |terms|), 450 roundings",
        };
        let place = || Place::of_row("output", &[k], i);
        checker.value("phi W + b against forward", place, got, sum, tolerance)?;
    }
    Ok(())
}
