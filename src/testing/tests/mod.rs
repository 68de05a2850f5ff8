//! The kit on parts that are right, and on twins of them that are wrong on purpose.

mod graphs;
mod kernels;
mod likelihoods;
mod numeric;
mod strategies;

use super::Failure;

/// Asserts a rejection whose text has all the words, and which replays with one case.
fn rejected(result: Result<(), Failure>, words: &[&str]) -> Failure {
    let failure = result.expect_err("a wrong part was accepted");
    let text = failure.to_string();
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
    assert!(text.contains(&format!("seed {}", failure.seed)), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    failure
}

/// Asserts that a check passes, and shows why not.
fn passes(result: Result<(), Failure>) {
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
