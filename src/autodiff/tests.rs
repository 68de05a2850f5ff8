//! Finite-difference checks of derivative rules, and properties of the compiler.

use proptest::prelude::*;

use super::exec::instruction::Instruction;
use super::{Graph, Var};

/// Deterministic pseudo-random numbers in (-1, 1), away from any grid.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f64> {
    (0..count)
        .map(|i| ((i as f64 + 1.0) * 12.9898 + seed as f64 * 78.233).sin() * 0.97)
        .collect()
}

/// Checks the first and second derivatives of `f` at the point `at`. `f` maps a tensor of shape
/// `shape` to a tensor. `<u, J v>` is computed by VJP, by JVP and by finite differences. `H v` of
/// `<u, f>` is compared with differences of the gradient.
pub(crate) fn check_derivatives(
    shape: &[usize],
    at: &[f64],
    f: impl for<'g> Fn(&'g Graph, Var<'g>) -> Var<'g>,
) {
    let graph = Graph::new();
    let x = graph.input(shape);
    let v = graph.input(shape);
    let y = f(&graph, x);
    let y_shape = y.shape();
    let y_len: usize = y_shape.iter().product();
    let u = graph.tensor(&y_shape, numbers(y_len, 5));
    let energy = (y * u).sum();
    let gradient = graph.grad(energy, &[x]).unwrap()[0];
    let along_gradient = (gradient * v).sum();
    let along_jvp = (graph.jvp(y, x, v).unwrap() * u).sum();
    let hvp = graph.hvp(energy, x, v).unwrap();
    let program = graph
        .compile::<f64>(&[energy, gradient, along_gradient, along_jvp, hvp])
        .unwrap();
    let mut ws = program.workspace();
    let dir = numbers(at.len(), 9);
    let h = 1e-5;
    let moved = |s: f64| -> Vec<f64> { at.iter().zip(&dir).map(|(a, d)| a + s * d).collect() };
    let mut run = |x: &[f64]| {
        program.run(&[x, &dir], &mut ws).unwrap();
        (
            program.scalar(&ws, 0).unwrap(),
            program.tensor(&ws, 1).unwrap().to_vec(),
            program.scalar(&ws, 2).unwrap(),
            program.scalar(&ws, 3).unwrap(),
            program.tensor(&ws, 4).unwrap().to_vec(),
        )
    };
    let (plus, minus, here) = (run(&moved(h)), run(&moved(-h)), run(at));
    let slope = (plus.0 - minus.0) / (2.0 * h);
    // central differences: h^2 f''' / 6 + eps |f| / h, both near 1e-10 for functions of order one
    let close = |a: f64, b: f64, what: &str| {
        assert!(
            (a - b).abs() <= 2e-7 * (1.0 + a.abs().max(b.abs())),
            "{what}: {a} against {b}"
        );
    };
    close(here.2, slope, "gradient");
    assert!(
        (here.2 - here.3).abs() <= 1e-12 * (1.0 + here.2.abs()),
        "VJP and JVP are not adjoint"
    );
    for i in 0..at.len() {
        close(
            here.4[i],
            (plus.1[i] - minus.1[i]) / (2.0 * h),
            "hessian-vector product",
        );
    }
}

/// Appends one of many operations to a list of values of a graph.
fn extend<'g>(graph: &'g Graph, values: &mut Vec<Var<'g>>, choice: (u8, u8, u8)) {
    let pick = |i: u8| values[i as usize % values.len()];
    let (a, b) = (pick(choice.1), pick(choice.2));
    let (sa, sb) = (a.shape(), b.shape());
    let new = match choice.0 % 22 {
        18 if sa.len() >= 2 => a.batch_first(),
        19 if sa.len() >= 2 => a.batch_last(),
        20 if super::shape::broadcast(&sa, &sb).is_some() => a.max(b),
        21 if sa.len() == 2 && sa[1] > 0 => a.max_axis(1),
        0 => a.tanh(),
        1 => a.square() * 0.5,
        2 => a.sigmoid(),
        3 => a.softplus(),
        4 => -a,
        5 => (a * 0.3).exp(),
        6 if super::shape::broadcast(&sa, &sb).is_some() => a + b,
        7 if super::shape::broadcast(&sa, &sb).is_some() => a * b,
        8 if super::shape::broadcast(&sa, &sb).is_some() => a - b * 2.0,
        9 if super::shape::broadcast(&sa, &sb).is_some() => a / (b.square() + 1.0),
        10 if sa.len() == 2 && sb.len() == 2 && sa[1] == sb[0] => a.matmul(b) * 0.2,
        11 if sa.len() == 2 && sb.len() == 2 && sa[1] == sb[1] => a.matmul(b.t()) * 0.2,
        12 if sa.len() == 2 => a.t(),
        13 if sa.len() == 2 && sa[1] > 1 => a.slice(1, 1..sa[1]),
        14 if sa.len() == 2 && sa == sb => graph.concat(usize::from(choice.1 % 2), &[a, b]),
        15 if sa.len() == 2 => a.sum_axis(usize::from(choice.2 % 2)),
        16 if sa.last().is_some_and(|&extent| extent > 0) => a.logsumexp(),
        17 => a.mean(),
        _ => a.relu() + 0.1,
    };
    values.push(new);
}

/// The bits of an output, a tensor or a scalar.
fn bits(program: &super::Program<f64>, ws: &super::Workspace<f64>, output: usize) -> Vec<u64> {
    match program.tensor(ws, output) {
        Ok(tensor) => tensor.iter().map(|v| v.to_bits()).collect(),
        Err(_) => vec![program.scalar(ws, output).unwrap().to_bits()],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Fusion, aliasing and buffer sharing do not change a single bit. The reference is the same
    /// graph with every node as an output: there nothing is fused and no buffer is reused.
    #[test]
    fn planning_changes_nothing(
        choices in prop::collection::vec(any::<(u8, u8, u8)>(), 1..40),
        // long extents exercise register tiles and joined products
        (n, d) in (prop_oneof![0usize..5, 16usize..40], prop_oneof![1usize..5, 16usize..20]),
    ) {
        let graph = Graph::new();
        let mut values = vec![graph.input(&[n, d]), graph.input(&[d]), graph.input(&[n, 1])];
        for choice in choices {
            extend(&graph, &mut values, choice);
        }
        let last = values[values.len() - 1];
        let energy = last.sum();
        let gradient = graph.grad(energy, &values[..3]).unwrap();
        let mut outputs = vec![energy, last];
        outputs.extend(&gradient);
        let planned = graph.compile::<f64>(&outputs).unwrap();
        let wanted = outputs.len();
        outputs.extend((0..graph.nodes().len() as u32).map(|id| Var { graph: &graph, id }));
        let naive = graph.compile::<f64>(&outputs).unwrap();
        let inputs = [numbers(n * d, 1), numbers(d, 2), numbers(n, 3)];
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        let (mut a, mut b) = (planned.workspace(), naive.workspace());
        for _ in 0..2 {
            planned.run(&inputs, &mut a).unwrap();
            naive.run(&inputs, &mut b).unwrap();
            for i in 0..wanted {
                prop_assert_eq!(bits(&planned, &a, i), bits(&naive, &b, i));
            }
        }
    }

    /// Derivatives of whole random graphs, first and second.
    #[test]
    fn derivatives_of_random_graphs(
        choices in prop::collection::vec((0u8..15, any::<u8>(), any::<u8>()), 1..12),
        (n, d) in (1usize..4, 1usize..4),
    ) {
        // only smooth operations: relu (the fall-through case) has a kink, so values made from it
        // are dropped
        check_derivatives(&[n, d], &numbers(n * d, 4), |graph, x| {
            let mut values = vec![x, x.tanh()];
            for &choice in &choices {
                let before = values.len();
                extend(graph, &mut values, choice);
                if graph.node(values[before].id).args.iter().any(|&a| {
                    matches!(graph.node(a).op, super::ops::Op::Unary(super::ops::Unary::Relu))
                }) {
                    values.pop();
                }
            }
            // bounded, so that products of products stay of order one
            values[values.len() - 1].tanh()
        });
    }
}

#[test]
fn the_first_misfit_is_reported_by_name() {
    let graph = Graph::new();
    let a = graph.input(&[2, 3]);
    let b = graph.input(&[4, 5]);
    let y = (a.matmul(b) + a).sum();
    let error = graph.grad(y, &[a]).unwrap_err().to_string();
    assert_eq!(
        error,
        "matmul: expected 3 rows on the right of [2, 3], got [4, 5]"
    );
    assert!(graph.compile::<f32>(&[y]).is_err());
}

#[test]
fn inputs_and_workspaces_are_checked() {
    let graph = Graph::new();
    let x = graph.input(&[2]);
    let program = graph.compile::<f64>(&[x.exp()]).unwrap();
    let other = graph.compile::<f64>(&[x.sum(), x.square().sum()]).unwrap();
    let mut ws = program.workspace();
    assert!(program.run(&[], &mut ws).is_err());
    assert!(program.run(&[&[1.0]], &mut ws).is_err());
    assert!(program.run(&[&[1.0, 2.0]], &mut other.workspace()).is_err());
    assert!(program.run(&[&[1.0, 2.0]], &mut ws).is_ok());
}

#[test]
fn a_chain_is_one_instruction_and_equal_nodes_are_one() {
    let graph = Graph::new();
    let x = graph.input(&[100, 7]);
    let b = graph.input(&[7]);
    let nodes = |g: &Graph| g.nodes().len();
    let before = nodes(&graph);
    let y = (x + b).tanh();
    let after = nodes(&graph);
    let z = (x + b).tanh();
    assert_eq!(
        (y.id, nodes(&graph)),
        (z.id, after),
        "nodes before: {before}"
    );
    let text = graph.compile::<f32>(&[y.sum()]).unwrap().to_string();
    let want = "b0[0..700] = map out = Tanh (in0[0..700] + in1[0..7] spread as Tile { period: 7 })\ns0 = sum b0[0..700]\n";
    assert_eq!(text, want);
    assert!(
        graph.to_string().contains("%3 = Add(%0, %2) [100, 7]"),
        "{graph}"
    );
    let chain = ((x + b).square() * 3.0 - x).exp() / (x.square() + 1.0);
    let program = graph.compile::<f32>(&[chain]).unwrap();
    let fills = |p: &super::Program<f32>| {
        let fill = |i: &&Instruction| matches!(i, Instruction::Fill { .. });
        p.instructions().iter().filter(fill).count()
    };
    assert_eq!(fills(&program), 1);
}

#[test]
fn scalars_keep_double_precision_in_single_precision_programs() {
    let graph = Graph::new();
    let x = graph.input(&[3]);
    let energy = x.sum() + 1e-9;
    let program = graph.compile::<f32>(&[energy]).unwrap();
    let mut ws = program.workspace();
    program.run(&[&[1.0, 2.0, 4.0]], &mut ws).unwrap();
    assert_eq!(program.scalar(&ws, 0).unwrap(), 7.0 + 1e-9);
}

#[test]
fn empty_and_size_one_extents() {
    let graph = Graph::new();
    let (x, w) = (graph.input(&[0, 3]), graph.input(&[3, 2]));
    let y = x.matmul(w).tanh();
    let energy = y.logsumexp().sum() + w.square().sum();
    let gradient = graph.grad(energy, &[x, w]).unwrap();
    let outputs = [energy, gradient[0], gradient[1], x.t().matmul(x)];
    let program = graph.compile::<f64>(&outputs).unwrap();
    let mut ws = program.workspace();
    program.run(&[&[], &[1.0; 6]], &mut ws).unwrap();
    assert_eq!(program.scalar(&ws, 0).unwrap(), 6.0);
    assert_eq!(program.tensor(&ws, 1).unwrap().len(), 0);
    assert_eq!(program.tensor(&ws, 2).unwrap(), &[2.0; 6]);
    assert_eq!(program.tensor(&ws, 3).unwrap(), &[0.0; 9]);
}

#[test]
fn constants_belong_to_the_program_and_not_to_the_memory() {
    let graph = Graph::new();
    let x = graph.input(&[2]);
    let compile = |c: f64| graph.compile::<f64>(&[x.sum() * c]).unwrap();
    let (a, b) = (compile(2.0), compile(3.0));
    let mut ws = b.workspace();
    a.run(&[&[1.0, 4.0]], &mut ws).unwrap();
    assert_eq!(a.scalar(&ws, 0).unwrap(), 10.0);
}

#[test]
fn values_of_two_graphs_do_not_mix() {
    let (g, h) = (Graph::new(), Graph::new());
    let (x, y) = (g.input(&[2, 2]), h.input(&[2, 2]));
    assert!(h.vjp(y, x, &[y]).is_err() && h.grad(y.sum(), &[x]).is_err());
    for mixed in [x + y, x.matmul(y), g.concat(0, &[x, y])] {
        assert!(
            g.compile::<f64>(&[mixed])
                .unwrap_err()
                .to_string()
                .contains("two graphs")
        );
    }
}
