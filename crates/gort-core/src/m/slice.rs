//! The time slice of a goroutine that is frozen while it computes and thawed later, on the same machine.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::env::Moment;
use crate::p::P;

/// How much of it is used. Written under the scheduler's lock, or by who has taken the machine out of a line.
pub(crate) struct Slice {
    /// The number of the processor on which it was frozen last, or thawed.
    p: Cell<u32>,
    /// Of that processor, when it was thawed: as long as it stands there, it is still this goroutine that has the processor, and
    /// not another one on the same machine.
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

    /// The number of the processor on which it was frozen; of a frozen machine.
    pub(crate) fn home(&self) -> u32 {
        self.p.get()
    }

    /// It goes on on `p`, whose new tick this is.
    pub(crate) fn thaw(&self, p: &P, tick: u32, now: Moment) {
        self.p.set(p.id);
        self.tick.set(tick);
        self.since.set(now);
    }

    /// It is frozen, on `p`, which it still has; or without a processor, which ends its slice. False: nothing is left, and the
    /// next one begins when it is thawed.
    ///
    /// The first slice of a goroutine begins when it is first frozen.
    pub(crate) fn freeze(&self, p: Option<&P>, now: Moment) -> bool {
        let used = match p {
            None => Self::LENGTH,
            // Relaxed: by the owner of the processor, as it was written.
            Some(p) if (self.p.replace(p.id), self.tick.get()) == (p.id, p.tick.load(Ordering::Relaxed)) => {
                self.used.get() + now.since(self.since.get())
            }
            Some(_) => Duration::ZERO,
        };
        let left = used < Self::LENGTH;
        self.used.set(if left { used } else { Duration::ZERO });
        left
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
        assert!(slice.freeze(Some(&p), ms(100)), "it has only begun");
        slice.thaw(&p, p.advance_tick(), ms(101));
        assert!(slice.freeze(Some(&p), ms(107)));
        slice.thaw(&p, p.advance_tick(), ms(120));
        assert!(slice.freeze(Some(&p), ms(123)));
        slice.thaw(&p, p.advance_tick(), ms(124));
        assert!(!slice.freeze(Some(&p), ms(125)), "6, 3 and 1 ms are all there is");
        slice.thaw(&p, p.advance_tick(), ms(130));
        assert!(slice.freeze(Some(&p), ms(139)), "a new one");
        assert!(!slice.freeze(None, ms(140)), "without a processor there is none");
        assert_eq!(slice.home(), 3);
    }

    #[test]
    fn a_machine_that_turns_to_another_goroutine_begins_anew() {
        let (slice, p) = (Slice::new(), P::new(0, 1));
        slice.freeze(Some(&p), ms(100));
        slice.thaw(&p, p.advance_tick(), ms(101));
        // That one has parked, and the processor has found the next.
        p.advance_tick();
        assert!(slice.freeze(Some(&p), ms(150)));
        slice.thaw(&p, p.advance_tick(), ms(151));
        assert!(slice.freeze(Some(&p), ms(160)), "the first one's time does not count");
    }
}
