//! What becomes of a panic that nobody joins: by default it has been printed and the others live on; by choice it ends
//! the process, as in Go.

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};

use gort_core::ids::GoroutineId;

/// What [`JoinHandle::join`](crate::JoinHandle::join) returns as the error of a goroutine that ended by [`goexit`](crate::goexit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goexit;

impl fmt::Display for Goexit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the goroutine ended by goexit")
    }
}

impl std::error::Error for Goexit {}

/// What a panic in a goroutine does if nobody joins that goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicPolicy {
    /// It is printed (by the panic hook), and the other goroutines go on. The default.
    Continue,
    /// It is printed and the process ends with status 2, as in Go. Also chosen by `GORT_PANIC=crash`.
    Crash,
}

const UNDECIDED: u8 = 0;
const CONTINUE: u8 = 1;
const CRASH: u8 = 2;

static POLICY: AtomicU8 = AtomicU8::new(UNDECIDED);

pub(crate) fn set(policy: PanicPolicy) {
    let word = match policy {
        PanicPolicy::Continue => CONTINUE,
        PanicPolicy::Crash => CRASH,
    };
    POLICY.store(word, Ordering::Relaxed);
}

fn current() -> u8 {
    match POLICY.load(Ordering::Relaxed) {
        UNDECIDED => {
            let crash = std::env::var_os("GORT_PANIC").is_some_and(|value| value == "crash");
            let word = if crash { CRASH } else { CONTINUE };
            POLICY.store(word, Ordering::Relaxed);
            word
        }
        decided => decided,
    }
}

/// Drops the payload of a panic that has been dealt with.
#[cold]
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    // A payload's own destructor may panic; there is nobody left to tell.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(again);
    }
}

/// The payload of a panic of the calling goroutine that nobody will take.
#[cold]
pub(crate) fn unjoined(payload: Box<dyn Any + Send>) {
    unjoined_of(payload, gort_core::park::goroutine_id());
}

/// The payload of a panic that nobody will take, and whose it was, if that is known.
#[cold]
pub(crate) fn unjoined_of(payload: Box<dyn Any + Send>, whose: Option<GoroutineId>) {
    if payload.is::<Goexit>() || current() != CRASH {
        discard(payload);
        return;
    }
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("Box<dyn Any>");
    let id = whose.map_or_else(String::new, |id| format!("\n\ngoroutine {id} [running]:"));
    let text = format!("panic: {text}{id}\n[ended by GORT_PANIC=crash: nobody joins this goroutine]\n");
    gort_core::stderr::write(text.as_bytes());
    std::process::exit(2)
}
