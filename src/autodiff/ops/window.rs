//! Sliding windows over images: what convolutions and pooling are made of.
//!
//! Images are `[n, height, width, channels]`, channels innermost, so that a convolution's matrix product gives its result in
//! place. Three pairs of linear maps, each the other's transpose, so that they are closed under differentiation:
//! - patches `[n oh ow, kh kw c]` of an image, and their sum back into an image; a convolution is patches times weights;
//! - means of windows, and their spreading back;
//! - of each window the element where *another* image has its maximum, and its scattering back. Max pooling is this map
//!   with both images the same; the choice itself has no derivative.

use super::Op;
use crate::autodiff::graph::Var;
use crate::autodiff::shape::show;
use crate::error::Error;
use crate::scalar::Scalar;

/// Extents, steps and zero padding of a window, each `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width.
    pub size: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Zeros on either side of the image.
    pub padding: [usize; 2],
}

impl Window {
    /// A square window.
    pub fn square(size: usize, stride: usize, padding: usize) -> Self {
        Self {
            size: [size; 2],
            stride: [stride; 2],
            padding: [padding; 2],
        }
    }

    /// Number of windows along each side of an image of `height` by `width`; `None` if not even one fits, or the window is
    /// impossible.
    pub fn count(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let along = |axis: usize, extent: usize| {
            let (size, stride) = (self.size[axis], self.stride[axis]);
            if size == 0 || stride == 0 || self.padding[axis] >= size {
                return None;
            }
            Some((extent + 2 * self.padding[axis]).checked_sub(size)? / stride + 1)
        };
        Some([along(0, height)?, along(1, width)?])
    }

    /// Calls `f(window, place, pixel)` for every place of every window that lies on the image: the number of the window
    /// (over images, rows and columns), the place within it, and the number of the pixel.
    #[inline(always)]
    fn each(&self, image: [usize; 3], mut f: impl FnMut(usize, usize, usize)) {
        let [n, h, w] = image;
        let Some([rows, cols]) = self.count(h, w) else {
            return;
        };
        let mut window = 0;
        for sample in 0..n {
            for r in 0..rows {
                for c in 0..cols {
                    for i in 0..self.size[0] {
                        // a padded row or column wraps to a huge number, which is not below the extent either
                        let y = (r * self.stride[0] + i).wrapping_sub(self.padding[0]);
                        if y >= h {
                            continue;
                        }
                        for j in 0..self.size[1] {
                            let x = (c * self.stride[1] + j).wrapping_sub(self.padding[1]);
                            if x < w {
                                f(window, i * self.size[1] + j, (sample * h + y) * w + x);
                            }
                        }
                    }
                    window += 1;
                }
            }
        }
    }
}

/// What is done with windows. All maps are linear in their last argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WindowOp {
    /// Image to patches.
    Patches,
    /// Patches to image.
    Unpatch,
    /// Image to means.
    Mean,
    /// Means to image.
    Unmean,
    /// Image that chooses, image to chosen elements.
    Choose,
    /// Image that chooses, chosen elements to image.
    Unchoose,
}

impl WindowOp {
    /// The transpose.
    pub(super) fn transposed(self) -> Self {
        match self {
            WindowOp::Patches => WindowOp::Unpatch,
            WindowOp::Unpatch => WindowOp::Patches,
            WindowOp::Mean => WindowOp::Unmean,
            WindowOp::Unmean => WindowOp::Mean,
            WindowOp::Choose => WindowOp::Unchoose,
            WindowOp::Unchoose => WindowOp::Choose,
        }
    }
}

impl<'g> Var<'g> {
    fn image(
        self,
        window: Window,
        name: &'static str,
    ) -> Result<([usize; 4], [usize; 2]), Var<'g>> {
        let shape = self.shape();
        let fail = |expected: String| self.graph.fail(Error::shape(name, expected, show(&shape)));
        let &[n, h, w, c] = &shape[..] else {
            return Err(fail("images [n, height, width, channels]".into()));
        };
        match window.count(h, w) {
            Some(count) => Ok(([n, h, w, c], count)),
            None => Err(fail(format!("images that hold {window:?}"))),
        }
    }

    /// Patches of images `[n, h, w, c]`: `[n oh ow, kh kw c]`, zero outside.
    pub fn patches(self, window: Window) -> Var<'g> {
        match self.image(window, "patches") {
            Err(failed) => failed,
            Ok(([n, _, _, c], [oh, ow])) => {
                let shape = vec![n * oh * ow, window.size[0] * window.size[1] * c];
                self.window(WindowOp::Patches, window, &[self], shape)
            }
        }
    }

    /// Means of windows of images `[n, h, w, c]`: `[n, oh, ow, c]`. Padding counts as zeros.
    pub fn avg_pool(self, window: Window) -> Var<'g> {
        match self.image(window, "avg_pool") {
            Err(failed) => failed,
            Ok(([n, _, _, c], [oh, ow])) => {
                self.window(WindowOp::Mean, window, &[self], vec![n, oh, ow, c])
            }
        }
    }

    /// Maxima of windows of images `[n, h, w, c]`: `[n, oh, ow, c]`. Padding is not looked at; of equal elements the first
    /// counts; a NaN is passed on.
    pub fn max_pool(self, window: Window) -> Var<'g> {
        match self.image(window, "max_pool") {
            Err(failed) => failed,
            Ok(([n, _, _, c], [oh, ow])) => {
                self.window(WindowOp::Choose, window, &[self, self], vec![n, oh, ow, c])
            }
        }
    }

    fn window(self, op: WindowOp, window: Window, args: &[Var<'g>], shape: Vec<usize>) -> Var<'g> {
        if args[args.len() - 1].is_constant(0.0) {
            return self.graph.full(&shape, 0.0);
        }
        let ids: Vec<u32> = args.iter().map(|a| a.id).collect();
        self.graph.push(Op::Window(op, window), &ids, shape)
    }
}

/// The transpose applied to the cotangent: only the last argument has a derivative.
pub(super) fn vjp<'g>(
    op: WindowOp,
    window: Window,
    args: &[Var<'g>],
    position: usize,
    g: Var<'g>,
) -> Option<Var<'g>> {
    let last = args.len() - 1;
    (position == last).then(|| {
        let back = [&args[..last], &[g]].concat();
        g.window(op.transposed(), window, &back, args[last].shape())
    })
}

/// Extents of the image side of a map: `[n, h, w]` and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageShape {
    pub image: [usize; 3],
    pub channels: usize,
}

/// Runs a map. `chooser` is read by `Choose` and `Unchoose` only.
pub(crate) fn window_map<T: Scalar>(
    op: WindowOp,
    window: Window,
    shape: ImageShape,
    chooser: &[T],
    src: &[T],
    dst: &mut [T],
) {
    let ImageShape { image, channels: c } = shape;
    let places = window.size[0] * window.size[1];
    let share = T::from_f64(1.0 / places as f64);
    let add = |to: &mut [T], from: &[T], factor: T| {
        for (d, &s) in to.iter_mut().zip(from) {
            *d += factor * s;
        }
    };
    dst.fill(T::ZERO);
    match op {
        WindowOp::Patches => window.each(image, |patch, place, pixel| {
            let at = (patch * places + place) * c;
            dst[at..at + c].copy_from_slice(&src[pixel * c..(pixel + 1) * c]);
        }),
        WindowOp::Unpatch => window.each(image, |patch, place, pixel| {
            let at = (patch * places + place) * c;
            add(
                &mut dst[pixel * c..(pixel + 1) * c],
                &src[at..at + c],
                T::ONE,
            );
        }),
        WindowOp::Mean => window.each(image, |w, _, pixel| {
            add(
                &mut dst[w * c..(w + 1) * c],
                &src[pixel * c..(pixel + 1) * c],
                share,
            );
        }),
        WindowOp::Unmean => window.each(image, |w, _, pixel| {
            add(
                &mut dst[pixel * c..(pixel + 1) * c],
                &src[w * c..(w + 1) * c],
                share,
            );
        }),
        WindowOp::Choose => choices(window, shape, chooser, |w, from| dst[w] = src[from]),
        WindowOp::Unchoose => choices(window, shape, chooser, |w, from| dst[from] += src[w]),
    }
}

/// Calls `f(element of the result, element of the image)` with the place of the maximum of every window and channel.
fn choices<T: Scalar>(
    window: Window,
    shape: ImageShape,
    chooser: &[T],
    mut f: impl FnMut(usize, usize),
) {
    let ImageShape {
        image: [n, h, w],
        channels,
    } = shape;
    let Some([rows, cols]) = window.count(h, w) else {
        return;
    };
    for index in 0..n * rows * cols {
        let (sample, r, c) = (index / (rows * cols), index / cols % rows, index % cols);
        let span = |at: usize, axis: usize, extent: usize| {
            let start = at * window.stride[axis];
            let padding = window.padding[axis];
            start.saturating_sub(padding)
                ..(start + window.size[axis])
                    .saturating_sub(padding)
                    .min(extent)
        };
        let (ys, xs) = (span(r, 0, h), span(c, 1, w));
        for channel in 0..channels {
            let mut best: Option<usize> = None;
            for y in ys.clone() {
                for x in xs.clone() {
                    let at = ((sample * h + y) * w + x) * channels + channel;
                    // a NaN wins, and stays
                    let beats = best.is_none_or(|b| {
                        chooser[at] > chooser[b] || (is_nan(chooser[at]) && !is_nan(chooser[b]))
                    });
                    if beats {
                        best = Some(at);
                    }
                }
            }
            if let Some(at) = best {
                f(index * channels + channel, at);
            }
        }
    }
}

fn is_nan<T: Scalar>(x: T) -> bool {
    x.to_f64().is_nan()
}

#[cfg(test)]
mod tests {
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
        program.tensor(&ws, 0).to_vec()
    }

    /// The number at a place that may lie outside, in the padding.
    fn at(
        x: &[f64],
        [h, w, c]: [usize; 3],
        n: usize,
        y: isize,
        z: isize,
        channel: usize,
    ) -> Option<f64> {
        let inside = y >= 0 && z >= 0 && (y as usize) < h && (z as usize) < w;
        inside.then(|| x[((n * h + y as usize) * w + z as usize) * c + channel])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]

        /// Convolution and both poolings against loops over samples, rows, columns, channels and places.
        #[test]
        fn windows_against_naive_loops(
            window in window(), n in 0usize..3, h in 3usize..6, w in 3usize..6, c in 1usize..4, out in 1usize..3,
        ) {
            let x = numbers(n * h * w * c, 1);
            let places = window.size[0] * window.size[1];
            let weights = numbers(places * c * out, 2);
            let graph = Graph::new();
            let image = graph.input(&[n, h, w, c]);
            let kernel = graph.tensor(&[places * c, out], weights.clone());
            let convolved = run(&graph, image.patches(window).matmul(kernel), &x);
            let means = run(&graph, image.avg_pool(window), &x);
            let maxima = run(&graph, image.max_pool(window), &x);
            let [rows, cols] = window.count(h, w).unwrap();
            for s in 0..n {
                for r in 0..rows {
                    for q in 0..cols {
                        let index = (s * rows + r) * cols + q;
                        let value = |i: usize, j: usize, channel: usize| {
                            let y = (r * window.stride[0] + i) as isize - window.padding[0] as isize;
                            let z = (q * window.stride[1] + j) as isize - window.padding[1] as isize;
                            at(&x, [h, w, c], s, y, z, channel)
                        };
                        for o in 0..out {
                            let mut want = 0.0;
                            for i in 0..window.size[0] {
                                for j in 0..window.size[1] {
                                    for channel in 0..c {
                                        let row = (i * window.size[1] + j) * c + channel;
                                        want += value(i, j, channel).unwrap_or(0.0) * weights[row * out + o];
                                    }
                                }
                            }
                            prop_assert!((convolved[index * out + o] - want).abs() < 1e-12);
                        }
                        for channel in 0..c {
                            let places_of = || (0..window.size[0]).flat_map(|i| (0..window.size[1]).map(move |j| (i, j)));
                            let inside: Vec<f64> = places_of().filter_map(|(i, j)| value(i, j, channel)).collect();
                            let mean = inside.iter().sum::<f64>() / places as f64;
                            prop_assert!((means[index * c + channel] - mean).abs() < 1e-13);
                            let top = inside.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                            let top = if inside.is_empty() { 0.0 } else { top };
                            prop_assert_eq!(maxima[index * c + channel], top);
                        }
                    }
                }
            }
        }

        #[test]
        fn derivatives(window in window(), n in 1usize..3, c in 1usize..3) {
            let shape = [n, 4, 3, c];
            let x = numbers(n * 12 * c, 3);
            prop_assume!(window.count(4, 3).is_some());
            check_derivatives(&shape, &x, |_, x| x.patches(window).tanh());
            check_derivatives(&shape, &x, |_, x| x.avg_pool(window).square());
            check_derivatives(&shape, &x, |_, x| x.max_pool(window).exp());
        }
    }

    #[test]
    fn impossible_windows_are_refused_by_name() {
        let graph = Graph::new();
        let x = graph.input(&[1, 2, 2, 1]);
        let y = x.max_pool(Window::square(3, 1, 0));
        let error = graph.compile::<f32>(&[y]).unwrap_err().to_string();
        assert!(
            error.contains("max_pool") && error.contains("[1, 2, 2, 1]"),
            "{error}"
        );
        assert_eq!(Window::square(2, 0, 0).count(4, 4), None);
        assert_eq!(Window::square(2, 1, 2).count(4, 4), None);
        assert_eq!(Window::square(2, 2, 0).count(5, 4), Some([2, 2]));
    }

    #[test]
    fn a_nan_passes_through_max_pooling() {
        let graph = Graph::new();
        let x = graph.input(&[1, 1, 4, 1]);
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
}
