//! The scheduler: who runs next, on which thread. The one room that puts goroutines into run queues.
//!
//! Goroutines (G) are run by machines (M, OS threads) that hold a processor (P); there are GOMAXPROCS processors.
//!
//! ```text
//!   spawn, ready ──► next slot ─displaced─► ring of 256 ─overflow─► global queue ◄── other threads, yields
//!                        │                     │    ▲                    │
//!                        └──────► look ◄───────┘    └────── batch ───────┘
//!                                  │ nothing
//!     poll ──nothing──► steal half of another ring ──nothing──► give up P ──► recheck ──► keep time, watch the network, or sleep
//! ```
//! - [`submit`]: how a goroutine gets into a queue, and whom that wakes.
//! - [`search`]: the counts of idle processors and searching machines: the rule that no wake-up is lost.
//! - [`find`]: a machine looks for work: own timers, queues, the global queue, other processors.
//! - [`machine`]: the loop of a machine; running a goroutine; idle machines; locked goroutines.
//! - [`frozen`]: machines that were stopped in the middle of a goroutine, waiting for a processor.
//! - [`retake`]: taking the processor of a thread that sleeps in the kernel.
//! - [`keeper`]: the idle machines that sleep until the next timer, or until a descriptor is ready.
//! - [`network`]: who polls when, and what becomes of the goroutines whose descriptors are ready.
//! - [`procs`]: GOMAXPROCS, at the start and when it changes.
//! - [`stay`]: a goroutine that the check of thread-locals wants back on its old thread.
//! - [`threads`]: making threads, by a helper that holds no processor; their limit.
//!
//! Rules:
//! 1. Scheduler code that holds a processor, or any lock of this room, does not allocate, free, print, unwind, or take a
//!    lock that user code can hold. (A goroutine that is frozen by preemption may hold malloc's lock.)
//! 2. A processor is owned by the machine that has it (inside the runtime; outside, whoever shuts its door may take it),
//!    or by the idle list (`Shared::idle_ps`), or it is on its way in a machine's `next_p` or in the queue of threads to be made. Never two of these.
//! 3. Whoever makes something runnable checks, after a full barrier, whether a machine must be woken for it; whoever
//!    stops searching looks everywhere once more, after a full barrier ([`search`]).
//! 4. The lock is held for a few dozen instructions; wake-ups of threads happen after it.

pub(crate) mod find;
pub(crate) mod frozen;
pub(crate) mod keeper;
pub(crate) mod machine;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod network;
pub(crate) mod procs;
pub(crate) mod retake;
pub(crate) mod search;
mod stay;
pub(crate) mod submit;
pub(crate) mod threads;

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};

use crate::env::Moment;
use crate::g::G;
use crate::g::pool::Pool;
use crate::lock::Spin;
use crate::m::note::Note;
use crate::m::{Call, M};
use crate::netpoll::{self, Poller};
use crate::p::P;
use crate::stack::class::Class;
use crate::sys::atomic::{AtomicUsize, Ordering, fence};
use crate::sys::mem::PageDeque;
use keeper::Keeper;
use search::Searchers;

/// More processors than this are not made; Go accepts more, without a use for them.
pub(crate) const MAX_PROCS: usize = if cfg!(loom) { 4 } else { 1024 };

/// The runtime: everything the scheduler knows. A value, made once by [`rt`](crate::rt).
pub(crate) struct Runtime {
    pub(crate) shared: Spin<Shared>,
    /// Length of the global queue, frozen machines included, for a look without the lock.
    pub(crate) global_len: AtomicUsize,
    /// The frozen machines among these.
    pub(crate) frozen_len: AtomicUsize,
    pub(crate) search: Searchers,
    pub(crate) keeper: Keeper,
    pub(crate) poller: &'static Poller,
    pub(crate) polls: network::Polls,
    /// GOMAXPROCS.
    pub(crate) procs: AtomicU32,
    /// Processors that are not out: more than GOMAXPROCS for as long as somebody runs on one that is not wanted any more.
    /// Changed under the lock of `shared`.
    in_service: AtomicU32,
    /// One change of it at a time.
    changing_procs: Spin<()>,
    all_ps: [AtomicPtr<P>; MAX_PROCS],
    /// Processors ever made; `all_ps[..made]` is filled.
    made_ps: AtomicU32,
    pub(crate) threads: threads::Threads,
    pub(crate) pool: Pool,
    pub(crate) default_class: Class,
    pub(crate) ids: AtomicU64,
    /// Goroutines made by threads without a processor, and ended on such.
    pub(crate) created_elsewhere: AtomicU64,
    pub(crate) ended_elsewhere: AtomicU64,
    /// Goroutines without a processor inside a call, announced or found.
    pub(crate) in_blocking: AtomicU32,
    /// The time, a few milliseconds old: good enough for how long somebody has been waiting.
    pub(crate) coarse_now: AtomicU64,
    pub(crate) monitor: Monitor,
}

/// A goroutine in the global queue.
#[derive(Clone, Copy)]
pub(crate) struct Queued(pub(crate) NonNull<G>);

// SAFETY: a queued goroutine belongs to the queue, which any thread may lock.
unsafe impl Send for Queued {}

/// What the lock of the scheduler guards.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) global: PageDeque<Queued>,
    frozen: frozen::Frozen,
    idle_ps: Option<&'static P>,
    idle_ms: Option<&'static M>,
    idle_m_count: u32,
}

// SAFETY: the links are to processors and machines, which any thread may reach; the lock around this orders access.
unsafe impl Send for Shared {}

/// Where the monitor sleeps while nothing happens.
pub(crate) struct Monitor {
    pub(crate) asleep: AtomicBool,
    /// Until when it sleeps, in nanoseconds, while somebody has a processor.
    pub(crate) until: AtomicU64,
    pub(crate) note: Note,
}

/// Some processor is asked to give its goroutine up at the next checkpoint (`P::yield_wanted` says which).
static YIELD_WANTED: AtomicBool = AtomicBool::new(false);

/// Whether a checkpoint has to look more closely.
#[inline(always)]
pub(crate) fn yield_wanted() -> bool {
    YIELD_WANTED.load(Ordering::Relaxed)
}

/// The monitor's sum over all processors.
pub(crate) fn set_yield_wanted(wanted: bool) {
    YIELD_WANTED.store(wanted, Ordering::Relaxed);
}

static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(ptr::null_mut());

/// The runtime, if it has been started.
#[inline]
pub(crate) fn runtime() -> Option<&'static Runtime> {
    // Acquire: pairs with the Release in `publish`.
    // SAFETY: null or a leaked runtime.
    unsafe { RUNTIME.load(Ordering::Acquire).as_ref() }
}

/// The runtime, for callers that can only run if it was started: on a machine.
#[inline(always)]
pub(crate) fn the_runtime() -> &'static Runtime {
    let rt = RUNTIME.load(Ordering::Relaxed);
    debug_assert!(!rt.is_null());
    // SAFETY: the caller is on a machine or holds a goroutine; both exist only after `publish`, which happened before
    // they were made.
    unsafe { &*rt }
}

/// Makes the runtime known to the process.
pub(crate) fn publish(rt: &'static Runtime) {
    // Release: pairs with the Acquire in `runtime`.
    RUNTIME.store(ptr::from_ref(rt).cast_mut(), Ordering::Release);
}

impl Runtime {
    pub(crate) fn new(default_class: Class) -> Runtime {
        Runtime {
            shared: Spin::new(Shared::default()),
            global_len: AtomicUsize::new(0),
            frozen_len: AtomicUsize::new(0),
            search: Searchers::new(),
            keeper: Keeper::new(),
            poller: netpoll::poller(),
            polls: network::Polls::new(),
            procs: AtomicU32::new(0),
            in_service: AtomicU32::new(0),
            changing_procs: Spin::new(()),
            all_ps: [const { AtomicPtr::new(ptr::null_mut()) }; MAX_PROCS],
            made_ps: AtomicU32::new(0),
            threads: threads::Threads::new(),
            pool: Pool::new(),
            default_class,
            ids: AtomicU64::new(1),
            created_elsewhere: AtomicU64::new(0),
            ended_elsewhere: AtomicU64::new(0),
            in_blocking: AtomicU32::new(0),
            coarse_now: AtomicU64::new(Moment::now().as_nanos()),
            monitor: Monitor { asleep: false.into(), until: AtomicU64::new(u64::MAX), note: Note::new() },
        }
    }

    /// All processors ever made, retired ones included.
    pub(crate) fn all_ps(&self) -> impl ExactSizeIterator<Item = &'static P> + '_ {
        // Acquire: pairs with the Release in `procs`, which fills the slots first.
        let made = self.made_ps.load(Ordering::Acquire) as usize;
        // SAFETY: slots below `made` are filled with leaked processors.
        self.all_ps[..made].iter().map(|slot| unsafe { &*slot.load(Ordering::Relaxed) })
    }

    /// One of the processors ever made.
    pub(crate) fn p_at(&self, index: usize) -> &'static P {
        debug_assert!(index < self.made_ps.load(Ordering::Relaxed) as usize);
        // SAFETY: as in `all_ps`.
        unsafe { &*self.all_ps[index].load(Ordering::Relaxed) }
    }

    /// A free `G`, from the processor if there is one and the class is the usual one.
    ///
    /// # Errors
    /// No address space for another stack.
    #[inline]
    pub(crate) fn free_g(&self, p: Option<&'static P>, class: Class) -> io::Result<NonNull<G>> {
        match p {
            Some(p) if class == self.default_class => p.take_g(&self.pool, class),
            _ => self.pool.take(class),
        }
    }

    /// Goroutines that exist.
    pub(crate) fn count(&self) -> u64 {
        // Ended first: a goroutine counted as ended was counted as created before.
        let ended: u64 = self.all_ps().map(|p| p.stats.ended.get()).sum::<u64>()
            + self.ended_elsewhere.load(Ordering::Acquire);
        self.created().saturating_sub(ended)
    }

    /// Goroutines that were ever made.
    pub(crate) fn created(&self) -> u64 {
        let by_ps: u64 = self.all_ps().map(|p| p.stats.created.get()).sum();
        by_ps + self.created_elsewhere.load(Ordering::Relaxed)
    }

    /// How often a goroutine was run: the same number twice says that none ran in between.
    pub(crate) fn ran(&self) -> u64 {
        self.all_ps().map(|p| u64::from(p.tick.load(Ordering::Relaxed))).sum()
    }

    /// When the first of all timers is due.
    pub(crate) fn earliest_timer(&self) -> Moment {
        self.all_ps().map(|p| p.timers.earliest()).min().unwrap_or(Moment::NEVER)
    }

    /// Puts a processor without an owner into the idle list.
    pub(crate) fn put_idle_p(&self, shared: &mut Shared, p: &'static P) {
        p.idle_next.set(shared.idle_ps);
        shared.idle_ps = Some(p);
        self.search.one_more_idle();
    }

    /// Takes a processor out of the idle list.
    pub(crate) fn take_idle_p(&self) -> Option<&'static P> {
        if self.search.idle() == 0 {
            return None;
        }
        let p = self.take_idle_p_locked(&mut self.shared.lock())?;
        self.rouse_monitor();
        Some(p)
    }

    pub(crate) fn take_idle_p_locked(&self, shared: &mut Shared) -> Option<&'static P> {
        let p = shared.idle_ps?;
        shared.idle_ps = p.idle_next.take();
        self.search.one_less_idle();
        Some(p)
    }

    /// Something starts to happen again, or what could have made it happen is no more, so that this may be a deadlock: the
    /// monitor has to look.
    pub(crate) fn rouse_monitor(&self) {
        // Full barrier: the caller took a processor out of the idle list before, or took away what the deadlock detector
        // would have seen. The monitor marks itself asleep first and then looks for both, with a barrier between.
        fence(Ordering::SeqCst);
        if self.monitor.asleep.load(Ordering::Relaxed) && self.monitor.asleep.swap(false, Ordering::Relaxed) {
            self.coarse_now.store(Moment::now().as_nanos(), Ordering::Relaxed);
            self.monitor.note.wake();
        }
    }

    /// Whether every processor is idle and nobody searches: nothing runs.
    pub(crate) fn all_idle(&self) -> bool {
        // (The first question, without the lock, spares a busy system the second.)
        self.search.idle() != 0 && self.all_ps_idle() && self.search.searching() == 0
    }

    /// Whether nobody has a processor, and none is on its way to somebody.
    fn all_ps_idle(&self) -> bool {
        // Both counts change under the lock only, and fit together there: outside, while GOMAXPROCS is being lowered, none may
        // seem to be idle.
        let _shared = self.shared.lock();
        self.search.idle() == self.in_service.load(Ordering::Relaxed)
    }

    /// Goroutines inside a call, announced or found: those without a processor, and those who may lose theirs.
    pub(crate) fn calls(&self) -> usize {
        let announced = |p: &&P| M::owner_of(p).is_some_and(|m| m.call() == Call::Announced);
        self.in_blocking.load(Ordering::Relaxed) as usize + self.all_ps().filter(announced).count()
    }

    /// Idle machines and idle processors, for statistics.
    pub(crate) fn idle_counts(&self) -> (u32, u32) {
        (self.shared.lock().idle_m_count, self.search.idle())
    }
}
