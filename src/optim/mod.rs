//! Optimisation: the maximum a posteriori estimate from which walks start.

mod adam;
mod map;
mod schedule;

pub use adam::{Adam, AdamOptions};
pub use map::{MapOptions, MapReport, fit_map};
pub use schedule::Schedule;
