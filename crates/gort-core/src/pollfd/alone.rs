//! Waiting without the runtime: nobody polls, so the thread asks the kernel itself, with poll(2).
//!
//! It is in the record's list like any other waiter, so that `close` and a new deadline reach it, and so does an edge if the
//! runtime is started meanwhile. It is told through an eventfd, which it polls beside the descriptor.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd as Polled, PollFlags, Timespec, eventfd, poll};

use super::{Direction, PollError, PollFd, thread_name};
use crate::claim::Claim;
use crate::env::Moment;
use crate::netpoll::poller;
use crate::netpoll::record::{Begun, Waiter, Who, token};

/// Without an eventfd nobody can reach the thread; then it looks again after this long.
const BLIND: Duration = Duration::from_millis(10);

/// A wait of a thread that asks the kernel.
#[repr(C)]
struct Waiting {
    /// First: the rest is found by its address.
    waiter: Waiter,
    told: OwnedFd,
}

/// Tells the thread.
///
/// # Safety
/// The waiter is at the start of a [`Waiting`], and this is the one call that it waits for.
unsafe fn tell(waiter: NonNull<Waiter>) {
    // SAFETY: the caller's promise. The thread goes on, and closes the eventfd, once the kernel has done the write.
    let told = &unsafe { waiter.cast::<Waiting>().as_ref() }.told;
    let _ = rustix::io::write(told, &1u64.to_ne_bytes());
}

impl PollFd {
    /// Waits once. What ended it.
    #[cold]
    pub(super) fn wait_alone(&self, direction: Direction, limit: Moment) -> Result<usize, PollError> {
        let Ok(told) = eventfd(0, EventfdFlags::CLOEXEC) else {
            self.check(direction)?;
            self.ask(direction, None, Moment::after(BLIND).min(limit));
            return Ok(if Moment::now() < limit { token::READY } else { Claim::TIMED_OUT });
        };
        let waiting = Waiting { waiter: Waiter::new(Who::Call(tell), thread_name()), told };
        let deadline = match self.record.begin(direction, limit, &waiting.waiter) {
            Begun::Ready => return Ok(token::READY),
            Begun::Failed(failure) => return Err(failure.into()),
            Begun::Wait(deadline, _locked) => {
                poller().one_more_waits();
                deadline
            }
        };
        let claim = &waiting.waiter.claim;
        loop {
            let (ready, told) = self.ask(direction, Some(&waiting.told), deadline);
            if !told {
                let found = if ready { token::READY } else { Claim::TIMED_OUT };
                if !ready && Moment::now() < deadline {
                    continue;
                }
                if claim.try_win(found) {
                    self.forget(direction, &waiting.waiter);
                    return Ok(found);
                }
            }
            // Whoever has won the claim is about to write, or has: only then can this frame go. A descriptor of ours that
            // is open gives a read back, or blocks.
            while rustix::io::read(&waiting.told, &mut [0u8; 8]).is_err() {}
            return Ok(claim.winner());
        }
    }

    /// Asks the kernel, until the deadline, whether a call is possible, and whether somebody has told the thread. Neither:
    /// the time is up, or the call was interrupted.
    fn ask(&self, direction: Direction, told: Option<&OwnedFd>, deadline: Moment) -> (bool, bool) {
        // SAFETY: the owner keeps the descriptor open as long as the registration.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        let wanted = match direction {
            Direction::Read => PollFlags::IN | PollFlags::RDHUP,
            Direction::Write => PollFlags::OUT,
        };
        let mut asked = [Polled::from_borrowed_fd(fd, wanted), Polled::from_borrowed_fd(fd, wanted)];
        let count = match told {
            Some(told) => {
                asked[1] = Polled::new(told, PollFlags::IN);
                2
            }
            None => 1,
        };
        let left = deadline.since(Moment::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let timeout = (deadline != Moment::NEVER).then_some(&timeout);
        if poll(&mut asked[..count], timeout).is_err() {
            return (false, false);
        }
        (!asked[0].revents().is_empty(), count == 2 && !asked[1].revents().is_empty())
    }
}
