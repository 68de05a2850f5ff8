use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::*;

/// Does `work` in a pool of so many threads.
fn on<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}

const THREADS: [usize; 4] = [1, 2, 3, 8];

fn failure(index: usize) -> Error {
    Error::config("index", index, "is one that fails")
}

/// The index in a [`failure`].
fn failed<T>(outcome: Result<T, Error>) -> usize {
    match outcome {
        Err(Error::Config { value, .. }) => value.parse().unwrap(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nothing failed"),
    }
}

/// The number of tasks that run at the same time, and the largest so far.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn during<R>(&self, work: impl FnOnce() -> R) -> R {
        self.most
            .fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        let result = work();
        self.now.fetch_sub(1, SeqCst);
        result
    }
}

#[test]
fn results_stand_in_the_order_of_the_items() {
    for threads in THREADS {
        for count in [0, 1, 2, 31, 32, 33, 1000] {
            let expected: Vec<usize> = (0..count).map(|i| i * i).collect();
            on(threads, || {
                assert_eq!(map(count, |i| i * i), expected);
                assert_eq!(try_map(count, |i| Ok(i * i)).unwrap(), expected);
                // what another index left in the workspace must not matter
                let with = try_map_with(count, Vec::new, |ws, i| {
                    ws.resize(i, i);
                    Ok(ws.len() * i)
                });
                assert_eq!(with.unwrap(), expected);
            });
        }
    }
}

#[test]
fn every_item_is_done_once_and_knows_its_position() {
    for threads in THREADS {
        let (mut rows, add) = (vec![0; 7 * 100], (0..100).collect::<Vec<usize>>());
        on(threads, || {
            for_each(rows.chunks_mut(7).zip(&add), |i, (row, &add)| {
                row.iter_mut().for_each(|x| *x += i + add);
            });
            // positions are those among the items, not those of the slice
            for_each(rows.chunks_mut(7).rev(), |i, row| {
                row.iter_mut().for_each(|x| *x += 1000 * i);
            });
            let outcome = try_for_each(&mut rows, |i, x| {
                *x += 1_000_000 * i;
                Ok(())
            });
            outcome.unwrap();
        });
        for (i, x) in rows.into_iter().enumerate() {
            assert_eq!(x, 2 * (i / 7) + 1000 * (99 - i / 7) + 1_000_000 * i);
        }
    }
}

#[test]
fn nothing_is_made_for_no_items() {
    let make = || -> usize { panic!("a workspace for nothing") };
    let none: Vec<usize> = try_map_with(0, make, |ws, i| Ok(*ws + i)).unwrap();
    assert!(none.is_empty());
    try_for_each_with(none, make, |_, _, _| Err(failure(0))).unwrap();
    for_each(&mut [0; 0], |_, _| panic!("no item"));
}

/// The first item that fails does so last, so that the others are known before it.
#[test]
fn the_error_is_that_of_the_first_item_that_fails() {
    let slow = |i: usize, first: usize| match i {
        i if i < first => Ok(i),
        i if i == first => {
            std::thread::sleep(Duration::from_millis(20));
            Err(failure(i))
        }
        _ => Err(failure(i)),
    };
    for threads in THREADS {
        for first in [0, 3, 40, 299] {
            on(threads, || {
                assert_eq!(failed(try_map(300, |i| slow(i, first))), first);
                let with = try_map_with(300, || (), |(), i| slow(i, first));
                assert_eq!(failed(with), first);
                let each = try_for_each(0..300, |i, item| {
                    assert_eq!(i, item);
                    slow(i, first).map(|_| ())
                });
                assert_eq!(failed(each), first);
                let with = try_for_each_with(0..300, || (), |(), i, _| slow(i, first).map(|_| ()));
                assert_eq!(failed(with), first);
            });
        }
    }
}

#[test]
fn items_after_a_failure_are_left_out() {
    for threads in THREADS {
        let (done, fails) = (AtomicUsize::new(0), AtomicBool::new(false));
        let outcome = on(threads, || {
            try_for_each(0..10_000, |i, _| {
                done.fetch_add(1, SeqCst);
                if i == 0 {
                    fails.store(true, SeqCst);
                    return Err(failure(i));
                }
                while !fails.load(SeqCst) {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_millis(1));
                Ok(())
            })
        });
        assert_eq!(failed(outcome), 0);
        let done = done.into_inner();
        assert!(if threads == 1 {
            done == 1
        } else {
            done < 10_000
        });
    }
}

#[test]
fn calls_may_be_nested() {
    let expected: Vec<usize> = (0..20).map(|i| (0..50).map(|j| i * j).sum()).collect();
    for threads in THREADS {
        let inner = |i: usize| map(50, |j| i * j).into_iter().sum::<usize>();
        assert_eq!(on(threads, || map(20, inner)), expected);
        let mut sums = vec![0; 20];
        on(threads, || {
            for_each(sums.iter_mut().enumerate(), |_, (i, sum)| *sum = inner(i));
        });
        assert_eq!(sums, expected);
    }
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    for threads in THREADS {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let work = |i: usize| match i {
            // without a message on the console
            13 => resume_unwind(Box::new("thirteen")),
            i => i,
        };
        let caught = catch_unwind(AssertUnwindSafe(|| pool.install(|| map(100, work))));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"thirteen"));
        assert_eq!(pool.install(|| map(13, work)), Vec::from_iter(0..13));
    }
}

#[test]
fn workers_are_at_work_at_the_same_time() {
    let gauge = Gauge::default();
    let end = Instant::now() + Duration::from_secs(60);
    let both = |_| {
        gauge.during(|| {
            while gauge.most.load(SeqCst) < 2 && Instant::now() < end {
                std::thread::yield_now();
            }
        });
    };
    on(2, || map(2, both));
    assert_eq!(gauge.most.into_inner(), 2);
}

#[test]
fn there_are_no_more_workspaces_than_workers() {
    for threads in THREADS {
        for count in [1, 2, 500] {
            let (made, gauge) = (AtomicUsize::new(0), Gauge::default());
            let make = || made.fetch_add(1, SeqCst);
            let work = |_: &mut usize, _| {
                gauge.during(std::thread::yield_now);
                Ok(())
            };
            on(threads, || try_map_with(count, make, work)).unwrap();
            let most = gauge.most.into_inner();
            assert!(made.into_inner() <= threads.min(count) && most <= threads);
        }
        // a workspace of a pool is made only when all others are at work, in nested calls too
        let (made, gauge, pool) = (AtomicUsize::new(0), Gauge::default(), Pool::new());
        let make = || made.fetch_add(1, SeqCst);
        let yielding = |_: &mut usize| {
            std::thread::yield_now();
            Ok(())
        };
        let work = |_| gauge.during(|| pool.with(make, yielding));
        on(threads, || {
            for_each(0..20, |_, i| {
                try_map(30, work).unwrap();
                work(i).unwrap();
            });
        });
        assert!(made.into_inner() <= gauge.most.into_inner());
    }
}

#[test]
fn a_workspace_is_made_once_and_lost_by_an_error() {
    let (pool, mut made) = (Pool::new(), 0);
    for i in 0..3 {
        let seen = pool.with(
            || {
                made += 1;
                Vec::new()
            },
            |workspace| {
                workspace.push(i);
                Ok(workspace.len())
            },
        );
        assert_eq!(seen.unwrap(), i + 1);
    }
    assert_eq!(failed(pool.with(Vec::new, |_| Err::<(), _>(failure(4)))), 4);
    let seen = pool.with(
        || {
            made += 1;
            Vec::new()
        },
        |workspace| Ok(workspace.len()),
    );
    assert_eq!((seen.unwrap(), made), (0, 2));
}

#[test]
fn work_is_done_in_the_pool_of_the_caller() {
    for threads in THREADS {
        on(threads, || {
            assert_eq!(super::threads(), threads);
            assert_eq!([0, 1, 2, 100].map(workers), [0, 1, threads.min(2), threads]);
        });
    }
    // from outside any pool
    assert!(enter(|| rayon::current_thread_index().is_some()));
}

#[test]
fn pieces_become_shorter_and_leave_nothing_out() {
    for (len, workers) in [(0, 0), (1, 1), (1000, 1), (1000, 4), (5, 64)] {
        let mut slots = vec![0; len];
        let pieces = Pieces {
            first: 0,
            rest: &mut slots,
            workers,
        };
        let (mut end, mut last) = (0, PIECE);
        for (first, piece) in pieces {
            assert_eq!(first, end);
            assert!(!piece.is_empty() && piece.len() <= last);
            (end, last) = (first + piece.len(), piece.len());
        }
        assert_eq!(end, len);
        assert!(len == 0 || last == 1);
    }
}
