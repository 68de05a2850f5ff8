//! Finds where a weight is used: the product or convolution that takes it as an argument.
//!
//! Methods that use Kronecker factors need a layer's input and the derivative with respect to its
//! output. Both are found here in the recorded graph, whatever network recorded it. Layers need not
//! report anything.

use std::ops::Range;

use super::graph::{Graph, Node, Var};
use super::ops::{Binary, ConvOp, Op, Window};
use crate::error::{Error, Result};

/// How a weight acts on its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UseKind {
    /// `s = a W`, with `W` `[in, out]`.
    Product,
    /// `s = conv(a, W)`, with `W` `[out, in / groups, kh, kw]`.
    Convolution { window: Window, groups: usize },
}

/// One use of a weight. Everything is feature-major.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightUse<'g> {
    pub kind: UseKind,
    /// `[in, n]`, or `[channels, h, w, n]`.
    pub input: Var<'g>,
    /// The weight's output, before a bias: the variable to differentiate with respect to.
    output: Var<'g>,
    /// The output is `[n, out]`, not `[out, n]`.
    transposed: bool,
}

impl<'g> WeightUse<'g> {
    /// Checks that a parameter vector is read only as the tensors `(range, shape)`. Other parts or
    /// shapes would be further uses of the weights.
    ///
    /// # Errors
    /// If it is read in any other way.
    pub fn check_views<'a>(
        theta: Var<'g>,
        tensors: impl Iterator<Item = (Range<usize>, &'a [usize])>,
    ) -> Result<()> {
        let views = tensors.map(|(range, shape)| {
            let part = theta.slice(0, range);
            [theta.id, part.id, part.reshape(shape).id]
        });
        let views: Vec<[u32; 3]> = views.collect();
        // `slice` and `reshape` return the same node if they change nothing: for a tensor that is
        // the whole vector, and for a tensor with one axis
        let leads = |from: u32, to: u32| {
            let step = |v: &[u32; 3]| {
                (from == v[0] && to == v[1])
                    || (from == v[1] && to == v[2])
                    || (from == v[2] && !v[..2].contains(&to))
            };
            views.iter().any(step)
        };
        let looks = |a: u32| a == theta.id || views.iter().any(|v| v[1] == a);
        let nodes = theta.graph.nodes();
        for (to, node) in nodes.iter().enumerate() {
            let args = node.args.iter().copied().filter(|&a| looks(a));
            for from in args {
                if !leads(from, to as u32) {
                    let expected = "parameters that are used as the tensors of the layout";
                    return Err(Error::shape(
                        "KFAC",
                        expected,
                        format!("{} of them", node.op),
                    ));
                }
            }
        }
        Ok(())
    }

    /// The only use of `weight`.
    ///
    /// # Errors
    /// If the weight is used in another way, more than once, or not at all. The message calls it
    /// `name`.
    pub fn find(weight: Var<'g>, name: &str) -> Result<Self> {
        let graph = weight.graph;
        let nodes = graph.nodes();
        let refuse = |what: &str| {
            let expected = format!("{name} to be the weight of one Linear or Conv2d layer");
            Err(Error::shape("KFAC", expected, what))
        };
        let mut found = None;
        for (id, node) in nodes.iter().enumerate() {
            let Some(position) = node.args.iter().position(|&a| a == weight.id) else {
                continue;
            };
            let at = |id: u32| Var { graph, id };
            let output = at(id as u32);
            let one = match (&node.op, position) {
                // a transpose counts only if something reads it: products refer to the weight
                // itself
                (Op::Transpose, _) if !nodes.iter().any(|n| n.args.contains(&(id as u32))) => {
                    continue;
                }
                (
                    &Op::MatMul {
                        ta: true,
                        tb: false,
                    },
                    0,
                ) => Self {
                    kind: UseKind::Product,
                    input: at(node.args[1]),
                    output,
                    transposed: false,
                },
                (&Op::MatMul { ta, tb: false }, 1) => Self {
                    kind: UseKind::Product,
                    input: if ta {
                        at(node.args[0])
                    } else {
                        at(node.args[0]).batch_last()
                    },
                    output,
                    transposed: true,
                },
                (
                    &Op::Conv {
                        op: ConvOp::Forward,
                        window,
                        groups,
                    },
                    1,
                ) => Self {
                    kind: UseKind::Convolution { window, groups },
                    input: at(node.args[0]),
                    output,
                    transposed: false,
                },
                (other, _) => return refuse(&format!("an operand of {other}")),
            };
            if found.replace(one).is_some() {
                return refuse("used more than once");
            }
        }
        found.map_or_else(|| refuse("not used"), Ok)
    }

    /// Whether `bias` is added to the weight's output, and both are used for nothing else.
    pub fn is_shifted_by(&self, bias: Var<'g>) -> bool {
        let nodes = self.output.graph.nodes();
        let sums = |node: &&Node| {
            let shows = |id: u32, what: u32| shown(&nodes, id) == shown(&nodes, what);
            node.op == Op::Binary(Binary::Add)
                && (node.args.iter().any(|&a| shows(a, self.output.id)))
                && (node.args.iter().any(|&a| shows(a, bias.id)))
        };
        let uses = |node: &Node, what: u32| {
            let shows = |&a: &u32| shown(&nodes, a) == shown(&nodes, what);
            !is_view(&node.op) && node.args.iter().any(shows)
        };
        nodes.iter().filter(sums).count() == 1
            && nodes.iter().filter(|n| uses(n, bias.id)).count() == 1
            && nodes.iter().filter(|n| uses(n, self.output.id)).count() == 1
    }

    /// `(do/ds)^T u` for outputs `o`, a cotangent `u` of them and the weight's output `s`. The
    /// result is feature-major, like the input.
    ///
    /// # Errors
    /// If recording failed.
    pub fn pull_back(&self, graph: &'g Graph, outputs: Var<'g>, u: Var<'g>) -> Result<Var<'g>> {
        let g = graph.vjp(outputs, u, &[self.output])?[0];
        Ok(if self.transposed { g.batch_last() } else { g })
    }
}

fn is_view(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape | Op::Transpose | Op::BatchFirst | Op::BatchLast | Op::Broadcast
    )
}

/// The value that a chain of views shows, in another shape or order.
fn shown(nodes: &[Node], id: u32) -> u32 {
    let node = &nodes[id as usize];
    if is_view(&node.op) {
        shown(nodes, node.args[0])
    } else {
        id
    }
}
