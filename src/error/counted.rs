//! A number with its noun, in the singular or the plural.

use std::fmt;

/// A count for a message: `1 row`, `3 rows`, `0 classes`.
///
/// ```
/// use fiberwalk::error::counted;
///
/// assert_eq!(counted(1, "row").to_string(), "1 row");
/// assert_eq!(format!("{} of them", counted(2, "hidden batch")), "2 hidden batches of them");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted<N> {
    count: N,
    noun: &'static str,
}

/// `count` things, which `noun` names in the singular. The plural is regular: `rows`, `classes`,
/// `quantities`.
pub fn counted<N: fmt::Display>(count: N, noun: &'static str) -> Counted<N> {
    Counted { count, noun }
}

impl<N: fmt::Display> fmt::Display for Counted<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, noun) = (self.count.to_string(), self.noun);
        if count == "1" {
            return write!(f, "{count} {noun}");
        }
        // the ch of an epoch does not hiss
        let hisses = match noun.ends_with("epoch") {
            true => &[][..],
            false => &["s", "x", "z", "ch", "sh"],
        };
        let of_y = noun
            .strip_suffix('y')
            .filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
        match of_y {
            Some(stem) => write!(f, "{count} {stem}ies"),
            None if hisses.iter().any(|end| noun.ends_with(end)) => write!(f, "{count} {noun}es"),
            None => write!(f, "{count} {noun}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let said = |count: usize, noun| counted(count, noun).to_string();
        assert_eq!(
            [
                said(0, "row"),
                said(1, "row"),
                said(2, "row"),
                said(11, "row")
            ],
            ["0 rows", "1 row", "2 rows", "11 rows"]
        );
        assert_eq!(
            [said(1, "class"), said(3, "class")],
            ["1 class", "3 classes"]
        );
        assert_eq!(said(2, "training batch"), "2 training batches");
        assert_eq!(said(20, "epoch"), "20 epochs");
        assert_eq!(
            [said(1, "quantity"), said(2, "quantity")],
            ["1 quantity", "2 quantities"]
        );
        assert_eq!(said(2, "day"), "2 days");
        assert_eq!(counted(&1.5, "nat").to_string(), "1.5 nats");
    }
}
