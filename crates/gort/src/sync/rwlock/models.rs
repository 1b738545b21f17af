//! Models of the readers-writer lock's word with the real table, queues and thread parker behind it: a writer is alone,
//! phases end, nobody sleeps for ever, and the word is clean when all have gone. And of what its invariants forbid, to
//! show that a model would tell.

use std::sync::Arc;

use gort_core::model;
use loom::thread::{self, JoinHandle};

use super::super::models::{Watched, check_pair, start};
use super::*;

const DEADLINE: Moment = Moment::from_nanos(10);

struct World {
    raw: RawRwLock,
    /// What the lock guards.
    count: Watched,
}

impl World {
    fn new() -> Arc<World> {
        let raw = <RawRwLock as lock_api::RawRwLock>::INIT;
        assert!(sema::lock(raw.readers_key()).is_empty() && sema::lock(raw.drain_key()).is_empty());
        assert_eq!(raw.state.load(Ordering::Relaxed), 0);
        assert!(raw.writers.try_acquire());
        raw.writers.release();
        Arc::new(World { raw, count: Watched::new() })
    }

    /// Says whether it came in.
    fn read(&self, deadline: Moment) -> bool {
        let inside = self.raw.read(deadline);
        if inside {
            self.count.get();
            self.raw.leave();
        }
        inside
    }

    /// Says whether it came in.
    fn write(&self, deadline: Moment) -> bool {
        let inside = self.raw.write(deadline);
        if inside {
            self.count.add_one();
            self.raw.end_phase(0);
            self.raw.writers.release();
        }
        inside
    }

    /// All have gone.
    fn assert_clean(&self, count: u32) {
        assert_eq!(self.count.get(), count);
        assert_eq!(self.raw.state.load(Ordering::Relaxed), 0);
        assert!(sema::lock(self.raw.readers_key()).is_empty());
        assert!(sema::lock(self.raw.drain_key()).is_empty());
        assert!(self.raw.writers.try_acquire());
    }
}

fn reader(world: &Arc<World>, deadline: Moment) -> JoinHandle<bool> {
    start(world, move |world| world.read(deadline))
}

fn writer(world: &Arc<World>, deadline: Moment) -> JoinHandle<bool> {
    start(world, move |world| world.write(deadline))
}

#[test]
fn loom_a_writer_between_readers() {
    model::check_deep(|| {
        let world = World::new();
        let others = [reader(&world, Moment::NEVER), writer(&world, Moment::NEVER)];
        assert!(world.read(Moment::NEVER));
        assert!(others.map(|other| other.join().unwrap()).iter().all(|&inside| inside));
        world.assert_clean(1);
    });
}

#[test]
fn loom_a_reader_between_writers() {
    model::check(|| {
        let world = World::new();
        let others = [reader(&world, Moment::NEVER), writer(&world, Moment::NEVER)];
        assert!(world.write(Moment::NEVER));
        assert!(others.map(|other| other.join().unwrap()).iter().all(|&inside| inside));
        world.assert_clean(2);
    });
}

/// A reader that comes again right after its phase: it queues up behind the next writer, or comes in.
#[test]
fn loom_a_reader_that_comes_again() {
    model::check_deep(|| {
        let world = World::new();
        let writer = start(&world, |world| world.write(Moment::NEVER) && world.write(Moment::NEVER));
        assert!(world.read(Moment::NEVER) && world.read(Moment::NEVER));
        assert!(writer.join().unwrap());
        world.assert_clean(2);
    });
}

/// A writer that gives up lets in the readers that it has kept out.
#[test]
fn loom_a_writers_deadline() {
    model::check(|| {
        let world = World::new();
        assert!(world.raw.read(Moment::NEVER));
        let (writer, reader) = (writer(&world, DEADLINE), reader(&world, Moment::NEVER));
        model::time_passes(DEADLINE);
        world.count.get();
        world.raw.leave();
        let written = writer.join().unwrap();
        assert!(reader.join().unwrap());
        world.assert_clean(u32::from(written));
    });
}

/// A reader whose deadline comes while the phase ends is counted once, or not at all.
#[test]
fn loom_a_readers_deadline() {
    model::check_deep(|| {
        let world = World::new();
        let reader = reader(&world, DEADLINE);
        let clock = thread::spawn(|| model::time_passes(DEADLINE));
        assert!(world.write(Moment::NEVER));
        reader.join().unwrap();
        clock.join().unwrap();
        world.assert_clean(1);
    });
}

#[test]
fn loom_a_writer_becomes_a_reader() {
    model::check_deep(|| {
        let world = World::new();
        let other = writer(&world, Moment::NEVER);
        assert!(world.raw.write(Moment::NEVER));
        world.count.add_one();
        world.raw.end_phase(ONE);
        world.raw.writers.release();
        world.count.get();
        world.raw.leave();
        assert!(other.join().unwrap());
        world.assert_clean(2);
    });
}

#[test]
fn loom_an_upgradable_reader_becomes_a_writer() {
    model::check_deep(|| {
        let world = World::new();
        let other = reader(&world, Moment::NEVER);
        assert!(world.raw.writers.acquire(WaitReason::RwLockRead, Moment::NEVER));
        world.count.get();
        assert!(world.raw.announce(Moment::NEVER));
        world.count.add_one();
        world.raw.end_phase(0);
        world.raw.writers.release();
        assert!(other.join().unwrap());
        world.assert_clean(1);
    });
}

#[test]
fn loom_who_only_tries_leaves_no_trace() {
    model::check_deep(|| {
        let world = World::new();
        let other = writer(&world, Moment::NEVER);
        let mut count = 1;
        if world.raw.try_read() {
            world.count.get();
            world.raw.leave();
        }
        if world.raw.writers.try_acquire() {
            if world.raw.try_announce() {
                world.count.add_one();
                count += 1;
                world.raw.end_phase(0);
            }
            world.raw.writers.release();
        }
        assert!(other.join().unwrap());
        world.assert_clean(count);
    });
}

/// A reader beside somebody who does something that must not be.
fn reader_beside(wrong: impl Fn(&World) + Copy + Send + Sync + 'static) {
    check_pair(World::new, |world| assert!(world.read(Moment::NEVER)), wrong);
}

/// A writer beside somebody who does something that must not be.
fn writer_beside(wrong: impl Fn(&World) + Copy + Send + Sync + 'static) {
    check_pair(World::new, |world| assert!(world.write(Moment::NEVER)), wrong);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_a_phase_that_ends_without_release_is_found() {
    reader_beside(|world| {
        assert!(world.raw.write(Moment::NEVER));
        world.count.add_one();
        let order = Ordering::Relaxed;
        if world.raw.state.compare_exchange(WRITER, 0, order, order).is_err() {
            world.raw.end_phase(0);
        }
        world.raw.writers.release();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_a_reader_that_leaves_without_release_is_found() {
    writer_beside(|world| {
        assert!(world.raw.read(Moment::NEVER));
        world.count.get();
        let before = world.raw.state.fetch_sub(ONE, Ordering::Relaxed);
        if before & WRITER != 0 {
            world.raw.wake_writer();
        }
    });
}

/// Against invariant 3.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_last_reader_that_wakes_no_writer_is_found() {
    writer_beside(|world| {
        assert!(world.raw.read(Moment::NEVER));
        world.count.get();
        world.raw.state.fetch_sub(ONE, Ordering::Release);
    });
}

/// Against invariant 3: what a reader takes back may be the last count, too.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_reader_kept_out_that_wakes_no_writer_is_found() {
    model::check_deep(|| {
        let world = World::new();
        let reader = start(&world, |world| world.read(Moment::NEVER));
        let wrong = start(&world, |world| {
            // Acquire: as in `read`; the orderings are not what is wrong here.
            let before = world.raw.state.fetch_add(ONE, Ordering::Acquire);
            if before & WRITER == 0 {
                return world.raw.leave();
            }
            // Release: as in `leave`.
            world.raw.state.fetch_sub(ONE, Ordering::Release);
        });
        assert!(world.write(Moment::NEVER));
        reader.join().unwrap();
        wrong.join().unwrap();
    });
}

/// Against invariant 2.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_phase_that_ends_past_its_sleepers_is_found() {
    reader_beside(|world| {
        assert!(world.raw.write(Moment::NEVER));
        world.count.add_one();
        world.raw.state.fetch_and(!(WRITER | PARKED), Ordering::Release);
        world.raw.writers.release();
    });
}

/// Against invariant 2: looked, and then lay down, in two steps.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_reader_that_does_not_look_again_is_found() {
    writer_beside(|world| {
        if world.raw.try_read() {
            return world.raw.leave();
        }
        world.raw.state.fetch_or(PARKED, Ordering::Relaxed);
        let wait = Wait::new(WaitReason::RwLockRead, Moment::NEVER);
        let _ = sema::lock(world.raw.readers_key()).sleep(&wait, Place::Back);
        world.raw.leave();
    });
}
