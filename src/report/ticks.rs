//! Ticks of an axis: round numbers, and how they are written.

use super::figure::{Axis, Ticks};

/// Positions of an axis with their texts.
pub fn ticks(axis: &Axis, most: usize) -> Vec<(f64, String)> {
    let [low, high] = axis.range;
    match &axis.ticks {
        Ticks::None => Vec::new(),
        Ticks::Named(all) => all.clone(),
        Ticks::Round => round(low, high, most),
        Ticks::PowersOfTen => powers(low, high, most),
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, at most `most` of them where that is possible.
fn round(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let width = high - low;
    if !(width > 0.0 && width.is_finite()) {
        return Vec::new();
    }
    let rough = width / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
    let fits = |step: &&f64| (high / **step).floor() - (low / **step).ceil() < most as f64;
    let step = *steps.iter().find(fits).unwrap_or(&steps[3]);
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    let count = (last - first).clamp(-1.0, 50.0);
    let all = (0..=count as i64).take_while(|_| count >= 0.0);
    all.map(|i| {
        // a product of whole numbers has no rounding of sums
        let value = (first + i as f64) * step;
        (value, number(value, step))
    })
    .collect()
}

/// Powers of ten; with few of them, 2 and 5 times these too.
fn powers(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let (first, last) = (low.ceil(), high.floor());
    let whole = (last - first + 1.0).max(0.0);
    if whole < 2.0 {
        let factors = [1.0f64, 2.0, 5.0];
        let of = |power: f64| factors.map(|f| (power + f.log10(), f * 10f64.powf(power)));
        let all = (0..=2).flat_map(|i| of(low.floor() + f64::from(i)));
        let inside = all.filter(|(at, _)| *at >= low && *at <= high);
        return inside.map(|(at, v)| (at, short(v))).collect();
    }
    let every = (whole / most.max(1) as f64).ceil().max(1.0);
    let count = (whole / every).ceil() as i64;
    let at = (0..count).map(|i| first + i as f64 * every);
    at.map(|p| (p, short(10f64.powf(p)))).collect()
}

/// A number to as many places as multiples of `step` need.
fn number(value: f64, step: f64) -> String {
    let size = value.abs().max(step);
    if !(1e-3..1e6).contains(&size) && value != 0.0 {
        return short(value);
    }
    let places = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.places$}");
    // a minus in front of zeros only
    match text.trim_matches(['-', '0', '.']).is_empty() {
        true => text.trim_start_matches('-').to_string(),
        false => text,
    }
}

/// A number to three significant digits, without zeros at its end.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return match value.is_nan() {
            true => "-".into(),
            false => format!("{}infinite", if value < 0.0 { "-" } else { "" }),
        };
    }
    if value == 0.0 {
        return "0".into();
    }
    let power = value.abs().log10().floor();
    if (-3.0..6.0).contains(&power) {
        let places = (2.0 - power).clamp(0.0, 6.0) as usize;
        let text = format!("{value:.places$}");
        return match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
            false => text,
        };
    }
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((digits, power)) => {
            let digits = digits.trim_end_matches('0').trim_end_matches('.');
            format!("{digits}e{power}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64) -> Vec<String> {
        round(low, high, 6).into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(texts(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(-3.0, 7.0), ["-2", "0", "2", "4", "6"]);
        assert_eq!(texts(0.0, 3e7)[1], "1e7");
        assert_eq!(texts(-0.3, 0.3), ["-0.2", "-0.1", "0.0", "0.1", "0.2"]);
        assert!(texts(1.0, 1.0).is_empty() && texts(0.0, f64::INFINITY).is_empty());
        for (low, high) in [(0.0, 1e-9), (1e5, 1e5 + 3.0), (-1e300, 1e300)] {
            let count = texts(low, high).len();
            assert!((2..=6).contains(&count), "{low} {high}: {count}");
        }
    }

    #[test]
    fn powers_of_ten_have_their_values_as_texts() {
        let texts =
            |low, high| -> Vec<String> { powers(low, high, 6).into_iter().map(|t| t.1).collect() };
        assert_eq!(texts(-2.2, 1.1), ["0.01", "0.1", "1", "10"]);
        assert_eq!(texts(0.1, 0.9), ["2", "5"]);
        assert!(texts(-9.0, 9.0).len() <= 6);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.12345, "0.123"),
            (12.0, "12"),
            (1234.5, "1234"),
            (-0.5, "-0.5"),
            (1.5e-7, "1.5e-7"),
            (2e9, "2e9"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(f64::NAN), "-");
    }
}
