//! Broadcasting, and its transpose: summation.

use super::Op;
use super::batch::{front_to_last, with_rank};
use crate::autodiff::graph::Var;
use crate::autodiff::shape::{broadcast, broadcast_strides, numel, show};
use crate::error::Error;
use crate::linalg::product::{self, RowSums};
use crate::scalar::Scalar;

impl<'g> Var<'g> {
    /// Broadcasts to `shape`. Extents are aligned at the right, and an extent of 1 stretches. Makes
    /// no copy if the consumer needs none.
    pub fn broadcast_to(self, shape: &[usize]) -> Var<'g> {
        let own = self.shape();
        if own == shape {
            return self;
        }
        if broadcast(&own, shape).as_deref() != Some(shape) {
            let error = Error::shape(
                "broadcast_to",
                format!("a shape that stretches to {shape:?}"),
                show(&own),
            );
            return self.graph.fail(error);
        }
        if self.leads(shape) {
            let memory = self.to_memory(shape.len());
            return memory.broadcast_to(&front_to_last(shape)).batch_first();
        }
        let node = self.graph.node(self.id);
        let base = match node.op {
            Op::Broadcast => node.args[0],
            _ => self.id,
        };
        self.graph.push(Op::Broadcast, &[base], shape.to_vec())
    }

    /// Sums to `shape`, which must broadcast to the shape of this value.
    pub fn sum_to(self, shape: &[usize]) -> Var<'g> {
        let own = self.shape();
        if own == shape {
            return self;
        }
        if broadcast(shape, &own).as_deref() != Some(&own) {
            let error = Error::shape(
                "sum_to",
                format!("a shape that stretches to {own:?}"),
                show(shape),
            );
            return self.graph.fail(error);
        }
        if let Some(c) = self.settled() {
            // an empty tensor sums to zero, whatever it is filled with
            let count = if numel(shape) == 0 {
                0
            } else {
                numel(&own) / numel(shape)
            };
            return (c * count as f64).broadcast_to(shape);
        }
        // a sum of all elements is one value in f64, whatever its shape
        if numel(shape) == 1 && !shape.is_empty() {
            return self.sum().reshape(shape);
        }
        if let Some(memory) = self.stored().filter(|_| !shape.is_empty()) {
            let kept = with_rank(shape, own.len());
            return memory
                .sum_to(&front_to_last(&kept))
                .batch_first()
                .reshape(shape);
        }
        let summed = self.stored().unwrap_or(self);
        self.graph.push(Op::SumTo, &[summed.id], shape.to_vec())
    }

    /// Sum of all elements, a scalar; accumulated in f64.
    pub fn sum(self) -> Var<'g> {
        self.sum_to(&[])
    }

    /// Mean of all elements, a scalar; accumulated in f64.
    pub fn mean(self) -> Var<'g> {
        self.sum() / numel(&self.shape()) as f64
    }

    /// Sum along one axis, which is removed.
    pub fn sum_axis(self, axis: usize) -> Var<'g> {
        let mut shape = self.shape();
        if axis >= shape.len() {
            let error = Error::shape("sum_axis", format!("an axis below {}", shape.len()), axis);
            return self.graph.fail(error);
        }
        shape[axis] = 1;
        let kept = self.sum_to(&shape);
        shape.remove(axis);
        kept.reshape(&shape)
    }
}

/// Sum of all elements in f64, in eight interleaved lanes. The order is fixed, and the lanes allow
/// vector instructions.
#[inline(always)]
pub(crate) fn sum_all<T: Scalar>(src: &[T]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = src.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x.to_f64();
        }
    }
    let tail: f64 = rest.iter().map(|x| x.to_f64()).sum();
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h)) + tail
}

/// How to sum to a shape that broadcasts to the source's. Decided when the graph is compiled.
#[derive(Clone, Debug)]
pub(crate) enum SumPlan {
    /// Sums over the leading axes: rows of `inner` values are added up.
    Rows { inner: usize },
    /// Runs of `summed` values are added up. Run `i` adds to element `i mod len` of the result.
    Runs { summed: usize },
    /// Any other case: extents of the source, and strides of the result along them.
    Strided {
        extents: Vec<usize>,
        strides: Vec<usize>,
    },
}

impl SumPlan {
    /// The plan for a source of shape `from` and a result of shape `to`.
    pub(crate) fn new(from: &[usize], to: &[usize]) -> Self {
        let strides = broadcast_strides(to, from);
        let axes = || strides.iter().zip(from).rev();
        let inner = axes()
            .take_while(|&(&s, &n)| s != 0 || n == 1)
            .map(|(_, &n)| n)
            .product();
        if numel(to) == inner {
            return SumPlan::Rows { inner };
        }
        let summed: usize = axes()
            .take_while(|&(&s, n)| s == 0 || *n == 1)
            .map(|(_, &n)| n)
            .product();
        let trailing = axes().take_while(|&(&s, n)| s == 0 || *n == 1).count();
        let kept: usize = axes()
            .skip(trailing)
            .take_while(|&(&s, &n)| s != 0 || n == 1)
            .map(|(_, &n)| n)
            .product();
        if numel(to) == kept {
            return SumPlan::Runs { summed };
        }
        SumPlan::Strided {
            extents: from.to_vec(),
            strides,
        }
    }
}

/// Sums `src` to `dst` as planned.
#[inline(always)]
pub(crate) fn sum_to<T: Scalar>(plan: &SumPlan, src: &[T], dst: &mut [T]) {
    dst.fill(T::ZERO);
    match plan {
        _ if src.is_empty() || dst.is_empty() => {}
        SumPlan::Rows { inner } => {
            for row in src.chunks_exact(*inner) {
                for (d, s) in dst.iter_mut().zip(row) {
                    *d += *s;
                }
            }
        }
        SumPlan::Runs { summed } => product::run(RowSums {
            src,
            len: *summed,
            sums: dst,
        }),
        SumPlan::Strided { extents, strides } => {
            for (position, &x) in src.iter().enumerate() {
                dst[offset(position, extents, strides)] += x;
            }
        }
    }
}

/// The offset, under `strides`, of the element at row-major `position` in a tensor with these
/// extents.
#[inline(always)]
pub(crate) fn offset(position: usize, extents: &[usize], strides: &[usize]) -> usize {
    let mut rest = position;
    let mut at = 0;
    for (&extent, &stride) in extents.iter().zip(strides).rev() {
        at += rest % extent * stride;
        rest /= extent;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;
    use crate::autodiff::tests::{check_derivatives, numbers};

    #[test]
    fn derivatives() {
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| {
            x.square().sum_to(&[3]).exp()
        });
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.exp().sum_axis(1));
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.square().mean());
        check_derivatives(&[2, 1], &numbers(2, 2), |_, x| {
            x.broadcast_to(&[3, 2, 4]).square()
        });
    }

    #[test]
    fn every_plan_agrees_with_the_definition() {
        let from = [2, 3, 4];
        let src = numbers(24, 1);
        for to in [
            &[][..],
            &[4],
            &[3, 4],
            &[3, 1],
            &[2, 1, 1],
            &[2, 3, 1],
            &[2, 1, 4],
            &[1, 3, 1],
        ] {
            let mut dst = vec![0.0; numel(to)];
            sum_to(&SumPlan::new(&from, to), &src, &mut dst);
            let strides = broadcast_strides(to, &from);
            let mut want = vec![0.0; numel(to)];
            for (i, x) in src.iter().enumerate() {
                want[offset(i, &from, &strides)] += x;
            }
            for (a, b) in dst.iter().zip(&want) {
                assert!((a - b).abs() < 1e-13, "{to:?}");
            }
        }
    }

    #[test]
    fn a_sum_of_everything_is_in_f64_whatever_its_shape() {
        // 2^25 + 1000 ones: in f32 they would be lost one by one
        let graph = Graph::new();
        let x = graph.input(&[3, 1001]);
        let sums = [
            x.sum(),
            x.batch_first().sum(),
            x.sum_to(&[1, 1]).reshape(&[]),
        ];
        let program = graph.compile::<f32>(&sums).unwrap();
        let mut ws = program.workspace();
        let mut values = vec![0.0f32; 3 * 1001];
        values[..1001].fill(1.0);
        values[0] = (1 << 25) as f32;
        program.run(&[&values], &mut ws).unwrap();
        for i in 0..3 {
            assert_eq!(
                program.scalar(&ws, i).unwrap(),
                f64::from(1 << 25) + 1000.0,
                "sum {i}"
            );
        }
    }

    #[test]
    fn an_empty_tensor_sums_to_zero() {
        let graph = Graph::new();
        let sum = graph.full(&[0, 3], 1.0).sum_to(&[3]);
        assert!(sum.is_constant(0.0));
    }
}
