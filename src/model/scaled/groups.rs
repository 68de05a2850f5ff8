//! Defines which parameters share a scale.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::model::CoordinatePrior;
use crate::nn::{ParamLayout, ParamTensor};

/// How the prior scales of a network are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleGroups {
    /// One scale for all parameters but the last biases.
    Shared,
    /// One scale for the weights of each layer, and one for the biases of each hidden layer.
    #[default]
    PerTensor,
    /// As `PerTensor`, with one scale for each input of the first layer: automatic relevance
    /// determination.
    Ard,
}

impl ScaleGroups {
    /// All of them.
    pub const ALL: [ScaleGroups; 3] = [
        ScaleGroups::Shared,
        ScaleGroups::PerTensor,
        ScaleGroups::Ard,
    ];

    /// The name that files use.
    pub fn name(self) -> &'static str {
        match self {
            ScaleGroups::Shared => "shared",
            ScaleGroups::PerTensor => "per_tensor",
            ScaleGroups::Ard => "ard",
        }
    }
}

impl fmt::Display for ScaleGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ScaleGroups {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|g| g.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::config("scale groups", name, &format!("must be one of {names}"))
        })
    }
}

/// Log scales that share a name and a prior.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleParam {
    /// The tensor that they scale, such as `layer0.weight`.
    pub name: String,
    /// Number of log scales.
    pub len: usize,
    /// Prior of each log scale.
    pub prior: CoordinatePrior,
}

/// The factors that multiply the standard normal values of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Factors {
    /// A fixed number.
    pub fixed: f64,
    /// `e^t` with one `t` for all elements: its index among the log scales.
    pub shared: Option<usize>,
    /// `e^t` with a `t` for each row of the tensor: the index of the first.
    pub rows: Option<usize>,
    /// `e^t` with a `t` for each column of the tensor: the index of the first.
    pub columns: Option<usize>,
}

/// The inverse-gamma prior of ARD's variances. Its mode in the logarithm is at a variance of 1, and
/// 95 % lie between 0.36 and 8.3.
const ARD: CoordinatePrior = CoordinatePrior::InverseGamma {
    shape: 2.0,
    rate: 2.0,
};

/// The scale parameters of a layout, and the factors of each tensor. With `per_output`, the last
/// weights have a scale for each output, not one for all.
pub(super) fn assign(
    layout: &ParamLayout,
    groups: ScaleGroups,
    per_output: bool,
) -> (Vec<ScaleParam>, Vec<Factors>) {
    let mut params: Vec<ScaleParam> = Vec::new();
    let mut taken = 0;
    let mut push = |name: &str, len: usize, prior: CoordinatePrior| {
        params.push(ScaleParam {
            name: name.into(),
            len,
            prior,
        });
        taken += len;
        taken - len
    };
    let half_cauchy = |scale: f64| CoordinatePrior::HalfCauchy { scale };
    let shared = (groups == ScaleGroups::Shared).then(|| push("all", 1, half_cauchy(1.0)));
    let last = layout.tensors().len().saturating_sub(1);
    let weights = |t: &&ParamTensor| matches!(kind(t), Kind::Weight) && t.shape.len() == 2;
    let last_weight = layout.tensors().iter().rev().find(weights);
    let last_weight = last_weight.filter(|_| per_output).map(|t| t.range.start);
    let mut first_weight = true;
    let mut factors = Vec::new();
    for (index, tensor) in layout.tensors().iter().enumerate() {
        let root = (tensor.fan_in.max(1) as f64).sqrt().recip();
        let mut of = Factors {
            fixed: 1.0,
            shared: None,
            rows: None,
            columns: None,
        };
        match kind(tensor) {
            Kind::Weight if Some(tensor.range.start) == last_weight => {
                let name = format!("{}.outputs", tensor.name);
                of.columns = Some(push(&name, tensor.shape[1], half_cauchy(root)));
                if groups == ScaleGroups::Ard && first_weight {
                    let name = format!("{}.inputs", tensor.name);
                    of.rows = Some(push(&name, tensor.shape[0], ARD));
                }
            }
            Kind::Weight => {
                of.shared = shared.or_else(|| Some(push(&tensor.name, 1, half_cauchy(root))));
                if shared.is_some() {
                    of.fixed = root;
                }
                if groups == ScaleGroups::Ard && first_weight && tensor.shape.len() == 2 {
                    let name = format!("{}.inputs", tensor.name);
                    of.rows = Some(push(&name, tensor.shape[0], ARD));
                }
                first_weight = false;
            }
            Kind::Bias if index < last => {
                of.shared = shared.or_else(|| Some(push(&tensor.name, 1, half_cauchy(1.0))));
            }
            Kind::Bias | Kind::Other => {}
        }
        factors.push(of);
    }
    (params, factors)
}

enum Kind {
    Weight,
    Bias,
    Other,
}

fn kind(tensor: &ParamTensor) -> Kind {
    if tensor.name.ends_with(".weight") {
        Kind::Weight
    } else if tensor.name.ends_with(".bias") {
        Kind::Bias
    } else {
        Kind::Other
    }
}
