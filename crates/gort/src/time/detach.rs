//! Somewhere to run a callback that nobody waits for: each has a stack of its own, so it may block as long as it
//! likes, and its panic is printed and ends only itself.
//!
//! Inside the runtime that is a goroutine. Where there is no runtime, threads are kept for it: an idle one takes the
//! next callback, and if none is idle a new one is started. A thread that has idled for a while ends.
//!
//! Invariant: `waiting.len() <= idle` whenever the lock is free. An idle thread is promised to each waiting callback, so
//! none waits behind one that blocks.

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gort_core::rt;

use crate::{go, panic_policy};

type Call = Box<dyn FnOnce() + Send>;

/// Runs `call` soon, concurrently with the caller.
#[track_caller]
pub(crate) fn detach(call: impl FnOnce() + Send + 'static) {
    if rt::is_started() { go::detached(call) } else { detach_to_thread(Box::new(call)) }
}

/// Makes a call whose end concerns nobody: a panic of it is treated like that of a goroutine that nobody joins.
pub(super) fn contain(call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        panic_policy::unjoined(panic);
    }
}

/// A call that is made many times, or not at all. A panic of its drop is treated like one of a run: who drops it, a timer
/// that has gone off perhaps, is not to suffer from it.
pub(super) struct Contained<F>(ManuallyDrop<F>);

impl<F: Fn()> Contained<F> {
    pub(super) fn new(call: F) -> Contained<F> {
        Contained(ManuallyDrop::new(call))
    }

    pub(super) fn run(&self) {
        contain(&*self.0);
    }
}

impl<F> Drop for Contained<F> {
    fn drop(&mut self) {
        // SAFETY: nobody uses it after this.
        contain(|| unsafe { ManuallyDrop::drop(&mut self.0) });
    }
}

fn detach_to_thread(call: Call) {
    let mut pool = pool();
    if pool.waiting.len() < pool.idle {
        pool.waiting.push_back(call);
        drop(pool);
        WORK.notify_one();
    } else {
        drop(pool);
        thread::Builder::new()
            .name("gort-callback".to_string())
            .spawn(move || work(call))
            .expect("gort: no thread for a callback: the system refuses to start one");
    }
}

struct Pool {
    waiting: VecDeque<Call>,
    /// Threads in [`next_call`].
    idle: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { waiting: VecDeque::new(), idle: 0 });
static WORK: Condvar = Condvar::new();

fn pool() -> MutexGuard<'static, Pool> {
    // Calls run outside the lock, so a panic never leaves the pool in disorder.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(first: Call) {
    let mut call = first;
    loop {
        contain(call);
        match next_call() {
            Some(next) => call = next,
            None => return,
        }
    }
}

/// Idles until there is a call, or for long enough to be let go.
fn next_call() -> Option<Call> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let mut pool = pool();
    pool.idle += 1;
    pool = WORK
        .wait_timeout_while(pool, PATIENCE, |pool| pool.waiting.is_empty())
        .unwrap_or_else(PoisonError::into_inner)
        .0;
    pool.idle -= 1;
    pool.waiting.pop_front()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn blocked_calls_do_not_hold_up_others() {
        const CALLS: usize = 8;
        let (done, finished) = mpsc::channel();
        let gates: Vec<_> = (0..CALLS)
            .map(|n| {
                let (open, gate) = mpsc::channel::<()>();
                let done = done.clone();
                detach_to_thread(Box::new(move || {
                    gate.recv().unwrap();
                    done.send(n).unwrap();
                }));
                open
            })
            .collect();
        for (n, gate) in gates.into_iter().enumerate().rev() {
            gate.send(()).unwrap();
            assert_eq!(finished.recv(), Ok(n));
        }
    }

    #[test]
    fn a_panic_ends_only_its_own_call() {
        let (done, finished) = mpsc::channel();
        detach_to_thread(Box::new(|| std::panic::resume_unwind(Box::new("quietly"))));
        detach_to_thread(Box::new(move || done.send(()).unwrap()));
        assert_eq!(finished.recv(), Ok(()));
    }
}
