//! A processor's timers: a 4-ary heap of moments. Reads no clock and readies nobody: [`Timers::check`] is told the time
//! and returns what has come due, as a list that the caller works off.
//!
//! ```text
//!   a node:  idle ──add──► in a heap ──check, claim won──► due (returned by check) ──acted on──► idle
//!                             │  └────check, claim lost──► idle
//!                             └──────────cancel──────────► idle
//! ```
//! Invariants:
//! 1. A node's position and moment are touched only under the lock of the heap it is in; `Node::heap` names that heap
//!    and is changed only under its lock.
//! 2. Once `Node::heap` is null the heap does not touch the node any more, except that a node which came due is handed
//!    to the caller of `check`; its owner can not go on before that caller has acted on it.
//! 3. `earliest` is the moment of the heap's first entry whenever the lock is free.
//!
//! A node's place in the heap is tracked only if it can be cancelled; a plain sleep can not, and then sifting entries
//! does not touch the nodes, which are cold memory. Entries keep the moment inline for the same reason.

use std::ptr::{self, NonNull};

use crate::claim::Claim;
use crate::env::Moment;
use crate::lock::{Spin, SpinGuard};
use crate::sys::atomic::{AtomicBool, AtomicPtr, AtomicU64, Cell, Ordering};
use crate::sys::mem::PageVec;

/// One timer. Lives in the frame of who waits, or in an alarm.
#[derive(Debug)]
pub(crate) struct Node {
    heap: AtomicPtr<Timers>,
    place: Cell<u32>,
    /// Its place is kept up to date, so that it can be cancelled.
    tracked: bool,
    /// It was returned by `check` and not acted on yet. Only of interest if the node outlives its firing.
    due: AtomicBool,
    /// Null: it comes due for certain. Else only by winning this claim.
    claim: *const Claim,
    /// What to do when it is due; done by the scheduler.
    pub(crate) action: Action,
    due_next: Cell<*const Node>,
}

impl Node {
    /// A node that fires for certain: it can not be cancelled.
    pub(crate) fn certain(action: Action) -> Node {
        Node::new(ptr::null(), action, false)
    }

    /// A node that fires unless cancelled in time, and can be used again.
    pub(crate) fn revocable(action: Action) -> Node {
        Node::new(ptr::null(), action, true)
    }

    /// A node that must win `claim` to fire, and may be cancelled. The claim outlives the node's stay in the heap.
    pub(crate) fn claiming(claim: *const Claim, action: Action) -> Node {
        Node::new(claim, action, true)
    }

    fn new(claim: *const Claim, action: Action, tracked: bool) -> Node {
        Node {
            heap: AtomicPtr::new(ptr::null_mut()),
            place: Cell::new(0),
            tracked,
            due: AtomicBool::new(false),
            claim,
            action,
            due_next: Cell::new(ptr::null()),
        }
    }

    /// Whoever got the node from `check` has taken what it needs of it: it may be added again.
    pub(crate) fn acted_on(&self) {
        // Release: pairs with the Acquire in `is_due`.
        self.due.store(false, Ordering::Release);
    }

    /// The node came due and somebody is about to act on it: it must not be added again yet.
    pub(crate) fn is_due(&self) -> bool {
        self.due.load(Ordering::Acquire)
    }

    /// Takes the node out of its heap: true. Or it was not in one (never added, came due, lost its claim): false.
    /// After the return no heap touches the node any more.
    pub(crate) fn cancel(&self) -> bool {
        loop {
            // Acquire: pairs with the Release stores to `heap`: if it is null the heap is done with the node.
            let heap = self.heap.load(Ordering::Acquire);
            let Some(heap) = NonNull::new(heap) else { return false };
            // SAFETY: heaps belong to processors, which are never freed.
            let timers = unsafe { heap.as_ref() };
            let mut entries = timers.entries.lock();
            if self.heap.load(Ordering::Relaxed) == heap.as_ptr() {
                debug_assert!(self.tracked, "this kind of timer can not be cancelled");
                remove_at(&mut entries, self.place.get() as usize);
                timers.publish(&entries);
                self.heap.store(ptr::null_mut(), Ordering::Relaxed);
                return true;
            }
            // It moved to another heap while we waited for the lock: look again.
        }
    }
}

/// What a timer that comes due does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// It wakes the parked goroutine at this address.
    Wake(*const ()),
    /// It starts a goroutine that calls a function.
    Start {
        /// The function.
        call: unsafe fn(*const ()),
        /// What it is called with.
        data: *const (),
    },
}

/// The heap of one processor.
#[derive(Debug)]
pub(crate) struct Timers {
    entries: Spin<PageVec<Entry>>,
    /// Nanoseconds of the first entry's moment; `u64::MAX` if there is none (invariant 3).
    earliest: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    when: Moment,
    node: NonNull<Node>,
    tracked: bool,
}

// SAFETY: an entry is used under its heap's lock only; nodes are reachable from any thread by design (invariant 1).
unsafe impl Send for Entry {}

/// The lock of a heap, held across a park's commit so that the new timer can not fire before the commit is done.
#[must_use]
pub(crate) struct Adding<'a> {
    timers: &'a Timers,
    entries: SpinGuard<'a, PageVec<Entry>>,
}

/// What came due at one check; an iterator over the nodes.
#[derive(Debug)]
#[must_use = "whoever waits for a due timer waits for ever if it is dropped"]
pub(crate) struct Due {
    head: *const Node,
}

/// How many timers one check takes at most: others want the lock too. The caller checks again.
const BATCH: usize = 128;

impl Timers {
    pub(crate) fn new() -> Timers {
        Timers { entries: Spin::new(PageVec::new()), earliest: AtomicU64::new(u64::MAX) }
    }

    /// When the first timer is due, or `NEVER`.
    #[inline]
    pub(crate) fn earliest(&self) -> Moment {
        // Acquire would add nothing: the value is a hint that is checked again under the lock.
        Moment::from_nanos(self.earliest.load(Ordering::Relaxed))
    }

    /// Locks the heap in order to add.
    #[inline]
    pub(crate) fn adding(&self) -> Adding<'_> {
        Adding { timers: self, entries: self.entries.lock() }
    }

    /// Takes out what is due at `now`, in the order of time, and wins its claims; at most a batch of it.
    pub(crate) fn check(&self, now: Moment) -> Due {
        let mut entries = self.entries.lock();
        let mut head: *const Node = ptr::null();
        let mut tail: *const Node = ptr::null();
        for _ in 0..BATCH {
            if entries.first().is_none_or(|first| first.when > now) {
                break;
            }
            let node = remove_at(&mut entries, 0).node;
            // SAFETY: the node was in the heap a moment ago and we hold the lock: its owner waits in `cancel`, or parked.
            let fired = unsafe { node.as_ref() };
            // SAFETY: `claiming`'s contract: the claim lives while the node is in the heap.
            if fired.claim.is_null() || unsafe { (*fired.claim).try_win(Claim::TIMED_OUT) } {
                fired.due_next.set(ptr::null());
                fired.due.store(true, Ordering::Relaxed);
                match NonNull::new(tail.cast_mut()) {
                    None => head = node.as_ptr(),
                    // SAFETY: a due node stays valid until the caller has acted on it (invariant 2).
                    Some(tail) => unsafe { tail.as_ref() }.due_next.set(node.as_ptr()),
                }
                tail = node.as_ptr();
            }
            // Release: pairs with the Acquire in `cancel`; the last touch of a node that lost its claim.
            fired.heap.store(ptr::null_mut(), Ordering::Release);
        }
        self.publish(&entries);
        Due { head }
    }

    /// Moves all timers to `to`: this processor is going away.
    pub(crate) fn move_all_to(&self, to: &Timers) {
        debug_assert!(!ptr::eq(self, to));
        loop {
            let mut from = self.entries.lock();
            let Some(entry) = from.pop() else { break };
            // Both locks, for invariant 1. The order is free of cycles because a processor that is going away takes
            // part in no other move.
            let mut entries = to.entries.lock();
            // SAFETY: the node is in this heap, whose lock we hold.
            let node = unsafe { entry.node.as_ref() };
            node.heap.store(ptr::from_ref(to).cast_mut(), Ordering::Release);
            insert(&mut entries, entry);
            to.publish(&entries);
            self.publish(&from);
        }
    }

    /// How many timers are in the heap.
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }

    fn publish(&self, entries: &PageVec<Entry>) {
        let when = entries.first().map_or(u64::MAX, |first| first.when.as_nanos());
        // Relaxed: whoever acts on it takes the lock. The idle protocol of `sched` brings its own barrier.
        self.earliest.store(when, Ordering::Relaxed);
    }
}

impl Adding<'_> {
    /// Adds the node. True if it is now the earliest of its heap.
    ///
    /// # Safety
    /// The node stays where it is, and valid, until it has been cancelled, or has come due and been acted on.
    pub(crate) unsafe fn add(&mut self, node: &Node, when: Moment) -> bool {
        debug_assert!(node.heap.load(Ordering::Relaxed).is_null(), "a timer is in one heap at a time");
        node.heap.store(ptr::from_ref(self.timers).cast_mut(), Ordering::Relaxed);
        let first = self.entries.first().is_none_or(|first| when < first.when);
        insert(&mut self.entries, Entry { when, node: NonNull::from(node), tracked: node.tracked });
        self.timers.publish(&self.entries);
        first
    }
}

impl Iterator for Due {
    type Item = NonNull<Node>;

    fn next(&mut self) -> Option<NonNull<Node>> {
        let node = NonNull::new(self.head.cast_mut())?;
        // SAFETY: due and not yet acted on, so valid (invariant 2); the link is read before the node is given out.
        self.head = unsafe { node.as_ref() }.due_next.get();
        Some(node)
    }
}

fn insert(entries: &mut PageVec<Entry>, entry: Entry) {
    entries.push(entry);
    let last = entries.len() - 1;
    sift_up(entries, last);
}

fn remove_at(entries: &mut PageVec<Entry>, at: usize) -> Entry {
    let removed = entries[at];
    let last = entries.pop().expect("the entry to remove is in the heap");
    if at < entries.len() {
        entries[at] = last;
        if sift_up(entries, at) == at {
            sift_down(entries, at);
        }
    }
    removed
}

/// Moves the entry at `at` towards the root as far as it belongs; returns where it is now.
fn sift_up(entries: &mut [Entry], mut at: usize) -> usize {
    let entry = entries[at];
    while at > 0 {
        let parent = (at - 1) / 4;
        if entries[parent].when <= entry.when {
            break;
        }
        set(entries, at, entries[parent]);
        at = parent;
    }
    set(entries, at, entry);
    at
}

fn sift_down(entries: &mut [Entry], mut at: usize) {
    let entry = entries[at];
    loop {
        let first = at * 4 + 1;
        let children = first..entries.len().min(first + 4);
        let Some(least) = children.min_by_key(|&child| entries[child].when) else { break };
        if entry.when <= entries[least].when {
            break;
        }
        set(entries, at, entries[least]);
        at = least;
    }
    set(entries, at, entry);
}

#[inline]
fn set(entries: &mut [Entry], at: usize, entry: Entry) {
    entries[at] = entry;
    if entry.tracked {
        // SAFETY: the entry is in this heap, whose lock is held by whoever has `&mut` to its entries.
        unsafe { entry.node.as_ref() }.place.set(at as u32);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::env::Rng;

    fn add(timers: &Timers, node: &Node, ns: u64) {
        // SAFETY: the tests keep their nodes in place until the heap is empty.
        unsafe { timers.adding().add(node, Moment::from_nanos(ns)) };
    }

    fn wake(number: usize) -> Action {
        Action::Wake(ptr::without_provenance(number))
    }

    fn drain(timers: &Timers, now: u64) -> Vec<usize> {
        let mut fired = Vec::new();
        loop {
            let before = fired.len();
            // SAFETY: due nodes of these tests are alive.
            fired.extend(timers.check(Moment::from_nanos(now)).map(|n| match unsafe { n.as_ref() }.action {
                Action::Wake(who) => who.addr(),
                Action::Start { .. } => unreachable!("not used here"),
            }));
            if fired.len() == before {
                return fired;
            }
        }
    }

    #[test]
    fn fires_in_order_of_time_and_not_before() {
        let (timers, rng) = (Timers::new(), Rng::new(7));
        let moments: Vec<u64> = (0..1000).map(|_| u64::from(rng.below(5000)) + 1).collect();
        let nodes: Vec<Node> = moments.iter().map(|&ns| Node::certain(wake(ns as usize))).collect();
        nodes.iter().zip(&moments).for_each(|(node, &ns)| add(&timers, node, ns));
        let early = drain(&timers, 2500);
        assert!(early.is_sorted() && early.iter().all(|&ns| ns <= 2500));
        let late = drain(&timers, 6000);
        assert!(late.is_sorted() && late.iter().all(|&ns| ns > 2500));
        assert_eq!(early.len() + late.len(), 1000);
        assert_eq!(timers.earliest(), Moment::NEVER);
    }

    #[test]
    fn cancelled_timers_do_not_fire_and_leave_the_heap_sorted() {
        let seed = 0x5eed;
        let (timers, rng) = (Timers::new(), Rng::new(seed));
        let claims: Vec<Claim> = (0..500).map(|_| Claim::new()).collect();
        let nodes: Vec<Node> =
            claims.iter().enumerate().map(|(i, c)| Node::claiming(c, wake(i + 1))).collect();
        let moments: Vec<u64> = nodes.iter().map(|_| u64::from(rng.below(1000))).collect();
        nodes.iter().zip(&moments).for_each(|(node, &ns)| add(&timers, node, ns));
        let cancelled: Vec<bool> = nodes.iter().map(|node| rng.below(2) == 0 && node.cancel()).collect();
        let fired = drain(&timers, 2000);
        let expected = cancelled.iter().filter(|&&c| !c).count();
        assert_eq!(fired.len(), expected, "seed {seed:#x}");
        assert!(fired.iter().all(|&i| !cancelled[i - 1]));
        assert!(fired.is_sorted_by_key(|&i| moments[i - 1]));
        assert!(nodes.iter().all(|node| !node.cancel()), "nothing is left to cancel");
    }

    #[test]
    fn a_lost_claim_is_dropped_silently() {
        let (timers, claim) = (Timers::new(), Claim::new());
        let node = Node::claiming(&claim, wake(1));
        add(&timers, &node, 10);
        assert!(claim.try_win(5));
        assert_eq!(drain(&timers, 20), []);
        assert!(!node.cancel());
    }

    #[test]
    fn moving_keeps_timers_cancellable() {
        let (a, b, claim) = (Timers::new(), Timers::new(), Claim::new());
        let node = Node::claiming(&claim, wake(1));
        add(&a, &node, 10);
        a.move_all_to(&b);
        assert_eq!((a.len(), b.len()), (0, 1));
        assert_eq!(b.earliest(), Moment::from_nanos(10));
        assert!(node.cancel());
        assert_eq!(b.earliest(), Moment::NEVER);
    }
}

#[cfg(all(test, loom))]
mod models;
