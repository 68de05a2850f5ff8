//! A Gaussian bent along a parabola.
//!
//! ```text
//! x ~ N(0, s^2),   y | x ~ N(b x^2, t^2)
//! mean = (0, b s^2)
//! covariance = [ s^2   0                 ]      Cov(x, y) = b E[x^3] = 0
//!              [ 0     t^2 + 2 b^2 s^4   ]      Var(b x^2) = b^2 (3 - 1) s^4
//! ```
//!
//! `x` and `y` are uncorrelated and far from independent. The map `(x, y) -> (x, y - b x^2)` keeps
//! volume, so the density is the product of two normal densities.

use rand_chacha::ChaCha8Rng;

use super::{KnownDensity, point, write};
use crate::error::{Error, Result};
use crate::model::LogDensity;
use crate::rng::fill_normal;
use crate::scalar::Scalar;

/// `x ~ N(0, s^2)`, `y | x ~ N(b x^2, t^2)`, normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Banana {
    /// `s`.
    scale: f64,
    /// `b`.
    bend: f64,
    /// `t`.
    width: f64,
}

impl Default for Banana {
    /// `x ~ N(0, 1)`, `y | x ~ N(x^2, 1/4)`: mean `(0, 1)`, variances 1 and 2.25.
    fn default() -> Self {
        Self {
            scale: 1.0,
            bend: 1.0,
            width: 0.5,
        }
    }
}

impl Banana {
    /// `x ~ N(0, scale^2)`, `y | x ~ N(bend x^2, width^2)`.
    ///
    /// # Errors
    /// If a scale is not positive, or a number is not finite.
    pub fn new(scale: f64, bend: f64, width: f64) -> Result<Self> {
        for (field, value) in [("scale", scale), ("width", width)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(field, value, "must be positive and finite"));
            }
        }
        if !bend.is_finite() {
            return Err(Error::config("bend", bend, "must be finite"));
        }
        Ok(Self { scale, bend, width })
    }

    /// The log density, and its gradient.
    fn at<T: Scalar>(&self, theta: &[T]) -> Result<(f64, [f64; 2])> {
        let point = point("Banana", 2, theta)?;
        let (x, y) = (point[0], point[1]);
        let (u, v) = (x / self.scale, (y - self.bend * x * x) / self.width);
        let constant = (2.0 * std::f64::consts::PI * self.scale * self.width).ln();
        let along = -u / self.scale + 2.0 * self.bend * x * v / self.width;
        Ok((-0.5 * (u * u + v * v) - constant, [along, -v / self.width]))
    }
}

impl<T: Scalar> LogDensity<T> for Banana {
    type Workspace = ();

    fn dim(&self) -> usize {
        2
    }

    fn workspace(&self) {}

    fn log_density(&self, theta: &[T], (): &mut ()) -> Result<f64> {
        Ok(self.at(theta)?.0)
    }

    fn log_density_and_grad(&self, theta: &[T], grad: &mut [T], (): &mut ()) -> Result<f64> {
        let (value, slope) = self.at(theta)?;
        write("Banana", &slope, grad)?;
        Ok(value)
    }
}

impl<T: Scalar> KnownDensity<T> for Banana {
    fn mean(&self) -> Vec<f64> {
        vec![0.0, self.bend * self.scale.powi(2)]
    }

    fn covariance(&self) -> Vec<f64> {
        let spread = self.width.powi(2) + 2.0 * (self.bend * self.scale.powi(2)).powi(2);
        vec![self.scale.powi(2), 0.0, 0.0, spread]
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut z = [0.0; 2];
        fill_normal(rng, &mut z);
        let x = self.scale * z[0];
        vec![x, self.bend * x * x + self.width * z[1]]
    }
}
