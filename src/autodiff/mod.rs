//! Reverse-mode automatic differentiation on a static graph: recorded once, compiled once, run many times.
//!
//! Operations on [`Var`] handles record nodes in a [`Graph`]. Differentiation *emits nodes of the same graph*, so it is
//! closed: a gradient can be differentiated again, and Hessian-vector products, Jacobian-vector products and the
//! training of a flow through an energy need no rule of their own. [`Graph::compile`] turns the outputs that are asked
//! for into a [`Program`]: dead nodes and repeated ones are gone, elementwise chains are fused into one pass over
//! memory, and every buffer is planned, so that [`Program::run`] allocates nothing of its own.
//!
//! ```
//! use fiberwalk::autodiff::Graph;
//! # fn main() -> fiberwalk::Result<()> {
//! let graph = Graph::new();
//! let x = graph.input(&[3]);
//! let y = (x.square() * 0.5 + x.tanh()).sum();
//! let dy = graph.grad(y, &[x])?;
//! let program = graph.compile::<f64>(&[y, dy[0]])?;
//! let mut ws = program.workspace();
//! program.run(&[&[0.0, 1.0, 2.0]], &mut ws)?;
//! assert_eq!(program.tensor(&ws, 1)[0], 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `graph` | nodes, handles, common subexpressions, the first recording error |
//! | `ops/*` | one family of operations each: how it is recorded, its derivative, its kernel, its tests |
//! | `differentiate` | the reverse sweep, and JVP and HVP made of it |
//! | `compile` | which values live in memory, which are fused, and in which buffer |
//! | `program` | the instructions and the workspace |
//! | `uses` | the products in which a weight is used |

mod compile;
mod differentiate;
mod graph;
mod ops;
mod program;
mod shape;
#[cfg(test)]
pub(crate) mod tests;
mod uses;

pub use graph::{Graph, Var};
pub use ops::Window;
pub use program::{Program, Workspace};
pub(crate) use uses::{UseKind, WeightUse};
