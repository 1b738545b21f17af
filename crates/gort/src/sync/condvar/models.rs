//! Models of the condition variable: a notification goes to one who waited before it, and is not lost, whatever the
//! waiter's deadline does. And of a ticket that is taken too late, to show that a model would tell.

use std::sync::Arc;

use gort_core::model;

use super::super::models::{check_pair, start};
use super::*;
use crate::sync::Mutex;

const DEADLINE: Moment = Moment::from_nanos(10);

struct World {
    tokens: Mutex<u32>,
    changed: Condvar,
}

impl World {
    fn new() -> Arc<World> {
        let world = World { tokens: Mutex::new(0), changed: Condvar::new() };
        world.changed.notify_all();
        assert_eq!(*world.tokens.lock(), 0);
        Arc::new(world)
    }

    fn put(&self) {
        *self.tokens.lock() += 1;
        self.changed.notify_one();
    }

    fn take(&self) {
        *self.changed.wait_while(self.tokens.lock(), |tokens| *tokens == 0) -= 1;
    }

    /// Takes a token unless `DEADLINE` comes first.
    fn take_in_time(&self) -> bool {
        let mut tokens = self.tokens.lock();
        while *tokens == 0 {
            if !self.changed.wait_until_moment(&mut tokens, DEADLINE) && *tokens == 0 {
                return false;
            }
        }
        *tokens -= 1;
        true
    }

    fn assert_clean(&self, tokens: u32) {
        assert_eq!(*self.tokens.lock(), tokens);
        assert!(self.changed.waiters.lock().is_empty());
    }
}

#[test]
fn loom_a_notification_is_not_lost_whenever_it_comes() {
    model::check_deep(|| {
        let world = World::new();
        let giver = start(&world, World::put);
        world.take();
        giver.join().unwrap();
        world.assert_clean(0);
    });
}

#[test]
fn loom_each_of_two_waiters_gets_one() {
    model::check(|| {
        let world = World::new();
        let taker = start(&world, World::take);
        let giver = start(&world, |world| {
            world.put();
            world.put();
        });
        world.take();
        taker.join().unwrap();
        giver.join().unwrap();
        world.assert_clean(0);
    });
}

#[test]
fn loom_a_broadcast_wakes_all_who_wait() {
    model::check(|| {
        let world = World::new();
        let taker = start(&world, World::take);
        let giver = start(&world, |world| {
            *world.tokens.lock() += 2;
            world.changed.notify_all();
        });
        world.take();
        taker.join().unwrap();
        giver.join().unwrap();
        world.assert_clean(0);
    });
}

/// A waiter that has timed out takes no notification with it that another one waits for.
#[test]
fn loom_a_deadline_against_a_notification() {
    model::check(|| {
        let world = World::new();
        let hasty = start(&world, World::take_in_time);
        let giver = start(&world, |world| {
            world.put();
            model::time_passes(DEADLINE);
            world.put();
        });
        world.take();
        giver.join().unwrap();
        let taken = hasty.join().unwrap();
        world.assert_clean(u32::from(!taken));
    });
}

/// A ticket that is taken after the mutex has been unlocked misses what comes in between.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_ticket_that_is_taken_too_late_is_found() {
    fn take_late(world: &World) {
        let tokens = world.tokens.lock();
        if *tokens != 0 {
            return;
        }
        drop(tokens);
        let (claim, waiter) = (Claim::new(), Waiter::new(ptr::null()));
        waiter.node.slot.set(ptr::from_ref(&waiter).cast_mut().cast());
        // SAFETY: the waiter lives until it has been notified, or the model has found out that it never is.
        unsafe { world.changed.waiters.lock().push(&waiter.node) };
        assert!(world.changed.sleep(&waiter, &claim, Moment::NEVER));
    }
    check_pair(World::new, take_late, World::put);
}
