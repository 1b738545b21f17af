//! Finding that nothing can ever happen again.
//!
//! Everything that could wake a goroutine is counted, and the detector is never off as a whole: it is a deadlock if all
//! processors are idle, nothing is queued, no timer runs, nobody waits for a descriptor, no goroutine is inside a blocking
//! call, nothing from outside is awaited ([`outside::Hope`]), and every other thread of the process sleeps in one of this
//! crate's waits without a deadline, or is the runtime's own. (The machine that sleeps in the network poller proves nothing;
//! whether somebody waits for it to come back does.)

use std::sync::atomic::{AtomicPtr, Ordering};
use std::{fs, ptr};

use crate::env::Moment;
use crate::outside;
use crate::park::thread::PARKED_FOR_EVER;
use crate::sched::Runtime;

/// What the detector finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Something inside the runtime will go on, or something from outside may wake somebody.
    Alive,
    /// Nothing inside the runtime will, but threads of the program's own are about.
    Foreign,
    /// Nothing will, ever.
    Deadlock,
}

/// What a deadlock is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadlock {
    /// All goroutines wait.
    AllAsleep,
    /// No goroutine is left, and somebody waits for main.
    NoGoroutines,
}

impl Deadlock {
    /// Go's words.
    pub const fn text(self) -> &'static str {
        match self {
            Deadlock::AllAsleep => "all goroutines are asleep - deadlock!",
            Deadlock::NoGoroutines => "no goroutines (main called runtime.Goexit) - deadlock!",
        }
    }
}

/// Says that there is a deadlock; the process ends after it returns.
pub type Reporter = fn(Deadlock);

static REPORTER: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Registers who says it; without one a single line is printed.
pub fn set_reporter(reporter: Reporter) {
    // Release: pairs with the Acquire in `report`.
    REPORTER.store(reporter as *mut (), Ordering::Release);
}

/// Looks whether anything can still happen.
pub(crate) fn check(rt: &Runtime) -> Verdict {
    if something_runs(rt) {
        return Verdict::Alive;
    }
    // Counted before the second look: if none of them is awake nothing can have changed in between.
    let foreign = foreign_threads_awake(rt);
    if something_runs(rt) {
        Verdict::Alive
    } else if foreign {
        Verdict::Foreign
    } else if outside::is_left() {
        Verdict::Alive
    } else {
        Verdict::Deadlock
    }
}

/// Whether something inside the runtime will go on, or something from outside may wake somebody: whoever ends that rouses the
/// monitor.
pub(crate) fn may_go_on(rt: &Runtime) -> bool {
    something_runs(rt) || outside::is_left()
}

fn something_runs(rt: &Runtime) -> bool {
    // SeqCst: pairs with the count in `blocking`, which is taken before the caller's processor can become idle, and given
    // back only by a machine that has a processor again, or whose goroutine has ended or is queued. So all idle and none in a
    // call means that none comes back.
    !rt.all_idle()
        || rt.earliest_timer() != Moment::NEVER
        || !rt.poller.nobody_waits()
        || rt.in_blocking.load(Ordering::SeqCst) != 0
        || rt.work_in_sight()
        || rt.all_ps().any(|p| !p.queue.is_empty())
}

/// Whether the process has threads that are neither the runtime's nor asleep in one of its waits for good.
fn foreign_threads_awake(rt: &Runtime) -> bool {
    let Some(threads) = thread_count() else { return true };
    // Relaxed: counts of a process in which something moves may not fit together, whatever their ordering; that is why the
    // monitor believes a deadlock only if it finds it twice, and nothing ran in between.
    let own = rt.threads.alive.load(Ordering::Relaxed) + outside::threads();
    let accounted = own as isize + PARKED_FOR_EVER.load(Ordering::Relaxed);
    threads as isize > accounted
}

/// Threads of this process, by the kernel's count.
fn thread_count() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

/// Reports the deadlock and ends the process with status 2.
pub(crate) fn report(rt: &Runtime) -> ! {
    let kind = if rt.count() == 0 { Deadlock::NoGoroutines } else { Deadlock::AllAsleep };
    // Acquire: pairs with the Release in `set_reporter`.
    let reporter = REPORTER.load(Ordering::Acquire);
    if reporter.is_null() {
        crate::sys::throw(format_args!("{}", kind.text()));
    }
    // SAFETY: the word was stored from a `Reporter`.
    let reporter: Reporter = unsafe { std::mem::transmute(reporter) };
    reporter(kind);
    std::process::exit(2)
}
