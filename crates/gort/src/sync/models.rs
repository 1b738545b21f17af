//! What the models of this room share.

use std::sync::Arc;

use gort_core::model;
use loom::cell::Cell;
use loom::thread::{self, JoinHandle};

/// A number that loom watches: written by one thread at a time, and not while others read it.
#[derive(Debug)]
pub(super) struct Watched(Cell<u32>);

// SAFETY: all threads of a model run on one thread of the system, and loom complains of accesses that would race.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

impl Watched {
    pub(super) fn new() -> Watched {
        Watched(Cell::new(0))
    }

    pub(super) fn get(&self) -> u32 {
        self.0.get()
    }

    pub(super) fn add_one(&self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Starts a thread of the model.
pub(super) fn start<W: 'static, T: 'static>(
    world: &Arc<W>,
    body: impl FnOnce(&W) -> T + 'static,
) -> JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || body(&world))
}

/// Checks a world of two threads, which begin with `first` and `other` and must both come to their ends.
pub(super) fn check_pair<W: 'static>(
    new: impl Fn() -> Arc<W> + Send + Sync + 'static,
    first: impl Fn(&W) + Send + Sync + 'static,
    other: impl Fn(&W) + Copy + Send + Sync + 'static,
) {
    model::check_deep(move || {
        let world = new();
        let thread = start(&world, other);
        first(&world);
        thread.join().unwrap();
    });
}
