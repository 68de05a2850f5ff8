//! Two-dimensional convolution (cross-correlation, as usual), and its derivatives as operations.
//!
//! In memory images are `[c, h, w, n]`, with the batch innermost, and weights are
//! `[out, in / groups, kh, kw]`. With the padded input `X`:
//! - forward: `Y[o, r, q, :] = sum_{c, i, j} W[o, c, i, j] X[c, r s + i, q s + j, :]`
//! - input: `dX[c, y, x, :] = sum_{o, i, j} W[o, c, i, j] D[o, (y + p - i) / s, x + kw - 1 - j, :]`
//!   over the rows that exist. `D` is `dY` with zeros before, after and (for strides) between its
//!   columns.
//! - weight: `dW[o, c, i, j] = sum_{r, q} <dY[o, r, q, :], X[c, r s + i, q s + j, :]>`
//!
//! All three are linear in both arguments, and each is the derivative of the other two. A row of
//! pixels and its batch are one contiguous run, so each operation is a matrix product on register
//! tiles (`linalg::product`) that reads the image in place: no patches are written out.

use std::ops::Range;

use super::Op;
use super::pad::Pad;
use super::window::Window;
use crate::autodiff::graph::Var;
use crate::autodiff::shape::show;
use crate::error::Error;
use crate::linalg::product::{self, Inner, Outer, Piece, Rows};
use crate::scalar::Scalar;

/// Which of the three operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ConvOp {
    /// `(X, W) -> Y`
    Forward,
    /// `(W, dY) -> dX`
    Input,
    /// `(X, dY) -> dW`
    Weight,
}

impl<'g> Var<'g> {
    /// Convolution of images `[n, c, h, w]` with a weight `[out, c / groups, kh, kw]`. The result
    /// is `[n, out, rows, columns]`, with `rows` and `columns` from [`Window::count`].
    ///
    /// With groups, channels are split into equal parts that do not interact.
    pub fn conv2d(self, weight: Var<'g>, window: Window, groups: usize) -> Var<'g> {
        if let Err(error) = self.same_graph(&[weight], "conv2d") {
            return self.graph.fail(error);
        }
        let (x, w) = (self.shape(), weight.shape());
        let fits = || {
            let (&[n, c, height, width], &[out, per_group, kh, kw]) = (&x[..], &w[..]) else {
                return None;
            };
            let [rows, columns] = window.count(height, width)?;
            let whole = groups > 0 && out % groups == 0 && c == per_group * groups;
            (whole && window.size == [kh, kw]).then_some([out, rows, columns, n])
        };
        let Some(shape) = fits() else {
            let expected = format!(
                "images [n, c, h, w] that hold {window:?} and a weight [out, c / {groups}, kh, kw]"
            );
            let got = format!("{} and {}", show(&x), show(&w));
            return self.graph.fail(Error::shape("conv2d", expected, got));
        };
        let memory = self.batch_last();
        push(ConvOp::Forward, [memory, weight], window, groups, &shape).batch_first()
    }
}

fn push<'g>(
    op: ConvOp,
    args: [Var<'g>; 2],
    window: Window,
    groups: usize,
    shape: &[usize],
) -> Var<'g> {
    let graph = args[0].graph;
    if args.iter().any(|a| a.is_constant(0.0)) {
        return graph.full(shape, 0.0);
    }
    let op = Op::Conv { op, window, groups };
    graph.push(op, &[args[0].id, args[1].id], shape.to_vec())
}

/// With `g` in the place of the result, the other two operations give the derivatives with respect
/// to the arguments.
pub(super) fn vjp<'g>(
    op: ConvOp,
    window: Window,
    groups: usize,
    args: &[Var<'g>],
    position: usize,
    g: Var<'g>,
) -> Var<'g> {
    let (a, b) = (args[0], args[1]);
    let (op, pair) = match (op, position) {
        (ConvOp::Forward, 0) => (ConvOp::Input, [b, g]),
        (ConvOp::Forward, _) => (ConvOp::Weight, [a, g]),
        (ConvOp::Input, 0) => (ConvOp::Weight, [g, b]),
        (ConvOp::Input, _) => (ConvOp::Forward, [g, a]),
        (ConvOp::Weight, 0) => (ConvOp::Input, [g, b]),
        (ConvOp::Weight, _) => (ConvOp::Forward, [a, g]),
    };
    push(op, pair, window, groups, &args[position].shape())
}

/// One of the three operations for given extents, with everything that is known before it runs.
#[derive(Clone, Debug)]
pub(crate) struct ConvPlan {
    op: ConvOp,
    groups: usize,
    /// Channels of the image and of the result, in one group.
    channels: [usize; 2],
    /// Extents of the padded image.
    image: [usize; 2],
    /// Extents of the result or, for `Weight`, of the cotangent.
    result: [usize; 2],
    size: [usize; 2],
    stride: [usize; 2],
    n: usize,
    pieces: Vec<Piece>,
    /// For `Input`: the pieces of each row.
    spans: Vec<Range<usize>>,
    /// For `Weight`: where in the image each tap starts.
    taps: Vec<usize>,
}

/// Rows of pixels that a weight gradient sums before it adds up its vector lanes: enough to make
/// that step cheap, few enough for the cache.
const BAND: usize = 4;

impl ConvPlan {
    /// The plan for images `[c, h, w, n]` and results `[out, rows, columns, n]`, and the padding of
    /// the image-like argument.
    pub(crate) fn new(
        op: ConvOp,
        window: Window,
        groups: usize,
        x: &[usize],
        y: &[usize],
    ) -> (Self, Pad) {
        let ([c, h, w, n], [out, rows, columns]) = ([x[0], x[1], x[2], x[3]], [y[0], y[1], y[2]]);
        let ([kh, kw], stride, padding) = (window.size, window.stride, window.padding);
        let channels = [c / groups, out / groups];
        let pad = match op {
            ConvOp::Forward | ConvOp::Weight => Pad {
                planes: c,
                from: [h, w],
                to: [h + 2 * padding[0], w + 2 * padding[1]],
                offset: padding,
                spread: [1, 1],
                n,
            },
            ConvOp::Input => Pad {
                planes: out,
                from: [rows, columns],
                // rows are looked up one by one; columns are contiguous and need their zeros
                to: [rows, w + kw - 1],
                offset: [0, kw - 1 - padding[1]],
                spread: [1, stride[1]],
                n,
            },
        };
        let [height, width] = pad.to;
        let (mut pieces, mut spans, mut taps) = (Vec::new(), Vec::new(), Vec::new());
        match op {
            ConvOp::Forward => {
                for (ch, i) in pairs(channels[0], kh) {
                    let (a, b) = ((ch * kh + i) * kw, (ch * height + i) * width * n);
                    pieces.push(Piece { a, b, len: kw });
                }
            }
            ConvOp::Input => {
                for y in 0..h {
                    let start = pieces.len();
                    for (o, i) in pairs(channels[1], kh) {
                        // the row of the result that reads y through row i of the weight, if there
                        // is one
                        let Some(r) = (y + padding[0]).checked_sub(i) else {
                            continue;
                        };
                        if r % stride[0] == 0 && r / stride[0] < rows {
                            // the weight is read backwards
                            let a = (o * channels[0] * kh + i) * kw + kw - 1;
                            let b = (o * height + r / stride[0]) * width * n;
                            pieces.push(Piece { a, b, len: kw });
                        }
                    }
                    spans.push(start..pieces.len());
                }
            }
            ConvOp::Weight => {
                for ((ch, i), j) in
                    pairs(channels[0], kh).flat_map(|p| (0..kw).map(move |j| (p, j)))
                {
                    taps.push(((ch * height + i) * width + j) * n);
                }
                // without a stride, image and cotangent are both contiguous along a row
                let (runs, len) = if stride[1] == 1 {
                    (1, columns * n)
                } else {
                    (columns, n)
                };
                for (r, q) in pairs(rows, runs) {
                    let a = (r * stride[0] * width + q * stride[1]) * n;
                    pieces.push(Piece {
                        a,
                        b: (r * columns + q) * n,
                        len,
                    });
                }
            }
        }
        let result = if op == ConvOp::Input {
            [h, w]
        } else {
            [rows, columns]
        };
        let plan = Self {
            op,
            groups,
            channels,
            image: pad.to,
            result,
            size: window.size,
            stride,
            n,
            pieces,
            spans,
            taps,
        };
        (plan, pad)
    }

    /// `image` is the padded argument. `other` is the weight or, for `Weight`, the cotangent.
    pub(crate) fn run<T: Scalar>(&self, image: &[T], other: &[T], dst: &mut [T]) {
        let empty = self.n == 0 || dst.is_empty() || image.is_empty();
        if empty || self.op == ConvOp::Weight {
            dst.fill(T::ZERO);
        }
        if empty {
            return;
        }
        for group in 0..self.groups {
            match self.op {
                ConvOp::Forward => self.forward(group, image, other, dst),
                ConvOp::Input => self.input(group, image, other, dst),
                ConvOp::Weight => self.weight(group, image, other, dst),
            }
        }
    }

    fn forward<T: Scalar>(&self, group: usize, image: &[T], weight: &[T], dst: &mut [T]) {
        let ([c, out], [rows, columns]) = (self.channels, self.result);
        let ([height, width], n) = (self.image, self.n);
        let taps = c * self.size[0] * self.size[1];
        let (runs, len) = if self.stride[1] == 1 {
            (1, columns * n)
        } else {
            (columns, n)
        };
        for (r, q) in pairs(rows, runs) {
            let from = ((group * c * height + r * self.stride[0]) * width + q * self.stride[1]) * n;
            let to = ((group * out * rows + r) * columns + q) * n;
            product::run(Outer {
                m: out,
                n: len,
                pieces: &self.pieces,
                a: &weight[group * out * taps..],
                a_row: taps,
                a_col: 1,
                b: &image[from..],
                b_row: n,
                add: None,
                c: &mut dst[to..],
                c_row: rows * columns * n,
            });
        }
    }

    fn input<T: Scalar>(&self, group: usize, image: &[T], weight: &[T], dst: &mut [T]) {
        let ([c, out], [h, w]) = (self.channels, self.result);
        let ([height, width], n) = (self.image, self.n);
        let taps = self.size[0] * self.size[1];
        for (y, span) in self.spans.iter().enumerate() {
            product::run(Outer {
                m: c,
                n: w * n,
                pieces: &self.pieces[span.clone()],
                a: &weight[group * out * c * taps..],
                a_row: taps,
                // minus one
                a_col: usize::MAX,
                b: &image[group * out * height * width * n..],
                b_row: n,
                add: None,
                c: &mut dst[(group * c * h + y) * w * n..],
                c_row: h * w * n,
            });
        }
    }

    fn weight<T: Scalar>(&self, group: usize, image: &[T], cotangent: &[T], dst: &mut [T]) {
        let ([c, out], [rows, columns]) = (self.channels, self.result);
        let ([height, width], n) = (self.image, self.n);
        let taps = self.taps.len();
        let runs = self.pieces.len() / rows;
        for band in self.pieces.chunks(BAND * runs) {
            product::run(Inner {
                m: taps,
                n: out,
                pieces: band,
                a: &image[group * c * height * width * n..],
                a_rows: Rows::At(&self.taps),
                b: &cotangent[group * out * rows * columns * n..],
                b_row: rows * columns * n,
                c: &mut dst[group * out * taps..],
                c_row: 1,
                c_col: taps,
            });
        }
    }
}

fn pairs(a: usize, b: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..a).flat_map(move |i| (0..b).map(move |j| (i, j)))
}

impl std::fmt::Display for ConvPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ([c, out], [kh, kw], [h, w]) = (self.channels, self.size, self.image);
        write!(
            f,
            "{:?} {h} x {w}, channels {c} to {out}, {kh} x {kw}, groups {}, batch {}",
            self.op, self.groups, self.n
        )
    }
}

#[cfg(test)]
mod tests;
