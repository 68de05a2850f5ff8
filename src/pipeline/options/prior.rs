//! Where the prior's scales come from.

use std::str::FromStr;

use crate::error::{Error, Result};

/// Where the prior's scales, and the noise of a regression, come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriorChoice {
    /// Sampled if the method can and the data are small enough: with relevance determination for
    /// classes, with a scale for each tensor for a real target. Otherwise by evidence, or as given.
    #[default]
    Auto,
    /// Sampled: a scale for the weights of each layer, one for the biases of each hidden layer.
    Hierarchical,
    /// Sampled: the same, and one for each input.
    Ard,
    /// Sampled: one for all.
    Shared,
    /// One precision for all, by evidence.
    Evidence,
}

impl PriorChoice {
    /// All of them.
    pub const ALL: [PriorChoice; 5] = [
        PriorChoice::Auto,
        PriorChoice::Hierarchical,
        PriorChoice::Ard,
        PriorChoice::Shared,
        PriorChoice::Evidence,
    ];

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            PriorChoice::Auto => "auto",
            PriorChoice::Hierarchical => "hierarchical",
            PriorChoice::Ard => "ard",
            PriorChoice::Shared => "shared",
            PriorChoice::Evidence => "evidence",
        }
    }
}

impl FromStr for PriorChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = PriorChoice::ALL.into_iter().find(|c| c.name() == name);
        found.ok_or_else(|| {
            let names = PriorChoice::ALL.map(PriorChoice::name).join(", ");
            Error::config("prior", name, &format!("must be one of {names}"))
        })
    }
}
