//! Around a call that blocks the thread: the processor goes to others meanwhile. Does no such call itself.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::g::G;
use crate::ids::WaitReason;
use crate::m::M;
use crate::park::{self, goroutine};
use crate::sched::the_runtime;

/// Runs `f`, which may block the thread, without holding a processor: other goroutines run on another thread meanwhile.
/// On a plain OS thread it just runs `f`.
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    let Some((m, _)) = park::this() else { return f() };
    let Some(p) = m.p() else { return f() };
    let rt = the_runtime();
    m.in_call.set(true);
    // SeqCst: counted before the processor can be seen idle; the deadlock detector reads both.
    rt.in_blocking.fetch_add(1, Ordering::SeqCst);
    m.release_p();
    rt.handoff_p(p);
    let back = Back;
    let result = f();
    drop(back);
    result
}

/// Gets a processor again, also if the call unwinds.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        // It may have parked inside the call and come back on another machine, with a processor.
        if let Some((m, g)) = park::this()
            && m.p().is_none()
        {
            match the_runtime().take_idle_p() {
                Some(p) => {
                    m.acquire_p(p);
                    the_runtime().call_is_over(m);
                }
                None => queue_up(m, g),
            }
        }
    }
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
