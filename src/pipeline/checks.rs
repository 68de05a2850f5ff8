//! Checks of a prior and of a baseline, before anything takes time.

use super::baselines::CHAINS;
use super::fit::{MAX_NUMBERS, Problem};
use super::{Method, PriorChoice};
use crate::baselines::{ChainOptions, SgldOptions};
use crate::error::{Error, Result};

/// Most parameters for which a full covariance is computed: half a gigabyte.
const MAX_DENSE: usize = 8_192;

impl Problem<'_> {
    /// Refuses options that do not go with sampled scales.
    pub(super) fn check_prior(&self) -> Result<()> {
        let options = self.options;
        if matches!(options.prior, PriorChoice::Auto) {
            return Ok(());
        }
        let wrong = |field, value: &dyn std::fmt::Display, requirement: &str| {
            Err(Error::config(field, value, requirement))
        };
        let prior = options.prior.name();
        if let Some(alpha) = options.prior_precision {
            let requirement = format!("is one number for all parameters, and the prior is {prior}");
            return wrong("prior_precision", &alpha, &requirement);
        }
        if options.prior == PriorChoice::Evidence {
            return Ok(());
        }
        let (method, what) = (self.method(), format!("does not go with the prior {prior}"));
        let chains = matches!(method, Method::Hmc | Method::Nuts);
        if !method.walks() && !chains && method != Method::Map {
            let requirement =
                format!("goes with methods map, walk, atlas, flow, hmc and nuts, not {method}");
            return wrong("prior", &prior, &requirement);
        }
        if let Some(walk) = options.method.walk() {
            let kernel = walk.kernel.microcanonical();
            if let Some(rows) = kernel.and_then(|kernel| kernel.walk_batch) {
                return wrong("walk_batch", &rows, &what);
            }
            if walk.starts > 1 {
                let requirement = format!("{what}: its walkers start from draws of the prior");
                return wrong("starts", &walk.starts, &requirement);
            }
        }
        if let Some(rows) = self.batch_rows() {
            return wrong("batch", &rows, &what);
        }
        Ok(())
    }

    /// Refuses what a baseline cannot do before anything takes time.
    pub(super) fn check_baseline(&self) -> Result<()> {
        let (method, dim) = (self.method(), self.network.dim());
        let dense = matches!(
            method,
            Method::Laplace | Method::LaplaceGlm | Method::Riemann
        );
        if dense && dim > MAX_DENSE {
            let requirement = format!(
                "needs the covariance of all {dim} parameters, at most {MAX_DENSE}; laplace-kfac does not"
            );
            return Err(Error::config("method", method, &requirement));
        }
        let side = match method {
            Method::LaplaceLast => dim - self.network.hidden_params(),
            // the larger factor of a layer
            Method::LaplaceKfac => {
                let tensors = self.network.layout().tensors().iter();
                let sides = tensors.map(|t| {
                    let numbers: usize = t.shape.iter().product();
                    let first = t.shape.first().copied().unwrap_or(1).max(1);
                    first.max(numbers / first)
                });
                sides.max().unwrap_or(0)
            }
            _ => 0,
        };
        if side > MAX_DENSE {
            let requirement = format!(
                "needs a matrix of order {side}, at most {MAX_DENSE}; laplace-diag does not"
            );
            return Err(Error::config("method", method, &requirement));
        }
        if method == Method::Dropout && self.network.hidden_params() == 0 {
            let requirement = "needs a network with hidden units";
            return Err(Error::config("method", method, requirement));
        }
        let Some(samples) = self.options.method.samples() else {
            return Ok(());
        };
        let most = match method {
            Method::Hmc | Method::Nuts => CHAINS * ChainOptions::default().draws,
            Method::Sgld => {
                let options = SgldOptions::default();
                CHAINS * (options.steps - options.burn_in)
            }
            _ => MAX_NUMBERS / dim.max(1),
        };
        let most = most.min(MAX_NUMBERS / dim.max(1));
        if !(1..=most).contains(&samples) {
            let requirement =
                format!("must be in 1..={most} for method {method} and {dim} parameters");
            return Err(Error::config("samples", samples, &requirement));
        }
        Ok(())
    }
}
