//! Calls that the kernel interrupts by any signal that is handled, whatever the handler's flags say: beside goroutines
//! that cause preemption all the time, and among computing that is preempted itself, none may ever be seen to fail with
//! EINTR. Each goroutine computes for random times between its calls, so that the signal meets all moments of entering.

use std::process::ExitCode;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::say;
use super::tools::{Hogs, Rng, bounded, compute, errno, preemptions, procs, wait_until};

pub(crate) const ALL: &[super::Ending] = &[("interrupted", never_interrupted)];

/// Makes a call with a short time-out that nothing cuts short. True if it ended as it should, by the time-out.
type Call = fn(&Own) -> bool;

const KINDS: [(&str, Call); 11] = [
    ("nanosleep", nanosleep),
    ("clock_nanosleep", clock_nanosleep),
    ("poll", poll),
    ("ppoll", ppoll),
    ("select", select),
    ("epoll_wait", epoll_wait),
    ("recv", recv),
    ("sem_timedwait", sem_timedwait),
    ("sigtimedwait", sigtimedwait),
    ("futex", futex),
    ("std::thread::sleep", std_sleep),
];

/// Calls of each kind after which the program may end, and preemptions.
const CALLS: u64 = 100;
const PREEMPTIONS: u64 = 100;

/// What a call needs that is made once for each goroutine.
struct Own {
    epoll: libc::c_int,
    sockets: [libc::c_int; 2],
}

fn never_interrupted() -> ExitCode {
    bounded(|| {
        let seed = Rng::fresh_seed();
        let hogs = Hogs::start(procs());
        let stop = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(KINDS.map(|_| AtomicU64::new(0)));
        let callers: Vec<_> = (0..2 * procs() as u64 + 1)
            .map(|n| {
                let (stop, calls) = (stop.clone(), calls.clone());
                gort::go(move || {
                    let (own, mut rng) = (Own::new(), Rng::new(seed + n));
                    while !stop.load(Ordering::Relaxed) {
                        compute(rng.below(400));
                        let kind = rng.below(KINDS.len() as u64) as usize;
                        let (name, call) = KINDS[kind];
                        if !call(&own) {
                            let error = std::io::Error::from_raw_os_error(errno());
                            panic!("seed {seed}: {name}: {error}");
                        }
                        calls[kind].fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let before = preemptions();
        wait_until("many calls", || {
            let many = |count: &AtomicU64| count.load(Ordering::Relaxed) >= CALLS;
            preemptions() >= before + PREEMPTIONS && calls.iter().all(many)
        });
        stop.store(true, Ordering::Relaxed);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        hogs.stop();
        say("ok");
    })
}

impl Own {
    fn new() -> Own {
        let mut own = Own { epoll: -1, sockets: [-1; 2] };
        let time = libc::timeval { tv_sec: 0, tv_usec: 1000 };
        // SAFETY: makes descriptors that are this goroutine's own, and sets an option from a value of its size.
        unsafe {
            own.epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            let made = libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, own.sockets.as_mut_ptr());
            assert!(own.epoll >= 0 && made == 0);
            let (value, size) = (ptr::from_ref(&time).cast(), size_of::<libc::timeval>() as u32);
            let set = libc::setsockopt(own.sockets[0], libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, size);
            assert_eq!(set, 0);
        }
        own
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: closes what `new` has made.
        unsafe {
            libc::close(self.epoll);
            for socket in self.sockets {
                libc::close(socket);
            }
        }
    }
}

const fn after(nanos: i64) -> libc::timespec {
    libc::timespec { tv_sec: 0, tv_nsec: nanos }
}

const SHORT: libc::timespec = after(50_000);

fn nanosleep(_: &Own) -> bool {
    // SAFETY: reads the time.
    unsafe { libc::nanosleep(&SHORT, ptr::null_mut()) == 0 }
}

fn clock_nanosleep(_: &Own) -> bool {
    // SAFETY: reads the time. (It returns the error and does not set it.)
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &SHORT, ptr::null_mut()) == 0 }
}

fn poll(_: &Own) -> bool {
    // SAFETY: no descriptors.
    unsafe { libc::poll(ptr::null_mut(), 0, 1) == 0 }
}

fn ppoll(_: &Own) -> bool {
    // SAFETY: no descriptors; reads the time.
    unsafe { libc::ppoll(ptr::null_mut(), 0, &SHORT, ptr::null()) == 0 }
}

fn select(_: &Own) -> bool {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 50 };
    let none = ptr::null_mut();
    // SAFETY: no descriptors; the time may be written to.
    unsafe { libc::select(0, none, none, none, &mut time) == 0 }
}

fn epoll_wait(own: &Own) -> bool {
    // SAFETY: the event has room for one.
    unsafe {
        let mut event = std::mem::zeroed();
        libc::epoll_wait(own.epoll, &mut event, 1, 1) == 0
    }
}

fn recv(own: &Own) -> bool {
    let mut byte = 0u8;
    // SAFETY: there is room for one byte.
    let got = unsafe { libc::recv(own.sockets[0], ptr::from_mut(&mut byte).cast(), 1, 0) };
    got == -1 && errno() == libc::EAGAIN
}

fn sem_timedwait(_: &Own) -> bool {
    // SAFETY: the semaphore is made, used and destroyed here; the clock fills the time.
    unsafe {
        let mut semaphore = std::mem::zeroed();
        libc::sem_init(&mut semaphore, 0, 0);
        let mut time = after(0);
        libc::clock_gettime(libc::CLOCK_REALTIME, &mut time);
        time.tv_nsec += SHORT.tv_nsec;
        if time.tv_nsec >= 1_000_000_000 {
            (time.tv_sec, time.tv_nsec) = (time.tv_sec + 1, time.tv_nsec - 1_000_000_000);
        }
        let result = libc::sem_timedwait(&mut semaphore, &time);
        let error = errno();
        libc::sem_destroy(&mut semaphore);
        result == -1 && error == libc::ETIMEDOUT
    }
}

fn sigtimedwait(_: &Own) -> bool {
    // SAFETY: fills a set of signals and reads it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGUSR2);
        libc::sigtimedwait(&set, ptr::null_mut(), &SHORT) == -1 && errno() == libc::EAGAIN
    }
}

fn futex(_: &Own) -> bool {
    let word = 0u32;
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is this function's own, nobody wakes who waits on it.
    let result = unsafe { libc::syscall(libc::SYS_futex, &word, operation, 0, &SHORT, 0, 0) };
    result == -1 && errno() == libc::ETIMEDOUT
}

/// std's sleep goes on after an interruption; but not for less than it should.
fn std_sleep(_: &Own) -> bool {
    let (began, time) = (Instant::now(), Duration::from_micros(50));
    std::thread::sleep(time);
    began.elapsed() >= time
}
