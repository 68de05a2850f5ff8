//! The operations. Each file holds one family: recording, derivative rule, kernel.

mod batch;
mod conv;
mod elementwise;
mod fold;
mod gather;
mod layout;
mod matmul;
mod pad;
mod reduce;
mod softmax;
mod vectorised;
mod window;

pub(crate) use elementwise::{Binary, Block, Unary, binary_slice, unary_of_sum, unary_slice};
pub(crate) use gather::{pick, unpick};
use gather::{pick_columns, unpick_columns};
pub(crate) use layout::{copy_block, transpose};
pub(crate) use matmul::{Form, MatMulShape, matmul};
pub(crate) use reduce::{SumPlan, offset};
use reduce::{sum_all, sum_to};
use softmax::{log_sum_exp, log_sum_exp_columns, shift, shift_columns};
pub(crate) use vectorised::{LogSumExp, PickColumns, Shift, SumAll, SumTo};

pub(crate) use conv::{ConvOp, ConvPlan};
pub(crate) use pad::Pad;
pub use window::Window;
pub(crate) use window::{ImageShape, WindowMap, WindowOp};

use super::differentiate::Contribution;
use super::graph::{Named, Node, Var};

/// What a node does. An operation reads the extents it needs from the shapes of the node and its
/// arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    /// Given at run time.
    Input(usize),
    /// A scalar, as the bits of an f64.
    Constant(u64),
    /// A scalar constant whose value a program may change.
    Named(Named),
    /// A constant tensor of the graph.
    Tensor(usize),
    /// A symbol without a value.
    Placeholder(usize),
    Unary(Unary),
    Binary(Binary),
    /// Stretches to the node's shape.
    Broadcast,
    /// Sums to the node's shape: the transpose of `Broadcast`.
    SumTo,
    /// The maximum along one axis, which stays with extent 1; zero where the maximum is not finite.
    /// It has no derivative: it is subtracted in one place and added back in another.
    Shift {
        axis: usize,
    },
    /// `log sum exp(x - shift)` of `x` and its `Shift` along one axis, which stays with extent 1.
    LogSumExp {
        axis: usize,
    },
    /// `op(a) op(b)`, `op` transposing or not.
    MatMul {
        ta: bool,
        tb: bool,
    },
    /// The transpose of a matrix.
    Transpose,
    /// `[a..., n] -> [n, a...]`: a view that operations pass through (see `batch`).
    BatchFirst,
    /// Its inverse.
    BatchLast,
    Reshape,
    /// Elements from `start` along `axis`; the node's shape says how many.
    Slice {
        axis: usize,
        start: usize,
    },
    Concat {
        axis: usize,
    },
    /// `[n, k], [n] -> [n]`: from each row, the entry that its label selects. Along axis 0:
    /// `[k, n], [n] -> [n]`.
    Pick {
        axis: usize,
    },
    /// `[n], [n] -> [n, k]` or `[k, n]`: the transpose of `Pick` with respect to its first
    /// argument.
    Unpick {
        axis: usize,
    },
    /// A linear map between images and windows.
    Window(WindowOp, Window),
    /// A convolution, or its derivative with respect to one argument.
    Conv {
        op: ConvOp,
        window: Window,
        groups: usize,
    },
}

impl Op {
    pub(crate) fn constant(value: f64) -> Self {
        Op::Constant(value.to_bits())
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Op::Constant(bits) => write!(f, "Constant[{}]", f64::from_bits(*bits)),
            Op::Named(named) => write!(f, "Named[{} = {}]", named.name, named.value()),
            Op::Unary(op) => write!(f, "{op:?}"),
            Op::Binary(op) => write!(f, "{op:?}"),
            Op::MatMul { ta, tb } => {
                let mark = |t: &bool| if *t { "^T" } else { "" };
                write!(f, "MatMul[a{} b{}]", mark(ta), mark(tb))
            }
            other => write!(f, "{other:?}"),
        }
    }
}

/// What `node` adds to the cotangent of its argument number `position`, given the node's cotangent
/// `g`. `None` where the derivative is zero everywhere.
pub(crate) fn vjp_rule<'g>(
    node: &Node,
    value: Var<'g>,
    args: &[Var<'g>],
    position: usize,
    g: Var<'g>,
) -> Option<Contribution<'g>> {
    match &node.op {
        Op::Input(_)
        | Op::Constant(_)
        | Op::Named(_)
        | Op::Tensor(_)
        | Op::Placeholder(_)
        | Op::Shift { .. } => None,
        Op::Unary(op) => op.vjp(value, args[0], g).map(Contribution::Whole),
        Op::Binary(op) => Some(Contribution::Whole(op.vjp(value, args, position, g))),
        Op::Broadcast => Some(Contribution::Whole(g.sum_to(&args[0].shape()))),
        Op::SumTo => Some(Contribution::Whole(g.broadcast_to(&args[0].shape()))),
        Op::LogSumExp { .. } if position == 1 => None,
        Op::LogSumExp { .. } => Some(Contribution::Whole(softmax::log_sum_exp_vjp(
            value, args, g,
        ))),
        Op::MatMul { ta, tb } => Some(Contribution::Whole(matmul::vjp(
            *ta, *tb, args, position, g,
        ))),
        Op::Transpose => Some(Contribution::Whole(g.t())),
        Op::BatchFirst => Some(Contribution::Whole(g.batch_last())),
        Op::BatchLast => Some(Contribution::Whole(g.batch_first())),
        Op::Reshape => Some(Contribution::Whole(g.reshape(&args[0].shape()))),
        Op::Slice { axis, start } => Some(Contribution::Part {
            axis: *axis,
            start: *start,
            value: g,
        }),
        Op::Concat { axis } => {
            let start: usize = args[..position].iter().map(|a| a.shape()[*axis]).sum();
            let end = start + args[position].shape()[*axis];
            Some(Contribution::Whole(g.slice(*axis, start..end)))
        }
        Op::Pick { axis } => (position == 0).then(|| {
            Contribution::Whole(gather::unpick_along(
                *axis,
                g,
                args[1],
                args[0].shape()[*axis],
            ))
        }),
        Op::Conv { op, window, groups } => Some(Contribution::Whole(conv::vjp(
            *op, *window, *groups, args, position, g,
        ))),
        Op::Window(op, window) => {
            window::vjp(*op, *window, args, position, g).map(Contribution::Whole)
        }
        Op::Unpick { axis } => {
            (position == 0).then(|| Contribution::Whole(gather::pick_along(*axis, g, args[1])))
        }
    }
}
