//! Priors: derivatives, the stated curvature at the mode, and that the density integrates to one.
//!
//! ```text
//! <u, J v> = <J^T u, v>,  J v = df/dt,  H v = d(J^T u)/dt         of f = -log p, along each tensor
//! precision_i = d^2 f / d theta_i^2                               at the mode
//! integral p(theta) d theta = 1                                   for one or two parameters
//! ```
//!
//! The mode is found from zero by Newton's steps with the stated precision: for a Gaussian this is
//! exact, for another prior it converges if the precision is right and the prior has one mode.

use super::checker::{Checker, Tolerance};
use super::derivatives::{Block, check_derivatives};
use super::failure::{Failure, Place};
use super::integral::{Nodes, check_mass};
use super::options::{CheckOptions, normals};
use super::record::Recorded;
use crate::autodiff::Graph;
use crate::model::Prior;
use crate::nn::ParamLayout;

/// Checks a prior over parameters of the given layout.
///
/// Give it the layout of a network with one or two parameters too (`Mlp::new(&[1, 1], ...)`): only
/// there is the integral checked. The prior must be smooth at its mode. Parameters are normal, with
/// `spread` times the standard deviation that the precision states.
///
/// ```
/// use fiberwalk::testing::{CheckOptions, check_prior};
/// use fiberwalk::{Activation, FanInGaussian, Mlp, Network};
/// let prior = FanInGaussian::new(2.0, 1.0)?;
/// for sizes in [&[1, 1][..], &[2, 3, 1]] {
///     let net = Mlp::new(sizes, Activation::Tanh)?;
///     check_prior(&prior, net.layout(), &CheckOptions::default())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first property that fails.
pub fn check_prior(
    prior: &dyn Prior,
    layout: &ParamLayout,
    options: &CheckOptions,
) -> Result<(), Failure> {
    for checker in options.cases("check_prior") {
        checker.works("check", prior.check(layout))?;
        let deviations = deviations(checker, prior, layout)?;
        let at: Vec<f64> = normals(&mut checker.rng(0), layout.len(), options.spread)
            .iter()
            .zip(&deviations)
            .map(|(z, s)| z * s)
            .collect();
        let blocks: Vec<Block> = layout
            .tensors()
            .iter()
            .map(|tensor| Block {
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
                range: tensor.range.clone(),
                rows: false,
            })
            .collect();
        let mut rng = checker.rng(1);
        check_derivatives(checker, options.slack, &blocks, &at, &mut rng, &|theta| {
            prior.neg_log_density(theta, layout).reshape(&[1])
        })?;
    }
    // the rest does not depend on random numbers
    let Some(checker) = options.cases("check_prior").next() else {
        return Ok(());
    };
    let mode = check_precision(checker, prior, layout, options)?;
    if (1..=2).contains(&layout.len()) {
        check_integral(checker, prior, layout, (&mode, options.slack))?;
    }
    Ok(())
}

/// `precision^{-1/2}`, if every precision is positive.
fn deviations(
    checker: Checker,
    prior: &dyn Prior,
    layout: &ParamLayout,
) -> Result<Vec<f64>, Failure> {
    let precision = prior.precision(layout);
    checker.shape("precision", &[precision.len()], &[layout.len()])?;
    for (i, &p) in precision.iter().enumerate() {
        checker.claim(
            "precision",
            p > 0.0 && p.is_finite(),
            || format!("{p} in {}", place(layout, i)),
            || "a positive number".into(),
        )?;
    }
    Ok(precision.iter().map(|p| p.sqrt().recip()).collect())
}

fn place(layout: &ParamLayout, flat: usize) -> Place {
    let found = layout.tensors().iter().find(|t| t.range.contains(&flat));
    match found {
        Some(t) => Place::entry(&t.name, &t.shape, flat - t.range.start),
        None => Place::entry("theta", &[usize::MAX], flat),
    }
}

/// Newton's steps to the mode.
const STEPS: usize = 500;

/// Compares the precision with the diagonal of the Hessian at the mode, which is returned.
fn check_precision(
    checker: Checker,
    prior: &dyn Prior,
    layout: &ParamLayout,
    options: &CheckOptions,
) -> Result<Vec<f64>, Failure> {
    let (dim, precision) = (layout.len(), prior.precision(layout));
    let graph = Graph::new();
    let (theta, v) = (graph.input(&[dim]), graph.input(&[dim]));
    let record = || {
        let value = prior.neg_log_density(theta, layout);
        let outputs = [graph.grad(value, &[theta])?[0], graph.hvp(value, theta, v)?];
        Recorded::new(&graph, &outputs)
    };
    let mut program = checker.works("recording", record())?;
    let mut mode = vec![0.0; dim];
    let zero = vec![0.0; dim];
    let mut slope = f64::INFINITY;
    for _ in 0..STEPS {
        let outputs = checker.works("running", program.run(&[&mode, &zero]))?;
        let scaled = outputs[0]
            .iter()
            .zip(&precision)
            .map(|(g, p)| g.abs() / p.sqrt());
        slope = scaled.fold(0.0, |all, g| if g.is_nan() { f64::NAN } else { all.max(g) });
        if slope.is_nan() || slope < 1e-12 {
            break;
        }
        for ((t, g), p) in mode.iter_mut().zip(&outputs[0]).zip(&precision) {
            *t -= g / p;
        }
    }
    checker.claim(
        "the mode, by Newton's steps with the stated precision",
        slope < 1e-7,
        || format!("a gradient of {slope:.3e} deviations after {STEPS} steps"),
        || "a gradient of zero: the precision is too small, or there is no mode".into(),
    )?;
    for (i, &stated) in precision.iter().enumerate() {
        let mut unit = zero.clone();
        unit[i] = 1.0;
        let outputs = checker.works("running", program.run(&[&mode, &unit]))?;
        let curvature = outputs[1][i];
        let tolerance = Tolerance {
            bound: options.slack * 1e-6 * curvature.abs(),
            arithmetic: "1e-6 of the curvature: the mode is off by 1e-7 deviations at most",
        };
        let place = || place(layout, i);
        let property = "precision against the Hessian at the mode";
        checker.value(property, place, stated, curvature, tolerance)?;
    }
    Ok(mode)
}

/// The integral of the density over one or two parameters.
fn check_integral(
    checker: Checker,
    prior: &dyn Prior,
    layout: &ParamLayout,
    (mode, slack): (&[f64], f64),
) -> Result<(), Failure> {
    let graph = Graph::new();
    let theta = graph.input(&[layout.len()]);
    let value = prior.neg_log_density(theta, layout);
    let mut program = checker.works("recording", Recorded::new(&graph, &[value]))?;
    let deviations = deviations(checker, prior, layout)?;
    let axes: Vec<Nodes> = mode
        .iter()
        .zip(&deviations)
        .map(|(&mode, &deviation)| Nodes::line(mode, deviation))
        .collect();
    check_mass(checker, slack, &axes, |theta| {
        checker.works("running", program.scalar(&[theta]))
    })
}
