//! The wait queue: first come, first served, of waiters that live in their own frames. Knows neither channels nor locks.
//!
//! A [`Node`] sits in the frame of a parked goroutine (or thread) and is linked into a queue that some short lock
//! guards. It leaves the queue in one of two ways, both under that lock: a waker takes it ([`WaitQueue::pop`]), or its
//! owner takes it back ([`WaitQueue::remove`], O(1)) because something else has woken it.
//!
//! Invariants:
//! 1. A node's links are touched only under the lock of the queue it is in.
//! 2. A popped node belongs to the popper until it calls [`Node::wake`]; after that the frame it lives in may be gone,
//!    so everything needed of it is read before.
//! 3. A node with a claim is popped only by the winner of the claim. Losers' nodes are dropped from the queue on the
//!    way; their owners find out with `remove` returning false.

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::ptr::{self, NonNull};

use gort_core::claim::Claim;
use gort_core::park::{self, Sleeper};

/// One waiter in one queue.
pub(crate) struct Node {
    next: Cell<*const Node>,
    prev: Cell<*const Node>,
    queued: Cell<bool>,
    sleeper: Sleeper,
    /// Null: whoever pops the node may wake it. Else one must win the claim with `token` first.
    claim: *const Claim,
    /// What wins the claim for this node; a select's case number plus one, for instance. Free for others to use.
    pub(crate) token: usize,
    /// Where the waiter wants a value put, or has one to give; a meaning agreed on by the room that queues the node.
    pub(crate) slot: Cell<*mut ()>,
    /// The waker's verdict for the woken (say: a value was handed over; or: closed).
    pub(crate) ok: Cell<bool>,
    _pinned: PhantomPinned,
}

impl Node {
    /// A node of a waiter that waits in one place only and without a deadline.
    #[inline]
    pub(crate) fn new(sleeper: Sleeper, slot: *mut ()) -> Node {
        Node::with_claim(sleeper, ptr::null(), 0, slot)
    }

    /// A node of a waiter that can be woken from several sides. `claim` must outlive the node's stay in the queue.
    #[inline]
    pub(crate) fn with_claim(sleeper: Sleeper, claim: *const Claim, token: usize, slot: *mut ()) -> Node {
        Node {
            next: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
            queued: Cell::new(false),
            sleeper,
            claim,
            token,
            slot: Cell::new(slot),
            ok: Cell::new(false),
            _pinned: PhantomPinned,
        }
    }

    /// Wakes the waiter.
    ///
    /// # Safety
    /// `node` was popped by the caller and not yet woken (invariant 2). It must not be used afterwards.
    #[inline]
    pub(crate) unsafe fn wake(node: NonNull<Node>) {
        // SAFETY: the waiter's frame lives until `ready`, and the sleeper is copied out before. Who has popped the node has the
        // right to wake it.
        unsafe { park::ready(node.as_ref().sleeper) };
    }

    /// Wins the wait for the caller, who has taken the node out; false if something else has won it before.
    #[inline]
    pub(crate) fn try_claim(&self) -> bool {
        // SAFETY: `with_claim`'s contract: the claim lives while the node is queued, and it is queued now.
        self.claim.is_null() || unsafe { (*self.claim).try_win(self.token) }
    }
}

/// A queue of waiters. The lock that guards it is its owner's.
pub(crate) struct WaitQueue {
    head: *const Node,
    tail: *const Node,
}

// SAFETY: the queue is a pair of links to nodes; whoever has `&mut` to it holds the owner's lock (invariant 1).
unsafe impl Send for WaitQueue {}

impl WaitQueue {
    pub(crate) const fn new() -> WaitQueue {
        WaitQueue { head: ptr::null(), tail: ptr::null() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Appends a waiter.
    ///
    /// # Safety
    /// The node stays where it is, and alive, until it has been popped and woken, or removed.
    #[inline]
    pub(crate) unsafe fn push(&mut self, node: &Node) {
        debug_assert!(!node.queued.get(), "a wait node is in one queue at a time");
        node.queued.set(true);
        node.next.set(ptr::null());
        node.prev.set(self.tail);
        if self.tail.is_null() {
            self.head = node;
        } else {
            // SAFETY: queued nodes are alive (push's contract), and the caller holds the lock (invariant 1).
            unsafe { (*self.tail).next.set(node) };
        }
        self.tail = node;
    }

    /// Puts a waiter before all others: for one that waited before, was woken, and did not get what it wanted.
    ///
    /// # Safety
    /// As for [`push`](WaitQueue::push).
    pub(crate) unsafe fn push_front(&mut self, node: &Node) {
        debug_assert!(!node.queued.get(), "a wait node is in one queue at a time");
        node.queued.set(true);
        node.prev.set(ptr::null());
        node.next.set(self.head);
        if self.head.is_null() {
            self.tail = node;
        } else {
            // SAFETY: as in `push`.
            unsafe { (*self.head).prev.set(node) };
        }
        self.head = node;
    }

    /// Takes out the first waiter whose claim can be won; the caller now owes it a [`Node::wake`].
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<NonNull<Node>> {
        loop {
            let node = self.pop_any()?;
            // SAFETY: the node was queued a moment ago and we hold the lock: its owner can not have gone on.
            if unsafe { node.as_ref() }.try_claim() {
                return Some(node);
            }
        }
    }

    /// The first waiter, without taking it out and without a look at its claim.
    pub(crate) fn peek(&self) -> Option<NonNull<Node>> {
        NonNull::new(self.head.cast_mut())
    }

    /// Takes `node` out, if it is still queued. The node must never have been in another queue than this one.
    #[inline]
    pub(crate) fn remove(&mut self, node: &Node) -> bool {
        if !node.queued.get() {
            return false;
        }
        self.unlink(node);
        true
    }

    #[inline]
    fn pop_any(&mut self) -> Option<NonNull<Node>> {
        let first = NonNull::new(self.head.cast_mut())?;
        // SAFETY: queued nodes are alive (push's contract); the caller holds the lock.
        let node = unsafe { first.as_ref() };
        self.head = node.next.get();
        if self.head.is_null() {
            self.tail = ptr::null();
        } else {
            // SAFETY: as above.
            unsafe { (*self.head).prev.set(ptr::null()) };
        }
        node.queued.set(false);
        Some(first)
    }

    fn unlink(&mut self, node: &Node) {
        let (prev, next) = (node.prev.get(), node.next.get());
        if prev.is_null() {
            self.head = next;
        } else {
            // SAFETY: neighbours of a queued node are queued, hence alive; the caller holds the lock.
            unsafe { (*prev).next.set(next) };
        }
        if next.is_null() {
            self.tail = prev;
        } else {
            // SAFETY: as above.
            unsafe { (*next).prev.set(prev) };
        }
        node.queued.set(false);
    }
}

/// Waiters that were popped under a lock and must be woken after it: gather first, wake later.
#[must_use = "popped waiters sleep for ever if nobody calls `wake_all`"]
pub(crate) struct Wakes {
    head: *const Node,
    tail: *const Node,
}

impl Wakes {
    pub(crate) const fn new() -> Wakes {
        Wakes { head: ptr::null(), tail: ptr::null() }
    }

    /// Whether there is nobody to wake.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Adds a popped waiter.
    #[inline]
    pub(crate) fn add(&mut self, node: NonNull<Node>) {
        // SAFETY: a popped node is alive until woken (invariant 2), and its links are ours now.
        unsafe { node.as_ref() }.next.set(ptr::null());
        if self.tail.is_null() {
            self.head = node.as_ptr();
        } else {
            // SAFETY: as above; the tail was added by us and is not woken yet.
            unsafe { (*self.tail).next.set(node.as_ptr()) };
        }
        self.tail = node.as_ptr();
    }

    /// Wakes all, in the order in which they were added. Wakers of foreign ones are called when everybody is awake: they may
    /// poll or drop others of these, or wait for who does, and that would wait for the wake-up.
    #[inline]
    pub(crate) fn wake_all(self) {
        let mut at = self.head;
        while let Some(node) = NonNull::new(at.cast_mut()) {
            // SAFETY: popped and not yet woken: alive. The link is read before the wake-up ends that.
            unsafe {
                if node.as_ref().sleeper.is_external() {
                    return wake_among_foreign(at);
                }
                at = node.as_ref().next.get();
                Node::wake(node);
            }
        }
    }
}

/// [`Wakes::wake_all`] from the first foreign one on.
///
/// # Safety
/// From `at` on all are popped and not yet woken, and the links are the caller's.
#[cold]
unsafe fn wake_among_foreign(mut at: *const Node) {
    let mut wakers = Vec::new();
    while let Some(node) = NonNull::new(at.cast_mut()) {
        // SAFETY: as in `wake_all`.
        unsafe {
            at = node.as_ref().next.get();
            wakers.extend(park::ready_or_waker(node.as_ref().sleeper));
        }
    }
    wakers.into_iter().for_each(park::call);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node::new(park::current(), ptr::null_mut())
    }

    fn popped(queue: &mut WaitQueue) -> Option<*const Node> {
        queue.pop().map(|node| node.as_ptr().cast_const())
    }

    #[test]
    fn first_come_first_served() {
        let (a, b, c) = (node(), node(), node());
        let mut queue = WaitQueue::new();
        // SAFETY: the nodes outlive their stay in the queue.
        unsafe {
            queue.push(&b);
            queue.push(&c);
            queue.push_front(&a);
        }
        assert_eq!(queue.peek().map(|first| first.as_ptr().cast_const()), Some(&raw const a));
        for expected in [&a, &b, &c] {
            assert_eq!(popped(&mut queue), Some(&raw const *expected));
        }
        assert!(queue.is_empty() && queue.pop().is_none());
    }

    #[test]
    fn removal_anywhere() {
        for removed in 0..3 {
            let nodes = [node(), node(), node()];
            let mut queue = WaitQueue::new();
            // SAFETY: the nodes outlive their stay in the queue.
            nodes.iter().for_each(|node| unsafe { queue.push(node) });
            assert!(queue.remove(&nodes[removed]));
            assert!(!queue.remove(&nodes[removed]), "once");
            for (n, node) in nodes.iter().enumerate().filter(|(n, _)| *n != removed) {
                assert_eq!(popped(&mut queue), Some(&raw const *node), "{n} after {removed} had gone");
            }
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn one_claim_one_winner() {
        let claim = Claim::new();
        let sleeper = park::current();
        let (a, b) = (
            Node::with_claim(sleeper, &claim, 1, ptr::null_mut()),
            Node::with_claim(sleeper, &claim, 2, ptr::null_mut()),
        );
        let (mut queue_a, mut queue_b) = (WaitQueue::new(), WaitQueue::new());
        let plain = node();
        // SAFETY: the nodes outlive their stay in the queues.
        unsafe {
            queue_a.push(&a);
            queue_b.push(&b);
            queue_b.push(&plain);
        }
        assert_eq!(popped(&mut queue_a), Some(&raw const a));
        assert_eq!(claim.winner(), 1);
        assert_eq!(popped(&mut queue_b), Some(&raw const plain), "the loser is passed over");
        assert!(!queue_b.remove(&b), "and is in no queue any more");
    }
}
