//! The number of worker threads of a command.

use clap::Args;
use fiberwalk::Error;

use crate::failure::Outcome;

#[derive(Args)]
pub struct Threads {
    /// Worker threads [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub threads: Option<usize>,
}

/// More would only take memory: results do not depend on the number.
const MOST_THREADS: usize = 1_024;

impl Threads {
    /// Runs `work` on the requested number of threads.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> Outcome<R> + Send) -> Outcome<R> {
        let count = self.threads.unwrap_or(0);
        if self.threads == Some(0) {
            return Err(Error::config("--threads", 0, "must be positive").into());
        }
        if count > MOST_THREADS {
            let requirement = format!("must be at most {MOST_THREADS}");
            return Err(Error::config("--threads", count, &requirement).into());
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        match pool {
            Ok(pool) => pool.install(work),
            Err(e) => {
                let requirement = format!("the machine refuses: {e}");
                Err(Error::config("--threads", count, &requirement).into())
            }
        }
    }
}
