//! Programs in which goroutines wait for descriptors, or have done so.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gort_core::env::Moment;
use gort_core::pollfd::{Direction, PollError, PollFd};

use super::tools::bounded;
use super::{enter, ignore, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("network-nothing-else-to-wait-for", nothing_else_to_wait_for),
    ("network-deadlock-after", deadlock_after),
    ("network-thread-waits", thread_waits),
    ("network-deadlines-in-calls", deadlines_in_calls),
];

/// Waits with deadlines by goroutines that have no processor, while processors with timers come and go.
fn deadlines_in_calls() -> ExitCode {
    bounded(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let sleeper = |stop: Arc<AtomicBool>| {
            move || {
                while !stop.load(Ordering::Relaxed) {
                    gort::sleep(Duration::from_micros(300));
                }
            }
        };
        let sleepers: Vec<_> = (0..100).map(|_| gort::go(sleeper(stop.clone()))).collect();
        let waiters: Vec<_> = (0..32)
            .map(|_| {
                let stop = stop.clone();
                gort::go(move || {
                    let (ours, _theirs) = UnixStream::pair().unwrap();
                    ours.set_nonblocking(true).unwrap();
                    let polled = PollFd::new(ours.as_fd()).unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        let deadline = Moment::after(Duration::from_micros(500));
                        let woken = gort::blocking(|| polled.wait_until(Direction::Read, deadline));
                        assert_eq!(woken, Err(PollError::TimedOut));
                    }
                })
            })
            .collect();
        let changes = std::thread::spawn(|| {
            for procs in [8, 1].repeat(300) {
                gort::runtime::gomaxprocs(procs);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        gort::blocking(|| changes.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        sleepers.into_iter().chain(waiters).for_each(|goroutine| goroutine.join().unwrap());
        say("ok");
    })
}

/// A descriptor of the kernel's that becomes readable after this long, whatever the program does.
fn kernel_timer(after: Duration) -> OwnedFd {
    // SAFETY: takes no pointers.
    let raw = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
    assert!(raw >= 0, "the system gives a timer");
    // SAFETY: a new descriptor that is nobody else's.
    let timer = unsafe { OwnedFd::from_raw_fd(raw) };
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let first =
        libc::timespec { tv_sec: 0, tv_nsec: after.as_nanos().try_into().expect("less than a second") };
    let setting = libc::itimerspec { it_interval: zero, it_value: first };
    // SAFETY: the setting is ours; the old one is not asked for.
    assert_eq!(unsafe { libc::timerfd_settime(raw, 0, &raw const setting, ptr::null_mut()) }, 0);
    timer
}

/// All goroutines wait, but for one of them the kernel has something later.
fn nothing_else_to_wait_for() -> ExitCode {
    enter(|| {
        let waiter = gort::go(|| {
            let timer = kernel_timer(Duration::from_millis(700));
            let registered = PollFd::new(timer.as_fd()).expect("a timer can be polled");
            registered.wait(Direction::Read)
        });
        assert_eq!(waiter.join().expect("no panic"), Ok(()));
        say("it came");
    })
}

/// The network was waited for; now nobody does, although a machine may still sleep in the poller.
fn deadlock_after() -> ExitCode {
    enter(|| {
        let (one, _other) = UnixStream::pair().expect("the system gives a socket pair");
        one.set_nonblocking(true).expect("a socket can be non-blocking");
        let registered = Arc::new(PollFd::new(one.as_fd()).expect("a socket can be polled"));
        let waiter = gort::go({
            let registered = registered.clone();
            move || while registered.wait(Direction::Read).is_ok() {}
        });
        gort::sleep(Duration::from_millis(50));
        registered.close();
        waiter.join().expect("no panic");
        say("nobody waits");
        ignore(gort::channel::never::<u8>().recv());
    })
}

/// A thread of the program's own waits for a descriptor, and all goroutines for that thread.
fn thread_waits() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(0);
        std::thread::spawn(move || {
            let timer = kernel_timer(Duration::from_millis(700));
            let registered = PollFd::new(timer.as_fd()).expect("a timer can be polled");
            tx.send(registered.wait(Direction::Read)).expect("the receiver is here");
        });
        assert_eq!(rx.recv(), Ok(Ok::<(), PollError>(())));
        say("it came");
    })
}
