//! Points, and the particle that each comes from.

use crate::error::{Error, Result, counted};

/// Points of several particles, borrowed. Points of one particle resemble one another, so whoever
/// learns from them needs to know which belong together.
///
/// ```
/// use fiberwalk::model::PointsOf;
/// // three points in the plane, of two particles
/// let values = [0.0, 0.1, 1.0, 1.1, 0.2, 0.3];
/// let points = PointsOf::new(&values, 2, &[0, 1, 0])?;
/// assert_eq!((points.len(), points.point(1)?), (3, &[1.0, 1.1][..]));
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PointsOf<'a, T> {
    values: &'a [T],
    dim: usize,
    particles: &'a [usize],
}

impl<'a, T> PointsOf<'a, T> {
    /// Points `[n, dim]`, row-major, and the particle of each, `[n]`.
    ///
    /// # Errors
    /// If the lengths do not fit.
    pub fn new(values: &'a [T], dim: usize, particles: &'a [usize]) -> Result<Self> {
        if dim == 0 || particles.len().checked_mul(dim) != Some(values.len()) {
            let expected = format!("{} of at least 1 number", counted(particles.len(), "point"));
            let got = format!("{} for points of {dim}", counted(values.len(), "number"));
            return Err(Error::shape("PointsOf", expected, got));
        }
        Ok(Self {
            values,
            dim,
            particles,
        })
    }

    /// Numbers of a point.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.particles.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.particles.is_empty()
    }

    /// All points, `[n, dim]`.
    pub fn values(&self) -> &'a [T] {
        self.values
    }

    /// The particle of each point, `[n]`.
    pub fn particles(&self) -> &'a [usize] {
        self.particles
    }

    /// Point `i`.
    ///
    /// # Errors
    /// If there is no such point.
    pub fn point(&self, i: usize) -> Result<&'a [T]> {
        let start = i.saturating_mul(self.dim);
        let point = self.values.get(start..start.saturating_add(self.dim));
        point.ok_or_else(|| {
            let expected = format!("a point below {}", self.len());
            Error::shape("PointsOf::point", expected, i)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_fit() {
        assert!(PointsOf::<f64>::new(&[], 2, &[]).unwrap().is_empty());
        assert!(PointsOf::new(&[1.0, 2.0, 3.0], 2, &[0]).is_err());
        assert!(PointsOf::new(&[1.0, 2.0], 1, &[0]).is_err());
        assert!(PointsOf::<f64>::new(&[], 0, &[0]).is_err());
        let points = PointsOf::new(&[1.0, 2.0, 3.0, 4.0], 2, &[0, 1]).unwrap();
        assert_eq!(points.point(1).unwrap(), [3.0, 4.0]);
        let said = points.point(2).unwrap_err().to_string();
        assert_eq!(said, "PointsOf::point: expected a point below 2, got 2");
        assert!(points.point(usize::MAX).is_err());
    }
}
