//! The machine: an OS thread that runs goroutines while it has a processor. Picks nothing; the scheduler does.
//!
//! A machine's own stack is where scheduling happens; goroutines run on theirs and switch back to it whenever they
//! park, yield or end. Machines are pooled and never freed: whoever wakes one may be late.

pub(crate) mod note;

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::g::G;
use crate::p::P;
use crate::sys::word;
use note::Note;

/// What a parking goroutine wants done once its context is saved.
pub(crate) type Commit = (unsafe fn(*mut ()), *mut ());

/// A machine.
#[repr(align(128))]
pub(crate) struct M {
    pub(crate) id: u32,
    /// The kernel's id of its thread; 0 while it has none.
    pub(crate) tid: AtomicU32,
    /// The processor it has, or null.
    p: Cell<*const P>,
    /// The goroutine it runs, or null. Atomic for the signal handler and for dumps.
    curg: AtomicPtr<G>,
    pub(crate) commit: Cell<Option<Commit>>,
    /// Sleeps here while idle, and while its locked goroutine waits.
    pub(crate) note: Note,
    /// The processor that comes with a wake-up.
    next_p: AtomicPtr<P>,
    /// The goroutine that only this machine may run; it runs no other.
    pub(crate) locked_g: Cell<*const G>,
    pub(crate) spinning: Cell<bool>,
    /// Its goroutine is inside a blocking call and has given the processor away.
    pub(crate) in_call: Cell<bool>,
    /// Its goroutine ended while locked to it: the thread's state is not to be trusted.
    pub(crate) tainted: Cell<bool>,
    /// In the list of idle machines, or in the pool of those without a thread.
    pub(crate) next: Cell<Option<&'static M>>,
}

// SAFETY: cells are touched by the machine's own thread, or under the scheduler's lock while it is idle or unborn; the
// rest is atomic.
unsafe impl Sync for M {}
// SAFETY: as above.
unsafe impl Send for M {}

impl M {
    pub(crate) fn new(id: u32) -> M {
        M {
            id,
            tid: AtomicU32::new(0),
            p: Cell::new(ptr::null()),
            curg: AtomicPtr::new(ptr::null_mut()),
            commit: Cell::new(None),
            note: Note::new(),
            next_p: AtomicPtr::new(ptr::null_mut()),
            locked_g: Cell::new(ptr::null()),
            spinning: Cell::new(false),
            in_call: Cell::new(false),
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

    /// Own thread: the processor it has.
    #[inline(always)]
    pub(crate) fn p(&self) -> Option<&'static P> {
        // SAFETY: processors are never freed.
        unsafe { self.p.get().as_ref() }
    }

    /// Own thread: takes a processor, which it must not have one of yet.
    #[inline]
    pub(crate) fn acquire_p(&self, p: &'static P) {
        debug_assert!(self.p.get().is_null(), "a machine has at most one processor");
        self.p.set(p);
    }

    /// Own thread: gives its processor away.
    #[inline]
    pub(crate) fn release_p(&self) -> &'static P {
        // SAFETY: as in `p`.
        unsafe { self.p.replace(ptr::null()).as_ref() }.expect("the machine has a processor to release")
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
