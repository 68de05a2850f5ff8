//! Operations that move values without changing them: reshape, transpose, slice, concat.

use std::ops::Range;

use super::Op;
use crate::autodiff::graph::{Graph, Var};
use crate::autodiff::shape::{numel, show};
use crate::error::{Error, counted};
use crate::scalar::Scalar;

impl<'g> Var<'g> {
    /// The same elements in another shape. No copy.
    pub fn reshape(self, shape: &[usize]) -> Var<'g> {
        let own = self.shape();
        if own == shape {
            return self;
        }
        if numel(&own) != numel(shape) {
            let error = Error::shape("reshape", counted(numel(&own), "element"), show(shape));
            return self.graph.fail(error);
        }
        if let Some(c) = self.settled() {
            return c.broadcast_to(shape);
        }
        if let Some(memory) = self.stored()
            && let Some((&n, rest)) = shape.split_first()
            && n == own[0]
        {
            let inner = [rest, &[n]].concat();
            return memory.reshape(&inner).batch_first();
        }
        let node = self.graph.node(self.id);
        let base = match node.op {
            Op::Reshape => Var {
                graph: self.graph,
                id: node.args[0],
            },
            _ => self,
        };
        if base.shape() == shape {
            return base;
        }
        self.graph.push(Op::Reshape, &[base.id], shape.to_vec())
    }

    /// The transpose of a matrix.
    pub fn t(self) -> Var<'g> {
        let shape = self.shape();
        let &[rows, cols] = &shape[..] else {
            let error = Error::shape("transpose", "a matrix", show(&shape));
            return self.graph.fail(error);
        };
        if let Some(c) = self.settled() {
            return c.broadcast_to(&[cols, rows]);
        }
        let node = self.graph.node(self.id);
        match node.op {
            Op::Transpose | Op::BatchFirst => Var {
                graph: self.graph,
                id: node.args[0],
            },
            _ => self.graph.push(Op::Transpose, &[self.id], vec![cols, rows]),
        }
    }

    /// The elements `range` along `axis`. No copy where they are contiguous.
    pub fn slice(self, axis: usize, range: Range<usize>) -> Var<'g> {
        let mut shape = self.shape();
        if axis >= shape.len() || range.start > range.end || range.end > shape[axis] {
            let expected = format!("an axis and range inside {shape:?}");
            let error = Error::shape("slice", expected, format!("axis {axis}, {range:?}"));
            return self.graph.fail(error);
        }
        if range.len() == shape[axis] {
            return self;
        }
        shape[axis] = range.len();
        if let Some(c) = self.settled() {
            return c.broadcast_to(&shape);
        }
        if let Some(memory) = self.stored() {
            let inner = axis.checked_sub(1).unwrap_or(shape.len() - 1);
            return memory.slice(inner, range).batch_first();
        }
        let op = Op::Slice {
            axis,
            start: range.start,
        };
        self.graph.push(op, &[self.id], shape)
    }
}

impl Graph {
    /// Lays tensors side by side along `axis`. Their other extents must agree.
    pub fn concat<'g>(&'g self, axis: usize, parts: &[Var<'g>]) -> Var<'g> {
        let Some(first) = parts.first() else {
            return self.fail(Error::shape("concat", "at least one part", "none"));
        };
        if let Err(error) = self.constant(0.0).same_graph(parts, "concat") {
            return self.fail(error);
        }
        let mut shape = first.shape();
        if axis >= shape.len() {
            return self.fail(Error::shape(
                "concat",
                format!("an axis below {}", shape.len()),
                axis,
            ));
        }
        shape[axis] = 0;
        for part in parts {
            let mut other = part.shape();
            let extent = other.get(axis).copied().unwrap_or(0);
            if other.len() == shape.len() {
                other[axis] = shape[axis];
            }
            if other != shape {
                let error = Error::shape(
                    "concat",
                    format!("{shape:?} but for axis {axis}"),
                    show(&part.shape()),
                );
                return self.fail(error);
            }
            shape[axis] += extent;
        }
        let ids: Vec<u32> = parts
            .iter()
            .filter(|p| p.shape()[axis] > 0)
            .map(|p| p.id)
            .collect();
        match ids[..] {
            [] => self.full(&shape, 0.0),
            [id] => Var { graph: self, id },
            _ if ids.iter().any(|&id| self.node(id).op == Op::BatchFirst) => {
                let inner = axis.checked_sub(1).unwrap_or(shape.len() - 1);
                let memory: Vec<Var<'g>> = ids
                    .iter()
                    .map(|&id| Var { graph: self, id }.batch_last())
                    .collect();
                self.concat(inner, &memory).batch_first()
            }
            _ => self.push(Op::Concat { axis }, &ids, shape),
        }
    }
}

/// Copies `rows` runs of `width` elements: the body of slice and concat. Runs are `src_stride`
/// apart in `src` and `dst_stride` apart in `dst`.
pub(crate) fn copy_block<T: Scalar>(
    src: &[T],
    src_stride: usize,
    dst: &mut [T],
    dst_stride: usize,
    (rows, width): (usize, usize),
) {
    for row in 0..rows {
        let (from, to) = (row * src_stride, row * dst_stride);
        dst[to..to + width].copy_from_slice(&src[from..from + width]);
    }
}

/// `dst [cols, rows]` is the transpose of `src [rows, cols]`.
pub(crate) fn transpose<T: Scalar>(src: &[T], rows: usize, cols: usize, dst: &mut [T]) {
    for r in 0..rows {
        for c in 0..cols {
            dst[c * rows + r] = src[r * cols + c];
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::autodiff::Graph;
    use crate::autodiff::tests::{check_derivatives, numbers};

    #[test]
    fn derivatives() {
        let at = numbers(12, 4);
        check_derivatives(&[3, 4], &at, |_, x| x.t().reshape(&[2, 6]).square());
        check_derivatives(&[3, 4], &at, |_, x| {
            x.slice(1, 1..3).exp() * x.slice(1, 2..4)
        });
        check_derivatives(&[3, 4], &at, |_, x| x.slice(0, 1..3).square());
        check_derivatives(&[12], &at, |g, x| {
            let parts = [x.slice(0, 7..9), x.slice(0, 0..3), x.square()];
            g.concat(0, &parts).tanh()
        });
        check_derivatives(&[3, 4], &at, |g, x| g.concat(1, &[x, x.square()]).tanh());
        check_derivatives(&[2, 3, 2], &at, |g, x| {
            g.concat(1, &[x.slice(1, 1..2), x]).square()
        });
    }

    #[test]
    fn numbers_go_where_they_belong() {
        let graph = Graph::new();
        let x = graph.input(&[2, 3]);
        let outputs = [
            x.t(),
            x.slice(1, 1..3),
            graph.concat(1, &[x, x]),
            graph.concat(0, &[x, x]),
        ];
        let program = graph.compile::<f32>(&outputs).unwrap();
        let mut ws = program.workspace();
        program
            .run(&[&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]], &mut ws)
            .unwrap();
        assert_eq!(
            program.tensor(&ws, 0).unwrap(),
            &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        assert_eq!(program.tensor(&ws, 1).unwrap(), &[1.0, 2.0, 4.0, 5.0]);
        let rows = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 4.0, 5.0];
        assert_eq!(program.tensor(&ws, 2).unwrap(), &rows);
        assert_eq!(
            program.tensor(&ws, 3).unwrap()[6..],
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        );
    }
}
