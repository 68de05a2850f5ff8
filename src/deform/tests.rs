//! What every bijection must do, and chains of all kinds that do it.

use super::{
    AffineCoupling, Beside, Bijection, Chain, DiagonalAffine, ExchangeableUnits, FlowKind,
    FlowOptions, OrthogonalMixing, Permutation, SplineCoupling, SplineOptions, UnitFlowOptions,
    coupling_flow, draw_mixing,
};
use crate::autodiff::{Graph, Program};
use crate::nn::UnitBlock;
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;
use crate::testing::{BijectionOptions, check_bijection};
use proptest::prelude::*;

fn normals(count: usize, scale: f64, seed: u64, index: u64) -> Vec<f64> {
    let mut all = vec![0.0; count];
    fill_normal(&mut Streams::new(seed).rng(Phase::USER, index), &mut all);
    all.iter().map(|x| x * scale).collect()
}

/// The kit's check at one point, for a map that leaves `context` coordinates as they are.
pub(super) fn is_a_bijection(map: &dyn Bijection, context: usize, seed: u64) {
    let mut options = BijectionOptions {
        context,
        ..BijectionOptions::default()
    };
    (options.check.seed, options.check.cases) = (seed, 1);
    check_bijection(map, &options).unwrap();
}

/// `forward`, and `inverse` of its result, for rows `z` (`[n, d]`):
/// `[y, log_det, back, inverse_log_det]`.
pub(super) fn there_and_back<T: Scalar>(
    bijection: &dyn Bijection,
    params: &[f64],
    z: &[f64],
) -> [Vec<f64>; 4] {
    let (n, d) = (z.len() / bijection.dim(), bijection.dim());
    let graph = Graph::new();
    let (p, x) = (graph.input(&[params.len()]), graph.input(&[n, d]));
    let (y, log_det) = bijection.forward(p, x);
    let (back, inverse_log_det) = bijection.inverse(p, y);
    let outputs = [y + 0.0 * x, log_det, back, inverse_log_det];
    // a map that changes nothing returns its input, which a program does not output
    let outputs = outputs.map(|o| o.graph().concat(0, &[o, o]));
    let program: Program<T> = graph.compile(&outputs).unwrap();
    let mut ws = program.workspace();
    let of = |x: &[f64]| -> Vec<T> { x.iter().map(|&x| T::from_f64(x)).collect() };
    program.run(&[&of(params), &of(z)], &mut ws).unwrap();
    std::array::from_fn(|i| {
        let all = program.tensor(&ws, i).unwrap();
        all[..all.len() / 2].iter().map(|x| x.to_f64()).collect()
    })
}

/// Parts of all kinds over `context + dim` coordinates.
fn chain(kinds: &[u8], context: usize, dim: usize, seed: u64) -> Chain {
    let mut rng = Streams::new(seed).rng(Phase::USER, 2);
    let spline = SplineOptions {
        bins: 4,
        ..SplineOptions::default()
    };
    let parts = kinds.iter().map(|kind| -> Box<dyn Bijection> {
        let swap = kind % 2 == 0;
        let affine = || AffineCoupling::new(dim, dim / 2, &[5], swap).unwrap();
        let splines = || SplineCoupling::new(dim, dim / 2, &[5], swap, spline).unwrap();
        match kind {
            0 => Box::new(Beside::new(context, DiagonalAffine::new(dim))),
            1 => Box::new(Beside::new(
                context,
                OrthogonalMixing::random(dim, &mut rng),
            )),
            2 => Box::new(Beside::new(context, Permutation::random(dim, &mut rng))),
            3 | 4 => Box::new(affine().with_context(context).unwrap()),
            5 | 6 => Box::new(splines().with_context(context).unwrap()),
            7 if context > 0 => Box::new(AffineCoupling::given(context, dim, &[4]).unwrap()),
            _ if context > 0 => {
                Box::new(SplineCoupling::given(context, dim, &[4], spline).unwrap())
            }
            _ => Box::new(Permutation::reverse(dim)),
        }
    });
    let parts: Vec<_> = parts.collect();
    Chain::new(context + dim, parts).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn random_chains_are_bijections(
        kinds in prop::collection::vec(0u8..9, 0..6),
        context in 0usize..3,
        dim in 2usize..6,
        seed in 0u64..1000,
    ) {
        // slopes of layers multiply, and the bound is for slopes of 1e5: up to 40 for each of three
        // layers, and less for each of more
        let mut options = BijectionOptions { context, ..BijectionOptions::default() };
        options.params *= if kinds.len() > 3 { 0.4 } else { 1.0 };
        (options.check.seed, options.check.cases) = (seed, 1);
        check_bijection(&chain(&kinds, context, dim, seed), &options).unwrap();
    }
}

/// In f32 a layer comes back to 1e-4 up to |z| = 6: the rounding error at 6 is 2^-22 = 2.4e-7, and
/// slopes at these parameters are not much below 1/20. Slopes of layers multiply: after four such
/// flat layers nothing of 2^-22 is left, and no inverse could recover it. So chains are tested
/// nearer to the identity, with slopes above 1/3.
#[test]
fn single_precision_comes_back() {
    let check = |kinds: &[u8], context: usize, scale: f64, seed: u64| {
        let flow = chain(kinds, context, 4, seed);
        let params = normals(flow.param_count(), scale, seed, 5);
        let mut z = normals(50 * flow.dim(), 3.0, seed, 6);
        z.iter_mut().for_each(|z| *z = z.clamp(-6.0, 6.0));
        let [_, log_det, back, inverse] = there_and_back::<f32>(&flow, &params, &z);
        for (a, b) in back.iter().zip(&z) {
            assert!((a - b).abs() < 1e-4, "{kinds:?} {context} {seed}: {a} {b}");
        }
        for (a, b) in log_det.iter().zip(&inverse) {
            assert!((a + b).abs() < 1e-3, "{kinds:?} {context} {seed}: {a} {b}");
        }
    };
    for seed in 0..20 {
        for context in [0, 2] {
            (0..9).for_each(|kind| check(&[kind], context, 0.3, seed));
            check(&[3, 5, 1, 6, 4, 0, 5, 8, 2, 6, 7], context, 0.1, seed);
        }
    }
}

/// The mass of the image of N(0, I) of `d` coordinates, given the context. Sums over a grid of the
/// cube `[-r, r]^d`, line by line.
fn mass(
    flow: &dyn Bijection,
    (params, context): (&[f64], &[f64]),
    d: usize,
    (r, cells): (f64, usize),
) -> f64 {
    let h = 2.0 * r / cells as f64;
    let middle = |i: usize| -r + (i as f64 + 0.5) * h;
    let graph = Graph::new();
    let (p, y) = (
        graph.input(&[params.len()]),
        graph.input(&[cells, flow.dim()]),
    );
    let (z, log_det) = flow.inverse(p, y);
    let z = z.slice(1, context.len()..flow.dim());
    let log_density = log_det - z.square().sum_axis(1) * 0.5;
    let program = graph.compile::<f64>(&[log_density.exp().sum()]).unwrap();
    let mut ws = program.workspace();
    let lines = (0..cells.pow(d as u32 - 1)).map(|line| {
        let row = |i: usize| {
            let at = (0..d - 1).map(move |c| middle(line / cells.pow(c as u32) % cells));
            context.iter().copied().chain(at).chain([middle(i)])
        };
        let rows: Vec<f64> = (0..cells).flat_map(row).collect();
        program.run(&[params, &rows], &mut ws).unwrap();
        program.scalar(&ws, 0).unwrap()
    });
    lines.sum::<f64>() * (h / (2.0 * std::f64::consts::PI).sqrt()).powi(d as i32)
}

/// The density integrates to one.
///
/// The midpoint rule of a smooth density is exact to rounding. At a knot the density's slope jumps.
/// The error is then at most `h^2 / 12` times the jump, and there are 7 knots (in 2-D, 14). In 1-D,
/// derivatives are at most e^4 = 55, bins are at least 0.1 wide, and the normal density is at most
/// 0.4. So a jump is at most 220; with h = 1.6e-4 that makes 3e-6. In 2-D, at smaller parameters,
/// derivatives change by less than 3 over bins of 1: 1.2 a knot; with h = 0.03 that makes 1.3e-3.
/// The tails beyond the cube are those of N(0, 1) for splines, and of a scale up to e^2 for affine
/// layers.
#[test]
fn densities_integrate_to_one() {
    let options = SplineOptions::default();
    for seed in 0..4 {
        let spline = SplineCoupling::given(2, 1, &[6], options).unwrap();
        let params = normals(spline.param_count(), 0.5, seed, 7);
        let m = mass(&spline, (&params, &[0.3, -1.2]), 1, (8.0, 100_000));
        assert!((m - 1.0).abs() < 3e-6, "spline given a context: {m}");
        let affine = AffineCoupling::given(2, 1, &[6]).unwrap();
        let params = normals(affine.param_count(), 0.5, seed, 7);
        let m = mass(&affine, (&params, &[0.3, -1.2]), 1, (60.0, 20_000));
        assert!((m - 1.0).abs() < 1e-9, "affine given a context: {m}");
        for kinds in [&[5u8, 6][..], &[3, 4], &[2, 5, 1, 6]] {
            let flow = chain(kinds, 1, 2, seed);
            let params = normals(flow.param_count(), 0.3, seed, 8);
            let m = mass(&flow, (&params, &[0.5]), 2, (12.0, 800));
            assert!((m - 1.0).abs() < 1.3e-3, "{kinds:?} with a context: {m}");
        }
    }
}

#[test]
fn parts_must_agree_in_dimension() {
    let part: Box<dyn Bijection> = Box::new(DiagonalAffine::new(3));
    assert!(Chain::new(4, vec![part]).is_err());
}

#[test]
fn a_permutation_is_exact_and_must_be_one() {
    let order = Permutation::new(vec![2, 3, 0, 1]).unwrap();
    let z = [1.0, 2.0, 3.0, 4.0, 0.1, 0.2, 0.3, 0.4];
    let [y, log_det, back, _] = there_and_back::<f64>(&order, &[], &z);
    assert_eq!(y, [3.0, 4.0, 1.0, 2.0, 0.3, 0.4, 0.1, 0.2]);
    assert_eq!(log_det, [0.0, 0.0]);
    assert_eq!(back, z);
    let [y, ..] = there_and_back::<f64>(&Permutation::reverse(4), &[], &z[..4]);
    assert_eq!(y, [4.0, 3.0, 2.0, 1.0]);
    for wrong in [vec![0, 0], vec![1, 2]] {
        assert!(Permutation::new(wrong).is_err());
    }
}

/// Flows of every size, down to none, of both kinds, with and without context: bijections that
/// start as the identity.
#[test]
fn flows_of_all_sizes_start_as_the_identity() {
    let mut rng = Streams::new(3).rng(Phase::USER, 9);
    for kind in [FlowKind::Affine, FlowKind::Spline(SplineOptions::default())] {
        for (dim, context) in [(1, 0), (1, 2), (2, 0), (2, 1), (5, 0), (5, 3)] {
            let identity: Vec<f64> = (0..dim * dim)
                .map(|i| f64::from(u8::from(i % (dim + 1) == 0)))
                .collect();
            let hidden = vec![6];
            let options = FlowOptions {
                kind,
                hidden,
                context,
            };
            let flow = coupling_flow(dim, &[identity.clone(), identity], &options).unwrap();
            let start = flow.init(&mut rng);
            // conditioners have parameters, except for a single coordinate, which depends on
            // nothing
            assert_eq!(start.len() > 2 * dim, dim + context > 1);
            let z = normals(3 * flow.dim(), 1.0, 1, 10);
            let [y, ..] = there_and_back::<f64>(&flow, &start, &z);
            for (y, z) in y.iter().zip(&z) {
                assert!((y - z).abs() < 1e-12, "{y} {z}");
            }
            let mixing = draw_mixing(dim, 2, &mut rng);
            is_a_bijection(&coupling_flow(dim, &mixing, &options).unwrap(), context, 4);
        }
    }
    let none = coupling_flow(0, &[vec![]], &FlowOptions::default()).unwrap();
    assert_eq!((none.dim(), none.param_count()), (0, 0));
    let skewed = vec![vec![1.0, 0.5, 0.0, 1.0]];
    assert!(coupling_flow(2, &skewed, &FlowOptions::default()).is_err());
}

/// Layers of units, of one number and of several, with and without a pool.
#[test]
fn exchangeable_units_are_a_bijection() {
    for (shapes, pooled) in [
        (&[(3, 2)][..], 2),
        (&[(2, 3), (3, 2)], 2),
        (&[(4, 1), (2, 3)], 0),
        (&[(1, 4)], 3),
    ] {
        let blocks: Vec<UnitBlock> = shapes
            .iter()
            .map(|&(units, params)| UnitBlock {
                units,
                params,
                index: Vec::new(),
                has_sign: true,
            })
            .collect();
        let options = UnitFlowOptions {
            blocks: 2,
            hidden: vec![4],
            pooled,
        };
        let mut rng = Streams::new(3).rng(Phase::USER, 2);
        let mixing: Vec<_> = blocks
            .iter()
            .map(|b| draw_mixing(b.params, 2, &mut rng))
            .collect();
        let flow = ExchangeableUnits::new(&blocks, &options, &mixing).unwrap();
        is_a_bijection(&flow, 0, 5);
        assert!(ExchangeableUnits::new(&blocks, &options, &[]).is_err());
    }
}
