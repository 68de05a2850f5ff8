//! A network behind a fixed map of its inputs.

use rand::Rng;

use super::{LinearHead, Network, ParamLayout};
use crate::autodiff::Var;

/// `f(g(x); theta)`: a network that sees features of the inputs, such as their squares or products.
///
/// ```
/// use fiberwalk::autodiff::Var;
/// use fiberwalk::nn::Mapped;
/// use fiberwalk::{Activation, Mlp, Network};
///
/// fn with_squares(x: Var<'_>) -> Var<'_> {
///     x.graph().concat(1, &[x, x.square()])
/// }
/// let network = Mapped::new(3, with_squares, Mlp::new(&[6, 8, 1], Activation::Tanh)?);
/// assert_eq!(network.input_dim(), 3);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mapped<N> {
    inputs: usize,
    map: for<'g> fn(Var<'g>) -> Var<'g>,
    network: N,
}

impl<N: Network> Mapped<N> {
    /// `map` takes rows `[n, inputs]` to rows that `network` takes.
    pub fn new(inputs: usize, map: for<'g> fn(Var<'g>) -> Var<'g>, network: N) -> Self {
        Self {
            inputs,
            map,
            network,
        }
    }
}

impl<N: Network> Network for Mapped<N> {
    fn input_dim(&self) -> usize {
        self.inputs
    }

    fn output_dim(&self) -> usize {
        self.network.output_dim()
    }

    fn layout(&self) -> &ParamLayout {
        self.network.layout()
    }

    fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.network.forward(theta, (self.map)(x))
    }

    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.network.init(rng)
    }

    fn widest(&self) -> usize {
        self.network.widest().max(self.inputs)
    }
}

impl<N: LinearHead> LinearHead for Mapped<N> {
    fn hidden_params(&self) -> usize {
        self.network.hidden_params()
    }

    fn features(&self) -> usize {
        self.network.features()
    }

    fn feature_map<'g>(&self, theta_h: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.network.feature_map(theta_h, (self.map)(x))
    }
}
