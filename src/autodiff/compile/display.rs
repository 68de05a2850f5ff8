//! Prints a program, one instruction per line, so that a reader sees what runs.

use crate::autodiff::exec::Program;
use crate::autodiff::exec::instruction::{Action, Instruction, Place, View};

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (offset, end) = (self.offset, self.offset + self.len);
        match self.place {
            Place::Input(i) => write!(f, "in{i}[{offset}..{end}]"),
            Place::Tensor(i) => write!(f, "const{i}[{offset}..{end}]"),
            Place::Buffer(i) => write!(f, "b{i}[{offset}..{end}]"),
        }
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Action::Map(kernel) => write!(f, "{kernel}"),
            Action::MatMulMap {
                shape,
                a,
                b,
                add,
                kernel,
            } => {
                let product = Action::MatMul {
                    shape: *shape,
                    a: *a,
                    b: *b,
                };
                match add {
                    None => write!(f, "{product}; of it {kernel}"),
                    Some(add) => write!(f, "{product} + {add}; of it {kernel}"),
                }
            }
            Action::MatMul { shape, a, b } => {
                let mark = |t: bool| if t { "^T" } else { "" };
                let (m, k, n) = (shape.m, shape.k, shape.n);
                write!(
                    f,
                    "{a}{} @ {b}{}  ({m} x {k} x {n})",
                    mark(shape.ta),
                    mark(shape.tb)
                )
            }
            Action::SumTo { plan, src } => write!(f, "sum {src}  {plan:?}"),
            Action::Shift { k, inner, src } => write!(f, "shift {src}  {k} x {inner}"),
            Action::LogSumExp {
                k,
                inner,
                src,
                shift,
            } => write!(f, "logsumexp {src} - {shift}  {k} x {inner}"),
            Action::Transpose { rows, cols, src } => write!(f, "transpose {src}  {rows} x {cols}"),
            Action::Copy(parts) => {
                let parts: Vec<String> = parts.iter().map(|p| p.src.to_string()).collect();
                write!(f, "copy {}", parts.join(", "))
            }
            Action::Pad { pad, src } => write!(f, "pad {src}  {pad:?}"),
            Action::Conv { plan, image, other } => write!(f, "conv {image} {other}  {plan}"),
            Action::Window {
                op, window, src, ..
            } => write!(f, "{op:?} {src}  {window:?}"),
            Action::Pick { src, labels, .. } => write!(f, "pick {src} by {labels}"),
            Action::Unpick { src, labels, .. } => write!(f, "unpick {src} by {labels}"),
        }
    }
}

impl std::fmt::Display for Instruction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Instruction::Fill { out, len, action } => write!(f, "b{out}[0..{len}] = {action}"),
            Instruction::SumAll { out, src } => write!(f, "s{out} = sum {src}"),
            Instruction::Load { out, src } => write!(f, "s{out} = {src}"),
            Instruction::Unary { out, op, a } => write!(f, "s{out} = {op:?} s{a}"),
            Instruction::Binary { out, op, a, b } => write!(f, "s{out} = {op:?} s{a} s{b}"),
        }
    }
}

impl<T> std::fmt::Display for Program<T> {
    /// One instruction per line: `b0[0..29600] = in1[0..10656] @ in0[0..900]  (592 x 18 x 50)`;
    /// scalars are `s0`, `s1`, ...
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for instruction in self.instructions() {
            writeln!(f, "{instruction}")?;
        }
        Ok(())
    }
}
