//! Numbers as text: short, and never so rounded that nothing is left.

/// Magnitudes below and from which a number is written with an exponent. A plain decimal of 1e-300
/// would take 300 digits.
const PLAIN: std::ops::Range<f64> = 1e-5..1e16;

/// The shortest text that reads back as the same number. Zero has no sign.
pub fn shortest(x: f64) -> String {
    match x == 0.0 || PLAIN.contains(&x.abs()) {
        // the sum of -0 and 0 is 0
        true => (x + 0.0).to_string(),
        false => format!("{x:e}"),
    }
}

/// A score with so many decimal places, or with an exponent where they would show nothing of it or
/// too much.
pub fn rounded(x: f64, digits: usize) -> String {
    // at least two digits that count
    let least = 0.1f64.powi(digits as i32 - 1);
    match x == 0.0 || !x.is_finite() || (least..1e9).contains(&x.abs()) {
        true => format!("{:.digits$}", x + 0.0),
        false => format!("{x:.3e}"),
    }
}

/// A text, or the shortest one of the same number if it is a number of very many digits, as the
/// plain decimal of 1e300 is.
pub(super) fn brief(text: String) -> String {
    // more digits than a whole number of 64 bits or a number between the limits of `PLAIN` has
    const LONG: usize = 26;
    match text.parse() {
        Ok(x) if text.len() > LONG => shortest(x),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_read_back() {
        for (x, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.25, "0.25"),
            (-1e-5, "-0.00001"),
            (1.5e-6, "1.5e-6"),
            (9007199254740993.0, "9007199254740992"),
            (-1e16, "-1e16"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
        ] {
            assert_eq!(shortest(x), text);
            assert_eq!(shortest(x).parse::<f64>().unwrap(), x);
        }
    }

    #[test]
    fn only_numbers_of_many_digits_are_said_otherwise() {
        for (text, brief_text) in [
            (1e300.to_string(), "1e300"),
            ((-2.5e-200f64).to_string(), "-2.5e-200"),
            (u64::MAX.to_string(), "18446744073709551615"),
            (
                "a name of more than thirty letters".into(),
                "a name of more than thirty letters",
            ),
            ("0.10000000000000001".into(), "0.10000000000000001"),
        ] {
            assert_eq!(brief(text), brief_text);
        }
    }

    #[test]
    fn a_score_that_is_not_zero_never_looks_like_zero() {
        for (x, digits, text) in [
            (0.0, 4, "0.0000"),
            (-0.0, 4, "0.0000"),
            (0.12344, 4, "0.1234"),
            (-0.0012, 4, "-0.0012"),
            (1e-6, 4, "1.000e-6"),
            (-2.5e-9, 4, "-2.500e-9"),
            (3e300, 4, "3.000e300"),
            (0.004, 2, "4.000e-3"),
            (12.0, 0, "12"),
            (f64::INFINITY, 4, "inf"),
        ] {
            assert_eq!(rounded(x, digits), text);
        }
    }
}
