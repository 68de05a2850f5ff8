//! Fusion: which elementwise values share a kernel, and how that kernel is built.

use std::collections::HashMap;

use super::kernel::{Access, Arg, Kernel, Operand, Step, StepOp};
use super::lower::Lowering;
use crate::autodiff::exec::instruction::Value;
use crate::autodiff::graph::Node;
use crate::autodiff::ops::{Binary, Op};

/// Whether kernels compute this node. Values of shape `[]` are computed in the scalar file instead.
pub(super) fn elementwise(node: &Node) -> bool {
    matches!(node.op, Op::Unary(_) | Op::Binary(_)) && !node.shape.is_empty()
}

/// For every live node, the node whose kernel computes it (itself, if it is stored in memory). An
/// elementwise value that is not an output moves into the kernel of its consumers, if all of them
/// are in one kernel and have the value's shape.
pub(super) fn roots(
    nodes: &[Node],
    live: &[bool],
    consumers: &[Vec<usize>],
    outputs: &[usize],
) -> Vec<usize> {
    let mut root: Vec<usize> = (0..nodes.len()).collect();
    for id in (0..nodes.len()).rev().filter(|&id| live[id]) {
        if !elementwise(&nodes[id]) || outputs.contains(&id) {
            continue;
        }
        let mut homes = consumers[id].iter().map(|&c| {
            (elementwise(&nodes[c]) && nodes[c].shape == nodes[id].shape).then(|| root[c])
        });
        if let Some(Some(home)) = homes.next()
            && homes.all(|h| h == Some(home))
        {
            root[id] = home;
        }
    }
    root
}

impl<'n> Lowering<'n> {
    /// Builds the kernel of `root`: every node that is computed inside it, in order. Registers are
    /// reused after their last use.
    pub(super) fn kernel(&mut self, root: usize) -> Kernel {
        let mut kernel = Kernel::new(Vec::new());
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
        let absorbed: Vec<usize> = members.iter().filter_map(|&m| self.absorbed(m)).collect();
        members.retain(|m| !absorbed.contains(m));
        let last_use: HashMap<usize, usize> = members
            .iter()
            .flat_map(|&m| self.inputs(m).iter().map(move |&a| (a as usize, m)))
            .fold(HashMap::new(), |mut map, (a, m)| {
                let entry = map.entry(a).or_insert(m);
                *entry = (*entry).max(m);
                map
            });
        let mut known: HashMap<usize, Arg> = HashMap::new();
        for &m in &members {
            for &a in self.inputs(m) {
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
            let inputs = self.inputs(m);
            // one step may not read and write the same register, so the target is chosen before
            // arguments are freed
            let out = (m != root).then(|| {
                free.pop().unwrap_or_else(|| {
                    used += 1;
                    used - 1
                })
            });
            let arg = |position: usize| known[&(inputs[position] as usize)];
            let op = match self.nodes[m].op {
                Op::Unary(op) if self.absorbed(m).is_some() => {
                    StepOp::UnaryOfSum(op, arg(0), arg(1))
                }
                Op::Binary(op) => StepOp::Binary(op, arg(0), arg(1)),
                Op::Unary(op) => StepOp::Unary(op, arg(0)),
                _ => continue,
            };
            kernel.steps.push(Step { op, out });
            let mut args: Vec<usize> = inputs.iter().map(|&a| a as usize).collect();
            args.sort_unstable();
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
        kernel.find_row();
        kernel
    }

    /// The sum that the step of a unary function `m` includes, if any. It must be used nowhere
    /// else, and be in the same kernel.
    fn absorbed(&self, m: usize) -> Option<usize> {
        let node = &self.nodes[m];
        let a = *node.args.first()? as usize;
        let alone =
            self.uses[a] == 1 && a != m && self.root[a] == self.root[m] && self.root[a] != a;
        let sum = matches!(node.op, Op::Unary(_)) && self.nodes[a].op == Op::Binary(Binary::Add);
        (sum && alone && elementwise(&self.nodes[a])).then_some(a)
    }

    /// What the step of `m` reads.
    fn inputs(&self, m: usize) -> &'n [u32] {
        let nodes = self.nodes;
        &nodes[self.absorbed(m).unwrap_or(m)].args
    }

    /// Adds node `id` to a kernel's operands.
    pub(super) fn operand(&mut self, id: usize, kernel: &mut Kernel) -> Arg {
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
