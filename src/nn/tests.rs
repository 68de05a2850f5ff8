//! Layers compared with plain loops, derivatives of layers, and networks of layers.

use proptest::prelude::*;

use super::*;
use crate::autodiff::{Graph, Window};
use crate::rng::{Phase, Streams};
use crate::testing::{CheckOptions, check_layer, check_linear_head, check_network};

fn numbers(count: usize, seed: u64) -> Vec<f64> {
    (0..count)
        .map(|i| ((i as f64 + 1.0) * 12.9898 + seed as f64 * 78.233).sin())
        .collect()
}

/// Runs one layer on examples. Its parameters lie in one flat vector.
fn run(
    layer: &dyn Layer,
    input: &[usize],
    n: usize,
    theta: &[f64],
    x: &[f64],
) -> (Vec<usize>, Vec<f64>) {
    let graph = Graph::new();
    let params = layer.params(input);
    let flat = graph.input(&[theta.len()]);
    let mut start = 0;
    let params: Vec<_> = params
        .iter()
        .map(|p| {
            let end = start + p.shape.iter().product::<usize>();
            let view = flat.slice(0, start..end).reshape(&p.shape);
            start = end;
            view
        })
        .collect();
    let y = layer.forward(&params, graph.input(&[&[n], input].concat()));
    let program = graph.compile::<f64>(&[y]).unwrap();
    let mut ws = program.workspace();
    program.run(&[theta, x], &mut ws).unwrap();
    (y.shape(), program.tensor(&ws, 0).unwrap().to_vec())
}

fn count(layer: &dyn Layer, input: &[usize]) -> usize {
    layer
        .params(input)
        .iter()
        .map(|p| p.shape.iter().product::<usize>())
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Convolution with groups, compared with six loops (and one over groups).
    #[test]
    fn grouped_convolution_against_loops(
        groups in 1usize..4, per_in in 1usize..3, per_out in 1usize..3, stride in 1usize..3, padding in 0usize..2, n in 0usize..3,
    ) {
        let (h, w, c, o) = (4, 5, groups * per_in, groups * per_out);
        let window = Window { size: [2, 3], stride: [stride, 1], padding: [padding, padding] };
        let conv = Conv2d::new(o, window).unwrap().with_groups(groups).unwrap();
        let input = [c, h, w];
        let theta = numbers(count(&conv, &input), 1);
        let x = numbers(n * h * w * c, 2);
        let (shape, got) = run(&conv, &input, n, &theta, &x);
        let out = conv.output_shape(&input).unwrap();
        prop_assert_eq!(&shape[1..], &out[..]);
        let bias = &theta[theta.len() - o..];
        let mut at = 0;
        for s in 0..n {
            for (k, b) in bias.iter().enumerate() {
                for r in 0..out[1] {
                    for q in 0..out[2] {
                        let g = k / per_out;
                        let mut want = *b;
                        for i in 0..2 {
                            for j in 0..3 {
                                for l in 0..per_in {
                                    let (y, z) = (r * stride + i, q + j);
                                    if y < padding || z < padding || y - padding >= h || z - padding >= w {
                                        continue;
                                    }
                                    let plane = s * c + g * per_in + l;
                                    let pixel = (plane * h + y - padding) * w + z - padding;
                                    want += x[pixel] * theta[((k * per_in + l) * 2 + i) * 3 + j];
                                }
                            }
                        }
                        prop_assert!((got[at] - want).abs() < 1e-12, "{} against {want}", got[at]);
                        at += 1;
                    }
                }
            }
        }
    }

    /// After normalisation every group has mean 0 and variance 1 (but for epsilon).
    #[test]
    fn normalised_groups_have_unit_moments(groups in 1usize..4, per in 2usize..4, seed in 0u64..50) {
        let (n, h, w, c) = (2, 3, 2, groups * per);
        let x = numbers(n * h * w * c, seed);
        let identity: Vec<f64> = (0..2 * c).map(|i| if i < c { 1.0 } else { 0.0 }).collect();
        let norm = GroupNorm::new(groups).unwrap();
        let (_, y) = run(&norm, &[c, h, w], n, &identity, &x);
        for s in 0..n {
            for g in 0..groups {
                let member = |i: usize| i / (h * w * per) == s * groups + g;
                let group: Vec<f64> = (0..y.len()).filter(|&i| member(i)).map(|i| y[i]).collect();
                let mean = group.iter().sum::<f64>() / group.len() as f64;
                let variance = group.iter().map(|v| v * v).sum::<f64>() / group.len() as f64;
                // epsilon, 1e-5, lowers the variance by 1e-5 over the variance of the input, which
                // is about a half
                prop_assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 2e-4, "{mean} {variance}");
            }
        }
        let gain: Vec<f64> = (0..2 * c).map(|i| if i < c { 1.0 } else { 0.0 }).collect();
        let (_, z) = run(&LayerNorm, &[c], n, &gain, &x[..n * c]);
        for row in z.chunks_exact(c) {
            prop_assert!(row.iter().sum::<f64>().abs() < 1e-12);
        }
    }
}

/// A layer for images, and its input.
#[derive(Clone, Debug)]
struct Case {
    which: usize,
    groups: usize,
    input: [usize; 3],
    window: Window,
}

impl Case {
    fn layer(&self) -> Box<dyn Layer> {
        let conv = Conv2d::new(self.groups * 2, self.window).unwrap();
        let same = Conv2d::new(self.input[0], Window::square(3, 1, 1)).unwrap();
        match self.which {
            0 | 1 => Box::new(conv.with_groups(self.groups).unwrap()),
            2 => Box::new(AvgPool2d(self.window)),
            3 => Box::new(MaxPool2d(self.window)),
            4 => Box::new(LayerNorm),
            5 => Box::new(GroupNorm::new(self.groups).unwrap()),
            6 => Box::new(Flatten),
            _ => Box::new(Residual::new(vec![
                Box::new(same),
                Box::new(Activation::Gelu),
            ])),
        }
    }
}

/// Any such layer, with extents that may be 1.
fn image_layer() -> impl Strategy<Value = Case> {
    let extents = (1usize..3, 1usize..3, 1usize..5, 1usize..5);
    let window = (
        1usize..4,
        1usize..4,
        1usize..3,
        1usize..3,
        0usize..2,
        0usize..2,
    );
    let cases = (0usize..8, extents, window).prop_map(|(which, (groups, per, h, w), k)| Case {
        which,
        groups,
        input: [groups * per, h, w],
        window: Window {
            size: [k.0, k.1],
            stride: [k.2, k.3],
            padding: [k.4.min(k.0 - 1), k.5.min(k.1 - 1)],
        },
    });
    cases.prop_filter("a window that fits", |case| {
        case.layer().output_shape(&case.input).is_ok()
    })
}

/// One point, `rows` rows.
fn once(rows: usize, seed: u64) -> CheckOptions {
    CheckOptions {
        seed,
        cases: 1,
        rows,
        ..CheckOptions::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn image_layers_pass_the_kit(case in image_layer(), n in 2usize..4, seed in 0u64..1000) {
        check_layer(&*case.layer(), &case.input, &once(n, seed))?;
    }

    #[test]
    fn vector_layers_pass_the_kit(
        which in 0usize..8, d in 1usize..5, n in 2usize..4, out in 1usize..4, seed in 0u64..1000,
    ) {
        match which {
            0 => check_layer(&Linear::new(out).unwrap(), &[d], &once(n, seed))?,
            i => check_layer(&Activation::ALL[i - 1], &[d], &once(n, seed))?,
        }
    }

    /// An empty batch goes through every layer, forward and back, and gives zero gradients.
    #[test]
    fn an_empty_batch_is_a_batch(case in image_layer()) {
        let (layer, input) = (case.layer(), case.input);
        let graph = Graph::new();
        let specs = layer.params(&input);
        let params: Vec<_> = specs.iter().map(|p| graph.tensor(&p.shape, numbers(p.shape.iter().product(), 1))).collect();
        let y = layer.forward(&params, graph.input(&[&[0], &input[..]].concat()));
        let energy = y.square().sum();
        let mut outputs = graph.grad(energy, &params).unwrap();
        outputs.push(energy);
        let program = graph.compile::<f64>(&outputs).unwrap();
        let mut ws = program.workspace();
        program.run(&[&[]], &mut ws).unwrap();
        prop_assert_eq!(program.scalar(&ws, params.len()).unwrap(), 0.0);
        for i in 0..params.len() {
            prop_assert!(program.tensor(&ws, i).unwrap().iter().all(|&g| g == 0.0));
        }
    }
}

fn lenet_like() -> Sequential {
    let layers: Vec<Box<dyn Layer>> = vec![
        Box::new(Conv2d::new(2, Window::square(3, 1, 1)).unwrap()),
        Box::new(Activation::Tanh),
        Box::new(AvgPool2d(Window::square(2, 2, 0))),
        Box::new(GroupNorm::new(2).unwrap()),
        Box::new(Residual::new(vec![
            Box::new(
                Conv2d::new(2, Window::square(3, 1, 1))
                    .unwrap()
                    .with_groups(2)
                    .unwrap(),
            ),
            Box::new(Activation::Silu),
        ])),
        Box::new(MaxPool2d(Window::square(2, 1, 0))),
        Box::new(Flatten),
        Box::new(LayerNorm),
        Box::new(
            Linear::new(3)
                .unwrap()
                .with_init(Init::Xavier { fan_out: 3 }),
        ),
    ];
    Sequential::new(&[1, 4, 6], layers).unwrap()
}

#[test]
fn a_network_with_every_layer_passes_the_kit() {
    check_network(&lenet_like(), &CheckOptions::default()).unwrap();
    let net = lenet_like().with_head().unwrap();
    check_linear_head(&net, &CheckOptions::default()).unwrap();
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let linear = || -> Box<dyn Layer> { Box::new(Linear::new(2).unwrap()) };
    assert!(
        Sequential::new(&[1, 4, 4], vec![linear()]).is_err(),
        "an image is not a vector"
    );
    assert!(
        Sequential::new(&[1, 4, 4], vec![Box::new(Activation::Tanh)]).is_err(),
        "no vector at the end"
    );
    assert!(Sequential::new(&[4], vec![Box::new(MaxPool2d(Window::square(2, 2, 0)))]).is_err());
    assert!(Sequential::new(&[0], vec![linear()]).is_err());
    let wide = Conv2d::new(2, Window::square(5, 1, 0)).unwrap();
    assert!(
        Sequential::new(
            &[1, 4, 4],
            vec![Box::new(wide), Box::new(Flatten), linear()]
        )
        .is_err()
    );
    assert!(
        Conv2d::new(3, Window::square(1, 1, 0))
            .unwrap()
            .with_groups(2)
            .is_err()
    );
    let odd = Residual::new(vec![linear()]);
    assert!(Sequential::new(&[4], vec![Box::new(odd)]).is_err());
    let tail = Sequential::new(&[4], vec![linear(), Box::new(Activation::Tanh)]).unwrap();
    assert!(tail.with_head().is_none());
}

#[test]
fn initialisers_have_their_variances() {
    let mut rng = Streams::new(2).rng(Phase::INIT, 0);
    let n = 40_000;
    for (init, want) in [
        (Init::LeCun, 0.02),
        (Init::He, 0.04),
        (Init::Xavier { fan_out: 150 }, 0.01),
    ] {
        let mut out = vec![0.0; n];
        init.fill(50, &mut rng, &mut out);
        let variance = out.iter().map(|x| x * x).sum::<f64>() / n as f64;
        // the mean of n squares of a normal has relative standard deviation sqrt(2 / n) = 0.007
        assert!(
            (variance / want - 1.0).abs() < 0.035,
            "{init:?}: {variance}"
        );
    }
    let mut out = [0.0; 3];
    Init::Constant(0.5).fill(50, &mut rng, &mut out);
    assert_eq!(out, [0.5; 3]);
}
