//! For tests: operations on files that fail.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::files::{Call, Files};

/// Which operations fail, from the n-th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None.
    Never,
    /// The n-th alone.
    Once,
    /// From the n-th on, all that write: the disk is full.
    Full,
    /// All from the n-th on: as if the process were killed.
    Dead,
}

/// Counts operations, and lets some of them fail.
#[derive(Debug)]
pub(crate) struct Faults {
    kind: Kind,
    at: usize,
    calls: AtomicUsize,
    removals_failed: AtomicUsize,
}

impl Faults {
    pub(crate) fn new(kind: Kind, at: usize) -> Arc<Self> {
        Arc::new(Self {
            kind,
            at,
            calls: AtomicUsize::new(0),
            removals_failed: AtomicUsize::new(0),
        })
    }

    /// Files whose operations are counted here.
    pub(crate) fn files(self: &Arc<Self>) -> Files {
        Files {
            faults: Some(Arc::clone(self)),
        }
    }

    /// Operations so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Removals that failed: what was to be removed is still there.
    pub(crate) fn removals_failed(&self) -> usize {
        self.removals_failed.load(Ordering::SeqCst)
    }

    pub(super) fn step(&self, call: Call) -> io::Result<()> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = match self.kind {
            Kind::Never => false,
            Kind::Once => number == self.at,
            Kind::Full => number >= self.at && call == Call::Write,
            Kind::Dead => number >= self.at,
        };
        if !fails {
            return Ok(());
        }
        if call == Call::Remove {
            self.removals_failed.fetch_add(1, Ordering::SeqCst);
        }
        let kind = match call {
            Call::Write => io::ErrorKind::StorageFull,
            Call::Read | Call::Rename | Call::Remove => io::ErrorKind::PermissionDenied,
        };
        Err(io::Error::new(kind, format!("fault {number}, {call:?}")))
    }
}
