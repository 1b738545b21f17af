//! Descriptors that goroutines wait for: the network poller and the scheduler together.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gort_core::env::Moment;
use gort_core::pollfd::{Direction, PollError, PollFd};

/// One end of a socket pair, registered.
struct End {
    fd: PollFd,
    stream: UnixStream,
}

impl End {
    fn pair() -> (Arc<End>, Arc<End>) {
        let (one, other) = UnixStream::pair().expect("the system gives a socket pair");
        (End::new(one), End::new(other))
    }

    fn new(stream: UnixStream) -> Arc<End> {
        stream.set_nonblocking(true).expect("a socket can be non-blocking");
        Arc::new(End { fd: PollFd::new(stream.as_fd()).expect("a socket can be polled"), stream })
    }

    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.fd.check(Direction::Read)?;
            match try_read(&self.stream, buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.fd.wait(Direction::Read)?,
                done => return done,
            }
        }
    }

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.fd.check(Direction::Write)?;
            match try_write(&self.stream, bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.fd.wait(Direction::Write)?,
                done => bytes = &bytes[done?..],
            }
        }
        Ok(())
    }
}

/// The call and its errno on one thread: not inlined into what spans a wait.
#[inline(never)]
fn try_read(mut stream: &UnixStream, buf: &mut [u8]) -> io::Result<usize> {
    stream.read(buf)
}

/// As [`try_read`].
#[inline(never)]
fn try_write(mut stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    stream.write(bytes)
}

#[gort::test(unsafe(migrate))]
fn a_reader_waits_for_a_writer() {
    let (one, other) = End::pair();
    let reader = gort::go(move || {
        let mut buf = [0; 16];
        let count = other.read(&mut buf).expect("the other end writes");
        buf[..count].to_vec()
    });
    gort::sleep(Duration::from_millis(5));
    one.write_all(b"hello").expect("there is room");
    assert_eq!(reader.join().expect("no panic"), b"hello");
}

#[gort::test(unsafe(migrate))]
fn many_ping_pongs() {
    let pairs: Vec<_> = (0..100).map(|_| End::pair()).collect();
    let handles: Vec<_> = pairs
        .into_iter()
        .map(|(one, other)| {
            gort::go(move || {
                let mut buf = [0; 64];
                while other.read(&mut buf).expect("the other end writes or closes") != 0 {
                    other.write_all(&buf).expect("there is room");
                }
            });
            gort::go(move || {
                let mut buf = [0; 64];
                for round in 0..200u8 {
                    one.write_all(&[round; 64]).expect("there is room");
                    assert_eq!(one.read(&mut buf).expect("it is echoed"), 64);
                    assert_eq!(buf, [round; 64]);
                }
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
}

#[gort::test(unsafe(migrate))]
fn deadlines_and_close() {
    let (one, _other) = End::pair();
    one.fd.set_deadline(Direction::Read, Some(Moment::after(Duration::from_millis(5))));
    assert_eq!(one.fd.wait(Direction::Read), Err(PollError::TimedOut));
    one.fd.set_deadline(Direction::Read, None);
    let closed = Arc::new(AtomicBool::new(false));
    let waiter = gort::go({
        let (one, closed) = (one.clone(), closed.clone());
        move || {
            let end = one.fd.wait(Direction::Read);
            (end, closed.load(Ordering::SeqCst))
        }
    });
    gort::sleep(Duration::from_millis(5));
    closed.store(true, Ordering::SeqCst);
    one.fd.close();
    assert_eq!(waiter.join().expect("no panic"), (Err(PollError::Closed), true));
}
