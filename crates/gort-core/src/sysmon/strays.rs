//! Threads that run a goroutine without a processor, and the rules by which something always goes on.
//!
//! A *stray* is a machine whose processor was taken while its thread slept in a call that nobody had announced. When the
//! call is over the thread goes on in the program's code, and the runtime learns of it only when the goroutine next comes
//! in. Until then more threads run goroutines than GOMAXPROCS allows: so a stray that is seen to compute is asked, as any
//! goroutine that computes for long, and then waits for a processor like one.
//!
//! What is frozen may hold a lock of the program's, malloc's for instance, that everybody else waits for. Those who wait
//! sleep, and lose their processors; so the frozen ones get their turn sooner. Where that is not enough, two rules see to it
//! that the worst case is plain threads, and never a standstill:
//! 1. If no processor has run anything new for [`STANDSTILL`] while machines are frozen, the first in line goes on without a
//!    processor.
//! 2. So does one that has been frozen for [`FREEZE_MAX`] while strays sleep, who may be waiting for it.
//!
//! Who goes on without a processor may do so for [`GRACE`] before it is asked again.

use std::time::Duration;

use crate::env::Moment;
use crate::m::{Call, M};
use crate::preempt;
use crate::sched::Runtime;
use crate::sys::atomic::Ordering;
use crate::sys::mem::PageVec;
use crate::sys::thread_clock::{self, Doing};

const STANDSTILL: Duration = Duration::from_millis(20);
const FREEZE_MAX: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_millis(10);
/// Between two looks at the strays.
const PERIOD: Duration = Duration::from_millis(1);
const PERIOD_MAX: Duration = Duration::from_millis(10);

pub(super) struct Strays {
    rt: &'static Runtime,
    all: PageVec<Stray>,
    next: Moment,
    /// The last time that a goroutine was run, or nothing was frozen.
    progress: Moment,
    thaw_next: Moment,
}

#[derive(Clone, Copy)]
struct Stray {
    m: &'static M,
    /// Its thread's CPU clock when looked at last.
    used: Duration,
    /// It may compute until then.
    grace: Moment,
}

impl Stray {
    /// True if it has run since the last look. Then it is asked to wait for a processor.
    fn look(&mut self, now: Moment) -> bool {
        let tid = self.m.tid.load(Ordering::Relaxed);
        let used = thread_clock::used(tid).unwrap_or_default();
        let ran = std::mem::replace(&mut self.used, used) != used;
        if ran && now >= self.grace && preempt::enabled() && thread_clock::doing(tid) == Doing::Computes {
            preempt::ask::ask(self.m);
        }
        ran
    }
}

impl Strays {
    pub(super) fn new(rt: &'static Runtime) -> Strays {
        let now = Moment::now();
        Strays { rt, all: PageVec::new(), next: now, progress: now, thaw_next: now }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// `m` has just lost its processor.
    pub(super) fn add(&mut self, m: &'static M, grace: Moment) {
        let used = thread_clock::used(m.tid.load(Ordering::Relaxed)).unwrap_or_default();
        let stray = Stray { m, used, grace };
        // It may have come back and gone astray again since it was last looked at.
        match self.all.iter_mut().find(|known| std::ptr::eq(known.m, m)) {
            Some(known) => *known = stray,
            None => self.all.push(stray),
        }
    }

    pub(super) fn look(&mut self, now: Moment, progress: bool) {
        if now >= self.next {
            let running = self.look_at_all(now);
            self.next = now.plus(if running { PERIOD } else { PERIOD_MAX });
        }
        if progress || self.rt.frozen() == 0 {
            self.progress = now;
        }
        self.keep_going(now);
    }

    /// True if some run.
    fn look_at_all(&mut self, now: Moment) -> bool {
        let mut running = false;
        let mut at = 0;
        while at < self.all.len() {
            // A hint: it changes when the goroutine comes into the runtime, and then it is no stray any more.
            if self.all[at].m.call() == Call::Found {
                running |= self.all[at].look(now);
                at += 1;
            } else {
                let last = self.all.len() - 1;
                self.all.swap(at, last);
                self.all.pop();
            }
        }
        running
    }

    fn keep_going(&mut self, now: Moment) {
        if now < self.thaw_next || self.rt.frozen() == 0 {
            return;
        }
        let standstill = now.since(self.progress) >= STANDSTILL;
        let age = if standstill { Duration::ZERO } else { FREEZE_MAX };
        if !standstill && self.all.is_empty() {
            return;
        }
        let before = Moment::from_nanos(now.as_nanos().saturating_sub(age.as_nanos() as u64));
        if let Some(m) = self.rt.thaw_without(before) {
            self.add(m, now.plus(GRACE));
            self.thaw_next = now.plus(if standstill { STANDSTILL } else { GRACE });
        }
    }
}
