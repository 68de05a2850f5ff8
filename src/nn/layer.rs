//! Layers: the parts that networks are built from. Users can write their own.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};

use crate::autodiff::Var;
use crate::error::Result;

/// One tensor of parameters that a layer needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Such as `weight`.
    pub name: &'static str,
    /// Extents, row-major.
    pub shape: Vec<usize>,
    /// Number of inputs that a unit of the layer sums over.
    pub fan_in: usize,
    /// Its initialisation.
    pub init: Init,
}

/// How parameters are initialised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// One value.
    Constant(f64),
    /// `N(0, 1 / fan_in)` (LeCun et al. 1998): keeps the variance of tanh networks.
    LeCun,
    /// `N(0, 2 / fan_in)` (He et al. 2015): the same for relu.
    He,
    /// Uniform with variance `2 / (fan_in + fan_out)` (Glorot & Bengio 2010).
    Xavier {
        /// Number of units that an input feeds.
        fan_out: usize,
    },
}

impl Init {
    /// Fills a tensor.
    pub fn fill(self, fan_in: usize, rng: &mut dyn Rng, out: &mut [f64]) {
        let mut normal = |std: f64, out: &mut [f64]| {
            for x in out {
                let draw: f64 = StandardNormal.sample(&mut *rng);
                *x = std * draw;
            }
        };
        let fan_in = fan_in.max(1) as f64;
        match self {
            Init::Constant(value) => out.fill(value),
            Init::LeCun => normal(1.0 / fan_in.sqrt(), out),
            Init::He => normal((2.0 / fan_in).sqrt(), out),
            Init::Xavier { fan_out } => {
                let bound = (6.0 / (fan_in + fan_out as f64)).sqrt();
                // the bound is positive and finite, so the interval is valid
                if let Ok(uniform) = Uniform::new_inclusive(-bound, bound) {
                    out.iter_mut().for_each(|x| *x = uniform.sample(&mut *rng));
                }
            }
        }
    }
}

/// Number of elements of a tensor; the largest `usize` if there are more.
pub(super) fn numbers(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n, &extent| n.saturating_mul(extent))
}

/// A layer: a map of batches, with its own parameters.
///
/// Shapes are those of one example, without the batch: `[features]`, or `[channels, height, width]`
/// for images.
///
/// ```
/// use fiberwalk::autodiff::Var;
/// use fiberwalk::nn::{Init, Layer, Linear, ParamSpec, Sequential};
/// use fiberwalk::{Network, Result};
///
/// /// Multiplies every feature by its own factor.
/// struct Gain;
/// impl Layer for Gain {
///     fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
///         Ok(input.to_vec())
///     }
///     fn params(&self, input: &[usize]) -> Vec<ParamSpec> {
///         let init = Init::Constant(1.0);
///         vec![ParamSpec { name: "gain", shape: input.to_vec(), fan_in: 1, init }]
///     }
///     fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g> {
///         x * params[0]
///     }
/// }
/// let net = Sequential::new(&[3], vec![Box::new(Gain), Box::new(Linear::new(2)?)])?;
/// assert_eq!(net.dim(), 3 + 3 * 2 + 2);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
pub trait Layer: Send + Sync {
    /// Shape of the result for examples of shape `input`.
    ///
    /// # Errors
    /// If the layer cannot take such examples.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>>;

    /// The parameters that the layer needs for examples of shape `input`. [`Layer::output_shape`]
    /// has accepted that shape before.
    fn params(&self, input: &[usize]) -> Vec<ParamSpec>;

    /// Records the layer. `params` are in the order of [`Layer::params`], and `x` is
    /// `[n, input...]`.
    fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g>;

    /// Most values that one example of shape `input` takes up in one piece: its input, its output,
    /// or something in between. This decides how many examples are computed at once. By default it
    /// is the larger of input and output.
    fn widest(&self, input: &[usize]) -> usize {
        let output = self.output_shape(input).map_or(0, |shape| numbers(&shape));
        numbers(input).max(output)
    }

    /// True if the layer is `x W + b` and nothing else, with `W` and `b` as its parameters. It can
    /// then be a network's linear head.
    fn is_linear(&self) -> bool {
        false
    }
}
