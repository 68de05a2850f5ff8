//! What a model file says about its network.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::{Activation, LinearHead, Mlp, SequentialSpec};

/// The architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NetworkSpec {
    /// A multilayer perceptron.
    Mlp {
        /// Widths, from inputs to outputs.
        sizes: Vec<usize>,
        /// Name of the nonlinearity.
        activation: String,
    },
    /// A chain of layers on images.
    Layers {
        /// All but the last, linear one, as [`SequentialSpec`] reads them.
        layers: String,
        /// Outputs of the last one.
        outputs: usize,
    },
    /// A network of a program.
    Own {
        /// Name of the model that it is part of.
        own: String,
        /// Values per row of features.
        inputs: usize,
        /// Values per row of outputs.
        outputs: usize,
        /// Its parameters.
        parameters: usize,
        /// Values per row of targets.
        targets: usize,
        /// The likelihood's own parameters, which follow the network's in every sample.
        likelihood_parameters: usize,
    },
}

impl fmt::Display for NetworkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkSpec::Mlp { sizes, activation } => {
                let widths: Vec<String> = sizes.iter().map(usize::to_string).collect();
                write!(f, "{} {activation}", widths.join("-"))
            }
            NetworkSpec::Layers { layers, outputs } => write!(f, "{layers},linear:{outputs}"),
            NetworkSpec::Own { own, .. } => write!(f, "the program's own, of model '{own}'"),
        }
    }
}

impl NetworkSpec {
    /// The network, for features that are the pixels of images of the given shape, if they are.
    ///
    /// # Errors
    /// If it is impossible, or a chain of layers has no images.
    pub fn build(&self, image: Option<[usize; 3]>) -> Result<Box<dyn LinearHead>> {
        match self {
            NetworkSpec::Mlp { sizes, activation } => Ok(Box::new(Mlp::new(
                sizes,
                activation.parse::<Activation>()?,
            )?)),
            NetworkSpec::Layers { layers, outputs } => {
                let image = image.ok_or_else(|| {
                    let what = "needs images: say how features are their pixels";
                    Error::config("layers", layers, what)
                })?;
                let spec: SequentialSpec = layers.parse()?;
                Ok(Box::new(spec.build(image, *outputs)?))
            }
            NetworkSpec::Own { own, .. } => {
                let what = "is a network of the program that made the file: \
                            load it with its model (`load_with`)";
                Err(Error::config("network", own, what))
            }
        }
    }
}
