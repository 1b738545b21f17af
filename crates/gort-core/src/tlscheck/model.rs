//! The start-up test: does this build keep addresses of thread-locals in registers across a park?
//!
//! LLVM assumes that a function stays on its thread. In code that may end up in a shared library, and at default flags
//! that is every library crate, it computes a thread-local's address once and keeps it over calls. The flags decide, so a
//! sample decides: a function of this crate, compiled like the program's other libraries, reads a thread-local, changes
//! threads, and reads it again.
//!
//! ```text
//!   starting thread                 helper thread, before it makes the first machine
//!   mark 1, on a free goroutine:
//!     read ─► 1
//!     switch back ────────────────► mark 2, resume:
//!                                     read ─► 2: good.   1: the old thread's copy
//! ```
//! The helper is there anyway, so this costs a few switches. No goroutine runs before it is done: the message, if there
//! is one, comes before whatever the program prints.

use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::g::pool::Pool;
use crate::g::{Command, G};
use crate::stack::class::Class;
use crate::sys;

thread_local! {
    static MARK: Cell<u32> = const { Cell::new(0) };
}

const STARTER: u32 = 1;
const HELPER: u32 = 2;

/// What the sample has read after it changed threads.
static READ: AtomicU32 = AtomicU32::new(0);

/// What `GORT_TLSWARN` asks for.
#[derive(Clone, Copy, PartialEq)]
enum Wish {
    Silence,
    Message,
    /// `fatal`: the message, and the end of the process.
    End,
}

/// The first half of the test; the second half is to be called on another thread.
///
/// # Errors
/// No memory for a stack.
pub(crate) fn begin(pool: &'static Pool, class: Class) -> io::Result<impl FnOnce() + Send + 'static> {
    let wish = wish();
    let sample = match wish == Wish::Silence || cfg!(any(loom, miri)) {
        true => None,
        false => Some(Sample::begin(pool, class)?),
    };
    Ok(move || {
        if let Some(sample) = sample
            && sample.finish(pool) == STARTER
        {
            complain(wish);
        }
    })
}

fn wish() -> Wish {
    match std::env::var_os("GORT_TLSWARN") {
        Some(value) if value == "0" => Wish::Silence,
        Some(value) if value == "fatal" => Wish::End,
        _ => Wish::Message,
    }
}

/// The sample, in the middle: it has read once.
struct Sample(NonNull<G>);

// SAFETY: the `G` was taken out of the pool, so whoever has the sample owns it.
unsafe impl Send for Sample {}

impl Sample {
    fn begin(pool: &Pool, class: Class) -> io::Result<Sample> {
        let sample = Sample(pool.take(class)?);
        mark(STARTER);
        // SAFETY: the free `G` is ours; `read_twice` needs no data, and does not unwind.
        unsafe { sample.g().prepare(0, read_twice, ()) };
        sample.resume(Command::Park);
        Ok(sample)
    }

    /// On another thread: goes on, and gives the `G` back. The mark that it has read: the old thread's, if it used the
    /// address that it had.
    fn finish(self, pool: &Pool) -> u32 {
        mark(HELPER);
        self.resume(Command::Exit);
        pool.put(self.0);
        READ.load(Ordering::Relaxed)
    }

    fn g(&self) -> &'static G {
        // SAFETY: goroutines are never freed.
        unsafe { self.0.as_ref() }
    }

    fn resume(&self, expected: Command) {
        // SAFETY: the `G` is ours, and stands where it can be resumed; the calling thread is on a stack of its own.
        let command = unsafe { self.g().resume() };
        debug_assert_eq!(command, expected);
    }
}

#[inline(never)]
fn mark(value: u32) {
    MARK.set(value);
}

/// The sample's code: what any library might do around a park.
///
/// # Safety
/// Runs on `g`.
#[inline(never)]
unsafe fn read_twice(g: &G, _: *mut u8) {
    let before = MARK.get();
    // SAFETY: the caller's promise.
    unsafe { wait(g) };
    let after = MARK.get();
    debug_assert_eq!(before, STARTER);
    READ.store(after, Ordering::Relaxed);
}

/// # Safety
/// Runs on `g`.
#[inline(never)]
unsafe fn wait(g: &G) {
    // SAFETY: the caller's promise; whoever resumes a sample knows that it stops once.
    unsafe { g.suspend(Command::Park) };
    // Not a tail call: this frame stays, as that of a park would.
    std::hint::black_box(());
}

#[cold]
fn complain(wish: Wish) {
    let mut text = MESSAGE.as_bytes();
    // SAFETY: descriptor 2 is stderr by convention; a write to whatever it is can at worst fail.
    let stderr = unsafe { rustix::fd::BorrowedFd::borrow_raw(2) };
    while let Ok(written @ 1..) = rustix::io::write(stderr, text) {
        text = &text[written..];
    }
    if wish == Wish::End {
        sys::throw(format_args!("thread-locals of libraries are not safe with goroutines in this build"));
    }
}

macro_rules! message {
    ($target:literal) => {
        concat!(
            "gort: this program is built so that its libraries may use the wrong thread's thread-locals: code that uses \
             one before and after a call that parks keeps its address, and the goroutine may have changed threads. \
             To change that, put into .cargo/config.toml:\n\n\
             [build]\ntarget = \"",
            $target,
            "\"\n\n[target.",
            $target,
            "]\nrustflags = [\"-C\", \"relocation-model=pie\"]\n\n\
             or into Cargo.toml:\n\n[profile.release]\nlto = \"thin\"\n\n\
             docs/SAFETY.md of gort says more. GORT_TLSWARN=0 silences this, GORT_TLSWARN=fatal ends the process here.\n\n"
        )
    };
}

/// What is printed where the sample was wrong.
const MESSAGE: &str = if cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
    message!("x86_64-unknown-linux-gnu")
} else if cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "musl")) {
    message!("x86_64-unknown-linux-musl")
} else {
    "gort: this program is built so that code may use the wrong thread's thread-locals: it keeps the address of one over \
     a call that parks, and the goroutine may have changed threads. No flags are known to help on this platform: do not use \
     a thread-local before and after a call that parks in one function. docs/SAFETY.md of gort says more. \
     GORT_TLSWARN=0 silences this, GORT_TLSWARN=fatal ends the process here.\n"
};
