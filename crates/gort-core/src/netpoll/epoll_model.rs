//! epoll under `--cfg loom`: what the poller relies on, as a model. Descriptors are only numbers to it; an event happens
//! when a model says so. Waiting is the futex model's, and so is time.

use std::io;
use std::os::fd::BorrowedFd;

use loom::sync::Mutex;

use super::Wait;
use super::record::{Edge, Edges};
use crate::env::Moment;
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::futex;

/// The data of what stands for the eventfd.
pub(crate) const TOLD: u64 = u64::MAX;

/// The kernel's side of an epoll instance.
pub(crate) struct Epoll {
    events: Mutex<Vec<u64>>,
    /// 1: there is something to fetch. The word on which a waiter sleeps.
    pending: AtomicU32,
}

/// What happened to a descriptor: it became readable, which is all that the models ask for.
pub(crate) struct Happened {
    pub(crate) data: u64,
    pub(crate) edges: Edges,
}

impl Epoll {
    pub(crate) fn open() -> io::Result<Epoll> {
        Ok(Epoll { events: Mutex::new(Vec::new()), pending: AtomicU32::new(0) })
    }

    pub(crate) fn add(&self, _: BorrowedFd<'_>, _: u64) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn delete(&self, _: BorrowedFd<'_>) {}

    /// The descriptor with this data becomes readable.
    pub(crate) fn happens(&self, data: u64) {
        let mut events = self.events.lock().expect("no thread of a model panics in here");
        if !events.contains(&data) {
            events.push(data);
        }
        self.pending.store(1, Ordering::Relaxed);
        drop(events);
        futex::wake(&self.pending, 1);
    }

    /// A message stays until it is hushed; an event is fetched once.
    pub(crate) fn wait(&self, wait: Wait, mut each: impl FnMut(Happened)) {
        loop {
            let fetched = {
                let mut events = self.events.lock().expect("no thread of a model panics in here");
                let fetched = events.clone();
                events.retain(|data| *data == TOLD);
                self.pending.store(u32::from(!events.is_empty()), Ordering::Relaxed);
                fetched
            };
            let edges = || Edges { read: Edge::Possible, write: Edge::None };
            let any = !fetched.is_empty();
            fetched.into_iter().for_each(|data| each(Happened { data, edges: edges() }));
            let Wait::Until(until) = wait else { return };
            if any || Moment::now() >= until {
                return;
            }
            futex::wait(&self.pending, 0, Some(until));
        }
    }

    pub(crate) fn tell(&self) {
        self.happens(TOLD);
    }

    pub(crate) fn hush(&self) {
        let mut events = self.events.lock().expect("no thread of a model panics in here");
        events.retain(|data| *data != TOLD);
        self.pending.store(u32::from(!events.is_empty()), Ordering::Relaxed);
    }
}
