//! A goroutine that holds something of the thread on which it ran last, as [`tlscheck`] has found: it is
//! left to that thread, if that can be had soon.
//!
//! ```text
//!   popped by another machine ──► its old machine is idle ──► gets this machine's processor, and the goroutine with it
//!        ▲                    └──► is busy ──► back into the global queue, a nap
//!        └───────────────────────────────────────┘
//!                             └──► busy for long, or its thread has ended ──► runs here
//! ```
//! It is less than being locked to the thread: nothing is promised to the goroutine, and nobody is kept off its thread.
//! Hence it costs the scheduler nothing but one question when it runs a goroutine, and only while the check is on.

use std::ptr::{self, NonNull};
use std::time::Duration;

use super::Runtime;
use super::keeper::Watch;
use crate::env::Moment;
use crate::g::G;
use crate::m::M;
use crate::sys::atomic::Ordering;
use crate::tlscheck::{self, Judgement, Record, Suspicion};

/// How long a goroutine waits for its old thread.
const PATIENCE: Duration = Duration::from_millis(10);

/// Between two looks whether that thread has become free.
const NAP: rustix::thread::Timespec = rustix::thread::Timespec { tv_sec: 0, tv_nsec: 50_000 };

impl Runtime {
    /// `m` is about to run `g`, which it owns. True: `m` has let go of it; somebody will run it later.
    #[cold]
    #[inline(never)]
    pub(super) fn stays(&self, m: &'static M, g: &'static G) -> bool {
        let here = tlscheck::this_thread();
        // A goroutine that has not parked yet has no old thread.
        let moves = g.context.sp.load(Ordering::Relaxed) != 0 && !ptr::eq(g.last_thread.get().cast(), here);
        let stays = moves
            && match tlscheck::judge(g) {
                Judgement::Free => false,
                Judgement::Bound(old) => self.leave_to(old, m, g),
                Judgement::Suspect(suspicion) => {
                    self.tell(&suspicion, m, g);
                    true
                }
            };
        if !stays {
            g.last_thread.set(here.cast());
            g.stays_until.set(0);
        }
        stays
    }

    /// Has `g` run on its old thread, now or a little later. False: it has to run here.
    fn leave_to(&self, old: &'static Record, m: &'static M, g: &'static G) -> bool {
        if old.has_ended() || !is_patient(g) {
            return false;
        }
        let owner = old.machine();
        let idle = self.shared.lock().remove_idle_m(owner);
        let p = m.p().expect("a machine that has found a goroutine has a processor");
        if idle {
            self.put_next(p, NonNull::from(g));
            m.release_p();
            owner.spinning.set(false);
            owner.wake_with(p);
            return true;
        }
        self.put_global(NonNull::from(g));
        // It may keep time, or watch the network: then it sleeps elsewhere.
        let _: Watch = self.keeper.tell(Moment::from_nanos(1), self.poller);
        if self.keeper.is_watched() {
            self.poller.tell();
        }
        let _ = rustix::thread::nanosleep(&NAP);
        true
    }

    /// Has the suspicion looked into, which takes its time: the processor goes to others, and `g` back into a queue.
    fn tell(&self, suspicion: &Suspicion, m: &'static M, g: &'static G) {
        // SeqCst: counted before the processor can be seen idle; the deadlock detector reads both. The goroutine is in no
        // queue for a while.
        self.in_blocking.fetch_add(1, Ordering::SeqCst);
        self.handoff_p(m.release_p());
        suspicion.report(g);
        self.put_global(NonNull::from(g));
        self.one_call_less();
    }
}

/// Whether `g` has waited for its old thread for less than [`PATIENCE`].
fn is_patient(g: &G) -> bool {
    let now = Moment::now();
    match g.stays_until.get() {
        0 => {
            g.stays_until.set(now.plus(PATIENCE).as_nanos());
            true
        }
        until => now.as_nanos() < until,
    }
}
