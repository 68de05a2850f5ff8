//! Likelihoods whose sums a linear last layer computes in closed form, without a graph.

/// What a likelihood is, if the crate has loops of its own for it
/// ([`LastLayer`](crate::deform::LastLayer)). Others go through their graph, which gives the same
/// numbers up to rounding and takes longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClosedForm {
    /// Real targets, as many as outputs, with noise of this standard deviation. The conditional of
    /// a last layer is exact.
    Gaussian {
        /// In units of the target.
        noise_std: f64,
    },
    /// Softmax over the outputs; targets are class indices.
    Categorical,
    /// One output, the logit of target 1; targets are 0 or 1.
    Bernoulli,
    /// One output `o`; targets are counts with the rate `exp(o + log_base)`.
    Poisson {
        /// Log rate at an output of 0.
        log_base: f64,
    },
}
