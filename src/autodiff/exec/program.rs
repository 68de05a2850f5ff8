//! A compiled graph: a list of instructions over planned memory. Running it allocates nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::instruction::{Action, Code, Instruction, Place, View};
use crate::autodiff::compile::follow::MatMulMap;
use crate::autodiff::compile::kernel::{BLOCK, Kernel};
use crate::autodiff::ops::{
    LogSumExp, PickColumns, Shift, SumAll, SumTo, WindowMap, copy_block, matmul, pick, transpose,
    unpick,
};
use crate::error::Result;
use crate::linalg::product;
use crate::scalar::{Scalar, compiled};
use crate::simd::{self, Aligned};

/// A compiled graph. Threads can share it; each thread runs it on its own [`Workspace`].
///
/// Copies share all but the values of constants, so a copy is cheap. [`Program::set`] gives a named
/// constant another value.
#[derive(Clone, Debug)]
pub struct Program<T> {
    pub(in crate::autodiff) code: Arc<Code<T>>,
    /// The scalar file before a run: constants, and room for what is computed.
    pub(in crate::autodiff) scalars: Vec<f64>,
    /// The value of each named constant.
    named: Vec<f64>,
}

/// The memory of one running program: buffers, scalars, and the blocks of fused kernels.
#[derive(Clone, Debug)]
pub struct Workspace<T> {
    pub(crate) buffers: Vec<Aligned<T>>,
    pub(crate) scalars: Vec<f64>,
    pub(crate) registers: Vec<Aligned<T>>,
    pub(crate) scratch: Aligned<T>,
}

impl<T> Program<T> {
    pub(in crate::autodiff) fn new(code: Code<T>, scalars: Vec<f64>) -> Self {
        Self {
            named: code.named.iter().map(|(named, _)| named.value()).collect(),
            code: Arc::new(code),
            scalars,
        }
    }

    pub(in crate::autodiff) fn instructions(&self) -> &[Instruction] {
        &self.code.instructions
    }

    /// The values of the constants with this name
    /// ([`Graph::named`](crate::autodiff::Graph::named)). More than one if it was recorded more
    /// than once.
    pub fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = f64> + 'a {
        let all = self.code.named.iter().zip(&self.named);
        all.filter(move |((named, _), _)| named.name == name)
            .map(|(_, &value)| value)
    }

    /// Gives all constants with this name another value. Nothing is compiled or allocated. Copies
    /// made before keep theirs. A name that the program does not use changes nothing.
    pub fn set(&mut self, name: &str, value: f64) {
        for ((named, slot), own) in self.code.named.iter().zip(&mut self.named) {
            if named.name == name {
                *own = value;
                self.scalars[*slot] = (named.of)(value);
            }
        }
    }

    /// True if both were compiled at once: one is a copy of the other, whatever their constants.
    pub fn is_copy_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.code, &other.code)
    }
}

compiled!(
    /// Runs all instructions. Inputs and memory are those of the program.
    Execute(program: &Program<T>, inputs: &[&[T]], ws: &mut Workspace<T>) -> () {
        // another program may have used this memory, so the constants are written anew
        ws.scalars.copy_from_slice(&program.scalars);
        for instruction in &program.code.instructions {
            program.step(instruction, inputs, ws);
        }
    }
);

compiled!(
    /// Runs one instruction.
    Step(
        program: &Program<T>,
        instruction: &Instruction,
        inputs: &[&[T]],
        ws: &mut Workspace<T>
    ) -> () {
        program.step(instruction, inputs, ws);
    }
);

impl<T: Scalar> Program<T> {
    /// Fresh memory for this program.
    pub fn workspace(&self) -> Workspace<T> {
        Workspace {
            buffers: self
                .code
                .buffers
                .iter()
                .map(|&n| Aligned::filled(T::ZERO, n))
                .collect(),
            scalars: self.scalars.clone(),
            registers: vec![Aligned::filled(T::ZERO, BLOCK); self.code.registers],
            scratch: Aligned::filled(T::ZERO, self.code.scratch),
        }
    }

    /// Bytes of one workspace.
    pub fn workspace_bytes(&self) -> usize {
        let numbers = self.code.buffers.iter().sum::<usize>()
            + self.code.registers * BLOCK
            + self.code.scratch;
        numbers * size_of::<T>() + self.scalars.len() * size_of::<f64>()
    }

    /// Computes all outputs. `inputs` are row-major, in the order in which the graph recorded them.
    ///
    /// # Errors
    /// If inputs are not those of the graph, or the workspace is another program's.
    pub fn run(&self, inputs: &[&[T]], ws: &mut Workspace<T>) -> Result<()> {
        self.check(inputs, ws)?;
        T::compiled::<Execute>()(self, inputs, ws);
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
        let mut best = vec![Duration::MAX; self.code.instructions.len()];
        for _ in 0..repeats.max(1) {
            for (instruction, best) in self.code.instructions.iter().zip(&mut best) {
                let started = Instant::now();
                T::compiled::<Step>()(self, instruction, inputs, ws);
                *best = started.elapsed().min(*best);
            }
        }
        let lines = self.code.instructions.iter().map(ToString::to_string);
        Ok(lines.zip(best).collect())
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
            Place::Tensor(i) => &self.code.tensors[i],
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
