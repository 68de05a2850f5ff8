//! What a program checks before it runs, and how its outputs are read. Misuse is an error.

use super::instruction::{Place, Value, View};
use super::program::{Program, Workspace};
use crate::autodiff::shape::{numel, show};
use crate::error::{Error, Result, counted};
use crate::scalar::Scalar;
use crate::simd::Aligned;

impl<T: Scalar> Program<T> {
    /// Output number `index`, a row-major tensor.
    ///
    /// # Errors
    /// If there is no such output, it is a scalar ([`Program::scalar`]), or the workspace is
    /// another program's.
    pub fn tensor<'w>(&self, ws: &'w Workspace<T>, index: usize) -> Result<&'w [T]> {
        let op = "Program::tensor";
        match self.code.outputs.get(index) {
            Some(Value::View(View {
                place: Place::Buffer(b),
                offset,
                len,
            })) => {
                let buffer = self.is_like(ws).then(|| ws.buffers.get(*b)).flatten();
                let buffer = buffer.filter(|all| self.code.buffers.get(*b) == Some(&all.len()));
                let part = buffer.and_then(|all| all.as_slice().get(*offset..offset + len));
                part.ok_or_else(|| foreign(op))
            }
            Some(Value::Scalar(_)) => {
                let expected = format!("a tensor in output {index}");
                Err(Error::shape(op, expected, "a scalar"))
            }
            // the compiler copies inputs and constants to buffers
            Some(Value::View(_)) | None => Err(self.no_output(op, index)),
        }
    }

    /// Output number `index`, a scalar in f64.
    ///
    /// # Errors
    /// If there is no such output, it is a tensor ([`Program::tensor`]), or the workspace is
    /// another program's.
    pub fn scalar(&self, ws: &Workspace<T>, index: usize) -> Result<f64> {
        let op = "Program::scalar";
        match self.code.outputs.get(index) {
            Some(Value::Scalar(slot)) => {
                let value = self.is_like(ws).then(|| ws.scalars.get(*slot)).flatten();
                value.copied().ok_or_else(|| foreign(op))
            }
            Some(Value::View(view)) => {
                let expected = format!("a scalar in output {index}");
                Err(Error::shape(
                    op,
                    expected,
                    format!("a tensor of {}", view.len),
                ))
            }
            None => Err(self.no_output(op, index)),
        }
    }

    /// Checks inputs and workspace before a run.
    pub(in crate::autodiff) fn check(&self, inputs: &[&[T]], ws: &Workspace<T>) -> Result<()> {
        let op = "Program::run";
        if inputs.len() != self.code.inputs.len() {
            let expected = counted(self.code.inputs.len(), "input");
            return Err(Error::shape(op, expected, inputs.len()));
        }
        for (index, (input, shape)) in inputs.iter().zip(&self.code.inputs).enumerate() {
            if input.len() != numel(shape) {
                let expected = format!("input {index} of shape {}", show(shape));
                let got = counted(input.len(), "number");
                return Err(Error::shape(op, expected, got));
            }
        }
        let lens = ws.buffers.iter().map(Aligned::len);
        if !(self.is_like(ws) && lens.eq(self.code.buffers.iter().copied())) {
            return Err(foreign(op));
        }
        Ok(())
    }

    /// A quick look at a workspace: it has as many values of every kind as this program's.
    fn is_like(&self, ws: &Workspace<T>) -> bool {
        ws.scalars.len() == self.scalars.len()
            && ws.registers.len() == self.code.registers
            && ws.scratch.len() == self.code.scratch
            && ws.buffers.len() == self.code.buffers.len()
    }

    fn no_output(&self, op: &'static str, index: usize) -> Error {
        let expected = match self.code.outputs.len() {
            0 => "no output to be read: there is none".into(),
            count => format!("an output in 0..{count}"),
        };
        Error::shape(op, expected, index)
    }
}

fn foreign(op: &'static str) -> Error {
    let (expected, got) = ("a workspace of this program", "that of another");
    Error::shape(op, expected, got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;

    fn message<R: std::fmt::Debug>(result: Result<R>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn misuse_is_an_error_that_says_what_was_expected() {
        let graph = Graph::new();
        let (x, w) = (graph.input(&[2, 3]), graph.input(&[3]));
        let y = x * w;
        let program = graph.compile::<f64>(&[y, y.sum()]).unwrap();
        let other = graph
            .compile::<f64>(&[(x * w).exp().matmul(x.t())])
            .unwrap();
        let mut ws = program.workspace();
        let (a, b) = ([1.0; 6], [2.0; 3]);
        let says = |said: String, expected: &str, got: &str| {
            assert!(
                said.contains(&format!("expected {expected}, got {got}")),
                "{said}"
            );
        };
        says(message(program.run(&[&a], &mut ws)), "2 inputs", "1");
        says(
            message(program.run(&[&a, &b, &b], &mut ws)),
            "2 inputs",
            "3",
        );
        let said = message(program.run(&[&a, &a], &mut ws));
        says(said, "input 1 of shape [3]", "6 numbers");
        let (own, foreign) = ("a workspace of this program", "that of another");
        says(
            message(program.run(&[&a, &b], &mut other.workspace())),
            own,
            foreign,
        );
        program.run(&[&a, &b], &mut ws).unwrap();
        assert_eq!(program.tensor(&ws, 0).unwrap(), [2.0; 6]);
        assert_eq!(program.scalar(&ws, 1).unwrap(), 12.0);
        says(message(program.tensor(&ws, 2)), "an output in 0..2", "2");
        says(message(program.scalar(&ws, 7)), "an output in 0..2", "7");
        says(
            message(program.tensor(&ws, 1)),
            "a tensor in output 1",
            "a scalar",
        );
        says(
            message(program.scalar(&ws, 0)),
            "a scalar in output 0",
            "a tensor of 6",
        );
        says(message(program.tensor(&other.workspace(), 0)), own, foreign);
        says(message(program.scalar(&other.workspace(), 1)), own, foreign);
        let none = graph.compile::<f64>(&[]).unwrap();
        assert!(none.tensor(&none.workspace(), 0).is_err());
    }
}
