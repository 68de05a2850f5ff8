//! A fused chain of elementwise operations, run block by block.
//!
//! Intermediate results of a block stay in the first-level cache.

use crate::autodiff::exec::instruction::View;
use crate::autodiff::ops::{Binary, Block, Unary, binary_slice, offset, unary_of_sum, unary_slice};
use crate::autodiff::shape::broadcast_strides;
use crate::scalar::Scalar;
use crate::simd::Aligned;

/// Values per block: 4 KiB of f32.
pub(crate) const BLOCK: usize = 1024;

/// How operand indices map to result indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// One to one.
    Full,
    /// A row that repeats: element `i % period`.
    Tile { period: usize },
    /// A column that is stretched and repeats: element `i / run % count`.
    Repeat { run: usize, count: usize },
    /// Anything else.
    Strided {
        extents: Vec<usize>,
        strides: Vec<usize>,
    },
}

impl Access {
    /// How an operand of shape `small` is read as one of shape `big`.
    pub(crate) fn new(small: &[usize], big: &[usize]) -> Self {
        let strides = broadcast_strides(small, big);
        let total: usize = big.iter().product();
        let count: usize = small.iter().product();
        if count == total {
            return Access::Full;
        }
        let varies = |axis: usize| strides[axis] != 0 || big[axis] == 1;
        let first = (0..big.len()).find(|&a| strides[a] != 0);
        let Some(first) = first else {
            return Access::Repeat {
                run: total.max(1),
                count: 1,
            };
        };
        if (first..big.len()).all(varies) {
            return Access::Tile { period: count };
        }
        let last = (0..big.len()).rfind(|&a| strides[a] != 0).unwrap_or(first);
        if (first..=last).all(varies) {
            return Access::Repeat {
                run: big[last + 1..].iter().product::<usize>().max(1),
                count: count.max(1),
            };
        }
        Access::Strided {
            extents: big.to_vec(),
            strides,
        }
    }

    /// Fills `dst` with the operand's elements for the results from index `start` on.
    #[inline(always)]
    fn load<T: Scalar>(&self, src: &[T], start: usize, dst: &mut [T]) {
        match self {
            Access::Full => dst.copy_from_slice(&src[start..start + dst.len()]),
            Access::Tile { period } => {
                let mut at = start % period;
                let mut rest = dst;
                while !rest.is_empty() {
                    let n = (period - at).min(rest.len());
                    let (head, tail) = rest.split_at_mut(n);
                    head.copy_from_slice(&src[at..at + n]);
                    (rest, at) = (tail, 0);
                }
            }
            Access::Repeat { run, count } => {
                let mut at = start;
                let mut rest = dst;
                while !rest.is_empty() {
                    let n = (run - at % run).min(rest.len());
                    let (head, tail) = rest.split_at_mut(n);
                    head.fill(src[at / run % count]);
                    (rest, at) = (tail, at + n);
                }
            }
            Access::Strided { extents, strides } => {
                for (i, d) in dst.iter_mut().enumerate() {
                    *d = src[offset(start + i, extents, strides)];
                }
            }
        }
    }
}

/// What a kernel reads.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// Memory that is read one to one.
    Direct(View),
    /// Memory that is broadcast. It is written to a register first, unless the kernel has rows.
    Spread {
        view: View,
        access: Access,
        register: usize,
    },
    /// A slot of the scalar file.
    Scalar(usize),
    /// Values that were just computed for the same elements, and are stored nowhere else.
    Local,
}

/// An argument of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arg {
    Operand(usize),
    Register(usize),
}

/// One elementwise operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StepOp {
    Unary(Unary, Arg),
    /// `f(a + b)`.
    UnaryOfSum(Unary, Arg, Arg),
    Binary(Binary, Arg, Arg),
}

/// One operation and where its result goes: a register, or with `None` the kernel's output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub op: StepOp,
    pub out: Option<usize>,
}

/// A fused chain. Steps are in order; the last one writes the output.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub operands: Vec<Operand>,
    pub steps: Vec<Step>,
    /// If not zero, no block crosses a multiple of this length. Every spread operand of a block is
    /// then one value or a contiguous run.
    pub row: usize,
}

/// Rows shorter than this are not worth a block each.
const SHORT: usize = 256;

impl Kernel {
    /// A kernel without steps.
    pub(crate) fn new(operands: Vec<Operand>) -> Self {
        Self {
            operands,
            steps: Vec::new(),
            row: 0,
        }
    }

    /// Decides whether blocks follow the rows that operands are spread along. All operands must be
    /// known by then.
    pub(crate) fn find_row(&mut self) {
        let mut rows = self.operands.iter().filter_map(|operand| match operand {
            Operand::Spread { access, .. } => Some(match access {
                Access::Repeat { run, .. } => *run,
                Access::Tile { period } => *period,
                Access::Full | Access::Strided { .. } => 0,
            }),
            Operand::Direct(_) | Operand::Scalar(_) | Operand::Local => None,
        });
        let Some(first) = rows.next() else { return };
        if first >= SHORT && rows.all(|row| row == first) {
            self.row = first;
        }
    }

    /// Computes `out`. `get` resolves views; `registers` are blocks of scratch.
    #[inline(always)]
    pub(crate) fn run<'a, T: Scalar>(
        &self,
        get: impl Fn(&View) -> &'a [T],
        scalars: &[f64],
        registers: &mut [Aligned<T>],
        out: &mut [T],
    ) {
        let row = if self.row > 0 {
            self.row
        } else {
            out.len().max(1)
        };
        for (r, out) in out.chunks_mut(row).enumerate() {
            let size = self.block_len(out.len());
            for (block, out) in out.chunks_mut(size).enumerate() {
                let start = r * row + block * size;
                self.block(&get, (scalars, &[]), registers, start, out);
            }
        }
    }

    /// How many of `len` values are computed at once: all of them, if there are no intermediate
    /// results to keep in the first-level cache.
    #[inline(always)]
    pub(crate) fn block_len(&self, len: usize) -> usize {
        let spread = |o: &Operand| matches!(o, Operand::Spread { .. });
        let alone = self.steps.len() == 1 && (self.row > 0 || !self.operands.iter().any(spread));
        if alone { len.max(1) } else { BLOCK }
    }

    /// Computes `out`, the results from index `start` on. `out` has at most [`Kernel::block_len`]
    /// values, and lies within one row if the kernel has rows. [`Operand::Local`] reads `local`.
    #[inline(always)]
    pub(crate) fn block<'a, T: Scalar>(
        &self,
        get: &impl Fn(&View) -> &'a [T],
        (scalars, local): (&[f64], &[T]),
        registers: &mut [Aligned<T>],
        start: usize,
        out: &mut [T],
    ) {
        let len = out.len();
        if self.row == 0 {
            for operand in &self.operands {
                if let Operand::Spread {
                    view,
                    access,
                    register,
                } = operand
                {
                    access.load(
                        get(view),
                        start,
                        &mut registers[*register].as_mut_slice()[..len],
                    );
                }
            }
        }
        for step in &self.steps {
            match step.out {
                None => self.apply(step.op, get, (scalars, local), registers, start, out),
                Some(r) => {
                    let mut target = std::mem::take(&mut registers[r]);
                    self.apply(
                        step.op,
                        get,
                        (scalars, local),
                        registers,
                        start,
                        &mut target.as_mut_slice()[..len],
                    );
                    registers[r] = target;
                }
            }
        }
    }

    #[inline(always)]
    fn apply<'a, T: Scalar>(
        &self,
        op: StepOp,
        get: &impl Fn(&View) -> &'a [T],
        (scalars, local): (&[f64], &[T]),
        registers: &[Aligned<T>],
        start: usize,
        dst: &mut [T],
    ) {
        let len = dst.len();
        let block = |arg: Arg| match arg {
            Arg::Register(r) => Block::Slice(&registers[r].as_slice()[..len]),
            Arg::Operand(o) => match &self.operands[o] {
                Operand::Direct(view) => Block::Slice(&get(view)[start..start + len]),
                Operand::Spread { register, .. } if self.row == 0 => {
                    Block::Slice(&registers[*register].as_slice()[..len])
                }
                Operand::Spread { view, access, .. } => match access {
                    Access::Repeat { run, count } => Block::Splat(get(view)[start / run % count]),
                    _ => Block::Slice(&get(view)[start % self.row..][..len]),
                },
                Operand::Scalar(slot) => Block::Splat(T::from_f64(scalars[*slot])),
                Operand::Local => Block::Slice(&local[..len]),
            },
        };
        match op {
            StepOp::Unary(op, a) => match block(a) {
                Block::Slice(a) => unary_slice(op, a, dst),
                Block::Splat(a) => {
                    let mut one = [a];
                    unary_slice(op, &[a], &mut one);
                    dst.fill(one[0]);
                }
            },
            StepOp::UnaryOfSum(op, a, b) => match (block(a), block(b)) {
                (Block::Slice(a), b) | (b, Block::Slice(a)) => unary_of_sum(op, a, b, dst),
                (Block::Splat(a), Block::Splat(b)) => {
                    let mut one = [a];
                    unary_slice(op, &[a + b], &mut one);
                    dst.fill(one[0]);
                }
            },
            StepOp::Binary(op, a, b) => binary_slice(op, block(a), block(b), dst),
        }
    }
}

impl std::fmt::Display for Kernel {
    /// The chain in one line: `map r0 = Add b0[0..9] s1; out = Tanh r0`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arg = |arg: &Arg| match arg {
            Arg::Register(r) => format!("r{r}"),
            Arg::Operand(o) => match &self.operands[*o] {
                Operand::Direct(view) => view.to_string(),
                Operand::Spread { view, access, .. } => format!("{view} spread as {access:?}"),
                Operand::Scalar(slot) => format!("s{slot}"),
                Operand::Local => "it".into(),
            },
        };
        let step = |step: &Step| {
            let target = step.out.map_or("out".into(), |r| format!("r{r}"));
            match &step.op {
                StepOp::Unary(op, a) => format!("{target} = {op:?} {}", arg(a)),
                StepOp::UnaryOfSum(op, a, b) => {
                    format!("{target} = {op:?} ({} + {})", arg(a), arg(b))
                }
                StepOp::Binary(op, a, b) => format!("{target} = {op:?} {} {}", arg(a), arg(b)),
            }
        };
        let steps: Vec<String> = self.steps.iter().map(step).collect();
        write!(f, "map {}", steps.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_patterns_read_what_broadcasting_means() {
        let cases: [(&[usize], &[usize]); 11] = [
            (&[1, 3, 1], &[2, 3, 4]),
            (&[3, 1, 1], &[2, 3, 2, 2]),
            (&[3], &[4, 3]),
            (&[4, 1], &[4, 3]),
            (&[4, 3], &[4, 3]),
            (&[1, 3], &[4, 3]),
            (&[2, 1, 3], &[2, 5, 3]),
            (&[5, 1], &[2, 5, 3]),
            (&[1], &[7]),
            (&[1, 1], &[4, 3]),
            (&[2, 1, 1], &[2, 5, 3]),
        ];
        for (small, big) in cases {
            let src: Vec<f64> = (0..small.iter().product())
                .map(|i: usize| i as f64)
                .collect();
            let total: usize = big.iter().product();
            let strides = broadcast_strides(small, big);
            let access = Access::new(small, big);
            for start in 0..total {
                let mut dst = vec![-1.0; total - start];
                access.load(&src, start, &mut dst);
                for (i, d) in dst.iter().enumerate() {
                    assert_eq!(
                        *d,
                        src[offset(start + i, big, &strides)],
                        "{small:?} in {big:?}"
                    );
                }
            }
        }
    }
}
