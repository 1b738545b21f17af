//! The semaphore room: the one place where locks, onces and wait groups let their callers sleep. Knows addresses and
//! waiters; knows nothing of what a lock's word means.
//!
//! A sleeping place is named by an address ([`Key`]), so a primitive needs no queue of its own: a mutex is four
//! bytes, a once is one. The other choice, a queue inside each object, would cost 24 bytes in every lock of the program
//! for the sake of the few that are contended at a given moment, and would save one multiplication and one look into a
//! table on a path that puts a goroutine to sleep. (Primitives whose whole state sits under a short lock anyway, such
//! as the weighted semaphore, the condition variable and the barrier, do keep their queue inside.)
//!
//! ```text
//!   waiter                                     waker
//!   Wait::new()         (learns who it is)
//!   sema::lock(key)     ──── bucket ────       sema::lock(key)
//!   look at the word again                     change the word
//!   bucket.sleep(..)    push, park,            bucket.pop() -> Popped
//!                       commit: unlock         unlock
//!                       ... <───────────────── Popped::wake
//! ```
//!
//! Invariants:
//! 1. A waiter is in a bucket's queue only between `sleep` and its wake-up; it lives in the frame of `sleep`.
//! 2. Whether a key has waiters changes only under its bucket's lock. A primitive that mirrors this fact in its word
//!    (a "parked" bit) does so under the lock as well, and may then trust the bit while it holds the lock.
//! 3. A popped waiter is woken exactly once, after the lock has been given back, by [`Popped::wake`] or [`Wakes`].
//! 4. A woken waiter does not touch the bucket again unless it timed out: then it comes back to take itself out, and
//!    its caller gets the locked bucket in order to set its word right.
//!
//! Ordering: all links are guarded by the bucket's lock. What a waker did before the wake-up is visible to the woken:
//! that is a promise of `park` and `ready`.

mod table;

use std::ptr::{self, NonNull};

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::park::{self, Sleeper};

use table::Waiter;
pub(crate) use table::{Bucket, lock};

use crate::waitq::{Node, Wakes};

/// The name of a sleeping place: the address of a word (or of a byte of it) that belongs to the primitive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(usize);

impl Key {
    /// The place named by the address of `word`.
    #[inline]
    pub(crate) fn of<T>(word: &T) -> Key {
        Key(ptr::from_ref(word).addr())
    }

    /// A second place of a primitive whose word is at least two bytes long.
    #[inline]
    pub(crate) fn second(self) -> Key {
        Key(self.0 + 1)
    }
}

/// Who wants to sleep, why, and until when. Made before the bucket is locked: finding out who one is may allocate.
pub(crate) struct Wait {
    sleeper: Sleeper,
    reason: WaitReason,
    deadline: Moment,
}

impl Wait {
    pub(crate) fn new(reason: WaitReason, deadline: Moment) -> Wait {
        Wait { sleeper: park::current(), reason, deadline }
    }
}

/// Where in the queue a waiter goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind all others.
    Back,
    /// Before all others: for one that has waited already and was woken in vain.
    Front,
}

/// How a sleep ended.
pub(crate) enum Woken {
    /// The waker has handed over what was waited for.
    Granted,
    /// The waiter was called to look for itself.
    Called,
    /// The deadline came first. The waiter is out of the queue, and the bucket is locked.
    TimedOut(Bucket),
}

impl Bucket {
    /// Queues the caller, gives the bucket back, and sleeps until somebody pops and wakes the caller or the deadline
    /// comes.
    pub(crate) fn sleep(mut self, wait: &Wait, place: Place) -> Woken {
        let claim = Claim::new();
        let timed = wait.deadline != Moment::NEVER;
        let claimed = if timed { ptr::from_ref(&claim) } else { ptr::null() };
        let key = self.key();
        let waiter = Waiter::new(wait.sleeper, key, claimed);
        // SAFETY: waiter and claim live in this frame, which is left only after the waiter has been popped and woken,
        // or taken out below; they are not moved meanwhile.
        unsafe { self.push(&waiter, place) };
        park::park_until(wait.reason, wait.deadline, &claim, move || drop(self));
        if timed && claim.winner() == Claim::TIMED_OUT {
            let mut bucket = lock(key);
            bucket.remove(&waiter);
            return Woken::TimedOut(bucket);
        }
        if waiter.granted() { Woken::Granted } else { Woken::Called }
    }

    /// Takes out every waiter and grants all of them what they wait for. Returns how many there were.
    pub(crate) fn grant_all(&mut self, wakes: &mut Wakes) -> u32 {
        let mut count = 0;
        while let Some(popped) = self.pop() {
            popped.grant();
            wakes.add(popped.into_node());
            count += 1;
        }
        count
    }
}

/// A waiter that has been taken out of its queue and is owed a wake-up.
#[must_use = "a popped waiter sleeps for ever if nobody wakes it"]
pub(crate) struct Popped(NonNull<Node>);

impl Popped {
    /// Tells the waiter that it got what it waits for.
    pub(crate) fn grant(&self) {
        // SAFETY: a popped waiter is alive until woken, and is ours (invariant 3).
        unsafe { self.0.as_ref() }.ok.set(true);
    }

    /// Wakes the waiter. The bucket is unlocked by now.
    pub(crate) fn wake(self) {
        // SAFETY: popped, and not woken yet: `self` is the only right to do it.
        unsafe { Node::wake(self.0) }
    }

    fn into_node(self) -> NonNull<Node> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Sleeps on `word` while it is zero.
    fn wait_nonzero(word: &AtomicU32, deadline: Moment) -> bool {
        let wait = Wait::new(WaitReason::Semacquire, deadline);
        let bucket = lock(Key::of(word));
        if word.load(Ordering::Relaxed) != 0 {
            return true;
        }
        !matches!(bucket.sleep(&wait, Place::Back), Woken::TimedOut(_))
    }

    fn wake_all(word: &AtomicU32) -> u32 {
        let mut wakes = Wakes::new();
        let mut bucket = lock(Key::of(word));
        word.store(1, Ordering::Relaxed);
        let count = bucket.grant_all(&mut wakes);
        drop(bucket);
        wakes.wake_all();
        count
    }

    #[test]
    fn a_deadline_takes_the_waiter_out() {
        let word = AtomicU32::new(0);
        assert!(!wait_nonzero(&word, Moment::after(Duration::from_millis(5))));
        assert!(lock(Key::of(&word)).is_empty());
        assert_eq!(wake_all(&word), 0);
    }

    #[test]
    fn every_waiter_of_many_words_is_woken() {
        const WORDS: usize = 40;
        const EACH: usize = 3;
        let words: Arc<Vec<AtomicU32>> = Arc::new((0..WORDS).map(|_| AtomicU32::new(0)).collect());
        let done = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..WORDS * EACH)
            .map(|i| {
                let (words, done) = (words.clone(), done.clone());
                std::thread::spawn(move || {
                    assert!(wait_nonzero(&words[i % WORDS], Moment::NEVER));
                    done.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        for word in words.iter() {
            wake_all(word);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(done.load(Ordering::Relaxed), WORDS * EACH);
        assert!(words.iter().all(|word| lock(Key::of(word)).is_empty()));
    }
}
