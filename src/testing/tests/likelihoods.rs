//! Likelihoods and samplers of targets.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{passes, rejected};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::{Bernoulli, Categorical, Gaussian, Likelihood, StudentT};
use crate::testing::*;

/// `p(y | o) = 1 / (pi cosh(y - o))`, or with a fault.
#[derive(Clone, Copy, PartialEq)]
enum Sech {
    Right,
    /// A mean over the rows.
    Mean,
    /// Without the constant.
    NoConstant,
    /// The square of the sum of residuals: rows are not independent.
    Coupled,
    /// A curvature that is twice the Hessian, in the product and in closed form.
    TwiceLambda,
    /// Twice the Hessian in closed form alone.
    TwiceClosed,
    /// Adds to the encoded target what depends on other rows.
    Ranked,
}

impl Likelihood for Sech {
    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        let shift = if *self == Sech::Ranked {
            targets.iter().sum()
        } else {
            0.0
        };
        targets.iter().map(|y| y + shift).collect()
    }
    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
        let r = outputs - targets.reshape(&outputs.shape());
        let n = targets.shape()[0] as f64;
        let sum = (r + (r * -2.0).softplus()).sum();
        let constant = n * (std::f64::consts::PI / 2.0).ln();
        match self {
            Sech::Mean => (sum + constant) * (1.0 / n),
            Sech::NoConstant => sum,
            Sech::Coupled => sum + constant + r.sum().square(),
            _ => sum + constant,
        }
    }
    fn output_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
        w: Var<'g>,
    ) -> Result<Var<'g>> {
        let nll = self.neg_log_likelihood(outputs, targets, params);
        let product = outputs.graph().hvp(nll, outputs, w)?;
        Ok(if *self == Sech::TwiceLambda {
            product * 2.0
        } else {
            product
        })
    }
    fn output_hessian(&self, o: &[f64], y: &[f64], _: &[f64], hessian: &mut [f64]) -> Result<()> {
        let twice = matches!(self, Sech::TwiceLambda | Sech::TwiceClosed);
        hessian[0] = (o[0] - y[0]).cosh().powi(-2) * if twice { 2.0 } else { 1.0 };
        Ok(())
    }
    fn check(&self, _: usize, _: &[f64]) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_likelihood_is_a_sum_and_a_density() {
    let options = LikelihoodOptions {
        support: Support::Real,
        ..LikelihoodOptions::default()
    };
    let check = |fault: Sech| check_likelihood(&fault, 1, &[0.3, -1.0, 2.0], &options);
    passes(check(Sech::Right));
    let words = [
        "check_likelihood: a mean over rows, not a sum",
        "1e-12 (1 + sum |terms|)",
    ];
    rejected(check(Sech::Mean), &words);
    // 2 / pi is lost: the integral is pi / 2
    let words = ["normalisation", "is 1.570796326", "trapezoid rule"];
    rejected(check(Sech::NoConstant), &words);
    let words = ["the rows together against the sum over single rows"];
    rejected(check(Sech::Coupled), &words);
    let words = [
        "Lambda w against the Hessian of the negative log-likelihood",
        "Lambda w[0] of row 0",
    ];
    rejected(check(Sech::TwiceLambda), &words);
    let words = ["output_hessian_product against output_hessian"];
    rejected(check(Sech::TwiceClosed), &words);
    let words = ["a row encoded among others", "encoded targets[0] of row 0"];
    rejected(check(Sech::Ranked), &words);
    // a negative curvature: outliers of Student's t
    let t = StudentT::default();
    let words = ["Lambda w against the Hessian"];
    rejected(check_likelihood(&t, 1, &[30.0], &options), &words);
    let fisher = LikelihoodOptions {
        exact_hessian: false,
        ..options
    };
    passes(check_likelihood(&t, 1, &[30.0], &fisher));
    let classes = LikelihoodOptions {
        support: Support::Labels(3),
        ..options
    };
    passes(check_likelihood(&Categorical, 3, &[0.0, 2.0], &classes));
    let words = ["check: error", "one of the classes 0..2"];
    rejected(check_likelihood(&Categorical, 2, &[2.0], &classes), &words);
}

#[test]
fn a_sampler_must_be_that_of_the_likelihood() {
    let normal = |std: f64, bias: f64| {
        move |o: &[f64], _: &[f64], rng: &mut ChaCha8Rng| {
            let e: f64 = StandardNormal.sample(rng);
            vec![o[0] + bias + std * e]
        }
    };
    let options = SamplerOptions::default();
    let gaussian = Gaussian::new(0.5).unwrap();
    let check = |std, bias| check_likelihood_sampler(&gaussian, 1, normal(std, bias), &options);
    passes(check(0.5, 0.0));
    // a bias of a tenth of a deviation is 6 standard errors of 4,000 draws
    rejected(check(0.5, 0.05), &["the mean score of output 0"]);
    // 10 % of the deviation is 21 % of the variance, 9 standard errors of it
    rejected(check(0.55, 0.0), &["the information of output 0"]);
    let classes = |o: &[f64], _: &[f64], rng: &mut ChaCha8Rng| {
        let total: f64 = o.iter().map(|o| o.exp()).sum();
        let mut rest = rng.random::<f64>() * total;
        let class = o.iter().position(|o| {
            rest -= o.exp();
            rest < 0.0
        });
        vec![class.unwrap_or(0) as f64]
    };
    passes(check_likelihood_sampler(&Categorical, 3, classes, &options));
    // one logit is not two
    let coin = |o: &[f64], _: &[f64], rng: &mut ChaCha8Rng| {
        let p = 1.0 / (1.0 + (-2.0 * o[0]).exp());
        vec![f64::from(u8::from(rng.random::<f64>() < p))]
    };
    let words = ["check_likelihood_sampler", "under the sampler"];
    rejected(
        check_likelihood_sampler(&Bernoulli, 1, coin, &options),
        &words,
    );
    // with own parameters: a chi-square number by its definition
    let student = |o: &[f64], s: &[f64], rng: &mut ChaCha8Rng| {
        let gamma = rand_distr::Gamma::new(0.5 * StudentT::dof(s[1]), 2.0).unwrap();
        let (z, square): (f64, f64) = (StandardNormal.sample(rng), gamma.sample(rng));
        vec![o[0] + s[0].exp() * z / (square / StudentT::dof(s[1])).sqrt()]
    };
    passes(check_likelihood_sampler(
        &StudentT::default(),
        1,
        student,
        &options,
    ));
}
