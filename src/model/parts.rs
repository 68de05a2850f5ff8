//! What is sampled: a network, a likelihood and a prior, built-in or the user's.

use std::fmt;
use std::sync::Arc;

use super::{Likelihood, PosteriorDensity, Prior};
use rand::Rng;

use crate::autodiff::Var;
use crate::error::Result;
use crate::nn::{LinearHead, Network, ParamLayout};
use crate::scalar::Scalar;

/// A network with the likelihood of its outputs and the prior of its parameters.
///
/// ```
/// use fiberwalk::model::Model;
/// use fiberwalk::{Activation, FanInGaussian, Mlp, StudentT};
///
/// let network = Mlp::new(&[3, 20, 1], Activation::Tanh)?;
/// let model = Model::with_head("prices", network, StudentT::default(), FanInGaussian::new(1.0, 1.0)?);
/// assert_eq!(model.network().dim(), 3 * 20 + 20 + 20 + 1);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone)]
pub struct Model {
    name: String,
    network: Arc<dyn Network>,
    /// The same network, if its last layer is linear.
    head: Option<Arc<dyn LinearHead>>,
    likelihood: Arc<dyn Likelihood>,
    prior: Arc<dyn Prior>,
}

impl Model {
    /// A model of any network. `name` goes into the files that are made with it: it says which parts
    /// a file needs.
    pub fn new(
        name: impl Into<String>,
        network: impl Network + 'static,
        likelihood: impl Likelihood + 'static,
        prior: impl Prior + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            network: Arc::new(network),
            head: None,
            likelihood: Arc::new(likelihood),
            prior: Arc::new(prior),
        }
    }

    /// A model of a network whose last layer is linear, which an atlas and a flow need.
    pub fn with_head(
        name: impl Into<String>,
        network: impl LinearHead + 'static,
        likelihood: impl Likelihood + 'static,
        prior: impl Prior + 'static,
    ) -> Self {
        let head: Arc<dyn LinearHead> = Arc::new(network);
        Self {
            name: name.into(),
            network: head.clone(),
            head: Some(head),
            likelihood: Arc::new(likelihood),
            prior: Arc::new(prior),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network.
    pub fn network(&self) -> &dyn Network {
        self.network.as_ref()
    }

    /// The network, if its last layer is linear.
    pub fn head(&self) -> Option<&dyn LinearHead> {
        self.head.as_deref()
    }

    /// The network as one with a linear head. Where it has none, the head is empty, and all
    /// parameters are hidden.
    pub fn linear_head(&self) -> Arc<dyn LinearHead> {
        match &self.head {
            Some(head) => head.clone(),
            None => Arc::new(Whole(self.network.clone())),
        }
    }

    /// The likelihood.
    pub fn likelihood(&self) -> &dyn Likelihood {
        self.likelihood.as_ref()
    }

    /// The likelihood, shared.
    pub fn shared_likelihood(&self) -> Arc<dyn Likelihood> {
        self.likelihood.clone()
    }

    /// The prior.
    pub fn prior(&self) -> &dyn Prior {
        self.prior.as_ref()
    }

    /// Numbers of a target row.
    pub fn target_dim(&self) -> usize {
        self.likelihood.target_dim(self.network.output_dim())
    }

    /// The likelihood's own parameters, behind the network's in `theta`.
    pub fn own_params(&self) -> usize {
        self.likelihood.params(self.network.output_dim()).len()
    }

    /// The posterior density given rows `x` (`[n, input_dim]`) and targets `y` (`[n, target_dim]`).
    ///
    /// # Errors
    /// Those of [`PosteriorDensity::new`].
    pub fn density<T: Scalar>(&self, x: &[f64], y: &[f64]) -> Result<PosteriorDensity<T>> {
        PosteriorDensity::new(self.network(), self.likelihood(), self.prior(), x, y)
    }
}

/// A network without a linear head.
struct Whole(Arc<dyn Network>);

impl Network for Whole {
    fn input_dim(&self) -> usize {
        self.0.input_dim()
    }

    fn output_dim(&self) -> usize {
        self.0.output_dim()
    }

    fn layout(&self) -> &ParamLayout {
        self.0.layout()
    }

    fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.0.forward(theta, x)
    }

    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.0.init(rng)
    }

    fn widest(&self) -> usize {
        self.0.widest()
    }
}

impl LinearHead for Whole {
    fn hidden_params(&self) -> usize {
        self.0.dim()
    }

    fn features(&self) -> usize {
        self.0.output_dim()
    }

    fn feature_map<'g>(&self, theta_h: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.0.forward(theta_h, x)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("inputs", &self.network.input_dim())
            .field("outputs", &self.network.output_dim())
            .field("parameters", &self.network.dim())
            .field("linear_head", &self.head.is_some())
            .finish_non_exhaustive()
    }
}
