//! Waiting for any descriptor: pipes, eventfds, and what cannot be waited for.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort::net::{Poll, UnixStream};
use rustix::event::{EventfdFlags, eventfd};

const MS: Duration = Duration::from_millis(1);

#[gort::test(unsafe(migrate))]
fn a_pipe() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let (readable, writable) = (Poll::new(&reader).unwrap(), Poll::new(&writer).unwrap());
    writable.writable().unwrap();
    assert_eq!(readable.readable_timeout(5 * MS).unwrap_err().kind(), ErrorKind::TimedOut);
    let waits = gort::go(move || {
        readable.readable().unwrap();
        readable
    });
    gort::sleep(5 * MS);
    writer.write_all(b"ab").unwrap();
    let readable = waits.join().unwrap();
    // It is a state, not an event: it stays until somebody reads.
    readable.readable().unwrap();
    reader.read_exact(&mut [0; 1]).unwrap();
    readable.readable_deadline(Instant::now()).unwrap();
    reader.read_exact(&mut [0; 1]).unwrap();
    assert!(readable.readable_deadline(Instant::now()).is_err());
    // The end is readable too.
    drop((writer, writable));
    readable.readable().unwrap();
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[gort::test(unsafe(migrate))]
fn a_pipe_that_is_full() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let writable = Poll::new(&writer).unwrap();
    while writable.writable_timeout(MS).is_ok() {
        writer.write_all(&[0; 4096]).unwrap(); // the descriptor blocks, but not while there is room for this
    }
    assert_eq!(writable.writable_deadline(Instant::now() + MS).unwrap_err().kind(), ErrorKind::TimedOut);
    let waits = gort::go(move || writable.writable().unwrap());
    gort::sleep(5 * MS);
    assert!(!waits.is_finished());
    reader.read_exact(&mut [0; 64 << 10]).unwrap();
    waits.join().unwrap();
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn an_eventfd_and_many_who_wait() {
    let event: OwnedFd =
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap();
    let poll = Poll::new(&event).unwrap();
    let taken = AtomicUsize::new(0);
    gort::scope(|s| {
        for _ in 0..4 {
            s.go(|| {
                while taken.load(Ordering::Relaxed) < 1000 {
                    match poll.readable() {
                        Ok(()) if rustix::io::read(&event, &mut [0; 8]).is_ok() => {
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(()) => {} // another one was faster
                        Err(error) => return assert_eq!(error.kind(), ErrorKind::NotConnected),
                    }
                }
                poll.close();
            });
        }
        for round in 0..1000u64 {
            rustix::io::write(&event, &1u64.to_ne_bytes()).unwrap();
            if round % 10 == 0 {
                gort::gosched();
            }
        }
    });
    assert_eq!(taken.into_inner(), 1000);
}

#[gort::test(unsafe(migrate))]
fn deadlines_and_closing() {
    let (reader, _writer) = io::pipe().unwrap();
    let poll = Poll::new(&reader).unwrap();
    poll.set_deadline(Instant::now() + 10 * MS).unwrap();
    let error = poll.readable().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TimedOut, "i/o timeout"));
    poll.set_deadline(None).unwrap();
    gort::scope(|s| {
        let waits = s.go(|| poll.readable());
        gort::sleep(5 * MS);
        poll.close();
        assert_eq!(waits.join().unwrap().unwrap_err().kind(), ErrorKind::NotConnected);
    });
    assert_eq!(poll.readable_timeout(MS).unwrap_err().kind(), ErrorKind::NotConnected);
}

#[gort::test(unsafe(migrate))]
fn what_cannot_be_polled() {
    let file = File::open("/proc/self/exe").unwrap();
    let error = Poll::new(&file).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unsupported, "not pollable"));
}

#[gort::test(unsafe(migrate))]
fn a_socket_that_is_registered_already() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let (one, other) = (Poll::new(&here).unwrap(), Poll::new(here.as_fd()).unwrap());
    there.write_all(b"x").unwrap();
    one.readable().unwrap();
    other.readable().unwrap();
    (&here).read_exact(&mut [0; 1]).unwrap();
    assert!(one.readable_timeout(MS).is_err());
    // It keeps the socket open.
    drop(here);
    assert!(rustix::fs::fcntl_getfl(&one).is_ok());
    there.write_all(b"x").unwrap();
    other.readable().unwrap();
    drop((one, other));
    assert_eq!(there.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}
