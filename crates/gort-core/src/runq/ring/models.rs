//! Models of the ring: every item is taken exactly once, by somebody who sees what its maker wrote.

use std::ptr::NonNull;
use std::sync::Arc;

use loom::thread;

use super::{CAPACITY, LocalQueue};
use crate::sys::atomic::Cell;
use crate::sys::model;

/// Something that is queued. The cell reports whoever touches it without owning it.
struct Item(Cell<State>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Made,
    Queued,
    Taken,
}

/// Items and the queues they go through: one owner's, and one for each of two thieves.
struct World {
    items: Vec<Item>,
    victim: LocalQueue<Item>,
    thieves: [LocalQueue<Item>; 2],
}

// SAFETY: loom watches that items are touched by one thread at a time, which is what the models are for.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    fn new(items: usize) -> Arc<World> {
        Arc::new(World {
            items: (0..items).map(|_| Item(Cell::new(State::Made))).collect(),
            victim: LocalQueue::new(),
            thieves: [LocalQueue::new(), LocalQueue::new()],
        })
    }

    fn make(&self, at: usize) -> NonNull<Item> {
        self.items[at].0.set(State::Queued);
        NonNull::from(&self.items[at])
    }

    fn push(&self, at: usize) {
        assert!(self.victim.push(self.make(at)).is_ok(), "there is room");
    }

    /// As the scheduler does it: what was in the slot goes to the ring.
    fn put_next(&self, at: usize) {
        if let Some(displaced) = self.victim.set_next(self.make(at)) {
            assert!(self.victim.push(displaced).is_ok(), "there is room");
        }
    }

    /// Owner: takes one item, the slot's first.
    fn run_one(&self) -> bool {
        self.victim.take_next().or_else(|| self.victim.pop()).map(take).is_some()
    }

    /// A thief's machine: steals once and takes all it got.
    fn rob(&self, thief: usize) {
        let own = &self.thieves[thief];
        self.victim.steal_half(own).into_iter().for_each(take);
        while let Some(item) = own.pop() {
            take(item);
        }
    }

    fn rob_next(&self) {
        self.victim.steal_next(self.victim.peek_next()).into_iter().for_each(take);
    }

    /// After all threads have ended: nothing has been lost.
    fn settle(&self) {
        while self.run_one() {}
        for (at, item) in self.items.iter().enumerate() {
            assert_ne!(item.0.get(), State::Queued, "item {at} was lost");
        }
    }
}

fn take(item: NonNull<Item>) {
    // SAFETY: items live as long as the world, which every thread of a model has a share of.
    let state = unsafe { &item.as_ref().0 };
    assert_eq!(state.get(), State::Queued, "an item is taken once, after it was made");
    state.set(State::Taken);
}

#[test]
fn loom_owner_and_thief() {
    model::check(|| {
        let world = World::new(5);
        (0..2).for_each(|at| world.push(at));
        let thief = thread::spawn({
            let world = world.clone();
            move || world.rob(0)
        });
        world.push(2);
        world.run_one();
        world.push(3);
        world.push(4);
        world.run_one();
        thief.join().unwrap();
        world.settle();
    });
}

#[test]
fn loom_two_thieves() {
    model::check(|| {
        let world = World::new(4);
        (0..3).for_each(|at| world.push(at));
        let thieves = [0, 1].map(|thief| {
            let world = world.clone();
            thread::spawn(move || world.rob(thief))
        });
        world.run_one();
        world.push(3);
        thieves.into_iter().for_each(|thief| thief.join().unwrap());
        world.settle();
    });
}

/// The owner laps the ring while a thief reads slots: the thief's exchange must fail, or the slots be intact.
#[test]
fn loom_slots_are_overwritten_only_when_free() {
    model::check(|| {
        let world = World::new(CAPACITY + 3);
        (0..CAPACITY).for_each(|at| world.push(at));
        let thief = thread::spawn({
            let world = world.clone();
            move || world.rob(0)
        });
        for at in CAPACITY..CAPACITY + 3 {
            world.run_one();
            world.push(at);
        }
        thief.join().unwrap();
        world.settle();
    });
}

#[test]
fn loom_overflow_and_thief() {
    model::check(|| {
        let world = World::new(CAPACITY + 1);
        (0..CAPACITY).for_each(|at| world.push(at));
        let thief = thread::spawn({
            let world = world.clone();
            move || world.rob(0)
        });
        if let Err(item) = world.victim.push(world.make(CAPACITY)) {
            world.victim.take_half(take);
            take(item);
        }
        thief.join().unwrap();
        world.settle();
    });
}

/// A thief's loot may be stolen from it in turn.
#[test]
fn loom_thief_of_a_thief() {
    model::check(|| {
        let world = World::new(4);
        (0..4).for_each(|at| world.push(at));
        let second = thread::spawn({
            let world = world.clone();
            move || {
                world.thieves[0].steal_half(&world.thieves[1]).into_iter().for_each(take);
                while let Some(item) = world.thieves[1].pop() {
                    take(item);
                }
            }
        });
        let first = thread::spawn({
            let world = world.clone();
            move || world.rob(0)
        });
        world.run_one();
        first.join().unwrap();
        second.join().unwrap();
        world.settle();
    });
}

#[test]
fn loom_next_slot_and_thieves() {
    model::check(|| {
        let world = World::new(4);
        world.put_next(0);
        let of_next = thread::spawn({
            let world = world.clone();
            move || world.rob_next()
        });
        let of_ring = thread::spawn({
            let world = world.clone();
            move || world.rob(1)
        });
        world.put_next(1);
        world.put_next(2);
        world.run_one();
        world.put_next(3);
        of_next.join().unwrap();
        of_ring.join().unwrap();
        world.settle();
    });
}

/// An item that moves from the slot to the ring is queued all the time; whoever looks must not miss it.
#[test]
fn loom_is_empty_sees_what_moves() {
    model::check(|| {
        let world = World::new(3);
        world.put_next(0);
        let observer = thread::spawn({
            let world = world.clone();
            move || assert!(!world.victim.is_empty(), "item 0 was there all the time")
        });
        world.put_next(1);
        world.victim.take_next().into_iter().for_each(take);
        world.put_next(2);
        world.victim.take_next().into_iter().for_each(take);
        observer.join().unwrap();
        world.settle();
    });
}
