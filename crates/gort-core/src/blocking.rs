//! Around a call that blocks the thread: the processor goes to others meanwhile. Does no such call itself.
//!
//! There are three ways to lose a processor to a call, and one way back:
//! - [`blocking`] hands it over before the call: for calls that are likely to be long.
//! - [`brief`] only leaves word that it may be taken, which costs a store: for calls that are mostly short. If others wait
//!   for a processor the monitor takes it after 20 us, else after some milliseconds.
//! - A call that nobody announced is found by the monitor, which sees the thread sleep in the kernel (`sched::retake`).
//!
//! Afterwards the goroutine goes on at once if it still has its processor, or if one is idle; else it queues up for one
//! like any runnable goroutine. After an unannounced call it does so when it next comes into the runtime.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::g::G;
use crate::ids::WaitReason;
use crate::m::{Call, M};
use crate::park::{self, goroutine};
use crate::sched::the_runtime;
use crate::sys::door;

/// Runs `f`, which may block the thread, without holding a processor: other goroutines run on another thread meanwhile.
/// On a plain OS thread it just runs `f`.
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    around(hand_over, f)
}

/// Runs `f`, which may block the thread but mostly does not for long: others may have the processor if that turns out to
/// be wrong. On a plain OS thread it just runs `f`.
pub fn brief<R>(f: impl FnOnce() -> R) -> R {
    around(leave_word, f)
}

fn around<R>(announce: fn(&'static M) -> bool, f: impl FnOnce() -> R) -> R {
    let back = match park::this() {
        Some((m, _)) if announce(m) => Some(Back),
        // No goroutine, or one that is in such a call already.
        _ => None,
    };
    let result = f();
    drop(back);
    result
}

/// The processor goes to another machine. False if there is none to give.
fn hand_over(m: &'static M) -> bool {
    let _inside = door::inside();
    let had = m.call();
    m.set_call(Call::Announced);
    let Some(p) = m.p() else { return had != Call::Announced };
    let rt = the_runtime();
    // SeqCst: counted before the processor can be seen idle; the deadlock detector reads both.
    rt.in_blocking.fetch_add(1, Ordering::SeqCst);
    m.release_p();
    rt.handoff_p(p);
    true
}

/// The processor may be taken. False if somebody has said so before.
fn leave_word(m: &'static M) -> bool {
    let _inside = door::inside();
    let had = m.call();
    m.set_call(Call::Announced);
    had != Call::Announced
}

/// Gets a processor again, also if the call unwinds.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        // It may have parked inside the call and come back on another machine, with a processor.
        if let Some((m, g)) = park::this()
            && !resume_at_once(m)
        {
            queue_up(m, g);
        }
    }
}

/// The call is over: whether the goroutine has a processor, still or again.
fn resume_at_once(m: &'static M) -> bool {
    let _inside = door::inside();
    let rt = the_runtime();
    if m.call() == Call::None {
        return true;
    }
    if m.p().is_some() {
        m.set_call(Call::None);
        return true;
    }
    let Some(p) = rt.take_idle_p() else { return false };
    rt.call_is_over_with(m, p);
    true
}

/// No processor is free: the goroutine waits for one like any runnable one, and this machine stops.
#[cold]
fn queue_up(m: &'static M, g: &'static G) {
    goroutine::park(m, g, WaitReason::None, || {
        g.status.transition_to_ready();
        the_runtime().put_global(NonNull::from(g));
    });
}

/// Ties the calling goroutine to its thread: it runs nowhere else, and nothing else runs there. Nests. Nothing on a plain
/// OS thread.
pub fn lock_os_thread() {
    if let Some((m, g)) = park::this() {
        goroutine::lock_to(m, g);
    }
}

/// Undoes one [`lock_os_thread`]; nothing if there is none.
pub fn unlock_os_thread() {
    if let Some((m, g)) = park::this()
        && g.lock_count.get() > 0
    {
        goroutine::unlock_from(m, g);
    }
}
