//! Computes a matrix product together with the elementwise chain that reads it, block by block.
//!
//! The chain must be the product's only reader. The blocks between the two stay in the first-level
//! cache and never go to memory.

use pulp::{Simd, WithSimd};

use super::kernel::{Access, Arg, BLOCK, Kernel, Operand, Step, StepOp};
use super::plan::views;
use crate::autodiff::exec::instruction::{Action, Code, Instruction, Place, Value, View};
use crate::autodiff::ops::{Binary, Form, MatMulShape, Unary};
use crate::linalg::product::{Outer, Piece};
use crate::scalar::Scalar;
use crate::simd::Aligned;

/// Rows of one register tile. A block has as many tiles as fit into [`TOGETHER`] values, and at
/// least one.
const ROWS: usize = 6;

/// Values per block, roughly. Few examples make short rows; several tiles of them then share the
/// cost of starting a block.
const TOGETHER: usize = 2048;

/// Longest inner extent `k` of a product that is joined. Beyond it, the product takes so long that
/// the chain does not matter, and its operands are better read in panels that fit the first-level
/// cache.
const DEEPEST: usize = 64;

/// Most values that a block of results can hold.
pub(crate) const SCRATCH: usize = ROWS * BLOCK;

/// Finds such pairs and joins them. At this stage each buffer still has a single writer.
pub(super) fn join<T>(code: &mut Code<T>) {
    let mut readers = vec![0usize; code.buffers.len()];
    for instruction in &mut code.instructions {
        for view in views(instruction) {
            if let Place::Buffer(b) = view.place {
                readers[b] += 1;
            }
        }
    }
    for output in &code.outputs {
        if let Value::View(View {
            place: Place::Buffer(b),
            ..
        }) = output
        {
            readers[*b] += 1;
        }
    }
    let mut products: Vec<Option<(MatMulShape, View, View)>> = vec![None; code.buffers.len()];
    let mut joined = vec![false; code.buffers.len()];
    for instruction in &mut code.instructions {
        let Instruction::Fill { out, len, action } = instruction else {
            continue;
        };
        if let Action::MatMul { shape, a, b } = action
            && Form::of(*shape) == Form::Outer
            && (1..=DEEPEST).contains(&shape.k)
            && readers[*out] == 1
        {
            products[*out] = Some((*shape, *a, *b));
        }
        let Action::Map(kernel) = action else {
            continue;
        };
        let found = kernel.operands.iter().position(|operand| match operand {
            Operand::Direct(View {
                place: Place::Buffer(p),
                offset: 0,
                len: l,
            }) => products[*p].is_some_and(|(shape, ..)| *l == *len && *l == shape.m * shape.n),
            _ => false,
        });
        if let Some(at) = found
            && let Operand::Direct(View {
                place: Place::Buffer(p),
                ..
            }) = kernel.operands[at]
            && let Some((shape, a, b)) = products[p]
            && (kernel.row == 0 || kernel.row == shape.n)
        {
            let mut kernel = kernel.clone();
            kernel.operands[at] = Operand::Local;
            joined[p] = true;
            *action = Action::MatMulMap {
                shape,
                a,
                b,
                add: take_sum(&mut kernel, at, shape),
                kernel,
            };
        }
    }
    code.instructions.retain(|instruction| match instruction {
        Instruction::Fill { out, .. } => !joined[*out],
        _ => true,
    });
    if joined.contains(&true) {
        code.scratch = SCRATCH;
    }
}

/// Moves the addition of a bias from the kernel into the product, and returns the bias. `at` is the
/// kernel's operand that holds the product; the bias has one value per row of the product.
///
/// The kernel must use product and bias for nothing else. The product then adds the bias as it
/// writes its result, and the kernel need no longer follow rows.
fn take_sum(kernel: &mut Kernel, at: usize, shape: MatMulShape) -> Option<View> {
    let reads = |step: &Step, operand: usize| {
        let is = |arg: Arg| usize::from(arg == Arg::Operand(operand));
        match step.op {
            StepOp::Unary(_, a) => is(a),
            StepOp::UnaryOfSum(_, a, b) | StepOp::Binary(_, a, b) => is(a) + is(b),
        }
    };
    let uses = |operand: usize| {
        kernel
            .steps
            .iter()
            .map(|step| reads(step, operand))
            .sum::<usize>()
    };
    let place = kernel.steps.iter().position(|step| reads(step, at) > 0)?;
    let (function, pair) = match kernel.steps[place].op {
        StepOp::UnaryOfSum(function, a, b) => (function, [a, b]),
        StepOp::Binary(Binary::Add, a, b) => (Unary::Copy, [a, b]),
        _ => return None,
    };
    let [Arg::Operand(a), Arg::Operand(b)] = pair else {
        return None;
    };
    let other = if a == at { b } else { a };
    let Operand::Spread {
        view,
        access: Access::Repeat { run, count },
        ..
    } = &kernel.operands[other]
    else {
        return None;
    };
    let (view, by_row) = (*view, *run == shape.n && *count == shape.m);
    if !by_row || uses(at) != 1 || uses(other) != 1 {
        return None;
    }
    kernel.steps[place].op = StepOp::Unary(function, Arg::Operand(at));
    kernel.operands[other] = Operand::Local;
    kernel.row = 0;
    kernel.find_row();
    Some(view)
}

/// The joined pair, run at the machine's vector width.
pub(crate) struct MatMulMap<'a, T, G> {
    pub shape: MatMulShape,
    pub a: &'a [T],
    pub b: &'a [T],
    pub add: Option<&'a [T]>,
    pub kernel: &'a Kernel,
    pub get: G,
    pub scalars: &'a [f64],
    pub registers: &'a mut [Aligned<T>],
    pub scratch: &'a mut [T],
    pub out: &'a mut [T],
}

impl<'a, T: Scalar, G: Fn(&View) -> &'a [T]> WithSimd for MatMulMap<'a, T, G> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let MatMulShape { m, k, n, ta, .. } = self.shape;
        let width = n.clamp(1, BLOCK);
        let tall = (TOGETHER / width / ROWS).max(1) * ROWS;
        let (a_row, a_col) = if ta { (1, m) } else { (k, 1) };
        for j in (0..n).step_by(width) {
            let columns = width.min(n - j);
            for i in (0..m).step_by(tall) {
                let rows = tall.min(m - i);
                let product = Outer {
                    m: rows,
                    n: columns,
                    pieces: &[Piece {
                        a: i * a_row,
                        b: j,
                        len: k,
                    }],
                    a: self.a,
                    a_row,
                    a_col,
                    b: self.b,
                    b_row: n,
                    add: self.add.map(|add| &add[i..]),
                    c: &mut *self.scratch,
                    c_row: columns,
                };
                product.with_simd(simd);
                // contiguous rows form one run, unless the kernel follows rows
                let together = columns == n && self.kernel.row == 0;
                let (count, run) = if together {
                    (1, rows * n)
                } else {
                    (rows, columns)
                };
                for r in 0..count {
                    let first = (i + r) * n + j;
                    let block = self.kernel.block_len(run);
                    for at in (0..run).step_by(block) {
                        let len = block.min(run - at);
                        let local = &self.scratch[r * columns + at..][..len];
                        let out = &mut self.out[first + at..][..len];
                        let inputs = (self.scalars, local);
                        self.kernel
                            .block(&self.get, inputs, self.registers, first + at, out);
                    }
                }
            }
        }
    }
}
