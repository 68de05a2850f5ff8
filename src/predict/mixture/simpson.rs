//! Adaptive Simpson's rule.

/// The integral of `f` from `a` to `b`. An interval's error estimate is a fifteenth of the change.
pub(super) fn simpson(f: &impl Fn(f64) -> f64, a: f64, b: f64, tolerance: f64) -> f64 {
    struct Span {
        a: f64,
        b: f64,
        at: [f64; 3],
        tolerance: f64,
        depth: usize,
    }
    let whole = |s: &Span| (s.b - s.a) / 6.0 * (s.at[0] + 4.0 * s.at[1] + s.at[2]);
    let first = Span {
        a,
        b,
        at: [f(a), f(0.5 * (a + b)), f(b)],
        tolerance,
        depth: 0,
    };
    let (mut todo, mut total) = (vec![first], 0.0);
    while let Some(span) = todo.pop() {
        let middle = 0.5 * (span.a + span.b);
        let left = Span {
            a: span.a,
            b: middle,
            at: [span.at[0], f(0.5 * (span.a + middle)), span.at[1]],
            tolerance: 0.5 * span.tolerance,
            depth: span.depth + 1,
        };
        let right = Span {
            a: middle,
            b: span.b,
            at: [span.at[1], f(0.5 * (middle + span.b)), span.at[2]],
            tolerance: 0.5 * span.tolerance,
            depth: span.depth + 1,
        };
        let (coarse, fine) = (whole(&span), whole(&left) + whole(&right));
        // at least two levels: three nodes can miss what lies between them
        let close = (fine - coarse).abs() <= 15.0 * span.tolerance && span.depth >= 1;
        if close || span.depth >= 30 {
            total += fine + (fine - coarse) / 15.0;
        } else {
            todo.push(right);
            todo.push(left);
        }
    }
    total
}
