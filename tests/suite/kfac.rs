//! Kronecker factors of convolutions, against a network computed by plain loops, row by row.

use std::sync::Arc;

use crate::common::{labels, normals};
use fiberwalk::autodiff::Window;
use fiberwalk::curvature::{KfacBias, KfacOptions, KroneckerFactors, RowFisher, Supervised};
use fiberwalk::model::{Curved, Weighted};
use fiberwalk::nn::{Conv2d, Flatten, Layer, Linear, Sequential};
use fiberwalk::{Activation, Categorical, Likelihood, Mlp, Network};

/// A convolution computed by loops.
struct Plain {
    groups: usize,
    size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    input: [usize; 3],
    output: [usize; 3],
    /// Where its weight `[out, in / groups, kh, kw]` starts in `theta`; the bias is behind it.
    start: usize,
}

impl Plain {
    /// The pixels under the window at a position, for a group: `[in / groups, kh, kw]`.
    fn patch(&self, x: &[f64], g: usize, position: usize) -> Vec<f64> {
        let ([c, h, w], [kh, kw]) = (self.input, self.size);
        let (r, q) = (position / self.output[2], position % self.output[2]);
        let mut all = Vec::new();
        for channel in g * (c / self.groups)..(g + 1) * (c / self.groups) {
            for i in 0..kh {
                for j in 0..kw {
                    let row = (r * self.stride[0] + i) as i64 - self.padding[0] as i64;
                    let column = (q * self.stride[1] + j) as i64 - self.padding[1] as i64;
                    let inside = (0..h as i64).contains(&row) && (0..w as i64).contains(&column);
                    let at = (channel as i64 * h as i64 + row) * w as i64 + column;
                    all.push(if inside { x[at as usize] } else { 0.0 });
                }
            }
        }
        all
    }

    fn positions(&self) -> usize {
        self.output[1] * self.output[2]
    }

    /// `[out, positions]`.
    fn forward(&self, theta: &[f64], x: &[f64]) -> Vec<f64> {
        let (out, positions) = (self.output[0], self.positions());
        let length = self.input[0] / self.groups * self.size[0] * self.size[1];
        let bias = self.start + out * length;
        let mut y = Vec::new();
        for o in 0..out {
            for t in 0..positions {
                let patch = self.patch(x, o / (out / self.groups), t);
                let w = &theta[self.start + o * length..][..length];
                let sum: f64 = w.iter().zip(&patch).map(|(w, p)| w * p).sum();
                y.push(sum + theta[bias + o]);
            }
        }
        y
    }
}

const CLASSES: usize = 3;

/// conv, tanh, conv, flatten, linear. `nudge = (layer, place, by)` shifts a pre-activation of a
/// convolution.
fn forward(
    layers: &[Plain; 2],
    theta: &[f64],
    x: &[f64],
    nudge: (usize, usize, f64),
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let shifted = |mut s: Vec<f64>, layer: usize| {
        if nudge.0 == layer {
            s[nudge.1] += nudge.2;
        }
        s
    };
    let hidden: Vec<f64> = shifted(layers[0].forward(theta, x), 0)
        .iter()
        .map(|s| s.tanh())
        .collect();
    let features = shifted(layers[1].forward(theta, &hidden), 1);
    let tail = &theta[theta.len() - (features.len() + 1) * CLASSES..];
    let output = |k: usize| {
        let weighted = features.iter().enumerate();
        weighted
            .map(|(i, f)| f * tail[i * CLASSES + k])
            .sum::<f64>()
            + tail[features.len() * CLASSES + k]
    };
    let outputs = (0..CLASSES).map(output).collect();
    (outputs, hidden, features)
}

fn add_square(sum: &mut [f64], v: &[f64]) {
    let n = v.len();
    (0..n * n).for_each(|at| sum[at] += v[at / n] * v[at % n]);
}

#[test]
fn convolutions_with_strides_padding_and_groups() {
    let first = Window {
        size: [2, 3],
        stride: [1, 2],
        padding: [1, 0],
    };
    let second = Window::square(2, 1, 0);
    let built: Vec<Box<dyn Layer>> = vec![
        Box::new(Conv2d::new(4, first).unwrap()),
        Box::new(Activation::Tanh),
        Box::new(Conv2d::new(2, second).unwrap().with_groups(2).unwrap()),
        Box::new(Flatten),
        Box::new(Linear::new(CLASSES).unwrap()),
    ];
    let input = [2, 3, 5];
    let net = Sequential::new(&input, built).unwrap();
    let plain = [
        Plain {
            groups: 1,
            size: first.size,
            stride: first.stride,
            padding: first.padding,
            input,
            output: [4, 4, 2],
            start: 0,
        },
        Plain {
            groups: 2,
            size: [2, 2],
            stride: [1, 1],
            padding: [0, 0],
            input: [4, 4, 2],
            output: [2, 3, 1],
            start: 4 * 12 + 4,
        },
    ];
    // more rows than one block, and a last block that is not full
    let n = 70;
    let (x, y) = (normals(n * 30, 1), labels(n, CLASSES, 2));
    let theta: Vec<f64> = normals(net.dim(), 3).iter().map(|t| 0.4 * t).collect();
    let data = Supervised {
        network: &net,
        likelihood: &Categorical,
        x: &x,
        y: &y,
    };
    for fisher in [RowFisher::Ggn, RowFisher::Empirical] {
        // sums by hand: of the convolutions, group by group, and of the last layer
        let mut a = [
            vec![0.0; 13 * 13],
            vec![0.0; 81],
            vec![0.0; 81],
            vec![0.0; 49],
        ];
        let mut b = [vec![0.0; 16], vec![0.0; 1], vec![0.0; 1], vec![0.0; 9]];
        for row in 0..n {
            let x = &x[row * 30..(row + 1) * 30];
            let (outputs, hidden, features) = forward(&plain, &theta, x, (9, 0, 0.0));
            let total: f64 = outputs.iter().map(|o| o.exp()).sum();
            let p: Vec<f64> = outputs.iter().map(|o| o.exp() / total).collect();
            let lambda = |i: usize, j: usize| match fisher {
                RowFisher::Ggn => p[i] * (f64::from(i == j) - p[j]),
                RowFisher::Empirical => {
                    let r = |i: usize| p[i] - f64::from(y[row] as usize == i);
                    r(i) * r(j)
                }
            };
            for (i, patches) in [(0, x), (1, &hidden[..])] {
                for g in 0..plain[i].groups {
                    for t in 0..plain[i].positions() {
                        let mut patch = plain[i].patch(patches, g, t);
                        patch.push(1.0);
                        add_square(&mut a[i + g], &patch);
                    }
                }
            }
            add_square(&mut a[3], &[&features[..], &[1.0]].concat());
            (0..9).for_each(|at| b[3][at] += lambda(at / 3, at % 3));
            for (i, layer) in plain.iter().enumerate() {
                let (out, positions) = (layer.output[0], layer.positions());
                // do_k / ds by central differences: an error of h^2 = 1e-10
                let h = 1e-5;
                let slope = |place: usize| -> Vec<f64> {
                    let at = |by| forward(&plain, &theta, x, (i, place, by)).0;
                    let (up, down) = (at(h), at(-h));
                    (0..CLASSES)
                        .map(|k| (up[k] - down[k]) / (2.0 * h))
                        .collect()
                };
                let slopes: Vec<Vec<f64>> = (0..out * positions).map(slope).collect();
                let of_group = out / layer.groups;
                for g in 0..layer.groups {
                    for (o, sum) in b[i + g].iter_mut().enumerate() {
                        let (c, e) = (g * of_group + o / of_group, g * of_group + o % of_group);
                        for t in 0..positions {
                            let (u, v) = (&slopes[c * positions + t], &slopes[e * positions + t]);
                            let pairs =
                                (0..9).map(|at| u[at / 3] * lambda(at / 3, at % 3) * v[at % 3]);
                            *sum += pairs.sum::<f64>() / positions as f64;
                        }
                    }
                }
            }
        }
        for bias in [KfacBias::Joined, KfacBias::Separate] {
            let factors =
                KroneckerFactors::new(&data, &theta, KfacOptions { fisher, bias }).unwrap();
            let weights = factors.blocks().iter().filter(|b| b.orders()[0] > 1);
            for (i, block) in weights.enumerate() {
                let ([order, _], whole) = (block.orders(), a[i].len().isqrt());
                assert_eq!(order + usize::from(bias == KfacBias::Separate), whole);
                for at in 0..order * order {
                    let want = a[i][at / order * whole + at % order] / n as f64;
                    assert!((block.input_factor[at] - want).abs() < 1e-11 * (1.0 + want.abs()));
                }
                for (got, want) in block.output_factor.iter().zip(&b[i]) {
                    assert!(
                        (got - want).abs() < 1e-7 * (1.0 + want.abs()),
                        "{i}: {got} {want}"
                    );
                }
            }
            let mut places: Vec<usize> = factors
                .blocks()
                .iter()
                .flat_map(|b| b.index.clone())
                .collect();
            // weight (input i, output j) of the first convolution is at j * 12 + i; its biases come
            // after all of them
            assert_eq!(places[..5], [0, 12, 24, 36, 1]);
            if bias == KfacBias::Joined {
                assert_eq!(places[12 * 4..13 * 4], [48, 49, 50, 51]);
                // the second group of the second convolution: one output; its weights follow those
                // of the first group, and its bias is last
                assert_eq!(places[61..70], [60, 61, 62, 63, 64, 65, 66, 67, 69]);
            } else {
                // a bias is used at every position
                let [uses, ..] = factors.blocks()[1].input_factor[..] else {
                    panic!("a bias has one input");
                };
                assert_eq!((uses, factors.blocks()[1].orders()), (8.0, [1, 4]));
            }
            places.sort_unstable();
            assert!(places.iter().enumerate().all(|(i, &at)| i == at) && places.len() == net.dim());
        }
    }
}

/// A row of weight 2 is the row twice, in both factors. For one row, a product of factors is the
/// Gauss-Newton matrix, whatever its weight: the dense matrix is made of Jacobians by differences.
#[test]
fn factors_of_weighted_rows() {
    let net = Mlp::new(&[3, 4, CLASSES], Activation::Tanh).unwrap();
    let theta: Vec<f64> = normals(net.dim(), 5).iter().map(|t| 0.5 * t).collect();
    let weighted = Weighted::new(Arc::new(Categorical), CLASSES).unwrap();
    let factors = |likelihood: &dyn Likelihood, x: &[f64], y: &[f64]| {
        let data = Supervised {
            network: &net,
            likelihood,
            x,
            y,
        };
        KroneckerFactors::new(&data, &theta, KfacOptions::default()).unwrap()
    };
    let close = |a: &[f64], b: &[f64]| {
        let pairs = a.iter().zip(b);
        a.len() == b.len() && pairs.fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())) < 1e-12
    };
    // more rows than one block
    let n = 70;
    let weights: Vec<f64> = (0..n).map(|i| (i % 4) as f64).collect();
    let (x, y) = (normals(n * 3, 1), labels(n, CLASSES, 2));
    let once = factors(&weighted, &x, &Weighted::join(&y, &weights).unwrap());
    let rows = || weights.iter().enumerate();
    let often = |all: &[f64], d: usize| -> Vec<f64> {
        rows()
            .flat_map(|(i, &w)| all[i * d..(i + 1) * d].repeat(w as usize))
            .collect()
    };
    let twice = factors(&Categorical, &often(&x, 3), &often(&y, 1));
    for (a, b) in once.blocks().iter().zip(twice.blocks()) {
        assert!(close(&a.input_factor, &b.input_factor));
        assert!(close(&a.output_factor, &b.output_factor));
    }
    for weight in [0.3, 1.0, 7.0] {
        let (x, y) = (&x[..3], &y[..1]);
        let one = factors(&weighted, x, &Weighted::join(y, &[weight]).unwrap());
        let data = Supervised {
            network: &net,
            likelihood: &weighted,
            x,
            y: &Weighted::join(y, &[weight]).unwrap(),
        };
        let density = data.density::<f64>().unwrap();
        let mut ws = density.ggn_workspace();
        for block in one.blocks() {
            let [a, b] = block.orders();
            for (k, &at) in block.index.iter().enumerate() {
                let (mut e, mut product) = (vec![0.0; net.dim()], vec![0.0; net.dim()]);
                e[at] = 1.0;
                density
                    .ggn_product(&theta, &e, &mut product, &mut ws)
                    .unwrap();
                for (l, &to) in block.index.iter().enumerate() {
                    let want = block.input_factor[k / b * a + l / b]
                        * block.output_factor[k % b * b + l % b];
                    assert!((product[to] - want).abs() < 1e-12, "{weight}: {k} {l}");
                }
            }
        }
    }
}
