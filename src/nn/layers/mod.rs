//! The layers of this crate, one family a file.

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
use crate::error::{Error, Result};

/// A weight that starts as `init` says, and a bias for each output that starts at zero.
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
