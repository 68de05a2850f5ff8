//! A compiled graph whose outputs are read as plain vectors.

use crate::autodiff::{Graph, Program, Var, Workspace};
use crate::error::Result;

/// A program with its memory.
pub(super) struct Recorded {
    program: Program<f64>,
    ws: Workspace<f64>,
    /// Length of each output; `None` for a scalar.
    lens: Vec<Option<usize>>,
}

impl Recorded {
    /// Compiles the outputs.
    ///
    /// # Errors
    /// The first recording error.
    pub fn new<'g>(graph: &'g Graph, outputs: &[Var<'g>]) -> Result<Self> {
        let mut lens = Vec::new();
        let outputs: Vec<Var<'g>> = outputs
            .iter()
            .map(|&output| {
                let shape = output.shape();
                if shape.is_empty() {
                    lens.push(None);
                    return output;
                }
                lens.push(Some(shape.iter().product()));
                // a part that changes nothing returns its input, which a program does not output
                graph.concat(0, &[output, output])
            })
            .collect();
        let program = graph.compile(&outputs)?;
        let ws = program.workspace();
        Ok(Self { program, ws, lens })
    }

    /// Runs it; one vector for each output.
    ///
    /// # Errors
    /// If the inputs do not fit.
    pub fn run(&mut self, inputs: &[&[f64]]) -> Result<Vec<Vec<f64>>> {
        self.program.run(inputs, &mut self.ws)?;
        let read = self.lens.iter().enumerate().map(|(i, len)| match len {
            None => Ok(vec![self.program.scalar(&self.ws, i)?]),
            Some(len) => match self.program.tensor(&self.ws, i)?.get(..*len) {
                Some(numbers) => Ok(numbers.to_vec()),
                None => Ok(vec![f64::NAN; *len]),
            },
        });
        read.collect()
    }

    /// Runs it and returns the first number of the first output.
    ///
    /// # Errors
    /// If the inputs do not fit.
    pub fn scalar(&mut self, inputs: &[&[f64]]) -> Result<f64> {
        let outputs = self.run(inputs)?;
        let first = outputs.first().and_then(|output| output.first());
        Ok(first.copied().unwrap_or(f64::NAN))
    }
}
