//! The table behind the semaphore room: buckets, in each a tree of addresses, at each address a queue.
//!
//! ```text
//!   bucket 17: Spin<Tree>
//!                 │
//!              waiter a1 ── queue: a1, a2, a3       (record of address a)
//!              ╱      ╲
//!        waiter b1    waiter c1 ── queue: c1, c2    (records of b and c)
//! ```
//!
//! One waiter of each address is the address's *record*: its fields link it into the tree and hold the queue. When the
//! record leaves, the next waiter of the queue takes its place in the tree; nothing is allocated.
//!
//! The tree is a digital search tree: at depth `d` the `d`-th bit of the hashed address says left or right. The hash
//! is a bijection, so two addresses part within 56 steps whatever they are, and after about log2(n) usually; it needs
//! no balancing, and any leaf below a record may take the record's place, which makes removal short. A list per bucket
//! would be linear when a million goroutines wait on as many mutexes.
//!
//! Invariants, all under the bucket's lock:
//! 1. A record is a member of its own queue; a queue in the tree is never empty.
//! 2. Every waiter of an address is in the queue of that address's one record.
//! 3. The position of a record agrees with the leading bits of its hash.

use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};

use gort_core::claim::Claim;
use gort_core::lock::{Spin, SpinGuard};
use gort_core::park::Sleeper;

use super::{Key, Place, Popped};
use crate::waitq::{Node, WaitQueue};

/// A waiter, in the frame of the one who sleeps.
pub(super) struct Waiter {
    node: Node,
    key: Key,
    /// The tree links and the queue: meaningful while this waiter is its address's record.
    kids: [Cell<*const Waiter>; 2],
    up: Cell<*const Waiter>,
    queue: UnsafeCell<WaitQueue>,
}

/// What a waker claims a timed waiter with; which number it is says nothing.
const WOKEN_TOKEN: usize = 1;

impl Waiter {
    pub(super) fn new(sleeper: Sleeper, key: Key, claim: *const Claim) -> Waiter {
        Waiter {
            node: Node::with_claim(sleeper, claim, WOKEN_TOKEN, ptr::null_mut()),
            key,
            kids: [const { Cell::new(ptr::null()) }; 2],
            up: Cell::new(ptr::null()),
            queue: UnsafeCell::new(WaitQueue::new()),
        }
    }

    pub(super) fn granted(&self) -> bool {
        self.node.ok.get()
    }
}

const BUCKET_BITS: u32 = 8;
/// In a model there are two, which the last bit of the address tells apart: where a word happens to lie must not matter
/// there, yet the two places of a primitive are to have different locks.
const BUCKETS: usize = if cfg!(loom) { 2 } else { 1 << BUCKET_BITS };

#[repr(align(64))]
struct Slot(Spin<Tree>);

impl Slot {
    const fn empty() -> Slot {
        Slot(Spin::in_constant(Tree { root: Cell::new(ptr::null()) }))
    }
}

#[cfg(not(loom))]
static TABLE: [Slot; BUCKETS] = [const { Slot::empty() }; BUCKETS];
#[cfg(loom)]
loom::lazy_static! {
    static ref TABLE: [Slot; BUCKETS] = [const { Slot::empty() }; BUCKETS];
}

/// The bits of `key` in the order in which the table uses them. Multiplication by an odd number is a bijection.
#[inline]
fn hash(key: Key) -> u64 {
    (key.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Locks the bucket of `key`.
#[inline]
pub(crate) fn lock(key: Key) -> Bucket {
    let bucket = if cfg!(loom) { key.0 % BUCKETS } else { (hash(key) >> (64 - BUCKET_BITS)) as usize };
    Bucket { tree: TABLE[bucket].0.lock(), key }
}

/// The waiters of one key, locked (and with them those of the other keys that share the bucket).
#[must_use = "dropping the bucket unlocks it"]
pub(crate) struct Bucket {
    tree: SpinGuard<'static, Tree>,
    key: Key,
}

impl Bucket {
    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.tree.find(self.key).is_none()
    }

    /// Takes out the first waiter that can be had.
    pub(crate) fn pop(&mut self) -> Option<Popped> {
        let mut record = self.tree.find(self.key);
        while let Some(holder) = record {
            // SAFETY: records are alive (queued), and their queue is reached under the bucket's lock only.
            let node =
                unsafe { (*holder.as_ref().queue.get()).peek() }.expect("a record's queue is never empty");
            // SAFETY: the node was queued a moment ago and we hold the lock: its owner can not have gone on.
            let node_ref = unsafe { node.as_ref() };
            record = self.tree.detach(holder, node_ref);
            if node_ref.try_claim() {
                return Some(Popped(node));
            }
        }
        None
    }

    /// Queues `waiter`.
    ///
    /// # Safety
    /// The waiter and its claim stay where they are, and alive, until popped and woken, or removed.
    pub(super) unsafe fn push(&mut self, waiter: &Waiter, place: Place) {
        debug_assert_eq!(waiter.key, self.key);
        // The queue hands out nodes; the slot leads from there to the waiter around the node.
        waiter.node.slot.set(ptr::from_ref(waiter).cast_mut().cast());
        let record = self.tree.find(self.key).unwrap_or_else(|| {
            self.tree.insert(waiter);
            NonNull::from(waiter)
        });
        // SAFETY: the record is alive and its queue ours, as in `pop`; push's contract is passed on to our caller.
        unsafe {
            let queue = &mut *record.as_ref().queue.get();
            match place {
                Place::Back => queue.push(&waiter.node),
                Place::Front => queue.push_front(&waiter.node),
            }
        }
    }

    /// Takes `waiter` out, if it is still queued.
    pub(super) fn remove(&mut self, waiter: &Waiter) {
        if let Some(record) = self.tree.find(self.key) {
            self.tree.detach(record, &waiter.node);
        }
    }
}

struct Tree {
    root: Cell<*const Waiter>,
}

// SAFETY: the tree links waiters in other frames; whoever has it holds the bucket's lock, under which alone they are
// touched.
unsafe impl Send for Tree {}

impl Tree {
    fn find(&self, key: Key) -> Option<NonNull<Waiter>> {
        let mut path = hash(key) << BUCKET_BITS;
        let mut at = NonNull::new(self.root.get().cast_mut())?;
        loop {
            // SAFETY: linked records are alive: they are queued (invariant 1).
            let waiter = unsafe { at.as_ref() };
            if waiter.key == key {
                return Some(at);
            }
            at = NonNull::new(waiter.kids[bit(path)].get().cast_mut())?;
            path <<= 1;
        }
    }

    /// Makes `waiter` the record of its address, which has none.
    fn insert(&self, waiter: &Waiter) {
        let mut path = hash(waiter.key) << BUCKET_BITS;
        let (mut link, mut up) = (&self.root, ptr::null());
        // SAFETY: as in `find`.
        while let Some(next) = unsafe { link.get().as_ref() } {
            up = link.get();
            link = &next.kids[bit(path)];
            path <<= 1;
        }
        link.set(waiter);
        waiter.up.set(up);
    }

    /// Takes `node` out of the queue of `record`, if it is in it. Returns the record of the address afterwards.
    fn detach(&self, record: NonNull<Waiter>, node: &Node) -> Option<NonNull<Waiter>> {
        // SAFETY: records are alive; queues are touched under the lock only.
        let (holder, queue) = unsafe { (record.as_ref(), &mut *record.as_ref().queue.get()) };
        if !queue.remove(node) || !ptr::eq(node, &holder.node) {
            return Some(record);
        }
        let Some(heir) = queue.peek() else {
            self.remove(holder);
            return None;
        };
        // SAFETY: the heir is queued, hence alive, and `push` has set its slot to the waiter around it.
        let heir = unsafe { &*heir.as_ref().slot.get().cast::<Waiter>().cast_const() };
        // SAFETY: both queues are ours under the lock, and the heir's is unused: it was no record.
        unsafe { ptr::swap(heir.queue.get(), queue) };
        self.replace(holder, heir);
        Some(NonNull::from(heir))
    }

    /// Takes a record without waiters out of the tree.
    fn remove(&self, record: &Waiter) {
        let Some(mut leaf) = any_kid(record) else {
            self.link_of(record).set(ptr::null());
            return;
        };
        while let Some(kid) = any_kid(leaf) {
            leaf = kid;
        }
        // The leaf lies below the record, so its leading bits fit the record's place.
        self.link_of(leaf).set(ptr::null());
        self.replace(record, leaf);
    }

    /// Puts `new` into the place of `old` in the tree.
    fn replace(&self, old: &Waiter, new: &Waiter) {
        self.link_of(old).set(new);
        new.up.set(old.up.get());
        for (from, to) in old.kids.iter().zip(&new.kids) {
            let kid = from.replace(ptr::null());
            to.set(kid);
            // SAFETY: linked records are alive.
            if let Some(kid) = unsafe { kid.as_ref() } {
                kid.up.set(new);
            }
        }
    }

    /// The link that leads to `record`.
    fn link_of<'a>(&'a self, record: &'a Waiter) -> &'a Cell<*const Waiter> {
        // SAFETY: a record's parent is a record, hence alive.
        match unsafe { record.up.get().as_ref() } {
            None => &self.root,
            Some(up) if ptr::eq(up.kids[0].get(), record) => &up.kids[0],
            Some(up) => &up.kids[1],
        }
    }
}

fn bit(path: u64) -> usize {
    (path >> 63) as usize
}

fn any_kid(record: &Waiter) -> Option<&Waiter> {
    let kid = if record.kids[0].get().is_null() { &record.kids[1] } else { &record.kids[0] };
    // SAFETY: linked records are alive.
    unsafe { kid.get().as_ref() }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use gort_core::env::Rng;

    use super::*;

    fn key_in_bucket_zero(n: u64) -> Key {
        // The inverse of the hash's multiplier, by Newton's iteration: keys whose hashes start with eight zero bits.
        let mut inverse = 1u64;
        for _ in 0..6 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(inverse)));
        }
        Key(n.wrapping_mul(inverse) as usize)
    }

    /// Random pushes, pops and removals against a model, on keys that all fall into one bucket, some with hashes that
    /// differ in their last bits only.
    #[test]
    fn agrees_with_a_map_of_queues() {
        for seed in 1..30 {
            let rng = Rng::new(seed);
            let keys: Vec<Key> = (0..24)
                .map(|i| key_in_bucket_zero(if i < 8 { i } else { u64::from(rng.next()) << 20 }))
                .collect();
            assert!(keys.iter().all(|&key| hash(key) >> 56 == 0));
            let waiters: Vec<Box<Waiter>> = (0..200)
                .map(|i| Box::new(Waiter::new(gort_core::park::current(), keys[i % keys.len()], ptr::null())))
                .collect();
            let mut idle: Vec<usize> = (0..waiters.len()).collect();
            let mut model: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
            for _ in 0..2000 {
                match rng.below(3) {
                    0 if !idle.is_empty() => {
                        let i = idle.swap_remove(rng.below(idle.len() as u32) as usize);
                        let queue = model.entry(waiters[i].key.0).or_default();
                        let place = if rng.below(4) == 0 { Place::Front } else { Place::Back };
                        match place {
                            Place::Front => queue.push_front(i),
                            Place::Back => queue.push_back(i),
                        }
                        // SAFETY: the boxes outlive the loop, after which the queues are emptied.
                        unsafe { lock(waiters[i].key).push(&waiters[i], place) };
                    }
                    1 => {
                        let key = keys[rng.below(keys.len() as u32) as usize];
                        let popped = lock(key).pop().map(|p| p.into_node().as_ptr().cast_const());
                        let expected = model.get_mut(&key.0).and_then(VecDeque::pop_front);
                        assert_eq!(popped, expected.map(|i| ptr::from_ref(&waiters[i].node)), "seed {seed}");
                        idle.extend(expected);
                    }
                    _ => {
                        let i = rng.below(waiters.len() as u32) as usize;
                        lock(waiters[i].key).remove(&waiters[i]);
                        if let Some(queue) = model.get_mut(&waiters[i].key.0)
                            && let Some(at) = queue.iter().position(|&other| other == i)
                        {
                            queue.remove(at);
                            idle.push(i);
                        }
                    }
                }
            }
            for &key in &keys {
                while let Some(popped) = lock(key).pop() {
                    let expected = model.get_mut(&key.0).and_then(VecDeque::pop_front).unwrap();
                    assert_eq!(
                        popped.into_node().as_ptr().cast_const(),
                        ptr::from_ref(&waiters[expected].node)
                    );
                }
                assert!(
                    lock(key).is_empty() && model.get(&key.0).is_none_or(VecDeque::is_empty),
                    "seed {seed}"
                );
            }
        }
    }
}
