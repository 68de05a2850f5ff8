//! The evidence of a network by a flow, against annealing.
//!
//! It runs the crate's example, at a tenth of its effort.

use fiberwalk::walk::AnnealedOptions;

#[allow(dead_code)]
#[path = "../../examples/evidence.rs"]
mod example;

/// 1-2-1 tanh on snelson1d. The result would be off by at least tenths of nats if the flow missed
/// part of the posterior or had a wrong density, or if the number of copies or a constant in the
/// last layer's evidence were wrong.
#[test]
fn a_flows_evidence_agrees_with_annealing() {
    let effort = example::Effort {
        walkers: 256,
        steps: 1_500,
        // the tail of a thousand draws has 95 weights: for the same flow they give k-hat 0.69, and
        // four thousand draws give 0.44
        draws: 4_000,
        annealing: AnnealedOptions {
            temperatures: 600,
            ..AnnealedOptions::default()
        },
    };
    let (weights, annealed) = example::evidence(2, &effort).unwrap();
    assert!(weights.k_hat < 0.7, "{weights:?}");
    let flow = weights.log_evidence.unwrap();
    assert!(
        flow.std_error < 0.1 && annealed.std_error < 0.5,
        "{flow:?} {annealed:?}"
    );
    let z = (flow.value - annealed.log_evidence) / flow.std_error.hypot(annealed.std_error);
    assert!(z.abs() < 4.0, "{flow:?} against {}", annealed.log_evidence);
}
