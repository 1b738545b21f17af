//! How goroutines begin and end (runtime/crash_test.go, runtime/stack_test.go, proc_test.go): what does not end the process.

use std::collections::HashSet;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gort::runtime;
use gort::sync::{Pool, WaitGroup};
use gort::time::{self, Ticker, Timer};

use crate::support::{Chan, alone, on_procs, resident, until};

/// Panics and keeps that to itself when it is dropped, and counts.
struct PanicsInside(Arc<AtomicUsize>);

impl Drop for PanicsInside {
    fn drop(&mut self) {
        let payload = catch_unwind(|| resume_unwind(Box::new("inside"))).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"inside"));
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// TestRecoveredPanicAfterGoexit, TestRecoverBeforePanicAfterGoexit: a panic that begins and ends while the goroutine
/// exits does not call the exit off; nor does one that is caught before.
#[gort::test(unsafe(migrate))]
fn a_panic_on_the_way_out_changes_nothing() {
    on_procs(|_| {
        let (drops, after) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (theirs, never) = (Arc::clone(&drops), Arc::clone(&after));
        let ended = gort::go(move || {
            let _first = PanicsInside(Arc::clone(&theirs));
            drop(PanicsInside(Arc::clone(&theirs)));
            let exits = || -> () {
                let _second = PanicsInside(theirs);
                gort::goexit()
            };
            exits();
            never.fetch_add(1, Ordering::Relaxed);
        });
        assert!(ended.join().unwrap_err().is::<gort::Goexit>());
        assert_eq!((drops.load(Ordering::Relaxed), after.load(Ordering::Relaxed)), (3, 0));
    });
}

/// TestRepanickedPanic, TestRepanickedMiddlePanic: a panic that is caught and raised again is the same at the end; the one
/// that is raised instead of it is the other.
#[gort::test(unsafe(migrate))]
fn panics_are_passed_on() {
    on_procs(|_| {
        let again = gort::go(|| {
            let first = catch_unwind(|| resume_unwind(Box::new(1_u32))).unwrap_err();
            let second = catch_unwind(AssertUnwindSafe(|| resume_unwind(first))).unwrap_err();
            resume_unwind(second)
        });
        let again: Result<(), _> = again.join();
        assert_eq!(again.unwrap_err().downcast_ref(), Some(&1_u32));

        let other = gort::go(|| {
            let _ = catch_unwind(|| resume_unwind(Box::new(1_u32)));
            // Through a goroutine of its own, as through everything else.
            let inner: Result<(), _> = gort::go(|| resume_unwind(Box::new("the other"))).join();
            resume_unwind(inner.unwrap_err())
        });
        let other: Result<(), _> = other.join();
        assert_eq!(other.unwrap_err().downcast_ref(), Some(&"the other"));
    });
}

/// TestMainGoroutineID, in what it says of ids: each goroutine has one of its own, and none is used again.
#[gort::test(unsafe(migrate))]
fn ids_are_not_used_again() {
    on_procs(|_| {
        let mut seen = HashSet::new();
        let own = || runtime::goroutine_id().unwrap();
        assert!(seen.insert(own()));
        for _ in 0..20 {
            // The goroutines of the last round are free by now, and serve again.
            let handles: Vec<_> = (0..50).map(|_| gort::go(own)).collect();
            for handle in handles {
                let id = handle.id();
                assert_eq!(handle.join().unwrap(), id);
                assert!(seen.insert(id), "{id:?} came twice");
            }
        }
        assert_eq!(own(), own());
    });
}

/// TestNoHelperGoroutines: what the library does behind the scenes does not count.
#[gort::test(unsafe(migrate))]
fn helpers_are_not_counted() {
    fn unchanged() -> bool {
        let before = runtime::num_goroutine();
        let (timer, ticker) = (Timer::new(Duration::from_secs(3600)), Ticker::new(Duration::from_secs(1)));
        let later = time::after_func(Duration::from_secs(3600), || ());
        let after = time::after(Duration::from_secs(3600));
        let pool = Pool::new(|| 1);
        pool.put(pool.get());
        assert_eq!(gort::blocking(|| 5), 5);
        assert_eq!(gort::pin_thread(|| 5), 5);
        assert!(after.try_recv().is_err());
        let during = runtime::num_goroutine();
        assert!(later.stop() && timer.stop());
        ticker.stop();
        assert_eq!(gort::go(|| 5).join().unwrap(), 5);
        (during, runtime::num_goroutine()) == (before, before)
    }
    // The next test may begin beside this one, and count.
    on_procs(|_| until("the count stays as it is", unchanged));
}

/// TestStackMem: goroutines that come one after the other do with the memory of those that were.
#[gort::test(unsafe(migrate))]
fn stacks_are_used_again() {
    #[inline(never)]
    fn use_stack() -> usize {
        const BYTES: usize = 64 << 10;
        let frame = black_box([1_u8; BYTES]);
        gort::gosched();
        usize::from(black_box(&frame)[BYTES / 2])
    }
    alone(2, || {
        const AT_A_TIME: usize = 100;
        let wave = || {
            let handles: Vec<_> = (0..AT_A_TIME).map(|_| gort::go(use_stack)).collect();
            assert_eq!(handles.into_iter().map(|handle| handle.join().unwrap()).sum::<usize>(), AT_A_TIME);
        };
        (0..5).for_each(|_| wave());
        let before = resident();
        (0..100).for_each(|_| wave());
        let grown = resident().saturating_sub(before);
        // A fresh stack each would be 640 MB.
        assert!(grown < 64 << 20, "{grown} bytes more after 10,000 goroutines");
    });
}

/// TestStackGrowth, TestStackGrowthCallback: deep recursion goes on on further stack, beside others and tied to a thread,
/// and waits there.
#[gort::test(unsafe(migrate))]
fn deep_recursion_wherever_it_begins() {
    fn dig(depth: usize, c: &Chan<usize>) -> usize {
        gort::maybe_grow(32 << 10, 256 << 10, || {
            let frame = black_box([depth; 32]);
            if depth.is_multiple_of(500) {
                c.send(depth);
            }
            match depth {
                0 => 0,
                _ => dig(depth - 1, c) + black_box(&frame)[7].min(1),
            }
        })
    }
    on_procs(|_| {
        const DEPTH: usize = 5000;
        let c = Chan::new(0);
        gort::scope(|s| {
            let free = s.go(|| dig(DEPTH, &c));
            let tied = s.go(|| gort::pin_thread(|| dig(DEPTH, &c)));
            let sum: usize = (0..2 * (DEPTH / 500 + 1)).map(|_| c.take()).sum();
            assert_eq!(sum, 2 * (0..=DEPTH).step_by(500).sum::<usize>());
            assert_eq!((free.join().unwrap(), tied.join().unwrap()), (DEPTH, DEPTH));
        });
    });
}

/// TestRecursivePanic: panics on many goroutines at once stay apart, with their values.
#[gort::test(unsafe(migrate))]
fn many_panic_at_once() {
    on_procs(|_| {
        let done = WaitGroup::new();
        let handles: Vec<_> = (0..100)
            .map(|i: usize| {
                let done = done.clone();
                done.add(1);
                gort::go(move || {
                    done.done();
                    gort::gosched();
                    if !i.is_multiple_of(3) {
                        resume_unwind(Box::new(i));
                    }
                    i
                })
            })
            .collect();
        done.wait();
        for (i, handle) in handles.into_iter().enumerate() {
            match handle.join() {
                Ok(value) => assert_eq!((value, i % 3), (i, 0)),
                Err(payload) => assert_eq!(payload.downcast_ref(), Some(&i)),
            }
        }
    });
}
