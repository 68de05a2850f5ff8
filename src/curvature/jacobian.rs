//! Rows of the Jacobian of a network's outputs, one VJP each: `J_n^T u`.

use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Error, Result, counted};
use crate::nn::Network;
use crate::scalar::Scalar;

/// `f(x)` and `J^T u` of a network at a point, one row of data at a time. Threads share it, each
/// with its own [`JacobianMemory`].
#[derive(Clone, Debug)]
pub struct JacobianRows<T> {
    program: Program<T>,
    theta: Vec<T>,
    features: usize,
    outputs: usize,
}

/// Memory for [`JacobianRows`].
#[derive(Clone, Debug)]
pub struct JacobianMemory<T> {
    ws: Workspace<T>,
    x: Vec<T>,
    u: Vec<T>,
}

impl<T: Scalar> JacobianRows<T> {
    /// The rows at `theta`.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn new(network: &dyn Network, theta: &[T]) -> Result<Self> {
        let (dim, d, k) = (network.dim(), network.input_dim(), network.output_dim());
        check(dim, theta.len())?;
        let graph = Graph::new();
        let t = graph.input(&[dim]);
        let (x, u, one) = (
            graph.input(&[1, d]),
            graph.input(&[1, k]),
            graph.input(&[1, 1]),
        );
        let outputs = network.forward(t, x);
        let row = graph.vjp(outputs, u, &[t])?[0];
        Ok(Self {
            // times one: results are read from the program's memory, where a mere input is not
            program: graph.compile(&[outputs * one, row])?,
            theta: theta.to_vec(),
            features: d,
            outputs: k,
        })
    }

    /// The same rows at another point. The program is shared.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn at(&self, theta: &[T]) -> Result<Self> {
        check(self.theta.len(), theta.len())?;
        Ok(Self {
            program: self.program.clone(),
            theta: theta.to_vec(),
            ..*self
        })
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Fresh memory.
    pub fn memory(&self) -> JacobianMemory<T> {
        JacobianMemory {
            ws: self.program.workspace(),
            x: vec![T::ZERO; self.features],
            u: vec![T::ZERO; self.outputs],
        }
    }

    /// Returns `J^T u` (`[P]`) and the outputs `f(x)`, at features `x` and for `u` `[k]`. Both
    /// slices lie in `memory`.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn pull_back<'m>(
        &self,
        x: &[f64],
        u: &[f64],
        memory: &'m mut JacobianMemory<T>,
    ) -> Result<(&'m [T], &'m [T])> {
        if x.len() != self.features || u.len() != self.outputs {
            let expected = format!(
                "{} and {}",
                counted(self.features, "feature"),
                counted(self.outputs, "output")
            );
            let got = format!("{} and {}", x.len(), u.len());
            return Err(Error::shape("JacobianRows", expected, got));
        }
        for (to, &from) in memory.x.iter_mut().zip(x) {
            *to = T::from_f64(from);
        }
        for (to, &from) in memory.u.iter_mut().zip(u) {
            *to = T::from_f64(from);
        }
        let inputs = [self.theta.as_slice(), &memory.x, &memory.u, &[T::ONE]];
        self.program.run(&inputs, &mut memory.ws)?;
        let ws = &memory.ws;
        Ok((self.program.tensor(ws, 1)?, self.program.tensor(ws, 0)?))
    }
}

fn check(dim: usize, got: usize) -> Result<()> {
    if got == dim {
        return Ok(());
    }
    let expected = format!("a vector of {}", counted(dim, "parameter"));
    Err(Error::shape("JacobianRows", expected, got))
}
