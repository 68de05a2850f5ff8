//! SIGINT and SIGTERM: a fit under way ends cleanly, and a walk can be resumed.

use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signal that came, if one did.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    number: Arc<AtomicUsize>,
}

impl Signals {
    /// Waits for SIGINT and SIGTERM from now on. The second one ends the program at once. What
    /// comes before a fit ends as the system has it.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn watch(&self) -> Result<()> {
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // in this order: the first signal only sets what the second one finds set
            flag::register_conditional_shutdown(signal, 128 + signal, again.clone())?;
            flag::register(signal, again.clone())?;
            flag::register_usize(signal, self.number.clone(), signal as usize)?;
        }
        Ok(())
    }

    /// True once a signal has come.
    pub fn came(&self) -> bool {
        self.number.load(Ordering::Relaxed) != 0
    }

    /// The exit status that shells report for the signal: 128 and its number.
    pub fn status(&self) -> Option<u8> {
        match self.number.load(Ordering::Relaxed) {
            0 => None,
            number => u8::try_from(128 + number).ok(),
        }
    }
}
