//! Limits of a walk: seconds, and bytes.
//!
//! Either limit ends the walk between two blocks, and its points are kept. Seconds count from when
//! the walk began or was resumed. Bytes include what is known before it starts: particles, a
//! workspace for each thread, the frame and the memory to compute it, and the points that are held.
//! They do not include what existed before: the data, the compiled network and the estimates.

use std::time::{Duration, Instant};

use super::WalkSettings;
use super::context::Problem;
use crate::baselines::check_seconds;
use crate::error::{Error, Result, counted};
use crate::model::LogDensity;
use crate::parallel;
use crate::rng::Phase;
use crate::scalar::Scalar;
use crate::walk::{Fields, Kernel, Particle, Run, WalkOptions};

const MIB: usize = 1 << 20;

/// Vectors of `P` values in a kernel's workspace, about.
const VECTORS: usize = 8;

/// What remains of a walk's limits.
pub(super) struct Budget {
    end: Option<Instant>,
    /// Bytes that kept points may take.
    room: Option<usize>,
}

impl WalkSettings {
    pub(super) fn check_budget(&self) -> Result<()> {
        check_seconds(self.max_seconds)?;
        if self.max_memory == Some(0) {
            return Err(Error::config("max_memory", 0, "must be positive"));
        }
        Ok(())
    }
}

impl Budget {
    /// Starts the clock. `workspace` is the memory of an evaluation, `frame` that of frames and of
    /// their renewal, in bytes.
    ///
    /// # Errors
    /// If the memory is too small for the particles and one point of each.
    pub(super) fn new<T: Scalar, D: LogDensity<T>, K: Kernel<T, D>>(
        problem: &Problem<'_>,
        settings: &WalkSettings,
        (kernel, density): (&K, &D),
        start: &[T],
        options: &WalkOptions,
        (workspace, frame): (usize, usize),
    ) -> Result<Self> {
        let seconds = settings.max_seconds.map(Duration::try_from_secs_f64);
        // a time that the clock cannot represent never comes
        let end = seconds.and_then(|s| Instant::now().checked_add(s.ok()?));
        let Some(max_memory) = settings.max_memory else {
            return Ok(Self { end, room: None });
        };
        let mut ws = kernel.workspace(density);
        let mut rng = problem.streams.rng(Phase::WALK, 0);
        let mut state = kernel.init(density, start, &mut rng, &mut ws)?;
        let mut size = Size(0);
        Particle::fields(&mut state, &mut size)?;
        let dim = problem.network.dim() * size_of::<T>();
        let threads = parallel::threads();
        let particles = options.particles.saturating_mul(size.0);
        let workspaces = threads * (VECTORS * dim + workspace);
        let kept = options.particles.saturating_mul(dim);
        let fixed = particles.saturating_add(workspaces).saturating_add(frame);
        let allowed = max_memory.saturating_mul(MIB);
        let needed = fixed.saturating_add(kept);
        if needed > allowed {
            let mib = |bytes: usize| bytes.div_ceil(MIB);
            let requirement = format!(
                "the walk needs {} MiB: {} for {}, {} for the workspaces of {}, {} for the frame, {} for a point of each \
                 particle",
                mib(needed),
                mib(particles),
                counted(options.particles, "particle"),
                mib(workspaces),
                counted(threads, "thread"),
                mib(frame),
                mib(kept)
            );
            let value = format!("{max_memory} MiB");
            return Err(Error::config("max_memory", value, &requirement));
        }
        Ok(Self {
            end,
            room: Some(allowed - fixed),
        })
    }

    /// True if the walk must end here.
    pub(super) fn is_spent<T: Scalar, S: Particle<T>, W: Send>(&self, run: &Run<T, S, W>) -> bool {
        let late = self.end.is_some_and(|end| Instant::now() >= end);
        let full = |room| run.keeps_next() && run.kept_bytes() + run.kept_bytes_at_once() > room;
        late || self.room.is_some_and(full)
    }
}

/// Adds up the bytes of a state.
struct Size(usize);

impl<T> Fields<T> for Size {
    fn vector(&mut self, _: &str, value: &mut Vec<T>) -> Result<()> {
        self.0 += size_of_val(&value[..]);
        Ok(())
    }

    fn numbers(&mut self, _: &str, value: &mut Vec<f64>) -> Result<()> {
        self.0 += size_of_val(&value[..]);
        Ok(())
    }

    fn counts(&mut self, _: &str, value: &mut Vec<usize>) -> Result<()> {
        self.0 += size_of_val(&value[..]);
        Ok(())
    }
}
