//! From a graph to a program.
//!
//! 1. **Live nodes**: what the outputs need; the rest is dropped. (Repeated nodes were never recorded twice.)
//! 2. **Fusion**: an elementwise value all of whose consumers end up in one kernel is computed inside that kernel.
//!    A broadcast is never written out for a kernel, which reads its operand with a stride instead.
//! 3. **Aliases**: reshapes and contiguous slices are views of the memory they come from.
//! 4. **Scalars**: values of shape `[]` live in a file of f64, so energies keep double precision in f32 programs.
//! 5. **Memory** ([`plan`]): a buffer is handed on once its last reader is done.

pub(crate) mod kernel;
mod plan;

use std::collections::HashMap;

use kernel::{Access, Arg, Kernel, Operand, Step, StepOp};

use super::graph::{Graph, Node, Var};
use super::ops::{MatMulShape, Op, SumPlan, Unary};
use super::program::{Action, CopyPart, Instruction, Place, Program, Value, View};
use super::shape::numel;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

impl Graph {
    /// Compiles a program that computes `outputs`, in this order.
    ///
    /// # Errors
    /// The first error of recording: an operation whose shapes do not fit.
    pub fn compile<T: Scalar>(&self, outputs: &[Var<'_>]) -> Result<Program<T>> {
        self.check()?;
        let nodes = self.nodes();
        let ids: Vec<usize> = outputs.iter().map(|v| v.id as usize).collect();
        let mut lowering = Lowering::new(&nodes, &ids)?;
        for id in 0..nodes.len() {
            lowering.lower(id);
        }
        let outputs = ids.iter().map(|&id| lowering.output(id)).collect();
        let tensors = self.tensors();
        let mut program = Program {
            instructions: lowering.instructions,
            inputs: self.input_shapes(),
            tensors: tensors
                .iter()
                .map(|t| t.iter().map(|&x| T::from_f64(x)).collect())
                .collect(),
            buffers: lowering.buffers,
            scalars: lowering.scalars,
            registers: lowering.registers,
            outputs,
        };
        plan::share_buffers(&mut program);
        Ok(program)
    }
}

struct Lowering<'n> {
    nodes: &'n [Node],
    live: Vec<bool>,
    /// The elementwise node whose kernel computes this one: itself, if it goes to memory.
    root: Vec<usize>,
    /// Broadcasts that somebody wants in memory.
    wanted: Vec<bool>,
    values: Vec<Option<Value>>,
    instructions: Vec<Instruction>,
    buffers: Vec<usize>,
    scalars: Vec<f64>,
    registers: usize,
}

impl<'n> Lowering<'n> {
    fn new(nodes: &'n [Node], outputs: &[usize]) -> Result<Self> {
        let count = nodes.len();
        let mut live = vec![false; count];
        for &id in outputs {
            live[id] = true;
        }
        let mut consumers = vec![Vec::new(); count];
        for id in (0..count).rev() {
            if live[id] {
                for &a in &nodes[id].args {
                    live[a as usize] = true;
                    consumers[a as usize].push(id);
                }
            }
        }
        if let Some(id) =
            (0..count).find(|&id| live[id] && matches!(nodes[id].op, Op::Placeholder(_)))
        {
            return Err(Error::shape(
                "compile",
                "values only",
                format!("the symbol %{id} of a derivative"),
            ));
        }
        let mut root: Vec<usize> = (0..count).collect();
        let mut wanted = vec![false; count];
        for id in (0..count).rev().filter(|&id| live[id]) {
            let is_output = outputs.contains(&id);
            if elementwise(&nodes[id]) && !is_output {
                let mut homes = consumers[id].iter().map(|&c| {
                    (elementwise(&nodes[c]) && nodes[c].shape == nodes[id].shape).then(|| root[c])
                });
                if let Some(Some(home)) = homes.next()
                    && homes.all(|h| h == Some(home))
                {
                    root[id] = home;
                }
            }
            wanted[id] = is_output || consumers[id].iter().any(|&c| !elementwise(&nodes[c]));
        }
        Ok(Self {
            nodes,
            live,
            root,
            wanted,
            values: vec![None; count],
            instructions: Vec::new(),
            buffers: Vec::new(),
            scalars: Vec::new(),
            registers: 0,
        })
    }

    fn lower(&mut self, id: usize) {
        if !self.live[id] || self.root[id] != id {
            return;
        }
        let nodes = self.nodes;
        let node = &nodes[id];
        let value = match &node.op {
            Op::Constant(bits) => {
                self.scalars.push(f64::from_bits(*bits));
                Value::Scalar(self.scalars.len() - 1)
            }
            Op::Input(i) => self.leaf(Place::Input(*i), &node.shape),
            Op::Tensor(i) => self.leaf(Place::Tensor(*i), &node.shape),
            Op::Placeholder(_) => return,
            Op::Unary(_) | Op::Binary(_) if node.shape.is_empty() => self.scalar_op(node),
            Op::Unary(_) | Op::Binary(_) => {
                let kernel = self.kernel(id);
                self.fill(numel(&node.shape), Action::Map(kernel))
            }
            Op::Broadcast if !self.wanted[id] => return,
            Op::Broadcast => {
                let mut kernel = Kernel {
                    operands: Vec::new(),
                    steps: Vec::new(),
                };
                let arg = self.operand(id, &mut kernel);
                self.copy_kernel(kernel, arg, numel(&node.shape))
            }
            Op::Reshape => match self.value(node.args[0]) {
                Value::View(view) if node.shape.is_empty() => self.load(view),
                Value::Scalar(slot) if !node.shape.is_empty() => {
                    let kernel = Kernel {
                        operands: vec![Operand::Scalar(slot)],
                        steps: Vec::new(),
                    };
                    self.copy_kernel(kernel, Arg::Operand(0), 1)
                }
                same => same,
            },
            Op::SumTo if node.shape.is_empty() => {
                let src = self.view(node.args[0]);
                let out = self.new_scalar();
                self.instructions.push(Instruction::SumAll { out, src });
                Value::Scalar(out)
            }
            Op::SumTo => {
                let from = &nodes[node.args[0] as usize].shape;
                let action = Action::SumTo {
                    plan: SumPlan::new(from, &node.shape),
                    src: self.view(node.args[0]),
                };
                self.fill(numel(&node.shape), action)
            }
            Op::LogSumExp => {
                let cols = nodes[node.args[0] as usize]
                    .shape
                    .last()
                    .copied()
                    .unwrap_or(1);
                let src = self.view(node.args[0]);
                self.fill(numel(&node.shape), Action::LogSumExp { cols, src })
            }
            Op::MatMul { ta, tb } => {
                let a_shape = &nodes[node.args[0] as usize].shape;
                let shape = MatMulShape {
                    m: node.shape[0],
                    k: if *ta { a_shape[0] } else { a_shape[1] },
                    n: node.shape[1],
                    ta: *ta,
                    tb: *tb,
                };
                let (a, b) = (self.view(node.args[0]), self.view(node.args[1]));
                self.fill(numel(&node.shape), Action::MatMul { shape, a, b })
            }
            Op::Transpose => {
                let src = self.view(node.args[0]);
                let (rows, cols) = (node.shape[1], node.shape[0]);
                self.fill(numel(&node.shape), Action::Transpose { rows, cols, src })
            }
            Op::Slice { axis, start } => self.slice(node, *axis, *start),
            Op::Concat { axis } => self.concat(node, *axis),
            Op::Pick | Op::Unpick => {
                let (src, labels) = (self.view(node.args[0]), self.view(node.args[1]));
                let action = if node.op == Op::Pick {
                    let k = nodes[node.args[0] as usize].shape[1];
                    Action::Pick { k, src, labels }
                } else {
                    let k = node.shape[1];
                    Action::Unpick { k, src, labels }
                };
                self.fill(numel(&node.shape), action)
            }
        };
        self.values[id] = Some(value);
    }

    /// The value of an output, in a buffer or the scalar file.
    fn output(&mut self, id: usize) -> Value {
        match self.value(id as u32) {
            Value::View(view) if !matches!(view.place, Place::Buffer(_)) => {
                let kernel = Kernel {
                    operands: vec![Operand::Direct(view)],
                    steps: Vec::new(),
                };
                self.copy_kernel(kernel, Arg::Operand(0), view.len)
            }
            value => value,
        }
    }

    /// Every argument of a lowered node was lowered before it: ids are a topological order.
    fn value(&self, id: u32) -> Value {
        self.values[id as usize].unwrap_or(Value::Scalar(usize::MAX))
    }

    fn view(&mut self, id: u32) -> View {
        match self.value(id) {
            Value::View(view) => view,
            Value::Scalar(slot) => {
                let kernel = Kernel {
                    operands: vec![Operand::Scalar(slot)],
                    steps: Vec::new(),
                };
                match self.copy_kernel(kernel, Arg::Operand(0), 1) {
                    Value::View(view) => view,
                    Value::Scalar(_) => View {
                        place: Place::Buffer(usize::MAX),
                        offset: 0,
                        len: 0,
                    },
                }
            }
        }
    }

    fn leaf(&mut self, place: Place, shape: &[usize]) -> Value {
        let view = View {
            place,
            offset: 0,
            len: numel(shape),
        };
        if shape.is_empty() {
            self.load(view)
        } else {
            Value::View(view)
        }
    }

    fn load(&mut self, src: View) -> Value {
        let out = self.new_scalar();
        self.instructions.push(Instruction::Load { out, src });
        Value::Scalar(out)
    }

    fn new_scalar(&mut self) -> usize {
        self.scalars.push(0.0);
        self.scalars.len() - 1
    }

    fn fill(&mut self, len: usize, action: Action) -> Value {
        let out = self.buffers.len();
        self.buffers.push(len);
        self.instructions
            .push(Instruction::Fill { out, len, action });
        Value::View(View {
            place: Place::Buffer(out),
            offset: 0,
            len,
        })
    }

    fn copy_kernel(&mut self, mut kernel: Kernel, arg: Arg, len: usize) -> Value {
        kernel.steps.push(Step {
            op: StepOp::Unary(Unary::Copy, arg),
            out: None,
        });
        self.fill(len, Action::Map(kernel))
    }

    fn scalar_op(&mut self, node: &Node) -> Value {
        let slot = |lowering: &Self, position: usize| match lowering.value(node.args[position]) {
            Value::Scalar(slot) => slot,
            Value::View(_) => usize::MAX,
        };
        let out = self.new_scalar();
        let a = slot(self, 0);
        self.instructions.push(match node.op {
            Op::Binary(op) => Instruction::Binary {
                out,
                op,
                a,
                b: slot(self, 1),
            },
            Op::Unary(op) => Instruction::Unary { out, op, a },
            _ => return Value::Scalar(out),
        });
        Value::Scalar(out)
    }

    fn slice(&mut self, node: &Node, axis: usize, start: usize) -> Value {
        let source = &self.nodes[node.args[0] as usize].shape;
        let view = self.view(node.args[0]);
        let inner: usize = source[axis + 1..].iter().product();
        let outer: usize = source[..axis].iter().product();
        let width = node.shape[axis] * inner;
        if outer == 1 {
            return Value::View(View {
                place: view.place,
                offset: view.offset + start * inner,
                len: width,
            });
        }
        let part = CopyPart {
            src: view,
            src_offset: start * inner,
            src_stride: source[axis] * inner,
            dst_offset: 0,
            dst_stride: width,
            rows: outer,
            width,
        };
        self.fill(numel(&node.shape), Action::Copy(vec![part]))
    }

    fn concat(&mut self, node: &Node, axis: usize) -> Value {
        let inner: usize = node.shape[axis + 1..].iter().product();
        let rows: usize = node.shape[..axis].iter().product();
        let mut dst_offset = 0;
        let mut parts = Vec::with_capacity(node.args.len());
        for &arg in &node.args {
            let width = self.nodes[arg as usize].shape[axis] * inner;
            parts.push(CopyPart {
                src: self.view(arg),
                src_offset: 0,
                src_stride: width,
                dst_offset,
                dst_stride: node.shape[axis] * inner,
                rows,
                width,
            });
            dst_offset += width;
        }
        self.fill(numel(&node.shape), Action::Copy(parts))
    }

    /// The kernel of `root`: every node that is computed inside it, in order, with registers handed on after last use.
    fn kernel(&mut self, root: usize) -> Kernel {
        let mut kernel = Kernel {
            operands: Vec::new(),
            steps: Vec::new(),
        };
        // the members, in topological order
        let mut members = vec![root];
        let mut next = 0;
        while next < members.len() {
            for &a in &self.nodes[members[next]].args {
                let a = a as usize;
                if self.root[a] == root && a != root && !members.contains(&a) {
                    members.push(a);
                }
            }
            next += 1;
        }
        members.sort_unstable();
        let last_use: HashMap<usize, usize> = members
            .iter()
            .flat_map(|&m| self.nodes[m].args.iter().map(move |&a| (a as usize, m)))
            .fold(HashMap::new(), |mut map, (a, m)| {
                let entry = map.entry(a).or_insert(m);
                *entry = (*entry).max(m);
                map
            });
        let mut known: HashMap<usize, Arg> = HashMap::new();
        for &m in &members {
            for &a in &self.nodes[m].args {
                let a = a as usize;
                if !members.contains(&a) && !known.contains_key(&a) {
                    let arg = self.operand(a, &mut kernel);
                    known.insert(a, arg);
                }
            }
        }
        let mut used = kernel
            .operands
            .iter()
            .filter(|o| matches!(o, Operand::Spread { .. }))
            .count();
        let mut free: Vec<usize> = Vec::new();
        for &m in &members {
            let node = &self.nodes[m];
            // a register may not be read and written by one step, so the target is chosen before arguments are freed
            let out = (m != root).then(|| {
                free.pop().unwrap_or_else(|| {
                    used += 1;
                    used - 1
                })
            });
            let arg = |position: usize| known[&(node.args[position] as usize)];
            let op = match node.op {
                Op::Binary(op) => StepOp::Binary(op, arg(0), arg(1)),
                Op::Unary(op) => StepOp::Unary(op, arg(0)),
                _ => continue,
            };
            kernel.steps.push(Step { op, out });
            let mut args: Vec<usize> = node.args.iter().map(|&a| a as usize).collect();
            args.dedup();
            for a in args {
                if let (Some(Arg::Register(r)), true) = (known.get(&a), last_use[&a] == m) {
                    free.push(*r);
                }
            }
            if let Some(r) = out {
                known.insert(m, Arg::Register(r));
            }
        }
        self.registers = self.registers.max(used);
        kernel
    }

    /// Adds what node `id` provides to a kernel's operands.
    fn operand(&mut self, id: usize, kernel: &mut Kernel) -> Arg {
        let node = &self.nodes[id];
        let operand = if node.op == Op::Broadcast {
            let base = node.args[0];
            match self.value(base) {
                Value::Scalar(slot) => Operand::Scalar(slot),
                Value::View(view) => {
                    match Access::new(&self.nodes[base as usize].shape, &node.shape) {
                        Access::Full => Operand::Direct(view),
                        access => {
                            let spread = |o: &&Operand| matches!(o, Operand::Spread { .. });
                            let register = kernel.operands.iter().filter(spread).count();
                            self.registers = self.registers.max(register + 1);
                            Operand::Spread {
                                view,
                                access,
                                register,
                            }
                        }
                    }
                }
            }
        } else {
            match self.value(id as u32) {
                Value::View(view) => Operand::Direct(view),
                Value::Scalar(slot) => Operand::Scalar(slot),
            }
        };
        kernel.operands.push(operand);
        Arg::Operand(kernel.operands.len() - 1)
    }
}

/// Computed inside kernels; values of shape `[]` are computed in the scalar file instead.
fn elementwise(node: &Node) -> bool {
    matches!(node.op, Op::Unary(_) | Op::Binary(_)) && !node.shape.is_empty()
}
