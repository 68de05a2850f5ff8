//! The evidence of a network by a flow, against annealing: the example of the crate, at a tenth of its effort.

use fiberwalk::walk::AnnealedOptions;

#[allow(dead_code)]
#[path = "../../examples/evidence.rs"]
mod example;

/// 1-2-1 tanh on snelson1d. A flow that misses a part of the posterior, a wrong density of it, a wrong number of copies or a wrong constant in
/// the last layer's evidence would each be off by tenths of nats at least.
#[test]
fn a_flows_evidence_agrees_with_annealing() {
    let effort = example::Effort {
        walkers: 256,
        steps: 1_500,
        // the tail of a thousand is 95 weights: k-hat of the same flow is 0.69 by them, and 0.44 by four thousand
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
