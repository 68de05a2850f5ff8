//! Networks: functions of a flat parameter vector and a batch of inputs, recorded in a graph.

mod activation;
mod layer;
mod layers;
mod layout;
mod mapped;
mod mlp;
mod sequential;
mod spec;
#[cfg(test)]
mod tests;
mod units;

pub use activation::Activation;
pub use layer::{Init, Layer, ParamSpec};
pub use layers::{AvgPool2d, Conv2d, Flatten, GroupNorm, LayerNorm, Linear, MaxPool2d, Residual};
pub use layout::{ParamLayout, ParamTensor};
pub use mapped::Mapped;
pub use mlp::Mlp;
pub use sequential::{HeadedSequential, Sequential};
pub use spec::{LayerSpec, SequentialSpec};
pub use units::{UnitBlock, unit_blocks};

use rand::Rng;

use crate::autodiff::Var;

/// A network whose last layer is linear: `f(x; theta) = phi(x; theta_h) W + b`, with
/// `theta = (theta_h, W, b)`, `W` row-major.
///
/// Given the hidden parameters `theta_h`, it is a linear model on known features, and the remaining
/// problem, in `W` and `b`, is convex.
pub trait LinearHead: Network {
    /// Number of hidden parameters: where `W` starts in `theta`.
    fn hidden_params(&self) -> usize;

    /// Number of features `phi`.
    fn features(&self) -> usize;

    /// Records `phi(x; theta_h)`. `theta_h` is `[hidden_params]`, `x` is `[n, input_dim]`, and the
    /// result is `[n, features]`.
    fn feature_map<'g>(&self, theta_h: Var<'g>, x: Var<'g>) -> Var<'g>;
}

/// A parametric function `f(x; theta)` from rows of `input_dim` values to rows of `output_dim`
/// values.
///
/// Outputs are logits or means; the likelihood decides which.
pub trait Network: Send + Sync {
    /// Values per input row.
    fn input_dim(&self) -> usize;

    /// Values per output row.
    fn output_dim(&self) -> usize;

    /// Where each weight and bias lies in `theta`.
    fn layout(&self) -> &ParamLayout;

    /// Records `f(x; theta)`. `theta` is `[P]`, `x` is `[n, input_dim]`, and the result is
    /// `[n, output_dim]`.
    fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g>;

    /// Random initial parameters, of length [`Network::dim`].
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64>;

    /// Most values that one row takes up at once, not counting parameters. This decides how many
    /// rows are predicted at once.
    fn widest(&self) -> usize {
        self.input_dim().max(self.output_dim())
    }

    /// `P`, the number of parameters.
    fn dim(&self) -> usize {
        self.layout().len()
    }
}
