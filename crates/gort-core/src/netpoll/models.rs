//! Models of one record: edges, waits, deadlines and close, all at once. A waiter here is a thread of the model that sleeps
//! on a note, and whose deadline is another thread.

use std::ptr::NonNull;
use std::sync::Arc;

use loom::thread;

use super::record::{Begun, Direction, Edge, Edges, Failure, Name, Ready, Record, Waiter, Who, token};
use crate::claim::Claim;
use crate::env::Moment;
use crate::lock::Spin;
use crate::m::note::Note;
use crate::sys::{futex, model};

const PASSED: Moment = Moment::from_nanos(10);

#[repr(C)]
struct Sleeping {
    waiter: Waiter,
    note: Note,
}

impl Sleeping {
    fn new(name: Name) -> Sleeping {
        /// # Safety
        /// The waiter of a `Sleeping`.
        unsafe fn wake(waiter: NonNull<Waiter>) {
            // SAFETY: the caller's promise.
            unsafe { waiter.cast::<Sleeping>().as_ref() }.note.wake();
        }
        Sleeping { waiter: Waiter::new(Who::Call(wake), name), note: Note::new() }
    }
}

struct World {
    record: Record,
    seq: u32,
    /// What the descriptor has: a call succeeds. Under a lock, as in the kernel.
    data: Spin<bool>,
}

// SAFETY: the record may be used by any thread.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    fn new() -> Arc<World> {
        let record = Record::new(0);
        let (seq, _) = record.transition_to_used();
        Arc::new(World { record, seq, data: Spin::new(false) })
    }

    /// The call, without blocking.
    fn take(&self) -> bool {
        std::mem::take(&mut *self.data.lock())
    }

    /// The kernel's side: there is data, and an event says so.
    fn arrive(&self) {
        *self.data.lock() = true;
        self.event();
    }

    fn event(&self) {
        let mut ready = Ready::nobody();
        self.record.edge(self.seq, Edges { read: Edge::Possible, write: Edge::None }, &mut ready);
        tell(ready);
    }

    /// Waits once, as `pollfd` does. The caller's name is the address of something of its own.
    fn wait(&self, own: &u8, limit: Moment) -> Result<usize, Failure> {
        let sleeping = Sleeping::new(Name::at(own));
        match self.record.begin(Direction::Read, limit, &sleeping.waiter) {
            Begun::Ready => return Ok(token::READY),
            Begun::Failed(failure) => return Err(failure),
            Begun::Wait(until, locked) => {
                drop(locked);
                let deadline = Some(until).filter(|until| *until != Moment::NEVER);
                if !sleeping.note.sleep(deadline) {
                    if sleeping.waiter.claim.try_win(Claim::TIMED_OUT) {
                        self.record.forget(Direction::Read, &sleeping.waiter);
                    } else {
                        sleeping.note.sleep(None);
                    }
                }
            }
        }
        Ok(sleeping.waiter.claim.winner())
    }

    /// Reads, as rooms above do.
    fn read(&self) -> Result<(), Failure> {
        let own = 0;
        loop {
            self.record.check(Direction::Read)?;
            if self.take() {
                return Ok(());
            }
            match self.wait(&own, Moment::NEVER)? {
                token::CLOSED => return Err(Failure::Closed),
                Claim::OPEN => unreachable!("a wait has an end"),
                _ => {}
            }
        }
    }
}

fn tell(ready: Ready) {
    for (waiter, who) in ready {
        match who {
            // SAFETY: the waiter waits for this call.
            Who::Call(call) => unsafe { call(waiter) },
            Who::Goroutine(_) => unreachable!("there are none"),
        }
    }
}

fn start<R: 'static>(world: &Arc<World>, body: impl FnOnce(&World) -> R + 'static) -> thread::JoinHandle<R> {
    let world = world.clone();
    thread::spawn(move || body(&world))
}

#[test]
fn loom_an_edge_is_not_lost_whenever_it_comes() {
    model::check(|| {
        let world = World::new();
        let reader = start(&world, World::read);
        world.arrive();
        assert_eq!(reader.join().unwrap(), Ok(()));
    });
}

/// One edge, one piece of data, two readers: one gets it; the other is ended by close.
#[test]
fn loom_an_edge_wakes_all_and_close_wakes_the_rest() {
    model::check(|| {
        let world = World::new();
        let readers = [start(&world, World::read), start(&world, World::read)];
        world.arrive();
        tell(world.record.close());
        let ends = readers.map(|reader| reader.join().unwrap());
        assert!(ends.iter().filter(|end| end.is_ok()).count() <= 1);
        assert_eq!(world.record.check(Direction::Read), Err(Failure::Closed));
    });
}

/// The other end is gone: one edge, after which every call succeeds, and no other edge ever.
#[test]
fn loom_the_last_edge_reaches_every_reader() {
    model::check(|| {
        let world = World::new();
        let reader = |world: &World| {
            let own = 0;
            while !*world.data.lock() {
                world.wait(&own, Moment::NEVER).expect("nobody closes it");
            }
        };
        let readers = [start(&world, reader), start(&world, reader)];
        world.arrive();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// A waiter whose time is up in the same moment as the edge comes: either it hears of the edge, or the next one does.
#[test]
fn loom_an_edge_that_comes_too_late_is_kept_for_the_next() {
    model::check(|| {
        let world = World::new();
        let clock = thread::spawn(|| futex::time_passes(PASSED));
        let edge = start(&world, World::event);
        let own = 0;
        let first = world.wait(&own, PASSED);
        edge.join().unwrap();
        clock.join().unwrap();
        match first {
            Ok(token::READY) => {}
            Ok(Claim::TIMED_OUT) | Err(Failure::TimedOut) => {
                assert_eq!(world.wait(&own, Moment::NEVER), Ok(token::READY));
            }
            other => panic!("{other:?}"),
        }
    });
}

/// A deadline in the past, set while somebody begins to wait.
#[test]
fn loom_a_deadline_reaches_who_waits() {
    model::check(|| {
        let world = World::new();
        futex::time_passes(PASSED);
        let reader = start(&world, World::read);
        tell(world.record.set_deadline(Direction::Read, Some(PASSED)));
        assert_eq!(reader.join().unwrap(), Err(Failure::TimedOut));
    });
}

/// A wait whose deadline is cleared before it comes goes on until the edge.
#[test]
fn loom_a_deadline_that_is_cleared_ends_nothing() {
    model::check(|| {
        let world = World::new();
        tell(world.record.set_deadline(Direction::Read, Some(PASSED)));
        let waiter = start(&world, |world| {
            let own = 0;
            loop {
                match world.wait(&own, Moment::NEVER) {
                    Ok(token::DEADLINE) => {}
                    end => return end,
                }
            }
        });
        tell(world.record.set_deadline(Direction::Read, None));
        futex::time_passes(PASSED);
        world.arrive();
        assert_eq!(waiter.join().unwrap(), Ok(token::READY));
    });
}

/// An event for what the record was before, while it is used anew.
#[test]
fn loom_a_stale_event_is_dropped() {
    model::check(|| {
        let world = World::new();
        let stale = start(&world, World::event);
        assert!(world.record.close().is_empty());
        world.record.transition_to_free(None);
        let (seq, _) = world.record.transition_to_used();
        assert_ne!(seq, world.seq);
        stale.join().unwrap();
        let sleeping = Sleeping::new(Name::at(&0u8));
        match world.record.begin(Direction::Read, Moment::NEVER, &sleeping.waiter) {
            Begun::Wait(..) => {}
            _ => panic!("nothing has happened to the new one"),
        }
        world.record.forget(Direction::Read, &sleeping.waiter);
    });
}

/// Whoever empties it says so only of what it saw: an edge in between keeps the next call worth trying.
#[test]
fn loom_what_was_emptied_before_an_edge_is_promising() {
    model::check(|| {
        let world = World::new();
        let arrives = start(&world, World::arrive);
        let seen = world.record.edges(Direction::Read);
        let empty = !world.take();
        if empty {
            world.record.emptied(Direction::Read, seen);
        }
        arrives.join().unwrap();
        assert!(!empty || world.record.promising(Direction::Read));
    });
}
