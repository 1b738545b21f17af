//! The one rule, checked as far as it can be: while a goroutine may be parked it holds nothing of its OS thread.
//!
//! Two checks, which look for the two ways to hold something:
//!
//! - `model`, once, when the runtime starts: does the *compiler* keep addresses of thread-locals across a park? That is
//!   a matter of flags, so one sample of library code tells. If it does, one message on stderr says how to change it.
//! - The migration check, at each change of threads: does the *program*? A parked goroutine that is about to go on on
//!   another thread than it parked on is looked through, from its stack pointer up, for words that only make sense on
//!   its old thread. On by default where this crate has debug assertions.
//!
//! ```text
//!   machine pops a goroutine that ran elsewhere last
//!       │  Record::marks   what to look for: the old thread's block of thread-locals, and the heap pointers in it
//!       ▼  scan            the words of the stack that are such
//!   nothing ─► runs here
//!   words ──► places       is this place known?
//!               ├─ innocent ──► runs here
//!               ├─ guilty ────► back to its old thread (`sched::stay`)
//!               └─ new ───────► the reporter looks at it, without a processor: it can unwind, so it can tell what
//!                               the program's own frames hold from what callees have left behind; prints if guilty
//! ```
//!
//! A goroutine that is found guilty is left to its old thread, so that the mistake does no harm *this* time, if that
//! thread is free soon. Otherwise it goes on where it is: a check must not make a program hang that did not.
//!
//! Owns: what is looked for, where, and what is known about places. Does not know: queues, processors (`sched::stay`),
//! unwinding and text (the reporter).
//!
//! Invariants:
//! 1. With the check off its cost is one load of a constant and a branch, at each run of a goroutine.
//! 2. The memory of a thread is read under its record's lock, which the thread takes before it ends.
//! 3. Nothing here allocates or prints while a processor is held; the reporter is called without one.

pub(crate) mod model;
mod places;
mod record;
mod scan;

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::g::G;

pub(crate) use record::{Record, this_thread};
pub use scan::{Kind, Word};

/// Whether this platform's stacks and thread-locals are understood.
const SUPPORTED: bool = cfg!(all(target_arch = "x86_64", target_os = "linux", not(loom), not(miri)));

static ON: AtomicBool = AtomicBool::new(false);
static FATAL: AtomicBool = AtomicBool::new(false);

/// Whether goroutines are checked when they change threads. Does not change once the first machine runs.
#[inline(always)]
pub(crate) fn on() -> bool {
    SUPPORTED && ON.load(Ordering::Relaxed)
}

/// Reads `GORT_TLSCHECK`: `0` is off, `fatal` ends the process at the first finding, anything else is on. Not set: on
/// with debug assertions, else off.
pub(crate) fn configure() {
    let value = std::env::var_os("GORT_TLSCHECK");
    FATAL.store(value.as_ref().is_some_and(|value| value == "fatal"), Ordering::Relaxed);
    ON.store(value.map_or(cfg!(debug_assertions), |value| value != "0"), Ordering::Relaxed);
}

/// A goroutine that is about to change threads, with words on its stack that belong to the old one.
#[derive(Debug)]
pub struct Finding<'a> {
    /// Its id. It does not run before the reporter has returned.
    pub goroutine: u64,
    /// The words; at least one. If there are many, some of the innermost and of the outermost.
    pub words: &'a [Word],
    /// The number of the machine whose thread it was.
    pub machine: u32,
    /// That thread has ended; its thread-locals are gone.
    pub ended: bool,
}

/// Says whether a finding is one, and prints it if so. Called once for each place, on a thread without a processor.
pub type Reporter = fn(&Finding<'_>) -> bool;

static REPORTER: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Registers who says it; without one a single line is printed for each place.
pub fn set_reporter(reporter: Reporter) {
    // Release: pairs with the Acquire in `Suspicion::report`.
    REPORTER.store(reporter as *mut (), Ordering::Release);
}

/// What is thought of a goroutine that is about to change threads.
#[expect(clippy::large_enum_variant, reason = "it is made where nothing may be allocated, and moved once")]
pub(crate) enum Judgement {
    /// It holds nothing of its old thread.
    Free,
    /// It does, and that has been said.
    Bound(&'static Record),
    /// It may; the caller has to have it reported.
    Suspect(Suspicion),
}

/// What [`Suspicion::report`] needs.
pub(crate) struct Suspicion {
    words: scan::Words,
    record: &'static Record,
    place: u64,
}

/// Looks through the stack of `g`, which the caller owns, and which ran on another thread last.
pub(crate) fn judge(g: &G) -> Judgement {
    // SAFETY: null, or stored by the scheduler from a record, and records are never freed.
    let Some(record) = (unsafe { g.last_thread.get().cast::<Record>().as_ref() }) else {
        return Judgement::Free;
    };
    let stack = scan::live_stack(g);
    let words = record.marks(&stack).scan(&stack);
    if words.is_empty() {
        return Judgement::Free;
    }
    let place = words.place(g.context.pc.load(Ordering::Relaxed), &stack);
    match places::look_up(place) {
        places::Known::Innocent => Judgement::Free,
        places::Known::Guilty => Judgement::Bound(record),
        places::Known::New => Judgement::Suspect(Suspicion { words, record, place }),
    }
}

impl Suspicion {
    /// Has the reporter look at it, and keeps the verdict. The caller owns `g` and holds no processor and no lock.
    pub(crate) fn report(&self, g: &G) {
        let finding = Finding {
            goroutine: g.raw_id(),
            words: self.words.as_slice(),
            machine: self.record.machine().id,
            ended: self.record.has_ended(),
        };
        // Acquire: pairs with the Release in `set_reporter`.
        let reporter = REPORTER.load(Ordering::Acquire);
        let guilty = if reporter.is_null() {
            report_plainly(&finding)
        } else {
            // SAFETY: the word was stored from a `Reporter`.
            let reporter: Reporter = unsafe { std::mem::transmute(reporter) };
            reporter(&finding)
        };
        if guilty && FATAL.load(Ordering::Relaxed) {
            crate::sys::throw(format_args!("a goroutine holds something of its thread across a park"));
        }
        places::settle(self.place, guilty);
    }
}

fn report_plainly(finding: &Finding<'_>) -> bool {
    crate::sys::warn(format_args!(
        "gort: thread-locals: goroutine {} parked while it held something of its OS thread's (gort-m{})",
        finding.goroutine, finding.machine,
    ));
    true
}
