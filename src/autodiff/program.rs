//! A compiled graph: a list of instructions over planned memory. Running it allocates nothing.

use std::time::{Duration, Instant};

use super::compile::follow::MatMulMap;
use super::compile::kernel::{BLOCK, Kernel};
use super::ops::{
    Binary, ConvPlan, ImageShape, LogSumExp, MatMulShape, Pad, PickColumns, Shift, SumAll, SumPlan,
    SumTo, Unary, Window, WindowMap, WindowOp, copy_block, matmul, pick, transpose, unpick,
};
use super::shape::Shape;
use crate::error::{Error, Result, counted};
use crate::linalg::product;
use crate::scalar::Scalar;
use crate::simd::{self, Aligned};

/// Where values are stored: an input, a constant tensor, or a planned buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Input(usize),
    Tensor(usize),
    Buffer(usize),
}

/// A contiguous run of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub place: Place,
    pub offset: usize,
    pub len: usize,
}

/// A value after lowering: a run of memory, or a slot of the scalar file, which is always f64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    View(View),
    Scalar(usize),
}

/// One part of a concat, or the only part of a slice.
#[derive(Clone, Debug)]
pub(crate) struct CopyPart {
    pub src: View,
    pub src_offset: usize,
    pub src_stride: usize,
    pub dst_offset: usize,
    pub dst_stride: usize,
    pub rows: usize,
    pub width: usize,
}

/// What an instruction computes.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Map(Kernel),
    MatMul {
        shape: MatMulShape,
        a: View,
        b: View,
    },
    /// A matrix product and the elementwise chain that reads it.
    MatMulMap {
        shape: MatMulShape,
        a: View,
        b: View,
        /// One value per row of the product, added to that row.
        add: Option<View>,
        kernel: Kernel,
    },
    SumTo {
        plan: SumPlan,
        src: View,
    },
    /// Over the middle axis of `[outer, k, inner]`.
    Shift {
        k: usize,
        inner: usize,
        src: View,
    },
    /// Over the same axis; `shift` is `[outer, inner]`.
    LogSumExp {
        k: usize,
        inner: usize,
        src: View,
        shift: View,
    },
    Transpose {
        rows: usize,
        cols: usize,
        src: View,
    },
    Copy(Vec<CopyPart>),
    Pad {
        pad: Pad,
        src: View,
    },
    /// The plan, the padded image, the other argument.
    Conv {
        plan: Box<ConvPlan>,
        image: View,
        other: View,
    },
    Window {
        op: WindowOp,
        window: Window,
        shape: ImageShape,
        chooser: View,
        src: View,
    },
    Pick {
        axis: usize,
        k: usize,
        src: View,
        labels: View,
    },
    Unpick {
        axis: usize,
        k: usize,
        src: View,
        labels: View,
    },
}

/// One step of a program: an action that fills a buffer, or a scalar.
#[derive(Clone, Debug)]
pub(crate) enum Instruction {
    Fill {
        out: usize,
        len: usize,
        action: Action,
    },
    SumAll {
        out: usize,
        src: View,
    },
    Load {
        out: usize,
        src: View,
    },
    Unary {
        out: usize,
        op: Unary,
        a: usize,
    },
    Binary {
        out: usize,
        op: Binary,
        a: usize,
        b: usize,
    },
}

/// A compiled graph. Threads can share it; each thread runs it on its own [`Workspace`].
#[derive(Clone, Debug)]
pub struct Program<T> {
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) inputs: Vec<Shape>,
    pub(crate) tensors: Vec<Vec<T>>,
    pub(crate) buffers: Vec<usize>,
    pub(crate) scalars: Vec<f64>,
    pub(crate) registers: usize,
    /// Length of the block between a matrix product and the chain that reads it.
    pub(crate) scratch: usize,
    pub(crate) outputs: Vec<Value>,
}

/// The memory of one running program: buffers, scalars, and the blocks of fused kernels.
#[derive(Clone, Debug)]
pub struct Workspace<T> {
    pub(crate) buffers: Vec<Aligned<T>>,
    pub(crate) scalars: Vec<f64>,
    pub(crate) registers: Vec<Aligned<T>>,
    pub(crate) scratch: Aligned<T>,
}

impl<T: Scalar> Program<T> {
    /// Fresh memory for this program.
    pub fn workspace(&self) -> Workspace<T> {
        Workspace {
            buffers: self
                .buffers
                .iter()
                .map(|&n| Aligned::filled(T::ZERO, n))
                .collect(),
            scalars: self.scalars.clone(),
            registers: vec![Aligned::filled(T::ZERO, BLOCK); self.registers],
            scratch: Aligned::filled(T::ZERO, self.scratch),
        }
    }

    /// Bytes of one workspace.
    pub fn workspace_bytes(&self) -> usize {
        let numbers = self.buffers.iter().sum::<usize>() + self.registers * BLOCK + self.scratch;
        numbers * size_of::<T>() + self.scalars.len() * size_of::<f64>()
    }

    /// Computes all outputs. `inputs` are row-major, in the order in which the graph recorded them.
    ///
    /// # Errors
    /// If inputs are not those of the graph, or the workspace is another program's.
    pub fn run(&self, inputs: &[&[T]], ws: &mut Workspace<T>) -> Result<()> {
        if inputs.len() != self.inputs.len() {
            let expected = counted(self.inputs.len(), "input");
            return Err(Error::shape("Program::run", expected, inputs.len()));
        }
        for (index, (input, shape)) in inputs.iter().zip(&self.inputs).enumerate() {
            if input.len() != shape.iter().product::<usize>() {
                let expected = format!("input {index} of shape {shape:?}");
                let got = counted(input.len(), "number");
                return Err(Error::shape("Program::run", expected, got));
            }
        }
        if !self.owns(ws) {
            let got = "the workspace of another program";
            return Err(Error::shape(
                "Program::run",
                "a workspace of this program",
                got,
            ));
        }
        // another program may have used this memory, so the constants are written anew
        ws.scalars.copy_from_slice(&self.scalars);
        for instruction in &self.instructions {
            self.step(instruction, inputs, ws);
        }
        Ok(())
    }

    /// Times every instruction. Each entry holds an instruction, as [`Program`]'s `Display` shows
    /// it, and its shortest time in `repeats` runs (at least one).
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn profile(
        &self,
        inputs: &[&[T]],
        ws: &mut Workspace<T>,
        repeats: usize,
    ) -> Result<Vec<(String, Duration)>> {
        self.run(inputs, ws)?;
        let mut best = vec![Duration::MAX; self.instructions.len()];
        for _ in 0..repeats.max(1) {
            for (instruction, best) in self.instructions.iter().zip(&mut best) {
                let started = Instant::now();
                self.step(instruction, inputs, ws);
                *best = started.elapsed().min(*best);
            }
        }
        let lines = self.instructions.iter().map(ToString::to_string);
        Ok(lines.zip(best).collect())
    }

    /// Output number `index`, a row-major tensor; empty if it is a scalar ([`Program::scalar`]).
    pub fn tensor<'w>(&self, ws: &'w Workspace<T>, index: usize) -> &'w [T] {
        match self.outputs.get(index) {
            Some(Value::View(view)) => match view.place {
                Place::Buffer(b) => &ws.buffers[b].as_slice()[view.offset..view.offset + view.len],
                Place::Input(_) | Place::Tensor(_) => &[],
            },
            _ => &[],
        }
    }

    /// Output number `index`, a scalar in f64. NaN if that output is a tensor.
    pub fn scalar(&self, ws: &Workspace<T>, index: usize) -> f64 {
        match self.outputs.get(index) {
            Some(Value::Scalar(slot)) => ws.scalars[*slot],
            _ => f64::NAN,
        }
    }

    fn owns(&self, ws: &Workspace<T>) -> bool {
        ws.scalars.len() == self.scalars.len()
            && ws.registers.len() == self.registers
            && ws.scratch.len() == self.scratch
            && ws
                .buffers
                .iter()
                .map(Aligned::len)
                .eq(self.buffers.iter().copied())
    }

    fn step(&self, instruction: &Instruction, inputs: &[&[T]], ws: &mut Workspace<T>) {
        match instruction {
            Instruction::Fill { out, len, action } => {
                // the target leaves the workspace while it is filled, so that the operands can be
                // borrowed
                let mut target = std::mem::take(&mut ws.buffers[*out]);
                self.fill(action, inputs, ws, &mut target.as_mut_slice()[..*len]);
                ws.buffers[*out] = target;
            }
            Instruction::SumAll { out, src } => {
                let src = self.view(src, inputs, &ws.buffers);
                ws.scalars[*out] = simd::dispatch(SumAll(src));
            }
            Instruction::Load { out, src } => {
                let src = self.view(src, inputs, &ws.buffers);
                ws.scalars[*out] = src.first().map_or(f64::NAN, |x| x.to_f64());
            }
            Instruction::Unary { out, op, a } => ws.scalars[*out] = op.apply(ws.scalars[*a]),
            Instruction::Binary { out, op, a, b } => {
                ws.scalars[*out] = op.apply(ws.scalars[*a], ws.scalars[*b]);
            }
        }
    }

    fn fill(&self, action: &Action, inputs: &[&[T]], ws: &mut Workspace<T>, out: &mut [T]) {
        let Workspace {
            buffers,
            scalars,
            registers,
            scratch,
        } = ws;
        let get = |view: &View| self.view(view, inputs, buffers);
        match action {
            Action::Map(kernel) => simd::dispatch(Map {
                kernel,
                get,
                scalars,
                registers,
                out,
            }),
            Action::MatMul { shape, a, b } => matmul(*shape, get(a), get(b), out),
            Action::MatMulMap {
                shape,
                a,
                b,
                add,
                kernel,
            } => product::run(MatMulMap {
                shape: *shape,
                a: get(a),
                b: get(b),
                add: add.as_ref().map(&get),
                kernel,
                get,
                scalars,
                registers,
                scratch: scratch.as_mut_slice(),
                out,
            }),
            Action::SumTo { plan, src } => simd::dispatch(SumTo {
                plan,
                src: get(src),
                out,
            }),
            Action::Shift { k, inner, src } => simd::dispatch(Shift {
                k: *k,
                inner: *inner,
                src: get(src),
                out,
            }),
            Action::LogSumExp {
                k,
                inner,
                src,
                shift,
            } => simd::dispatch(LogSumExp {
                k: *k,
                inner: *inner,
                src: get(src),
                shift: get(shift),
                out,
            }),
            Action::Transpose { rows, cols, src } => transpose(get(src), *rows, *cols, out),
            Action::Copy(parts) => {
                // an empty part may start beyond the end of its source
                for part in parts.iter().filter(|part| part.rows * part.width > 0) {
                    copy_block(
                        &get(&part.src)[part.src_offset..],
                        part.src_stride,
                        &mut out[part.dst_offset..],
                        part.dst_stride,
                        (part.rows, part.width),
                    );
                }
            }
            Action::Window {
                op,
                window,
                shape,
                chooser,
                src,
            } => simd::dispatch(WindowMap {
                op: *op,
                window: *window,
                shape: *shape,
                chooser: get(chooser),
                src: get(src),
                dst: out,
            }),
            Action::Pad { pad, src } => pad.run(get(src), out),
            Action::Conv { plan, image, other } => plan.run(get(image), get(other), out),
            Action::Pick {
                axis,
                k,
                src,
                labels,
            } => match axis {
                0 => simd::dispatch(PickColumns {
                    src: get(src),
                    labels: get(labels),
                    back: false,
                    out,
                }),
                _ => pick(get(src), get(labels), *k, out),
            },
            Action::Unpick {
                axis,
                k,
                src,
                labels,
            } => match axis {
                0 => simd::dispatch(PickColumns {
                    src: get(src),
                    labels: get(labels),
                    back: true,
                    out,
                }),
                _ => unpick(get(src), get(labels), *k, out),
            },
        }
    }

    fn view<'a>(&'a self, view: &View, inputs: &[&'a [T]], buffers: &'a [Aligned<T>]) -> &'a [T] {
        let all: &'a [T] = match view.place {
            Place::Input(i) => inputs[i],
            Place::Tensor(i) => &self.tensors[i],
            Place::Buffer(i) => buffers[i].as_slice(),
        };
        &all[view.offset..view.offset + view.len]
    }
}

struct Map<'a, T, G> {
    kernel: &'a Kernel,
    get: G,
    scalars: &'a [f64],
    registers: &'a mut [Aligned<T>],
    out: &'a mut [T],
}

impl<'a, T: Scalar, G: Fn(&View) -> &'a [T]> simd::Vectorised for Map<'a, T, G> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.kernel
            .run(self.get, self.scalars, self.registers, self.out);
    }
}
