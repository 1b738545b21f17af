//! The time slice of a goroutine that is stopped while it computes and goes on later, on the same machine.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::env::Moment;
use crate::p::P;

/// How much of it is used. Written under the scheduler's lock, or by who has taken the machine out of a line.
pub(crate) struct Slice {
    /// The processor on which it goes on, or was stopped, and what that had turned to: as long as the tick stands there, it is
    /// still this goroutine that has the processor, and not another one on the same machine.
    p: Cell<u32>,
    tick: Cell<u32>,
    since: Cell<Moment>,
    used: Cell<Duration>,
}

impl Slice {
    /// How long a goroutine that computes may have a processor that others like it wait for: as in Go.
    pub(crate) const LENGTH: Duration = Duration::from_millis(10);

    pub(super) fn new() -> Slice {
        Slice {
            p: Cell::new(u32::MAX),
            tick: Cell::new(0),
            since: Cell::new(Moment::NEVER),
            used: Cell::new(Duration::ZERO),
        }
    }

    /// The number of the processor on which it was stopped.
    pub(crate) fn home(&self) -> u32 {
        self.p.get()
    }

    /// It goes on on `p`, whose new tick this is.
    pub(crate) fn go_on(&self, p: &P, tick: u32, now: Moment) {
        self.p.set(p.id);
        self.tick.set(tick);
        self.since.set(now);
    }

    /// It is stopped, on `p`, which it still has. False: nothing is left, and it begins anew when it next goes on.
    ///
    /// The first slice of a goroutine begins when it is first stopped.
    pub(crate) fn stop(&self, p: &P, now: Moment) -> bool {
        let went_on = (self.p.get(), self.tick.get()) == (p.id, p.tick.load(Ordering::Relaxed));
        let used = if went_on { self.used.get() + now.since(self.since.get()) } else { Duration::ZERO };
        self.p.set(p.id);
        let left = used < Self::LENGTH;
        self.used.set(if left { used } else { Duration::ZERO });
        left
    }

    /// Nothing is left of it.
    pub(crate) fn spend(&self) {
        self.used.set(Duration::ZERO);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn ms(n: u64) -> Moment {
        Moment::from_nanos(1_000_000 * n)
    }

    #[test]
    fn interruptions_do_not_lengthen_it() {
        let (slice, p) = (Slice::new(), P::new(3, 1));
        assert!(slice.stop(&p, ms(100)), "it has only begun");
        slice.go_on(&p, p.turns_to_another(), ms(101));
        assert!(slice.stop(&p, ms(107)));
        slice.go_on(&p, p.turns_to_another(), ms(120));
        assert!(slice.stop(&p, ms(123)));
        slice.go_on(&p, p.turns_to_another(), ms(124));
        assert!(!slice.stop(&p, ms(125)), "6, 3 and 1 ms are all there is");
        slice.go_on(&p, p.turns_to_another(), ms(130));
        assert!(slice.stop(&p, ms(139)), "a new one");
        assert_eq!(slice.home(), 3);
    }

    #[test]
    fn a_machine_that_turns_to_another_goroutine_begins_anew() {
        let (slice, p) = (Slice::new(), P::new(0, 1));
        slice.stop(&p, ms(100));
        slice.go_on(&p, p.turns_to_another(), ms(101));
        // That one has parked, and the processor has found the next.
        p.turns_to_another();
        assert!(slice.stop(&p, ms(150)));
        slice.go_on(&p, p.turns_to_another(), ms(151));
        assert!(slice.stop(&p, ms(160)), "the first one's time does not count");
    }
}
