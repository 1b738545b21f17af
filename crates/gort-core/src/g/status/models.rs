//! Models of what rests on the status word: a park, which nobody can end before its commit has, and a dump, which copies
//! the stack of somebody who may start to run meanwhile.

use std::sync::Arc;

use loom::thread;

use super::{Status, StatusWord};
use crate::ids::WaitReason;
use crate::lock::{RawSpin, Spin};
use crate::m::note::Note;
use crate::sys::atomic::{AtomicU32, Cell, Ordering};
use crate::sys::model;

/// A goroutine, the place where it waits, and the queue through which it comes back.
struct World {
    status: StatusWord,
    /// Its saved registers: whoever resumes it reads them.
    context: Cell<u32>,
    /// The lock of the place, taken before the park and given back by its commit.
    lock: RawSpin,
    waiting: Cell<bool>,
    queue: Spin<Option<()>>,
    queued: Note,
}

// SAFETY: loom watches that cells are handed over properly.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

fn running() -> StatusWord {
    let status = StatusWord::new();
    status.transition_to_spawned();
    status.transition_to_running();
    status
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World {
            status: running(),
            context: Cell::new(0),
            lock: RawSpin::new(),
            waiting: Cell::new(false),
            queue: Spin::new(None),
            queued: Note::new(),
        })
    }

    /// The machine that the goroutine parks on. The commit is the unlock; `early` is the mistake to do it before the
    /// context has been saved.
    fn park(&self, early: bool) {
        self.lock.lock();
        self.waiting.set(true);
        if early {
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
        }
        self.context.set(7);
        self.status.transition_to_waiting(WaitReason::ChanReceive);
        if !early {
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
        }
    }

    /// Somebody who readies the goroutine as soon as it finds it.
    fn wake(&self) {
        loop {
            self.lock.lock();
            let found = self.waiting.replace(false);
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
            if found {
                break;
            }
            crate::sys::atomic::spin_hint();
        }
        self.status.transition_to_ready();
        *self.queue.lock() = Some(());
        self.queued.wake();
    }

    /// The machine that finds it in a queue.
    fn run(&self) {
        while self.queue.lock().take().is_none() {
            self.queued.sleep(None);
        }
        self.status.transition_to_running();
        assert_eq!(self.context.get(), 7);
    }
}

fn park_and_resume(early: bool) {
    model::check(move || {
        let world = World::new();
        let waker = thread::spawn({
            let world = world.clone();
            move || world.wake()
        });
        let machine = thread::spawn({
            let world = world.clone();
            move || world.run()
        });
        world.park(early);
        waker.join().unwrap();
        machine.join().unwrap();
        assert_eq!(world.status.load().status(), Status::Running);
    });
}

#[test]
fn loom_nobody_resumes_before_the_commit() {
    park_and_resume(false);
}

#[test]
#[should_panic]
fn loom_an_unlock_before_the_context_is_saved_is_found() {
    park_and_resume(true);
}

/// A goroutine that parks, is resumed, runs on its stack, and parks again; and a dump.
#[test]
fn loom_a_copy_that_counts_is_of_one_park() {
    struct Seen {
        status: StatusWord,
        stack: [AtomicU32; 2],
    }
    impl Seen {
        fn park(&self, value: u32) {
            self.stack.iter().for_each(|word| word.store(value, Ordering::Relaxed));
            self.status.transition_to_waiting(WaitReason::Sleep);
        }
    }
    model::check(|| {
        let stack = [AtomicU32::new(0), AtomicU32::new(0)];
        let seen = Arc::new(Seen { status: running(), stack });
        seen.park(1);
        let dump = thread::spawn({
            let seen = seen.clone();
            move || {
                let before = seen.status.load();
                let copy = seen.stack.each_ref().map(|word| word.load(Ordering::Relaxed));
                if before.status() == Status::Waiting && seen.status.unchanged_since(before) {
                    assert_eq!(copy[0], copy[1], "a torn copy");
                }
            }
        });
        seen.status.transition_to_ready();
        seen.status.transition_to_running();
        seen.park(2);
        dump.join().unwrap();
    });
}
