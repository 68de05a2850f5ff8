//! Reshaped outputs, and what does not fit.

use super::*;

/// A network whose outputs are a reshaped tensor: nothing may bypass the reshape.
#[test]
fn the_curvature_of_reshaped_outputs_is_not_lost() {
    let layers: Vec<Box<dyn fiberwalk::nn::Layer>> = vec![
        Box::new(Conv2d::new(1, Window::square(2, 1, 0)).unwrap()),
        Box::new(Activation::Softplus),
        Box::new(Flatten),
    ];
    let net = Sequential::new(&[1, 2, 2], layers).unwrap();
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let (x, y) = (normals(12, 1), [0.0, 1.0, 1.0]);
    let likelihoods: [Box<dyn Likelihood>; 4] = [
        Box::new(Gaussian::new(1.0).unwrap()),
        Box::new(GaussianLearnedNoise::shared().with_init(1.0).unwrap()),
        Box::new(Bernoulli),
        Box::new(Poisson),
    ];
    for likelihood in likelihoods {
        let posterior = PosteriorDensity::<f64>::new(&net, &*likelihood, &prior, &x, &y).unwrap();
        let mut theta = vec![0.0; net.dim()];
        theta.extend(likelihood.params(1).init());
        // outputs are log(1 + e^0); the last parameter is the bias, which moves every one of the
        // three with slope 1/2
        let mut v = vec![0.0; posterior.dim()];
        v[net.dim() - 1] = 1.0;
        let mut out = vec![0.0; posterior.dim()];
        posterior
            .ggn_product(&theta, &v, &mut out, &mut posterior.ggn_workspace())
            .unwrap();
        let mut lambda = [0.0];
        likelihood
            .output_hessian(&[2f64.ln()], &[0.0], &theta[net.dim()..], &mut lambda)
            .unwrap();
        assert!(lambda[0] > 0.2 && (out[net.dim() - 1] - 0.75 * lambda[0]).abs() < 1e-12);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let net = Mlp::new(&[1, 4], Activation::Identity).unwrap();
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let build = |likelihood: &dyn Likelihood, prior: &dyn Prior, rows: usize, y: &[f64]| {
        PosteriorDensity::<f32>::new(&net, likelihood, prior, &vec![0.5; rows], y).map(|p| p.rows())
    };
    let hetero = HeteroscedasticGaussian::default();
    assert_eq!(build(&hetero, &prior, 3, &[0.0; 6]).unwrap(), 3);
    let shape = |got: Result<usize, Error>| matches!(got, Err(Error::Shape { .. }));
    assert!(shape(build(&hetero, &prior, 3, &[0.0; 5])), "half a row");
    assert!(shape(build(&hetero, &prior, 6, &[0.0; 6])), "two targets");
    assert!(shape(build(&hetero, &prior, 0, &[])), "no row");
    assert!(shape(build(&Bernoulli, &prior, 3, &[0.0; 3])), "4 logits");
    let stray = PerLayerGaussian::new(&[("layer7", 1.0)]).unwrap();
    assert!(shape(build(&hetero, &stray, 3, &[0.0; 6])), "no such layer");
    // finite in f64, but not in f32
    let far = build(&hetero, &prior, 1, &[0.0, 1e300]);
    let far = far.unwrap_err().to_string();
    let expected = "row 0 (from 0), column 'target 1': \
                    expected a finite number in the range of f32, got 1e300";
    assert!(far.ends_with(expected), "{far}");
}
