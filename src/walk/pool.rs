//! A pool of workspaces that workers borrow and return.
//!
//! It holds as many workspaces as there are workers at once, however much work there is.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;

/// The workspaces that are free at the moment.
pub(crate) struct Pool<W>(Mutex<Vec<W>>);

impl<W> Pool<W> {
    /// An empty pool.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Does `work` in a free workspace, or in a new one.
    ///
    /// # Errors
    /// Those of `work`; the workspace is then dropped.
    pub(crate) fn with<R>(
        &self,
        make: impl FnOnce() -> W,
        work: impl FnOnce(&mut W) -> Result<R>,
    ) -> Result<R> {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // the lock is not held while `make` runs
        let found = free().pop();
        let mut piece = found.unwrap_or_else(make);
        let result = work(&mut piece)?;
        free().push(piece);
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_piece_is_made_once_and_lost_by_an_error() {
        let (pool, mut made) = (Pool::new(), 0);
        for i in 0..3 {
            let seen = pool.with(
                || {
                    made += 1;
                    Vec::new()
                },
                |piece| {
                    piece.push(i);
                    Ok(piece.len())
                },
            );
            assert_eq!(seen.unwrap(), i + 1);
        }
        let failed: Result<()> = pool.with(Vec::new, |_| Err(Error::config("x", 0, "y")));
        assert!(failed.is_err());
        let seen = pool.with(
            || {
                made += 1;
                Vec::new()
            },
            |piece| Ok(piece.len()),
        );
        assert_eq!((seen.unwrap(), made), (0, 2));
    }
}
