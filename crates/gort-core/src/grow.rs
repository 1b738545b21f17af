//! More stack where it is needed: deep recursion goes on on a fresh segment.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::ptr;
use std::sync::atomic::Ordering;

use corosensei::stack::{Stack, StackPointer};

use crate::g::{Age, G};
use crate::ids::NO_RUNTIME;
use crate::park;
use crate::sched::runtime;
use crate::stack::class;

/// Bytes of stack below the caller's frame.
pub fn remaining_stack() -> usize {
    let here = 0u8;
    let here = ptr::from_ref(&here).addr();
    let low = match park::this() {
        Some((_, g)) => g.stack_low.load(Ordering::Relaxed),
        None => match thread_segment() {
            0 => thread_stack_low().unwrap_or(0),
            segment => segment,
        },
    };
    here.saturating_sub(low)
}

/// Runs `f` here if at least `red_zone` bytes of stack are left, else on a fresh segment of `bytes`.
///
/// # Errors
/// A size out of range, no runtime, or no memory for the segment; `f` comes back.
pub fn maybe_grow<R, F: FnOnce() -> R>(red_zone: usize, bytes: usize, f: F) -> Result<R, (io::Error, F)> {
    if remaining_stack() >= red_zone {
        return Ok(f());
    }
    match take_segment(bytes) {
        Ok(segment) => Ok(segment.run(f)),
        Err(error) => Err((error, f)),
    }
}

/// A stack that is used as a segment: a free `G`'s.
struct Segment {
    g: &'static G,
}

fn take_segment(bytes: usize) -> io::Result<Segment> {
    let class =
        class::for_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let rt = runtime().ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, NO_RUNTIME))?;
    let g = rt.pool.take(class)?;
    // SAFETY: goroutines are never freed.
    Ok(Segment { g: unsafe { g.as_ref() } })
}

impl Segment {
    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        let segment = self.g.unused_stack();
        // While the segment is in use the bounds are the segment's, for dumps, overflow reports and further growth.
        let _bounds = Bounds::set(&segment);
        let stack = SegmentStack::new(&segment);
        corosensei::on_stack(stack, f)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some(rt) = runtime() {
            self.g.age.set(Age::Young);
            rt.pool.put(ptr::NonNull::from(self.g));
        }
    }
}

/// Restores the bounds of the stack that the goroutine, or the plain thread, was on.
enum Bounds {
    Goroutine { g: &'static G, low: usize, high: usize },
    Thread { segment: usize },
}

impl Bounds {
    fn set(to: &std::ops::Range<usize>) -> Bounds {
        match park::this() {
            Some((_, g)) => Bounds::Goroutine {
                g,
                low: g.stack_low.swap(to.start, Ordering::Relaxed),
                high: g.stack_high.swap(to.end, Ordering::Relaxed),
            },
            None => Bounds::Thread { segment: set_thread_segment(to.start) },
        }
    }
}

impl Drop for Bounds {
    fn drop(&mut self) {
        match self {
            Bounds::Goroutine { g, low, high } => {
                g.stack_low.store(*low, Ordering::Relaxed);
                g.stack_high.store(*high, Ordering::Relaxed);
            }
            Bounds::Thread { segment } => drop(set_thread_segment(*segment)),
        }
    }
}

thread_local! {
    /// The lowest address of the segment that a plain thread is on; 0 if it is on its own stack.
    static SEGMENT: Cell<usize> = const { Cell::new(0) };
}

// Not inlined, like everything that reaches a thread-local: a goroutine's code may be around it.

#[inline(never)]
fn thread_segment() -> usize {
    SEGMENT.get()
}

#[inline(never)]
fn set_thread_segment(low: usize) -> usize {
    SEGMENT.replace(low)
}

struct SegmentStack {
    base: StackPointer,
    limit: StackPointer,
}

impl SegmentStack {
    fn new(segment: &std::ops::Range<usize>) -> SegmentStack {
        let word = |addr: usize| NonZeroUsize::new(addr).expect("a stack is not at address zero");
        SegmentStack { base: word(segment.end), limit: word(segment.start) }
    }
}

// SAFETY: a part of a stack that is ours while we hold its free `G`, with the guard below.
unsafe impl Stack for SegmentStack {
    fn base(&self) -> StackPointer {
        self.base
    }
    fn limit(&self) -> StackPointer {
        self.limit
    }
}

/// The lowest address of an OS thread's stack.
fn thread_stack_low() -> Option<usize> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: fills the attributes of the calling thread, which are read and then destroyed.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let (mut low, mut size) = (ptr::null_mut(), 0);
        let got = libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (got == 0).then_some(low.addr())
    }
}
