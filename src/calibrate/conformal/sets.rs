//! Sets of classes: adaptive prediction sets, plain and regularised.

use rand::RngExt;

use crate::rng::{Phase, Streams};

/// How a class is scored: see the table of the [module](super).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "safetensors",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "kind", rename_all = "lowercase")
)]
pub enum SetScore {
    /// Adaptive prediction sets.
    Aps,
    /// Regularised: classes of a rank above `k_reg` cost `lambda` each.
    Raps {
        /// Cost of a rank, not negative.
        lambda: f64,
        /// Ranks that cost nothing.
        k_reg: usize,
    },
}

impl SetScore {
    /// Regularised sets: from the third class on, each costs a tenth.
    pub const RAPS: Self = Self::Raps {
        lambda: 0.1,
        k_reg: 2,
    };

    fn penalty(self, rank: usize) -> f64 {
        match self {
            Self::Aps => 0.0,
            Self::Raps { lambda, k_reg } => lambda * rank.saturating_sub(k_reg) as f64,
        }
    }

    /// True if its numbers are in range.
    pub fn is_proper(self) -> bool {
        match self {
            Self::Aps => true,
            Self::Raps { lambda, .. } => (0.0..=1e6).contains(&lambda),
        }
    }
}

/// The scores of all classes of a row with probabilities `p`, `[classes]`. Equal probabilities are
/// in the order of their classes.
pub fn set_scores(kind: SetScore, p: &[f64], u: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then(a.cmp(&b)));
    let mut scores = vec![0.0; p.len()];
    let mut before = 0.0;
    for (at, &k) in order.iter().enumerate() {
        scores[k] = before + u * p[k] + kind.penalty(at + 1);
        before += p[k];
    }
    scores
}

/// The score of class `label`.
///
/// # Panics
/// If there is no such class, as slices do.
pub fn set_score(kind: SetScore, p: &[f64], label: usize, u: f64) -> f64 {
    set_scores(kind, p, u)[label]
}

/// Which classes are in the set of a row. `thresholds` has one for all classes, or one for each;
/// `None` takes the class in.
pub fn prediction_set(kind: SetScore, thresholds: &[Option<f64>], p: &[f64], u: f64) -> Vec<bool> {
    let threshold = |k: usize| match thresholds {
        [one] => *one,
        all => all.get(k).copied().flatten(),
    };
    let scores = set_scores(kind, p, u).into_iter().enumerate();
    scores
        .map(|(k, score)| threshold(k).is_none_or(|q| score <= q))
        .collect()
}

/// A number in `[0, 1)` that depends on the features of a row and the seed, and on nothing else.
pub fn uniform_of(features: &[f64], seed: u64) -> f64 {
    let mut hash = seed ^ 0x9e37_79b9_7f4a_7c15;
    for x in features {
        // the sum of -0 and 0 is 0
        hash = mixed(hash ^ (x + 0.0).to_bits());
    }
    Streams::new(hash).rng(Phase::CONFORMAL, 0).random()
}

/// The finaliser of splitmix64 (Steele, Lea & Flood 2014).
fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
