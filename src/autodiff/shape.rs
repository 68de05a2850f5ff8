//! Shapes of row-major tensors and the rules of broadcasting.

/// Extents of a tensor, outermost first; empty for a scalar.
pub(crate) type Shape = Vec<usize>;

/// Number of elements.
pub(crate) fn numel(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The shape that both operands broadcast to. Shapes are aligned at the right, and an extent of 1
/// stretches.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let extent = |s: &[usize], i: usize| {
        (i + s.len())
            .checked_sub(rank)
            .map_or(1, |position| s[position])
    };
    (0..rank)
        .map(|i| match (extent(a, i), extent(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Row-major strides of `small` seen as an operand of shape `big`: 0 along stretched axes.
pub(crate) fn broadcast_strides(small: &[usize], big: &[usize]) -> Vec<usize> {
    let lead = big.len() - small.len();
    let mut strides = vec![0; big.len()];
    let mut step = 1;
    for (axis, &extent) in small.iter().enumerate().rev() {
        if extent != 1 {
            strides[lead + axis] = step;
        }
        step *= extent;
    }
    strides
}

/// `[2, 3]`, for error messages.
pub(crate) fn show(shape: &[usize]) -> String {
    format!("{shape:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_the_usual_rules() {
        assert_eq!(broadcast(&[4, 3], &[3]), Some(vec![4, 3]));
        assert_eq!(broadcast(&[4, 1], &[1, 3]), Some(vec![4, 3]));
        assert_eq!(broadcast(&[], &[2]), Some(vec![2]));
        assert_eq!(broadcast(&[0], &[1]), Some(vec![0]));
        assert_eq!(broadcast(&[4, 3], &[4]), None);
        assert_eq!(broadcast_strides(&[3, 1], &[2, 3, 4]), vec![0, 1, 0]);
    }
}
