//! The multilayer perceptron: `h_{l+1} = phi(h_l W_l + b_l)`, the last layer without `phi`.

use std::sync::Arc;

use rand::Rng;

use super::{
    Activation, HeadedSequential, Layer, Linear, LinearHead, Network, ParamLayout, Sequential,
};
use crate::autodiff::Var;
use crate::error::{Error, Result};

/// A multilayer perceptron. `theta` holds, layer by layer, the weight `[in, out]` row-major and the
/// bias `[out]`.
///
/// ```
/// use fiberwalk::{Activation, Mlp, Network};
/// let net = Mlp::new(&[18, 50, 4], Activation::Tanh)?;
/// assert_eq!(net.dim(), 18 * 50 + 50 + 50 * 4 + 4);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone)]
pub struct Mlp {
    sizes: Vec<usize>,
    activation: Activation,
    layers: Arc<HeadedSequential>,
}

impl std::fmt::Debug for Mlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mlp {:?} {}", self.sizes, self.activation)
    }
}

impl Mlp {
    /// A perceptron with `sizes[0]` inputs, `sizes.last()` outputs and hidden layers between.
    ///
    /// # Errors
    /// If there are fewer than two sizes, a size is 0, or the parameters are too many to count.
    pub fn new(sizes: &[usize], activation: Activation) -> Result<Self> {
        if sizes.len() < 2 || sizes.contains(&0) {
            let requirement = "at least an input and an output size, all positive";
            return Err(Error::config("sizes", format!("{sizes:?}"), requirement));
        }
        let mut layers: Vec<Box<dyn Layer>> = Vec::new();
        for (l, &width) in sizes[1..].iter().enumerate() {
            if l > 0 {
                layers.push(Box::new(activation));
            }
            layers.push(Box::new(Linear::new(width)?));
        }
        let headed = Sequential::new(&sizes[..1], layers)?.with_head();
        let layers =
            headed.ok_or_else(|| Error::config("sizes", format!("{sizes:?}"), "no last layer"))?;
        Ok(Self {
            sizes: sizes.to_vec(),
            activation,
            layers: Arc::new(layers),
        })
    }

    /// Widths, from the inputs to the outputs.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The nonlinearity of the hidden layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }
}

impl Network for Mlp {
    fn input_dim(&self) -> usize {
        self.sizes[0]
    }

    fn output_dim(&self) -> usize {
        self.sizes[self.sizes.len() - 1]
    }

    fn layout(&self) -> &ParamLayout {
        self.layers.layout()
    }

    fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.layers.forward(theta, x)
    }

    /// LeCun's initialisation: weights `N(0, 1/fan_in)`, biases zero.
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.layers.init(rng)
    }

    fn widest(&self) -> usize {
        self.layers.widest()
    }
}

impl LinearHead for Mlp {
    fn hidden_params(&self) -> usize {
        self.layers.hidden_params()
    }

    fn features(&self) -> usize {
        self.layers.features()
    }

    fn feature_map<'g>(&self, theta_h: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.layers.feature_map(theta_h, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;
    use crate::rng::{Phase, Streams};

    #[test]
    fn a_small_network_by_hand() {
        let net = Mlp::new(&[2, 2, 1], Activation::Relu).unwrap();
        let graph = Graph::new();
        let (theta, x) = (graph.input(&[net.dim()]), graph.input(&[1, 2]));
        let program = graph.compile::<f64>(&[net.forward(theta, x)]).unwrap();
        let mut ws = program.workspace();
        // W0 = [[1, -1], [2, 3]], b0 = [0.5, -20], W1 = [2, 7]^T, b1 = -1; x = (1, 2)
        let theta = [1.0, -1.0, 2.0, 3.0, 0.5, -20.0, 2.0, 7.0, -1.0];
        program.run(&[&theta, &[1.0, 2.0]], &mut ws).unwrap();
        // hidden: relu(1 + 4 + 0.5) = 5.5 and relu(-1 + 6 - 20) = 0
        assert_eq!(program.tensor(&ws, 0).unwrap(), &[10.0]);
    }

    #[test]
    fn initial_weights_have_variance_one_over_fan_in() {
        let net = Mlp::new(&[100, 200, 3], Activation::Tanh).unwrap();
        let theta = net.init(&mut Streams::new(0).rng(Phase::INIT, 0));
        let first = &net.layout().tensors()[0];
        let w = &theta[first.range.clone()];
        let variance = w.iter().map(|x| x * x).sum::<f64>() / w.len() as f64;
        // the mean of n squares of N(0, s^2) has standard deviation s^2 sqrt(2 / n) = 1e-4; 5 sigma
        assert!((variance - 0.01).abs() < 5e-4);
        assert!(
            theta[net.layout().tensors()[1].range.clone()]
                .iter()
                .all(|&b| b == 0.0)
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for sizes in [
            &[][..],
            &[3],
            &[3, 0, 1],
            &[usize::MAX, 2],
            &[1 << 30, 1 << 30],
        ] {
            assert!(Mlp::new(sizes, Activation::Tanh).is_err(), "{sizes:?}");
        }
    }
}
