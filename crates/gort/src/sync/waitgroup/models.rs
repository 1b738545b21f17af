//! Models of the wait group's word: what was done before is seen after, nobody sleeps for ever, and a group can be used
//! again at once. And of what the essay forbids, to show that a model would tell.

use gort_core::model;

use super::super::models::{Watched, check_pair, start};
use super::*;

struct World {
    group: WaitGroup,
    /// What each task leaves.
    done: [Watched; 2],
}

impl World {
    fn new() -> Arc<World> {
        let world = World { group: WaitGroup::new(), done: [Watched::new(), Watched::new()] };
        assert!(sema::lock(world.group.key()).is_empty());
        world.group.add(2);
        Arc::new(world)
    }

    fn task(&self, at: usize, done: impl FnOnce(&WaitGroup)) {
        self.done[at].add_one();
        done(&self.group);
    }

    fn wait(&self) {
        self.group.wait();
        assert!(self.done.iter().all(|done| done.get() == 1));
    }
}

#[test]
fn loom_a_wait_sees_all_that_was_done() {
    model::check_deep(|| {
        let world = World::new();
        let tasks = [0, 1].map(|at| start(&world, move |world| world.task(at, WaitGroup::done)));
        world.wait();
        assert_eq!(world.group.count(), 0);
        let _ = tasks.map(|task| task.join().unwrap());
        assert_eq!(world.group.state.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn loom_two_wait() {
    model::check(|| {
        let world = World::new();
        let waiter = start(&world, World::wait);
        let task = start(&world, |world| world.task(0, WaitGroup::done));
        world.task(1, WaitGroup::done);
        world.wait();
        task.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(world.group.state.load(Ordering::Relaxed), 0);
    });
}

/// The next round begins while the one who ended the last may still be on its way out.
#[test]
fn loom_a_group_is_used_again_at_once() {
    model::check_deep(|| {
        let world = World::new();
        let task = start(&world, |world| {
            world.task(0, WaitGroup::done);
            world.task(1, WaitGroup::done);
        });
        world.wait();
        world.group.add(1);
        let next = start(&world, |world| world.group.done());
        world.group.wait();
        task.join().unwrap();
        next.join().unwrap();
        assert_eq!(world.group.state.load(Ordering::Relaxed), 0);
    });
}

/// Somebody who waits, and a last task that is done with in a way that must not be.
fn last_task(done: impl Fn(&WaitGroup) + Copy + Send + Sync + 'static) {
    let new = || {
        let world = World::new();
        world.task(0, WaitGroup::done);
        world
    };
    check_pair(new, World::wait, move |world| world.task(1, done));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_a_task_that_does_not_release_is_found() {
    last_task(|group| {
        if group.state.fetch_sub(ONE, Ordering::Relaxed) - ONE == PARKED {
            group.release_waiters();
        }
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_last_task_that_looks_for_sleepers_too_early_is_found() {
    last_task(|group| {
        let before = group.state.load(Ordering::Relaxed);
        // Release: as in `add`; the ordering is not what is wrong here.
        group.state.fetch_sub(ONE, Ordering::Release);
        if before & PARKED != 0 {
            group.release_waiters();
        }
    });
}
