//! The outcome of a hypothesis test.

/// A statistic, and the probability of one at least as large if the hypothesis holds.
///
/// A p-value is uniform under the hypothesis. With many tests, reject at `level / number of tests`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestOutcome {
    /// The statistic. Large values speak against the hypothesis.
    pub statistic: f64,
    /// The probability of a larger statistic, in `[0, 1]`.
    pub p_value: f64,
}
