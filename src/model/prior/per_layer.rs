//! A Gaussian prior by name: `theta_t ~ N(0, 1 / alpha_t)` for each layer or tensor `t`.

use super::{Prior, each, neg_log_normal};
use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::model::positive;
use crate::nn::{ParamLayout, ParamTensor};

/// A Gaussian prior with mean zero, and a precision for each layer (`layer0`) or tensor
/// (`layer0.weight`), by name.
///
/// ```
/// use fiberwalk::{Activation, Mlp, Network, PerLayerGaussian, Prior};
/// let network = Mlp::new(&[2, 3, 1], Activation::Tanh)?;
/// // the activation is layer 1; a tensor's name takes precedence over its layer's
/// let prior = PerLayerGaussian::new(&[("layer0", 1.0), ("layer2", 3.0), ("layer2.bias", 0.1)])?;
/// let alpha = prior.precision(network.layout());
/// assert_eq!((alpha[0], alpha[9], alpha[12]), (1.0, 3.0, 0.1));
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PerLayerGaussian {
    precisions: Vec<(String, f64)>,
}

impl PerLayerGaussian {
    /// A prior with the given precisions, in inverse squared units of the parameters. Every tensor
    /// of the network must be named, directly or by its layer, and every name must exist in the
    /// network. [`Prior::check`] verifies this.
    ///
    /// # Errors
    /// If a precision is not positive and finite, or a name is given twice.
    pub fn new(precisions: &[(&str, f64)]) -> Result<Self> {
        for (i, &(name, value)) in precisions.iter().enumerate() {
            positive("prior_precision", value)?;
            if precisions[..i].iter().any(|(other, _)| *other == name) {
                return Err(Error::config("prior_precision", name, "named twice"));
            }
        }
        let own = |&(name, value): &(&str, f64)| (name.to_string(), value);
        Ok(Self {
            precisions: precisions.iter().map(own).collect(),
        })
    }

    /// The precision of a tensor. The longest name that matches the tensor or its layer decides.
    fn of(&self, tensor: &ParamTensor) -> Option<f64> {
        let named = self.precisions.iter().filter(|(n, _)| names(n, tensor));
        named.max_by_key(|(n, _)| n.len()).map(|&(_, value)| value)
    }
}

/// True if `name` is the tensor's, or that of its layer.
fn names(name: &str, tensor: &ParamTensor) -> bool {
    let rest = tensor.name.strip_prefix(name);
    rest.is_some_and(|r| r.is_empty() || r.starts_with('.'))
}

impl Prior for PerLayerGaussian {
    fn neg_log_density<'g>(&self, theta: Var<'g>, layout: &ParamLayout) -> Var<'g> {
        neg_log_normal(theta, layout, |t| self.of(t).unwrap_or(f64::NAN))
    }

    /// NaN for tensors that are not named.
    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        each(layout, |t| self.of(t).unwrap_or(f64::NAN))
    }

    fn check(&self, layout: &ParamLayout) -> Result<()> {
        let tensors = layout.tensors();
        let known: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        if let Some(tensor) = tensors.iter().find(|t| self.of(t).is_none()) {
            let expected = "a precision for every tensor";
            let got = format!("none for {}", tensor.name);
            return Err(Error::shape("PerLayerGaussian", expected, got));
        }
        let stray = |(n, _): &&(String, f64)| !tensors.iter().any(|t| names(n, t));
        match self.precisions.iter().find(stray) {
            None => Ok(()),
            Some((name, _)) => {
                let expected = format!("names among {}", known.join(", "));
                Err(Error::shape("PerLayerGaussian", expected, name))
            }
        }
    }
}
