//! Compiles a graph into a program.
//!
//! 1. **Live nodes**: nodes that no output needs are dropped. (Equal nodes were recorded only
//!    once.)
//! 2. **Fusion**: if one kernel holds all consumers of an elementwise value, that kernel also
//!    computes the value. Broadcasts are not written out for a kernel: it reads the operand with a
//!    stride.
//! 3. **Aliases**: reshapes and contiguous slices are views of the memory they come from.
//! 4. **Scalars**: values of shape `[]` live in the scalar file, an array of f64. So energies keep
//!    double precision in f32 programs.
//! 5. **Following** (`follow`): if a single elementwise chain reads a matrix product, both are
//!    computed together, block by block.
//! 6. **Memory** (`plan`): a buffer is reused once its last reader is done.

mod copy;
mod display;
pub(crate) mod follow;
mod fuse;
pub(crate) mod kernel;
mod lower;
mod plan;

use self::lower::Lowering;
use super::exec::Program;
use super::exec::instruction::Code;
use super::graph::{Graph, Var};
use crate::error::Result;
use crate::scalar::Scalar;

impl Graph {
    /// Compiles a program that computes `outputs`, in this order.
    ///
    /// # Errors
    /// The first error of recording: an operation whose shapes do not fit.
    pub fn compile<'g, T: Scalar>(&'g self, outputs: &[Var<'g>]) -> Result<Program<T>> {
        self.check()?;
        self.constant(0.0).same_graph(outputs, "compile")?;
        let nodes = self.nodes();
        let ids: Vec<usize> = outputs.iter().map(|v| v.id as usize).collect();
        let mut lowering = Lowering::new(&nodes, &ids)?;
        for id in 0..nodes.len() {
            lowering.lower(id);
        }
        let outputs = ids.iter().map(|&id| lowering.output(id)).collect();
        let tensors = self.tensors();
        let mut code = Code {
            instructions: lowering.instructions,
            inputs: self.input_shapes(),
            tensors: tensors
                .iter()
                .map(|t| t.iter().map(|&x| T::from_f64(x)).collect())
                .collect(),
            buffers: lowering.buffers,
            registers: lowering.registers,
            scratch: 0,
            outputs,
            named: lowering.named,
        };
        follow::join(&mut code);
        plan::share_buffers(&mut code);
        Ok(Program::new(code, lowering.scalars))
    }
}
