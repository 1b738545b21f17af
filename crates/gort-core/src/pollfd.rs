//! Waiting for a descriptor: the door through which sockets, pipes and whatever else the kernel can poll are reached.
//!
//! Whoever uses it tries its call first and waits only after `EAGAIN`:
//!
//! ```text
//!   loop {  check ──► the call ──► done
//!                        │ EAGAIN
//!                        └──► wait ──► again  }
//! ```
//! The readiness itself is kept by `netpoll`; here it meets the waist. A goroutine that waits is queued
//! by the machine that polls; an OS thread is woken by it. If the runtime was never started nobody polls, and the thread
//! asks the kernel itself (`alone`).

mod alone;

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::{error, fmt, io};

use crate::claim::Claim;
use crate::env::Moment;
use crate::ids::WaitReason;
use crate::netpoll::record::{Begun, Failure, Name, Ready, Record, Waiter, Who, token};
use crate::netpoll::{Poller, poller};
use crate::park::{self, Sleeper};
use crate::sched::network;

pub use crate::netpoll::record::Direction;

/// Why a wait for a descriptor ended, other than by readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollError {
    /// The [`PollFd`] was closed.
    Closed,
    /// A deadline has passed.
    TimedOut,
}

impl fmt::Display for PollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PollError::Closed => "use of closed file",
            PollError::TimedOut => "i/o timeout",
        })
    }
}

impl error::Error for PollError {}

impl From<PollError> for io::Error {
    /// Of kind `NotConnected` and `TimedOut`.
    fn from(error: PollError) -> io::Error {
        let kind = match error {
            PollError::Closed => io::ErrorKind::NotConnected,
            PollError::TimedOut => io::ErrorKind::TimedOut,
        };
        io::Error::new(kind, error)
    }
}

impl From<Failure> for PollError {
    fn from(failure: Failure) -> PollError {
        match failure {
            Failure::Closed => PollError::Closed,
            Failure::TimedOut => PollError::TimedOut,
        }
    }
}

/// How far a direction has come: what [`PollFd::progress`] saw before a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress(u32);

/// One descriptor's registration with the network poller: edge-triggered, for both directions, once; Go's `pollDesc`.
///
/// Used through a shared reference, by any number of goroutines and OS threads. The descriptor belongs to somebody else,
/// who keeps it open until this is dropped. One descriptor can be registered once at a time.
pub struct PollFd {
    record: &'static Record,
    fd: RawFd,
}

impl fmt::Debug for PollFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollFd").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl PollFd {
    /// Registers a descriptor, which must be non-blocking.
    ///
    /// # Errors
    /// The kernel's, as raw OS errors. `EPERM`: it can not be polled, a regular file for example (Go: "not pollable");
    /// `EEXIST`: it is registered already; `EMFILE` and `ENOMEM`: there is no room for one more.
    pub fn new(fd: BorrowedFd<'_>) -> io::Result<PollFd> {
        let poller = poller();
        poller.open()?;
        let (record, seq) = poller.table.take()?;
        match poller.register(fd, record, seq) {
            Ok(()) => Ok(PollFd { record, fd: fd.as_raw_fd() }),
            Err(error) => {
                poller.table.give_back(record);
                Err(error)
            }
        }
    }

    /// Before a call is tried: whether it may be. The deadline counts even if the call would succeed. Never parks.
    ///
    /// # Errors
    /// It is closed, or the direction's deadline has passed.
    #[inline]
    pub fn check(&self, direction: Direction) -> Result<(), PollError> {
        Ok(self.record.check(direction)?)
    }

    /// Parks the caller until a call may succeed, after one has said `EAGAIN`. Returns at once if the kernel has reported a
    /// change since the last wait of that direction. It may return too early: the caller tries its call, and waits again.
    ///
    /// # Errors
    /// It is closed, or the direction's deadline has passed, now or while it waited.
    #[inline]
    pub fn wait(&self, direction: Direction) -> Result<(), PollError> {
        self.wait_until(direction, Moment::NEVER)
    }

    /// As [`wait`](PollFd::wait), with one more deadline, of this call only.
    ///
    /// # Errors
    /// As [`wait`](PollFd::wait).
    pub fn wait_until(&self, direction: Direction, deadline: Moment) -> Result<(), PollError> {
        loop {
            let woken_by = if network::is_running() {
                self.park(direction, deadline)?
            } else {
                self.wait_alone(direction, deadline)?
            };
            match woken_by {
                token::READY => return Ok(()),
                token::CLOSED => return Err(PollError::Closed),
                // The deadline, or a new one: what it means now is found out by beginning again.
                _ => {}
            }
        }
    }

    /// Sets the deadline of a direction; None clears it. Those who wait go on waiting until then; a moment that has passed
    /// ends their waits, and fails all calls until there is another deadline.
    pub fn set_deadline(&self, direction: Direction, deadline: Option<Moment>) {
        tell(poller(), self.record.set_deadline(direction, deadline));
    }

    /// Ends all waits, and fails whatever comes later. Does not close the descriptor. Once is enough.
    pub fn close(&self) {
        tell(poller(), self.record.close());
    }

    /// Before a call that may empty the direction: what has been seen of it. See [`emptied`](PollFd::emptied).
    #[inline]
    pub fn progress(&self, direction: Direction) -> Progress {
        Progress(self.record.edges(direction))
    }

    /// A call has taken all that there was (a read from a stream that filled only part of its buffer), or put in all that
    /// there was room for; `progress` was seen before it. Until something changes, the next call need not be tried.
    #[inline]
    pub fn emptied(&self, direction: Direction, progress: Progress) {
        self.record.emptied(direction, progress.0);
    }

    /// Whether a call is worth trying: false if it would say `EAGAIN`, for all that is known, so that one may as well
    /// [`wait`](PollFd::wait) at once. Always true if nobody calls [`emptied`](PollFd::emptied).
    #[inline]
    pub fn is_promising(&self, direction: Direction) -> bool {
        self.record.promising(direction)
    }

    /// Waits once. What it was woken by.
    fn park(&self, direction: Direction, limit: Moment) -> Result<usize, PollError> {
        let sleeper = park::current();
        let on_goroutine = park::on_goroutine();
        let waiter = match park::this() {
            Some((_, g)) => Waiter::new(Who::Goroutine(NonNull::from(g)), Name::at(g)),
            None => Waiter::new(Who::Call(wake), thread_name()),
        };
        let waiting = Waiting { waiter, sleeper };
        let (deadline, locked) = match self.record.begin(direction, limit, &waiting.waiter) {
            Begun::Ready => return Ok(token::READY),
            Begun::Failed(failure) => return Err(failure.into()),
            Begun::Wait(deadline, locked) => (deadline, locked),
        };
        let poller = poller();
        poller.one_more_waits();
        park::park_until(WaitReason::IoWait, deadline, &waiting.waiter.claim, move || {
            drop(locked);
            if !on_goroutine {
                network::announce_waiting_thread();
            }
        });
        let woken_by = waiting.waiter.claim.winner();
        if woken_by == Claim::TIMED_OUT {
            self.forget(direction, &waiting.waiter);
        }
        Ok(woken_by)
    }

    /// The waiter has won its own claim.
    fn forget(&self, direction: Direction, waiter: &Waiter) {
        self.record.forget(direction, waiter);
        poller().fewer_wait(1);
        network::rouse_monitor();
    }
}

impl Drop for PollFd {
    fn drop(&mut self) {
        // SAFETY: the owner keeps the descriptor open until now. (If not, the kernel knows no such registration, or the
        // owner's next one loses it.)
        poller().deregister(unsafe { BorrowedFd::borrow_raw(self.fd) });
        poller().table.give_back(self.record);
    }
}

/// A wait of a goroutine or of a thread that parks.
#[repr(C)]
struct Waiting {
    /// First: it is found by this one's address.
    waiter: Waiter,
    sleeper: Sleeper,
}

/// What tells an OS thread from others, and from goroutines.
#[inline(never)]
fn thread_name() -> Name {
    thread_local! {
        static OWNED: u8 = const { 0 };
    }
    OWNED.with(|owned| Name::at(owned))
}

/// Ends the park.
///
/// # Safety
/// The waiter is at the start of a [`Waiting`], and this is the one wake-up that it waits for.
unsafe fn wake(waiter: NonNull<Waiter>) {
    // SAFETY: the caller's promise.
    unsafe { park::ready(waiter.cast::<Waiting>().as_ref().sleeper) };
}

/// Tells those who were taken out of their lists: each goes on.
fn tell(poller: &Poller, gone: Ready) {
    if gone.is_empty() {
        return;
    }
    poller.fewer_wait(gone.len());
    for (waiter, who) in gone {
        match who {
            // SAFETY: goroutines wait in `park`; this is their wake-up.
            Who::Goroutine(_) => unsafe { wake(waiter) },
            // SAFETY: the waiter is there until this call, which is the one.
            Who::Call(call) => unsafe { call(waiter) },
        }
    }
    network::rouse_monitor();
}
