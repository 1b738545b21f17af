//! A read-only walk over all goroutines, machines and processors, while they run. Changes nothing, stops nothing.
//!
//! A goroutine that waits does not touch its stack. Its stack is copied, and the copy counts if the goroutine's status
//! word is the same before and after (`g::status`): then it did not run meanwhile.

use std::ops::Range;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::env::Moment;
use crate::g::G;
pub use crate::g::status::Status;
use crate::ids::WaitReason;
use crate::m::M;
use crate::outside;
use crate::sched::{Runtime, runtime};

/// Registers from which the frames of a goroutine can be walked.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// An address inside the innermost function.
    pub pc: usize,
    /// The stack pointer there.
    pub sp: usize,
    /// The frame pointer register there.
    pub fp: usize,
}

/// One goroutine at one moment.
#[derive(Clone, Debug)]
pub struct Goroutine {
    /// Its id.
    pub id: u64,
    /// Who started it; 0: nobody.
    pub parent: u64,
    /// The first bytes of its name; empty if it has none.
    pub name: String,
    /// What it was doing.
    pub status: Status,
    /// Why it waited.
    pub reason: WaitReason,
    /// For how long, to a few milliseconds.
    pub waited: Duration,
    /// It is locked to its thread.
    pub locked_to_thread: bool,
    /// An address inside the function that started it.
    pub created_pc: usize,
    /// Where it was started.
    pub created_at: Option<&'static Location<'static>>,
    /// Where it stands; None while it runs, or before its first park.
    pub context: Option<Context>,
    /// The address of the first word of `stack`.
    pub stack_at: usize,
    /// A copy of the live part of its stack, from the stack pointer upwards.
    pub stack: Vec<usize>,
}

/// How much of a stack is copied: what lies further out is of little help in a dump.
const STACK_BYTES: usize = 64 * 1024;

/// All goroutines that exist, in the order of their ids.
pub fn goroutines() -> Vec<Goroutine> {
    let Some(rt) = runtime() else { return Vec::new() };
    let now = Moment::now();
    let mut all: Vec<Goroutine> = rt
        .pool
        .all()
        .filter_map(|g| {
            // SAFETY: goroutines are never freed, and what a walk reads of them is atomic.
            read(unsafe { g.as_ref() }, now)
        })
        .collect();
    all.sort_by_key(|g| g.id);
    all
}

/// The number of the machine that the calling thread is, if it is one. Async-signal-safe.
pub fn this_machine() -> Option<u32> {
    M::current().map(|m| m.id)
}

/// The goroutine with this id, if it exists.
pub fn goroutine(id: u64) -> Option<Goroutine> {
    let now = Moment::now();
    // SAFETY: as in `goroutines`.
    let mut all = runtime()?.pool.all().map(|g| unsafe { g.as_ref() });
    all.find(|g| g.raw_id() == id).and_then(|g| read(g, now)).filter(|found| found.id == id)
}

/// Reads one goroutine; None if the `G` is free.
fn read(g: &G, now: Moment) -> Option<Goroutine> {
    const TRIES: u32 = 8;
    for _ in 0..TRIES {
        let before = g.status.load();
        if before.status() == Status::Idle || g.counted_out.load(Ordering::Relaxed) {
            return None;
        }
        let copy = copy(g, before.status(), before.reason(), now);
        if g.status.unchanged_since(before) {
            return Some(copy);
        }
    }
    // It runs again and again; then it is described as running.
    Some(copy(g, Status::Running, WaitReason::None, now)).filter(|g| g.id != 0)
}

fn copy(g: &G, status: Status, reason: WaitReason, now: Moment) -> Goroutine {
    let context = Context {
        pc: g.context.pc.load(Ordering::Relaxed),
        sp: g.context.sp.load(Ordering::Relaxed),
        fp: g.context.fp.load(Ordering::Relaxed),
    };
    let high = g.stack_high.load(Ordering::Relaxed);
    let bounds = g.stack_low.load(Ordering::Relaxed)..high;
    // The stack pointer is zero before the first park.
    let stands = status != Status::Running && bounds.contains(&context.sp);
    let live = if stands { context.sp..high.min(context.sp + STACK_BYTES) } else { high..high };
    let since = Moment::from_nanos(g.wait_since.load(Ordering::Relaxed));
    Goroutine {
        id: g.raw_id(),
        parent: g.parent.load(Ordering::Relaxed),
        name: g.name(),
        status,
        reason,
        waited: if status == Status::Waiting { now.since(since) } else { Duration::ZERO },
        locked_to_thread: !g.locked_m.load(Ordering::Relaxed).is_null(),
        created_pc: g.created_pc.load(Ordering::Relaxed),
        // SAFETY: null or stored from a `&'static Location`.
        created_at: unsafe { g.created_at.load(Ordering::Relaxed).as_ref() },
        context: stands.then_some(context),
        stack_at: live.start,
        stack: words(live),
    }
}

/// Copies memory that somebody may be writing to at the same time; whether they did is checked afterwards.
fn words(range: Range<usize>) -> Vec<usize> {
    let first: *const usize = ptr::with_exposed_provenance(range.start);
    let count = range.len() / size_of::<usize>();
    // SAFETY: the range is inside a stack, which is readable and never unmapped; volatile, so that the compiler neither
    // relies on the values nor reads twice.
    (0..count).map(|i| unsafe { first.add(i).read_volatile() }).collect()
}

/// Counts of everything, at about one moment.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Goroutines that exist.
    pub goroutines: usize,
    /// Goroutines that run.
    pub running: usize,
    /// Goroutines that wait for a processor.
    pub runnable: usize,
    /// Goroutines that are parked.
    pub waiting: usize,
    /// Goroutines inside a call that blocks the thread, announced or found by the monitor.
    pub blocked: usize,
    /// Threads of the runtime.
    pub threads: usize,
    /// Machines that sleep.
    pub idle_threads: usize,
    /// GOMAXPROCS.
    pub processors: usize,
    /// Processors nobody has.
    pub idle_processors: usize,
    /// Goroutines in the global queue.
    pub global_queue: usize,
    /// Goroutines in each processor's ring.
    pub local_queues: Vec<usize>,
    /// Goroutines ever made.
    pub created: u64,
    /// Parks so far.
    pub parks: u64,
    /// Successful steals so far.
    pub steals: u64,
    /// Processors handed to another machine so far.
    pub handoffs: u64,
    /// How often a goroutine gave its processor to others because it had computed for long.
    pub preemptions: u64,
    /// Looks at the network poller so far.
    pub polls: u64,
    /// Timers that run.
    pub timers: usize,
}

/// Counts everything. Walks over all goroutines: some nanoseconds for each.
pub fn counts() -> Counts {
    runtime().map_or_else(Counts::default, count)
}

fn count(rt: &Runtime) -> Counts {
    let procs = rt.procs.load(Ordering::Relaxed) as usize;
    let (idle_ms, idle_ps) = rt.idle_counts();
    let mut counts = Counts {
        blocked: rt.calls(),
        threads: rt.threads.alive.load(Ordering::Relaxed) + outside::threads(),
        idle_threads: idle_ms as usize,
        processors: procs,
        idle_processors: idle_ps as usize,
        global_queue: rt.global_len.load(Ordering::Relaxed),
        local_queues: rt.all_ps().take(procs).map(|p| p.queue.len()).collect(),
        created: rt.created(),
        polls: rt.poller.polls(),
        ..Counts::default()
    };
    for p in rt.all_ps() {
        counts.parks += p.stats.parks.get();
        counts.steals += p.stats.steals.get();
        counts.handoffs += p.stats.handoffs.get();
        counts.preemptions += p.stats.preemptions.get();
        counts.timers += p.timers.len();
    }
    for g in rt.pool.all() {
        // SAFETY: goroutines are never freed.
        let g = unsafe { g.as_ref() };
        match g.status.load().status() {
            _ if g.counted_out.load(Ordering::Relaxed) => continue,
            Status::Idle => continue,
            Status::Runnable => counts.runnable += 1,
            Status::Running => counts.running += 1,
            Status::Waiting => counts.waiting += 1,
        }
        counts.goroutines += 1;
    }
    counts
}
