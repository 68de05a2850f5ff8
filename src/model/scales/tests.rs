//! Densities whose scales were set, against densities that were built with them.

use super::*;
use crate::autodiff::Var;
use crate::model::{
    Bernoulli, Categorical, Curved, FanInGaussian, Gaussian, GaussianLearnedNoise,
    GaussianNoiseHead, GaussianPerOutput, HALF_LOG_2PI, HeteroscedasticGaussian, IsotropicGaussian,
    Likelihood, LogDensity, PerLayerGaussian, Poisson, PoissonWithBase, Prior, StudentT,
};
use crate::nn::{Activation, Mlp, ParamLayout};
use crate::rng::{Phase, Streams, fill_normal};

fn numbers<T: Scalar>(count: usize, seed: u64) -> Vec<T> {
    let mut all = vec![0.0; count];
    fill_normal(&mut Streams::new(seed).rng(Phase::USER, 0), &mut all);
    all.into_iter().map(T::from_f64).collect()
}

/// The Gaussian likelihood with its noise as constants of the graph.
struct Constant(f64);

impl Likelihood for Constant {
    fn target_dim(&self, outputs: usize) -> usize {
        outputs
    }

    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
        let n = targets.shape().iter().product::<usize>() as f64;
        let residual = outputs - targets.reshape(&outputs.shape());
        let constant = n * (self.0.ln() + HALF_LOG_2PI);
        residual.square().sum() * (0.5 / self.0.powi(2)) + constant
    }

    fn check(&self, _: usize, _: &[f64]) -> Result<()> {
        Ok(())
    }
}

/// The isotropic prior with its precision as constants of the graph.
struct ConstantPrior(f64);

impl Prior for ConstantPrior {
    fn neg_log_density<'g>(&self, theta: Var<'g>, _: &ParamLayout) -> Var<'g> {
        let p = theta.shape().iter().product::<usize>() as f64;
        let constant = 0.5 * p * ((2.0 * std::f64::consts::PI).ln() - self.0.ln());
        theta.square().sum() * (0.5 * self.0) + constant
    }

    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        vec![self.0; layout.len()]
    }
}

/// A network with this many outputs, and rows for it.
struct Rows {
    network: Mlp,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Rows {
    fn new(n: usize, outputs: usize, likelihood: &dyn Likelihood) -> Self {
        let targets = numbers::<f64>(n * likelihood.target_dim(outputs), 2);
        let y = match likelihood.check(outputs, &targets) {
            Ok(()) => targets,
            // labels and counts
            Err(_) => targets
                .iter()
                .map(|y| f64::from(u8::from(*y > 0.0)))
                .collect(),
        };
        Self {
            network: Mlp::new(&[3, 20, outputs], Activation::Tanh).unwrap(),
            x: numbers(n * 3, 1),
            y,
        }
    }

    fn density<T: Scalar>(&self, l: &dyn Likelihood, p: &dyn Prior) -> PosteriorDensity<T> {
        PosteriorDensity::new(&self.network, l, p, &self.x, &self.y).unwrap()
    }

    fn minibatch<T: Scalar>(&self, l: &dyn Likelihood, p: &dyn Prior) -> Minibatch<T> {
        Minibatch::new(&self.network, l, p, &self.x, &self.y).unwrap()
    }
}

/// The bits of all that a density computes at one point.
fn bits<T: Scalar>(density: &PosteriorDensity<T>) -> Vec<u64> {
    let dim = density.dim();
    let (theta, v) = (numbers::<T>(dim, 3), numbers::<T>(dim, 4));
    let mut ws = density.workspace();
    let mut out = vec![T::ZERO; dim];
    let mut all = vec![
        density.log_density(&theta, &mut ws).unwrap(),
        density.neg_log_likelihood(&theta, &mut ws).unwrap(),
    ];
    let mut keep = |value: f64, out: &[T]| {
        all.push(value);
        all.extend(out.iter().map(|x| x.to_f64()));
    };
    let value = density.log_density_and_grad(&theta, &mut out, &mut ws);
    keep(value.unwrap(), &out);
    let mut ws = density.ggn_workspace();
    density.ggn_product(&theta, &v, &mut out, &mut ws).unwrap();
    keep(0.0, &out);
    let mut ws = density.hessian_workspace();
    density
        .hessian_product(&theta, &v, &mut out, &mut ws)
        .unwrap();
    keep(0.0, &out);
    all.extend(density.prior_precision());
    all.into_iter().map(f64::to_bits).collect()
}

fn batch_bits<T: Scalar>(density: &Minibatch<T>) -> Vec<u64> {
    let theta = numbers::<T>(density.dim(), 3);
    let mut out = vec![T::ZERO; theta.len()];
    let mut ws = density.workspace();
    let batch = [3, 1, 4, 1, 5];
    let mut all = vec![density.energy_and_grad(&theta, &batch, &mut out, &mut ws)];
    let keep = out.iter().map(|x| x.to_f64()).collect::<Vec<_>>();
    all.push(density.log_density_and_grad(&theta, &mut out, &mut ws));
    all.push(density.neg_log_likelihood(&theta, &mut ws));
    let values = all.into_iter().map(Result::unwrap).chain(keep);
    let gradient = out.iter().map(|x| x.to_f64());
    values.chain(gradient).map(f64::to_bits).collect()
}

/// Scales that a factor of the graph makes 1, or nearly, and others.
const SCALES: [(f64, f64); 4] = [
    (1.0, 1.0),
    (2.0, std::f64::consts::FRAC_1_SQRT_2),
    (0.37, 0.021),
    (1e-4, 30.0),
];

fn gaussian_scales_are_numbers<T: Scalar>(n: usize, outputs: usize) {
    let rows = Rows::new(n, outputs, &Constant(1.0));
    let at = |alpha, std| {
        let likelihood = Gaussian::new(std).unwrap();
        (likelihood, IsotropicGaussian::new(alpha).unwrap())
    };
    let (likelihood, prior) = at(3.1, 0.7);
    let elsewhere = rows.density::<T>(&likelihood, &prior);
    let batches = rows.minibatch::<T>(&likelihood, &prior);
    let mut set = elsewhere.clone();
    let first = (bits(&elsewhere), batch_bits(&batches));
    for (alpha, std) in SCALES {
        let (likelihood, prior) = at(alpha, std);
        let constant = rows.density::<T>(&Constant(std), &ConstantPrior(alpha));
        let want = bits(&constant);
        let here = rows.density::<T>(&likelihood, &prior);
        assert!(bits(&here) == want, "built at {alpha}, {std}");
        let with = elsewhere.with_scales(alpha, Some(std)).unwrap();
        assert!(bits(&with) == want, "with {alpha}, {std}");
        assert!(with.shares_programs_with(&elsewhere) && !with.shares_programs_with(&here));
        set.set_noise_std(std).unwrap();
        set.set_prior_precision(alpha).unwrap();
        assert!(bits(&set) == want, "set to {alpha}, {std}");

        let constant = rows.minibatch::<T>(&Constant(std), &ConstantPrior(alpha));
        let with = batches.with_scales(alpha, Some(std)).unwrap();
        assert!(batch_bits(&with) == batch_bits(&constant), "{alpha}, {std}");
        assert!(with.shares_programs_with(&batches));
        let here = rows.minibatch::<T>(&likelihood, &prior);
        assert!(batch_bits(&here) == batch_bits(&constant), "{alpha}, {std}");
        let part: Vec<usize> = (0..n / 2).collect();
        let (part, of_part) = (with.select(&part).unwrap(), constant.select(&part).unwrap());
        assert!(batch_bits(&part) == batch_bits(&of_part), "{alpha}, {std}");
    }
    // copies keep their scales
    assert!((bits(&elsewhere), batch_bits(&batches)) == first);
}

/// Against the same formulas with constants, bit for bit: one output and several, rows of one block
/// and of many.
#[test]
fn a_density_that_is_set_is_the_one_that_is_built() {
    gaussian_scales_are_numbers::<f64>(40, 1);
    gaussian_scales_are_numbers::<f32>(40, 2);
    gaussian_scales_are_numbers::<f32>(3_000, 1);
}

fn any_likelihood_takes_a_precision<T: Scalar>() {
    let learned = GaussianLearnedNoise::shared();
    let likelihoods: [(Box<dyn Likelihood>, usize); 11] = [
        (Box::new(Bernoulli), 1),
        (Box::new(Categorical), 3),
        (Box::new(Gaussian::new(0.3).unwrap()), 2),
        (Box::new(GaussianPerOutput::new(&[0.3, 1.4]).unwrap()), 2),
        (Box::new(HeteroscedasticGaussian::default()), 2),
        (Box::new(learned), 1),
        (Box::new(GaussianLearnedNoise::per_output()), 2),
        (Box::new(GaussianNoiseHead::new(0.5).unwrap()), 2),
        (Box::new(Poisson), 1),
        (Box::new(PoissonWithBase::new(2.5).unwrap()), 1),
        (Box::new(StudentT::default()), 2),
    ];
    for (at, (likelihood, outputs)) in likelihoods.iter().enumerate() {
        let (l, rows) = (
            likelihood.as_ref(),
            Rows::new(40, *outputs, likelihood.as_ref()),
        );
        let prior = |alpha| IsotropicGaussian::new(alpha).unwrap();
        let [elsewhere, here] = [3.1, 0.37].map(|alpha| rows.density::<T>(l, &prior(alpha)));
        let set = elsewhere.with_scales(0.37, None).unwrap();
        assert!(bits(&set) == bits(&here), "likelihood {at}");
        assert!(bits(&set) != bits(&elsewhere), "likelihood {at}");
        let [elsewhere, here] = [3.1, 0.37].map(|alpha| rows.minibatch::<T>(l, &prior(alpha)));
        let set = elsewhere.with_scales(0.37, None).unwrap();
        assert!(batch_bits(&set) == batch_bits(&here), "likelihood {at}");
        // only one noise level that is given can be set
        assert_eq!(set.with_scales(1.0, Some(0.2)).is_ok(), at == 2, "{at}");
    }
}

#[test]
fn the_precision_is_a_number_under_every_likelihood() {
    any_likelihood_takes_a_precision::<f64>();
    any_likelihood_takes_a_precision::<f32>();
}

#[test]
fn what_is_not_one_scale_is_refused_and_changes_nothing() {
    let gaussian = Gaussian::new(0.3).unwrap();
    let rows = Rows::new(40, 1, &gaussian);
    let mut density = rows.density::<f64>(&gaussian, &IsotropicGaussian::new(2.0).unwrap());
    let mut batches = rows.minibatch::<f64>(&gaussian, &IsotropicGaussian::new(2.0).unwrap());
    let before = (bits(&density), batch_bits(&batches));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for error in [
            density.set_noise_std(bad),
            batches.set_noise_std(bad),
            density.set_prior_precision(bad),
            batches.set_prior_precision(bad),
        ] {
            assert!(matches!(error, Err(Error::Config { .. })), "{bad}");
        }
        assert!(density.with_scales(1.0, Some(bad)).is_err());
    }
    assert!((bits(&density), batch_bits(&batches)) == before);

    let by_layer = PerLayerGaussian::new(&[("layer0", 2.0), ("layer2", 3.0)]).unwrap();
    let fan_in = FanInGaussian::new(1.0, 1.0).unwrap();
    for prior in [&by_layer as &dyn Prior, &fan_in] {
        let mut density = rows.density::<f64>(&gaussian, prior);
        assert!(density.set_prior_precision(1.0).is_err());
        assert!(
            density.set_noise_std(1.0).is_ok(),
            "the noise is another matter"
        );
    }
    // the name stands for a factor of a curvature that changes from weight to weight
    let mut density = rows.density::<f64>(&gaussian, &Sloped(2.0));
    let error = density.set_prior_precision(1.0).unwrap_err().to_string();
    assert!(error.contains("every parameter"), "{error}");
    // two levels of noise in one likelihood
    let mut density = rows.density::<f64>(&Contaminated, &IsotropicGaussian::new(1.0).unwrap());
    let error = density.set_noise_std(1.0).unwrap_err().to_string();
    assert!(error.contains("0.1") && error.contains("0.9"), "{error}");
}

/// A prior whose precision grows along the parameters.
struct Sloped(f64);

impl Prior for Sloped {
    fn neg_log_density<'g>(&self, theta: Var<'g>, layout: &ParamLayout) -> Var<'g> {
        let slope = (1..=layout.len()).map(|i| i as f64).collect();
        let slope = theta.graph().tensor(&[layout.len()], slope);
        let alpha = theta.graph().named(PRIOR_PRECISION, self.0, |alpha| alpha);
        (theta.square() * slope).sum() * alpha
    }

    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        (1..=layout.len())
            .map(|i| 2.0 * self.0 * i as f64)
            .collect()
    }
}

/// The sum of two Gaussian likelihoods.
struct Contaminated;

impl Likelihood for Contaminated {
    fn neg_log_likelihood<'g>(&self, o: Var<'g>, y: Var<'g>, s: Var<'g>) -> Var<'g> {
        let of = |std| Gaussian::new(std).unwrap().neg_log_likelihood(o, y, s);
        of(0.1) + of(0.9)
    }

    fn check(&self, _: usize, _: &[f64]) -> Result<()> {
        Ok(())
    }
}
