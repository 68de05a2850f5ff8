//! Elementary functions on a million numbers, one thread.
//!
//! `cargo bench --bench simd`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fiberwalk::autodiff::{Graph, Var};
use fiberwalk::{Result, Scalar};

const COUNT: usize = 1_000_000;

/// One instruction over planned memory, as programs run it.
fn function<T: Scalar>(
    c: &mut Criterion,
    name: &str,
    record: for<'g> fn(Var<'g>) -> Var<'g>,
) -> Result<()> {
    let graph = Graph::new();
    let program = graph.compile::<T>(&[record(graph.input(&[COUNT]))])?;
    let mut ws = program.workspace();
    let x: Vec<T> = (0..COUNT)
        .map(|i| T::from_f64((i as f64 / COUNT as f64 - 0.5) * 20.0))
        .collect();
    let mut group = c.benchmark_group("simd");
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function(name, |b| {
        b.iter(|| program.run(&[black_box(&x)], &mut ws));
    });
    group.finish();
    Ok(())
}

fn all(c: &mut Criterion) {
    let outcome = function::<f32>(c, "tanh_1m", |x| x.tanh())
        .and_then(|()| function::<f32>(c, "exp_1m", |x| x.exp()))
        .and_then(|()| function::<f64>(c, "tanh_1m_f64", |x| x.tanh()))
        .and_then(|()| function::<f64>(c, "exp_1m_f64", |x| x.exp()));
    assert!(outcome.is_ok(), "{outcome:?}");
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(benches);
