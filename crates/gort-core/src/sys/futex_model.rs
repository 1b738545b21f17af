//! The futex under `--cfg loom`: the part of the kernel that sleeping threads rely on, as a model.
//!
//! One lock stands for the kernel's; a sleeper is in a list under the address of its word, with a condition variable of
//! its own. As in the kernel, looking at the word and lying down is one step for wakers, and nothing is remembered of a
//! wake-up that finds nobody. Time passes only when a model says so: a sleeper whose deadline never comes and whom
//! nobody wakes is a deadlock, which is how models find lost wake-ups.
//!
//! The kernel's lock orders what wakers and sleepers do, so in a model it hides a missing Acquire after a sleep. The
//! callers look at their word before they sleep, and on that way nothing is hidden.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex, MutexGuard};

use crate::env::{self, Moment};
use crate::sys::atomic::{AtomicU32, Ordering};

struct Sleeper {
    word: usize,
    deadline: Moment,
    bed: Arc<Condvar>,
}

loom::lazy_static! {
    static ref KERNEL: Mutex<Vec<Sleeper>> = Mutex::new(Vec::new());
}

fn kernel() -> MutexGuard<'static, Vec<Sleeper>> {
    KERNEL.lock().expect("no thread of a model panics in here")
}

/// Sleeps while `*word == expected`, until woken or until `deadline`. Without spurious wake-ups, which would only hide
/// lost ones.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Moment>) {
    let deadline = deadline.unwrap_or(Moment::NEVER);
    let mut sleepers = kernel();
    if word.load(Ordering::Relaxed) != expected || deadline <= Moment::now() {
        return;
    }
    let bed = Arc::new(Condvar::new());
    sleepers.push(Sleeper { word: address(word), deadline, bed: bed.clone() });
    while sleepers.iter().any(|sleeper| Arc::ptr_eq(&sleeper.bed, &bed)) {
        sleepers = bed.wait(sleepers).expect("no thread of a model panics in here");
    }
}

/// Wakes at most `count` threads that sleep on `word`.
pub(crate) fn wake(word: *const AtomicU32, count: u32) {
    let mut sleepers = kernel();
    for _ in 0..count {
        let Some(at) = sleepers.iter().position(|sleeper| sleeper.word == address(word)) else { break };
        sleepers.remove(at).bed.notify_one();
    }
}

/// It is `now`: whoever sleeps until then wakes.
pub(crate) fn time_passes(now: Moment) {
    let mut sleepers = kernel();
    env::model::set_now(now);
    sleepers.retain(|sleeper| {
        let sleeps_on = now < sleeper.deadline;
        if !sleeps_on {
            sleeper.bed.notify_one();
        }
        sleeps_on
    });
}

fn address(word: *const AtomicU32) -> usize {
    word.addr()
}
