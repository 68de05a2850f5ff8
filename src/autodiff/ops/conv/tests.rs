//! Tests of the module above.

use super::*;
use crate::autodiff::Graph;
use crate::autodiff::tests::{check_derivatives, numbers};
use proptest::prelude::*;

/// The definition, as nested loops.
fn naive(
    x: &[f64],
    w: &[f64],
    [n, c, h, width]: [usize; 4],
    out: usize,
    window: Window,
    groups: usize,
) -> Vec<f64> {
    let [rows, columns] = window.count(h, width).unwrap();
    let ([kh, kw], (per_in, per_out)) = (window.size, (c / groups, out / groups));
    let mut y = vec![0.0; n * out * rows * columns];
    for (s, o) in pairs(n, out) {
        for (r, q) in pairs(rows, columns) {
            for ch in 0..per_in {
                for (i, j) in pairs(kh, kw) {
                    let (a, b) = (r * window.stride[0] + i, q * window.stride[1] + j);
                    let (Some(a), Some(b)) = (
                        a.checked_sub(window.padding[0]),
                        b.checked_sub(window.padding[1]),
                    ) else {
                        continue;
                    };
                    if a < h && b < width {
                        let from = o / per_out * per_in + ch;
                        y[((s * out + o) * rows + r) * columns + q] += x
                            [((s * c + from) * h + a) * width + b]
                            * w[((o * per_in + ch) * kh + i) * kw + j];
                    }
                }
            }
        }
    }
    y
}

fn window() -> impl Strategy<Value = Window> {
    let size = (
        1usize..4,
        1usize..4,
        1usize..4,
        1usize..4,
        0usize..3,
        0usize..3,
    );
    size.prop_map(|(a, b, c, d, e, f)| Window {
        size: [a, b],
        stride: [c, d],
        padding: [e.min(a - 1), f.min(b - 1)],
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn forward_is_six_loops(
        window in window(), n in 0usize..20, (h, w) in (3usize..7, 3usize..6), groups in 1usize..3,
        per_in in 1usize..4, per_out in 1usize..9,
    ) {
        let (c, out) = (groups * per_in, groups * per_out);
        let [kh, kw] = window.size;
        let (x, weight) = (numbers(n * c * h * w, 1), numbers(out * per_in * kh * kw, 2));
        let graph = Graph::new();
        let y = graph.input(&[n, c, h, w]).conv2d(graph.input(&[out, per_in, kh, kw]), window, groups);
        let program = graph.compile::<f64>(&[y]).unwrap();
        let mut ws = program.workspace();
        program.run(&[&x, &weight], &mut ws).unwrap();
        let want = naive(&x, &weight, [n, c, h, w], out, window, groups);
        prop_assert_eq!(program.tensor(&ws, 0).unwrap().len(), want.len());
        for (a, b) in program.tensor(&ws, 0).unwrap().iter().zip(&want) {
            prop_assert!((a - b).abs() < 1e-12, "{a} against {b}");
        }
    }

    /// With respect to both arguments, to second order. So each of the three operations is
    /// differentiated with respect to both of its arguments.
    #[test]
    fn derivatives(window in window(), n in 1usize..4, groups in 1usize..3, per_in in 1usize..3, per_out in 1usize..3) {
        let (c, out) = (groups * per_in, groups * per_out);
        let [kh, kw] = window.size;
        let (image, kernel) = ([n, c, 4, 3], [out, per_in, kh, kw]);
        prop_assume!(window.count(4, 3).is_some());
        let (x, weight) = (numbers(n * c * 12, 3), numbers(out * per_in * kh * kw, 4));
        check_derivatives(&image, &x, |g, x| x.conv2d(g.tensor(&kernel, weight.clone()), window, groups).tanh());
        check_derivatives(&kernel, &weight, |g, w| g.tensor(&image, x.clone()).conv2d(w, window, groups).tanh());
        // both at once, as in a network
        let both = [x.clone(), weight.clone()].concat();
        check_derivatives(&[both.len()], &both, |_, all| {
            let (x, w) = (all.slice(0, 0..x.len()).reshape(&image), all.slice(0, x.len()..both.len()).reshape(&kernel));
            x.conv2d(w, window, groups).square()
        });
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let graph = Graph::new();
    let (x, w) = (graph.input(&[1, 3, 4, 4]), graph.input(&[2, 3, 3, 3]));
    x.conv2d(w, Window::square(2, 1, 0), 1);
    let error = graph.compile::<f32>(&[]).unwrap_err().to_string();
    assert!(
        error.contains("conv2d") && error.contains("[2, 3, 3, 3]"),
        "{error}"
    );
}
