//! One registered descriptor: for each direction who has heard of its last edge, until when one may wait, and who waits.
//!
//! ```text
//!   of a caller:    tries ──EAGAIN──► begin ──has heard──► waits ──edge, close, new deadline, its time is up──► tries, or ends
//!                     ▲                 │
//!                     └── has not heard ┘  (and has now)
//!
//!   of the record:  free ──used──► open ──close──► closed ──free──► free       (a new sequence number for each use)
//! ```
//! Who waits has tried its call before, and tries it again after. An edge wakes all waiters of its direction. But there may
//! also be somebody whose call failed just before the edge and who begins to wait just after it; that one must try again, or
//! it would wait for the next edge, which may never come. So a direction remembers who has heard of its last edge: the
//! one whom it woke last, or who was sent to try again last. Anybody else tries once more than needed. With one reader and
//! one writer, which is the rule, nobody does.
//!
//! Invariants:
//! 1. The lists, `heard`, `closed` and the sequence number are touched only under the record's lock.
//! 2. `heard` names somebody who tried, or is about to try, after the last edge. Names may be used again once their owner is
//!    gone: whoever has it then came after the edge as well.
//! 3. A waiter is in the list until somebody takes it out under the lock. Who does so and wins its claim owes it the one
//!    wake-up; if the claim is lost, to its own deadline, the waiter knows nothing of it and is not touched any more once
//!    the lock is given back.
//! 4. `until` is a hint outside the lock. It is 0 from the moment at which the record is closed.
//!
//! `edges` counts, so that a reader that has emptied a stream (a short read) need not try in vain before it waits again:
//! while no edge came since that reader looked, there is nothing new. A direction whose end has come may give no edge any
//! more; then its count is odd, and stays so, and a call is always worth trying. (Two machines that fetch events of one
//! descriptor may apply them in any order: that there was more to read must not undo that the end has come. A socket that
//! is not connected yet looks as if its end had come; one is registered after its `connect` has begun.)

use std::ptr::{self, NonNull};

use crate::claim::Claim;
use crate::env::Moment;
use crate::g::G;
use crate::lock::{Spin, SpinGuard};
use crate::sys::atomic::{AtomicU32, AtomicU64, Cell, Ordering};

/// Which way data flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the program: reads, accepts.
    Read = 0,
    /// Away from it: writes, connects.
    Write = 1,
}

/// What an event says about a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Nothing.
    None,
    /// A call may succeed.
    Possible,
    /// A call will succeed, or fail for good, from now on: the other end has hung up, or there is an error. Or it is worth
    /// trying whatever the last one said.
    Ended,
}

/// What an event says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edges {
    pub(crate) read: Edge,
    pub(crate) write: Edge,
}

/// By which token a waiter's claim was won (or by [`Claim::TIMED_OUT`]).
pub(crate) mod token {
    /// An edge.
    pub(crate) const READY: usize = 1;
    /// The record was closed.
    pub(crate) const CLOSED: usize = 2;
    /// There is another deadline: begin again.
    pub(crate) const DEADLINE: usize = 3;
}

/// Why there is no waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The record is closed.
    Closed,
    /// The deadline has passed.
    TimedOut,
}

/// Who waits, and how that one is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// A goroutine: whoever polls queues it.
    Goroutine(NonNull<G>),
    /// Something that wants a call with the address of its waiter: an OS thread.
    Call(unsafe fn(NonNull<Waiter>)),
}

/// What tells callers apart: no two that exist at the same time have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(usize);

impl Name {
    /// There was no edge yet of which anybody could hear.
    const EVERYBODY: Name = Name(0);
    /// Nobody has heard of the edge.
    const NOBODY: Name = Name(1);

    /// The name of whoever owns something at this address, a goroutine or a thread.
    pub(crate) fn at<T>(owned: *const T) -> Name {
        debug_assert!(owned.addr() > Name::NOBODY.0);
        Name(owned.addr())
    }
}

/// One wait. Lives in the frame of who waits.
pub(crate) struct Waiter {
    pub(crate) claim: Claim,
    who: Who,
    name: Name,
    listed: Cell<bool>,
    before: Cell<*const Waiter>,
    after: Cell<*const Waiter>,
}

impl Waiter {
    pub(crate) fn new(who: Who, name: Name) -> Waiter {
        Waiter {
            claim: Claim::new(),
            who,
            name,
            listed: Cell::new(false),
            before: Cell::new(ptr::null()),
            after: Cell::new(ptr::null()),
        }
    }
}

/// Those who can go on. Each of them waits until it is told.
#[must_use = "whoever can go on waits for ever if it is not told"]
pub(crate) struct Ready {
    first: *const Waiter,
    last: *const Waiter,
    len: usize,
}

impl Ready {
    pub(crate) fn nobody() -> Ready {
        Ready { first: ptr::null(), last: ptr::null(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, waiter: &Waiter) {
        waiter.after.set(ptr::null());
        // SAFETY: whoever is in the list waits until it is told (invariant 3).
        match unsafe { self.last.as_ref() } {
            None => self.first = waiter,
            Some(last) => last.after.set(waiter),
        }
        self.last = waiter;
        self.len += 1;
    }
}

impl Iterator for Ready {
    type Item = (NonNull<Waiter>, Who);

    /// The next one, which may be told, and be gone, at any time after this.
    fn next(&mut self) -> Option<(NonNull<Waiter>, Who)> {
        let waiter = NonNull::new(self.first.cast_mut())?;
        // SAFETY: not told yet, so it is there.
        let next = unsafe { waiter.as_ref() };
        self.first = next.after.get();
        self.len -= 1;
        Some((waiter, next.who))
    }
}

/// A record. Two cache lines: the prefetcher fetches pairs.
#[repr(align(128))]
pub(crate) struct Record {
    index: u32,
    /// For each direction, until when one may wait, in nanoseconds: `u64::MAX` without a deadline, 0 if closed.
    until: [AtomicU64; 2],
    /// For each direction: edges so far, times two; odd once an event has said `Ended`.
    edges: [AtomicU32; 2],
    /// For each direction: `edges` as whoever emptied it saw it before.
    emptied: [AtomicU32; 2],
    state: Spin<State>,
}

/// What the lock guards.
pub(crate) struct State {
    seq: u32,
    closed: bool,
    sides: [Side; 2],
    /// In the table's list of free ones.
    next_free: Option<u32>,
}

struct Side {
    /// Who has heard of the last edge (invariant 2).
    heard: Name,
    first: *const Waiter,
    last: *const Waiter,
}

// SAFETY: the links lead to waiters, which any thread may reach under the lock around this.
unsafe impl Send for State {}

const NO_DEADLINE: u64 = u64::MAX;
const CLOSED: u64 = 0;
/// An odd number: whatever `edges` says, a call is worth trying.
const NEVER_EMPTIED: u32 = u32::MAX;

/// How a wait begins.
pub(crate) enum Begun<'a> {
    /// An edge came of which the caller has not heard: the call may succeed.
    Ready,
    /// It does not.
    Failed(Failure),
    /// The waiter is in the list, and the record locked until the caller has parked; at this moment its time is up.
    Wait(Moment, SpinGuard<'a, State>),
}

impl Record {
    pub(super) fn new(index: u32) -> Record {
        let side = || Side { heard: Name::EVERYBODY, first: ptr::null(), last: ptr::null() };
        Record {
            index,
            until: [AtomicU64::new(NO_DEADLINE), AtomicU64::new(NO_DEADLINE)],
            edges: [AtomicU32::new(0), AtomicU32::new(0)],
            emptied: [AtomicU32::new(NEVER_EMPTIED), AtomicU32::new(NEVER_EMPTIED)],
            state: Spin::new(State { seq: 0, closed: true, sides: [side(), side()], next_free: None }),
        }
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Under the table's lock: free to open. Returns the sequence number of this use, and the next free record.
    pub(super) fn transition_to_used(&self) -> (u32, Option<u32>) {
        let mut state = self.state.lock();
        debug_assert!(state.closed, "a free record is closed");
        state.closed = false;
        for direction in [Direction::Read, Direction::Write] {
            let at = direction as usize;
            state.sides[at].heard = Name::EVERYBODY;
            self.until[at].store(NO_DEADLINE, Ordering::Relaxed);
            self.edges[at].store(0, Ordering::Relaxed);
            self.emptied[at].store(NEVER_EMPTIED, Ordering::Relaxed);
        }
        (state.seq, state.next_free.take())
    }

    /// Under the table's lock: open or closed to free. From here on no event of this use counts.
    pub(super) fn transition_to_free(&self, next_free: Option<u32>) {
        let mut state = self.state.lock();
        debug_assert!(state.sides.iter().all(|side| side.first.is_null()), "nobody waits for a free record");
        state.closed = true;
        state.seq = state.seq.wrapping_add(1);
        state.next_free = next_free;
    }

    /// Whether a call may be tried: not closed, and the deadline has not passed.
    #[inline]
    pub(crate) fn check(&self, direction: Direction) -> Result<(), Failure> {
        // Relaxed: whoever closed it, or set the deadline, and wants the caller to know has told it by other means.
        match self.until[direction as usize].load(Ordering::Relaxed) {
            NO_DEADLINE => Ok(()),
            until => check_slow(until),
        }
    }

    /// A call has failed because nothing is possible now: the caller is to wait, with this waiter, at most until `limit`.
    pub(crate) fn begin(&self, direction: Direction, limit: Moment, waiter: &Waiter) -> Begun<'_> {
        let mut state = self.state.lock();
        let until = self.until[direction as usize].load(Ordering::Relaxed);
        let deadline = limit.min(Moment::from_nanos(until));
        if deadline != Moment::NEVER
            && let Err(failure) =
                check_slow(if until == CLOSED { CLOSED } else { deadline.as_nanos().max(1) })
        {
            return Begun::Failed(failure);
        }
        let side = &mut state.sides[direction as usize];
        if side.heard != waiter.name && side.heard != Name::EVERYBODY {
            side.heard = waiter.name;
            return Begun::Ready;
        }
        side.push(waiter);
        Begun::Wait(deadline, state)
    }

    /// The waiter has won its claim itself: its time is up. Nobody knows it after this.
    pub(crate) fn forget(&self, direction: Direction, waiter: &Waiter) {
        let mut state = self.state.lock();
        if waiter.listed.get() {
            state.sides[direction as usize].remove(waiter);
        }
    }

    /// An event for the registration with this sequence number: who waits can go on.
    pub(super) fn edge(&self, seq: u32, edges: Edges, ready: &mut Ready) {
        let mut state = self.state.lock();
        if state.seq != seq {
            return;
        }
        for (direction, edge) in [(Direction::Read, edges.read), (Direction::Write, edges.write)] {
            self.count_edge(direction, edge);
            if edge == Edge::None {
                continue;
            }
            let side = &mut state.sides[direction as usize];
            side.heard = side.take_all(token::READY, ready).unwrap_or(Name::NOBODY);
        }
    }

    /// Under the lock.
    fn count_edge(&self, direction: Direction, edge: Edge) {
        let count = &self.edges[direction as usize];
        let step = if edge == Edge::None { 0 } else { 2 };
        let ended = u32::from(edge == Edge::Ended);
        // Release: pairs with the Acquire in `promising`.
        count.store(count.load(Ordering::Relaxed).wrapping_add(step) | ended, Ordering::Release);
    }

    /// From now on everything fails. Those who waited are told so by the caller.
    pub(crate) fn close(&self) -> Ready {
        let mut gone = Ready::nobody();
        let mut state = self.state.lock();
        state.closed = true;
        for (side, until) in state.sides.iter_mut().zip(&self.until) {
            until.store(CLOSED, Ordering::Relaxed);
            side.take_all(token::CLOSED, &mut gone);
        }
        gone
    }

    /// Another deadline for a direction. Those who wait are told by the caller, and begin again.
    pub(crate) fn set_deadline(&self, direction: Direction, deadline: Option<Moment>) -> Ready {
        let mut stirred = Ready::nobody();
        let mut state = self.state.lock();
        if !state.closed {
            // Not 0, which says something else, and has passed as well.
            let until = deadline.map_or(NO_DEADLINE, |deadline| deadline.as_nanos().max(1));
            if self.until[direction as usize].swap(until, Ordering::Relaxed) != until {
                state.sides[direction as usize].take_all(token::DEADLINE, &mut stirred);
            }
        }
        stirred
    }

    /// The edges of a direction so far: to be read before a call that may empty it.
    #[inline]
    pub(crate) fn edges(&self, direction: Direction) -> u32 {
        // Acquire: the call comes after.
        self.edges[direction as usize].load(Ordering::Acquire)
    }

    /// A call has taken all there was, and before it `edges` was read.
    #[inline]
    pub(crate) fn emptied(&self, direction: Direction, edges: u32) {
        self.emptied[direction as usize].store(edges, Ordering::Relaxed);
    }

    /// Whether a call may find something: it was not emptied, or there was an edge since, or the end has come.
    #[inline]
    pub(crate) fn promising(&self, direction: Direction) -> bool {
        // Acquire: pairs with the Release in `count_edge`.
        let edges = self.edges[direction as usize].load(Ordering::Acquire);
        edges & 1 == 1 || edges != self.emptied[direction as usize].load(Ordering::Relaxed)
    }
}

#[cold]
fn check_slow(until: u64) -> Result<(), Failure> {
    match until {
        CLOSED => Err(Failure::Closed),
        until if Moment::now().as_nanos() >= until => Err(Failure::TimedOut),
        _ => Ok(()),
    }
}

impl Side {
    fn push(&mut self, waiter: &Waiter) {
        debug_assert!(!waiter.listed.get(), "a waiter is in one list");
        waiter.listed.set(true);
        waiter.before.set(self.last);
        waiter.after.set(ptr::null());
        // SAFETY: whoever is in the list is there (invariant 3).
        match unsafe { self.last.as_ref() } {
            None => self.first = waiter,
            Some(last) => last.after.set(waiter),
        }
        self.last = waiter;
    }

    fn remove(&mut self, waiter: &Waiter) {
        waiter.listed.set(false);
        let (before, after) = (waiter.before.get(), waiter.after.get());
        // SAFETY: the neighbours are in the list, so they are there (invariant 3).
        match unsafe { before.as_ref() } {
            None => self.first = after,
            Some(before) => before.after.set(after),
        }
        // SAFETY: as above.
        match unsafe { after.as_ref() } {
            None => self.last = before,
            Some(after) => after.before.set(before),
        }
    }

    /// Takes all waiters out, and those whose claim this wins into `to`. The name of the last of these.
    fn take_all(&mut self, token: usize, to: &mut Ready) -> Option<Name> {
        let mut last = None;
        // SAFETY: whoever is in the list is there (invariant 3).
        while let Some(waiter) = unsafe { self.first.as_ref() } {
            self.remove(waiter);
            if waiter.claim.try_win(token) {
                last = Some(waiter.name);
                to.push(waiter);
            }
        }
        last
    }
}
