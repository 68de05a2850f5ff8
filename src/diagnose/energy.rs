//! E-BFMI: whether the momenta of Hamiltonian chains let them reach all energies.
//!
//! M. Betancourt, "Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo"
//! (2016, arXiv 1604.00695). A trajectory keeps the energy; only a new momentum changes it. If
//! these changes are small against the spread of the energy, the chain moves through energies in a
//! random walk, and does not reach the tails. The estimate for one chain with energies `E_1 .. E_N`
//! is
//!
//! ```text
//! E-BFMI = sum_{n=2}^{N} (E_n - E_{n-1})^2 / sum_{n=1}^{N} (E_n - mean E)^2
//! ```
//!
//! It is about 1 for a Gaussian target of any dimension, and 2 if energies are independent.

use super::chains::{Chains, mean_and_variance};

/// Below this value, tails may be missing (the bound of Stan's checks). Transforming the parameters
/// helps; longer chains hardly do.
pub const E_BFMI_THRESHOLD: f64 = 0.3;

/// The E-BFMI of each chain's energies. Compare it with [`E_BFMI_THRESHOLD`].
///
/// The energies are Hamiltonians, in nats, of consecutive draws, none left out.
///
/// NaN for a chain whose energies are not all finite, or all equal.
pub fn e_bfmi(energies: &Chains) -> Vec<f64> {
    let of = |chain: &[f64]| {
        let (_, variance) = mean_and_variance(chain);
        let steps = chain.windows(2).map(|w| (w[1] - w[0]) * (w[1] - w[0]));
        let total = variance * (chain.len() as f64 - 1.0);
        match total > 0.0 && total.is_finite() {
            true => steps.sum::<f64>() / total,
            false => f64::NAN,
        }
    };
    (0..energies.chains())
        .map(|i| of(energies.chain(i)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand_and_of_what_says_nothing() {
        // squared steps 1, 4, 1; mean 2, squared deviations 0, 1, 1, 0
        let energies = [
            2.0,
            3.0,
            1.0,
            2.0,
            5.0,
            5.0,
            5.0,
            5.0,
            1.0,
            f64::NAN,
            1.0,
            2.0,
        ];
        let got = e_bfmi(&Chains::new(&energies, 3).unwrap());
        assert_eq!(got[0], (1.0 + 4.0 + 1.0) / 2.0);
        assert!(got[1].is_nan() && got[2].is_nan());
    }

    #[test]
    fn independent_energies_have_two_and_a_random_walk_little() {
        use crate::rng::{Phase, Streams, fill_normal};
        let mut x = vec![0.0; 8000];
        fill_normal(&mut Streams::new(1).rng(Phase::USER, 0), &mut x);
        // (x_n - x_{n-1})^2 has mean 2; the relative deviation of the ratio is about sqrt(4/n)
        let independent = e_bfmi(&Chains::new(&x, 2).unwrap());
        assert!(
            independent.iter().all(|e| (e - 2.0).abs() < 0.2),
            "{independent:?}"
        );
        // AR(1): 2 (1 - rho) = 0.1
        for i in 1..x.len() {
            x[i] = 0.95 * x[i - 1] + (1.0f64 - 0.95 * 0.95).sqrt() * x[i];
        }
        let slow = e_bfmi(&Chains::new(&x, 2).unwrap());
        assert!(slow.iter().all(|e| (e - 0.1).abs() < 0.03), "{slow:?}");
    }
}
