//! What the monitor does about processors that stand at one goroutine.
//!
//! A processor whose tick has not moved since the last look is looked at more closely. Its thread
//!
//! - sleeps in the kernel, or has said that it may: then the processor is taken at once if others wait for one, else after
//!   10 ms, so that it lies ready for what comes;
//! - computes: then it is asked to give the processor to others, the sooner the more it is in the way:
//!
//! | who waits | the goroutine has had the processor for |
//! | --- | --- |
//! | a timer that is due, a goroutine in a queue | 100 us, but a millisecond on average |
//! | nobody, but GOMAXPROCS does not cover the processor any more | 1 ms |
//! | only others that were stopped while they computed | 10 ms: Go's time slice |
//!
//! For part of that time its thread must have had a CPU: one that the kernel keeps waiting, on a busy system, could not answer,
//! and may be about to give the processor up by itself.
//!
//! Asking costs a goroutine about 30 us of its time: once in a millisecond is about 3 percent, and that is the most it pays.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::pace::Seen;
use super::strays::Strays;
use crate::env::Moment;
use crate::m::slice::Slice;
use crate::m::{Call, M};
use crate::p::P;
use crate::preempt;
use crate::sched::{MAX_PROCS, Runtime};
use crate::sys::thread_clock::{self, Doing};

/// A goroutine is left alone for this long, whoever waits.
const SLICE_MIN: Duration = Duration::from_micros(100);
/// And until its thread has had a CPU for this long.
const RAN_MIN: Duration = Duration::from_micros(30);
/// One of which it is not known yet whether it computes is not looked at again sooner than this for a timer: processors that
/// get on by themselves have timers all the time.
const SLICE_NEW: Duration = Duration::from_micros(250);
/// Who was asked and has not given its processor up is asked again after this.
const ASK_AGAIN: Duration = Duration::from_micros(500);
/// A goroutine pays for this many interruptions in a row, and for one more each such time.
const CREDIT_MAX: u32 = 4;
const CREDIT_PERIOD: Duration = Duration::from_millis(1);
/// A call that is announced as brief may keep its processor for as long as this, if others wait.
const BRIEF: Duration = Duration::from_micros(20);

/// For this long after a processor was taken from a thread that sleeps, the next one need not have stood for [`BRIEF`]:
/// where one thread blocks the next one will, and a hundred in a row are in everybody's way.
const ALERT: Duration = Duration::from_micros(200);

/// What the monitor knows of all processors.
pub(super) struct Procs {
    rt: &'static Runtime,
    /// Until when it expects more threads to sleep.
    alert_until: Moment,
    known: [Known; MAX_PROCS],
}

/// What it knows of one.
#[derive(Clone, Copy)]
struct Known {
    /// The tick at the last look, and since when it stands there.
    tick: u32,
    since: Moment,
    /// Its goroutine was computing, at the last look.
    computes: bool,
    /// It ran another goroutine than at the look before, with others waiting: perhaps one that computes from now on.
    moved: bool,
    /// What the CPU clock of its thread showed when the tick was first seen to stand there.
    used: Duration,
    /// Which thread that is: a processor can change hands without its tick.
    clock_of: u32,
    /// It had not had a CPU for long enough, at the last look, and will hardly have before this moment.
    not_before: Moment,
    /// When it was last asked to give the processor up, since the tick moved.
    asked: Option<Moment>,
    credit: u32,
    credited: Moment,
}

/// Who waits for a processor.
#[derive(Clone, Copy)]
struct Waiting {
    /// Some processor is idle: whoever waits will have that one.
    idle: bool,
    queued: bool,
    frozen: bool,
}

impl Procs {
    pub(super) fn new(rt: &'static Runtime) -> Procs {
        let never = Moment::NEVER;
        let known = Known {
            tick: 0,
            since: never,
            computes: false,
            moved: false,
            used: Duration::ZERO,
            clock_of: 0,
            not_before: never,
            asked: None,
            credit: CREDIT_MAX,
            credited: never,
        };
        Procs { rt, alert_until: Moment::from_nanos(0), known: [known; MAX_PROCS] }
    }

    /// When the first timer is due of a processor whose goroutine computes, or may: it will not look itself.
    pub(super) fn next_deadline(&self) -> Moment {
        if !preempt::enabled() {
            return Moment::NEVER;
        }
        let kept = |(p, known): (&P, &Known)| match p.timers.earliest() {
            when if known.computes => when.max(known.may_ask_at()),
            when if known.moved && when != Moment::NEVER => when.max(known.since.plus(SLICE_NEW)),
            _ => Moment::NEVER,
        };
        self.rt.all_ps().zip(&self.known).map(kept).min().unwrap_or(Moment::NEVER)
    }

    /// Looks at all of them.
    pub(super) fn look(&mut self, now: Moment, strays: &mut Strays) -> Seen {
        let waiting = self.waiting();
        let alert = now < self.alert_until;
        let mut seen = Seen { progress: waiting.idle, ..Seen::default() };
        for p in self.rt.all_ps() {
            let known = &mut self.known[p.id as usize];
            (known.computes, known.moved) = (false, false);
            let tick = p.tick.load(Ordering::Relaxed);
            if known.tick != tick {
                (known.tick, known.since, known.used) = (tick, now, Duration::ZERO);
                (known.asked, known.not_before) = (None, now);
                p.yield_wanted.store(false, Ordering::Relaxed);
                seen.progress = true;
                if let Some(m) = M::owner_of(p).filter(|_| !waiting.idle) {
                    known.moved = true;
                    known.begin(m.tid.load(Ordering::Relaxed));
                }
                seen.tight |= waiting.wants(p, now);
                if !(alert && seen.tight) {
                    continue;
                }
            }
            look_closely(self.rt, p, known, (waiting, alert), now, strays, &mut seen);
        }
        if seen.took {
            self.alert_until = now.plus(ALERT);
        }
        seen
    }

    fn waiting(&self) -> Waiting {
        let frozen = self.rt.frozen();
        Waiting {
            idle: self.rt.search.idle() != 0,
            queued: self.rt.global_len.load(Ordering::Relaxed) > frozen
                || self.rt.all_ps().any(|p| !p.queue.is_empty()),
            frozen: frozen != 0,
        }
    }
}

/// `p` stands at what it was at when looked at last, or the monitor is on the alert for threads that sleep.
fn look_closely(
    rt: &Runtime,
    p: &'static P,
    known: &mut Known,
    (waiting, alert): (Waiting, bool),
    now: Moment,
    strays: &mut Strays,
    seen: &mut Seen,
) {
    // Idle, or on its way; or its machine is inside the runtime.
    let Some(m) = M::owner_of(p) else { return };
    if !m.door.is_outside() || m.curg().is_none() {
        return;
    }
    let stood = now.since(known.since);
    let wanted = waiting.wants(p, now);
    let tid = m.tid.load(Ordering::Relaxed);
    let enough = match wanted {
        true if alert => Duration::ZERO,
        true => BRIEF,
        false => Slice::LENGTH,
    };
    if stood < enough {
        seen.tight |= wanted;
        return;
    }
    if m.call() == Call::Announced {
        if stood >= BRIEF {
            // It may have come back from the call just now, and compute.
            seen.took |= rt.retake(m, p, || m.call() == Call::Announced);
        }
        return;
    }
    match thread_clock::doing(tid) {
        Doing::Sleeps => {
            let used = thread_clock::used(tid);
            if rt.retake(m, p, || thread_clock::used(tid) == used) {
                strays.add(m);
                seen.took = true;
            }
        }
        Doing::Computes => {
            known.computes = true;
            let ran = known.ran(tid);
            seen.progress |= ran < 2 * Slice::LENGTH;
            seen.tight |= !waiting.idle;
            if ran < RAN_MIN {
                known.not_before = now.plus(SLICE_MIN);
            } else if known.must_yield(p, waiting, stood, now) {
                // Both ways: it may come to a checkpoint before the signal finds it outside the runtime.
                p.yield_wanted.store(true, Ordering::Relaxed);
                seen.asked_to_yield = true;
                if preempt::enabled() && preempt::ask::ask(m) {
                    known.pay(now);
                    seen.asked = true;
                }
            }
        }
        Doing::Nothing => {}
    }
}

impl Waiting {
    /// Whether anybody waits for whom no other processor is free, or that only `p` looks after.
    fn wants(self, p: &P, now: Moment) -> bool {
        p.retired.load(Ordering::Relaxed) || (!self.idle && (self.frozen || self.anybody(p, now)))
    }

    /// Somebody who was not stopped while computing.
    fn anybody(self, p: &P, now: Moment) -> bool {
        self.queued || p.timers.earliest() <= now
    }
}

impl Known {
    /// Whether the goroutine, which computes and has had `p` for as long as it `stood`, has to give it up now.
    fn must_yield(&mut self, p: &P, waiting: Waiting, stood: Duration, now: Moment) -> bool {
        self.earn(now);
        let due = p.timers.earliest() <= now;
        let patience = if due || (!waiting.idle && waiting.queued) {
            SLICE_MIN
        } else if p.retired.load(Ordering::Relaxed) {
            CREDIT_PERIOD
        } else if !waiting.idle && waiting.frozen {
            Slice::LENGTH
        } else {
            return false;
        };
        // It may not have come to hear of it yet; or it was inside the runtime when it did, and is asked again for nothing.
        let may_ask = match self.asked {
            Some(asked) => now.since(asked) >= ASK_AGAIN,
            None => self.credit > 0,
        };
        stood >= patience && may_ask
    }

    /// For how long its thread has had a CPU since the tick was first seen to stand there.
    fn ran(&mut self, tid: u32) -> Duration {
        // If processors were idle then, it was of no interest.
        if self.used.is_zero() || self.clock_of != tid {
            self.begin(tid);
        }
        thread_clock::used(tid).unwrap_or_default().saturating_sub(self.used)
    }

    fn begin(&mut self, tid: u32) {
        (self.clock_of, self.used) = (tid, thread_clock::used(tid).unwrap_or_default());
    }

    /// Not before this moment: it has been asked just now, or has been interrupted often.
    fn may_ask_at(&self) -> Moment {
        let may = match self.asked {
            Some(asked) => asked.plus(ASK_AGAIN),
            None if self.credit > 0 => self.since.plus(SLICE_MIN),
            None => self.since.plus(SLICE_MIN).max(self.credited.plus(CREDIT_PERIOD)),
        };
        may.max(self.not_before)
    }

    fn earn(&mut self, now: Moment) {
        let periods = now.since(self.credited.min(now)).as_nanos() / CREDIT_PERIOD.as_nanos();
        if self.credited == Moment::NEVER || periods >= u128::from(CREDIT_MAX) {
            (self.credit, self.credited) = (CREDIT_MAX, now);
        } else if periods > 0 {
            self.credit = (self.credit + periods as u32).min(CREDIT_MAX);
            self.credited = self.credited.plus(CREDIT_PERIOD * periods as u32);
        }
    }

    fn pay(&mut self, now: Moment) {
        if self.asked.replace(now).is_none() {
            self.credit -= 1;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            tick: 0,
            since: Moment::from_nanos(0),
            computes: true,
            moved: false,
            used: Duration::ZERO,
            clock_of: 0,
            not_before: Moment::from_nanos(0),
            asked: None,
            credit: CREDIT_MAX,
            credited: Moment::NEVER,
        }
    }

    fn nobody() -> Waiting {
        Waiting { idle: false, queued: false, frozen: false }
    }

    #[test]
    fn who_waits_decides_how_long_a_goroutine_may_compute() {
        let p = P::new(0, 1);
        let now = Moment::from_nanos(1_000_000_000);
        let must = |waiting, stood| known().must_yield(&p, waiting, stood, now);
        let queued = Waiting { queued: true, ..nobody() };
        let frozen = Waiting { frozen: true, ..nobody() };
        assert!(!must(nobody(), Slice::LENGTH * 100));
        assert!(!must(Waiting { idle: true, ..queued }, Slice::LENGTH * 100));
        assert!(must(queued, SLICE_MIN) && !must(queued, SLICE_MIN / 2));
        assert!(must(frozen, Slice::LENGTH) && !must(frozen, Slice::LENGTH / 2));
        p.retired.store(true, Ordering::Relaxed);
        assert!(must(nobody(), CREDIT_PERIOD) && !must(nobody(), CREDIT_PERIOD / 2));
    }

    #[test]
    fn interruptions_are_paid_for() {
        let p = P::new(0, 1);
        let queued = Waiting { queued: true, ..nobody() };
        let mut known = known();
        let mut now = Moment::from_nanos(1_000_000_000);
        let mut interrupted = 0;
        for _ in 0..1000 {
            now = now.plus(CREDIT_PERIOD / 10);
            if known.must_yield(&p, queued, SLICE_MIN, now) {
                known.pay(now);
                known.asked = None;
                interrupted += 1;
            }
        }
        let most = 1000 / 10 + CREDIT_MAX;
        assert!((most - 2..=most).contains(&interrupted), "{interrupted} times in 100 ms");
    }
}
