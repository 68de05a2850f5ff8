//! The layers of this crate, one family per file.

mod conv;
mod linear;
mod norm;
mod pool;
mod residual;
mod shape;

pub use conv::Conv2d;
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm};
pub use pool::{AvgPool2d, MaxPool2d};
pub use residual::Residual;
pub use shape::Flatten;

use super::{Init, ParamSpec};
use crate::autodiff::Window;
use crate::error::{Error, Result};

/// A weight with the given initialisation, and a bias for each output that starts at zero.
fn weight_and_bias(shape: &[usize], fan_in: usize, outputs: usize, init: Init) -> Vec<ParamSpec> {
    let spec = |name, shape: &[usize], init| ParamSpec {
        name,
        shape: shape.to_vec(),
        fan_in,
        init,
    };
    vec![
        spec("weight", shape, init),
        spec("bias", &[outputs], Init::Constant(0.0)),
    ]
}

/// Rows and columns of windows on an image.
fn windows(window: Window, [h, w]: [usize; 2], op: &'static str) -> Result<[usize; 2]> {
    window.count(h, w).ok_or_else(|| {
        let (size, padding) = (window.size, window.padding);
        let expected = format!(
            "an image that holds a {}x{} window, with padding {}x{}",
            size[0], size[1], padding[0], padding[1]
        );
        Error::shape(op, expected, format!("{h}x{w}"))
    })
}

/// Channels, height and width of an image shape.
fn image(input: &[usize], op: &'static str) -> Result<[usize; 3]> {
    match *input {
        [c, h, w] => Ok([c, h, w]),
        _ => Err(Error::shape(
            op,
            "examples of shape [channels, height, width]",
            format!("{input:?}"),
        )),
    }
}
