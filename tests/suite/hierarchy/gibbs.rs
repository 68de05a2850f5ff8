//! Scales drawn alone, given the parameters.
//!
//! The tests check their law, that the prior is invariant, and a twin whose shape is wrong.

use super::Quadrature;
use fiberwalk::diagnose::{chi_square_survival, ks_test};
use fiberwalk::model::ExactMove;
use fiberwalk::{Activation, CoordinatePrior, Mlp, Network, Phase, Result, ScaleGroups};
use fiberwalk::{ScaledNetwork, Streams};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

/// Kolmogorov's test of a right sampler fails for one seed in a million.
pub(super) const LEVEL: f64 = 1e-6;

const HALF_CAUCHY: CoordinatePrior = CoordinatePrior::HalfCauchy { scale: 0.7 };
const INVERSE_GAMMA: CoordinatePrior = CoordinatePrior::InverseGamma {
    shape: 2.0,
    rate: 0.6,
};

fn net() -> Mlp {
    Mlp::new(&[2, 3, 1], Activation::Tanh).unwrap()
}

/// `log p(t)` in nats.
pub(super) fn log_prior(prior: CoordinatePrior, t: f64) -> f64 {
    match prior {
        CoordinatePrior::Normal { mean, precision } => -0.5 * precision * (t - mean).powi(2),
        CoordinatePrior::HalfCauchy { scale } => {
            let u = t - scale.ln();
            u - (2.0 * u).exp().ln_1p()
        }
        CoordinatePrior::InverseGamma { shape, rate } => -2.0 * shape * t - rate * (-2.0 * t).exp(),
    }
}

/// One scale for all parameters but the last bias, drawn from its inverse gamma conditional. The
/// shape is off by `error`.
pub(super) struct OffBy<'a> {
    pub scaled: &'a ScaledNetwork<'a>,
    pub shape: f64,
    pub rate: f64,
    pub error: f64,
}

impl ExactMove<f64> for OffBy<'_> {
    fn apply(&self, phi: &mut [f64], rng: &mut ChaCha8Rng) -> Result<()> {
        let (n, at) = (self.scaled.inner().dim() - 1, self.scaled.inner().dim());
        let variance = (2.0 * phi[at]).exp();
        let squares: f64 = phi[..n].iter().map(|z| z * z).sum::<f64>() * variance;
        let shape = self.shape + 0.5 * n as f64 + self.error;
        let unit = Gamma::new(shape, 1.0).unwrap().sample(rng);
        let drawn = (self.rate + 0.5 * squares) / unit;
        phi[at] = 0.5 * drawn.ln();
        let shrink = (variance / drawn).sqrt();
        phi[..n].iter_mut().for_each(|z| *z *= shrink);
        Ok(())
    }
}

/// Draws of the log scales `[G]` of one chain, with `between` moves before each and the parameters
/// held.
fn chain(
    scaled: &ScaledNetwork<'_>,
    mover: &dyn ExactMove<f64>,
    (count, between): (usize, usize),
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let (p, mut rng) = (scaled.inner().dim(), Streams::new(5).rng(Phase::USER, 0));
    let mut phi = scaled.prior().draw(&mut rng).unwrap();
    let mut theta = vec![0.0; p];
    scaled.theta(&phi, &mut theta).unwrap();
    let mut draws = vec![Vec::with_capacity(count); scaled.scales()];
    for _ in 0..count {
        for _ in 0..between {
            mover.apply(&mut phi, &mut rng).unwrap();
        }
        for (of, t) in draws.iter_mut().zip(&phi[p..]) {
            of.push(*t);
        }
    }
    let mut after = vec![0.0; p];
    scaled.theta(&phi, &mut after).unwrap();
    for (a, b) in after.iter().zip(&theta) {
        // a move has two roundings of one part in 10^16 each; at most 2e5 moves add like a random
        // walk: 1e-13
        assert!((a - b).abs() <= 1e-11 * b.abs(), "{a} was {b}");
    }
    (theta, draws)
}

/// `p(t | theta) ~ p(t) e^{-n t - S e^{-2t} / 2}` by quadrature.
fn conditional(prior: CoordinatePrior, n: usize, squares: f64) -> Quadrature {
    let log = |t: f64| log_prior(prior, t) - n as f64 * t - 0.5 * squares * (-2.0 * t).exp();
    Quadrature::new(log, -12.0, 12.0)
}

/// Ten thousand draws. The half-Cauchy's chain forgets through its auxiliary variable, in a few
/// moves; twenty lie between draws.
#[test]
fn scales_are_drawn_from_their_conditionals() {
    let net = net();
    for (prior, between) in [(HALF_CAUCHY, 20), (INVERSE_GAMMA, 1)] {
        // weights of both layers, and the hidden biases: 6, 3 and 3 parameters in the order weight,
        // bias, weight
        let scaled = ScaledNetwork::new(&net, ScaleGroups::PerTensor)
            .with_priors(&[prior; 3])
            .unwrap();
        let (theta, draws) = chain(&scaled, &scaled, (10_000, between));
        for (range, draws) in [0..6, 6..9, 9..12].into_iter().zip(&draws) {
            let squares = theta[range.clone()].iter().map(|x| x * x).sum();
            let want = conditional(prior, range.len(), squares);
            let p = ks_test(draws, |t| want.cdf(t)).unwrap().p_value;
            assert!(p > LEVEL, "{prior:?} {range:?}: {p}");
        }
    }
}

/// Twenty thousand draws of the prior, one move each. The log scales still follow their prior, and
/// the sum of squares of all `z` is chi-square. Also with relevances, whose scales multiply others.
#[test]
fn the_prior_is_invariant() {
    let net = net();
    let mut rng = Streams::new(7).rng(Phase::USER, 1);
    for groups in ScaleGroups::ALL {
        let scaled = ScaledNetwork::new(&net, groups);
        let p = net.dim();
        let (mut scales, mut squares) = (vec![Vec::new(); scaled.scales()], Vec::new());
        let mut moved = 0;
        for _ in 0..20_000 {
            let mut phi = scaled.prior().draw(&mut rng).unwrap();
            let before = phi.clone();
            ExactMove::<f64>::apply(&scaled, &mut phi, &mut rng).unwrap();
            moved += usize::from(phi[p..].iter().zip(&before[p..]).all(|(a, b)| a != b));
            squares.push(phi[..p].iter().map(|z| z * z).sum());
            scales
                .iter_mut()
                .zip(&phi[p..])
                .for_each(|(s, t)| s.push(*t));
        }
        // a scale beyond 1e15 or below 1e-15 is left as it is: 1e-15 of the mass
        assert_eq!(moved, 20_000);
        let priors = scaled.params().iter().flat_map(|s| vec![s.prior; s.len]);
        for ((prior, draws), name) in priors.zip(&scales).zip(scaled.scale_names()) {
            let want = Quadrature::new(|t| log_prior(prior, t), -30.0, 30.0);
            let p = ks_test(draws, |t| want.cdf(t)).unwrap().p_value;
            assert!(p > LEVEL, "{groups} {name}: {p}");
        }
        let p = ks_test(&squares, |s| 1.0 - chi_square_survival(s, p as f64)).unwrap();
        assert!(p.p_value > LEVEL, "{groups} |z|^2: {}", p.p_value);
    }
}

/// The same two tests with a twin that is right, and with one whose shape is off by one half.
#[test]
fn a_shape_off_by_one_half_is_found() {
    let net = net();
    let (shape, rate) = (2.0, 0.6);
    let scaled = ScaledNetwork::new(&net, ScaleGroups::Shared)
        .with_priors(&[INVERSE_GAMMA])
        .unwrap();
    let p = net.dim();
    for error in [0.0, 0.5, -0.5] {
        let twin = OffBy {
            scaled: &scaled,
            shape,
            rate,
            error,
        };
        let (theta, draws) = chain(&scaled, &twin, (10_000, 1));
        // weights have a factor of fan_in^{-1/2}, of 2 inputs and then of 3 hidden units; biases
        // have none
        let fan_in = [[2.0; 6].as_slice(), &[1.0; 3], &[3.0; 3]].concat();
        let squares = theta.iter().zip(&fan_in).map(|(x, f)| x * x * f).sum();
        let want = conditional(INVERSE_GAMMA, p - 1, squares);
        let alone = ks_test(&draws[0], |t| want.cdf(t)).unwrap().p_value;
        let mut rng = Streams::new(8).rng(Phase::USER, 1);
        let mut drawn = || {
            let mut phi = scaled.prior().draw(&mut rng).unwrap();
            twin.apply(&mut phi, &mut rng).unwrap();
            phi[p]
        };
        let joint: Vec<f64> = (0..20_000).map(|_| drawn()).collect();
        let want = Quadrature::new(|t| log_prior(INVERSE_GAMMA, t), -30.0, 30.0);
        let joint = ks_test(&joint, |t| want.cdf(t)).unwrap().p_value;
        if error == 0.0 {
            assert!(alone > LEVEL && joint > LEVEL, "{alone} {joint}");
        } else {
            assert!(alone < LEVEL && joint < LEVEL, "{error}: {alone} {joint}");
        }
    }
}
