//! The reverse sweep: gradients, and vector-Jacobian, Jacobian-vector and Hessian-vector products.
//!
//! Every operation has one rule, its VJP, written in the graph's own operations. The other products
//! follow:
//! - `jvp`: a VJP `u -> J^T u` is linear in `u`, so *its* VJP is `v -> J v`; the symbol `u` cancels
//!   (the "double backward trick", J. Townsend 2017).
//! - `hvp`: `H v = grad <grad y, v>`.

use std::collections::BTreeMap;

use super::graph::{Graph, Node, Var};
use super::ops::{Op, Unary, vjp_rule};
use super::shape::show;
use crate::error::{Error, Result};

/// What one consumer of a value adds to that value's cotangent.
pub(crate) enum Contribution<'g> {
    /// A cotangent with the shape of the value.
    Whole(Var<'g>),
    /// A cotangent of the slice `start..` along `axis`; everything else is zero.
    Part {
        axis: usize,
        start: usize,
        value: Var<'g>,
    },
}

impl Graph {
    /// Gradients of the scalar `y` with respect to each of `wrt` (same shapes as `wrt`).
    ///
    /// # Errors
    /// If `y` is not a scalar, or recording failed earlier.
    pub fn grad<'g>(&'g self, y: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        if !y.shape().is_empty() {
            return Err(Error::shape("grad", "a scalar, shape []", show(&y.shape())));
        }
        self.vjp(y, self.constant(1.0), wrt)
    }

    /// `J^T u` for `J = dy/dx`, for each `x` of `wrt`; `u` has the shape of `y`.
    ///
    /// A view (reshape, transpose, batch order, sign) is the same variable as the value it shows.
    ///
    /// # Errors
    /// If the shapes of `u` and `y` differ, or recording failed earlier.
    pub fn vjp<'g>(&'g self, y: Var<'g>, u: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        self.check()?;
        let here = self.constant(0.0);
        here.same_graph(&[y, u], "vjp")?;
        here.same_graph(wrt, "vjp")?;
        if u.shape() != y.shape() {
            return Err(Error::shape("vjp", show(&y.shape()), show(&u.shape())));
        }
        let nodes = self.nodes();
        let mut active = vec![false; nodes.len()];
        let viewed: Vec<u32> = wrt.iter().map(|x| viewed(&nodes, x.id)).collect();
        for &id in &viewed {
            active[id as usize] = true;
        }
        for id in 0..=y.id as usize {
            active[id] |= nodes[id].args.iter().any(|&a| active[a as usize]);
        }

        let mut pending: BTreeMap<u32, Vec<Contribution<'g>>> = BTreeMap::new();
        let mut done: BTreeMap<u32, Var<'g>> = BTreeMap::new();
        pending.insert(y.id, vec![Contribution::Whole(u)]);
        while let Some((id, contributions)) = pending.pop_last() {
            if !active[id as usize] {
                continue;
            }
            let node = &nodes[id as usize];
            let cotangent = accumulate(self, &node.shape, contributions);
            done.insert(id, cotangent);
            if cotangent.is_constant(0.0) {
                continue;
            }
            let value = Var { graph: self, id };
            let args: Vec<Var<'g>> = node
                .args
                .iter()
                .map(|&a| Var { graph: self, id: a })
                .collect();
            for (position, &arg) in args.iter().enumerate() {
                if active[arg.id as usize]
                    && let Some(c) = vjp_rule(node, value, &args, position, cotangent)
                {
                    pending.entry(arg.id).or_default().push(c);
                }
            }
        }
        self.check()?;
        Ok(wrt
            .iter()
            .zip(viewed)
            .map(|(x, base)| match done.get(&base) {
                Some(&cotangent) => seen_as(&nodes, x.id, cotangent),
                None => self.full(&x.shape(), 0.0),
            })
            .collect())
    }

    /// `J v` for `J = dy/dx`. `v` has the shape of `x`, and the result has the shape of `y`.
    ///
    /// # Errors
    /// If the shapes of `v` and `x` differ, or recording failed earlier.
    pub fn jvp<'g>(&'g self, y: Var<'g>, x: Var<'g>, v: Var<'g>) -> Result<Var<'g>> {
        let u = self.placeholder(&y.shape());
        let pullback = self.vjp(y, u, &[x])?;
        Ok(self.vjp(pullback[0], v, &[u])?[0])
    }

    /// `H v` for the Hessian `H` of the scalar `y` with respect to `x`. `v` and the result have the
    /// shape of `x`.
    ///
    /// # Errors
    /// If `y` is not a scalar, the shapes of `v` and `x` differ, or recording failed earlier.
    pub fn hvp<'g>(&'g self, y: Var<'g>, x: Var<'g>, v: Var<'g>) -> Result<Var<'g>> {
        let gradient = self.grad(y, &[x])?;
        Ok(self.vjp(gradient[0], v, &[x])?[0])
    }
}

/// The value that a view shows. An operation on a view may have been recorded on this value
/// instead, so derivatives are taken with respect to this value. Views keep every element, so
/// nothing is lost. Negation counts as a view, because a double negation is not recorded.
fn viewed(nodes: &[Node], id: u32) -> u32 {
    let node = &nodes[id as usize];
    match node.op {
        Op::Reshape | Op::Transpose | Op::BatchFirst | Op::BatchLast | Op::Unary(Unary::Neg) => {
            viewed(nodes, node.args[0])
        }
        _ => id,
    }
}

/// Turns a cotangent of the viewed value into a cotangent of the view `id`.
fn seen_as<'g>(nodes: &[Node], id: u32, cotangent: Var<'g>) -> Var<'g> {
    let node = &nodes[id as usize];
    let inner = || seen_as(nodes, node.args[0], cotangent);
    match node.op {
        Op::Reshape => inner().reshape(&node.shape),
        Op::Transpose => inner().t(),
        Op::BatchFirst => inner().batch_first(),
        Op::BatchLast => inner().batch_last(),
        Op::Unary(Unary::Neg) => -inner(),
        _ => cotangent,
    }
}

/// Sums contributions. Parts that do not overlap are laid side by side in one `concat`, so the
/// gradient of a flat parameter vector is written once instead of being summed from padded pieces.
fn accumulate<'g>(graph: &'g Graph, shape: &[usize], all: Vec<Contribution<'g>>) -> Var<'g> {
    let mut total: Option<Var<'g>> = None;
    let mut add = |v: Var<'g>| {
        total = Some(match total {
            None => v,
            Some(t) => t + v,
        });
    };
    // per axis, groups of parts that can share one concat
    let mut rows: Vec<(usize, Vec<(usize, Var<'g>)>)> = Vec::new();
    for c in all {
        match c {
            Contribution::Whole(v) => add(v),
            Contribution::Part { axis, start, value } => {
                let end = start + value.shape()[axis];
                let fits = |row: &(usize, Vec<(usize, Var<'g>)>)| {
                    row.0 == axis
                        && row
                            .1
                            .iter()
                            .all(|&(s, v)| end <= s || s + v.shape()[axis] <= start)
                };
                match rows.iter_mut().find(|row| fits(row)) {
                    Some(row) => row.1.push((start, value)),
                    None => rows.push((axis, vec![(start, value)])),
                }
            }
        }
    }
    for (axis, mut parts) in rows {
        parts.sort_by_key(|&(start, _)| start);
        let mut pieces = Vec::new();
        let mut position = 0;
        let gap = |from: usize, to: usize, pieces: &mut Vec<Var<'g>>| {
            if to > from {
                let mut extents = shape.to_vec();
                extents[axis] = to - from;
                pieces.push(graph.full(&extents, 0.0));
            }
        };
        for (start, value) in parts {
            gap(position, start, &mut pieces);
            position = start + value.shape()[axis];
            pieces.push(value);
        }
        gap(position, shape[axis], &mut pieces);
        add(graph.concat(axis, &pieces));
    }
    total.unwrap_or_else(|| graph.full(shape, 0.0))
}
