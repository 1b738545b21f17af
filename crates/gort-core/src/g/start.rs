//! The first and the last things on a goroutine: its function is put into a free `G`, run, and what it leaves behind is
//! destroyed while it still is a goroutine.

use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::G;

/// Where a goroutine is started, for dumps.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// An address inside the function that starts it (see [`here!`](crate::here)).
    pub pc: usize,
    /// File and line.
    pub at: &'static Location<'static>,
}

/// Is told that a goroutine with goroutine-locals ends, on that goroutine, with the pointer from its slot.
pub type LocalsEnd = unsafe fn(*mut ());

static LOCALS_END: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Registers who destroys goroutine-locals; once, by the room above.
pub fn set_locals_end(end: LocalsEnd) {
    // Release: pairs with the Acquire in `finish_locals`.
    LOCALS_END.store(end as *mut (), Ordering::Release);
}

/// Whether a start function fits into the `G`; otherwise it has to be boxed.
pub(crate) const fn fits<F>() -> bool {
    size_of::<F>() <= super::INLINE_START && align_of::<F>() <= 8
}

/// Puts everything into a free `G` that makes it a goroutine, runnable but in no queue.
///
/// # Safety
/// The free `G` is the caller's. `F` fits, and does not unwind; what it borrows outlives the goroutine.
#[inline]
pub(crate) unsafe fn furnish<F: FnOnce() + Send>(
    g: NonNull<G>,
    id: u64,
    parent: u64,
    origin: Origin,
    body: F,
) {
    // SAFETY: goroutines are never freed.
    let g = unsafe { g.as_ref() };
    g.parent.store(parent, Ordering::Relaxed);
    g.set_origin(origin);
    // SAFETY: the free `G` is ours; `start` takes an `F` from where it is put, once, and does not unwind.
    unsafe { g.prepare(id, start::<F>, body) };
    g.status.transition_to_spawned();
}

/// The first function on a goroutine.
///
/// # Safety
/// `data` points to an `F`, which is taken; the caller is the goroutine.
unsafe fn start<F: FnOnce()>(g: &G, data: *mut u8) {
    // SAFETY: the caller's promise.
    let body = unsafe { data.cast::<F>().read() };
    let bomb = Bomb;
    body();
    std::mem::forget(bomb);
    finish(g);
}

#[inline]
fn finish(g: &G) {
    end_locals(g);
    g.clear_name();
}

/// Destroys the goroutine-locals of `g`, which is the caller's goroutine and is about to end.
#[inline]
pub(crate) fn end_locals(g: &G) {
    let locals = g.locals.get();
    if !locals.is_null() {
        finish_locals(locals);
        g.locals.set(ptr::null_mut());
    }
}

#[cold]
fn finish_locals(locals: *mut ()) {
    // Acquire: pairs with the Release in `set_locals_end`.
    let end = LOCALS_END.load(Ordering::Acquire);
    if !end.is_null() {
        // SAFETY: the word was stored from a `LocalsEnd`.
        let end: LocalsEnd = unsafe { std::mem::transmute(end) };
        // SAFETY: the room above stored the pointer for its own use.
        unsafe { end(locals) };
    }
}

/// Unwinding must not reach the switch.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        crate::sys::throw(format_args!("a goroutine unwound out of its first function"));
    }
}
