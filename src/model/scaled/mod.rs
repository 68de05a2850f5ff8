//! Prior scales as part of the posterior, in coordinates where the prior has unit variance.
//!
//! The prior of a weight `theta_i` of group `g` is `N(0, sigma_g^2)`, and `sigma_g` has its own
//! prior. With
//!
//! `theta_i = z_i sigma_g`, `z_i ~ N(0, 1)`, `t_g = log sigma_g ~ p(t)`,
//!
//! the coordinates are `phi = (z, t)`. They are non-centred: `z` and `t` are independent a priori,
//! so there is no funnel where data are weak (Papaspiliopoulos, Roberts & Skold 2007).
//! [`ScaledNetwork`] is the network as a function of `phi`, and [`ScalePrior`] is the density of
//! `phi`. Posterior densities, walks, samplers and baselines take them like any other network and
//! prior.
//!
//! | group | prior | reference |
//! |---|---|---|
//! | weights of a layer | `sigma ~ C+(0, fan_in^{-1/2})` | Neal 1996 for the scaling, Gelman 2006 for the half-Cauchy |
//! | biases of a hidden layer | `sigma ~ C+(0, 1)` | |
//! | biases of the last layer, all else | `sigma = 1` | |
//! | inputs of the first layer, with ARD | `sigma_d = sigma lambda_d^{1/2}`, `lambda_d ~ IG(2, 2)` | MacKay 1994, Neal 1996 |
//!
//! With one scale for all, `sigma ~ C+(0, 1)` multiplies every parameter but the last biases.
//! Weights are also multiplied by `fan_in^{-1/2}`.

mod gibbs;
mod groups;
mod head;
mod hidden_first;
mod network;
mod prior;
#[cfg(test)]
mod tests;

pub use gibbs::ExactMove;
pub use groups::{ScaleGroups, ScaleParam};
pub use head::{HeadScales, ScaledHead, ScaledHeadPrior, StdFromLogs};
pub use hidden_first::HiddenFirst;
pub use network::ScaledNetwork;
pub use prior::ScalePrior;
