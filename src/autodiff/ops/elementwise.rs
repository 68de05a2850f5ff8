//! Elementwise operations: one or two operands of the same shape, after broadcasting.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Op;
use crate::autodiff::graph::{Graph, Var};
use crate::autodiff::shape::{broadcast, show};
use crate::error::Error;
use crate::scalar::Scalar;
use crate::simd;

/// Functions of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unary {
    Neg,
    Exp,
    Log,
    Log1p,
    Tanh,
    Sigmoid,
    Softplus,
    Relu,
    /// 1 where positive, else 0: the derivative of `Relu`.
    Step,
    Square,
    Sqrt,
    /// The standard normal distribution function.
    NormalCdf,
    /// Materialises a broadcast operand.
    Copy,
}

/// Functions of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    /// NaN if either is.
    Max,
    /// `a (1 - b^2)`: the derivative of `Tanh`, as one pass over memory.
    TanhBack,
}

impl Unary {
    /// `g * f'(x)`, written with `y = f(x)` where that is cheaper.
    pub(super) fn vjp<'g>(self, y: Var<'g>, x: Var<'g>, g: Var<'g>) -> Option<Var<'g>> {
        Some(match self {
            Unary::Neg => -g,
            Unary::Exp => g * y,
            Unary::Log => g / x,
            Unary::Log1p => g / (x + 1.0),
            Unary::Tanh => g.binary(Binary::TanhBack, y, "tanh"),
            Unary::Sigmoid => g * (y * (1.0 - y)),
            Unary::Softplus => g * x.sigmoid(),
            Unary::Relu => g * x.unary(Unary::Step),
            Unary::Step => return None,
            Unary::Square => g * (x * 2.0),
            Unary::Sqrt => g / (y * 2.0),
            Unary::NormalCdf => {
                let inv_sqrt_2pi = 1.0 / (2.0 * std::f64::consts::PI).sqrt();
                g * ((x.square() * -0.5).exp() * inv_sqrt_2pi)
            }
            Unary::Copy => g,
        })
    }

    /// The function itself, in double precision: scalars and folded constants.
    pub(crate) fn apply(self, x: f64) -> f64 {
        let mut out = [0.0];
        unary_slice(self, &[x], &mut out);
        out[0]
    }
}

impl Binary {
    pub(super) fn vjp<'g>(
        self,
        y: Var<'g>,
        args: &[Var<'g>],
        position: usize,
        g: Var<'g>,
    ) -> Var<'g> {
        match (self, position) {
            (Binary::Add, _) | (Binary::Sub, 0) => g,
            (Binary::Sub, _) => -g,
            (Binary::Mul, p) => g * args[1 - p],
            // if both are equal, the second gets the derivative
            (Binary::Max, 0) => g * (args[0] - args[1]).unary(Unary::Step),
            (Binary::Max, _) => g * (1.0 - (args[0] - args[1]).unary(Unary::Step)),
            (Binary::TanhBack, 0) => g.binary(Binary::TanhBack, args[1], "tanh"),
            (Binary::TanhBack, _) => g * (args[0] * args[1]) * -2.0,
            (Binary::Div, 0) => g / args[1],
            (Binary::Div, _) => -(g * (y / args[1])),
        }
    }

    /// The function itself, in double precision.
    pub(crate) fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            Binary::Max => larger(a, b),
            Binary::TanhBack => a * (1.0 - b * b),
        }
    }
}

/// The larger number; NaN if either is.
#[inline(always)]
fn larger<T: PartialOrd + Copy>(a: T, b: T) -> T {
    #[expect(clippy::eq_op, reason = "a NaN differs from itself")]
    let first = a > b || a != a;
    if first { a } else { b }
}

/// Runs a loop with the function of `$op` as the macro `$f`, so that each function gets its own
/// loop.
macro_rules! with_function {
    ($op:expr, $f:ident => $loop:expr) => {{
        macro_rules! function {
            ($x:ident => $y:expr) => {{
                macro_rules! $f {
                    ($argument:expr) => {{
                        let $x = $argument;
                        $y
                    }};
                }
                $loop
            }};
        }
        match $op {
            Unary::Neg => function!(x => -x),
            Unary::Exp => function!(x => x.exp()),
            Unary::Log => function!(x => x.ln()),
            Unary::Log1p => function!(x => x.ln_1p()),
            Unary::Tanh => function!(x => x.tanh()),
            Unary::Sigmoid => function!(x => x.sigmoid()),
            Unary::Softplus => function!(x => x.softplus()),
            // written so that NaN stays NaN
            Unary::Relu => function!(x => if x <= T::ZERO { T::ZERO } else { x }),
            Unary::Step => function!(x => if x > T::ZERO { T::ONE } else { T::ZERO }),
            Unary::Square => function!(x => x * x),
            Unary::Sqrt => function!(x => x.sqrt()),
            Unary::NormalCdf => function!(x => x.normal_cdf()),
            Unary::Copy => function!(x => x),
        }
    }};
}

/// `dst[i] = f(src[i])`.
#[inline(always)]
pub(crate) fn unary_slice<T: Scalar>(op: Unary, src: &[T], dst: &mut [T]) {
    with_function!(op, f => simd::map!(src, dst, x => f!(x)));
}

/// `dst[i] = f(a[i] + b[i])`. The sum needs no extra pass over memory.
#[inline(always)]
pub(crate) fn unary_of_sum<T: Scalar>(op: Unary, a: &[T], b: Block<'_, T>, dst: &mut [T]) {
    match b {
        Block::Slice(b) => {
            with_function!(op, f => simd::zip!(a, b, dst, (x, y) => f!(x + y)));
        }
        Block::Splat(y) => with_function!(op, f => simd::map!(a, dst, x => f!(x + y))),
    }
}

/// An operand of a block: a slice, or one value for all elements.
#[derive(Clone, Copy)]
pub(crate) enum Block<'a, T> {
    Slice(&'a [T]),
    Splat(T),
}

/// `dst[i] = f(a[i], b[i])`.
#[inline(always)]
pub(crate) fn binary_slice<T: Scalar>(op: Binary, a: Block<'_, T>, b: Block<'_, T>, dst: &mut [T]) {
    macro_rules! each {
        ($x:ident, $y:ident => $f:expr) => {
            match (a, b) {
                (Block::Slice(a), Block::Slice(b)) => simd::zip!(a, b, dst, ($x, $y) => $f),
                (Block::Slice(a), Block::Splat($y)) => simd::map!(a, dst, $x => $f),
                (Block::Splat($x), Block::Slice(b)) => simd::map!(b, dst, $y => $f),
                (Block::Splat($x), Block::Splat($y)) => dst.fill($f),
            }
        };
    }
    let one = T::ONE;
    match op {
        Binary::Add => each!(x, y => x + y),
        Binary::Sub => each!(x, y => x - y),
        Binary::Mul => each!(x, y => x * y),
        Binary::Div => each!(x, y => x / y),
        Binary::Max => each!(x, y => larger(x, y)),
        Binary::TanhBack => each!(x, y => x * (one - y * y)),
    }
}

impl<'g> Var<'g> {
    pub(crate) fn unary(self, op: Unary) -> Var<'g> {
        if let Some(memory) = self.stored() {
            return memory.unary(op).batch_first();
        }
        let push = || self.graph.push(Op::Unary(op), &[self.id], self.shape());
        self.fold_unary(op).unwrap_or_else(push)
    }

    pub(crate) fn binary(self, op: Binary, other: Var<'g>, name: &'static str) -> Var<'g> {
        if let Err(error) = self.same_graph(&[other], name) {
            return self.graph.fail(error);
        }
        let (a, b) = (self.shape(), other.shape());
        let Some(shape) = broadcast(&a, &b) else {
            let error = Error::shape(
                name,
                format!("a shape that broadcasts with {a:?}"),
                show(&b),
            );
            return self.graph.fail(error);
        };
        if let Some(folded) = self.fold_binary(op, other, &shape) {
            return folded;
        }
        if self.leads(&shape) || other.leads(&shape) {
            let (a, b) = (self.to_memory(shape.len()), other.to_memory(shape.len()));
            return a.binary(op, b, name).batch_first();
        }
        let args = [self.broadcast_to(&shape).id, other.broadcast_to(&shape).id];
        self.graph.push(Op::Binary(op), &args, shape)
    }

    /// `e^x`.
    pub fn exp(self) -> Var<'g> {
        self.unary(Unary::Exp)
    }
    /// Natural logarithm.
    pub fn ln(self) -> Var<'g> {
        self.unary(Unary::Log)
    }
    /// `log(1 + x)`, accurate near zero.
    pub fn ln_1p(self) -> Var<'g> {
        self.unary(Unary::Log1p)
    }
    /// Hyperbolic tangent.
    pub fn tanh(self) -> Var<'g> {
        self.unary(Unary::Tanh)
    }
    /// `1 / (1 + e^-x)`.
    pub fn sigmoid(self) -> Var<'g> {
        self.unary(Unary::Sigmoid)
    }
    /// `log(1 + e^x)`, without overflow.
    pub fn softplus(self) -> Var<'g> {
        self.unary(Unary::Softplus)
    }
    /// `max(x, 0)`; the derivative at 0 is 0.
    pub fn relu(self) -> Var<'g> {
        self.unary(Unary::Relu)
    }
    /// 1 where positive, else 0 (also for NaN). This is a comparison and has no derivative.
    pub fn step(self) -> Var<'g> {
        self.unary(Unary::Step)
    }
    /// `x sigmoid(x)`, also called swish.
    pub fn silu(self) -> Var<'g> {
        self * self.sigmoid()
    }
    /// The larger of two values, NaN if either is. If both are equal, the second gets the
    /// derivative.
    pub fn max(self, other: Var<'g>) -> Var<'g> {
        self.binary(Binary::Max, other, "max")
    }
    /// `x Phi(x)` with the exact normal distribution function.
    pub fn gelu(self) -> Var<'g> {
        self * self.unary(Unary::NormalCdf)
    }
    /// `x^2`.
    pub fn square(self) -> Var<'g> {
        self.unary(Unary::Square)
    }
    /// Square root.
    pub fn sqrt(self) -> Var<'g> {
        self.unary(Unary::Sqrt)
    }
}

impl<'g> Neg for Var<'g> {
    type Output = Var<'g>;
    fn neg(self) -> Var<'g> {
        let node = self.graph.node(self.id);
        match node.op {
            Op::Unary(Unary::Neg) => Var {
                graph: self.graph,
                id: node.args[0],
            },
            _ => self.unary(Unary::Neg),
        }
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr, $name:literal) => {
        impl<'g> $trait for Var<'g> {
            type Output = Var<'g>;
            fn $method(self, other: Var<'g>) -> Var<'g> {
                self.binary($op, other, $name)
            }
        }
        impl<'g> $trait<f64> for Var<'g> {
            type Output = Var<'g>;
            fn $method(self, other: f64) -> Var<'g> {
                let graph: &'g Graph = self.graph;
                self.binary($op, graph.constant(other), $name)
            }
        }
        impl<'g> $trait<Var<'g>> for f64 {
            type Output = Var<'g>;
            fn $method(self, other: Var<'g>) -> Var<'g> {
                let graph: &'g Graph = other.graph;
                graph.constant(self).binary($op, other, $name)
            }
        }
    };
}

operator!(Add, add, Binary::Add, "add");
operator!(Sub, sub, Binary::Sub, "sub");
operator!(Mul, mul, Binary::Mul, "mul");
operator!(Div, div, Binary::Div, "div");

#[cfg(test)]
mod tests {
    use crate::autodiff::Var;
    use crate::autodiff::tests::{check_derivatives, numbers};

    type Function = for<'g> fn(Var<'g>) -> Var<'g>;

    #[test]
    fn derivatives_of_functions_of_one_number() {
        let cases: [Function; 13] = [
            |x| x.exp(),
            |x| (x + 1.5).ln(),
            |x| x.ln_1p(),
            |x| x.tanh(),
            |x| x.sigmoid(),
            |x| x.softplus(),
            |x| x.silu(),
            |x| x.gelu(),
            |x| x.square(),
            |x| (x + 1.5).sqrt(),
            |x| -x,
            |x| 2.0 / (x + 1.5),
            |x| 1.0 - x * 3.0,
        ];
        for f in cases {
            check_derivatives(&[2, 3], &numbers(6, 0), |_, x| f(x));
        }
        // away from its kink
        check_derivatives(&[4], &[-0.7, -0.1, 0.2, 0.9], |_, x| x.relu() * x);
        check_derivatives(&[4], &[-0.7, -0.1, 0.2, 0.9], |_, x| {
            x.step() * x.exp() + (x - 0.5).step()
        });
    }

    #[test]
    fn derivatives_of_functions_of_two_numbers() {
        check_derivatives(&[2, 3], &numbers(6, 1), |_, x| {
            let row = x.slice(0, 0..1);
            let column = x.slice(1, 0..1);
            (x + row) * (column - x) / (x.square() + row.exp()) - column
        });
    }
}
