//! The threads under the goroutines: goroutines that are tied to one, names, too few of them, and ones too many.

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use gort::{lock_os_thread, unlock_os_thread};

use super::tools::{Hogs, MS, bounded, compute, procs, threads, wait_for_preemptions, wait_until};
use super::{argument, enter, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("pin-nests", nests),
    ("pin-alone", alone),
    ("pin-preempted", preempted),
    ("pin-blocked", blocked),
    ("pin-exit", exit),
    ("pin-channels", channels),
    ("thread-names", names),
    ("thread-idle", idle),
    ("thread-none-left", none_left),
    ("thread-last-tied", last_tied),
    ("thread-limit-of-hogs", limit_of_hogs),
];

fn thread() -> ThreadId {
    std::thread::current().id()
}

/// Parks in several ways; each time it is on the same thread afterwards.
fn park_and_stay(here: ThreadId) {
    gort::gosched();
    assert_eq!(thread(), here);
    gort::sleep(MS);
    assert_eq!(thread(), here);
    gort::blocking(|| std::thread::sleep(MS));
    assert_eq!(thread(), here);
    assert_eq!(gort::go(|| 5).join().unwrap(), 5);
    assert_eq!(thread(), here);
}

fn nests() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        let handles: Vec<_> = (0..4)
            .map(|_| {
                gort::go(|| {
                    for _ in 0..5 {
                        gort::pin_thread(|| {
                            let here = thread();
                            gort::pin_thread(|| park_and_stay(here));
                            park_and_stay(here);
                            lock_os_thread();
                            lock_os_thread();
                            park_and_stay(here);
                            unlock_os_thread();
                            park_and_stay(here);
                            unlock_os_thread();
                            park_and_stay(here);
                        });
                        gort::gosched();
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        hogs.stop();
        say("ok");
    })
}

/// While goroutines are tied to threads nobody else runs on these.
fn alone() -> ExitCode {
    thread_local! {
        static TAKEN: Cell<bool> = const { Cell::new(false) };
    }
    bounded(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let pinned: Vec<_> = (0..4)
            .map(|_| {
                let stop = stop.clone();
                gort::go(move || {
                    gort::pin_thread(|| {
                        assert!(!TAKEN.replace(true), "two on one thread");
                        while !stop.load(Ordering::Relaxed) {
                            gort::sleep(MS);
                            compute(300);
                            assert!(TAKEN.get());
                        }
                        TAKEN.set(false);
                    })
                })
            })
            .collect();
        let others: Vec<_> = (0..8)
            .map(|_| {
                gort::go(|| {
                    for _ in 0..200 {
                        assert!(!TAKEN.get(), "on somebody else's thread");
                        compute(50);
                        gort::gosched();
                    }
                })
            })
            .collect();
        others.into_iter().for_each(|handle| handle.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        pinned.into_iter().for_each(|handle| handle.join().unwrap());
        say("ok");
    })
}

/// Hogs on threads of their own are stopped, and go on, there.
fn preempted() -> ExitCode {
    bounded(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..2 * procs())
            .map(|n| {
                let stop = stop.clone();
                gort::go(move || {
                    gort::pin_thread(|| {
                        let here = thread();
                        while !stop.load(Ordering::Relaxed) {
                            compute(200);
                            assert_eq!(thread(), here);
                            if n % 2 == 0 {
                                gort::gosched();
                                assert_eq!(thread(), here);
                            }
                        }
                    })
                })
            })
            .collect();
        let plain = Hogs::start(procs());
        wait_for_preemptions(100);
        plain.wait_for_progress();
        plain.stop();
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
        say("ok");
    })
}

/// As above, asleep in the kernel without a word.
fn blocked() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(procs());
        let handles: Vec<_> = (0..8)
            .map(|_| {
                gort::go(|| {
                    gort::pin_thread(|| {
                        let here = thread();
                        for _ in 0..20 {
                            std::thread::sleep(MS);
                            assert_eq!(thread(), here);
                            gort::gosched();
                            assert_eq!(thread(), here);
                        }
                    })
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        hogs.stop();
        say("ok");
    })
}

/// Whoever ends while tied to a thread takes it along.
fn exit() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(procs());
        for round in 0..10 {
            let handle = gort::go(move || {
                lock_os_thread();
                if round % 2 == 0 {
                    gort::sleep(MS);
                } else {
                    std::thread::sleep(MS);
                }
                // SAFETY: asks for a number.
                unsafe { libc::syscall(libc::SYS_gettid) }
            });
            let path = format!("/proc/self/task/{}", handle.join().unwrap());
            wait_until("the end of the thread", || !std::path::Path::new(&path).exists());
        }
        hogs.stop();
        assert_eq!(gort::go(|| 3).join().unwrap(), 3);
        say("ok");
    })
}

/// Values go to and fro between goroutines that are tied and ones that are not.
fn channels() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(procs());
        for (first, second) in [(true, false), (false, true), (true, true)] {
            let (ping, pinged) = gort::chan(0);
            let (pong, ponged) = gort::chan(0);
            let maybe_pinned = |pinned: bool, f: Box<dyn FnOnce() + Send>| {
                gort::go(move || if pinned { gort::pin_thread(f) } else { f() })
            };
            let one = maybe_pinned(
                first,
                Box::new(move || {
                    for n in 0..150 {
                        ping.send(n).unwrap();
                        assert_eq!(ponged.recv(), Ok(n + 1));
                    }
                }),
            );
            let other =
                maybe_pinned(second, Box::new(move || pinged.iter().for_each(|n| pong.send(n + 1).unwrap())));
            one.join().unwrap();
            other.join().unwrap();
        }
        hogs.stop();
        say("ok");
    })
}

/// What `ps -L` and debuggers show.
fn names() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        wait_for_preemptions(5);
        // A thread that has just begun is called as who made it.
        wait_until("a moment in which no thread begins", || {
            let names: Vec<String> = threads().into_iter().map(|thread| thread.name).collect();
            let count = |wanted| names.iter().filter(|name| *name == wanted).count();
            let machines =
                names.iter().filter_map(|name| name.strip_prefix("gort-m")?.parse::<u32>().ok()).count();
            count("gort-monitor") == 1 && count("gort-threads") == 1 && machines > procs()
        });
        hogs.stop();
        say("ok");
    })
}

/// A crowd of threads that nobody needs any more ends after a while.
fn idle() -> ExitCode {
    bounded(|| {
        let over = Arc::new(AtomicBool::new(false));
        let handles: Vec<_> = (0..40)
            .map(|_| {
                let over = over.clone();
                gort::go(|| {
                    gort::blocking(move || {
                        while !over.load(Ordering::Relaxed) {
                            std::thread::sleep(10 * MS);
                        }
                    })
                })
            })
            .collect();
        wait_until("many threads", || gort::runtime::stats().threads > 40);
        over.store(true, Ordering::Relaxed);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        // The runtime's own two, one for each processor, a few in reserve.
        wait_until("few threads", || gort::runtime::stats().threads <= procs() + 6);
        wait_until("few threads of the system", || threads().len() <= procs() + 8);
        say("ok");
    })
}

/// The system gives this user only so many threads. Says `skipped` if that can not be arranged.
fn none_left() -> ExitCode {
    if !few_threads(argument().parse().unwrap()) {
        say("skipped");
        return ExitCode::SUCCESS;
    }
    enter(|| {
        // As many as fit; whoever blocks a thread without a word keeps it from the others for a while.
        let handles: Vec<_> = (0..20u64)
            .map(|n| {
                gort::go(move || {
                    for _ in 0..5 {
                        compute(500);
                        match n % 4 {
                            0 => std::thread::sleep(MS),
                            1 => gort::blocking(|| std::thread::sleep(MS)),
                            2 => gort::sleep(MS),
                            _ => gort::gosched(),
                        }
                    }
                    n
                })
            })
            .collect();
        let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, 190);
        say("ok");
    })
}

/// From here on the process can have so many threads. False: only root can arrange that.
fn few_threads(limit: u64) -> bool {
    // A user that nobody else is, so that only our own threads count.
    let user = 40_000 + std::process::id() % 20_000;
    // SAFETY: reads the limits; takes numbers.
    unsafe {
        let limits = libc::rlimit { rlim_cur: limit, rlim_max: limit };
        libc::geteuid() == 0
            && libc::setrlimit(libc::RLIMIT_NPROC, &limits) == 0
            && libc::setresuid(user, user, user) == 0
    }
}

/// The one thread that can be had is tied to a goroutine that sleeps: nobody is left to wake it.
fn last_tied() -> ExitCode {
    if !few_threads(argument().parse().unwrap()) {
        say("skipped");
        return ExitCode::SUCCESS;
    }
    // SAFETY: takes a number.
    unsafe { libc::alarm(15) };
    enter(|| {
        lock_os_thread();
        gort::sleep(MS);
        say("ok");
    })
}

/// Each hog that is stopped keeps its thread.
fn limit_of_hogs() -> ExitCode {
    bounded(|| {
        gort::runtime::set_max_threads(20);
        let hogs: Vec<_> = (0..64).map(|_| gort::go(|| compute(300_000))).collect();
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
        say("ok");
    })
}
