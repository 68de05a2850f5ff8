//! What a test of a hypothesis says.

/// A statistic, and how probable one at least as large is if the hypothesis holds.
///
/// A p-value is uniform under the hypothesis: of many tests, reject at `level / number of tests`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestOutcome {
    /// The statistic, large against the hypothesis.
    pub statistic: f64,
    /// The probability of a larger statistic, in `[0, 1]`.
    pub p_value: f64,
}
