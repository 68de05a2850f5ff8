//! Lowering: each live node that is not fused becomes an instruction, an alias or a scalar.

use super::fuse::{elementwise, roots};
use super::kernel::{Arg, Kernel, Operand, Step, StepOp};
use crate::autodiff::exec::instruction::{Action, Instruction, Place, Value, View};
use crate::autodiff::graph::{Named, Node};
use crate::autodiff::ops::{
    ConvOp, ConvPlan, ImageShape, MatMulShape, Op, Pad, SumPlan, Unary, Window, WindowOp,
};
use crate::autodiff::shape::numel;
use crate::error::{Error, Result};

/// The state of a compilation.
pub(super) struct Lowering<'n> {
    pub(super) nodes: &'n [Node],
    live: Vec<bool>,
    /// How often each value is an argument.
    pub(super) uses: Vec<usize>,
    /// The elementwise node whose kernel computes this one: itself, if it is stored in memory.
    pub(super) root: Vec<usize>,
    /// Broadcasts that must be written to memory.
    wanted: Vec<bool>,
    values: Vec<Option<Value>>,
    pub(super) instructions: Vec<Instruction>,
    pub(super) buffers: Vec<usize>,
    pub(super) scalars: Vec<f64>,
    /// Named constants and their slots.
    pub(super) named: Vec<(Named, usize)>,
    pub(super) registers: usize,
    /// Padded images that exist already.
    padded: Vec<(Pad, View, View)>,
}

impl<'n> Lowering<'n> {
    pub(super) fn new(nodes: &'n [Node], outputs: &[usize]) -> Result<Self> {
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
        let root = roots(nodes, &live, &consumers, outputs);
        let wanted = (0..count)
            .map(|id| {
                outputs.contains(&id) || consumers[id].iter().any(|&c| !elementwise(&nodes[c]))
            })
            .collect();
        Ok(Self {
            nodes,
            uses: consumers.iter().map(Vec::len).collect(),
            live,
            root,
            wanted,
            values: vec![None; count],
            instructions: Vec::new(),
            buffers: Vec::new(),
            scalars: Vec::new(),
            named: Vec::new(),
            registers: 0,
            padded: Vec::new(),
        })
    }

    pub(super) fn lower(&mut self, id: usize) {
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
            Op::Named(named) => {
                self.scalars.push((named.of)(named.value()));
                self.named.push((*named, self.scalars.len() - 1));
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
                let mut kernel = Kernel::new(Vec::new());
                let arg = self.operand(id, &mut kernel);
                kernel.find_row();
                self.copy_kernel(kernel, arg, numel(&node.shape))
            }
            Op::Reshape => match self.value(node.args[0]) {
                Value::View(view) if node.shape.is_empty() => self.load(view),
                Value::Scalar(slot) if !node.shape.is_empty() => {
                    let kernel = Kernel::new(vec![Operand::Scalar(slot)]);
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
            Op::Shift { axis } | Op::LogSumExp { axis } => {
                let shape = &nodes[node.args[0] as usize].shape;
                let (k, inner) = (shape[*axis], numel(&shape[axis + 1..]));
                let src = self.view(node.args[0]);
                let action = match node.args.get(1) {
                    None => Action::Shift { k, inner, src },
                    Some(&shift) => Action::LogSumExp {
                        k,
                        inner,
                        src,
                        shift: self.view(shift),
                    },
                };
                self.fill(numel(&node.shape), action)
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
            Op::BatchFirst | Op::BatchLast => {
                let examples = match node.op {
                    Op::BatchFirst => node.shape[0],
                    _ => nodes[node.args[0] as usize].shape[0],
                };
                let src = self.view(node.args[0]);
                let rest = numel(&node.shape).checked_div(examples).unwrap_or(0);
                let (rows, cols) = match node.op {
                    Op::BatchFirst => (rest, examples),
                    _ => (examples, rest),
                };
                self.fill(numel(&node.shape), Action::Transpose { rows, cols, src })
            }
            Op::Slice { axis, start } => self.slice(node, *axis, *start),
            Op::Concat { axis } => self.concat(node, *axis),
            Op::Window(op, window) => {
                let chooser = self.view(node.args[0]);
                let last = node.args[node.args.len() - 1];
                let src = self.view(last);
                let image = match op {
                    WindowOp::Mean | WindowOp::Choose => &nodes[last as usize].shape,
                    WindowOp::Unmean | WindowOp::Unchoose => &node.shape,
                };
                let action = Action::Window {
                    op: *op,
                    window: *window,
                    shape: ImageShape {
                        image: [image[0], image[1], image[2]],
                        n: image[3],
                    },
                    chooser,
                    src,
                };
                self.fill(numel(&node.shape), action)
            }
            Op::Conv { op, window, groups } => self.conv(node, *op, *window, *groups),
            Op::Pick { axis } => {
                let (axis, k) = (*axis, nodes[node.args[0] as usize].shape[*axis]);
                let (src, labels) = (self.view(node.args[0]), self.view(node.args[1]));
                let action = Action::Pick {
                    axis,
                    k,
                    src,
                    labels,
                };
                self.fill(numel(&node.shape), action)
            }
            Op::Unpick { axis } => {
                let (axis, k) = (*axis, node.shape[*axis]);
                let (src, labels) = (self.view(node.args[0]), self.view(node.args[1]));
                let action = Action::Unpick {
                    axis,
                    k,
                    src,
                    labels,
                };
                self.fill(numel(&node.shape), action)
            }
        };
        self.values[id] = Some(value);
    }

    /// The value of an output, in a buffer or the scalar file.
    pub(super) fn output(&mut self, id: usize) -> Value {
        match self.value(id as u32) {
            Value::View(view) if !matches!(view.place, Place::Buffer(_)) => {
                let kernel = Kernel::new(vec![Operand::Direct(view)]);
                self.copy_kernel(kernel, Arg::Operand(0), view.len)
            }
            value => value,
        }
    }

    /// Every argument of a lowered node was lowered before it: ids are a topological order.
    pub(super) fn value(&self, id: u32) -> Value {
        self.values[id as usize].unwrap_or(Value::Scalar(usize::MAX))
    }

    pub(super) fn view(&mut self, id: u32) -> View {
        match self.value(id) {
            Value::View(view) => view,
            Value::Scalar(slot) => {
                let kernel = Kernel::new(vec![Operand::Scalar(slot)]);
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

    pub(super) fn fill(&mut self, len: usize, action: Action) -> Value {
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

    /// Pads the image-like argument first, if needed.
    fn conv(&mut self, node: &Node, op: ConvOp, window: Window, groups: usize) -> Value {
        let nodes = self.nodes;
        let shape = |position: usize| &nodes[node.args[position] as usize].shape;
        let (image, other) = match op {
            ConvOp::Input => (1, 0),
            ConvOp::Forward | ConvOp::Weight => (0, 1),
        };
        let (x, y) = match op {
            ConvOp::Forward => (shape(0), &node.shape),
            ConvOp::Input => (&node.shape, shape(1)),
            ConvOp::Weight => (shape(0), shape(1)),
        };
        let (plan, pad) = ConvPlan::new(op, window, groups, x, y);
        let (src, other) = (self.view(node.args[image]), self.view(node.args[other]));
        let known = self
            .padded
            .iter()
            .find(|(p, from, _)| *p == pad && *from == src);
        let image = match known {
            Some(&(_, _, view)) => view,
            None if pad.from == pad.to => src,
            None => match self.fill(pad.len(), Action::Pad { pad, src }) {
                Value::View(view) => {
                    self.padded.push((pad, src, view));
                    view
                }
                Value::Scalar(_) => src,
            },
        };
        let plan = Box::new(plan);
        self.fill(numel(&node.shape), Action::Conv { plan, image, other })
    }
}
