//! A goroutine starts: a free `G` gets a function, and goes next in the queue of the processor that starts it.

use std::io;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::g::{G, INLINE_START};
use crate::ids::GoroutineId;
use crate::m::M;
use crate::p::P;
use crate::sched::{Runtime, runtime};
use crate::stack::class;

/// Where a goroutine is started, for dumps.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// An address inside the function that starts it (see [`here!`](crate::here)).
    pub pc: usize,
    /// File and line.
    pub at: &'static Location<'static>,
}

/// How a goroutine is to be.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// A name for dumps; they show its first 24 bytes.
    pub name: Option<&'a str>,
    /// Bytes of stack it needs, between 64 KiB and 1 GiB; rounded up to a power of two.
    pub stack_bytes: Option<usize>,
    /// Who starts it.
    pub origin: Origin,
}

/// An address inside the calling function, or, in a function that is always inlined, inside its caller.
#[macro_export]
macro_rules! here {
    () => {{
        #[cfg(target_arch = "x86_64")]
        {
            let pc: usize;
            // SAFETY: reads the program counter; touches nothing else.
            unsafe { ::core::arch::asm!("lea {0}, [rip]", out(reg) pc, options(nomem, nostack, preserves_flags)) };
            pc
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            0usize
        }
    }};
}

/// Starts a goroutine that runs `body`. `body` must not unwind: that would be a defect of this crate's user, the `gort`
/// crate, which catches panics; the process ends then.
///
/// # Errors
/// No runtime (`NotConnected`), a stack size out of range (`InvalidInput`), no address space for a stack (`OutOfMemory`).
///
/// # Safety
/// What `body` borrows outlives the goroutine.
#[inline]
pub unsafe fn spawn<F: FnOnce() + Send>(spec: Spec<'_>, body: F) -> io::Result<GoroutineId> {
    if const { size_of::<F>() <= INLINE_START && align_of::<F>() <= 8 } {
        // SAFETY: passed on.
        unsafe { launch(spec, body) }
    } else {
        let body = Box::new(body);
        // SAFETY: passed on; a box fits.
        unsafe { launch(spec, move || body()) }
    }
}

/// Is told that a goroutine with goroutine-locals ends, on that goroutine, with the pointer from its slot.
pub type LocalsEnd = unsafe fn(*mut ());

static LOCALS_END: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Registers who destroys goroutine-locals; once, by the room above.
pub fn set_locals_end(end: LocalsEnd) {
    // Release: pairs with the Acquire in `finish`.
    LOCALS_END.store(end as *mut (), Ordering::Release);
}

/// # Safety
/// As for [`spawn`]; and `F` fits into a `G`.
#[inline]
unsafe fn launch<F: FnOnce() + Send>(spec: Spec<'_>, body: F) -> io::Result<GoroutineId> {
    let rt = runtime().ok_or_else(no_runtime)?;
    let class = match spec.stack_bytes {
        None => rt.default_class,
        Some(bytes) => class::for_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
    };
    let m = M::current();
    let p = m.and_then(M::p);
    let parent = m.and_then(M::curg).map_or(0, G::raw_id);
    let g = free_g(rt, p, class)?;
    let id = match p {
        Some(p) => p.next_id(&rt.ids),
        None => rt.ids.fetch_add(1, Ordering::Relaxed),
    };
    if let Some(name) = spec.name {
        // SAFETY: goroutines are never freed.
        unsafe { g.as_ref() }.set_name(name);
    }
    // SAFETY: passed on.
    unsafe { furnish(g, id, parent, spec.origin, body) };
    match p {
        Some(p) => {
            p.stats.created.up();
            rt.put_next(p, g);
        }
        None => {
            rt.created_elsewhere.fetch_add(1, Ordering::Relaxed);
            rt.put_global(g);
        }
    }
    Ok(GoroutineId::from_u64(id).expect("ids start at 1"))
}

/// Makes a goroutine ready to be queued, for the scheduler itself: a child of none, on the usual class.
///
/// # Errors
/// No address space for a stack.
///
/// # Safety
/// As for [`spawn`]; the caller owns `p`.
pub(crate) unsafe fn prepare<F: FnOnce() + Send>(
    rt: &Runtime,
    p: &'static P,
    origin: Origin,
    body: F,
) -> io::Result<NonNull<G>> {
    let g = free_g(rt, Some(p), rt.default_class)?;
    // SAFETY: passed on; the free `G` is ours.
    unsafe { furnish(g, p.next_id(&rt.ids), 0, origin, body) };
    p.stats.created.up();
    Ok(g)
}

/// Puts everything into a free `G` that makes it a goroutine.
///
/// # Safety
/// The free `G` is the caller's; what `body` borrows outlives the goroutine.
#[inline]
unsafe fn furnish<F: FnOnce() + Send>(g: NonNull<G>, id: u64, parent: u64, origin: Origin, body: F) {
    // SAFETY: goroutines are never freed.
    let g = unsafe { g.as_ref() };
    g.parent.store(parent, Ordering::Relaxed);
    g.created_pc.store(origin.pc, Ordering::Relaxed);
    g.created_at.store(ptr::from_ref(origin.at).cast_mut(), Ordering::Relaxed);
    // SAFETY: the free `G` is ours; `start` takes an `F` from where it is put, once, and does not unwind.
    unsafe { g.prepare(id, start::<F>, body) };
    g.status.transition_to_spawned();
}

/// A free `G`, from the processor if there is one and the class is the usual one.
#[inline]
pub(crate) fn free_g(rt: &Runtime, p: Option<&'static P>, class: class::Class) -> io::Result<NonNull<G>> {
    match p {
        Some(p) if class == rt.default_class => p.take_g(&rt.pool, class),
        _ => rt.pool.take(class),
    }
}

#[cold]
fn no_runtime() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, crate::NO_RUNTIME)
}

/// The first function on a goroutine.
///
/// # Safety
/// `data` points to an `F`, which is taken.
unsafe fn start<F: FnOnce()>(data: *mut u8) {
    // SAFETY: the caller's promise.
    let body = unsafe { data.cast::<F>().read() };
    let bomb = Bomb;
    body();
    std::mem::forget(bomb);
    finish();
}

/// The last thing on a goroutine: what it leaves behind is destroyed while it still is one.
#[inline]
fn finish() {
    // On this machine since the last park, and with this goroutine: nothing here parks but the destructors.
    let Some(g) = M::current().and_then(M::curg) else { return };
    let locals = g.locals.get();
    if !locals.is_null() {
        finish_locals(locals);
    }
    g.clear_name();
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
    if let Some(g) = M::current().and_then(M::curg) {
        g.locals.set(ptr::null_mut());
    }
}

/// Unwinding must not reach the switch.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        crate::sys::throw(format_args!("a goroutine unwound out of its first function"));
    }
}
