//! Models of the mutex's word with the real table, queues and thread parker behind it: the lock excludes, nobody sleeps
//! for ever, hand-overs hand over, and the word is clean when all have gone. And of what its invariants forbid, to show
//! that a model would tell.

use std::sync::Arc;
use std::sync::atomic::AtomicU32 as Seen;

use gort_core::model;
use loom::thread::{self, JoinHandle};

use super::super::models::{Watched, check_pair, start};
use super::*;

const DEADLINE: Moment = Moment::from_nanos(10);
/// Later than a waiter puts up with.
const TOO_LATE: Moment = Moment::from_nanos(2_000_000);

struct World {
    raw: RawMutex,
    /// What the lock guards.
    count: Watched,
}

impl World {
    fn new() -> Arc<World> {
        let world = World { raw: RawMutex::new(), count: Watched::new() };
        assert!(sema::lock(Key::of(&world.raw.state)).is_empty());
        assert_eq!(world.state(), 0);
        Arc::new(world)
    }

    fn state(&self) -> u32 {
        self.raw.state.load(Ordering::Relaxed)
    }

    /// Locks, adds one, unlocks by `unlock`. Says whether that was in time.
    fn add(&self, deadline: Moment, unlock: impl FnOnce(&RawMutex)) -> bool {
        let locked = self.raw.acquire(WaitReason::MutexLock, deadline);
        if locked {
            self.count.add_one();
            unlock(&self.raw);
        }
        locked
    }

    fn add_one(&self) {
        assert!(self.add(Moment::NEVER, RawMutex::release));
    }

    /// All have gone.
    fn assert_clean(&self, count: u32) {
        assert_eq!(self.count.get(), count);
        assert_eq!(self.state(), 0);
        assert!(sema::lock(Key::of(&self.raw.state)).is_empty());
    }
}

fn time_passes(until: Moment) -> JoinHandle<()> {
    thread::spawn(move || model::time_passes(until))
}

#[test]
fn loom_the_lock_excludes_and_nobody_sleeps_on() {
    model::check_deep(|| {
        let world = World::new();
        let others = [(); 2].map(|()| start(&world, World::add_one));
        world.add_one();
        let _ = others.map(|other| other.join().unwrap());
        world.assert_clean(3);
    });
}

/// A waiter that was woken competes with somebody who locks again at once.
#[test]
fn loom_a_woken_waiter_against_a_newcomer() {
    model::check_deep(|| {
        let world = World::new();
        let other = start(&world, World::add_one);
        world.add_one();
        world.add_one();
        other.join().unwrap();
        world.assert_clean(3);
    });
}

/// The one whose deadline comes leaves the queue, and the bits of the word, as they should be for the other.
#[test]
fn loom_a_deadline_against_an_unlock() {
    model::check_deep(|| {
        let world = World::new();
        let (other, clock) = (start(&world, World::add_one), time_passes(DEADLINE));
        let in_time = world.add(DEADLINE, RawMutex::release);
        other.join().unwrap();
        clock.join().unwrap();
        world.assert_clean(1 + u32::from(in_time));
    });
}

#[test]
fn loom_a_deadline_beside_a_patient_waiter() {
    model::check(|| {
        let world = World::new();
        assert!(world.raw.try_acquire());
        let hasty = start(&world, |world| world.add(DEADLINE, RawMutex::release));
        let patient = start(&world, World::add_one);
        model::time_passes(DEADLINE);
        world.raw.release();
        let in_time = hasty.join().unwrap();
        patient.join().unwrap();
        world.assert_clean(1 + u32::from(in_time));
    });
}

/// A waiter that is overtaken after it has waited for too long.
#[test]
fn loom_a_waiter_starves() {
    model::check(|| {
        let world = World::new();
        assert!(world.raw.try_acquire());
        let waiter = start(&world, World::add_one);
        let clock = time_passes(TOO_LATE);
        world.raw.release();
        world.add_one();
        world.add_one();
        waiter.join().unwrap();
        clock.join().unwrap();
        world.assert_clean(3);
    });
}

/// The lock is handed from starving waiter to starving waiter, and is a normal one again at the end.
#[test]
fn loom_starving_waiters_are_handed_the_lock() {
    static HANDED: Seen = Seen::new(0);
    fn starve(world: &World) {
        let mut me = Competitor { starving: true, queued_before: true, ..Competitor::default() };
        match world.raw.sleep(&mut me, WaitReason::MutexLock, Moment::NEVER) {
            Some(granted) => HANDED.fetch_add(u32::from(granted), Ordering::Relaxed),
            None => u32::from(world.raw.compete(me, WaitReason::MutexLock, Moment::NEVER)),
        };
        world.count.add_one();
        world.raw.release();
    }
    model::check(|| {
        let world = World::new();
        assert!(world.raw.try_acquire());
        let waiters = [(); 2].map(|()| start(&world, starve));
        model::time_passes(TOO_LATE);
        world.raw.release();
        let _ = waiters.map(|waiter| waiter.join().unwrap());
        world.assert_clean(2);
    });
    assert_ne!(HANDED.load(Ordering::Relaxed), 0, "no execution gets there");
}

/// What the owner wrote is seen by whom it hands the lock to, although the word says nothing of it.
#[test]
fn loom_a_fair_unlock_hands_over() {
    model::check_deep(|| {
        let world = World::new();
        let other = start(&world, |world| world.add(Moment::NEVER, |raw| raw.release_slow(true)));
        assert!(world.add(Moment::NEVER, |raw| raw.release_slow(true)));
        assert!(other.join().unwrap());
        world.assert_clean(2);
    });
}

#[test]
fn loom_try_lock_takes_what_is_free() {
    model::check_deep(|| {
        let world = World::new();
        let other = start(&world, World::add_one);
        let taken = world.raw.try_acquire();
        if taken {
            world.count.add_one();
            world.raw.release();
        }
        other.join().unwrap();
        world.assert_clean(1 + u32::from(taken));
    });
}

/// Two threads that add one each, the second of which does it in a way that must not be.
fn beside(wrong: impl Fn(&World) + Copy + Send + Sync + 'static) {
    check_pair(World::new, World::add_one, wrong);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_an_unlock_that_does_not_release_is_found() {
    beside(|world| {
        world.add(Moment::NEVER, |raw| {
            match raw.state.compare_exchange(LOCKED, 0, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {}
                Err(_) => raw.release(),
            }
        });
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_a_lock_that_does_not_acquire_is_found() {
    beside(|world| {
        let order = Ordering::Relaxed;
        if world.raw.state.compare_exchange(0, LOCKED, order, order).is_err() {
            return world.add_one();
        }
        world.count.add_one();
        world.raw.release();
    });
}

/// Against invariant 3.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_an_unlock_that_forgets_the_sleepers_is_found() {
    beside(|world| {
        world.add(Moment::NEVER, |raw| {
            raw.state.fetch_and(!LOCKED, Ordering::Release);
        });
    });
}

/// Against invariant 1: announced, but not under the bucket's lock.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_sleeper_that_does_not_look_again_is_found() {
    beside(|world| {
        if !world.raw.try_acquire() {
            let wait = Wait::new(WaitReason::MutexLock, Moment::NEVER);
            world.raw.state.fetch_or(PARKED, Ordering::Relaxed);
            let _ = sema::lock(Key::of(&world.raw.state)).sleep(&wait, Place::Back);
            return world.add_one();
        }
        world.count.add_one();
        world.raw.release();
    });
}

/// Against invariant 3: a competitor that goes to sleep and still answers for WOKEN.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_competitor_that_keeps_its_bit_in_its_sleep_is_found() {
    model::check(|| {
        let world = World::new();
        assert!(world.raw.try_acquire());
        let other = start(&world, World::add_one);
        let wrong = start(&world, |world| {
            let mut me = Competitor::default();
            world.raw.announce(world.state(), &mut me);
            me.awake = false;
            if world.raw.sleep(&mut me, WaitReason::MutexLock, Moment::NEVER) != Some(true) {
                return world.add_one();
            }
            world.count.add_one();
            world.raw.release();
        });
        world.raw.release();
        other.join().unwrap();
        wrong.join().unwrap();
    });
}
