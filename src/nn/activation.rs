//! Activation functions by name.

use std::fmt;
use std::str::FromStr;

use crate::autodiff::Var;
use crate::error::{Error, Result};

/// An elementwise nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `x sigmoid(x)`.
    Silu,
    /// `x Phi(x)`, exact.
    Gelu,
    /// `log(1 + e^x)`.
    Softplus,
    /// No nonlinearity: the network is then linear in its inputs.
    Identity,
}

impl Activation {
    /// All of them, in the order of the documentation.
    pub const ALL: [Activation; 7] = [
        Activation::Tanh,
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Gelu,
        Activation::Softplus,
        Activation::Identity,
    ];

    /// The name that the command line and model files use.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Tanh => "tanh",
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Silu => "silu",
            Activation::Gelu => "gelu",
            Activation::Softplus => "softplus",
            Activation::Identity => "identity",
        }
    }

    /// True if `f(-x) = -f(x)`. A unit then computes the same if its signs, before and after, are
    /// flipped.
    pub fn is_odd(self) -> bool {
        matches!(self, Activation::Tanh | Activation::Identity)
    }

    /// Records the function.
    pub fn apply<'g>(self, x: Var<'g>) -> Var<'g> {
        match self {
            Activation::Tanh => x.tanh(),
            Activation::Relu => x.relu(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Silu => x.silu(),
            Activation::Gelu => x.gelu(),
            Activation::Softplus => x.softplus(),
            Activation::Identity => x,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Activation::ALL.into_iter().find(|a| a.name() == name);
        found.ok_or_else(|| {
            let names = Activation::ALL.map(Activation::name).join(", ");
            Error::config("activation", name, &format!("must be one of {names}"))
        })
    }
}
