//! Folding: what no input changes is computed once, and what changes nothing is left out.
//!
//! A value is *settled* if all its elements are one number that no input changes: a constant, or
//! computed from constants of which some have names. Without names the number is known while the
//! graph is recorded. With names it is a scalar of the program, in double precision, and takes part
//! in the same rules. So a named constant costs what a constant costs, and gives the same bits.

use super::Op;
use super::elementwise::{Binary, Unary};
use crate::autodiff::graph::Var;

impl<'g> Var<'g> {
    /// `op(self)` of a settled value. Scalars that are computed from named constants are left to
    /// the caller.
    pub(super) fn fold_unary(self, op: Unary) -> Option<Var<'g>> {
        let shape = self.shape();
        if let Some(c) = self.graph.as_constant(self.id) {
            return Some(self.graph.full(&shape, op.apply(c)));
        }
        let scalar = self.settled().filter(|_| !shape.is_empty())?;
        Some(scalar.unary(op).broadcast_to(&shape))
    }

    /// `op(self, other)`, of the given shape, if a constant makes it simpler.
    pub(super) fn fold_binary(
        self,
        op: Binary,
        other: Var<'g>,
        shape: &[usize],
    ) -> Option<Var<'g>> {
        let graph = self.graph;
        match (graph.as_constant(self.id), graph.as_constant(other.id), op) {
            (Some(x), Some(y), _) => return Some(graph.full(shape, op.apply(x, y))),
            (Some(0.0), _, Binary::Add) => return Some(other.broadcast_to(shape)),
            (_, Some(0.0), Binary::Add | Binary::Sub) => return Some(self.broadcast_to(shape)),
            (Some(0.0), _, Binary::Sub) => return Some(-other.broadcast_to(shape)),
            (Some(1.0), _, Binary::Mul) => return Some(other.broadcast_to(shape)),
            (_, Some(0.0), Binary::TanhBack) | (_, Some(1.0), Binary::Mul | Binary::Div) => {
                return Some(self.broadcast_to(shape));
            }
            // a zero cotangent stays zero even times infinity or NaN: derivatives sum over existing
            // paths
            (Some(0.0), _, Binary::Mul | Binary::TanhBack) | (_, Some(0.0), Binary::Mul) => {
                return Some(graph.full(shape, 0.0));
            }
            _ => {}
        }
        if let (Some(a), Some(b)) = (self.settled(), other.settled()) {
            let scalar = graph.push(Op::Binary(op), &[a.id, b.id], vec![]);
            return Some(scalar.broadcast_to(shape));
        }
        if op != Binary::Mul {
            return None;
        }
        let product = self
            .times_product(other)
            .or_else(|| other.times_product(self))?;
        Some(product.broadcast_to(shape))
    }

    /// Rewrites `c1 (c2 x)` as `(c1 c2) x`, if this is settled and `other` is such a product.
    fn times_product(self, other: Var<'g>) -> Option<Var<'g>> {
        let outer = self.settled()?;
        let node = self.graph.node(other.id);
        if node.op != Op::Binary(Binary::Mul) {
            return None;
        }
        (0..2).find_map(|position| {
            let inner = self.graph.as_settled(node.args[position])?;
            let x = Var {
                graph: self.graph,
                id: node.args[1 - position],
            };
            Some(x * (outer * inner))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::exec::instruction::Instruction;
    use crate::autodiff::tests::numbers;
    use crate::autodiff::{Graph, Program};

    /// A formula of `x` `[4, 3]` and a scalar `c`.
    type Formula = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;

    /// Each would show a rule that treats names otherwise than constants: the order of products, a
    /// factor that is rounded to the number type too early, a view that stops a rule.
    const FORMULAS: [Formula; 8] = [
        |x, c| x.square().sum() * c + c.ln() * 7.0,
        |x, c| (x.tanh() * c).sum() * c,
        |x, c| ((x * c) * 0.3 - c).square().sum(),
        |x, c| (x / c).exp().mean() / c,
        |x, c| {
            (-(c.broadcast_to(&[4, 3])) * x.square())
                .sum_axis(1)
                .square()
                .sum()
        },
        |x, c| (c.broadcast_to(&[12]).reshape(&[4, 3]).t().batch_first() * (x * 3.0)).sum(),
        |x, c| c.broadcast_to(&[4, 3]).slice(0, 1..3).sum() * x.softplus().sum(),
        |x, c| c.broadcast_to(&[4, 3]).sum_axis(0).exp().sum() * x.square().sum(),
    ];

    /// Value, gradient and Hessian product of a formula.
    fn compile<T: crate::scalar::Scalar>(
        formula: Formula,
        constant: impl for<'g> Fn(&'g Graph) -> Var<'g>,
    ) -> Program<T> {
        let graph = Graph::new();
        let x = graph.input(&[3, 4]).batch_first();
        let v = graph.input(&[4, 3]);
        let value = formula(x, constant(&graph));
        let gradient = graph.vjp(value, graph.constant(-1.0), &[x]).unwrap()[0];
        let hessian = graph.hvp(value, x, v).unwrap();
        graph.compile(&[value, gradient, hessian]).unwrap()
    }

    fn bits<T: crate::scalar::Scalar>(program: &Program<T>) -> (Vec<u64>, usize) {
        let of = |seed| -> Vec<T> { numbers(12, seed).into_iter().map(T::from_f64).collect() };
        let mut ws = program.workspace();
        program.run(&[&of(1), &of(2)], &mut ws).unwrap();
        let mut all = vec![program.scalar(&ws, 0).unwrap().to_bits()];
        for i in 1..3 {
            // the sign of a zero says nothing
            let numbers = program.tensor(&ws, i).unwrap().iter();
            all.extend(numbers.map(|x| (x.to_f64() + 0.0).to_bits()));
        }
        let fills = program.instructions().iter();
        let fills = fills
            .filter(|i| matches!(i, Instruction::Fill { .. }))
            .count();
        (all, fills)
    }

    fn named_constants_are_constants<T: crate::scalar::Scalar>() {
        let of: fn(f64) -> f64 = |s| 0.5 / s.powi(2);
        for (at, formula) in FORMULAS.into_iter().enumerate() {
            let elsewhere: Program<T> = compile(formula, |graph| graph.named("s", 7.3, of));
            for s in [0.31, 1.9] {
                let want = bits(&compile::<T>(formula, |graph| graph.constant(of(s))));
                let mut program = elsewhere.clone();
                program.set("s", s);
                assert!(program.is_copy_of(&elsewhere));
                assert_eq!(bits(&program), want, "formula {at} at {s}");
                let here = compile::<T>(formula, |graph| graph.named("s", s, of));
                assert_eq!(bits(&here), want, "formula {at} recorded at {s}");
                assert!(!here.is_copy_of(&elsewhere));
            }
        }
    }

    /// The same bits as with a constant, and as many passes over memory.
    #[test]
    fn a_named_constant_gives_the_bits_of_a_constant() {
        named_constants_are_constants::<f64>();
        named_constants_are_constants::<f32>();
    }

    #[test]
    fn a_name_stands_for_all_its_constants_and_for_no_others() {
        let graph = Graph::new();
        let [a, square] = [|s: f64| s, |s: f64| s * s].map(|of| graph.named("a", 3.0, of));
        let b = graph.named("b", 5.0, |s| s);
        assert_eq!(b.id, 2, "one node each");
        let mut program = graph.compile::<f64>(&[a + square + b]).unwrap();
        let mut ws = program.workspace();
        let mut run = |program: &Program<f64>| {
            program.run(&[], &mut ws).unwrap();
            program.scalar(&ws, 0).unwrap()
        };
        let before = program.clone();
        assert_eq!(run(&program), 17.0);
        program.set("a", 2.0);
        program.set("c", 9.0);
        assert_eq!(run(&program), 11.0);
        assert_eq!(run(&before), 17.0);
        let values = |name| program.values_of(name).collect::<Vec<_>>();
        assert_eq!(values("a"), [2.0, 2.0]);
        assert_eq!((values("b"), values("c")), (vec![5.0], vec![]));
    }
}
