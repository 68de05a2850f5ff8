//! Diagnostics: whether draws can be trusted, and which models predict best.
//!
//! Three kinds of questions concern draws.
//!
//! - *Have these chains forgotten their starts, and how many independent draws are they worth?*
//!   [`rhat`], [`nested_rhat`], [`grouped_rhat`], [`ess_bulk`], [`ess_tail`] and [`mcse_mean`]
//!   answer this without knowing the target. [`TraceSummary`] shows them together. [`e_bfmi`] is
//!   for Hamiltonian chains.
//! - *How far can a density that can be sampled stand in for one that is known up to a constant?*
//!   The weights between the two answer this: [`ParetoSmoothed`], [`ImportanceSummary`], and with
//!   draws of both [`BridgeEstimate`].
//! - *Does this sampler draw from the right distribution?* This needs a known target: a Gaussian
//!   ([`GaussianTarget`]), a distribution function ([`ks_test`]), or expectations ([`hotelling`]).
//!   With a prior and a way to simulate data, [`simulate_ranks`] needs nothing else.
//!
//! One more question concerns models: *which of them predicts new rows best, and how should they be
//! weighted together?* From the draws of one fit, [`Loo`] estimates how each row would be predicted
//! without itself. [`elpd_difference`] compares two models; [`Stacking`] and [`pseudo_bma_plus`]
//! weight several.

mod bridge;
mod chains;
mod chi_square;
mod energy;
mod ess;
mod fisher;
mod gaussian;
mod groups;
mod hotelling;
mod importance;
mod kolmogorov;
mod log_densities;
mod loo;
mod normal;
mod outcome;
mod pseudo_bma;
mod psis;
mod rank_tests;
mod ranks;
mod rhat;
mod sbc;
mod stacking;
#[cfg(test)]
mod tests;
mod trace;

pub use crate::special::{regularized_gamma_p, regularized_gamma_q};
pub use bridge::BridgeEstimate;
pub use chains::Chains;
pub use chi_square::{chi_square_survival, goodness_of_fit};
pub use energy::{E_BFMI_THRESHOLD, e_bfmi};
pub use ess::{ess_bulk, ess_chain_means, ess_mean, ess_tail, mcse_mean};
pub use fisher::{fisher_survival, regularized_beta};
pub use gaussian::GaussianTarget;
pub use groups::{grouped_rhat, grouped_rhat_limit};
pub use hotelling::hotelling;
pub use importance::{ImportanceSummary, LogEvidence, Refusal};
pub use kolmogorov::{kolmogorov_survival, ks_test};
pub use loo::{ElpdDifference, Loo, LooBuilder, LooRow, elpd_difference, loo_log_weights};
pub use normal::normal_quantile;
pub use outcome::TestOutcome;
pub use pseudo_bma::pseudo_bma_plus;
pub use psis::{MIN_DRAWS, ParetoSmoothed};
pub use rank_tests::RankTests;
pub use ranks::rank_normalize;
pub use rhat::{nested_rhat, rhat, rhat_bulk, rhat_folded};
pub use sbc::{Ranks, SbcOptions, simulate_ranks, uniformity};
pub use stacking::Stacking;
pub use trace::TraceSummary;
