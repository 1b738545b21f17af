//! Frozen machines: threads that were stopped in the middle of a goroutine's code, inside a signal handler, and go on when
//! somebody brings them a processor ([`preempt`](crate::preempt)).
//!
//! A frozen goroutine is runnable, but only its own thread can run it, so it is the machine that stands in line and not
//! the goroutine.
//!
//! There are two lines. Who has used its slice up is *spent*, and they take turns, first come, first served; but where it
//! makes little difference a processor takes one that it had before. Who was interrupted within its slice, for a timer or
//! for a goroutine that was woken, goes on where it was as soon as that processor has done the other thing: its thread and
//! what it works on are at home on that CPU, and if it had to queue behind the spent ones, a thousand short interruptions
//! would be as many changes of CPU. The length of both counts as part of the global queue's, so that whoever looks for work
//! looks here too.
//!
//! Whom the processor goes to, a frozen machine or a goroutine in a queue: frozen ones have computed for long, the others
//! were mostly woken by something, so those go first; but once the next frozen machine has waited for [`PATIENCE`], and a
//! processor has run others for as long, it is its turn. After it the queues have theirs, however long the next in line has
//! waited: with one that had always waited long enough a goroutine in a queue would never run.

use std::time::Duration;

use super::{Runtime, Shared};
use crate::env::Moment;
use crate::g::G;
use crate::m::slice::Slice;
use crate::m::{Call, M};
use crate::p::P;
use crate::sys::atomic::Ordering;
use crate::sys::thread::{self, Manner};

/// How long others go before the first frozen machine.
const PATIENCE: Duration = Duration::from_millis(1);

/// After so long somebody who has used its slice up goes on before those who were interrupted within theirs.
const SPENT_MAX: Duration = Duration::from_millis(40);

/// Those who wait; guarded by the scheduler's lock.
#[derive(Default)]
pub(crate) struct Frozen {
    interrupted: Line,
    spent: Line,
}

impl Frozen {
    pub(crate) fn len(&self) -> usize {
        self.interrupted.len + self.spent.len
    }

    /// Who is next on the processor of this number: who was interrupted there, or else who has waited longest, or hardly less
    /// long and has been there before. But however many are interrupted, now and then one of the spent ones has its turn.
    fn next(&mut self, p: u32) -> Option<Place<'_>> {
        if self.spent.has_not_moved_for(SPENT_MAX) {
            return Some(Place { line: &mut self.spent, before: None });
        }
        if let Some(before) = self.interrupted.find(|m| m.slice.home() == p) {
            return Some(Place { line: &mut self.interrupted, before });
        }
        let oldest = self.oldest()?;
        let soon = oldest.who()?.frozen_at.get().plus(Slice::LENGTH / 2);
        match oldest.line.find(|m| m.slice.home() == p && m.frozen_at.get() < soon) {
            Some(before) => Some(Place { before, ..oldest }),
            None => Some(oldest),
        }
    }

    /// Whoever has waited longest.
    fn oldest(&mut self) -> Option<Place<'_>> {
        let since = |line: &Line| line.first.map_or(Moment::NEVER, |m| m.frozen_at.get());
        let line = match since(&self.interrupted) < since(&self.spent) {
            true => &mut self.interrupted,
            false => &mut self.spent,
        };
        (line.len != 0).then_some(Place { line, before: None })
    }
}

/// Where in a line somebody stands.
struct Place<'a> {
    line: &'a mut Line,
    /// Who stands in front.
    before: Option<&'static M>,
}

impl Place<'_> {
    fn who(&self) -> Option<&'static M> {
        self.line.after(self.before)
    }

    fn leave(self) -> Option<&'static M> {
        self.line.remove_after(self.before)
    }
}

/// Linked by `M::next`, in the order in which they came.
#[derive(Default)]
struct Line {
    first: Option<&'static M>,
    last: Option<&'static M>,
    len: usize,
    /// When somebody left, or came as the only one.
    moved: Option<Moment>,
}

impl Line {
    /// Somebody is there, and has been, and nobody has left.
    fn has_not_moved_for(&self, time: Duration) -> bool {
        self.len != 0 && self.moved.is_some_and(|moved| Moment::now().since(moved) > time)
    }

    fn push(&mut self, m: &'static M) {
        if self.len == 0 {
            self.moved = Some(Moment::now());
        }
        m.next.set(None);
        match self.last.replace(m) {
            Some(last) => last.next.set(Some(m)),
            None => self.first = Some(m),
        }
        self.len += 1;
    }

    /// Who stands in front of the first such machine: somebody, or nobody. None: there is no such machine.
    fn find(&self, such: impl Fn(&M) -> bool) -> Option<Option<&'static M>> {
        let mut before = None;
        while let Some(m) = self.after(before) {
            if such(m) {
                return Some(before);
            }
            before = Some(m);
        }
        None
    }

    fn after(&self, before: Option<&'static M>) -> Option<&'static M> {
        before.map_or(self.first, |m| m.next.get())
    }

    fn remove_after(&mut self, before: Option<&'static M>) -> Option<&'static M> {
        let m = self.after(before)?;
        let rest = m.next.take();
        match before {
            Some(before) => before.next.set(rest),
            None => self.first = rest,
        }
        if rest.is_none() {
            self.last = before;
        }
        self.len -= 1;
        self.moved = Some(Moment::now());
        Some(m)
    }
}

impl Runtime {
    /// The thread of `m`, which stands in the middle of `g`'s code, gives its processor to others and waits for one.
    pub(crate) fn freeze(&self, m: &'static M, g: &'static G) {
        let frozen = match (m.p(), m.call()) {
            (Some(p), Call::None) => self.freeze_with(m, g, p),
            (None, Call::Found) => self.freeze_without(m, g),
            // It is in a call that it has announced, and in nobody's way.
            _ => false,
        };
        if frozen {
            m.computes.set(true);
            let usual = thread::behave(Manner::Frozen);
            self.wait_in_line(m);
            if usual {
                thread::behave(Manner::Computes);
            }
            g.status.transition_to_running();
        }
    }

    fn freeze_with(&self, m: &'static M, g: &'static G, p: &'static P) -> bool {
        p.stats.preemptions.up();
        m.release_p();
        g.status.transition_to_yielded();
        self.stand_in_line(m, Some(p));
        self.handoff_p(p);
        true
    }

    /// It had slept in a call that nobody announced, lost its processor, and has run on without since it woke.
    fn freeze_without(&self, m: &'static M, g: &'static G) -> bool {
        if let Some(p) = self.take_idle_p() {
            self.call_is_over_with(m, p);
            return false;
        }
        g.status.transition_to_yielded();
        // Once in line it may be let go on without a processor, which is a call again.
        m.set_call(Call::None);
        self.stand_in_line(m, None);
        self.one_call_less();
        // A processor may have become idle before its machine could see us.
        self.wake_p();
        true
    }

    /// `m` has just let go of `p`, if it had one, and nobody has it yet.
    fn stand_in_line(&self, m: &'static M, p: Option<&'static P>) {
        let now = Moment::now();
        let mut shared = self.shared.lock();
        let line = match m.slice.freeze(p, now) {
            true => &mut shared.frozen.interrupted,
            false => &mut shared.frozen.spent,
        };
        m.frozen_at.set(now);
        line.push(m);
        self.publish_global(&shared);
    }

    fn wait_in_line(&self, m: &'static M) {
        while !m.note.sleep(None) {}
        match m.take_next_p() {
            Some(p) => m.acquire_p(p),
            // The monitor lets us go on without one, and has counted us.
            None => debug_assert_eq!(m.call(), Call::Found),
        }
    }

    /// Machines in line.
    pub(crate) fn frozen(&self) -> usize {
        self.frozen_len.load(Ordering::Relaxed)
    }

    /// Owner of `p`: takes the frozen machine out of the line whose turn it is to have `p`.
    pub(super) fn next_frozen(&self, shared: &mut Shared, p: &'static P) -> Option<&'static M> {
        let others = !(shared.global.is_empty() && p.queue.is_empty());
        let next = shared.frozen.next(p.id)?;
        let m = next.who()?;
        if others {
            let now = Moment::now();
            // The last one that had it was frozen before: now it is for the others, however long this one has waited.
            if p.thawed.replace(false) {
                p.thawed_at.set(now);
                return None;
            }
            if now.since(m.frozen_at.get().max(p.thawed_at.get())) < PATIENCE {
                return None;
            }
        }
        p.thawed.set(true);
        next.leave();
        self.publish_global(shared);
        Some(m)
    }

    /// Brings `p` to the frozen machine `m`, which is not in line any more.
    pub(crate) fn thaw(&self, m: &'static M, p: &'static P) {
        let tick = p.advance_tick();
        // (Who takes a frozen machine out of its line may write this.)
        m.slice.thaw(p, tick, Moment::now());
        m.wake_with(p);
    }

    /// Brings `p`, for which no other machine can be had, to the next in line, before its turn. False: nobody is in line.
    pub(super) fn thaw_early(&self, p: &'static P) -> bool {
        let frozen = {
            let mut shared = self.shared.lock();
            let frozen = shared.frozen.next(p.id).and_then(Place::leave);
            self.publish_global(&shared);
            frozen
        };
        frozen.inspect(|m| self.thaw(m, p)).is_some()
    }

    /// Lets the one that has waited longest go on without a processor, if it waits since `before`: it may hold what everybody
    /// else waits for. It is in a call that was found, from here on.
    pub(crate) fn thaw_without(&self, before: Moment) -> Option<&'static M> {
        let m = {
            let mut shared = self.shared.lock();
            let oldest = shared.frozen.oldest()?;
            if oldest.who()?.frozen_at.get() > before {
                return None;
            }
            // SeqCst: as in `blocking`.
            self.in_blocking.fetch_add(1, Ordering::SeqCst);
            let m = oldest.leave();
            self.publish_global(&shared);
            m?
        };
        // Before it is woken, and not by itself: it may take long to wake, and whoever looks after such machines must not
        // take it for one that has a processor again. (Who takes a frozen machine out of the line may write this.)
        m.set_call(Call::Found);
        m.note.wake();
        Some(m)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A machine that was frozen at this millisecond, on the processor of this number.
    fn machine(id: u32, at_ms: u64, home: u32) -> &'static M {
        let m: &'static M = Box::leak(Box::new(M::new(id)));
        m.frozen_at.set(Moment::from_nanos(at_ms * MS));
        m.slice.thaw(&P::new(home, 1), 0, Moment::from_nanos(0));
        m
    }

    /// The numbers of the machines in the order in which the processor would take them.
    fn order(frozen: &mut Frozen, p: u32) -> Vec<u32> {
        std::iter::from_fn(|| frozen.next(p).and_then(Place::leave)).map(|m| m.id).collect()
    }

    #[test]
    fn who_was_interrupted_here_goes_on_before_those_whose_slice_is_over() {
        let mut frozen = Frozen::default();
        frozen.spent.push(machine(1, 100, 0));
        frozen.interrupted.push(machine(2, 200, 1));
        frozen.interrupted.push(machine(3, 201, 0));
        assert_eq!(frozen.len(), 3);
        assert_eq!(order(&mut frozen, 0), [3, 1, 2]);
        assert_eq!(frozen.len(), 0);
        assert!(frozen.next(0).is_none());
    }

    #[test]
    fn who_was_interrupted_on_a_processor_that_is_gone_does_not_wait_for_ever() {
        let mut frozen = Frozen::default();
        frozen.interrupted.push(machine(1, 100, 7));
        frozen.spent.push(machine(2, 110, 0));
        assert_eq!(order(&mut frozen, 0), [1, 2]);
    }

    #[test]
    fn of_two_that_have_waited_about_as_long_a_processor_takes_its_own() {
        let mut frozen = Frozen::default();
        frozen.spent.push(machine(1, 100, 1));
        frozen.spent.push(machine(2, 104, 0));
        frozen.spent.push(machine(3, 106, 0));
        assert_eq!(order(&mut frozen, 0), [2, 1, 3]);
        frozen.spent.push(machine(1, 100, 1));
        frozen.spent.push(machine(2, 106, 0));
        assert_eq!(order(&mut frozen, 0), [1, 2], "half a slice longer is longer");
    }

    #[test]
    fn many_short_interruptions_do_not_starve_who_has_used_its_slice_up() {
        let mut frozen = Frozen::default();
        frozen.spent.push(machine(1, 100, 0));
        frozen.interrupted.push(machine(2, 101, 0));
        frozen.interrupted.push(machine(3, 102, 0));
        assert_eq!(frozen.next(0).and_then(Place::leave).map(|m| m.id), Some(2));
        std::thread::sleep(SPENT_MAX + Duration::from_millis(1));
        frozen.interrupted.push(machine(4, 103, 0));
        assert_eq!(order(&mut frozen, 0), [1, 3, 4]);
    }

    #[test]
    fn the_oldest_of_both_lines() {
        let mut frozen = Frozen::default();
        assert!(frozen.oldest().is_none());
        frozen.spent.push(machine(1, 100, 0));
        frozen.interrupted.push(machine(2, 90, 0));
        let oldest = |frozen: &mut Frozen| frozen.oldest().and_then(Place::leave).map(|m| m.id);
        assert_eq!([oldest(&mut frozen), oldest(&mut frozen), oldest(&mut frozen)], [Some(2), Some(1), None]);
    }
}
