//! Networks made of layers, one after the other.

use rand::Rng;

use super::layer::numbers;
use super::{Init, Layer, LinearHead, Network, ParamLayout};
use crate::autodiff::Var;
use crate::error::{Error, Result, counted};

/// A network that is a chain of layers. Input rows are read as examples of the given shape. Outputs
/// are vectors.
pub struct Sequential {
    input: Vec<usize>,
    outputs: usize,
    /// Each layer with the number of its parameter tensors.
    layers: Vec<(Box<dyn Layer>, usize)>,
    layout: ParamLayout,
    inits: Vec<Init>,
    /// Inputs of the last layer.
    features: usize,
    widest: usize,
}

/// Most parameters of a network: a gigabyte of them in f32, and training holds five copies.
const MAX_PARAMETERS: usize = 1 << 28;

/// Most values of one example in one layer. These need no parameters, so a small file could
/// otherwise ask for much memory.
pub(super) const MAX_WIDEST: usize = 1 << 24;

impl Sequential {
    /// A network for examples of shape `input`, `[features]` or `[channels, height, width]`.
    ///
    /// # Errors
    /// If a layer cannot take the output of the one before, or the result is not a vector. Also if
    /// there are too many parameters (2^28) or too many values per example (2^24).
    pub fn new(input: &[usize], layers: Vec<Box<dyn Layer>>) -> Result<Self> {
        if input.is_empty() || input.contains(&0) {
            return Err(Error::config(
                "input",
                format!("{input:?}"),
                "extents must be positive",
            ));
        }
        let mut shape = input.to_vec();
        let mut layout = ParamLayout::default();
        let (mut inits, mut built) = (Vec::new(), Vec::new());
        let room = |widest: usize, place: &str| {
            if widest <= MAX_WIDEST {
                return Ok(widest);
            }
            let value = format!("{} per example in {place}", counted(widest, "number"));
            Err(Error::config("sizes", value, "too many"))
        };
        let (mut features, mut widest) = (0, room(numbers(input), "the input")?);
        for (l, layer) in layers.into_iter().enumerate() {
            let next = layer.output_shape(&shape)?;
            let specs = layer.params(&shape);
            for spec in &specs {
                let size = spec.shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
                let total = size.and_then(|n| n.checked_add(layout.len()));
                if total.is_none_or(|n| n > MAX_PARAMETERS) {
                    let value = format!("{:?} in layer {l}", spec.shape);
                    return Err(Error::config("sizes", value, "too many parameters"));
                }
                layout.push(format!("layer{l}.{}", spec.name), &spec.shape, spec.fan_in);
                inits.push(spec.init);
            }
            widest = widest.max(room(layer.widest(&shape), &format!("layer {l}"))?);
            features = numbers(&shape);
            built.push((layer, specs.len()));
            shape = next;
        }
        match shape[..] {
            [outputs] => Ok(Self {
                input: input.to_vec(),
                outputs,
                layers: built,
                layout,
                inits,
                features,
                widest,
            }),
            _ => Err(Error::shape(
                "Sequential",
                "a vector at the end (see Flatten)",
                format!("{shape:?}"),
            )),
        }
    }

    /// Turns this network into one with a linear head, if its last layer is [`super::Linear`].
    pub fn with_head(self) -> Option<HeadedSequential> {
        let linear = self
            .layers
            .last()
            .is_some_and(|(layer, _)| layer.is_linear());
        linear.then_some(HeadedSequential { inner: self })
    }

    fn run<'g>(&self, count: usize, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
        let rows = x.shape().first().copied().unwrap_or(0);
        let mut y = x.reshape(&[&[rows], &self.input[..]].concat());
        let mut tensors = self.layout.tensors().iter();
        for (layer, params) in &self.layers[..count] {
            let own: Vec<Var<'g>> = tensors
                .by_ref()
                .take(*params)
                .map(|t| t.view(theta))
                .collect();
            y = layer.forward(&own, y);
        }
        y
    }
}

impl Network for Sequential {
    fn input_dim(&self) -> usize {
        self.input.iter().product()
    }

    fn output_dim(&self) -> usize {
        self.outputs
    }

    fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.run(self.layers.len(), theta, x)
    }

    fn widest(&self) -> usize {
        self.widest
    }

    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        let mut theta = vec![0.0; self.dim()];
        for (tensor, init) in self.layout.tensors().iter().zip(&self.inits) {
            init.fill(tensor.fan_in, rng, &mut theta[tensor.range.clone()]);
        }
        theta
    }
}

/// A [`Sequential`] whose last layer is linear.
pub struct HeadedSequential {
    inner: Sequential,
}

impl Network for HeadedSequential {
    fn input_dim(&self) -> usize {
        self.inner.input_dim()
    }

    fn output_dim(&self) -> usize {
        self.inner.output_dim()
    }

    fn layout(&self) -> &ParamLayout {
        self.inner.layout()
    }

    fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.inner.forward(theta, x)
    }

    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.inner.init(rng)
    }

    fn widest(&self) -> usize {
        self.inner.widest()
    }
}

impl LinearHead for HeadedSequential {
    fn hidden_params(&self) -> usize {
        // the head has a weight and a bias
        let tensors = self.inner.layout.tensors();
        tensors[tensors.len() - 2].range.start
    }

    fn features(&self) -> usize {
        self.inner.features
    }

    fn feature_map<'g>(&self, theta_h: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.inner.run(self.inner.layers.len() - 1, theta_h, x)
    }
}
