//! What a compiled graph consists of: instructions, and the places of values.

use crate::autodiff::compile::kernel::Kernel;
use crate::autodiff::graph::Named;
use crate::autodiff::ops::{
    Binary, ConvPlan, ImageShape, MatMulShape, Pad, SumPlan, Unary, Window, WindowOp,
};
use crate::autodiff::shape::Shape;

/// Where values are stored: an input, a constant tensor, or a planned buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Input(usize),
    Tensor(usize),
    Buffer(usize),
}

/// A contiguous run of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub place: Place,
    pub offset: usize,
    pub len: usize,
}

/// A value after lowering: a run of memory, or a slot of the scalar file, which is always f64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    View(View),
    Scalar(usize),
}

/// One part of a concat, or the only part of a slice.
#[derive(Clone, Debug)]
pub(crate) struct CopyPart {
    pub src: View,
    pub src_offset: usize,
    pub src_stride: usize,
    pub dst_offset: usize,
    pub dst_stride: usize,
    pub rows: usize,
    pub width: usize,
}

/// What an instruction computes.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Map(Kernel),
    MatMul {
        shape: MatMulShape,
        a: View,
        b: View,
    },
    /// A matrix product and the elementwise chain that reads it.
    MatMulMap {
        shape: MatMulShape,
        a: View,
        b: View,
        /// One value per row of the product, added to that row.
        add: Option<View>,
        kernel: Kernel,
    },
    SumTo {
        plan: SumPlan,
        src: View,
    },
    /// Over the middle axis of `[outer, k, inner]`.
    Shift {
        k: usize,
        inner: usize,
        src: View,
    },
    /// Over the same axis; `shift` is `[outer, inner]`.
    LogSumExp {
        k: usize,
        inner: usize,
        src: View,
        shift: View,
    },
    Transpose {
        rows: usize,
        cols: usize,
        src: View,
    },
    Copy(Vec<CopyPart>),
    Pad {
        pad: Pad,
        src: View,
    },
    /// The plan, the padded image, the other argument.
    Conv {
        plan: Box<ConvPlan>,
        image: View,
        other: View,
    },
    Window {
        op: WindowOp,
        window: Window,
        shape: ImageShape,
        chooser: View,
        src: View,
    },
    Pick {
        axis: usize,
        k: usize,
        src: View,
        labels: View,
    },
    Unpick {
        axis: usize,
        k: usize,
        src: View,
        labels: View,
    },
}

/// One step of a program: an action that fills a buffer, or a scalar.
#[derive(Clone, Debug)]
pub(crate) enum Instruction {
    Fill {
        out: usize,
        len: usize,
        action: Action,
    },
    SumAll {
        out: usize,
        src: View,
    },
    Load {
        out: usize,
        src: View,
    },
    Unary {
        out: usize,
        op: Unary,
        a: usize,
    },
    Binary {
        out: usize,
        op: Binary,
        a: usize,
        b: usize,
    },
}

/// All of a program but the values of its constants: what programs that differ in named constants
/// share.
#[derive(Debug)]
pub(crate) struct Code<T> {
    pub instructions: Vec<Instruction>,
    pub inputs: Vec<Shape>,
    pub tensors: Vec<Vec<T>>,
    pub buffers: Vec<usize>,
    pub registers: usize,
    /// Length of the block between a matrix product and the chain that reads it.
    pub scratch: usize,
    pub outputs: Vec<Value>,
    /// The named constants that are used, and the slot of each in the scalar file.
    pub named: Vec<(Named, usize)>,
}
