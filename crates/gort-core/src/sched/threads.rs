//! Threads for machines: made by a helper thread that holds no processor, because making a thread allocates, and a
//! goroutine frozen by preemption may hold malloc's lock. Whoever needs a machine leaves the processor here and goes on.
//!
//! Machines are never freed: one whose thread has ended is spare, and gets the next thread.
//!
//! Once goroutines are frozen, one idle machine more than needed is kept ready: the helper may have to wait for malloc's
//! lock, whose holder may wait for a processor that waits for a machine.
//!
//! The helper also runs errands for the monitor, which must not allocate either.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::{io, ptr, thread};

use super::Runtime;
use crate::lock::Spin;
use crate::m::M;
use crate::m::note::Note;
use crate::p::P;
use crate::stack::overflow::SignalStack;
use crate::sys;
use crate::sys::thread::Manner;
use crate::tlscheck;

/// Go's limit on threads.
pub(crate) const MAX_THREADS: usize = 10_000;

/// A machine's own stack: the scheduler is shallow, but a thread's exit runs destructors of the program's thread-locals.
const THREAD_STACK: usize = 512 * 1024;

/// So often in a row, 10 ms apart, may there be no thread: at the limit, before the program is ended...
const REFUSED_AT_LIMIT: u32 = 20;
/// ...and if the system has none to give, before it is said.
const REFUSED_LONG: u32 = 200;

/// A machine that is woken, perhaps to serve a timer, should run at once, even if a goroutine computes on its CPU.
const PROMPT: Manner = Manner::Prompt(300);

/// The threads of the runtime.
pub(crate) struct Threads {
    lists: Spin<Lists>,
    note: Note,
    /// A machine more is wanted, without a processor.
    reserve_wanted: AtomicBool,
    /// How often there was no thread, and how many goroutines had been run by then. Only the helper touches these and the
    /// next, so they order nothing.
    refused: AtomicU32,
    refused_at: AtomicU64,
    /// It has been said that the limit is reached.
    limit_told: AtomicBool,
    /// An errand of the monitor's: a `fn(&'static Runtime)`, or null.
    errand: AtomicPtr<()>,
    pub(crate) max: AtomicUsize,
    /// Threads that belong to the runtime: machines, the helper, the monitor.
    pub(crate) alive: AtomicUsize,
    /// Machines that have a thread.
    pub(crate) machines: AtomicU32,
    made: AtomicU32,
}

#[derive(Default)]
struct Lists {
    /// Processors that need a machine, linked by `P::idle_next`.
    wanting: Option<&'static P>,
    /// Machines without a thread, linked by `M::next`.
    spare: Option<&'static M>,
}

// SAFETY: machines and processors may be reached from any thread; the lock around the lists orders access.
unsafe impl Send for Lists {}

impl Threads {
    pub(crate) fn new() -> Threads {
        Threads {
            lists: Spin::new(Lists::default()),
            note: Note::new(),
            reserve_wanted: AtomicBool::new(false),
            refused: AtomicU32::new(0),
            refused_at: AtomicU64::new(0),
            limit_told: AtomicBool::new(false),
            errand: AtomicPtr::new(ptr::null_mut()),
            max: AtomicUsize::new(MAX_THREADS),
            alive: AtomicUsize::new(0),
            machines: AtomicU32::new(0),
            made: AtomicU32::new(0),
        }
    }

    /// Has a new machine started with `p`.
    pub(crate) fn request(&self, p: &'static P, spinning: bool) {
        p.starts_spinning.set(spinning);
        {
            let mut lists = self.lists.lock();
            p.idle_next.set(lists.wanting.replace(p));
        }
        self.note.wake();
    }

    /// Has a machine made that will be idle.
    pub(crate) fn request_reserve(&self) {
        self.reserve_wanted.store(true, Ordering::Relaxed);
        self.note.wake();
    }

    /// Has the helper call `errand`, some time.
    pub(crate) fn run_errand(&self, errand: fn(&'static Runtime)) {
        self.errand.store(errand as *mut (), Ordering::Relaxed);
        self.note.wake();
    }

    fn take_errand(&self) -> Option<fn(&'static Runtime)> {
        let errand = self.errand.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: null, or stored from such a function by `run_errand`.
        (!errand.is_null()).then(|| unsafe { std::mem::transmute::<*mut (), fn(&'static Runtime)>(errand) })
    }

    /// A model's helper: waits for the next processor that needs a machine.
    #[cfg(all(test, loom))]
    pub(super) fn wait_for_request(&self) -> &'static P {
        loop {
            if let Some(p) = self.next_request() {
                return p;
            }
            self.note.sleep(None);
        }
    }

    fn next_request(&self) -> Option<&'static P> {
        let mut lists = self.lists.lock();
        let p = lists.wanting?;
        lists.wanting = p.idle_next.take();
        Some(p)
    }

    fn machine(&self) -> &'static M {
        let spare = {
            let mut lists = self.lists.lock();
            let spare = lists.spare;
            lists.spare = spare.and_then(|m| m.next.take());
            spare
        };
        spare.unwrap_or_else(|| self.new_machine())
    }

    fn new_machine(&self) -> &'static M {
        Box::leak(Box::new(M::new(self.made.fetch_add(1, Ordering::Relaxed))))
    }

    fn put_spare(&self, m: &'static M) {
        let mut lists = self.lists.lock();
        m.next.set(lists.spare.replace(m));
    }
}

impl Runtime {
    /// Starts the helper. It calls `first` before it makes any thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start_helper(&'static self, first: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.spawn_own_thread(c"gort-threads", move || {
            first();
            self.make_threads();
        })
    }

    /// Starts a thread of the runtime that is no machine. Not one of std's (`sys::thread` says why).
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn spawn_own_thread(
        &self,
        name: &'static CStr,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        sys::thread::spawn(name, THREAD_STACK, body)?;
        self.threads.alive.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Starts the thread of a machine. Only the helper does; its threads inherit nothing from the program's.
    fn spawn_thread(&self, name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        thread::Builder::new().name(name).stack_size(THREAD_STACK).spawn(body)?;
        self.threads.alive.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn make_threads(&'static self) {
        loop {
            while let Some(p) = self.threads.next_request() {
                if let Err(error) = self.make_thread(Some(p)) {
                    self.no_thread(p, &error);
                }
            }
            if self.threads.reserve_wanted.swap(false, Ordering::Relaxed) {
                // If the system has no thread to spare there is no reserve.
                let _ = self.make_thread(None);
            }
            if let Some(errand) = self.threads.take_errand() {
                errand(self);
            }
            self.threads.note.sleep(None);
        }
    }

    /// Makes a thread that starts with `p`, or idle.
    fn make_thread(&'static self, p: Option<&'static P>) -> io::Result<()> {
        let threads = &self.threads;
        let max = threads.max.load(Ordering::Relaxed);
        if threads.alive.load(Ordering::Relaxed) >= max {
            if p.is_none() {
                return Ok(());
            }
            // Goroutines that were stopped while they computed keep theirs: one of them can have the processor. And a thread
            // may be about to become idle.
            let frozen = self.frozen() != 0;
            if frozen || self.refused_in_a_row() < REFUSED_AT_LIMIT {
                if frozen && !threads.limit_told.swap(true, Ordering::Relaxed) {
                    sys::warn(format_args!(
                        "runtime: {max}-thread limit reached: goroutines that compute take turns, others wait for them"
                    ));
                }
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            sys::warn(format_args!("runtime: program exceeds {max}-thread limit"));
            sys::throw(format_args!("thread exhaustion"));
        }
        let m = threads.machine();
        m.spinning.set(p.is_some_and(|p| p.starts_spinning.get()));
        m.tainted.set(false);
        threads.machines.fetch_add(1, Ordering::Relaxed);
        let made = self.spawn_thread(format!("gort-m{}", m.id), move || self.machine_thread(m, p));
        if made.is_err() {
            threads.machines.fetch_sub(1, Ordering::Relaxed);
            m.spinning.set(false);
            threads.put_spare(m);
        }
        made
    }

    /// The body of a machine's thread.
    fn machine_thread(&self, m: &'static M, p: Option<&'static P>) {
        m.become_current();
        sys::thread::hear(libc::SIGURG);
        m.tid.store(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned(), Ordering::Relaxed);
        precise_timers();
        sys::thread::behave(PROMPT);
        m.computes.set(false);
        // Without an alternate stack an overflow still ends the process, only without a report.
        let signal_stack = SignalStack::install().ok();
        let locals = tlscheck::Record::of_this_thread(m);
        if let Some(p) = p {
            m.acquire_p(p);
        }
        self.machine_loop(m);
        drop(locals);
        drop(signal_stack);
        M::cease();
        m.tid.store(0, Ordering::Relaxed);
        self.threads.machines.fetch_sub(1, Ordering::Relaxed);
        self.threads.alive.fetch_sub(1, Ordering::Relaxed);
        self.threads.put_spare(m);
    }

    /// The machine that calls has nothing to do any more, also if it was known to compute.
    pub(super) fn computes_no_more(&self, m: &M) {
        if m.computes.replace(false) {
            sys::thread::behave(PROMPT);
        }
    }

    /// The system gives no thread now. A machine that is frozen has one: it gets the processor before its turn. Or else other
    /// machines run, and will find what there is to do; the processor is given away anew, and that may end here again. If it
    /// does for long, all machines may be in calls that wait for just this processor: that is said, once, and not more, since
    /// the calls may as well end. Without any machine nothing would ever go on.
    fn no_thread(&self, p: &'static P, error: &io::Error) {
        let have = self.threads.machines.load(Ordering::Relaxed);
        if have == 0 {
            complain(have, error);
            sys::throw(format_args!("newosproc"));
        }
        if p.starts_spinning.get() {
            self.search.stop();
        }
        if self.thaw_early(p) {
            return;
        }
        let refused = self.refused_in_a_row() + 1;
        self.threads.refused.store(refused, Ordering::Relaxed);
        self.threads.refused_at.store(self.ran(), Ordering::Relaxed);
        if refused == REFUSED_LONG {
            complain(have, error);
        }
        // Not at once: whoever would ask again would get the same answer. (Not on the note, which those wake who ask.)
        let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 0, tv_nsec: 10_000_000 });
        self.handoff_p(p);
    }

    /// How often there was no thread while no goroutine was run.
    fn refused_in_a_row(&self) -> u32 {
        let nothing_ran = self.threads.refused_at.load(Ordering::Relaxed) == self.ran();
        if nothing_ran { self.threads.refused.load(Ordering::Relaxed) } else { 0 }
    }
}

/// Go's words.
fn complain(have: u32, error: &io::Error) {
    let errno = error.raw_os_error().unwrap_or(0);
    sys::warn(format_args!("runtime: failed to create new OS thread (have {have} already; errno={errno})"));
    if errno == libc::EAGAIN {
        sys::warn(format_args!("runtime: may need to increase max user processes (ulimit -u)"));
    }
}

/// The kernel lets timed waits of a thread run 50 us late by default, in order to bundle them; one of ours may be the
/// keeper of everybody's timers.
pub(crate) fn precise_timers() {
    // SAFETY: sets one number of the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}
