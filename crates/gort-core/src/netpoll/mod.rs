//! The network poller: which descriptors are waited for, and who is to go on when the kernel says that one is ready.
//!
//! ```text
//!   pollfd ── open, register ──► Poller ── epoll_ctl ──► kernel
//!     │                            ▲                       │ events: (record, sequence number), what became possible
//!     └── begin, close, ... ──► Record ◄──── edge ─────────┘
//!                                  └── who waited ──► Ready ──► the scheduler queues them
//! ```
//! - [`record`]: one descriptor: readiness, deadline and waiters of each direction; the state machine.
//! - [`table`]: where records live: never freed, so an event may be as late as it likes.
//! - [`epoll`]: the system calls, or a model of the kernel under `--cfg loom`.
//!
//! This room reads events and says who is ready. It queues nobody, decides nothing about who polls when, and knows no
//! sockets: the scheduler polls (`sched::network`), the rooms above wait ([`pollfd`](crate::pollfd)).
//!
//! Invariants:
//! 1. A descriptor is registered once, for both directions, edge-triggered. So the kernel is asked once for a connection,
//!    and whoever waits tries the call first: an edge tells of a change, not of a state.
//! 2. An event names a record by its index and its sequence number. A record that serves another descriptor by now has
//!    another number, and the event is dropped.
//! 3. `waiters` is never lower than the number of waiters in all lists of all records: it goes up before a waiter can be
//!    seen in a list, and down after it is in none, and has been queued. So whoever finds 0 need not poll, and the deadlock
//!    detector misses nobody who is on the way from a list to a queue.
//! 4. The epoll instance is made by the first registration, once, and stays until the process ends.

#[cfg(not(loom))]
pub(crate) mod epoll;
#[cfg(loom)]
#[path = "epoll_model.rs"]
pub(crate) mod epoll;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod record;
pub(crate) mod table;
#[cfg(all(test, not(loom)))]
mod tests;

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;

use crate::env::Moment;
use crate::sys::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use epoll::Epoll;
use record::{Ready, Record};
use table::Table;

/// The poller. There is one in a process, since descriptors are the process's.
pub(crate) struct Poller {
    /// Null until the first registration (invariant 4).
    epoll: AtomicPtr<Epoll>,
    /// Goroutines and threads that wait for a descriptor (invariant 3).
    waiters: AtomicUsize,
    /// The blocking call has been told to return, and has not heard it yet.
    told: AtomicBool,
    /// Looks so far.
    polls: AtomicU64,
    pub(crate) table: Table,
}

#[cfg(not(loom))]
static POLLER: Poller = Poller::new();

#[cfg(loom)]
loom::lazy_static! {
    static ref POLLER: Poller = Poller::new();
}

/// The poller.
pub(crate) fn poller() -> &'static Poller {
    &POLLER
}

/// How long a look may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It takes what is there.
    No,
    /// Until there is something, until told, or until this moment.
    Until(Moment),
}

impl Poller {
    #[cfg(not(loom))]
    const fn new() -> Poller {
        Poller {
            epoll: AtomicPtr::new(ptr::null_mut()),
            waiters: AtomicUsize::new(0),
            told: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            table: Table::new(),
        }
    }

    #[cfg(loom)]
    fn new() -> Poller {
        Poller {
            epoll: AtomicPtr::new(ptr::null_mut()),
            waiters: AtomicUsize::new(0),
            told: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            table: Table::new(),
        }
    }

    /// Makes the epoll instance, if it is not there. User context: allocates; holds no lock.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub(crate) fn open(&self) -> io::Result<()> {
        if self.epoll().is_some() {
            return Ok(());
        }
        let made = Box::into_raw(Box::new(Epoll::open()?));
        // Release: whoever sees the pointer sees the descriptors; pairs with the Acquire in `epoll`.
        if self.epoll.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // SAFETY: nobody else has seen the box.
            drop(unsafe { Box::from_raw(made) });
        }
        Ok(())
    }

    #[inline]
    fn epoll(&self) -> Option<&Epoll> {
        // Acquire: pairs with the exchange in `open`.
        // SAFETY: null, or a box that was leaked and lives as long as the process (in a model: as the poller).
        unsafe { self.epoll.load(Ordering::Acquire).as_ref() }
    }

    /// Registers `fd`: its events go to `record`, which the caller took from the table and keeps until `deregister`.
    ///
    /// # Errors
    /// The kernel's: EPERM if a file of this kind can not be polled.
    pub(crate) fn register(&self, fd: BorrowedFd<'_>, record: &Record, seq: u32) -> io::Result<()> {
        let epoll = self.epoll().expect("the poller is open before anything is registered");
        epoll.add(fd, data(record, seq))
    }

    /// Ends the registration of `fd`. Events that were fetched already are dropped once the record is given back.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) {
        if let Some(epoll) = self.epoll() {
            epoll.delete(fd);
        }
    }

    /// A model's descriptor becomes readable.
    #[cfg(all(test, loom))]
    pub(crate) fn happens(&self, record: &Record, seq: u32) {
        let epoll = self.epoll().expect("the poller is open");
        epoll.happens(data(record, seq));
    }

    /// How many wait. 0 says that there is no need to poll.
    #[inline]
    pub(crate) fn waiters(&self) -> usize {
        // Relaxed: the barriers are those of the idle protocol (`sched::search`, `sched::network`).
        self.waiters.load(Ordering::Relaxed)
    }

    /// For the deadlock detector.
    pub(crate) fn nobody_waits(&self) -> bool {
        // Acquire: see `fewer_wait`.
        self.waiters.load(Ordering::Acquire) == 0
    }

    /// One more waits: before the lock of its record is given back.
    #[inline]
    pub(crate) fn one_more_waits(&self) {
        // SeqCst: the deadlock detector reads it after it has seen every processor idle, and the waiter's machine makes
        // its processor idle only after this.
        self.waiters.fetch_add(1, Ordering::SeqCst);
    }

    /// As many do not wait any more: after they were taken out of their lists, and are queued, or about to be by a caller
    /// that the deadlock detector sees run.
    #[inline]
    pub(crate) fn fewer_wait(&self, count: usize) {
        if count != 0 {
            // Release: pairs with the Acquire in `nobody_waits`: where they are by now is seen.
            let before = self.waiters.fetch_sub(count, Ordering::Release);
            debug_assert!(before >= count, "{count} of {before} waiters go");
        }
    }

    /// Looks for events, and says who can go on. They are counted until [`fewer_wait`](Poller::fewer_wait).
    pub(crate) fn poll(&self, wait: Wait) -> Ready {
        let mut ready = Ready::nobody();
        let Some(epoll) = self.epoll() else { return ready };
        self.polls.fetch_add(1, Ordering::Relaxed);
        let mut told = false;
        epoll.wait(wait, |event| match event.data {
            epoll::TOLD => told = true,
            data => {
                let (seq, index) = ((data >> 32) as u32, data as u32);
                if let Some(record) = self.table.at(index) {
                    record.edge(seq, event.edges, &mut ready);
                }
            }
        });
        // A look that does not wait leaves the message to the one that does.
        if told && wait != Wait::No {
            epoll.hush();
            // AcqRel: with the swap in `tell`: whoever tells from now on does so anew, and what the teller did before, who
            // found the message on its way, is seen by us.
            self.told.swap(false, Ordering::AcqRel);
        }
        ready
    }

    /// Has the blocking look return, or the next one if there is none.
    pub(crate) fn tell(&self) {
        // AcqRel: see `poll`.
        if let Some(epoll) = self.epoll()
            && !self.told.swap(true, Ordering::AcqRel)
        {
            epoll.tell();
        }
    }

    /// Looks so far.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }
}

/// By what an event names a record.
fn data(record: &Record, seq: u32) -> u64 {
    u64::from(seq) << 32 | u64::from(record.index())
}

#[cfg(loom)]
impl Drop for Poller {
    /// The end of an execution of a model; the real poller stays.
    fn drop(&mut self) {
        let epoll = self.epoll.load(Ordering::Relaxed);
        if !epoll.is_null() {
            // SAFETY: the box that `open` leaked; all threads of the model have ended.
            drop(unsafe { Box::from_raw(epoll) });
        }
    }
}
