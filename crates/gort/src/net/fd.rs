//! A descriptor whose waits park: what all sockets of this room are made of. Go's `netFD`.
//!
//! ```text
//!   call(dir, op)
//!     check ─────► op ─────► done            a few loads and the system call
//!                  │ would block
//!                  ▼
//!                take the direction's turn ─► wait ─► op ─► done, give the turn back
//!                                              ▲      │ would block
//!                                              └──────┘
//! ```
//!
//! The poller is edge-triggered: it tells when something has changed, once, and remembers it until the next wait returns.
//! With several callers in one direction, one of them could take the news and leave bytes (or connections) behind that
//! another one, which has seen nothing before, would wait for in vain. So who waits holds the direction's *turn*, a lock,
//! and who gets it tries again first. Whoever does not have to wait does not need the turn.
//!
//! A goroutine for which there is always something to do here never parks. So each call is a checkpoint, where the runtime
//! may ask it to let others run.
//!
//! Invariants:
//! 1. Only the holder of a direction's turn waits in that direction.
//! 2. Before it waits, it has tried, and nobody has waited (has taken news away) since that try began. A holder that has
//!    got the turn without delay knows this from `waits`, and does not try twice. As good as a try is to see that there was
//!    no news since before somebody's call took everything (`call_emptying`). Who does not count on news need not have tried:
//!    it waits for a short time only (`call_without_events`).
//! 3. The registration ends before the descriptor is closed: fields are dropped in their order.
//! 4. The descriptor is non-blocking, or `op` makes a call that does not block (`MSG_DONTWAIT`).
//!
//! Ordering: `waits` is incremented with Release after each wait, under the turn, and read with Acquire before the first
//! try. If a caller reads the new value, that wait, and the news it took, came before the caller's try, which saw
//! everything the news was about. If it reads the old value it finds the new one when it has the turn (the lock orders
//! that) and tries again. The timeouts and the mode are plain values, and Relaxed: they guard nothing.
//!
//! A clone shares all of this with its origin, deadlines and timeouts included, as std's clones share the options that
//! the kernel keeps with the socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort_core::env::Moment;
use gort_core::park;
use gort_core::pollfd::{Direction, PollFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::ipproto;
use rustix::net::sockopt::{self, Timeout};

use super::error;
use crate::sync::{Mutex, MutexGuard};

/// Short names, for the macros.
pub(super) const READ: Direction = Direction::Read;
pub(super) const WRITE: Direction = Direction::Write;

/// A call may be repeated without an event, if the kernel has none for what it waits for: first after this long, and
/// then after twice as long each time,
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// up to this.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(16);

/// A descriptor, its registration with the poller, and what the user has set.
pub(super) struct NetFd {
    /// Or the number of the error for which there is none: std's `From` cannot fail, so the first use does.
    registration: Result<PollFd, i32>,
    read: Side,
    write: Side,
    nonblocking: AtomicBool,
    /// Made here, or adopted and TCP indeed: what its type says of reads that do not fill their buffer is true.
    trusted: bool,
    fd: OwnedFd,
}

/// One direction.
#[derive(Default)]
struct Side {
    turn: Mutex<()>,
    waits: AtomicUsize,
    /// How long a call may take, in nanoseconds; 0 if there is no limit.
    timeout_ns: AtomicU64,
}

impl NetFd {
    /// Registers a descriptor that is non-blocking already.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Arc<NetFd>> {
        let net_fd = NetFd::register(fd);
        net_fd.registration()?;
        Ok(Arc::new(net_fd))
    }

    /// Takes over any socket: makes it non-blocking, registers it, and keeps the timeouts it has. What fails, fails at
    /// the first use.
    pub(super) fn adopt(fd: OwnedFd) -> Arc<NetFd> {
        let mode = set_nonblocking(&fd, true);
        let timeout = |which| sockopt::socket_timeout(&fd, which).ok().flatten();
        let (read, write) = (timeout(Timeout::Recv), timeout(Timeout::Send));
        let mut net_fd = NetFd::register(fd);
        if let Err(error) = mode {
            net_fd.registration = Err(error.raw_os_error());
        }
        net_fd.trusted =
            sockopt::socket_protocol(&net_fd.fd).is_ok_and(|protocol| protocol == Some(ipproto::TCP));
        net_fd.side(Direction::Read).limit(read);
        net_fd.side(Direction::Write).limit(write);
        Arc::new(net_fd)
    }

    /// The error for which an adopted descriptor is not registered.
    pub(super) fn registered(self: Arc<Self>) -> io::Result<Arc<NetFd>> {
        self.registration()?;
        Ok(self)
    }

    /// Keeps the error, if there is one.
    fn register(fd: OwnedFd) -> NetFd {
        let registration = PollFd::new(fd.as_fd())
            .map_err(|error| error.raw_os_error().unwrap_or(Errno::PERM.raw_os_error()));
        NetFd {
            registration,
            read: Side::default(),
            write: Side::default(),
            nonblocking: AtomicBool::new(false),
            trusted: true,
            fd,
        }
    }

    /// Does `op` once it does not block: at once, or after the descriptor has become ready.
    #[inline]
    pub(super) fn call<T>(
        &self,
        dir: Direction,
        mut op: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        park::checkpoint();
        self.registration()?.check(dir).map_err(error::of_wait)?;
        // Acquire: pairs with the Release in `Turn::wait`, see the head of the file.
        let waits = self.side(dir).waits.load(Ordering::Acquire);
        match uninterrupted(|| op(self.fd.as_fd())) {
            Ok(value) => Ok(value),
            Err(Errno::AGAIN) => self.call_slow(dir, waits, &mut op),
            Err(errno) => Err(errno.into()),
        }
    }

    /// As `call`, for an `op` whose result may say that it took everything: then the next call waits without a try, if there
    /// has been no news since before this one's.
    #[inline]
    pub(super) fn call_emptying<T>(
        &self,
        dir: Direction,
        took_all: impl Fn(&T) -> bool,
        mut op: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        park::checkpoint();
        let poll = self.registration()?;
        poll.check(dir).map_err(error::of_wait)?;
        // Acquire: as in `call`. It comes before the look at the news, which stands for the try: with the two the other way
        // round, another reader could take news in between that neither would show.
        let waits = self.side(dir).waits.load(Ordering::Acquire);
        let mut op = |fd: BorrowedFd<'_>| {
            let before = poll.progress(dir);
            op(fd).inspect(|value| {
                if self.trusted && took_all(value) {
                    poll.emptied(dir, before);
                }
            })
        };
        // Who does not wait may be the only one who would find out.
        if !poll.is_promising(dir) && !self.nonblocking.load(Ordering::Relaxed) {
            return match self.call_slow(dir, waits, &mut op) {
                // The call's own time is up: what has come, and nobody has heard of yet, is worth more than that. (A number is
                // the kernel's, which has given the connection up.)
                Err(error)
                    if error.kind() == io::ErrorKind::TimedOut
                        && error.raw_os_error().is_none()
                        && poll.check(dir).is_ok() =>
                {
                    match uninterrupted(|| op(self.fd.as_fd())) {
                        Err(Errno::AGAIN) => Err(error),
                        result => Ok(result?),
                    }
                }
                result => result,
            };
        }
        match uninterrupted(|| op(self.fd.as_fd())) {
            Ok(value) => Ok(value),
            Err(Errno::AGAIN) => self.call_slow(dir, waits, &mut op),
            Err(errno) => Err(errno.into()),
        }
    }

    /// As `call`, but until `deadline` at the latest, and not for as long as a timeout says.
    pub(super) fn call_until<T>(
        &self,
        dir: Direction,
        deadline: Moment,
        mut op: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        park::checkpoint();
        if self.nonblocking.load(Ordering::Relaxed) {
            return Err(Errno::AGAIN.into());
        }
        Turn::take(self, dir, deadline)?.call(self, &mut op)
    }

    /// As `call`, for an `op` that may become possible without an event of this descriptor: it is tried again after a while,
    /// and then after twice as long each time.
    pub(super) fn call_without_events<T>(
        &self,
        dir: Direction,
        mut op: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        park::checkpoint();
        let poll = self.registration()?;
        let deadline = self.call_deadline(dir);
        let mut pause = LOOK_AGAIN;
        loop {
            poll.check(dir).map_err(error::of_wait)?;
            match uninterrupted(|| op(self.fd.as_fd())) {
                Err(Errno::AGAIN) if !self.nonblocking.load(Ordering::Relaxed) => {}
                result => return Ok(result?),
            }
            if deadline <= Moment::now() {
                return Err(error::timed_out());
            }
            // Who has the turn may wait for something else, and for ever.
            if let Ok(mut turn) = Turn::take(self, dir, deadline.min(Moment::after(pause))) {
                // It ends by time, by news or by close, and the loop looks at all of them.
                let _ = turn.wait();
            }
            pause = (2 * pause).min(LOOK_AGAIN_MAX);
        }
    }

    /// The call would have blocked, or would block, when `waits` had been counted.
    fn call_slow<T>(
        &self,
        dir: Direction,
        waits: usize,
        op: &mut impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        if self.nonblocking.load(Ordering::Relaxed) {
            return Err(Errno::AGAIN.into());
        }
        let mut turn = Turn::take(self, dir, self.call_deadline(dir))?;
        // Relaxed: only a holder of the turn counts, and the lock has ordered that.
        if turn.side.waits.load(Ordering::Relaxed) == waits {
            turn.wait()?;
        }
        turn.call(self, op)
    }

    /// When a call that begins now has to end.
    fn call_deadline(&self, dir: Direction) -> Moment {
        self.timeout(dir).map_or(Moment::NEVER, Moment::after)
    }

    /// Waits for an event, whatever it is about; for one user of the descriptor only.
    pub(super) fn wait(&self, dir: Direction, deadline: Moment) -> io::Result<()> {
        self.registration()?.wait_until(dir, deadline).map_err(error::of_wait)
    }

    /// Whether there is anything to wait with.
    pub(super) fn is_registered(&self) -> bool {
        self.registration.is_ok()
    }

    /// Whether `close` has been called.
    pub(super) fn is_closed(&self) -> bool {
        use gort_core::pollfd::PollError::Closed;
        self.registration.as_ref().is_ok_and(|poll| poll.check(Direction::Read) == Err(Closed))
    }

    /// Wakes all who wait, and fails all later calls.
    pub(super) fn close(&self) {
        if let Ok(poll) = &self.registration {
            poll.close();
        }
    }

    pub(super) fn set_deadline(&self, dir: Direction, deadline: Option<Instant>) -> io::Result<()> {
        let poll = self.registration()?;
        if self.is_closed() {
            return Err(error::closed());
        }
        poll.set_deadline(dir, deadline.map(Moment::from));
        Ok(())
    }

    /// As std: zero is refused, None means no limit.
    pub(super) fn set_timeout(&self, dir: Direction, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(error::no_duration());
        }
        self.side(dir).limit(timeout);
        Ok(())
    }

    pub(super) fn timeout(&self, dir: Direction) -> Option<Duration> {
        let ns = self.side(dir).timeout_ns.load(Ordering::Relaxed);
        (ns != 0).then(|| Duration::from_nanos(ns))
    }

    /// With `true`, calls that would wait fail with `WouldBlock` instead. The descriptor itself stays as it is.
    pub(super) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// The descriptor for others than gort: blocking, unless the user has asked otherwise, and with the timeouts that
    /// have been set. A duplicate if clones of it are left.
    ///
    /// # Panics
    /// If there are clones, and the process has no descriptor left for a duplicate.
    pub(super) fn give_away(self: Arc<Self>) -> OwnedFd {
        let nonblocking = self.nonblocking.load(Ordering::Relaxed);
        let timeouts = [Direction::Read, Direction::Write].map(|dir| self.timeout(dir));
        let fd = match Arc::try_unwrap(self) {
            Ok(NetFd { registration, fd, .. }) => {
                drop(registration); // before the descriptor is anybody else's
                fd
            }
            Err(shared) => {
                fcntl_dupfd_cloexec(&shared.fd, 0).expect("a descriptor for the duplicate of a clone")
            }
        };
        // These cannot fail on a socket; if they could, From would have no way to say so.
        let _ = set_nonblocking(&fd, nonblocking);
        let _ = sockopt::set_socket_timeout(&fd, Timeout::Recv, timeouts[0]);
        let _ = sockopt::set_socket_timeout(&fd, Timeout::Send, timeouts[1]);
        fd
    }

    #[inline]
    fn registration(&self) -> io::Result<&PollFd> {
        self.registration.as_ref().map_err(|raw| error::of_registration(*raw))
    }

    #[inline]
    fn side(&self, dir: Direction) -> &Side {
        match dir {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }
}

// What unwinds out of a call, if anything ever does, leaves the turn given back and everything else as it was.
impl RefUnwindSafe for NetFd {}

impl AsFd for NetFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Side {
    fn limit(&self, timeout: Option<Duration>) {
        // Too long to be counted is as good as no limit.
        let ns = timeout.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(0));
        self.timeout_ns.store(ns, Ordering::Relaxed);
    }
}

/// The right to wait in one direction.
struct Turn<'a> {
    poll: &'a PollFd,
    dir: Direction,
    side: &'a Side,
    /// When the call's own time is over.
    deadline: Moment,
    _guard: MutexGuard<'a, ()>,
}

impl<'a> Turn<'a> {
    /// Waits for those who came before. They are subject to the same deadlines, and pass the turn on when those end.
    fn take(net_fd: &'a NetFd, dir: Direction, deadline: Moment) -> io::Result<Turn<'a>> {
        let poll = net_fd.registration()?;
        let side = net_fd.side(dir);
        let guard = match side.turn.try_lock() {
            Some(guard) => guard,
            None if deadline == Moment::NEVER => side.turn.lock(),
            None => side.turn.try_lock_until(deadline.to_instant()).ok_or_else(error::timed_out)?,
        };
        Ok(Turn { poll, dir, side, deadline, _guard: guard })
    }

    /// Tries, and waits, until it has worked.
    fn call<T>(
        mut self,
        net_fd: &NetFd,
        op: &mut impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        loop {
            self.poll.check(self.dir).map_err(error::of_wait)?;
            match uninterrupted(|| op(net_fd.as_fd())) {
                Err(Errno::AGAIN) => self.wait()?,
                result => return Ok(result?),
            }
        }
    }

    /// Parks until there is news of the descriptor.
    fn wait(&mut self) -> io::Result<()> {
        let news = self.poll.wait_until(self.dir, self.deadline);
        // Release: pairs with the Acquire in `call`. Counted whatever the wait's result: it may have taken news.
        self.side.waits.fetch_add(1, Ordering::Release);
        news.map_err(error::of_wait)
    }
}

/// Does `op` again for as long as a signal interrupts it.
#[inline]
pub(super) fn uninterrupted<T>(mut op: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match op() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn set_nonblocking(fd: &OwnedFd, nonblocking: bool) -> Result<(), Errno> {
    let old = fcntl_getfl(fd)?;
    let new = if nonblocking { old | OFlags::NONBLOCK } else { old - OFlags::NONBLOCK };
    if new == old { Ok(()) } else { fcntl_setfl(fd, new) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    #[test]
    fn a_connection_that_the_kernel_has_given_up_is_not_at_its_end() {
        let (here, mut there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let here = NetFd::new(here.into()).unwrap();
        here.call_emptying(READ, |_| true, |_| Ok(1)).unwrap();
        let mut answers = [Ok(0), Err(Errno::TIMEDOUT)].into_iter().cycle();
        thread::scope(|s| {
            s.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                there.write_all(b"news").unwrap();
            });
            // Emptied, it waits before it tries.
            answers.next();
            let error = here.call_emptying(READ, |_| true, |_| answers.next().unwrap()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::TIMEDOUT.raw_os_error()));
        });
    }
}
