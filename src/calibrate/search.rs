//! The minimum of a function of one number between bounds.

/// Points of the first, coarse look.
const COARSE: usize = 33;

/// Where `f` is smallest in `[low, high]`: the best of 33 even points, then golden sections of its
/// neighbourhood, to `1e-9` of the range. Found for sure if `f` falls and then rises.
pub(super) fn minimum((low, high): (f64, f64), mut f: impl FnMut(f64) -> f64) -> f64 {
    let step = (high - low) / (COARSE - 1) as f64;
    let at = |i: usize| low + step * i as f64;
    let (mut best, mut least) = (0, f64::INFINITY);
    for i in 0..COARSE {
        let value = f(at(i));
        if value < least {
            (best, least) = (i, value);
        }
    }
    let (mut a, mut b) = (at(best.saturating_sub(1)), at((best + 1).min(COARSE - 1)));
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let (mut c, mut d) = (b - golden * (b - a), a + golden * (b - a));
    let (mut of_c, mut of_d) = (f(c), f(d));
    while b - a > 1e-9 * (high - low) {
        if of_c <= of_d {
            (b, d, of_d) = (d, c, of_c);
            c = b - golden * (b - a);
            of_c = f(c);
        } else {
            (a, c, of_c) = (c, d, of_d);
            d = a + golden * (b - a);
            of_d = f(d);
        }
    }
    // a minimum at a bound is the bound itself
    let middle = 0.5 * (a + b);
    let candidates = [(low, f(low)), (high, f(high)), (middle, f(middle))];
    let least = candidates.into_iter().min_by(|x, y| x.1.total_cmp(&y.1));
    least.map_or(middle, |c| c.0)
}
