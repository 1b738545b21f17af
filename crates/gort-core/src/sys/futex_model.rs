//! The futex under `--cfg loom`: the part of the kernel that sleeping threads rely on, as a model.
//!
//! One lock stands for the kernel's; a sleeper is in a list under the address of its word, with a condition variable of
//! its own. As in the kernel, looking at the word and lying down is one step for wakers, and nothing is remembered of a
//! wake-up that finds nobody. Time passes only when a model says so: a sleeper whose deadline never comes and whom
//! nobody wakes is a deadlock, which is how models find lost wake-ups.
//!
//! The kernel's lock orders what wakers and sleepers do, so in a model it hides a missing Acquire after a sleep. The
//! callers look at their word before they sleep, and on that way nothing is hidden.

#![cfg_attr(not(test), allow(dead_code, reason = "only models let time pass"))]

use std::sync::Arc;

use loom::sync::{Condvar, Mutex, MutexGuard};

use crate::env::Moment;
use crate::sys::atomic::{AtomicU32, Ordering};

struct Sleeper {
    word: usize,
    deadline: Moment,
    bed: Arc<Condvar>,
}

#[derive(Default)]
struct Kernel {
    sleepers: Vec<Sleeper>,
    ended: bool,
}

/// What a sleeping thread unwinds with when the model has ended.
pub(crate) struct Ended;

loom::lazy_static! {
    static ref KERNEL: Mutex<Kernel> = Mutex::new(Kernel::default());
}

fn kernel() -> MutexGuard<'static, Kernel> {
    KERNEL.lock().expect("no thread of a model panics in here")
}

/// Sleeps while `*word == expected`, until woken or until `deadline`. Without spurious wake-ups, which would only hide
/// lost ones.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Moment>) {
    let deadline = deadline.unwrap_or(Moment::NEVER);
    let mut kernel = kernel();
    if word.load(Ordering::Relaxed) == expected && Moment::now() < deadline && !kernel.ended {
        let bed = Arc::new(Condvar::new());
        kernel.sleepers.push(Sleeper { word: std::ptr::from_ref(word).addr(), deadline, bed: bed.clone() });
        while kernel.sleepers.iter().any(|sleeper| Arc::ptr_eq(&sleeper.bed, &bed)) {
            kernel = bed.wait(kernel).expect("no thread of a model panics in here");
        }
    }
    let ended = kernel.ended;
    drop(kernel);
    if ended {
        std::panic::resume_unwind(Box::new(Ended));
    }
}

/// Wakes at most `count` threads that sleep on `word`.
pub(crate) fn wake(word: *const AtomicU32, count: u32) {
    let sleepers = &mut kernel().sleepers;
    for _ in 0..count {
        let Some(at) = sleepers.iter().position(|sleeper| sleeper.word == word.addr()) else { break };
        sleepers.remove(at).bed.notify_one();
    }
}

/// It is `now`: whoever sleeps until then wakes.
pub fn time_passes(now: Moment) {
    let mut kernel = kernel();
    crate::env::model::set_now(now);
    kernel
        .sleepers
        .extract_if(.., |sleeper| sleeper.deadline <= now)
        .for_each(|sleeper| sleeper.bed.notify_one());
}

/// The model has seen what it wanted to see: whoever sleeps, or is about to, unwinds with [`Ended`].
pub(crate) fn end() {
    let mut kernel = kernel();
    kernel.ended = true;
    kernel.sleepers.drain(..).for_each(|sleeper| sleeper.bed.notify_one());
}
