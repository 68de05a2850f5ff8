//! Reverse-mode automatic differentiation on a static graph.
//!
//! A graph is recorded once, compiled once, and run many times.
//!
//! Operations on [`Var`] handles record nodes in a [`Graph`]. Differentiation *emits nodes of the
//! same graph*, so a gradient can be differentiated again. Hessian-vector products, Jacobian-vector
//! products and the training of a flow through an energy need no rules of their own.
//! [`Graph::compile`] turns the requested outputs into a [`Program`]. Dead and repeated nodes are
//! gone, elementwise chains are fused into one pass over memory, and every buffer is planned. So
//! [`Program::run`] itself allocates nothing.
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
//! assert_eq!(program.tensor(&ws, 1)?[0], 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `graph` | nodes, handles, common subexpressions, the first recording error |
//! | `ops/*` | one family of operations per file: recording, derivative, kernel, tests |
//! | `differentiate` | the reverse sweep; JVP and HVP built on it |
//! | `compile` | which values are stored, which are fused, and which buffer holds each |
//! | `exec/instruction` | what a program consists of |
//! | `exec/program` | the program and its workspace |
//! | `exec/access` | checks before a run, and the outputs after it |
//! | `uses` | the products and convolutions that use a weight |

mod compile;
mod differentiate;
mod exec;
mod graph;
mod ops;
mod shape;
#[cfg(test)]
pub(crate) mod tests;
mod uses;

pub use exec::{Program, Workspace};
pub use graph::{Graph, Var};
pub use ops::Window;
pub(crate) use uses::{UseKind, WeightUse};
