//! Feature-major storage of batches.
//!
//! A batch of examples `[n, features...]` that is stored as `[features..., n]` has a contiguous
//! long axis. Vector registers are then full whatever the width of a layer, a bias is one value for
//! a whole row, and the softmax of three classes is as fast per element as that of a thousand.
//!
//! [`Var::batch_first`] views feature-major memory as such a batch. The view moves outward: an
//! operation on it is recorded on the memory, and the view is put around the result,
//! `f(view(a)) = view(f'(a))`. Networks and likelihoods are written for `[n, features...]` and
//! never notice. Where an operation cannot follow, the view is written out once, as a transpose.

use super::Op;
use crate::autodiff::graph::Var;
use crate::autodiff::shape::{Shape, numel, show};
use crate::error::Error;

/// `[a..., n]` to `[n, a...]`.
fn last_to_front(shape: &[usize]) -> Shape {
    let mut moved = shape.to_vec();
    moved.rotate_right(1);
    moved
}

/// `[n, a...]` to `[a..., n]`.
pub(super) fn front_to_last(shape: &[usize]) -> Shape {
    let mut moved = shape.to_vec();
    moved.rotate_left(1);
    moved
}

/// `shape` with leading extents of 1, up to `rank` axes.
pub(super) fn with_rank(shape: &[usize], rank: usize) -> Shape {
    let missing = rank.saturating_sub(shape.len());
    [&vec![1; missing], shape].concat()
}

impl<'g> Var<'g> {
    /// Feature-major memory `[features..., n]` seen as a batch `[n, features...]`. Operations on
    /// the batch, example by example, then run feature-major.
    pub fn batch_first(self) -> Var<'g> {
        self.moved(Op::BatchFirst, Op::BatchLast, last_to_front)
    }

    /// A batch `[n, features...]` as feature-major memory `[features..., n]`. Undoes
    /// [`Var::batch_first`]; on anything else it is a transpose.
    pub fn batch_last(self) -> Var<'g> {
        self.moved(Op::BatchLast, Op::BatchFirst, front_to_last)
    }

    fn moved(self, op: Op, inverse: Op, turn: fn(&[usize]) -> Shape) -> Var<'g> {
        let own = self.shape();
        if own.is_empty() {
            let error = Error::shape("batch_first", "at least one axis", show(&own));
            return self.graph.fail(error);
        }
        let shape = turn(&own);
        let node = self.graph.node(self.id);
        if node.op == inverse || (own.len() == 2 && node.op == op) {
            return Var {
                graph: self.graph,
                id: node.args[0],
            };
        }
        // With a single example or a single feature no element moves, and a reshape is enough. But
        // `batch_first` of a single feature is kept: it decides how results of it are stored.
        let (examples, keeps) = match op {
            Op::BatchFirst => (shape[0], shape[0] > 0),
            _ => (own[0], false),
        };
        if own.len() == 1 || examples == 1 || (numel(&own) == examples && !keeps) {
            return self.reshape(&shape);
        }
        if let Some(c) = self.settled() {
            return c.broadcast_to(&shape);
        }
        self.graph.push(op, &[self.id], shape)
    }

    /// The feature-major memory behind a batch, if it is stored that way.
    pub(super) fn stored(self) -> Option<Var<'g>> {
        let node = self.graph.node(self.id);
        (node.op == Op::BatchFirst).then(|| Var {
            graph: self.graph,
            id: node.args[0],
        })
    }

    /// True if an elementwise operation on `self` is best done on its feature-major memory. `shape`
    /// is the shape of the result.
    pub(super) fn leads(self, shape: &[usize]) -> bool {
        self.stored().is_some() && {
            let own = self.shape();
            own.len() == shape.len() && own[0] == shape[0]
        }
    }

    /// This value as an operand for an operation on feature-major memory. The result has `rank`
    /// axes.
    pub(super) fn to_memory(self, rank: usize) -> Var<'g> {
        let node = self.graph.node(self.id);
        let base = match node.op {
            Op::Broadcast => Var {
                graph: self.graph,
                id: node.args[0],
            },
            _ => self,
        };
        base.reshape(&with_rank(&base.shape(), rank)).batch_last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;
    use crate::autodiff::tests::{check_derivatives, numbers};
    use proptest::prelude::*;

    fn transposed(x: &[f64], n: usize, d: usize) -> Vec<f64> {
        (0..d)
            .flat_map(|j| (0..n).map(move |i| x[i * d + j]))
            .collect()
    }

    /// Functions of a batch `[n, d]` and a row `[d]` that use every rule.
    type Function = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;
    const FUNCTIONS: [Function; 16] = [
        |x, row| (x + row).tanh(),
        |x, row| x.logsumexp() * (x * row).square(),
        |x, _| x.softmax().matmul(x.t()),
        |x, row| x.t().matmul(x * row),
        |x, row| row.reshape(&[1, row.shape()[0]]).matmul(x.t()) + x.sum_axis(1),
        |x, row| x.sum_axis(0) * row,
        |x, _| x.mean() * x,
        |x, row| x.sum_to(&[x.shape()[0], 1]).broadcast_to(&x.shape()) - x / (row.square() + 1.0),
        |x, _| {
            let width = x.shape()[1];
            x.graph()
                .concat(1, &[x.slice(1, width / 2..width), x.square()])
                .exp()
        },
        |x, row| {
            let rows = x.shape()[0];
            let plain = row.broadcast_to(&x.shape());
            x.graph().concat(0, &[x.slice(0, rows / 2..rows), plain])
        },
        |x, _| {
            let shape = x.shape();
            x.reshape(&[shape[0], 1, shape[1]])
                .softmax()
                .sum_to(&[1, 1, shape[1]])
        },
        |x, row| x.reshape(&[x.shape()[0] * x.shape()[1]]).exp().sum() * row,
        |x, row| x.square().pick(x.sum_axis(1) * 0.0) + row.sum(),
        |x, _| {
            let labels = x.sum_axis(1) * 0.0;
            x.sum_axis(1).tanh().unpick(labels, 3) * x.slice(1, 0..1)
        },
        |x, row| x.matmul(row.reshape(&[row.shape()[0], 1])).sigmoid() * x,
        |x, row| (x.batch_last().batch_first() * 2.0).max(row),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        /// A view changes the storage order and nothing else: values, gradients, JVP and HVP agree
        /// with those of the batch.
        #[test]
        fn a_feature_major_batch_is_the_batch(
            which in 0..FUNCTIONS.len(), n in prop_oneof![0usize..5, 16usize..90], d in prop_oneof![1usize..4, 6usize..20],
        ) {
            let f = FUNCTIONS[which];
            let graph = Graph::new();
            let (x, xt, row) = (graph.input(&[n, d]), graph.input(&[d, n]), graph.input(&[d]));
            let (v, vt) = (graph.input(&[n, d]), graph.input(&[d, n]));
            let mut outputs = Vec::new();
            for (x, v) in [(x, v), (xt.batch_first(), vt.batch_first())] {
                let y = f(x, row);
                let weights = graph.tensor(&y.shape(), numbers(numel(&y.shape()), 4));
                let energy = (y.square() * weights).sum();
                let gradient = graph.grad(energy, &[x, row]).unwrap();
                // derivatives with respect to an intermediate view must work too
                let by_y = graph.grad(energy, &[y]).unwrap()[0];
                outputs.extend([y, gradient[0], gradient[1], by_y]);
                outputs.extend([graph.jvp(y, x, v).unwrap(), graph.hvp(energy, x, v).unwrap()]);
            }
            let program = graph.compile::<f64>(&outputs).unwrap();
            let mut ws = program.workspace();
            let (a, b, c) = (numbers(n * d, 1), numbers(d, 2), numbers(n * d, 3));
            program.run(&[&a, &transposed(&a, n, d), &b, &c, &transposed(&c, n, d)], &mut ws).unwrap();
            for i in 0..6 {
                for (p, q) in program.tensor(&ws, i).unwrap().iter().zip(program.tensor(&ws, i + 6).unwrap()) {
                    prop_assert!((p - q).abs() <= 1e-12 * (1.0 + p.abs()), "function {which}, output {i}: {p} against {q}");
                }
                prop_assert_eq!(program.tensor(&ws, i).unwrap().len(), program.tensor(&ws, i + 6).unwrap().len());
            }
        }
    }

    #[test]
    fn derivatives() {
        check_derivatives(&[2, 3, 4], &numbers(24, 2), |_, x| {
            x.batch_first().square() * x.batch_last().reshape(&[4, 2, 3])
        });
        check_derivatives(&[3, 4], &numbers(12, 2), |_, x| {
            let batch = x.batch_first();
            (batch.tanh().t() * x).logsumexp()
        });
    }

    #[test]
    fn views_are_something_to_differentiate_by() {
        let graph = Graph::new();
        let x = graph.input(&[2, 3, 4]);
        for view in [
            x.batch_last(),
            x.batch_first(),
            x.reshape(&[6, 4]),
            x.reshape(&[6, 4]).t(),
            -x,
        ] {
            let weights = graph.tensor(&view.shape(), numbers(24, 6));
            let gradient = graph.grad((view * weights).sum(), &[view]).unwrap()[0];
            let program = graph.compile::<f64>(&[gradient]).unwrap();
            let mut ws = program.workspace();
            program.run(&[&numbers(24, 7)], &mut ws).unwrap();
            assert_eq!(
                (gradient.shape(), program.tensor(&ws, 0).unwrap()),
                (view.shape(), &numbers(24, 6)[..])
            );
        }
    }

    /// A bias is then one value for a whole row of memory, not a row that repeats. This holds for a
    /// single feature too.
    #[test]
    fn a_network_on_a_view_moves_nothing() {
        for features in [1, 5] {
            let graph = Graph::new();
            let (w, b) = (graph.input(&[features, 3]), graph.input(&[3]));
            let x = graph.input(&[features, 40]).batch_first();
            let y = x.matmul(w) + b;
            let energy = (y.tanh().logsumexp() - y.slice(1, 0..1)).sum();
            let gradient = graph.grad(energy, &[w, b]).unwrap();
            let program = graph
                .compile::<f32>(&[energy, gradient[0], gradient[1]])
                .unwrap();
            let text = program.to_string();
            assert!(
                !text.contains("transpose") && !text.contains("period: 3 "),
                "{text}"
            );
        }
    }
}
