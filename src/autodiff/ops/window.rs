//! Pooling: sliding windows over images.
//!
//! Images are `[n, channels, height, width]`. In memory the batch is innermost,
//! `[channels, height, width, n]`, so a pixel is a run of `n` values. There are two pairs of linear
//! maps. The maps of a pair are each other's transpose, so they are closed under differentiation:
//! - means of windows, and spreading them back;
//! - from each window the element where *another* image has its maximum, and scattering it back.
//!   Max pooling is this map with both images the same. The choice itself has no derivative.

use std::ops::Range;

use super::Op;
use crate::autodiff::graph::Var;
use crate::autodiff::shape::{numel, show};
use crate::error::Error;
use crate::scalar::Scalar;
use crate::simd;

/// Size, stride and zero padding of a window, each `[vertical, horizontal]`.
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

    /// Number of windows along each side of an image of `height` by `width`. `None` if no window
    /// fits, if its size or stride is zero, or if its padding is not smaller than its size.
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

    /// All pairs of a window and a pixel under it, both by index. Windows are counted over planes,
    /// rows and columns; pixels over the whole image.
    fn pairs(self, image: [usize; 3]) -> impl Iterator<Item = (usize, usize)> {
        let [planes, h, w] = image;
        let [rows, cols] = self.count(h, w).unwrap_or([0, 0]);
        (0..planes * rows * cols).flat_map(move |window| {
            let (plane, r, c) = (window / (rows * cols), window / cols % rows, window % cols);
            let (ys, xs) = (self.span(r, 0, h), self.span(c, 1, w));
            ys.flat_map(move |y| xs.clone().map(move |x| (window, (plane * h + y) * w + x)))
        })
    }

    /// Rows or columns of an image that lie under window number `at` along an axis.
    fn span(&self, at: usize, axis: usize, extent: usize) -> Range<usize> {
        let start = at * self.stride[axis];
        let end = (start + self.size[axis]).saturating_sub(self.padding[axis]);
        start.saturating_sub(self.padding[axis])..end.min(extent)
    }
}

/// Maps between images and windows. All maps are linear in their last argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WindowOp {
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
            WindowOp::Mean => WindowOp::Unmean,
            WindowOp::Unmean => WindowOp::Mean,
            WindowOp::Choose => WindowOp::Unchoose,
            WindowOp::Unchoose => WindowOp::Choose,
        }
    }
}

impl<'g> Var<'g> {
    /// Means of windows of images `[n, c, h, w]`: `[n, c, rows, columns]`. Padding counts as zeros.
    pub fn avg_pool(self, window: Window) -> Var<'g> {
        self.pool("avg_pool", window, |x, shape| {
            x.window(WindowOp::Mean, window, &[x], shape)
        })
    }

    /// Maxima of windows of images `[n, c, h, w]`: `[n, c, rows, columns]`. Padding is ignored. If
    /// elements are equal, the first counts. A NaN is passed on.
    pub fn max_pool(self, window: Window) -> Var<'g> {
        self.pool("max_pool", window, |x, shape| {
            x.window(WindowOp::Choose, window, &[x, x], shape)
        })
    }

    /// Largest element along one axis, which is removed. NaN if any element is. If elements are
    /// equal, the first gets the derivative.
    pub fn max_axis(self, axis: usize) -> Var<'g> {
        let mut shape = self.shape();
        if axis >= shape.len() || shape[axis] == 0 {
            let expected = format!("an axis of {shape:?} that is not empty");
            return self.graph.fail(Error::shape("max_axis", expected, axis));
        }
        if let (Some(memory), Some(inner)) = (self.stored(), axis.checked_sub(1)) {
            return memory.max_axis(inner).batch_first();
        }
        let extent = shape.remove(axis);
        let (outer, inner) = (numel(&shape[..axis]), numel(&shape[axis..]));
        let window = Window {
            size: [extent, 1],
            stride: [1, 1],
            padding: [0, 0],
        };
        let x = self.reshape(&[outer, extent, 1, inner]);
        x.window(WindowOp::Choose, window, &[x, x], vec![outer, 1, 1, inner])
            .reshape(&shape)
    }

    fn pool(
        self,
        name: &'static str,
        window: Window,
        record: impl Fn(Var<'g>, Vec<usize>) -> Var<'g>,
    ) -> Var<'g> {
        let shape = self.shape();
        let fail = |expected: String| self.graph.fail(Error::shape(name, expected, show(&shape)));
        let &[n, c, h, w] = &shape[..] else {
            return fail("images [n, channels, height, width]".into());
        };
        match window.count(h, w) {
            Some([rows, cols]) => record(self.batch_last(), vec![c, rows, cols, n]).batch_first(),
            None => fail(format!("images that hold {window:?}")),
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

/// The transpose applied to the cotangent. Only the last argument has a derivative.
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

/// Extents of the image side of a map: `[planes, height, width]`, and values per pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageShape {
    pub image: [usize; 3],
    pub n: usize,
}

/// A map to run; means run at the machine's vector width. Only `Choose` and `Unchoose` read
/// `chooser`.
pub(crate) struct WindowMap<'a, T> {
    pub op: WindowOp,
    pub window: Window,
    pub shape: ImageShape,
    pub chooser: &'a [T],
    pub src: &'a [T],
    pub dst: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for WindowMap<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            op,
            window,
            shape,
            chooser,
            src,
            dst,
        } = self;
        let ImageShape { image, n } = shape;
        dst.fill(T::ZERO);
        let share = T::from_f64(1.0 / (window.size[0] * window.size[1]) as f64);
        match op {
            WindowOp::Mean => {
                for (w, pixel) in window.pairs(image) {
                    add(
                        &mut dst[w * n..(w + 1) * n],
                        &src[pixel * n..(pixel + 1) * n],
                        share,
                    );
                }
            }
            WindowOp::Unmean => {
                for (w, pixel) in window.pairs(image) {
                    add(
                        &mut dst[pixel * n..(pixel + 1) * n],
                        &src[w * n..(w + 1) * n],
                        share,
                    );
                }
            }
            WindowOp::Choose => choices(window, shape, chooser, |w, from| dst[w] = src[from]),
            WindowOp::Unchoose => choices(window, shape, chooser, |w, from| dst[from] += src[w]),
        }
    }
}

#[inline(always)]
fn add<T: Scalar>(to: &mut [T], from: &[T], factor: T) {
    for (d, &s) in to.iter_mut().zip(from) {
        *d += factor * s;
    }
}

/// Calls `f(index in the result, index in the image)` for every window and example. The second
/// index is where the image has its maximum in the window.
fn choices<T: Scalar>(
    window: Window,
    shape: ImageShape,
    chooser: &[T],
    mut f: impl FnMut(usize, usize),
) {
    let ImageShape {
        image: [planes, h, w],
        n,
    } = shape;
    let Some([rows, cols]) = window.count(h, w) else {
        return;
    };
    for index in 0..planes * rows * cols {
        let (plane, r, c) = (index / (rows * cols), index / cols % rows, index % cols);
        let (ys, xs) = (window.span(r, 0, h), window.span(c, 1, w));
        for example in 0..n {
            let mut best: Option<usize> = None;
            for y in ys.clone() {
                for x in xs.clone() {
                    let at = ((plane * h + y) * w + x) * n + example;
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
                f(index * n + example, at);
            }
        }
    }
}

fn is_nan<T: Scalar>(x: T) -> bool {
    x.partial_cmp(&x).is_none()
}

#[cfg(test)]
mod tests;
