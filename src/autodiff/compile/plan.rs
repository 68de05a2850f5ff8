//! Memory planning: values whose lives do not overlap share a buffer.

use super::kernel::{Kernel, Operand};
use crate::autodiff::exec::instruction::{Action, Code, Instruction, Place, Value, View};

/// Renumbers a program with one buffer per value so that buffers are reused. Outputs keep theirs to
/// the end.
pub(super) fn share_buffers<T>(code: &mut Code<T>) {
    let count = code.buffers.len();
    let mut last_read = vec![0usize; count];
    for (time, instruction) in code.instructions.iter_mut().enumerate() {
        for view in views(instruction) {
            if let Place::Buffer(b) = view.place {
                last_read[b] = time;
            }
        }
    }
    for output in &code.outputs {
        if let Value::View(View {
            place: Place::Buffer(b),
            ..
        }) = output
        {
            last_read[*b] = usize::MAX;
        }
    }
    let mut sizes: Vec<usize> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut home = vec![usize::MAX; count];
    for (time, instruction) in code.instructions.iter_mut().enumerate() {
        let read: Vec<usize> = views(instruction)
            .filter_map(|view| match view.place {
                Place::Buffer(b) => Some(b),
                _ => None,
            })
            .collect();
        for view in views(instruction) {
            if let Place::Buffer(b) = view.place {
                view.place = Place::Buffer(home[b]);
            }
        }
        // the target is chosen while the operands are still held: nothing is computed in place
        if let Instruction::Fill { out, len, .. } = instruction {
            let slot = take_best_fit(&mut free, &sizes, *len).unwrap_or_else(|| {
                sizes.push(0);
                sizes.len() - 1
            });
            sizes[slot] = sizes[slot].max(*len);
            home[*out] = slot;
            if last_read[*out] < time {
                free.push(slot);
            }
            *out = slot;
        }
        let mut ended: Vec<usize> = read;
        ended.sort_unstable();
        ended.dedup();
        for b in ended {
            if last_read[b] == time {
                free.push(home[b]);
            }
        }
    }
    for output in &mut code.outputs {
        if let Value::View(view) = output
            && let Place::Buffer(b) = view.place
        {
            view.place = Place::Buffer(home[b]);
        }
    }
    code.buffers = sizes;
}

/// The smallest free buffer that is large enough, or else the largest free one.
fn take_best_fit(free: &mut Vec<usize>, sizes: &[usize], len: usize) -> Option<usize> {
    let fitting = (0..free.len())
        .filter(|&i| sizes[free[i]] >= len)
        .min_by_key(|&i| sizes[free[i]]);
    let best = fitting.or_else(|| (0..free.len()).max_by_key(|&i| sizes[free[i]]))?;
    Some(free.swap_remove(best))
}

fn operands(kernel: &mut Kernel) -> impl Iterator<Item = &mut View> {
    kernel
        .operands
        .iter_mut()
        .filter_map(|operand| match operand {
            Operand::Direct(view) | Operand::Spread { view, .. } => Some(view),
            Operand::Scalar(_) | Operand::Local => None,
        })
}

/// All views that an instruction reads.
pub(super) fn views(instruction: &mut Instruction) -> impl Iterator<Item = &mut View> {
    let list: Vec<&mut View> = match instruction {
        Instruction::SumAll { src, .. } | Instruction::Load { src, .. } => vec![src],
        Instruction::Unary { .. } | Instruction::Binary { .. } => vec![],
        Instruction::Fill { action, .. } => match action {
            Action::Map(kernel) => operands(kernel).collect(),
            Action::MatMulMap {
                a, b, add, kernel, ..
            } => operands(kernel).chain([a, b]).chain(add).collect(),
            Action::MatMul { a, b, .. } => vec![a, b],
            Action::LogSumExp { src, shift, .. } => vec![src, shift],
            Action::SumTo { src, .. }
            | Action::Shift { src, .. }
            | Action::Transpose { src, .. } => vec![src],
            Action::Copy(parts) => parts.iter_mut().map(|part| &mut part.src).collect(),
            Action::Window { chooser, src, .. } => vec![chooser, src],
            Action::Pad { src, .. } => vec![src],
            Action::Conv { image, other, .. } => vec![image, other],
            Action::Pick { src, labels, .. } | Action::Unpick { src, labels, .. } => {
                vec![src, labels]
            }
        },
    };
    list.into_iter()
}
