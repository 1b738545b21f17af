//! The processor: the right to run goroutines, with what that takes: a run queue, timers, free goroutines, ids.
//!
//! Passive: it does nothing by itself and knows no machine. One machine owns it at a time, or the idle list does; the
//! owner alone touches its cells. Its queue and its timers may also be reached by thieves, its counters by readers.

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use crate::env::{self, Moment, Rng};
use crate::g::G;
use crate::g::pool::{self, Free, Pool};
use crate::runq::ring::LocalQueue;
use crate::stack::class::Class;
use crate::stack::slab::Plots;
use crate::sys::mem::PageVec;
use crate::timers::Timers;

/// A processor. Aligned to two cache lines: the prefetcher fetches pairs.
#[repr(align(128))]
pub(crate) struct P {
    pub(crate) id: u32,
    /// The machine that has it, or null; the pointer's meaning is the machine room's.
    pub(crate) owner: AtomicPtr<()>,
    pub(crate) queue: LocalQueue<G>,
    pub(crate) timers: Timers,
    /// Counts what the owner turned to: looks for work, and goroutines that came with another machine. Who sees it stand still
    /// knows that the owner is busy with one thing.
    pub(crate) tick: AtomicU32,
    /// GOMAXPROCS was lowered below this processor: its owner drops it at the next safe point.
    pub(crate) retired: AtomicBool,
    /// Retired, and nobody owns it (under the lock of the scheduler).
    pub(crate) out: AtomicBool,
    /// The monitor asks: the running goroutine has had the processor for long and others wait for it.
    pub(crate) yield_wanted: AtomicBool,
    pub(crate) stats: Stats,
    pub(crate) eager: WakePolicy,
    /// As `eager`, for what comes from the network poller.
    pub(crate) unattended: WakePolicy,
    pub(crate) rng: Rng,
    /// It went to a frozen machine last; and when the turn of others began after that.
    pub(crate) thawed: Cell<bool>,
    pub(crate) thawed_at: Cell<Moment>,
    /// Timers became earlier without anybody else having been told.
    pub(crate) timers_unannounced: Cell<bool>,
    free: UnsafeCell<PageVec<Free>>,
    plots: Cell<Plots>,
    ids: Cell<(u64, u64)>,
    /// The machine that is being made for it is already counted as searching.
    pub(crate) starts_spinning: Cell<bool>,
    /// In the list of idle processors, or of those that wait for a machine to be made.
    pub(crate) idle_next: Cell<Option<&'static P>>,
}

// SAFETY: cells are touched by the owner only (see the head of the file); ownership moves under the scheduler's lock or
// by a release/acquire hand-over of the pointer.
unsafe impl Sync for P {}
// SAFETY: as above.
unsafe impl Send for P {}

/// Counters that only the owner writes, so that counting is a plain store.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) created: Count,
    pub(crate) ended: Count,
    pub(crate) parks: Count,
    pub(crate) steals: Count,
    pub(crate) handoffs: Count,
    pub(crate) preemptions: Count,
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(crate) fn up(&self) {
        self.add(1);
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether to wake an idle machine for a goroutine in the `next` slot, or to trust that the running goroutine parks soon.
///
/// Waking an idle core costs the waker as much as a hundred hand-overs; in a ping-pong it would be wasted each time.
/// But a goroutine that makes another ready and computes on must not keep it waiting. So the processor learns: each
/// guess is checked at its next look for work, by how long the goroutine in the slot had to wait.
///
/// Goroutines that come from the network poller pose the same question: while they run nobody polls, unless another machine
/// is woken. Here the guess is checked when the processor polls again.
#[derive(Debug)]
pub(crate) struct WakePolicy {
    /// A wait that would have been worth a wake-up.
    slow_ticks: u64,
    /// 0..=MAX; from EAGER on, wake at once.
    score: Cell<u8>,
    /// When the slot was filled, or the poller left, while a processor was idle; 0 if that is checked.
    since: Cell<u64>,
}

impl WakePolicy {
    const EAGER: u8 = 4;
    const MAX: u8 = 12;

    fn new(slow_ticks: u64) -> WakePolicy {
        WakePolicy { slow_ticks, score: Cell::new(0), since: Cell::new(0) }
    }

    /// The slot was filled, or the poller left, and some processor is idle: wake a machine?
    #[inline]
    pub(crate) fn filled(&self) -> bool {
        self.since.set(env::ticks());
        self.score.get() >= Self::EAGER
    }

    /// Whether a guess is waiting to be checked.
    #[inline]
    pub(crate) fn pending(&self) -> bool {
        self.since.get() != 0
    }

    /// The owner looks for work: learn.
    pub(crate) fn check(&self) {
        let waited = env::ticks().saturating_sub(self.since.replace(0));
        let score = self.score.get();
        self.score.set(if waited > self.slow_ticks {
            (score + 4).min(Self::MAX)
        } else {
            score.saturating_sub(1)
        });
    }
}

/// About what waking a machine costs, 20 us at 2.5 ticks a nanosecond.
const SLOW_TICKS: u64 = 50_000;
/// Five times that: the machine that is woken to poll mostly finds nothing at once, and searches.
const UNATTENDED_TICKS: u64 = 250_000;

impl P {
    /// Free goroutines that a processor keeps; above it gives half back.
    const FREE_MAX: usize = 256;
    const IDS_BATCH: u64 = 16;
    const PLOTS_BATCH: usize = 16;

    pub(crate) fn new(id: u32, seed: u64) -> P {
        P {
            id,
            owner: AtomicPtr::new(std::ptr::null_mut()),
            queue: LocalQueue::new(),
            timers: Timers::new(),
            tick: AtomicU32::new(0),
            retired: AtomicBool::new(false),
            out: AtomicBool::new(false),
            yield_wanted: AtomicBool::new(false),
            stats: Stats::default(),
            eager: WakePolicy::new(SLOW_TICKS),
            unattended: WakePolicy::new(UNATTENDED_TICKS),
            rng: Rng::new(seed),
            thawed: Cell::new(false),
            thawed_at: Cell::new(Moment::from_nanos(0)),
            timers_unannounced: Cell::new(false),
            free: UnsafeCell::new(PageVec::new()),
            plots: Cell::new(Plots::none()),
            ids: Cell::new((0, 0)),
            starts_spinning: Cell::new(false),
            idle_next: Cell::new(None),
        }
    }

    /// Owner: it turns to something else. The new tick. Relaxed: nobody concludes from it what else is to be seen.
    #[inline(always)]
    pub(crate) fn advance_tick(&self) -> u32 {
        let tick = self.tick.load(Ordering::Relaxed).wrapping_add(1);
        self.tick.store(tick, Ordering::Relaxed);
        tick
    }

    /// Owner: the next goroutine id; `source` is the process-wide counter.
    #[inline]
    pub(crate) fn next_id(&self, source: &AtomicU64) -> u64 {
        let (mut next, mut end) = self.ids.get();
        if next == end {
            next = source.fetch_add(Self::IDS_BATCH, Ordering::Relaxed);
            end = next + Self::IDS_BATCH;
        }
        self.ids.set((next + 1, end));
        next
    }

    /// Owner: a free `G` of the default class.
    ///
    /// # Errors
    /// No memory for another stack.
    #[inline]
    pub(crate) fn take_g(&self, pool: &Pool, class: Class) -> io::Result<NonNull<G>> {
        // SAFETY: the owner alone touches the list, and this borrow ends here.
        let free = unsafe { &mut *self.free.get() };
        match free.pop() {
            Some(Free(g)) => {
                if let Some(Free(ahead)) = free.len().checked_sub(2).map(|at| free[at]) {
                    G::prefetch(ahead.as_ptr());
                }
                Ok(g)
            }
            None => self.take_g_slow(pool, class),
        }
    }

    #[cold]
    fn take_g_slow(&self, pool: &Pool, class: Class) -> io::Result<NonNull<G>> {
        // SAFETY: as in `take_g`; `refill` does not call back.
        let free = unsafe { &mut *self.free.get() };
        pool.refill(class, Self::FREE_MAX / 2, free);
        if let Some(Free(g)) = free.pop() {
            return Ok(g);
        }
        let mut plots = self.plots.get();
        let plot = match plots.next() {
            Some(plot) => plot,
            None => {
                plots = pool.take_plots(class, Self::PLOTS_BATCH)?;
                plots.next().expect("at least one plot was taken")
            }
        };
        self.plots.set(plots);
        Ok(pool::seat(plot))
    }

    /// Of a processor without an owner, under the scheduler's lock: its free goroutines, which it may never need again, go
    /// where they are trimmed and taken by others.
    pub(crate) fn give_free(&self, pool: &Pool, class: Class) {
        // SAFETY: the caller's: there is no owner, and nobody becomes it without the scheduler's lock, which is held. Nor does
        // `put_many` call back.
        let free = unsafe { &mut *self.free.get() };
        let count = free.len();
        if count != 0 {
            pool.put_many(class, free, count);
        }
    }

    /// Owner: keeps a `G` of the default class whose goroutine has ended.
    #[inline]
    pub(crate) fn put_g(&self, pool: &Pool, class: Class, g: NonNull<G>) {
        // SAFETY: as in `take_g`.
        let free = unsafe { &mut *self.free.get() };
        free.push(Free(g));
        if free.len() >= Self::FREE_MAX {
            // The warmest half stays.
            pool.put_many(class, free, Self::FREE_MAX / 2);
        }
    }
}
