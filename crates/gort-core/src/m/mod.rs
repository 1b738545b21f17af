//! The machine: an OS thread that runs goroutines while it has a processor. Picks nothing; the scheduler does.
//!
//! A machine's own stack is where scheduling happens; goroutines run on theirs and switch back to it whenever they
//! park, yield or end. Machines are pooled and never freed: whoever wakes one may be late.
//!
//! A machine's processor is its own while the thread is inside the runtime ([`door`](crate::sys::door)). While it runs a
//! goroutine's code anybody who has shut its door may take it (`sched::retake`), and the thread goes on without, as in a
//! blocking call ([`Call`]); it finds out when it next comes in.

pub(crate) mod note;
pub(crate) mod slice;

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, Ordering};

use crate::env::Moment;
use crate::g::G;
use crate::p::P;
use crate::sys::door::Door;
use crate::sys::word;
use note::Note;
use slice::Slice;

/// What a parking goroutine wants done once its context is saved.
pub(crate) type Commit = (unsafe fn(*mut ()), *mut ());

/// Whether the goroutine on a machine is in a call that blocks the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Call {
    /// It runs, with a processor; or the machine runs none.
    None = 0,
    /// It has said that it is about to block. It may have kept its processor, which anybody may take.
    Announced = 1,
    /// It has lost its processor while it slept in the kernel, or runs on without one so that others can go on.
    Found = 2,
}

/// Whether to wait busily for a moment before going to sleep, where a machine has handed its processor to another and will
/// perhaps have it back at once: two goroutines of which one is locked to its thread pass a processor to and fro with each
/// message. Sleeping and being woken costs ten times as much as such a wait; but a wait that is in vain costs a core its
/// time. So it is learned.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// Waits that are not worth it at the moment, and how many there will be after the next one in vain.
    skip: Cell<u8>,
    penalty: Cell<u8>,
}

impl Patience {
    const MAX: u8 = 64;

    /// Own thread: waits busily for `note` if that has been worth it. True if the wake-up came.
    pub(crate) fn wait(&self, note: &Note) -> bool {
        if let Some(left) = self.skip.get().checked_sub(1) {
            self.skip.set(left);
            return false;
        }
        let came = note.spin();
        let penalty = self.penalty.get();
        self.penalty.set(if came { penalty / 2 } else { (2 * penalty + 1).min(Self::MAX) });
        self.skip.set(if came { 0 } else { self.penalty.get() });
        came
    }
}

/// A machine.
#[repr(C, align(128))]
pub(crate) struct M {
    /// First: the per-thread word points to it.
    pub(crate) door: Door,
    pub(crate) id: u32,
    /// The kernel's id of its thread; 0 while it has none.
    pub(crate) tid: AtomicU32,
    /// The processor it has, or null. Written by its own thread inside the runtime, or by who has shut its door.
    p: AtomicPtr<P>,
    /// The goroutine it runs, or null. Atomic for the signal handler and for dumps.
    curg: AtomicPtr<G>,
    pub(crate) commit: Cell<Option<Commit>>,
    /// Sleeps here while idle, and while its locked goroutine waits.
    pub(crate) note: Note,
    /// The processor that comes with a wake-up.
    next_p: AtomicPtr<P>,
    /// It has just handed its processor to a machine that will perhaps hand it back at once.
    pub(crate) lent: Cell<bool>,
    /// The goroutine that only this machine may run; it runs no other.
    pub(crate) locked_g: Cell<*const G>,
    pub(crate) spinning: Cell<bool>,
    /// How well it has fared with waiting busily for a hand-over.
    pub(crate) patience: Patience,
    /// As [`p`](Self::p).
    call: AtomicU8,
    /// The monitor has asked it to give its processor to others, by a signal that has not been answered.
    pub(crate) asked: AtomicBool,
    /// The kernel has been told that its thread computes.
    pub(crate) computes: Cell<bool>,
    /// Since when it has been frozen (under the scheduler's lock).
    pub(crate) frozen_at: Cell<Moment>,
    /// Of its goroutine, if that has been frozen (see there who writes it).
    pub(crate) slice: Slice,
    /// Its goroutine ended while locked to it: the thread's state is not to be trusted.
    pub(crate) tainted: Cell<bool>,
    /// In the list of idle machines, of frozen ones, or of those without a thread.
    pub(crate) next: Cell<Option<&'static M>>,
}

// SAFETY: cells are touched by the machine's own thread; or, while that is idle, frozen or unborn, under the scheduler's lock
// or by the one who has taken the machine out of a list there, until the note wakes it. The rest is atomic.
unsafe impl Sync for M {}
// SAFETY: as above.
unsafe impl Send for M {}

impl M {
    pub(crate) fn new(id: u32) -> M {
        M {
            door: Door::new(),
            id,
            tid: AtomicU32::new(0),
            p: AtomicPtr::new(ptr::null_mut()),
            curg: AtomicPtr::new(ptr::null_mut()),
            commit: Cell::new(None),
            note: Note::new(),
            next_p: AtomicPtr::new(ptr::null_mut()),
            lent: Cell::new(false),
            locked_g: Cell::new(ptr::null()),
            spinning: Cell::new(false),
            patience: Patience::default(),
            call: AtomicU8::new(Call::None as u8),
            asked: AtomicBool::new(false),
            computes: Cell::new(false),
            frozen_at: Cell::new(Moment::NEVER),
            slice: Slice::new(),
            tainted: Cell::new(false),
            next: Cell::new(None),
        }
    }

    /// The machine that the calling thread is, if it is one.
    #[inline(always)]
    pub(crate) fn current() -> Option<&'static M> {
        // SAFETY: the word is null or the address of a machine, and machines are never freed.
        unsafe { word::load().cast::<M>().as_ref() }
    }

    /// Makes the calling thread this machine.
    pub(crate) fn become_current(&self) {
        word::store(ptr::from_ref(self).cast());
    }

    /// The calling thread is no machine any more.
    pub(crate) fn cease() {
        word::store(ptr::null());
    }

    /// Own thread, inside: the processor it has.
    #[inline(always)]
    pub(crate) fn p(&self) -> Option<&'static P> {
        debug_assert!(!self.door.is_outside(), "a machine's processor is certain only inside the runtime");
        self.p_hint()
    }

    /// Any thread: the processor it has, or had a moment ago.
    #[inline(always)]
    pub(crate) fn p_hint(&self) -> Option<&'static P> {
        // SAFETY: processors are never freed.
        unsafe { self.p.load(Ordering::Relaxed).as_ref() }
    }

    /// Own thread, inside: takes a processor, which it must not have one of yet.
    #[inline]
    pub(crate) fn acquire_p(&self, p: &'static P) {
        debug_assert!(self.p().is_none(), "a machine has at most one processor");
        p.owner.store(ptr::from_ref(self).cast_mut().cast(), Ordering::Relaxed);
        self.p.store(ptr::from_ref(p).cast_mut(), Ordering::Relaxed);
    }

    /// Own thread, inside, or who has shut its door: gives its processor away.
    #[inline]
    pub(crate) fn release_p(&self) -> &'static P {
        let p = self.p_hint().expect("the machine has a processor to release");
        p.owner.store(ptr::null_mut(), Ordering::Relaxed);
        self.p.store(ptr::null_mut(), Ordering::Relaxed);
        p
    }

    /// The machine that owns `p`, or did a moment ago.
    pub(crate) fn owner_of(p: &P) -> Option<&'static M> {
        // SAFETY: null or stored from a machine by `acquire_p`; machines are never freed.
        unsafe { p.owner.load(Ordering::Relaxed).cast::<M>().as_ref() }
    }

    /// What its goroutine is in. As certain as the processor.
    #[inline(always)]
    pub(crate) fn call(&self) -> Call {
        match self.call.load(Ordering::Relaxed) {
            0 => Call::None,
            1 => Call::Announced,
            _ => Call::Found,
        }
    }

    /// Who may write the processor may write this.
    #[inline(always)]
    pub(crate) fn set_call(&self, call: Call) {
        self.call.store(call as u8, Ordering::Relaxed);
    }

    /// The goroutine it runs.
    #[inline(always)]
    pub(crate) fn curg(&self) -> Option<&'static G> {
        // SAFETY: goroutines are never freed.
        unsafe { self.curg.load(Ordering::Relaxed).as_ref() }
    }

    #[inline(always)]
    pub(crate) fn set_curg(&self, g: *const G) {
        self.curg.store(g.cast_mut(), Ordering::Relaxed);
    }

    /// Any thread that took this machine out of the idle list: hands it a processor and wakes it.
    pub(crate) fn wake_with(&self, p: &'static P) {
        // Release: pairs with the Acquire in `take_next_p`; all that the processor's last owner did comes with it.
        self.next_p.store(ptr::from_ref(p).cast_mut(), Ordering::Release);
        self.note.wake();
    }

    /// Own thread: the processor that came with the wake-up.
    pub(crate) fn take_next_p(&self) -> Option<&'static P> {
        let p = self.next_p.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: processors are never freed.
        unsafe { p.as_ref() }
    }
}

const _: () = assert!(std::mem::offset_of!(M, door) == 0, "the per-thread word is the address of a door");
