//! Matrix products on register tiles, for matrices whose *long* axis is contiguous.
//!
//! Activations are `[features, rows of data]`, so products of a network have one of two forms:
//! - **outer**: `C[i, j] = sum_p A[i, p] B[p, j]`, with vectors along `j`. A tile of `MR x NV`
//!   accumulator vectors stays in registers while the elements of `A`, one by one, multiply `NV`
//!   vectors of `B`.
//! - **inner**: `C[i, j] += sum_p A[i, p] B[j, p]`, with vectors along `p`. A tile has `MR x NR`
//!   accumulator vectors, whose lanes are added up at the end.
//!
//! Nothing is packed or copied. With `6 x 4` and `4 x 6` tiles, ten loads feed 24 multiply-adds, so
//! the multiply-add units are the limit: while a tile streams from a near cache and the long axis
//! is long. Elsewhere the engine takes faer's packed kernel (bounds: `autodiff::ops::matmul`).
//!
//! The sum over `p` may come in pieces ([`Piece`]): of a convolution, the pixels under the window.

use pulp::{Simd, WithSimd};

use crate::scalar::Scalar;

/// A run of the sum over `p`: where it starts in `A` and `B`, and its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub a: usize,
    pub b: usize,
    pub len: usize,
}

/// `C[i, j] = sum over pieces and p of A[i, p] B[p, j]` for `i < m`, `j < n`.
pub(crate) struct Outer<'a, T> {
    pub m: usize,
    pub n: usize,
    pub pieces: &'a [Piece],
    /// `A[i, p]` of a piece is `a[piece.a + i * a_row + p * a_col]`; `a_col` wraps around.
    pub a: &'a [T],
    pub a_row: usize,
    pub a_col: usize,
    /// Row `p` of a piece is `b[piece.b + p * b_row ..][.. n]`.
    pub b: &'a [T],
    pub b_row: usize,
    /// One value per row, added to it at the end.
    pub add: Option<&'a [T]>,
    /// Row `i` is `c[i * c_row ..][.. n]`.
    pub c: &'a mut [T],
    pub c_row: usize,
}

/// `C[i, j] += sum over pieces and p of A[i, p] B[j, p]` for `i < m`, `j < n`.
pub(crate) struct Inner<'a, T> {
    pub m: usize,
    pub n: usize,
    pub pieces: &'a [Piece],
    /// Row `i` of a piece is `a[piece.a + a_rows(i) ..][.. piece.len]`.
    pub a: &'a [T],
    pub a_rows: Rows<'a>,
    /// Row `j` of a piece is `b[piece.b + j * b_row ..][.. piece.len]`.
    pub b: &'a [T],
    pub b_row: usize,
    /// `C[i, j]` is `c[i * c_row + j * c_col]`.
    pub c: &'a mut [T],
    pub c_row: usize,
    pub c_col: usize,
}

/// Where the rows of a matrix begin.
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// At equal distances.
    Every(usize),
    /// Anywhere.
    At(&'a [usize]),
}

impl Rows<'_> {
    #[inline(always)]
    fn at(self, i: usize) -> usize {
        match self {
            Rows::Every(distance) => i * distance,
            Rows::At(places) => places[i],
        }
    }
}

/// Runs `work` at the machine's vector width.
pub(crate) fn run<W: WithSimd>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(work)
}

/// True if there are enough registers for 24 accumulators and the operands.
#[inline(always)]
fn wide<S: Simd>() -> bool {
    S::REGISTER_COUNT >= 32
}

/// Walks from 0 to `$count` in steps of the given sizes, each as often as it fits. The body is a
/// macro of size and position.
macro_rules! in_tiles {
    ($count:expr, $at:ident, [$($size:literal),*], $body:ident) => {{
        let mut $at = 0;
        $(while $count - $at >= $size {
            $body!($size, $at);
            $at += $size;
        })*
    }};
}

/// `sums[i mod m] += sum over p of row i`, for `m` sums and contiguous rows of `len` values.
pub(crate) struct RowSums<'a, T> {
    pub src: &'a [T],
    pub len: usize,
    pub sums: &'a mut [T],
}

impl<T: Scalar> WithSimd for RowSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
        let m = self.sums.len();
        for (i, row) in self.src.chunks_exact(self.len).enumerate() {
            let (vectors, rest) = T::split(simd, row);
            // four chains of additions, so that an addition need not wait for the one before
            let mut acc = [zero; 4];
            let mut quads = vectors.chunks_exact(4);
            for quad in &mut quads {
                for (acc, &x) in acc.iter_mut().zip(quad) {
                    *acc = T::mul_add(simd, x, one, *acc);
                }
            }
            for (acc, &x) in acc.iter_mut().zip(quads.remainder()) {
                *acc = T::mul_add(simd, x, one, *acc);
            }
            acc[3] = T::mul_add(simd, T::load_part(simd, rest), one, acc[3]);
            acc[0] = T::mul_add(simd, acc[1], one, acc[0]);
            acc[2] = T::mul_add(simd, acc[3], one, acc[2]);
            acc[0] = T::mul_add(simd, acc[2], one, acc[0]);
            self.sums[i % m] += T::sum_lanes(simd, acc[0]);
        }
    }
}

impl<T: Scalar> WithSimd for Outer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = size_of::<T::Of<S>>() / size_of::<T>();
        let mut j = 0;
        macro_rules! columns {
            ($nv:literal) => {
                while j + $nv * lanes <= self.n {
                    self.column::<S, $nv>(simd, j);
                    j += $nv * lanes;
                }
            };
        }
        if wide::<S>() {
            columns!(4);
        }
        columns!(2);
        columns!(1);
        if j < self.n && self.n >= lanes {
            // the last vector overlaps the one before: some results are computed twice
            self.column::<S, 1>(simd, self.n - lanes);
        } else if j < self.n {
            self.narrow(simd);
        }
    }
}

impl<T: Scalar> Outer<'_, T> {
    /// All rows of a strip of columns, which starts at `j` and is `NV` vectors wide.
    #[inline(always)]
    fn column<S: Simd, const NV: usize>(&mut self, simd: S, j: usize) {
        let m = self.m;
        macro_rules! tile {
            ($mr:literal, $i:ident) => {
                self.tile::<S, $mr, NV>(simd, $i, j)
            };
        }
        in_tiles!(m, i, [6, 4, 2, 1], tile);
    }

    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(&mut self, simd: S, i: usize, j: usize) {
        let width = NV * (size_of::<T::Of<S>>() / size_of::<T>());
        let zero = T::splat(simd, T::ZERO);
        let mut acc = [[zero; NV]; MR];
        for piece in self.pieces {
            let b = &self.b[piece.b + j..];
            for p in 0..piece.len {
                let (row, _) = T::split(simd, &b[p * self.b_row..p * self.b_row + width]);
                let mut loaded = [zero; NV];
                loaded.copy_from_slice(&row[..NV]);
                for (r, acc) in acc.iter_mut().enumerate() {
                    let row = piece.a + (i + r) * self.a_row;
                    let x = T::splat(simd, self.a[row.wrapping_add(p.wrapping_mul(self.a_col))]);
                    for (acc, &b) in acc.iter_mut().zip(&loaded) {
                        *acc = T::mul_add(simd, x, b, *acc);
                    }
                }
            }
        }
        if let Some(add) = self.add {
            let one = T::splat(simd, T::ONE);
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = T::splat(simd, add[i + r]);
                for acc in acc.iter_mut() {
                    *acc = T::mul_add(simd, *acc, one, x);
                }
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            let at = (i + r) * self.c_row + j;
            let (row, _) = T::split_mut(simd, &mut self.c[at..at + width]);
            row[..NV].copy_from_slice(acc);
        }
    }

    /// For fewer columns than a vector has lanes.
    #[inline(always)]
    fn narrow<S: Simd>(&mut self, simd: S) {
        for i in 0..self.m {
            let mut acc = T::splat(simd, T::ZERO);
            for piece in self.pieces {
                for p in 0..piece.len {
                    let row = piece.a + i * self.a_row;
                    let x = self.a[row.wrapping_add(p.wrapping_mul(self.a_col))];
                    let at = piece.b + p * self.b_row;
                    let b = T::load_part(simd, &self.b[at..at + self.n]);
                    acc = T::mul_add(simd, T::splat(simd, x), b, acc);
                }
            }
            if let Some(add) = self.add {
                let (one, x) = (T::splat(simd, T::ONE), T::splat(simd, add[i]));
                acc = T::mul_add(simd, acc, one, x);
            }
            let at = i * self.c_row;
            T::store_part(simd, &mut self.c[at..at + self.n], acc);
        }
    }
}

impl<T: Scalar> WithSimd for Inner<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // the wider side of the tile stays in the cache while the other streams by
        let n = self.n;
        macro_rules! columns {
            ($nr:literal, $j:ident) => {
                self.column::<S, $nr>(simd, $j)
            };
        }
        if wide::<S>() {
            in_tiles!(n, j, [6, 4, 2, 1], columns);
        } else {
            in_tiles!(n, j, [4, 2, 1], columns);
        }
    }
}

impl<T: Scalar> Inner<'_, T> {
    #[inline(always)]
    fn column<S: Simd, const NR: usize>(&mut self, simd: S, j: usize) {
        let m = self.m;
        macro_rules! tile {
            ($mr:literal, $i:ident) => {
                self.tile::<S, $mr, NR>(simd, $i, j)
            };
        }
        if wide::<S>() {
            in_tiles!(m, i, [4, 2, 1], tile);
        } else {
            in_tiles!(m, i, [2, 1], tile);
        }
    }

    /// The hot loop. Accumulators are passed and returned by value, so that they live in registers.
    #[inline(always)]
    fn whole_vectors<S: Simd, const MR: usize, const NR: usize>(
        simd: S,
        count: usize,
        a: [&[T::Of<S>]; MR],
        b: [&[T::Of<S>]; NR],
        mut acc: [[T::Of<S>; NR]; MR],
    ) -> [[T::Of<S>; NR]; MR] {
        // plain loops: a closure here may be compiled for the baseline instruction set, and the
        // gain is lost
        let (mut left, mut right) = ([a[0]; MR], [b[0]; NR]);
        for r in 0..MR {
            left[r] = &a[r][..count];
        }
        for q in 0..NR {
            right[q] = &b[q][..count];
        }
        let (a, b) = (left, right);
        for p in 0..count {
            let mut loaded = [a[0][p]; NR];
            for q in 0..NR {
                loaded[q] = b[q][p];
            }
            for r in 0..MR {
                let x = a[r][p];
                for q in 0..NR {
                    acc[r][q] = T::mul_add(simd, x, loaded[q], acc[r][q]);
                }
            }
        }
        acc
    }

    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NR: usize>(&mut self, simd: S, i: usize, j: usize) {
        let zero = T::splat(simd, T::ZERO);
        let mut acc = [[zero; NR]; MR];
        for piece in self.pieces {
            let lanes = size_of::<T::Of<S>>() / size_of::<T>();
            let whole = piece.len / lanes;
            let mut a: [&[T::Of<S>]; MR] = [&[]; MR];
            let mut b: [&[T::Of<S>]; NR] = [&[]; NR];
            let mut a_rest: [&[T]; MR] = [&[]; MR];
            let mut b_rest: [&[T]; NR] = [&[]; NR];
            for r in 0..MR {
                let at = piece.a + self.a_rows.at(i + r);
                let (vectors, rest) = T::split(simd, &self.a[at..at + piece.len]);
                (a[r], a_rest[r]) = (&vectors[..whole], rest);
            }
            for q in 0..NR {
                let at = piece.b + (j + q) * self.b_row;
                let (vectors, rest) = T::split(simd, &self.b[at..at + piece.len]);
                (b[q], b_rest[q]) = (&vectors[..whole], rest);
            }
            acc = Self::whole_vectors(simd, whole, a, b, acc);
            if piece.len > whole * lanes {
                for (acc, a) in acc.iter_mut().zip(&a_rest) {
                    let x = T::load_part(simd, a);
                    for (acc, b) in acc.iter_mut().zip(&b_rest) {
                        *acc = T::mul_add(simd, x, T::load_part(simd, b), *acc);
                    }
                }
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            for (q, &acc) in acc.iter().enumerate() {
                self.c[(i + r) * self.c_row + (j + q) * self.c_col] += T::sum_lanes(simd, acc);
            }
        }
    }
}

#[cfg(test)]
mod tests;
