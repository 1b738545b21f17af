//! epoll, and the eventfd that ends a blocking wait: system calls without policy. Errors come in a register (rustix); the one
//! call that rustix does not have in this form is only asked whether it worked.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use super::Wait;
use super::record::{Edge, Edges};
use crate::env::Moment;

/// The data of the eventfd. No record has its index.
pub(crate) const TOLD: u64 = u64::MAX;

/// Events that one call fetches: Go's number.
const BATCH: usize = 128;

/// In milliseconds the kernel counts no further than to 24 days. Who is back early looks at the clock, and waits again.
const LONGEST: Duration = Duration::from_secs(10 * 86_400);

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

type Events = [MaybeUninit<Event>];

/// An epoll instance and its eventfd.
pub(crate) struct Epoll {
    epoll: OwnedFd,
    event: OwnedFd,
    /// The kernel has epoll_pwait2 (Linux 5.11): time-outs in nanoseconds. Else they are rounded up to milliseconds.
    precise: bool,
}

/// What happened to a descriptor.
pub(crate) struct Happened {
    pub(crate) data: u64,
    pub(crate) edges: Edges,
}

impl Epoll {
    /// # Errors
    /// The process, or the system, has no descriptor left.
    pub(crate) fn open() -> io::Result<Epoll> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Level-triggered: a look that does not wait must not use the message up.
        epoll::add(&epoll, &event, EventData::new_u64(TOLD), EventFlags::IN)?;
        let precise = wait_precisely(epoll.as_fd(), &mut [MaybeUninit::uninit()], &AT_ONCE).is_some();
        Ok(Epoll { epoll, event, precise })
    }

    /// Registers a descriptor, for both directions, edge-triggered.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, data: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::PRI | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(data), flags)?)
    }

    /// Ends a registration. If that fails there is none.
    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Fetches up to a batch of events. None is also what an interrupted call fetches.
    pub(crate) fn wait(&self, wait: Wait, mut each: impl FnMut(Happened)) {
        let mut events = [MaybeUninit::uninit(); BATCH];
        for event in self.fetch(wait, &mut events) {
            each(Happened { data: event.data.u64(), edges: edges(event.flags) });
        }
    }

    fn fetch<'a>(&self, wait: Wait, events: &'a mut Events) -> &'a [Event] {
        match self.timeout(wait) {
            Some(timeout) if self.precise && wait != Wait::No => {
                wait_precisely(self.epoll.as_fd(), events, &timeout).unwrap_or(&[])
            }
            timeout => epoll::wait(&self.epoll, events, timeout.as_ref()).map_or(&[], |(fetched, _)| fetched),
        }
    }

    fn timeout(&self, wait: Wait) -> Option<Timespec> {
        let longest = if self.precise { Duration::MAX } else { LONGEST };
        match wait {
            Wait::No => Some(AT_ONCE),
            Wait::Until(Moment::NEVER) => None,
            Wait::Until(moment) => Some(timespec(moment.since(Moment::now()).min(longest))),
        }
    }

    /// Ends the blocking wait, now or as soon as there is one.
    pub(crate) fn tell(&self) {
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }

    /// Uses the message up.
    pub(crate) fn hush(&self) {
        let _ = rustix::io::read(&self.event, &mut [0u8; 8]);
    }
}

/// A time from now. A wait that begins later than this ends later: the caller looks at the clock again anyway.
fn timespec(left: Duration) -> Timespec {
    Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
}

/// `epoll_pwait2`. None: interrupted, or there is no such call; the caller has found out which when the instance was made.
fn wait_precisely<'a>(
    epoll: BorrowedFd<'_>,
    events: &'a mut Events,
    timeout: &Timespec,
) -> Option<&'a [Event]> {
    // SAFETY: the buffer takes as many events as are said, the time-out is one of the kernel's, there is no signal mask.
    let fetched = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            events.len(),
            std::ptr::from_ref(timeout),
            std::ptr::null::<()>(),
            0usize,
        )
    };
    let fetched = usize::try_from(fetched).ok()?;
    // SAFETY: the kernel has filled as many as it says.
    Some(unsafe { events[..fetched].assume_init_ref() })
}

/// What is possible after the event, or will never be different again. While there is urgent data a read may end before it,
/// short, and find more when it is tried again, without an event: as at the end.
fn edges(flags: EventFlags) -> Edges {
    let both_ended = EventFlags::HUP | EventFlags::ERR;
    let edge = |flag, ended| match (flags.intersects(ended), flags.intersects(flag)) {
        (true, _) => Edge::Ended,
        (false, true) => Edge::Possible,
        (false, false) => Edge::None,
    };
    Edges {
        read: edge(EventFlags::IN, both_ended | EventFlags::RDHUP | EventFlags::PRI),
        write: edge(EventFlags::OUT, both_ended),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_counts_milliseconds_is_asked_for_no_more_than_it_can_count() {
        const LONG: Duration = Duration::from_secs(60 * 86_400);
        let mut epoll = Epoll::open().unwrap();
        for precise in [false, true] {
            epoll.precise = precise;
            let seconds = epoll.timeout(Wait::Until(Moment::after(LONG))).unwrap().tv_sec;
            assert_eq!(seconds < i64::from(i32::MAX) / 1000, !precise);
        }
    }
}
