//! Extreme outputs, borderline data, and rejected input.

use super::*;

#[test]
fn extreme_outputs_give_no_nan() {
    fn check<T: Scalar>(case: &Case) {
        let mut row = Row::<T>::new(case);
        let k = case.outputs;
        for pattern in 0..1u32 << k {
            let sign = |j: usize| if pattern >> j & 1 == 1 { 1e4 } else { -1e4 };
            let mut z: Vec<f64> = (0..k).map(sign).collect();
            z.resize(row.dim, 0.3);
            let m = case.likelihood.target_dim(k);
            // a softmax over one logit has no class 1
            let targets = if k == 1 && case.name == "categorical" {
                &[0.0][..]
            } else {
                &[0.0, 1.0]
            };
            for &y in targets {
                let y = vec![y; m];
                row.run(&z, &y, &vec![1.0; row.dim]);
                let all = [
                    vec![row.program.scalar(&row.ws, 0).unwrap()],
                    row.tensor(1),
                    row.tensor(3),
                ];
                for x in all.concat() {
                    // an infinite rate, or a noise of 0, means infinite energy
                    let rate = case.name.starts_with("poisson") && x == f64::INFINITY;
                    let noise = case.name == "noise head" && x.is_infinite();
                    let fits = x.is_finite() || rate || noise;
                    assert!(fits, "{} at {z:?}: {x}", case.name);
                }
                let mut lambda = vec![0.0; k * k];
                let of = &case.likelihood;
                of.output_hessian(&z[..k], &y, &z[k..], &mut lambda)
                    .unwrap();
                assert!(lambda.iter().all(|x| !x.is_nan()), "{}", case.name);
            }
        }
    }
    for case in &cases() {
        check::<f64>(case);
        check::<f32>(case);
    }
    // and the values at the extremes
    let all = cases();
    let of = |name| all.iter().find(|c| c.name == name).unwrap();
    let mut bernoulli = Row::<f32>::new(of("bernoulli"));
    assert_eq!(bernoulli.value(&[1e4], &[1.0]), 0.0);
    assert_eq!(bernoulli.value(&[1e4], &[0.0]), 1e4);
    // a small loss keeps its digits: log(1 + e^-20)
    let small = bernoulli.value(&[20.0], &[1.0]);
    assert!((small / (-20f64).exp() - 1.0).abs() < 1e-5, "{small}");
    let mut poisson = Row::<f64>::new(of("poisson"));
    assert_eq!(poisson.value(&[-1e4], &[0.0]), 0.0);
    assert_eq!(poisson.value(&[-1e4], &[1.0]), 1e4);
}

#[test]
fn the_factorial_is_counted_up() {
    let mut log_factorial = 0.0;
    for y in 1..2_000 {
        log_factorial += f64::from(y).ln();
        let row = Poisson.encode(&[0.0, f64::from(y)]);
        assert_eq!(row[..3], [0.0, 0.0, f64::from(y)]);
        assert!((row[3] - log_factorial).abs() < 1e-13 * (1.0 + log_factorial));
    }
}

#[test]
fn targets_that_cannot_be_are_refused_by_row() {
    let says = |likelihood: &dyn Likelihood, outputs, targets: &[f64], words: &[&str]| {
        let message = likelihood.check(outputs, targets).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{message} without {word}");
        }
    };
    let hetero = HeteroscedasticGaussian::default();
    let pair = GaussianPerOutput::new(&[1.0, 2.0]).unwrap();
    says(&Bernoulli, 1, &[0.0, 1.0, 2.0], &["row 2", "2", "0 or 1"]);
    says(&Bernoulli, 2, &[0.0], &["1 network output", "got 2"]);
    says(&Poisson, 1, &[3.0, -1.0], &["row 1", "-1", "count"]);
    says(&Poisson, 1, &[0.5], &["row 0", "0.5"]);
    says(&Poisson, 1, &[f64::INFINITY], &["row 0"]);
    says(&Poisson, 3, &[1.0], &["1 network output", "got 3"]);
    says(&Categorical, 3, &[3.0], &["row 0", "0..3"]);
    says(&pair, 3, &[], &["2 network outputs", "got 3"]);
    says(
        &pair,
        2,
        &[0.0, 1.0, 2.0, f64::NAN],
        &["row 1", "'target 1'", "finite"],
    );
    says(&hetero, 3, &[], &["even", "got 3"]);
    says(&hetero, 2, &[0.0, f64::NAN], &["row 1", "finite"]);
    says(
        &GaussianLearnedNoise::shared(),
        1,
        &[f64::INFINITY],
        &["row 0"],
    );
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Gaussian::new(bad).is_err());
        assert!(GaussianPerOutput::new(&[1.0, bad]).is_err());
        assert!(HeteroscedasticGaussian::new(bad).is_err());
        let learned = GaussianLearnedNoise::shared();
        assert!(learned.with_prior(bad, 1.0).is_err() && learned.with_prior(1.0, bad).is_err());
        assert!(learned.with_init(bad).is_err());
    }
    assert!(GaussianPerOutput::new(&[]).is_err());
}

#[test]
fn wrong_lengths_of_a_row_are_refused() {
    let learned = GaussianLearnedNoise::per_output();
    let mut h = [0.0; 4];
    let good = learned.output_hessian(&[0.0; 2], &[0.0; 2], &[0.0; 2], &mut h);
    assert!(good.is_ok());
    for (outputs, target, params, hessian) in
        [(2, 1, 2, 4), (2, 2, 1, 4), (2, 2, 2, 3), (0, 0, 0, 0)]
    {
        let (o, y, s) = (vec![0.0; outputs], vec![0.0; target], vec![0.0; params]);
        let got = learned.output_hessian(&o, &y, &s, &mut h[..hessian]);
        assert!(
            matches!(got, Err(Error::Shape { .. })),
            "{outputs} {target} {params}"
        );
    }
}
