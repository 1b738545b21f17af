//! How a goroutine parks: it leaves its commit with the machine, notes where it stands for whoever dumps it, and switches
//! to the machine's stack. When the switch returns it may be on another thread.

use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::Ordering;

use crate::claim::Claim;
use crate::env::Moment;
use crate::g::{Command, G};
use crate::ids::WaitReason;
use crate::m::M;
use crate::sched::{Runtime, the_runtime};
use crate::stack::guard;
use crate::sys::door;
use crate::timers::{Action, Node};

/// Stores where the calling frame is, for dumps. A macro, since it must be *this* frame that stays alive.
macro_rules! save_context {
    ($g:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            let (pc, sp, fp): (usize, usize, usize);
            // SAFETY: reads registers; touches nothing else.
            unsafe {
                std::arch::asm!(
                    "lea {0}, [rip]", "mov {1}, rsp", "mov {2}, rbp",
                    out(reg) pc, out(reg) sp, out(reg) fp,
                    options(nomem, nostack, preserves_flags),
                );
            }
            $g.context.pc.store(pc, Ordering::Relaxed);
            $g.context.sp.store(sp, Ordering::Relaxed);
            $g.context.fp.store(fp, Ordering::Relaxed);
        }
    }};
}

#[inline(always)]
pub(crate) fn park<F: FnOnce()>(m: &'static M, g: &'static G, reason: WaitReason, commit: F) {
    if std::thread::panicking() {
        return park_panicking(m, g, reason, commit);
    }
    switch(m, g, reason, commit);
}

#[inline(always)]
fn switch<F: FnOnce()>(m: &'static M, g: &'static G, reason: WaitReason, commit: F) {
    m.door.enter();
    let mut commit = ManuallyDrop::new(commit);
    // The machine takes the closure out of our frame and runs it on its own stack: once the closure has unlocked
    // whatever it unlocks, this frame may be running again elsewhere.
    m.commit.set(Some((run_commit::<F>, ptr::from_mut(&mut commit).cast())));
    g.wait_since.store(the_runtime().coarse_now.load(Ordering::Relaxed), Ordering::Relaxed);
    save_context!(g);
    // After the registers: whoever sees the goroutine wait finds where.
    g.status.transition_to_waiting(reason);
    check_stack(g);
    // SAFETY: we run on `g`, and the commit is in place.
    unsafe { g.suspend(Command::Park) };
    // On whatever thread this is now.
    door::leave();
}

/// # Safety
/// `data` points to an `F` that is taken.
unsafe fn run_commit<F: FnOnce()>(data: *mut ()) {
    // SAFETY: the caller's promise.
    let commit = unsafe { data.cast::<F>().read() };
    commit();
}

/// A panicking goroutine takes its machine with it while it waits: std counts panics per thread, and a goroutine that
/// went on elsewhere would leave both threads with a wrong count.
#[cold]
fn park_panicking<F: FnOnce()>(m: &'static M, g: &'static G, reason: WaitReason, commit: F) {
    lock_to(m, g);
    switch(m, g, reason, commit);
    unlock_from(m, g);
}

/// Ties `g` to `m`, once more.
pub(crate) fn lock_to(m: &'static M, g: &'static G) {
    g.lock_count.set(g.lock_count.get() + 1);
    m.locked_g.set(g);
    g.locked_m.store(ptr::from_ref(m).cast_mut().cast(), Ordering::Relaxed);
}

/// Undoes one [`lock_to`].
pub(crate) fn unlock_from(m: &'static M, g: &'static G) {
    let count = g.lock_count.get() - 1;
    g.lock_count.set(count);
    if count == 0 {
        m.locked_g.set(ptr::null());
        g.locked_m.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

#[inline(always)]
pub(super) fn park_until<F: FnOnce()>(
    m: &'static M,
    g: &'static G,
    reason: WaitReason,
    deadline: Moment,
    claim: &Claim,
    commit: F,
) {
    let node = Node::claiming(claim, wake(g));
    park(m, g, reason, || start_timer(&node, deadline, commit));
    // Woken by somebody else before the deadline: the node is still in its heap. After this nobody knows it.
    node.cancel();
}

#[inline(always)]
pub(super) fn sleep_until(m: &'static M, g: &'static G, deadline: Moment) {
    let node = Node::certain(wake(g));
    park(m, g, WaitReason::Sleep, || start_timer(&node, deadline, || ()));
}

fn wake(g: &'static G) -> Action {
    Action::Wake(ptr::from_ref(g).cast())
}

/// On the machine's stack: starts the timer of a park, then commits. The heap stays locked until the commit is done, so
/// that the timer can not wake the goroutine before (rule 1 of the waist).
fn start_timer<F: FnOnce()>(node: &Node, deadline: Moment, commit: F) {
    let rt = the_runtime();
    let own = M::current().and_then(M::p);
    let p = own.unwrap_or_else(|| rt.p_at(0));
    let mut timers = p.timers.adding();
    // SAFETY: the node is in the frame of the parked goroutine, which either waits until the timer is due and acted on,
    // or cancels it as the first thing it does.
    let first = unsafe { timers.add(node, deadline) };
    commit();
    drop(timers);
    if first {
        announce(rt, own.is_some(), deadline);
    }
}

fn announce(rt: &Runtime, own: bool, deadline: Moment) {
    match M::current().and_then(M::p) {
        // The machine looks for work right after this, and either runs something else, then it tells the others; or goes
        // idle, then it keeps time itself.
        Some(p) if own => p.timers_unannounced.set(true),
        _ => rt.announce_timer(deadline),
    }
}

#[inline(always)]
pub(super) fn yield_now(m: &'static M, g: &'static G) {
    if std::thread::panicking() {
        return yield_panicking(m, g);
    }
    switch_yielding(m, g);
}

/// As [`park_panicking`].
#[cold]
fn yield_panicking(m: &'static M, g: &'static G) {
    lock_to(m, g);
    switch_yielding(m, g);
    unlock_from(m, g);
}

#[inline(always)]
fn switch_yielding(m: &'static M, g: &'static G) {
    m.door.enter();
    save_context!(g);
    check_stack(g);
    // SAFETY: we run on `g`.
    unsafe { g.suspend(Command::Yield) };
    // On whatever thread this is now. (And not a tail call: the frame whose registers were saved stays.)
    door::leave();
}

/// Where stacks can be without a guard, a park at least notices that the goroutine is beyond its end.
#[inline(always)]
fn check_stack(g: &G) {
    if guard::unguarded() {
        check_stack_slow(g);
    }
}

#[cold]
fn check_stack_slow(g: &G) {
    let low = g.stack_low.load(Ordering::Relaxed);
    let here = ptr::from_ref(&low).addr();
    let high = g.stack_high.load(Ordering::Relaxed);
    if !(low..high).contains(&here) {
        crate::sys::throw(format_args!(
            "stack overflow: goroutine {} is {} bytes below its stack of {} bytes",
            g.raw_id(),
            low.saturating_sub(here),
            high - low,
        ));
    }
}
