//! Parallel work in the caller's rayon pool. All of the library's goes through here.
//!
//! Rayon's iterators are compiled anew at every call, for every number type and density. Here the
//! pool sees one function that is not generic, [`run`]. The rest are short loops.
//!
//! Items stand in a queue. As many workers as the pool has threads take one after the other, in
//! order, until none is left. So at most one workspace per thread is in use, and nothing is
//! allocated but the results. Results stand in the order of the items, whichever thread computed
//! them.
//!
//! If an item fails, the workers take no further ones. Those before it were taken earlier and are
//! completed. So the error is always that of the first item that fails, for any number of threads.
//! A panic reaches the caller once all workers have ended.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// Number of threads in the caller's pool.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Does `work` on a thread of the pool. A loop that does parallel work in every round then enters
/// the pool once, not once per round.
pub(crate) fn enter<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Does `work` on every item; it also gets the item's position. Items are taken from the iterator
/// one at a time under a lock. So a step of the iterator must be cheap and do no parallel work, and
/// an item should be worth a microsecond or more.
pub(crate) fn for_each<I>(items: I, work: impl Fn(usize, I::Item) + Sync)
where
    I: IntoIterator<IntoIter: Send>,
{
    let Ok(()) = deal::<_, _, Infallible>(
        items.into_iter(),
        || (),
        |(), index, item| {
            work(index, item);
            Ok(())
        },
    );
}

/// [`for_each`] with work that can fail.
///
/// # Errors
/// That of the first item that fails.
pub(crate) fn try_for_each<I>(
    items: I,
    work: impl Fn(usize, I::Item) -> Result<(), Error> + Sync,
) -> Result<(), Error>
where
    I: IntoIterator<IntoIter: Send>,
{
    deal(
        items.into_iter(),
        || (),
        |(), index, item| work(index, item),
    )
}

/// [`try_for_each`] with a workspace for every worker. It is made when the worker gets its first
/// item, and serves all its items.
///
/// # Errors
/// That of the first item that fails.
pub(crate) fn try_for_each_with<I, W>(
    items: I,
    make: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize, I::Item) -> Result<(), Error> + Sync,
) -> Result<(), Error>
where
    I: IntoIterator<IntoIter: Send>,
{
    deal(items.into_iter(), make, work)
}

/// The values of `work` at `0..count`, in order. Cheap indices are taken several at a time.
pub(crate) fn map<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let Ok(values) = collect::<_, _, Infallible>(count, || (), |(), index| Ok(work(index)));
    values
}

/// [`map`] with work that can fail.
///
/// # Errors
/// That of the first index that fails.
pub(crate) fn try_map<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    collect(count, || (), |(), index| work(index))
}

/// [`try_map`] with a workspace for every worker, as in [`try_for_each_with`].
///
/// # Errors
/// That of the first index that fails.
pub(crate) fn try_map_with<T: Send, W>(
    count: usize,
    make: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    collect(count, make, work)
}

fn collect<T: Send, W, E: Send>(
    count: usize,
    make: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let mut slots = Vec::new();
    slots.resize_with(count, || None);
    let pieces = Pieces {
        first: 0,
        rest: &mut slots,
        workers: workers(count),
    };
    deal(pieces, make, |memory, _, (first, piece)| {
        for (index, slot) in (first..).zip(piece) {
            *slot = Some(work(memory, index)?);
        }
        Ok(())
    })?;
    let (mut values, mut slots) = (Vec::with_capacity(count), slots.into_iter());
    while let Some(Some(value)) = slots.next() {
        values.push(value);
    }
    Ok(values)
}

/// Deals the items out to the workers.
fn deal<I, W, E>(
    items: I,
    make: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize, I::Item) -> Result<(), E> + Sync,
) -> Result<(), E>
where
    I: Iterator + Send,
    E: Send,
{
    let most = items.size_hint().1.unwrap_or(usize::MAX);
    let queue = Mutex::new(items.enumerate());
    let failure = Failure::new();
    run(workers(most), &|| {
        let mut memory = None;
        while !failure.is_known()
            && let Some((index, item)) = next(&queue)
        {
            if let Err(error) = work(memory.get_or_insert_with(&make), index, item) {
                failure.report(index, error);
            }
        }
    });
    failure.outcome()
}

/// Number of workers for so many items.
fn workers(items: usize) -> usize {
    match items {
        // does not even ask for the pool
        0 | 1 => items,
        _ => items.min(threads()),
    }
}

/// Does `work` so many times, on any threads of the pool.
fn run(times: usize, work: &(dyn Fn() + Sync)) {
    match times {
        0 => {}
        1 => work(),
        _ => {
            let half = times / 2;
            rayon::join(|| run(half, work), || run(times - half, work));
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // nothing is half done where code under these locks can panic
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next<I: Iterator>(queue: &Mutex<I>) -> Option<I::Item> {
    locked(queue).next()
}

/// The first item that has failed so far.
struct Failure<E> {
    known: AtomicBool,
    first: Mutex<Option<(usize, E)>>,
}

impl<E> Failure<E> {
    fn new() -> Self {
        Self {
            known: AtomicBool::new(false),
            first: Mutex::new(None),
        }
    }

    fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    #[cold]
    fn report(&self, index: usize, error: E) {
        self.known.store(true, Ordering::Relaxed);
        let mut first = locked(&self.first);
        if first.as_ref().is_none_or(|(known, _)| index < *known) {
            *first = Some((index, error));
        }
    }

    fn outcome(self) -> Result<(), E> {
        let first = self.first.into_inner();
        match first.unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some((_, error)) => Err(error),
        }
    }
}

/// Most slots in a piece. Then even a lock per piece costs nothing for slots of a microsecond.
const PIECE: usize = 32;

/// A slice in pieces, each with the index of its first slot. The pieces become shorter towards the
/// end, so that the workers end at nearly the same time.
struct Pieces<'a, T> {
    first: usize,
    rest: &'a mut [T],
    workers: usize,
}

impl<'a, T> Iterator for Pieces<'a, T> {
    type Item = (usize, &'a mut [T]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let len = (rest.len() / (4 * self.workers)).clamp(1, PIECE);
        let (piece, rest) = rest.split_at_mut(len);
        let first = self.first;
        (self.first, self.rest) = (first + len, rest);
        Some((first, piece))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.rest.len()))
    }
}

/// A pool of workspaces that workers borrow and return, for workspaces that outlive a call.
///
/// It holds as many workspaces as there are workers at once, however much work there is.
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
        work: impl FnOnce(&mut W) -> Result<R, Error>,
    ) -> Result<R, Error> {
        // the lock is not held while `make` runs
        let free = locked(&self.0).pop();
        let mut workspace = free.unwrap_or_else(make);
        let result = work(&mut workspace)?;
        locked(&self.0).push(workspace);
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
