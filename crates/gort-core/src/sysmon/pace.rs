//! How often the monitor looks: in microseconds after something was found, ever less often while nothing is.
//!
//! | what it saw | next look |
//! | --- | --- |
//! | it took a processor | 20 us: where one thread blocks, the next one will |
//! | it was roused | 100 us |
//! | it asked for one | 500 us: while threads change places it would be in their way, and be made to wait by the kernel |
//! | work waits, or somebody computes, and no processor is idle | twice the last, at most 1 ms |
//! | nothing waits | twice the last, at most 10 ms |
//!
//! And not later than a timer of a processor whose goroutine computes.

use std::time::Duration;

use crate::env::Moment;

/// What a look at the processors has found.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// A processor was taken.
    pub(super) took: bool,
    /// A goroutine was asked to give its processor up.
    pub(super) asked: bool,
    /// No processor is idle, and somebody waits for one or stands at one thing.
    pub(super) tight: bool,
    /// Some goroutine was run since the last look, or computes in its slice; or none was kept from it.
    pub(super) progress: bool,
    /// A goroutine is asked to yield at its next checkpoint.
    pub(super) asked_to_yield: bool,
}

const SOONEST: Duration = Duration::from_micros(20);
const SOON: Duration = Duration::from_micros(100);
const AFTER_ASKING: Duration = Duration::from_micros(500);
const TIGHT_MAX: Duration = Duration::from_millis(1);
const LOOSE_MAX: Duration = Duration::from_millis(10);

/// When the next look is.
#[derive(Debug)]
pub(super) struct Pace {
    period: Duration,
    next: Moment,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { period: SOON, next: Moment::after(SOON) }
    }

    pub(super) fn next(&self) -> Moment {
        self.next
    }

    /// Somebody has roused the monitor.
    pub(super) fn hurry(&mut self, now: Moment) {
        // The look that follows at once doubles it.
        self.wait(now, SOON / 2);
    }

    /// After a look while goroutines run.
    pub(super) fn step(&mut self, now: Moment, seen: &Seen) {
        let period = match seen {
            Seen { took: true, .. } => SOONEST,
            Seen { asked: true, .. } => AFTER_ASKING,
            Seen { tight: true, .. } => (self.period * 2).min(TIGHT_MAX),
            _ => (self.period * 2).min(LOOSE_MAX),
        };
        self.wait(now, period);
    }

    pub(super) fn no_later_than(&mut self, deadline: Moment) {
        self.next = self.next.min(deadline);
    }

    pub(super) fn wait(&mut self, now: Moment, period: Duration) {
        self.period = period;
        self.next = now.plus(period);
    }

    pub(super) fn wait_longer(&mut self, now: Moment, at_most: Duration) {
        self.wait(now, (self.period * 2).min(at_most));
    }

    /// Until roused.
    pub(super) fn wait_for_ever(&mut self) {
        self.period = LOOSE_MAX;
        self.next = Moment::NEVER;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_slows_down_while_nothing_is_found_and_hurries_when_something_is() {
        let (mut pace, now) = (Pace::new(), Moment::from_nanos(1));
        let loose = Seen::default();
        let tight = Seen { tight: true, ..Seen::default() };
        (0..20).for_each(|_| pace.step(now, &tight));
        assert_eq!(pace.next(), now.plus(TIGHT_MAX));
        (0..20).for_each(|_| pace.step(now, &loose));
        assert_eq!(pace.next(), now.plus(LOOSE_MAX));
        pace.step(now, &Seen { took: true, ..Seen::default() });
        assert_eq!(pace.next(), now.plus(SOONEST));
        pace.step(now, &loose);
        assert_eq!(pace.next(), now.plus(2 * SOONEST));
    }

    #[test]
    fn a_timer_is_not_slept_past() {
        let (mut pace, now) = (Pace::new(), Moment::from_nanos(1));
        pace.wait(now, LOOSE_MAX);
        pace.no_later_than(now.plus(TIGHT_MAX));
        assert_eq!(pace.next(), now.plus(TIGHT_MAX));
        pace.no_later_than(Moment::NEVER);
        assert_eq!(pace.next(), now.plus(TIGHT_MAX));
    }
}
