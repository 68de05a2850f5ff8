//! Tests of the module above.

use super::*;
use proptest::prelude::*;

/// Whole numbers, so that sums are exact in any order.
fn numbers(n: usize, salt: usize) -> Vec<f64> {
    (0..n)
        .map(|i| ((i * 7 + salt * 3) % 11) as f64 - 5.0)
        .collect()
}

/// Both forms against three loops, on pieces that lie anywhere, in both types.
fn check<T: Scalar>(m: usize, n: usize, pieces: &[Piece], pad: usize) {
    let cast = |v: Vec<f64>| -> Vec<T> { v.into_iter().map(T::from_f64).collect() };
    let reach = |f: &dyn Fn(&Piece) -> usize| pieces.iter().map(f).max().unwrap_or(0);
    let deep = reach(&|p| p.len);
    // A[i, p] at a + i + p m' (a transposed operand), B row-major with padded rows
    let (a_col, b_row, c_row) = (m + pad, n + pad, n + 2 * pad);
    let a = cast(numbers(reach(&|p| p.a) + m + deep * a_col, 1));
    let b = cast(numbers(reach(&|p| p.b) + n + deep * b_row, 2));
    let add = cast(numbers(m, 5));
    let mut c = vec![T::from_f64(9.0); m * c_row];
    run(Outer {
        m,
        n,
        pieces,
        a: &a,
        a_row: 1,
        a_col,
        b: &b,
        b_row,
        add: (pad > 0).then_some(&add),
        c: &mut c,
        c_row,
    });
    for i in 0..m {
        for j in 0..c_row {
            let term = |q: &Piece| {
                (0..q.len)
                    .map(|p| a[q.a + i + p * a_col] * b[q.b + p * b_row + j])
                    .sum::<T>()
            };
            let want = if j < n {
                let sum: T = pieces.iter().map(term).sum();
                if pad > 0 { sum + add[i] } else { sum }
            } else {
                T::from_f64(9.0)
            };
            assert!(
                c[i * c_row + j] == want,
                "outer {m} {n} {pieces:?} at {i} {j}"
            );
        }
    }
    let row = deep + pad;
    let a = cast(numbers(reach(&|p| p.a) + m * row, 3));
    let b = cast(numbers(reach(&|p| p.b) + n * row, 4));
    // a transposed result with something in it already
    let mut c = vec![T::from_f64(2.0); m * n];
    run(Inner {
        m,
        n,
        pieces,
        a: &a,
        a_rows: Rows::Every(row),
        b: &b,
        b_row: row,
        c: &mut c,
        c_row: 1,
        c_col: m,
    });
    for i in 0..m {
        for j in 0..n {
            let term = |q: &Piece| {
                (0..q.len)
                    .map(|p| a[q.a + i * row + p] * b[q.b + j * row + p])
                    .sum::<T>()
            };
            let want = T::from_f64(2.0) + pieces.iter().map(term).sum::<T>();
            assert!(c[i + j * m] == want, "inner {m} {n} {pieces:?} at {i} {j}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn both_forms_are_the_three_loops(
        m in 0usize..15, n in 0usize..150, pad in 0usize..3,
        pieces in prop::collection::vec((0usize..4, 0usize..4, 0usize..70), 0..3),
    ) {
        let pieces: Vec<Piece> = pieces.into_iter().map(|(a, b, len)| Piece { a, b, len }).collect();
        check::<f32>(m, n, &pieces, pad);
        check::<f64>(m, n, &pieces, pad);
    }
}
