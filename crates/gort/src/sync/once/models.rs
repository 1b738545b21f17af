//! Models of the once's word: one does it, the others see what was done, nobody sleeps for ever. And of what its
//! invariants forbid, to show that a model would tell.

use std::sync::Arc;

use gort_core::model;

use super::super::models::{Watched, check_pair, start};
use super::*;

struct World {
    raw: RawOnce,
    /// What is done.
    done: Watched,
}

impl World {
    fn new() -> Arc<World> {
        let world = World { raw: RawOnce::new(), done: Watched::new() };
        assert!(!world.raw.is_done());
        assert!(sema::lock(Key::of(&world.raw.state)).is_empty());
        Arc::new(world)
    }

    fn call_once(&self) {
        if let Some(running) = self.raw.start() {
            self.done.add_one();
            running.finish();
        }
        assert_eq!(self.done.get(), 1);
    }
}

#[test]
fn loom_one_does_it_and_all_see_it() {
    model::check(|| {
        let world = World::new();
        let others = [(); 2].map(|()| start(&world, World::call_once));
        world.call_once();
        let _ = others.map(|other| other.join().unwrap());
        assert!(sema::lock(Key::of(&world.raw.state)).is_empty());
    });
}

#[test]
fn loom_one_gives_up_and_another_tries() {
    model::check(|| {
        let world = World::new();
        let waiting = start(&world, |world| {
            world.raw.wait_done();
            assert_eq!(world.done.get(), 1);
        });
        let other = start(&world, World::call_once);
        if let Some(running) = world.raw.start() {
            running.give_up();
        }
        other.join().unwrap();
        waiting.join().unwrap();
    });
}

/// Two threads, the second of which does it in a way that must not be.
fn beside(wrong: impl Fn(&World) + Copy + Send + Sync + 'static) {
    check_pair(World::new, World::call_once, wrong);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_an_end_that_does_not_release_is_found() {
    beside(|world| {
        let Some(running) = world.raw.start() else { return };
        world.done.add_one();
        let before = running.0.state.swap(DONE, Ordering::Relaxed);
        if before & PARKED != 0 {
            wake_all(Key::of(&world.raw.state));
        }
    });
}

/// Against invariant 2: who sleeps is decided before the end, not in the same step.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_an_end_that_looks_for_sleepers_too_early_is_found() {
    beside(|world| {
        let Some(running) = world.raw.start() else { return };
        world.done.add_one();
        let before = running.0.state.load(Ordering::Relaxed);
        // Release: as in `transition_to`; the ordering is not what is wrong here.
        running.0.state.store(DONE, Ordering::Release);
        if before & PARKED != 0 {
            wake_all(Key::of(&world.raw.state));
        }
    });
}

/// Against invariant 2: announced, but not under the bucket's lock.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_sleeper_that_does_not_look_again_is_found() {
    beside(|world| {
        let state = world.raw.state.load(Ordering::Relaxed);
        let order = Ordering::Relaxed;
        if state & STATE == RUNNING
            && world.raw.state.compare_exchange(state, state | PARKED, order, order).is_ok()
        {
            let wait = Wait::new(WaitReason::OnceWait, Moment::NEVER);
            let _ = sema::lock(Key::of(&world.raw.state)).sleep(&wait, Place::Back);
        }
    });
}
