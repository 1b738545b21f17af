//! The monitor: a thread without a processor that looks at everything now and then.
//!
//! - It keeps the coarse clock.
//! - It asks goroutines that have had a processor for 10 ms while others wait to yield at their next checkpoint.
//! - It wakes a machine for work that lies beside an idle processor: a goroutine that was made ready by one which then
//!   went on computing.
//! - It finds that nothing can ever happen again: a deadlock.
//! - It follows the cgroup's CPU quota, unless GOMAXPROCS was set.
//! - It gives memory of idle stacks back.
//!
//! It looks every millisecond while things happen, less and less often while nothing does, and sleeps when everything
//! has been idle for a while; whoever takes a processor out of the idle list then wakes it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use crate::deadlock::{self, Verdict};
use crate::env::Moment;
use crate::sched::{self, MAX_PROCS, Runtime};
use crate::{cpus, trim};

const PERIOD_MIN: Duration = Duration::from_millis(1);
const PERIOD_MAX: Duration = Duration::from_millis(10);
/// Looks at a quiet runtime before the monitor goes to sleep.
const QUIET_LOOKS: u32 = 10;
/// While threads of the program's own could still wake somebody, a deadlock is looked for this often.
const DEADLOCK_MAX: Duration = Duration::from_secs(1);
/// How long a goroutine may have a processor that others wait for: Go's time slice.
const SLICE: Duration = Duration::from_millis(10);
const QUOTA_PERIOD: Duration = Duration::from_secs(1);

/// GOMAXPROCS follows the system's settings.
static FOLLOW: AtomicBool = AtomicBool::new(false);

/// Starts the monitor.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start(rt: &'static Runtime, follow: bool) -> io::Result<()> {
    FOLLOW.store(follow, Ordering::Relaxed);
    rt.spawn_own_thread(c"gort-monitor", move || Watch::new(rt).run())
}

/// From now on GOMAXPROCS is what the program says.
pub(crate) fn fix_procs() {
    FOLLOW.store(false, Ordering::Relaxed);
}

struct Watch {
    rt: &'static Runtime,
    /// Until the next look; None: until roused.
    period: Option<Duration>,
    /// Everything has been idle for a while: whoever changes that is to rouse the monitor.
    deep: bool,
    /// Looks in a row at which everything was idle.
    quiet: u32,
    /// At the last look there was a deadlock, and this many goroutines had been run in all.
    dead_at: Option<u64>,
    /// For each processor: the tick at which it was last seen, and since when it stands there.
    slices: [(u32, Moment); MAX_PROCS],
    quota_next: Moment,
    trimmer: trim::Trimmer,
}

impl Watch {
    fn new(rt: &'static Runtime) -> Watch {
        Watch {
            rt,
            period: Some(PERIOD_MIN),
            deep: false,
            quiet: 0,
            dead_at: None,
            slices: [(0, Moment::NEVER); MAX_PROCS],
            quota_next: Moment::after(QUOTA_PERIOD),
            trimmer: trim::Trimmer::new(rt),
        }
    }

    fn run(mut self) {
        let monitor = &self.rt.monitor;
        loop {
            if self.deep {
                monitor.asleep.store(true, Ordering::Relaxed);
                // Full barrier: pairs with the one in `rouse_monitor`.
                fence(Ordering::SeqCst);
                // Whoever took a processor before it could see us asleep: then not everything is idle any more.
                if !self.rt.all_idle() {
                    self.period = Some(PERIOD_MIN);
                }
            }
            let roused = monitor.note.sleep(self.period.map(Moment::after));
            monitor.asleep.store(false, Ordering::Relaxed);
            if roused {
                self.period = Some(PERIOD_MIN);
            }
            let now = Moment::now();
            self.rt.coarse_now.store(now.as_nanos(), Ordering::Relaxed);
            self.look(now);
        }
    }

    fn look(&mut self, now: Moment) {
        self.deep = false;
        self.rt.poll_network(now);
        if self.rt.all_idle() && !self.something_waits(now) {
            self.quiet += 1;
            self.look_at_quiet();
        } else {
            self.quiet = 0;
            self.dead_at = None;
            self.look_at_work(now);
        }
        self.trimmer.look(now);
    }

    fn look_at_work(&mut self, now: Moment) {
        let waiting = self.rt.search.idle() != 0 && self.something_waits(now);
        if waiting {
            self.rt.wake_p();
        }
        self.period = Some(if waiting { PERIOD_MIN } else { self.longer(PERIOD_MAX) });
        self.look_at_slices(now);
        if FOLLOW.load(Ordering::Relaxed) && now >= self.quota_next {
            self.quota_next = now.plus(QUOTA_PERIOD);
            self.follow_quota();
        }
    }

    /// Asks processors that stand at one goroutine for a full slice, while something waits, to move on.
    fn look_at_slices(&mut self, now: Moment) {
        let queued_globally = self.rt.global_len.load(Ordering::Relaxed) != 0;
        let mut any = false;
        for p in self.rt.all_ps() {
            let slice = &mut self.slices[p.id as usize];
            let tick = p.tick.load(Ordering::Relaxed);
            if slice.0 != tick {
                *slice = (tick, now);
                p.yield_wanted.store(false, Ordering::Relaxed);
            } else if now.since(slice.1) >= SLICE {
                let waits = queued_globally || !p.queue.is_empty() || p.timers.earliest() <= now;
                p.yield_wanted.store(waits, Ordering::Relaxed);
                any |= waits;
            }
        }
        sched::set_yield_wanted(any);
    }

    /// Whether a goroutine is queued, or a timer is due.
    fn something_waits(&self, now: Moment) -> bool {
        self.rt.global_len.load(Ordering::Relaxed) != 0
            || self.rt.all_ps().any(|p| !p.queue.is_empty())
            || self.rt.earliest_timer() <= now
    }

    fn look_at_quiet(&mut self) {
        let ran = self.rt.ran();
        let verdict = deadlock::check(self.rt);
        let dead_before = self.dead_at.take();
        self.period = match verdict {
            // Seen twice, a millisecond apart, and nothing ran from before the first look to after the second: nobody was
            // just on the way from one state to another, and no thread that was seen awake went to sleep meanwhile.
            Verdict::Deadlock if dead_before == Some(self.rt.ran()) => deadlock::report(self.rt),
            Verdict::Deadlock => {
                self.dead_at = Some(ran);
                Some(PERIOD_MIN)
            }
            _ if self.quiet < QUIET_LOOKS => Some(PERIOD_MAX),
            // Only threads of the program's own can get things going, or end: look again, ever less often.
            Verdict::Foreign => self.sleep_deeply(Some(self.longer(DEADLOCK_MAX))),
            Verdict::Alive if self.trimmer.has_work() => self.sleep_deeply(Some(DEADLOCK_MAX)),
            Verdict::Alive => self.sleep_deeply(None),
        };
    }

    fn sleep_deeply(&mut self, at_most: Option<Duration>) -> Option<Duration> {
        self.deep = true;
        at_most
    }

    /// Twice the last period.
    fn longer(&self, at_most: Duration) -> Duration {
        self.period.map_or(PERIOD_MIN, |period| (period * 2).min(at_most))
    }

    fn follow_quota(&self) {
        let useful = cpus::useful() as u32;
        if useful != self.rt.procs.load(Ordering::Relaxed) && FOLLOW.load(Ordering::Relaxed) {
            self.rt.set_procs(useful);
        }
    }
}
