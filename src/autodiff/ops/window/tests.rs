//! Tests of the module above.

use super::*;
use crate::autodiff::Graph;
use crate::autodiff::tests::{check_derivatives, numbers};
use proptest::prelude::*;

/// Any window that fits an image of these extents at least once.
fn window() -> impl Strategy<Value = Window> {
    (
        1usize..4,
        1usize..4,
        1usize..4,
        1usize..4,
        0usize..3,
        0usize..3,
    )
        .prop_map(|(a, b, c, d, e, f)| Window {
            size: [a, b],
            stride: [c, d],
            padding: [e.min(a - 1), f.min(b - 1)],
        })
}

fn run(graph: &Graph, y: Var<'_>, input: &[f64]) -> Vec<f64> {
    let program = graph.compile::<f64>(&[y]).unwrap();
    let mut ws = program.workspace();
    program.run(&[input], &mut ws).unwrap();
    program.tensor(&ws, 0).unwrap().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Both poolings against loops over examples, channels, rows, columns and places.
    #[test]
    fn pooling_against_naive_loops(
        window in window(), n in 0usize..3, h in 3usize..6, w in 3usize..6, c in 1usize..4,
    ) {
        let x = numbers(n * h * w * c, 1);
        let graph = Graph::new();
        let image = graph.input(&[n, c, h, w]);
        let means = run(&graph, image.avg_pool(window), &x);
        let maxima = run(&graph, image.max_pool(window), &x);
        let [rows, cols] = window.count(h, w).unwrap();
        for plane in 0..n * c {
            for (r, q) in (0..rows).flat_map(|r| (0..cols).map(move |q| (r, q))) {
                let mut inside = Vec::new();
                for (i, j) in (0..window.size[0]).flat_map(|i| (0..window.size[1]).map(move |j| (i, j))) {
                    let (y, z) = (r * window.stride[0] + i, q * window.stride[1] + j);
                    let (y, z) = (y.wrapping_sub(window.padding[0]), z.wrapping_sub(window.padding[1]));
                    if y < h && z < w {
                        inside.push(x[(plane * h + y) * w + z]);
                    }
                }
                let at = (plane * rows + r) * cols + q;
                let mean = inside.iter().sum::<f64>() / (window.size[0] * window.size[1]) as f64;
                prop_assert!((means[at] - mean).abs() < 1e-13);
                let top = inside.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let top = if inside.is_empty() { 0.0 } else { top };
                prop_assert_eq!(maxima[at], top);
            }
        }
    }

    #[test]
    fn derivatives(window in window(), n in 1usize..3, c in 1usize..3) {
        let shape = [n, c, 4, 3];
        let x = numbers(n * 12 * c, 3);
        prop_assume!(window.count(4, 3).is_some());
        check_derivatives(&shape, &x, |_, x| x.avg_pool(window).square());
        check_derivatives(&shape, &x, |_, x| x.max_pool(window).exp());
    }

    #[test]
    fn largest_along_an_axis(a in 0usize..4, b in 1usize..4, c in 0usize..4) {
        let x = numbers(a * b * c, 4);
        let graph = Graph::new();
        let y = graph.input(&[a, b, c]).max_axis(1);
        prop_assert_eq!(y.shape(), vec![a, c]);
        let got = run(&graph, y, &x);
        for i in 0..a {
            for k in 0..c {
                let want = (0..b).map(|j| x[(i * b + j) * c + k]).fold(f64::MIN, f64::max);
                prop_assert_eq!(got[i * c + k], want);
            }
        }
        if a * c > 0 {
            check_derivatives(&[a, b, c], &x, |_, x| x.max_axis(1).square() * x.sum_axis(1));
        }
    }
}

#[test]
fn impossible_windows_are_refused_by_name() {
    let graph = Graph::new();
    let x = graph.input(&[1, 1, 2, 2]);
    let y = x.max_pool(Window::square(3, 1, 0));
    let error = graph.compile::<f32>(&[y]).unwrap_err().to_string();
    assert!(
        error.contains("max_pool") && error.contains("[1, 1, 2, 2]"),
        "{error}"
    );
    assert_eq!(Window::square(2, 0, 0).count(4, 4), None);
    assert_eq!(Window::square(2, 1, 2).count(4, 4), None);
    assert_eq!(Window::square(2, 2, 0).count(5, 4), Some([2, 2]));
}

#[test]
fn a_nan_passes_through_max_pooling() {
    let graph = Graph::new();
    let x = graph.input(&[1, 1, 1, 4]);
    let window = Window {
        size: [1, 2],
        stride: [1, 2],
        padding: [0, 0],
    };
    let y = run(&graph, x.max_pool(window), &[f64::NAN, 1.0, 2.0, 3.0]);
    assert!(y[0].is_nan() && y[1] == 3.0);
    let y = run(&graph, x.max_pool(window), &[1.0, f64::NAN, 3.0, 2.0]);
    assert!(y[0].is_nan() && y[1] == 3.0);
}
