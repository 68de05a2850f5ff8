//! Compares both ways to the dense matrix, and checks which one is taken.

use proptest::prelude::*;

use super::*;
use crate::autodiff::Var;
use crate::model::{Categorical, Gaussian, Likelihood};
use crate::nn::{Activation, Layer, LayerNorm, Linear, Mlp, Network, ParamLayout, Sequential};
use crate::rng::{Phase, Streams, fill_normal};

/// Standard normal numbers.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut all = vec![0.0; count];
    fill_normal(&mut Streams::new(seed).rng(Phase::USER, 0), &mut all);
    all
}

/// Real targets, or labels.
fn targets(likelihood: &dyn Likelihood, k: usize, n: usize) -> Vec<f64> {
    let all = numbers(n * likelihood.target_dim(k), 2);
    if likelihood.check(k, &all).is_ok() {
        return all;
    }
    let label = |v: &f64| (v.abs() * 1e3).floor() % k as f64;
    all.iter().map(label).collect()
}

/// A network whose graph looks like no layer of this crate.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// `tanh(x W) V`, no biases.
    Bare,
    /// `tanh(x W) V + b + |W^T|^2`: a weight that is used again, transposed.
    Transposed,
    /// `tanh(x W) V + b + |theta|^2 / P`: parameters that are also used in another way.
    Whole,
    /// `s + b + s^2` for `s = tanh(x W) V`: the derivatives with respect to `s` and `b` differ.
    Twice,
    /// `tanh((x, -x) W) V` with both of a row: a weight with two columns for each row of data.
    Stacked,
}

struct Odd {
    form: Form,
    sizes: [usize; 3],
    layout: ParamLayout,
}

impl Odd {
    fn new(form: Form, sizes: [usize; 3]) -> Self {
        let mut layout = ParamLayout::default();
        layout.push("w", &sizes[..2], sizes[0]);
        layout.push("v", &sizes[1..], sizes[1]);
        if !matches!(form, Form::Bare | Form::Stacked) {
            layout.push("b", &sizes[2..], sizes[1]);
        }
        Self {
            form,
            sizes,
            layout,
        }
    }
}

impl Network for Odd {
    fn input_dim(&self) -> usize {
        self.sizes[0]
    }

    fn output_dim(&self) -> usize {
        self.sizes[2]
    }

    fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
        let views: Vec<Var<'g>> = self
            .layout
            .tensors()
            .iter()
            .map(|t| t.view(theta))
            .collect();
        let (w, v) = (views[0], views[1]);
        if self.form == Form::Stacked {
            let n = x.shape()[0];
            let both = x.graph().concat(0, &[x, x * -1.0]);
            let hidden = both.matmul(w).tanh();
            let of = |half: usize| hidden.slice(0, half * n..(half + 1) * n);
            return (of(0) + of(1).square()).matmul(v);
        }
        let s = x.matmul(w).tanh().matmul(v);
        match self.form {
            Form::Bare | Form::Stacked => s,
            Form::Transposed => s + views[2] + w.t().square().sum(),
            Form::Whole => s + views[2] + theta.square().mean(),
            Form::Twice => s + views[2] + s.square(),
        }
    }

    fn init(&self, _: &mut dyn rand::Rng) -> Vec<f64> {
        numbers(self.dim(), 0)
    }
}

/// Largest difference between both ways, relative to the largest entry. `None` if there is only one
/// way.
fn difference(
    network: &dyn Network,
    likelihood: &dyn Likelihood,
    n: usize,
    range: Range<usize>,
    fisher: RowFisher,
) -> Option<f64> {
    let (d, k) = (network.input_dim(), network.output_dim());
    let x = numbers(n * d, 1);
    let y = targets(likelihood, k, n);
    let data = Supervised {
        network,
        likelihood,
        x: &x,
        y: &y,
    };
    let mut theta = numbers(network.dim(), 3);
    theta.iter_mut().for_each(|t| *t *= 0.7);
    let outputs = RowOutputs::new(&data, &theta).unwrap();
    let roots = OutputRoots::new(&data, &outputs, fisher).unwrap();
    let rows = JacobianRows::new(network, &theta).unwrap();
    let want = by_rows(&data, range.clone(), &rows, &roots).unwrap();
    // the way that is chosen
    let got = dense_from_roots(&data, &theta, range.clone(), &roots).unwrap();
    let error = |got: &[f64]| {
        let top = want.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
        let each = got.iter().zip(&want).map(|(g, w)| (g - w).abs());
        each.fold(0.0, f64::max) / top
    };
    assert_eq!(got.len(), want.len());
    assert!(error(&got) < 1e-12, "{}", error(&got));
    // pairs, even if they are not less work
    let layers = LinearLayers::<f64>::all(&data, range)?;
    let pairs = layers.matrix(&data, &theta, &roots).unwrap();
    assert_eq!(pairs.len(), want.len());
    let q = want.len().isqrt();
    assert!((0..q * q).all(|at| pairs[at] == pairs[at % q * q + at / q]));
    Some(error(&pairs))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Sums of up to 150 rows and 4 vectors in another order: some hundred roundings,
    /// `1e2 * 1.1e-16`, and cancellation between terms.
    #[test]
    fn pairs_give_what_rows_give(
        hidden in prop::collection::vec(1usize..14, 0..3),
        (d, k) in (1usize..6, 1usize..5),
        n in 1usize..150,
        gaussian: bool,
        last: bool,
        empirical: bool,
        relu: bool,
    ) {
        let sizes = [&[d][..], &hidden, &[k]].concat();
        let activation = if relu { Activation::Relu } else { Activation::Tanh };
        let net = Mlp::new(&sizes, activation).unwrap();
        let (normal, classes) = (Gaussian::new(0.5).unwrap(), Categorical);
        let likelihood: &dyn Likelihood = if gaussian || k == 1 { &normal } else { &classes };
        let start = if last { net.dim() - (sizes[sizes.len() - 2] + 1) * k } else { 0 };
        let fisher = if empirical { RowFisher::Empirical } else { RowFisher::Ggn };
        let error = difference(&net, likelihood, n, start..net.dim(), fisher);
        prop_assert!(error.is_some_and(|e| e < 1e-12), "{error:?}");
    }
}

/// More rows than are in memory at once, more pairs than one product holds, and single layers.
#[test]
fn many_rows_and_wide_layers() {
    let net = Mlp::new(&[17, 20, 5, 3], Activation::Tanh).unwrap();
    let (first, second) = (18 * 20, 21 * 5);
    for range in [0..net.dim(), first..first + second, 0..first + second] {
        let error = difference(&net, &Categorical, 1_100, range, RowFisher::Ggn);
        assert!(error.is_some_and(|e| e < 1e-12), "{error:?}");
    }
}

#[test]
fn other_networks_than_of_linear_layers_go_by_rows() {
    let normal = Gaussian::new(0.5).unwrap();
    for form in [
        Form::Bare,
        Form::Transposed,
        Form::Whole,
        Form::Twice,
        Form::Stacked,
    ] {
        let net = Odd::new(form, [3, 7, 2]);
        let error = difference(&net, &normal, 70, 0..net.dim(), RowFisher::Ggn);
        assert_eq!(error.is_some(), form == Form::Bare, "{form:?}");
        assert!(error.is_none_or(|e| e < 1e-12), "{form:?}: {error:?}");
    }
    // part of a layer fails; a weight without its bias counts as a layer
    let net = Mlp::new(&[3, 7, 2], Activation::Tanh).unwrap();
    for (range, layers) in [
        (0..1, false),
        (0..net.dim() - 1, false),
        (21..28, false),
        (0..21, true),
        (5..5, true),
    ] {
        let error = difference(&net, &normal, 70, range.clone(), RowFisher::Ggn);
        assert_eq!(error.is_some(), layers, "{range:?}");
        assert!(error.is_none_or(|e| e < 1e-12), "{range:?}: {error:?}");
    }
    // a layer of another kind, and the last layer after it
    let layers = |norm| -> Vec<Box<dyn Layer>> {
        let first = [Box::new(Linear::new(6).unwrap()) as Box<dyn Layer>];
        let last = [Box::new(Linear::new(3).unwrap()) as Box<dyn Layer>];
        first.into_iter().chain(norm).chain(last).collect()
    };
    let norm: Option<Box<dyn Layer>> = Some(Box::new(LayerNorm));
    let net = Sequential::new(&[4], layers(norm)).unwrap();
    let p = net.dim();
    assert!(difference(&net, &normal, 70, 0..p, RowFisher::Ggn).is_none());
    let last = difference(&net, &normal, 70, p - 21..p, RowFisher::Ggn);
    assert!(last.is_some_and(|e| e < 1e-12), "{last:?}");
}

/// The work decides: a layer with many roots goes by pairs, one with a single root and few pairs by
/// rows.
#[test]
fn the_smaller_work_is_taken() {
    let find = |sizes: &[usize], rank| {
        let net = Mlp::new(sizes, Activation::Tanh).unwrap();
        let x = numbers(3 * sizes[0], 1);
        let data = Supervised {
            network: &net,
            likelihood: &Categorical,
            x: &x,
            y: &[0.0, 1.0, 0.0],
        };
        LinearLayers::<f64>::find(&data, 0..net.dim(), rank).is_some()
    };
    assert!(find(&[18, 50, 4], 3));
    assert!(find(&[50, 10], 9));
    assert!(!find(&[1, 1, 1], 1));
}

/// One compilation gives the matrices of several, to the last bit: for networks that go by pairs
/// and by rows, and more and fewer rows than a block.
#[test]
fn a_compiled_matrix_is_that_of_any_point_and_noise() {
    let net = Mlp::new(&[3, 7, 2], Activation::Tanh).unwrap();
    let odd = Odd::new(Form::Twice, [3, 7, 2]);
    let networks: [&dyn Network; 2] = [&net, &odd];
    for (network, n) in networks.into_iter().zip([70, 20]) {
        let normal = Gaussian::new(0.5).unwrap();
        let (x, y) = (numbers(n * 3, 1), targets(&normal, 2, n));
        let range = 0..network.dim();
        let compiled = DenseCurvature::new(network, &normal, (&x, &y), range.clone()).unwrap();
        for (noise, seed) in [(0.5, 3), (0.1, 4), (2.0, 5)] {
            let theta = numbers(network.dim(), seed);
            let likelihood = Gaussian::new(noise).unwrap();
            let data = Supervised {
                network,
                likelihood: &likelihood,
                x: &x,
                y: &y,
            };
            let want = dense_curvature(&data, &theta, range.clone(), RowFisher::Ggn).unwrap();
            assert!(compiled.at(&likelihood, &theta).unwrap() == want, "{noise}");
        }
        assert!(compiled.at(&normal, &[0.0]).is_err());
    }
}
