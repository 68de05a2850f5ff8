//! Slices and concats: a view where the elements are contiguous, a copy where they are not.

use super::lower::Lowering;
use crate::autodiff::exec::instruction::{Action, CopyPart, Value, View};
use crate::autodiff::graph::Node;
use crate::autodiff::shape::numel;

impl Lowering<'_> {
    pub(super) fn slice(&mut self, node: &Node, axis: usize, start: usize) -> Value {
        let source = &self.nodes[node.args[0] as usize].shape;
        let view = self.view(node.args[0]);
        let inner: usize = source[axis + 1..].iter().product();
        let outer: usize = source[..axis].iter().product();
        let width = node.shape[axis] * inner;
        if outer == 1 {
            return Value::View(View {
                place: view.place,
                offset: view.offset + start * inner,
                len: width,
            });
        }
        let part = CopyPart {
            src: view,
            src_offset: start * inner,
            src_stride: source[axis] * inner,
            dst_offset: 0,
            dst_stride: width,
            rows: outer,
            width,
        };
        self.fill(numel(&node.shape), Action::Copy(vec![part]))
    }

    pub(super) fn concat(&mut self, node: &Node, axis: usize) -> Value {
        let inner: usize = node.shape[axis + 1..].iter().product();
        let rows: usize = node.shape[..axis].iter().product();
        let mut dst_offset = 0;
        let mut parts = Vec::with_capacity(node.args.len());
        for &arg in &node.args {
            let width = self.nodes[arg as usize].shape[axis] * inner;
            parts.push(CopyPart {
                src: self.view(arg),
                src_offset: 0,
                src_stride: width,
                dst_offset,
                dst_stride: node.shape[axis] * inner,
                rows,
                width,
            });
            dst_offset += width;
        }
        self.fill(numel(&node.shape), Action::Copy(parts))
    }
}
