//! Connecting: to one address, or to the first of several that answers.
//!
//! ```text
//!   one address      connect ─► (in progress) ─► wait until writable ─► the socket's error, if any
//!
//!   several          [::1]:80      ├──────────────────────╳              started first; fails: the next at once
//!                    10.0.0.1:80                          ├───────────────────────────────
//!                    10.0.0.2:80                               250 ms later ├─────────► connected: the others are closed
//! ```
//!
//! The second is RFC 8305 (happy eyeballs): the addresses a name stands for take turns by family, IPv6 first; each gets a
//! head start of 250 ms before the next is tried as well, and the first connection wins. A list that the caller has made
//! keeps its order. If none can be reached the error is the last one's, as in std.
//!
//! A race needs one waiter for many sockets. That is an epoll instance of its own (the *bell*), whose descriptor is
//! registered with the runtime's poller like any socket: it rings when any of the attempts has come to an end. So a race
//! takes no goroutine per attempt, works on plain threads, and to end it is to drop it. Most races are over at the first
//! address, and then there is no bell.
//!
//! A connection to oneself: TCP lets a socket connect to its own port, if nobody listens there and the kernel happens to
//! choose that port for it. That is a refused connection, and is reported as one.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use gort_core::env::Moment;
use gort_core::pollfd::Direction;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{self, SocketType, sockopt};

use super::calls::socket_for;
use super::error;
use super::fd::NetFd;
use super::resolve::Addrs;

/// How much later the next address is tried, while the ones before it have not answered.
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the first of `addrs` that answers.
pub(super) fn to_any(addrs: Addrs) -> io::Result<Arc<NetFd>> {
    match *addrs.list {
        [] => Err(error::no_address()),
        [addr] => to_one(&addr, Moment::NEVER),
        _ if addrs.looked_up => Race::among(by_turns(&addrs.list)).run(),
        _ => Race::among(addrs.list.into()).run(),
    }
}

/// Connects to `addr`, or fails at the deadline.
pub(super) fn to_one(addr: &SocketAddr, deadline: Moment) -> io::Result<Arc<NetFd>> {
    let (fd, mut progress) = start(addr)?;
    let net_fd = NetFd::new(fd)?;
    while progress == Progress::Waits {
        net_fd.wait(Direction::Write, deadline)?;
        progress = look_at(&net_fd)?;
    }
    Ok(net_fd)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waits,
    Connected,
}

/// Begins to connect.
fn start(addr: &SocketAddr) -> io::Result<(OwnedFd, Progress)> {
    let fd = socket_for(addr, SocketType::STREAM)?;
    match net::connect(&fd, addr) {
        Ok(()) => look_at(&fd).map(|progress| (fd, progress)),
        // Interrupted: goes on nevertheless.
        Err(Errno::INPROGRESS | Errno::INTR) => Ok((fd, Progress::Waits)),
        Err(errno) => Err(errno.into()),
    }
}

/// What has become of an attempt.
fn look_at(fd: &impl AsFd) -> io::Result<Progress> {
    sockopt::socket_error(fd)??;
    match net::getpeername(fd) {
        Ok(peer) if peer == Some(net::getsockname(fd)?) => Err(Errno::CONNREFUSED.into()),
        Ok(_) => Ok(Progress::Connected),
        Err(Errno::NOTCONN) => Ok(Progress::Waits),
        Err(errno) => Err(errno.into()),
    }
}

/// IPv6, IPv4, IPv6, and so on, each family in the order it came in.
fn by_turns(addrs: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let mut v6 = addrs.iter().filter(|addr| addr.is_ipv6());
    let mut v4 = addrs.iter().filter(|addr| addr.is_ipv4());
    let mut all = VecDeque::with_capacity(addrs.len());
    while all.len() < addrs.len() {
        all.extend(v6.next());
        all.extend(v4.next());
    }
    all
}

/// Several attempts at the same time.
struct Race {
    left: VecDeque<SocketAddr>,
    /// Those under way; all of them are in the bell.
    running: Vec<OwnedFd>,
    bell: Option<Arc<NetFd>>,
    last_error: io::Error,
}

impl Race {
    fn among(left: VecDeque<SocketAddr>) -> Race {
        Race { left, running: Vec::new(), bell: None, last_error: error::no_address() }
    }

    /// Runs until one has won, or all have failed.
    fn run(mut self) -> io::Result<Arc<NetFd>> {
        loop {
            if let Some(winner) = self.start_next() {
                return NetFd::new(winner);
            }
            if self.running.is_empty() {
                return Err(self.last_error);
            }
            if let Some(winner) = self.watch()? {
                return NetFd::new(winner);
            }
        }
    }

    /// Starts attempts until there is one that has to be waited for. Gives the socket of one that need not.
    fn start_next(&mut self) -> Option<OwnedFd> {
        while let Some(addr) = self.left.pop_front() {
            match start(&addr) {
                Ok((fd, Progress::Connected)) => return Some(fd),
                Ok((fd, Progress::Waits)) => match self.add_to_bell(&fd) {
                    Ok(()) => {
                        self.running.push(fd);
                        return None;
                    }
                    Err(error) => self.last_error = error,
                },
                Err(error) => self.last_error = error,
            }
        }
        None
    }

    /// Waits until one has won (its socket), or until the next is to be started (`None`): after a while, or at once when
    /// one fails.
    fn watch(&mut self) -> io::Result<Option<OwnedFd>> {
        let bell = self.bell.clone().expect("what is under way is in the bell");
        let until = if self.left.is_empty() { Moment::NEVER } else { Moment::after(STAGGER) };
        loop {
            match bell.wait(Direction::Read, until) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(None),
                Err(error) => return Err(error),
                Ok(()) => {}
            }
            let before = self.running.len();
            if let Some(winner) = self.look_at_all() {
                return Ok(Some(winner));
            }
            if self.running.len() < before {
                return Ok(None);
            }
        }
    }

    /// Takes out those that have failed; gives one that is connected.
    fn look_at_all(&mut self) -> Option<OwnedFd> {
        let mut index = 0;
        while let Some(fd) = self.running.get(index) {
            match look_at(fd) {
                Ok(Progress::Waits) => index += 1,
                Ok(Progress::Connected) => return Some(self.running.swap_remove(index)),
                Err(error) => {
                    self.last_error = error;
                    self.running.swap_remove(index); // closing it takes it out of the bell
                }
            }
        }
        None
    }

    fn add_to_bell(&mut self, fd: &OwnedFd) -> io::Result<()> {
        let bell = match &self.bell {
            Some(bell) => bell,
            None => self.bell.insert(NetFd::new(epoll::create(epoll::CreateFlags::CLOEXEC)?)?),
        };
        Ok(epoll::add(bell, fd, epoll::EventData::new_u64(0), epoll::EventFlags::OUT)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let list = ["10.0.0.1:1", "10.0.0.2:1", "[::1]:1", "10.0.0.3:1", "[::2]:1"].map(addr);
        let turns = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "10.0.0.3:1"].map(addr);
        assert_eq!(by_turns(&list), turns);
    }
}
