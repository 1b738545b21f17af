//! A goroutine starts: a free `G` gets a function, and goes next in the queue of the processor that starts it.

use std::io;
use std::sync::atomic::Ordering;

use crate::g::{G, start};
use crate::ids::{GoroutineId, NO_RUNTIME};
use crate::m::M;
use crate::park;
use crate::sched::runtime;
use crate::stack::class;
use crate::sys::door;

pub use crate::g::start::{LocalsEnd, Origin, set_locals_end};

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
    if const { start::fits::<F>() } {
        // SAFETY: passed on.
        unsafe { launch(spec, body) }
    } else {
        let body = Box::new(body);
        // SAFETY: passed on; a box fits.
        unsafe { launch(spec, body) }
    }
}

/// # Safety
/// As for [`spawn`]; and `F` fits into a `G`.
#[inline]
unsafe fn launch<F: FnOnce() + Send>(spec: Spec<'_>, body: F) -> io::Result<GoroutineId> {
    let rt = runtime().ok_or_else(no_runtime)?;
    let class = match spec.stack_bytes {
        None => rt.default_class,
        Some(bytes) => {
            class::for_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?
        }
    };
    let inside = door::inside();
    let m = M::current();
    let p = m.and_then(M::p);
    let parent = m.and_then(M::curg).map_or(0, G::raw_id);
    let g = rt.free_g(p, class)?;
    let id = match p {
        Some(p) => p.next_id(&rt.ids),
        None => rt.ids.fetch_add(1, Ordering::Relaxed),
    };
    if let Some(name) = spec.name {
        // SAFETY: goroutines are never freed.
        unsafe { g.as_ref() }.set_name(name);
    }
    // SAFETY: passed on.
    unsafe { start::furnish(g, id, parent, spec.origin, body) };
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
    drop(inside);
    // A goroutine may do nothing but start others.
    park::checkpoint();
    Ok(GoroutineId::from_u64(id).expect("ids start at 1"))
}

#[cold]
fn no_runtime() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, NO_RUNTIME)
}

/// The calling goroutine is about to end, and will tell somebody, who may expect that by then its goroutine-locals are
/// destroyed and that it is not counted any more. Without this call both happen right after the body.
#[inline]
pub fn leave() {
    if let Some((m, g)) = park::this() {
        start::end_locals(g);
        // The destructors may have parked.
        let m = M::current().unwrap_or(m);
        let _inside = door::inside();
        runtime().into_iter().for_each(|rt| rt.count_ended(m, g));
    }
}
