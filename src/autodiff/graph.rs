//! The graph and its handles. Nodes are recorded in order, and equal nodes only once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ptr::fn_addr_eq;

use super::ops::Op;
use super::shape::{Shape, numel, show};
use crate::error::{Error, Result, counted};

/// A constant with a name: the scalar `of(value)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    pub name: &'static str,
    /// The bits of the value.
    bits: u64,
    pub of: fn(f64) -> f64,
}

impl Named {
    /// The value when the graph was recorded.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }
}

/// Two functions may be told apart by mistake, if they were compiled in different places. Then a
/// constant is recorded twice, which does no harm.
impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.bits) == (other.name, other.bits) && fn_addr_eq(self.of, other.of)
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, self.bits).hash(state);
    }
}

/// One recorded operation.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub op: Op,
    pub args: Vec<u32>,
    pub shape: Shape,
}

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    /// For each node, whether it is a scalar that no input changes.
    settled: Vec<bool>,
    known: HashMap<(Op, Vec<u32>, Shape), u32>,
    inputs: Vec<Shape>,
    tensors: Vec<Vec<f64>>,
    placeholders: usize,
    error: Option<Error>,
}

/// A static graph of tensor operations.
///
/// Recording never fails on the spot, so formulas read as formulas. If shapes do not fit, the graph
/// keeps the first such error, and [`Graph::grad`] and [`Graph::compile`] return it.
#[derive(Default)]
pub struct Graph {
    state: RefCell<State>,
}

/// A handle on one value of a [`Graph`]. Copies are free; arithmetic records nodes.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) id: u32,
}

impl std::fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{}: {}", self.id, show(&self.shape()))
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input. [`crate::autodiff::Program::run`] takes inputs in the order of these calls.
    pub fn input(&self, shape: &[usize]) -> Var<'_> {
        let index = {
            let mut state = self.state.borrow_mut();
            state.inputs.push(shape.to_vec());
            state.inputs.len() - 1
        };
        self.push(Op::Input(index), &[], shape.to_vec())
    }

    /// A scalar constant.
    pub fn constant(&self, value: f64) -> Var<'_> {
        self.push(Op::constant(value), &[], vec![])
    }

    /// A scalar constant with a name, `of(value)`. [`Program::set`] gives the name another value in
    /// a compiled program, and compiles nothing. Apart from that, programs treat it as a constant.
    ///
    /// Several constants may share a name, one for each form in which a formula uses its value.
    /// `of` is computed in double precision and outside the graph, once for each value.
    ///
    /// ```
    /// use fiberwalk::autodiff::Graph;
    /// # fn main() -> fiberwalk::Result<()> {
    /// let graph = Graph::new();
    /// let x = graph.input(&[2]);
    /// let y = x.square().sum() * graph.named("std", 2.0, |std| 0.5 / std.powi(2));
    /// let mut program = graph.compile::<f64>(&[y])?;
    /// let mut ws = program.workspace();
    /// program.run(&[&[2.0, 2.0]], &mut ws)?;
    /// assert_eq!(program.scalar(&ws, 0)?, 1.0);
    /// program.set("std", 1.0);
    /// program.run(&[&[2.0, 2.0]], &mut ws)?;
    /// assert_eq!(program.scalar(&ws, 0)?, 4.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`Program::set`]: crate::autodiff::Program::set
    pub fn named(&self, name: &'static str, value: f64, of: fn(f64) -> f64) -> Var<'_> {
        let bits = value.to_bits();
        self.push(Op::Named(Named { name, bits, of }), &[], vec![])
    }

    /// A tensor filled with one constant.
    pub fn full(&self, shape: &[usize], value: f64) -> Var<'_> {
        self.constant(value).broadcast_to(shape)
    }

    /// A constant tensor, row-major, kept in the compiled program.
    pub fn tensor(&self, shape: &[usize], values: Vec<f64>) -> Var<'_> {
        if values.len() != numel(shape) {
            let got = values.len();
            return self.fail(Error::shape(
                "tensor",
                format!(
                    "{} for shape {}",
                    counted(numel(shape), "value"),
                    show(shape)
                ),
                got,
            ));
        }
        let index = {
            let mut state = self.state.borrow_mut();
            state.tensors.push(values);
            state.tensors.len() - 1
        };
        self.push(Op::Tensor(index), &[], shape.to_vec())
    }

    /// A symbol without a value. It is used where a derivative is linear in it and it cancels.
    pub(crate) fn placeholder(&self, shape: &[usize]) -> Var<'_> {
        let index = {
            let mut state = self.state.borrow_mut();
            state.placeholders += 1;
            state.placeholders
        };
        self.push(Op::Placeholder(index), &[], shape.to_vec())
    }

    /// Records a node, or returns the equal one that was recorded before.
    pub(crate) fn push(&self, op: Op, args: &[u32], shape: Shape) -> Var<'_> {
        let mut state = self.state.borrow_mut();
        let next = state.nodes.len() as u32;
        let key = (op.clone(), args.to_vec(), shape.clone());
        let id = *state.known.entry(key).or_insert(next);
        if id == next {
            let of_settled = || args.iter().all(|&a| state.settled[a as usize]);
            let settled = shape.is_empty()
                && match op {
                    Op::Constant(_) | Op::Named(_) => true,
                    Op::Unary(_) | Op::Binary(_) => of_settled(),
                    _ => false,
                };
            state.settled.push(settled);
            state.nodes.push(Node {
                op,
                args: args.to_vec(),
                shape,
            });
        }
        Var { graph: self, id }
    }

    /// Keeps the first recording error, and returns a NaN constant so that recording can go on.
    pub(crate) fn fail(&self, error: Error) -> Var<'_> {
        self.state.borrow_mut().error.get_or_insert(error);
        self.constant(f64::NAN)
    }

    /// Returns the first recording error, if there was one. The graph keeps it.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.state.borrow().error {
            None => Ok(()),
            Some(Error::Shape { op, expected, got }) => Err(Error::shape(op, expected, got)),
            Some(other) => Err(Error::shape("graph", "a valid recording", other)),
        }
    }

    pub(crate) fn node(&self, id: u32) -> Node {
        self.state.borrow().nodes[id as usize].clone()
    }

    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.state.borrow().nodes.clone()
    }

    pub(crate) fn input_shapes(&self) -> Vec<Shape> {
        self.state.borrow().inputs.clone()
    }

    pub(crate) fn tensors(&self) -> Vec<Vec<f64>> {
        self.state.borrow().tensors.clone()
    }

    /// The value of a node whose elements are all the same constant without a name.
    pub(crate) fn as_constant(&self, id: u32) -> Option<f64> {
        let scalar = self.as_settled(id)?;
        match self.state.borrow().nodes[scalar.id as usize].op {
            Op::Constant(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    /// The scalar behind a node whose elements are all the same, and the same whatever the inputs:
    /// a constant, or computed from constants of which some have names.
    pub(crate) fn as_settled(&self, id: u32) -> Option<Var<'_>> {
        let state = self.state.borrow();
        let mut id = id;
        loop {
            if state.settled[id as usize] {
                return Some(Var { graph: self, id });
            }
            let node = &state.nodes[id as usize];
            match &node.op {
                Op::Broadcast | Op::Reshape | Op::BatchFirst | Op::BatchLast => {
                    id = node.args[0];
                }
                _ => return None,
            }
        }
    }
}

impl std::fmt::Display for Graph {
    /// One node per line: `%7 = Tanh(%6) [592, 50]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (id, node) in self.state.borrow().nodes.iter().enumerate() {
            let args: Vec<String> = node.args.iter().map(|a| format!("%{a}")).collect();
            let shape = show(&node.shape);
            writeln!(f, "%{id} = {}({}) {shape}", node.op, args.join(", "))?;
        }
        Ok(())
    }
}

impl<'g> Var<'g> {
    /// Extents, outermost first.
    pub fn shape(&self) -> Vec<usize> {
        self.graph.state.borrow().nodes[self.id as usize]
            .shape
            .clone()
    }

    /// The graph this value belongs to.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// Fails if the values belong to different graphs: their ids then mean different nodes.
    pub(crate) fn same_graph(&self, others: &[Var<'g>], op: &'static str) -> Result<()> {
        if others.iter().all(|v| std::ptr::eq(v.graph, self.graph)) {
            Ok(())
        } else {
            Err(Error::shape(
                op,
                "values of one graph",
                "values of two graphs",
            ))
        }
    }

    pub(crate) fn is_constant(&self, value: f64) -> bool {
        self.graph.as_constant(self.id) == Some(value)
    }

    /// See [`Graph::as_settled`].
    pub(crate) fn settled(self) -> Option<Var<'g>> {
        self.graph.as_settled(self.id)
    }
}
