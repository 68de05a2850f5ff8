//! Zeros around images and between their pixels, as convolutions need them.

use crate::scalar::Scalar;

/// Puts zeros around images and between their pixels: `[planes, h, w, n]` becomes
/// `[planes, height, width, n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pad {
    pub planes: usize,
    pub from: [usize; 2],
    pub to: [usize; 2],
    /// Position of the first pixel.
    pub offset: [usize; 2],
    /// Distance between pixels.
    pub spread: [usize; 2],
    pub n: usize,
}

impl Pad {
    pub(crate) fn len(&self) -> usize {
        self.planes * self.to[0] * self.to[1] * self.n
    }

    pub(crate) fn run<T: Scalar>(&self, src: &[T], dst: &mut [T]) {
        dst.fill(T::ZERO);
        let ([h, w], [height, width]) = (self.from, self.to);
        for plane in 0..self.planes {
            for y in 0..h {
                let row =
                    (plane * height + self.offset[0] + y * self.spread[0]) * width + self.offset[1];
                let from = (plane * h + y) * w;
                if self.spread[1] == 1 {
                    dst[row * self.n..(row + w) * self.n]
                        .copy_from_slice(&src[from * self.n..(from + w) * self.n]);
                    continue;
                }
                for x in 0..w {
                    let to = (row + x * self.spread[1]) * self.n;
                    dst[to..to + self.n]
                        .copy_from_slice(&src[(from + x) * self.n..(from + x + 1) * self.n]);
                }
            }
        }
    }
}
