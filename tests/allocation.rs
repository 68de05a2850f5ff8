//! Inner steps allocate nothing after the first. The tests count allocations.

#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use common::{labels, lenet5, normals, short};
use fiberwalk::autodiff::Graph;
use fiberwalk::baselines::{
    AllRows, ChainOptions, Chains, Hmc, HmcOptions, Nuts, NutsOptions, Preconditioner,
    RandomBatches, Sgld, SgldOptions, hmc, nuts,
};
use fiberwalk::deform::LastLayer;
use fiberwalk::model::Minibatch;
use fiberwalk::walk::{
    Drift, DriftOptions, FrameOptions, FrameSource, GgnFrame, InverseMassMatrix, Kernel,
    Microcanonical, MicrocanonicalOptions,
};
use fiberwalk::{
    Activation, Bernoulli, Categorical, Curved, Gaussian, GaussianPerOutput, IsotropicGaussian,
    Likelihood, LinearHead, LogDensity, Mlp, Network, Phase, Poisson, PosteriorDensity,
    RowCurvature, Scalar, ScaleGroups, ScaledNetwork, Streams,
};

/// Gradient, Gauss-Newton product (a JVP and a VJP), Hessian-vector product, and a step of a walk.
fn check<T: Scalar>(net: &dyn Network, n: usize) {
    let theta: Vec<T> = net
        .init(&mut Streams::new(1).rng(Phase::INIT, 0))
        .into_iter()
        .map(T::from_f64)
        .collect();
    let (x, y) = (
        normals(n * net.input_dim(), 2),
        labels(n, net.output_dim(), 3),
    );
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::<T>::new(net, &Categorical, &prior, &x, &y).unwrap();
    let mut out = vec![T::ZERO; theta.len()];
    let mut ws = posterior.workspace();
    let mut ggn = posterior.ggn_workspace();
    let mut hessian = posterior.hessian_workspace();
    let rows = RowCurvature::<T>::new(net, &Categorical, &x, &y).unwrap();
    let mut fisher = rows.fisher_workspace();
    let mut round = || {
        posterior.log_density(&theta, &mut ws).unwrap();
        posterior
            .log_density_and_grad(&theta, &mut out, &mut ws)
            .unwrap();
        posterior
            .ggn_product(&theta, &theta, &mut out, &mut ggn)
            .unwrap();
        posterior
            .hessian_product(&theta, &theta, &mut out, &mut hessian)
            .unwrap();
        rows.fisher_product(&theta, &theta, &mut out, &mut fisher)
            .unwrap();
    };
    // the first round may set up what lasts: memory of the matrix products, detection of the
    // instruction set
    round();
    let info = measure(|| (0..10).for_each(|_| round()));
    let name = format!("{} parameters", theta.len());
    assert_eq!(info.count_total, 0, "{name}, {} bytes", info.bytes_total);
    jvp_allocates_nothing(net, &theta, n.min(20));
    let options = DriftOptions {
        step_size: 0.01,
        correction: 1e-3,
        max_energy: f64::INFINITY,
        retries: 4,
    };
    a_step_allocates_nothing(&Drift::new(options).unwrap(), &posterior, &theta);
    for adjusted in [false, true] {
        let options = MicrocanonicalOptions {
            step_size: Some(0.01),
            decoherence_length: Some(0.03),
            adjusted,
            ..MicrocanonicalOptions::default()
        };
        let frame = FrameOptions {
            max_directions: 4,
            ..FrameOptions::default()
        };
        let source = GgnFrame::new(&posterior, &frame, Streams::new(0)).unwrap();
        let frame = source.frame(&[&theta], Some(300)).unwrap();
        let kernel = Microcanonical::new(frame, &options).unwrap();
        a_step_allocates_nothing(&kernel, &posterior, &theta);
    }
}

fn a_step_allocates_nothing<T: Scalar, K: Kernel<T, PosteriorDensity<T>>>(
    kernel: &K,
    posterior: &PosteriorDensity<T>,
    theta: &[T],
) {
    steps_allocate_nothing(kernel, posterior, theta, 10);
}

fn steps_allocate_nothing<T: Scalar, D, K: Kernel<T, D>>(
    kernel: &K,
    density: &D,
    theta: &[T],
    steps: usize,
) {
    let mut rng = Streams::new(0).rng(Phase::WALK, 0);
    let mut ws = kernel.workspace(density);
    let mut state = kernel.init(density, theta, &mut rng, &mut ws).unwrap();
    let mut step = || kernel.step(density, &mut state, &mut rng, &mut ws).unwrap();
    step();
    let info = measure(|| {
        (0..steps).for_each(|_| {
            step();
        })
    });
    assert_eq!(info.count_total, 0, "{} bytes in a step", info.bytes_total);
}

/// Steps of HMC, NUTS and Langevin dynamics. Those of a warm-up, with a new mass and a new search
/// for the step size, and those that diverge.
#[test]
fn a_step_of_any_sampler_allocates_nothing() {
    // the one worker is this thread: a task that is given to a pool from outside allocates now and
    // then in the pool's queue
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(samplers_allocate_nothing);
}

fn samplers_allocate_nothing() {
    let net = Mlp::new(&[5, 8, 3], Activation::Tanh).unwrap();
    let (x, y) = (normals(5 * 40, 2), labels(40, 3, 3));
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::<f32>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let start = net.init(&mut Streams::new(1).rng(Phase::INIT, 0));
    let theta: Vec<f32> = start.into_iter().map(|t| t as f32).collect();
    for step_size in [None, Some(1e4)] {
        let chains = ChainOptions {
            warm_up: 30,
            step_size,
            ..ChainOptions::default()
        };
        let for_hmc = HmcOptions {
            chains: chains.clone(),
            ..HmcOptions::default()
        };
        steps_allocate_nothing(&Hmc::new(&for_hmc).unwrap(), &posterior, &theta, 50);
        let for_nuts = NutsOptions {
            chains,
            ..NutsOptions::default()
        };
        steps_allocate_nothing(&Nuts::new(&for_nuts).unwrap(), &posterior, &theta, 50);
    }
    let data = Minibatch::<f32>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    for preconditioner in [Preconditioner::None, Preconditioner::rms_prop()] {
        for learning_rate in [1e-3, 1e30] {
            let options = SgldOptions {
                preconditioner,
                learning_rate,
                ..SgldOptions::default()
            };
            let kernel = Sgld::new(&options).unwrap();
            let batches = RandomBatches::new(&data, 10).unwrap();
            steps_allocate_nothing(&kernel, &batches, &theta, 50);
            let all = AllRows::new(&posterior, 40).unwrap();
            steps_allocate_nothing(&kernel, &all, &theta, 50);
        }
    }
}

/// A Jacobian-vector product alone, as a separate program.
fn jvp_allocates_nothing<T: Scalar>(net: &dyn Network, theta: &[T], n: usize) {
    let graph = Graph::new();
    let (p, v) = (graph.input(&[net.dim()]), graph.input(&[net.dim()]));
    let x = graph.input(&[n, net.input_dim()]);
    let tangent = graph.jvp(net.forward(p, x), p, v).unwrap();
    let program = graph.compile::<T>(&[tangent]).unwrap();
    let mut ws = program.workspace();
    let x: Vec<T> = normals(n * net.input_dim(), 4)
        .into_iter()
        .map(T::from_f64)
        .collect();
    let mut run = || program.run(&[theta, theta, &x], &mut ws).unwrap();
    run();
    let info = measure(|| (0..10).for_each(|_| run()));
    assert_eq!(info.count_total, 0, "JVP, {} bytes", info.bytes_total);
    assert!(
        program
            .tensor(&ws, 0)
            .unwrap()
            .iter()
            .any(|&t| t != T::ZERO)
    );
}

#[test]
fn gradients_and_products_of_perceptrons_allocate_nothing() {
    let mlp = |sizes: &[usize]| Mlp::new(sizes, Activation::Tanh).unwrap();
    check::<f32>(&mlp(&[18, 50, 4]), 592);
    check::<f64>(&mlp(&[18, 50, 4]), 100);
    // several blocks of rows
    check::<f32>(&mlp(&[2, 16, 16, 2]), 6000);
    check::<f32>(&mlp(&[64, 128, 128, 10]), 200);
}

#[test]
fn gradients_and_products_of_lenet_allocate_nothing() {
    check::<f32>(&lenet5(), 100);
    check::<f64>(&lenet5(), 20);
}

#[test]
fn a_stretch_and_a_draw_of_the_scales_allocate_nothing() {
    let net = Mlp::new(&[18, 50, 4], Activation::Tanh).unwrap();
    let scaled = ScaledNetwork::new(&net, ScaleGroups::Ard);
    let (x, y) = (normals(18 * 100, 2), labels(100, 4, 3));
    let prior = scaled.prior();
    let posterior = PosteriorDensity::<f32>::new(&scaled, &Categorical, &prior, &x, &y).unwrap();
    let phi = prior
        .draw(&mut Streams::new(1).rng(Phase::USER, 0))
        .unwrap();
    let phi: Vec<f32> = phi.into_iter().map(|p| p as f32).collect();
    let options = MicrocanonicalOptions {
        own_steps: true,
        ..MicrocanonicalOptions::default()
    };
    let mass = InverseMassMatrix::diagonal(posterior.prior_precision()).unwrap();
    let kernel = Microcanonical::new(mass, &options).unwrap();
    a_step_allocates_nothing(&kernel.interwoven_with(&scaled), &posterior, &phi);
}

#[test]
fn the_counter_counts() {
    assert!(measure(|| drop(std::hint::black_box(vec![0u8; 100]))).count_total > 0);
}

/// Transitions of Hamiltonian chains: a hundred more of them make the same number of allocations.
#[test]
fn a_leapfrog_step_and_a_tree_allocate_nothing() {
    let net = Mlp::new(&[5, 8, 3], Activation::Tanh).unwrap();
    let (x, y) = (normals(5 * 40, 2), labels(40, 3, 3));
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::<f32>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let start = net.init(&mut Streams::new(1).rng(Phase::INIT, 0));
    let starts = [start.into_iter().map(|t| t as f32).collect::<Vec<f32>>()];
    let chains = |draws| ChainOptions {
        warm_up: 30,
        draws,
        keep: Some(5),
        ..ChainOptions::default()
    };
    // the one worker is this thread, whose allocations are counted
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(|| {
        let streams = Streams::new(2);
        let by_nuts = |draws| {
            let options = NutsOptions {
                chains: chains(draws),
                ..NutsOptions::default()
            };
            nuts(&posterior, &starts, &options, streams).unwrap()
        };
        let by_hmc = |draws| {
            let options = HmcOptions {
                chains: chains(draws),
                ..HmcOptions::default()
            };
            hmc(&posterior, &starts, &options, streams).unwrap()
        };
        for run in [&by_nuts as &dyn Fn(usize) -> Chains<f32>, &by_hmc] {
            let gradients = run(10).gradients();
            let short = measure(|| drop(run(10))).count_total;
            let long = measure(|| assert!(run(110).gradients() > gradients + 200)).count_total;
            assert!(short > 10);
            assert_eq!(short, long);
        }
    });
}

/// The conditional of the last layer and draws from it, for every likelihood that it supports.
#[test]
fn a_draw_of_the_last_layer_allocates_nothing() {
    let (n, d) = (300, 5);
    let x = normals(n * d, 4);
    let gaussian = Gaussian::new(0.3).unwrap();
    // without a closed form: the likelihood's graph
    let noises = GaussianPerOutput::new(&[0.3, 0.5]).unwrap();
    let likelihoods: [(&dyn Likelihood, usize); 5] = [
        (&Categorical, 3),
        (&Bernoulli, 1),
        (&Poisson, 1),
        (&gaussian, 1),
        (&noises, 2),
    ];
    for (at, (likelihood, outputs)) in likelihoods.into_iter().enumerate() {
        let net = Mlp::new(&[d, 20, outputs], Activation::Tanh).unwrap();
        let y = labels(n * likelihood.target_dim(outputs), outputs.max(2), 5);
        let last = LastLayer::<f32>::new(&net, likelihood, 1.0, &x, &y).unwrap();
        let theta = net.init(&mut Streams::new(1).rng(Phase::INIT, 0));
        let theta: Vec<f32> = theta.into_iter().map(|t| t as f32).collect();
        let hidden = &theta[..net.hidden_params()];
        let mut w = vec![0.5; last.dim()];
        let mut ws = last.workspace();
        let mut round = || {
            last.condition(hidden, &mut ws).unwrap();
            ws.forward(&mut w).unwrap();
            ws.inverse(&mut w).unwrap();
            last.log_evidence(hidden, &mut ws).unwrap();
        };
        round();
        let info = measure(|| (0..5).for_each(|_| round()));
        assert_eq!(
            info.count_total, 0,
            "likelihood {at}, {} bytes",
            info.bytes_total
        );
    }
}

/// Scales are numbers of a compiled density: they are written where they stand.
#[test]
fn other_scales_allocate_nothing() {
    let net = Mlp::new(&[5, 8, 1], Activation::Tanh).unwrap();
    let (x, y) = (normals(5 * 40, 2), normals(40, 3));
    let (likelihood, prior) = (Gaussian::new(0.3), IsotropicGaussian::new(1.0));
    let (likelihood, prior) = (likelihood.unwrap(), prior.unwrap());
    let mut posterior = PosteriorDensity::<f32>::new(&net, &likelihood, &prior, &x, &y).unwrap();
    let mut batches = Minibatch::<f32>::new(&net, &likelihood, &prior, &x, &y).unwrap();
    let theta = vec![0.1; net.dim()];
    let mut out = vec![0.0; net.dim()];
    let mut ws = posterior.workspace();
    let mut ggn = posterior.ggn_workspace();
    let mut round = |scale: f64| {
        posterior.set_prior_precision(scale).unwrap();
        posterior.set_noise_std(scale).unwrap();
        batches.set_prior_precision(scale).unwrap();
        batches.set_noise_std(scale).unwrap();
        let value = posterior
            .log_density_and_grad(&theta, &mut out, &mut ws)
            .unwrap();
        posterior
            .ggn_product(&theta, &theta, &mut out, &mut ggn)
            .unwrap();
        value
    };
    let first = round(1.0);
    let info = measure(|| assert!(round(0.5) != first));
    assert_eq!(info.count_total, 0, "{} bytes", info.bytes_total);
}

/// A row of a predictor, of each kind that answers without allocation.
#[test]
fn a_row_of_a_predictor_allocates_nothing() {
    use fiberwalk::artifact::RowPrediction;
    use fiberwalk::data::{Dataset, Task, banana};
    use fiberwalk::pipeline::{FitOptions, Method, fit};
    let x = normals(40, 1);
    let y = x.iter().map(|x| x.sin()).collect();
    let real = Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap();
    let classes = banana(40, &Streams::new(1)).unwrap();
    for method in [Method::Map, Method::Walk, Method::Atlas, Method::Flow] {
        for (data, x) in [(&real, &[0.5][..]), (&classes, &[0.5, -1.0])] {
            let options = FitOptions {
                method: short(method, 5, 10, 10),
                hidden: vec![6],
                ..FitOptions::default()
            };
            let model = fit::<f32>(data, &options, &|_, _, _| ()).unwrap().model;
            let predictor = model.predictor(10, 0).unwrap();
            let mut out = RowPrediction::empty();
            predictor.row_into(x, &mut out).unwrap();
            let info = measure(|| predictor.row_into(x, &mut out).unwrap());
            assert_eq!(info.count_total, 0, "{method}, {} bytes", info.bytes_total);
        }
    }
}
