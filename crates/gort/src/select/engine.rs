//! How a select is decided.
//!
//! ```text
//!   quick    ask the cases one after the other, in random order, each under its own lock; the first that can begin wins
//!   locked   lock all channels in address order; ask again; now the answer holds for one instant
//!   parked   still under all locks, queue a node with each channel; the park's commit gives the locks back
//!   woken    one waker has won the claim, or the deadline has; take the other nodes back; if told to look again, do
//! ```
//! *Quick* is sound because any case that is ready at the moment it is asked is a right choice. It is not a right
//! answer that *nothing* is ready, for the cases were asked at different moments, nor that a case is the *first* that is
//! ready: so a default, a park, and all but the first case of a biased select wait for *locked*.
//!
//! Invariants:
//! 1. While the nodes are queued, `claim`, `nodes` and the payload's place stay where they are: all live in frames below
//!    the park.
//! 2. A node is in its case's queue, or was popped by the winner of the claim, or was dropped from the queue by somebody
//!    who lost it. After the park all but the winner's are taken back under their locks.
//! 3. The payload is written by the winner alone.
//! 4. Before a park there is nothing left to wake or free: a commit runs on the scheduler's stack and only unlocks.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::lock::RawSpin;
use gort_core::park;

use super::order::{self, Chance};
use super::payload::Payload;
use crate::channel::{AT_ONCE, Begun, Case, Owed, Receiver, Sender, meet};
use crate::waitq::Node;

/// One case of a select: an end of a channel and what to do with it. What never changes is looked up once.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct Arm<'a> {
    case: &'a dyn Case,
    channel: *const (),
    lock: Option<&'a RawSpin>,
    payload: Layout,
    receives: bool,
    /// Whether the case can begin by itself, at its `due` moment.
    ticks: bool,
}

impl<'a> Arm<'a> {
    /// A receive.
    #[inline]
    pub fn recv<T>(rx: &'a Receiver<T>) -> Arm<'a> {
        Arm {
            case: rx,
            channel: rx.id(),
            lock: rx.lock_word(),
            payload: Layout::new::<T>(),
            receives: true,
            ticks: rx.ticks(),
        }
    }

    /// A send.
    #[inline]
    pub fn send<T>(tx: &'a Sender<T>) -> Arm<'a> {
        Arm {
            case: tx,
            channel: tx.id(),
            lock: tx.lock_word(),
            payload: Layout::new::<()>(),
            receives: false,
            ticks: false,
        }
    }

    #[inline]
    pub(super) fn case(&self) -> &'a dyn Case {
        self.case
    }

    /// The channel's lock; none for a nil channel.
    #[inline]
    pub(super) fn lock_word(&self) -> Option<&'a RawSpin> {
        self.lock
    }

    /// The layout of what a receive yields.
    #[inline]
    pub(super) fn payload(&self) -> Layout {
        self.payload
    }

    /// Whether this is a receive from the channel of this identity.
    #[inline]
    pub(super) fn receives_from(&self, channel: *const ()) -> bool {
        self.receives && self.channel == channel
    }

    /// Whether this is a send on the channel of this identity.
    #[inline]
    pub(super) fn sends_on(&self, channel: *const ()) -> bool {
        !self.receives && self.channel == channel
    }
}

/// The most cases that a select can have: Go's limit.
pub(super) const MAX_CASES: usize = 1 << 16;

/// Memory that a select works with, one place for each case.
pub(super) struct Scratch<'s> {
    pub(super) nodes: &'s mut [MaybeUninit<Node>],
    /// In which order the cases are asked: filled with 0, 1, 2...
    pub(super) polls: &'s mut [u16],
    pub(super) locks: &'s mut [u16],
}

/// What a select works for.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// Whether of several ready cases the first is chosen, and not a random one.
    pub(super) biased: bool,
    pub(super) deadline: Moment,
}

/// Chooses a case and begins it. A received value is in `payload`. `None`: none could begin before the deadline.
#[inline]
pub(super) fn choose(
    arms: &[Arm<'_>],
    scratch: Scratch<'_>,
    terms: Terms,
    payload: &mut Payload,
) -> Option<(usize, Begun)> {
    park::checkpoint();
    // Of a biased select only the first case can be decided without looking at the others.
    let quick = if terms.biased { arms.len().min(1) } else { arms.len() };
    let mut chance = Chance::new();
    for at in 0..quick {
        let index = if terms.biased { at } else { chance.draw(scratch.polls, at) };
        let arm = &arms[index];
        // Without a place for the value the case is only asked whether it could begin.
        let place = match payload.place(arm.payload()) {
            Some(place) => place,
            None if !arm.case().may_begin() => continue,
            None => payload.reserve(arm.payload()),
        };
        // SAFETY: the place was made for this arm's payload.
        if let Some(begun) = unsafe { arm.case().begin_alone(place) } {
            return Some((index, begun));
        }
    }
    if arms.len() == 1 && terms.deadline == AT_ONCE {
        return None;
    }
    choose_slow(arms, scratch, terms, payload)
}

#[inline(never)]
fn choose_slow(
    arms: &[Arm<'_>],
    scratch: Scratch<'_>,
    terms: Terms,
    payload: &mut Payload,
) -> Option<(usize, Begun)> {
    let Scratch { nodes, polls, locks } = scratch;
    let locks = Locks { arms, order: order::by_lock(arms, locks) };
    // Afterwards no arm's payload needs memory any more.
    payload.reserve(widest(arms));
    loop {
        let mut owed = Owed::new();
        locks.lock();
        if let Some((index, begun)) = begin_any(arms, polls, payload, &mut owed) {
            let Begun::Promised(sender) = begun else {
                locks.unlock();
                owed.pay();
                return Some((index, begun));
            };
            let place = payload.reserve(arms[index].payload());
            debug_assert!(owed.is_empty(), "a park's commit only unlocks");
            // SAFETY: the case has popped the sender for us; the place takes its value.
            if unsafe { meet(sender, place, WaitReason::Select, || locks.unlock()) } {
                return Some((index, Begun::Received));
            }
            continue;
        }
        if has_passed(terms.deadline) {
            locks.unlock();
            owed.pay();
            return None;
        }
        let claim = Claim::new();
        let sleeper = park::current();
        // In random order: of several nodes in one queue the first is served.
        for index in polls.iter().map(|&index| usize::from(index)) {
            let arm = &arms[index];
            let slot = if arm.receives { payload.reserve(arm.payload()) } else { ptr::null_mut() };
            let node = nodes[index].write(Node::with_claim(sleeper, &claim, index + 1, slot));
            // SAFETY: the lock is held; the node stays in its place until the park is over (invariants 1 and 2).
            unsafe { arm.case().enqueue(node) };
        }
        locks.park(terms.deadline, &claim);

        let winner = claim.winner();
        take_back(arms, nodes, winner, |case, node| {
            // SAFETY: `take_back` holds the lock.
            unsafe { case.dequeue(node) }
        });
        if winner != Claim::TIMED_OUT {
            // SAFETY: all nodes were written above.
            let node = unsafe { nodes[winner - 1].assume_init_ref() };
            if node.ok.get() {
                return Some((winner - 1, begun_by_waker(&arms[winner - 1], node)));
            }
        }
    }
}

/// Asks the cases in the order of `polls`, all locks held.
fn begin_any(
    arms: &[Arm<'_>],
    polls: &[u16],
    payload: &mut Payload,
    owed: &mut Owed,
) -> Option<(usize, Begun)> {
    polls.iter().find_map(|&index| {
        let index = usize::from(index);
        let place = payload.reserve(arms[index].payload());
        // SAFETY: all locks are held, and the place is for this arm's payload.
        unsafe { arms[index].case().begin(place, owed) }.map(|begun| (index, begun))
    })
}

/// What the waker of `node` has begun for us.
fn begun_by_waker(arm: &Arm<'_>, node: &Node) -> Begun {
    if arm.receives {
        return Begun::Received;
    }
    match NonNull::new(node.slot.get().cast::<Node>()) {
        // A receiver waits for our value; see `channel::meet`.
        Some(receiver) => Begun::Receiver(receiver),
        None => Begun::Reserved,
    }
}

/// Waits until one of the cases might begin, without beginning it. `None`: the deadline came first.
pub(super) fn await_ready(arms: &[Arm<'_>], scratch: Scratch<'_>, terms: Terms) -> Option<usize> {
    park::checkpoint();
    let Scratch { nodes, polls, locks } = scratch;
    if !terms.biased {
        let mut chance = Chance::new();
        for at in 0..polls.len() {
            chance.draw(polls, at);
        }
    }
    let ready =
        || polls.iter().map(|&index| usize::from(index)).find(|&index| arms[index].case().may_begin());
    if !terms.biased
        && let Some(index) = ready()
    {
        return Some(index);
    }
    let locks = Locks { arms, order: order::by_lock(arms, locks) };
    loop {
        locks.lock();
        let found = ready();
        if found.is_some() || has_passed(terms.deadline) {
            locks.unlock();
            return found;
        }
        let claim = Claim::new();
        let sleeper = park::current();
        for (index, arm) in arms.iter().enumerate() {
            let node = nodes[index].write(Node::with_claim(sleeper, &claim, index + 1, ptr::null_mut()));
            // SAFETY: the lock is held; the node stays in its place until the park is over (invariants 1 and 2).
            unsafe { arm.case().observe(node) };
        }
        locks.park(terms.deadline, &claim);
        take_back(arms, nodes, claim.winner(), |case, node| {
            // SAFETY: `take_back` holds the lock.
            unsafe { case.unobserve(node) }
        });
    }
}

/// Takes the nodes back from the queues, but for the winner's, which was popped.
fn take_back(arms: &[Arm<'_>], nodes: &[MaybeUninit<Node>], winner: usize, take: impl Fn(&dyn Case, &Node)) {
    for (index, arm) in arms.iter().enumerate() {
        if index + 1 == winner {
            continue;
        }
        if let Some(lock) = arm.lock_word() {
            lock.lock();
            // SAFETY: all nodes were written before the park.
            take(arm.case(), unsafe { nodes[index].assume_init_ref() });
            // SAFETY: taken above.
            unsafe { lock.unlock() };
        }
    }
}

/// The locks of a select's channels.
#[derive(Clone, Copy)]
struct Locks<'l> {
    arms: &'l [Arm<'l>],
    order: &'l [u16],
}

impl Locks<'_> {
    fn words(&self) -> impl DoubleEndedIterator<Item = &RawSpin> {
        self.order.iter().filter_map(|&index| self.arms[usize::from(index)].lock_word())
    }

    fn lock(&self) {
        for word in self.words() {
            word.lock();
        }
    }

    /// Gives the locks back, which are held.
    fn unlock(&self) {
        for word in self.words().rev() {
            // SAFETY: called once after each `lock`, by the same select.
            unsafe { word.unlock() };
        }
    }

    /// Parks until a waker or the deadline has won `claim`, or a clock among the cases is due. Gives the locks back.
    #[inline(always)]
    fn park(&self, deadline: Moment, claim: &Claim) {
        let due = self.arms.iter().filter(|arm| arm.ticks).map(|arm| arm.case().due()).min();
        let until = deadline.min(due.unwrap_or(Moment::NEVER));
        let reason = if self.order.is_empty() { WaitReason::SelectNoCases } else { WaitReason::Select };
        match until {
            // Not a matter of course: this one is always inlined.
            Moment::NEVER => park::park(reason, || self.unlock()),
            _ => park::park_until(reason, until, claim, || self.unlock()),
        }
    }
}

/// A layout into which each case's payload fits.
fn widest(arms: &[Arm<'_>]) -> Layout {
    let (size, align) = arms
        .iter()
        .map(|arm| arm.payload())
        .fold((0, 1), |(size, align), layout| (layout.size().max(size), layout.align().max(align)));
    Layout::from_size_align(size, align).expect("a select's values are in range")
}

/// Whether one must not wait for this deadline.
fn has_passed(deadline: Moment) -> bool {
    deadline == AT_ONCE || deadline != Moment::NEVER && deadline <= Moment::now()
}
