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
//! 1. If no processor has made any progress for [`STANDSTILL`] while machines are frozen, the one that has been frozen longest goes on without a
//!    processor. (It is progress if another goroutine is run, or if one computes that has not had its slice twice over. And
//!    a busy system may keep all of us waiting: as long as a thread of ours could run it is no standstill.)
//! 2. So does one that has been frozen for [`FREEZE_MAX`] while strays sleep, who may be waiting for it.
//!
//! Only one at a time: not while any stray computes. Who goes on without a processor may compute for [`GRACE`] before it is
//! asked again.

use std::time::Duration;

use crate::env::Moment;
use crate::m::{Call, M};
use crate::preempt;
use crate::sched::Runtime;
use crate::sys::atomic::Ordering;
use crate::sys::mem::PageVec;
use crate::sys::thread_clock::{self, Doing};

const STANDSTILL: Duration = Duration::from_millis(20);
/// What the names of our threads begin with.
const MACHINES: &[u8] = b"gort-";
const FREEZE_MAX: Duration = Duration::from_millis(100);
/// CPU time, not the wall's.
const GRACE: Duration = Duration::from_millis(10);
/// Between two looks at the strays.
const PERIOD: Duration = Duration::from_millis(1);
const PERIOD_MAX: Duration = Duration::from_millis(10);

pub(super) struct Strays {
    rt: &'static Runtime,
    all: PageVec<Stray>,
    next: Moment,
    /// What the last look has found: strays that compute, and strays that sleep.
    computing: bool,
    sleeping: bool,
    /// The last time that there was progress, or nothing was frozen.
    progress: Moment,
}

#[derive(Clone, Copy)]
struct Stray {
    m: &'static M,
    /// Its thread's CPU clock when looked at last.
    used: Duration,
    /// It may compute until its clock shows this.
    limit: Duration,
}

impl Stray {
    /// What it is doing. If it has computed too long it is asked to wait for a processor. `closely`: one whose clock stands
    /// still may also lack a CPU, and it matters.
    fn look(&mut self, closely: bool) -> Doing {
        let tid = self.m.tid.load(Ordering::Relaxed);
        let used = thread_clock::used(tid).unwrap_or_default();
        let ran = std::mem::replace(&mut self.used, used) != used;
        if !ran && !closely {
            return Doing::Sleeps;
        }
        let doing = thread_clock::doing(tid);
        if doing == Doing::Computes && used > self.limit && preempt::enabled() {
            preempt::ask::ask(self.m);
        }
        doing
    }
}

impl Strays {
    pub(super) fn new(rt: &'static Runtime) -> Strays {
        let now = Moment::now();
        Strays { rt, all: PageVec::new(), next: now, computing: false, sleeping: false, progress: now }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// `m` has just lost its processor.
    pub(super) fn add(&mut self, m: &'static M) {
        self.add_with_grace(m, Duration::ZERO);
    }

    fn add_with_grace(&mut self, m: &'static M, grace: Duration) {
        let used = thread_clock::used(m.tid.load(Ordering::Relaxed)).unwrap_or_default();
        let stray = Stray { m, used, limit: used + grace };
        // It may have come back and gone astray again since it was last looked at.
        match self.all.iter_mut().find(|known| std::ptr::eq(known.m, m)) {
            Some(known) => *known = stray,
            None => self.all.push(stray),
        }
    }

    pub(super) fn look(&mut self, now: Moment, progress: bool) {
        if now >= self.next {
            self.look_at_all();
            self.next = now.plus(if self.computing { PERIOD } else { PERIOD_MAX });
            self.keep_going(now);
        }
        if progress || self.rt.frozen() == 0 {
            self.progress = now;
        }
    }

    fn look_at_all(&mut self) {
        (self.computing, self.sleeping) = (false, false);
        let frozen = self.rt.frozen() != 0;
        let mut at = 0;
        while at < self.all.len() {
            // A hint: it changes when the goroutine comes into the runtime, and then it is no stray any more.
            if self.all[at].m.call() == Call::Found {
                match self.all[at].look(frozen && !self.sleeping) {
                    Doing::Computes => self.computing = true,
                    Doing::Sleeps => self.sleeping = true,
                    Doing::Nothing => {}
                }
                at += 1;
            } else {
                let last = self.all.len() - 1;
                self.all.swap(at, last);
                self.all.pop();
            }
        }
    }

    /// Whether a thread of ours has a CPU, or would if the system gave it one; without `/proc` only the first.
    fn any_could_run(&self) -> bool {
        thread_clock::any_could_run(MACHINES).unwrap_or_else(|| {
            let mut owners = self.rt.all_ps().filter_map(M::owner_of);
            owners.any(|m| thread_clock::is_running(m.tid.load(Ordering::Relaxed)))
        })
    }

    fn keep_going(&mut self, now: Moment) {
        if self.computing || self.rt.frozen() == 0 {
            return;
        }
        let age = if now.since(self.progress) >= STANDSTILL {
            if self.any_could_run() {
                self.progress = now;
                return;
            }
            Duration::ZERO
        } else if self.sleeping {
            FREEZE_MAX
        } else {
            return;
        };
        let before = Moment::from_nanos(now.as_nanos().saturating_sub(age.as_nanos() as u64));
        if let Some(m) = self.rt.thaw_without(before) {
            self.add_with_grace(m, GRACE);
            (self.computing, self.progress) = (true, now);
        }
    }
}
