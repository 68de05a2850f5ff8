//! Checks inside properties of `proptest`, where a failure shrinks and replays.

use proptest::test_runner::{TestCaseError, TestCaseResult};

use super::failure::Failure;

/// The result of a check as that of a property.
///
/// Inside `proptest!`, `?` does the same, since [`Failure`] is an error. This function is for a
/// [`proptest::test_runner::TestRunner`] of your own:
///
/// ```
/// use fiberwalk::nn::Linear;
/// use fiberwalk::testing::{CheckOptions, check_layer, property, shapes};
/// use proptest::test_runner::{Config, TestRunner};
/// let mut runner = TestRunner::new(Config::with_cases(5));
/// runner.run(&shapes(1..=1, 4), |input| {
///     let layer = Linear::new(2).map_err(|e| proptest::test_runner::TestCaseError::fail(e.to_string()))?;
///     property(check_layer(&layer, &input, &CheckOptions::default()))
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A failed case, with the failure's text as its reason.
pub fn property(result: Result<(), Failure>) -> TestCaseResult {
    result.map_err(|failure| TestCaseError::fail(failure.to_string()))
}
