//! The monitor: a thread without a processor that looks at everything now and then. It runs no goroutine.
//!
//! - It keeps the coarse clock.
//! - It takes processors from threads that sleep in the kernel, and asks goroutines that compute for long to give theirs to
//!   others ([`procs`]); it looks after threads that run without a processor, and sees that something always goes on
//!   ([`strays`]).
//! - It wakes a machine for work that lies beside an idle processor: a goroutine that was made ready by one which then
//!   went on computing.
//! - It finds that nothing can ever happen again: a deadlock.
//! - It follows the cgroup's CPU quota, unless GOMAXPROCS was set.
//! - It gives memory of idle stacks back.
//!
//! How often it looks is what all of this costs ([`pace`]). It sleeps when everything has been idle for a while. Whoever
//! takes a processor out of the idle list then wakes it, and whoever takes away, without a processor, what the deadlock
//! detector counted on: the end of a call that blocked, a timer, somebody who waits for a descriptor.
//!
//! The monitor neither allocates nor takes a lock that the program can hold while goroutines run: a frozen one may hold it.

mod pace;
mod procs;
mod strays;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use crate::deadlock::{self, Verdict};
use crate::env::Moment;
use crate::sched::{self, Runtime};
use crate::sys::thread::{self, Manner};
use crate::{cpus, trim};
use pace::Pace;
use procs::Procs;
use strays::Strays;

/// Looks at a quiet runtime before the monitor goes to sleep.
const QUIET_LOOKS: u32 = 10;
/// Between two looks at a quiet runtime.
const QUIET_PERIOD: Duration = Duration::from_millis(10);
/// Between the two looks that it takes to believe in a deadlock.
const DEADLOCK_MIN: Duration = Duration::from_millis(1);
/// While threads of the program's own could still wake somebody, a deadlock is looked for this often.
const DEADLOCK_MAX: Duration = Duration::from_secs(1);
const QUOTA_PERIOD: Duration = Duration::from_secs(1);
/// The monitor runs for microseconds at a time, and should do so soon after it wakes: the shortest turn that there is.
const PROMPT: Manner = Manner::Prompt(100);

/// GOMAXPROCS follows the system's settings.
static FOLLOW: AtomicBool = AtomicBool::new(false);

/// Starts the monitor.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start(rt: &'static Runtime, follow: bool) -> io::Result<()> {
    FOLLOW.store(follow, Ordering::Relaxed);
    let watch = Box::new(Watch::new(rt));
    rt.spawn_own_thread(c"gort-monitor", move || {
        sched::threads::precise_timers();
        thread::behave(PROMPT);
        watch.run();
    })
}

/// From now on GOMAXPROCS is what the program says. It calls this before it says so.
pub(crate) fn fix_procs() {
    FOLLOW.store(false, Ordering::Relaxed);
}

struct Watch {
    rt: &'static Runtime,
    pace: Pace,
    /// Everything has been idle for a while: whoever changes that is to rouse the monitor.
    deep: bool,
    /// Meanwhile something is to come that will rouse it.
    relies: bool,
    /// Looks in a row at which everything was idle.
    quiet: u32,
    /// At the last look there was a deadlock, and this many goroutines had been run in all.
    dead_at: Option<u64>,
    procs: Procs,
    strays: Strays,
    quota_next: Moment,
    trimmer: trim::Trimmer,
}

impl Watch {
    fn new(rt: &'static Runtime) -> Watch {
        Watch {
            rt,
            pace: Pace::new(),
            deep: false,
            relies: false,
            quiet: 0,
            dead_at: None,
            procs: Procs::new(rt),
            strays: Strays::new(rt),
            quota_next: Moment::after(QUOTA_PERIOD),
            trimmer: trim::Trimmer::new(rt),
        }
    }

    fn run(mut self: Box<Self>) {
        loop {
            let roused = self.sleep();
            let now = Moment::now();
            if roused {
                self.pace.hurry(now);
            }
            self.rt.coarse_now.store(now.as_nanos(), Ordering::Relaxed);
            self.look(now);
        }
    }

    /// Until the next look is due, or somebody rouses the monitor: true.
    fn sleep(&mut self) -> bool {
        let monitor = &self.rt.monitor;
        if self.deep {
            monitor.asleep.store(true, Ordering::Relaxed);
            // Full barrier: pairs with the one in `rouse_monitor`.
            fence(Ordering::SeqCst);
            // Whoever took a processor before it could see us asleep: then not everything is idle any more. Or whoever took
            // away what we rely on.
            if !self.rt.all_idle() || self.relies && !deadlock::may_go_on(self.rt) {
                self.pace.hurry(Moment::now());
            }
        } else {
            monitor.until.store(self.pace.next().as_nanos(), Ordering::Relaxed);
            // Full barrier: pairs with the one in `announce_timer`: either it sees until when we sleep, or we see its timer.
            fence(Ordering::SeqCst);
            self.pace.no_later_than(self.procs.next_deadline());
        }
        let roused = monitor.note.sleep(Some(self.pace.next()).filter(|&next| next != Moment::NEVER));
        monitor.asleep.store(false, Ordering::Relaxed);
        monitor.until.store(0, Ordering::Relaxed);
        roused
    }

    fn look(&mut self, now: Moment) {
        (self.deep, self.relies) = (false, false);
        self.rt.poll_network(now);
        if self.rt.all_idle() && !self.something_waits(now) {
            self.quiet += 1;
            self.look_at_quiet(now);
        } else {
            self.quiet = 0;
            self.dead_at = None;
            self.look_at_work(now);
        }
        self.trimmer.look(now);
    }

    fn look_at_work(&mut self, now: Moment) {
        let idle = self.rt.search.idle() != 0;
        if idle && self.something_waits(now) {
            self.rt.wake_p();
        }
        let seen = self.procs.look(now, &mut self.strays);
        self.strays.look(now, seen.progress);
        sched::set_yield_wanted(seen.asked_to_yield || !self.strays.is_empty());
        self.pace.step(now, &seen);
        if FOLLOW.load(Ordering::Relaxed) && now >= self.quota_next {
            self.quota_next = now.plus(QUOTA_PERIOD);
            self.rt.threads.run_errand(follow_quota);
        }
    }

    /// Whether a goroutine is queued, or a timer is due.
    fn something_waits(&self, now: Moment) -> bool {
        self.rt.global_len.load(Ordering::Relaxed) != 0
            || self.rt.all_ps().any(|p| !p.queue.is_empty())
            || self.rt.earliest_timer() <= now
    }

    fn look_at_quiet(&mut self, now: Moment) {
        let ran = self.rt.ran();
        let verdict = deadlock::check(self.rt);
        let dead_before = self.dead_at.take();
        match verdict {
            // Seen twice, a millisecond apart, and nothing ran from before the first look to after the second: nobody was
            // just on the way from one state to another, and no thread that was seen awake went to sleep meanwhile.
            Verdict::Deadlock if dead_before == Some(self.rt.ran()) => deadlock::report(self.rt),
            Verdict::Deadlock => {
                self.dead_at = Some(ran);
                self.pace.wait(now, DEADLOCK_MIN);
            }
            _ if self.quiet < QUIET_LOOKS => self.pace.wait(now, QUIET_PERIOD),
            // Only threads of the program's own can get things going, or end: look again, ever less often.
            Verdict::Foreign => {
                self.deep = true;
                self.pace.wait_longer(now, DEADLOCK_MAX);
            }
            Verdict::Alive => {
                (self.deep, self.relies) = (true, true);
                match self.trimmer.has_work() {
                    true => self.pace.wait(now, DEADLOCK_MAX),
                    false => self.pace.wait_for_ever(),
                }
            }
        }
    }
}

/// Reads files, and may make processors: nothing for the monitor itself.
fn follow_quota(rt: &'static Runtime) {
    let useful = cpus::useful() as u32;
    if useful != rt.procs.load(Ordering::Relaxed) {
        // The program may be about to say otherwise. If it has, the lock under which processors change shows it.
        rt.set_procs_if(useful, || FOLLOW.load(Ordering::Relaxed));
    }
}
