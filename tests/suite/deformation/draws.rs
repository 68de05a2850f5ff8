//! Walkers that a deformation needs, and its draws.

use super::*;

#[test]
fn a_deformation_needs_two_walkers() {
    let walk = as_walk(normals(20, 1), 4, 5);
    let options = TrainOptions::default();
    let error = train(
        walk.points_of().unwrap(),
        4,
        &[],
        &options,
        Streams::new(0),
        |_| (),
    )
    .err()
    .unwrap();
    assert!(
        error.to_string().contains("at least 2 walkers, got 1"),
        "{error}"
    );
}

#[test]
fn a_draw_depends_on_the_seed_and_its_index_alone() {
    let (net, x, y, _) = regression(&[3, 5, 1], 25);
    let last = gaussian_head(&net, &x, &y);
    let deformation = Deformation::new(Some(some_flow(net.dim(), net.hidden_params(), 5)), last);
    let few = deformation.sample(3, Streams::new(4)).unwrap();
    let many = deformation.sample(70, Streams::new(4)).unwrap();
    assert_eq!(few, many[..few.len()]);
    assert_ne!(few, deformation.sample(3, Streams::new(5)).unwrap());
}

/// Many steps on few walkers overfit. So whole walkers are held out, and the best parameters on
/// them are kept. On unseen walkers the flow is then no worse than the Gaussian that training
/// starts from.
#[test]
fn what_is_kept_is_what_holds_for_unseen_walkers() {
    let (walkers, each, dim) = (14, 8, 5);
    let points = |walkers: usize, seed: u64| -> Vec<f64> {
        let centres = normals(walkers * dim, seed);
        let jitter = normals(walkers * each * dim, seed + 1);
        let centre = |i: usize| centres[i / (each * dim) * dim + i % dim];
        (0..walkers * each * dim)
            .map(|i| centre(i) + 0.02 * jitter[i])
            .collect()
    };
    let walk = as_walk(points(walkers, 31), dim, each);
    let fresh = points(400, 33);
    let identity: Vec<f64> = (0..dim * dim)
        .map(|i| f64::from(u8::from(i % (dim + 1) == 0)))
        .collect();
    let mean = |steps: usize| {
        let options = TrainOptions {
            steps,
            patience: 1_000,
            weight_decay: 0.0,
            learning_rate: 1e-2,
            ..TrainOptions::default()
        };
        let (flow, report) = train(
            walk.points_of().unwrap(),
            dim,
            &identity,
            &options,
            Streams::new(1),
            |_| (),
        )
        .unwrap();
        assert!(
            report.log_likelihood >= report.gaussian_log_likelihood - 1e-9,
            "{report:?}"
        );
        let all = flow.log_density(&fresh).unwrap();
        all.iter().sum::<f64>() / all.len() as f64
    };
    let (gaussian, trained) = (mean(0), mean(600));
    // choosing the best of 60 checks on 2 held-out walkers may cost a little; overfitting costs
    // tens of nats
    assert!(trained > gaussian - 1.0, "{trained} against {gaussian}");
}

#[test]
fn draws_are_distinct_and_unrelated() {
    let (net, x, y, _) = regression(&[3, 5, 1], 25);
    let last = gaussian_head(&net, &x, &y);
    let deformation = Deformation::new(Some(some_flow(net.dim(), net.hidden_params(), 5)), last);
    let (p, count) = (net.dim(), 400);
    let draws = deformation.sample(count, Streams::new(4)).unwrap();
    let (z, _) = deformation.inverse(&draws).unwrap();
    let dot = |a: usize, b: usize| (0..p).map(|i| z[a * p + i] * z[b * p + i]).sum::<f64>();
    // independent standard normals: the mean of n products over P numbers has standard deviation
    // sqrt(P / n)
    let lag: f64 = (1..count).map(|i| dot(i - 1, i)).sum::<f64>() / (count - 1) as f64;
    assert!(lag.abs() < 4.5 * (p as f64 / count as f64).sqrt(), "{lag}");
    let own: f64 = (0..count).map(|i| dot(i, i)).sum::<f64>() / count as f64;
    assert!(
        (own - p as f64).abs() < 4.5 * (2.0 * p as f64 / count as f64).sqrt(),
        "{own}"
    );
}
