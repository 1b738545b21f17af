//! Programs that look dead and are not: each says `alive` in the end and exits with 0.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::tools::compute;
use super::{enter, ignore, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("live-thread-sends", thread_sends),
    ("live-thread-chain", thread_chain),
    ("live-sleep", sleep),
    ("live-after-func", after_func),
    ("live-blocking", blocking),
    ("live-recv-timeout", recv_timeout),
    ("live-runs", runs),
    ("live-idle", idle),
    ("live-park-in-blocking", park_in_blocking),
    ("live-thread-ping-pong", thread_ping_pong),
    ("live-std-channel", std_channel),
    ("live-before-run", before_run),
    ("live-unwanted", unwanted),
];

const LONG: Duration = Duration::from_millis(500);

fn thread_sends() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(0);
        std::thread::spawn(move || {
            std::thread::sleep(LONG);
            tx.send("alive").unwrap();
        });
        say(rx.recv().unwrap());
    })
}

/// Threads that start the next one and end: there is always one, never the same.
fn thread_chain() -> ExitCode {
    fn link(left: u32, tx: gort::channel::Sender<&'static str>) {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            match left {
                0 => tx.send("alive").unwrap(),
                _ => link(left - 1, tx),
            }
        });
    }
    enter(|| {
        let (tx, rx) = gort::chan(0);
        link(100, tx);
        say(rx.recv().unwrap());
    })
}

fn sleep() -> ExitCode {
    enter(|| {
        gort::go(|| gort::sleep(LONG)).join().unwrap();
        say("alive");
    })
}

fn after_func() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(0);
        drop(gort::time::after_func(LONG, move || tx.send("alive").unwrap()));
        say(rx.recv().unwrap());
    })
}

fn blocking() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(0);
        gort::go(move || {
            gort::blocking(|| std::thread::sleep(LONG));
            tx.send("alive").unwrap();
        });
        say(rx.recv().unwrap());
    })
}

/// A thread waits in one of gort's waits, but not for ever.
fn recv_timeout() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(0);
        std::thread::spawn(move || {
            let (_never, nothing) = gort::chan::<()>(0);
            ignore(nothing.recv_timeout(LONG));
            tx.send("alive").unwrap();
        });
        say(rx.recv().unwrap());
    })
}

/// Several threads are inside `run`; one goes on.
fn runs() -> ExitCode {
    let (tx, rx) = gort::chan(0);
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let rx = rx.clone();
            // SAFETY: nothing here keeps a thread-local across a call that parks.
            std::thread::spawn(move || unsafe { gort::run(move || rx.recv().unwrap()) })
        })
        .collect();
    // SAFETY: as above.
    let last = std::thread::spawn(move || unsafe {
        gort::run(move || {
            gort::sleep(LONG);
            (0..4).for_each(|n| tx.send(n).unwrap());
        })
    });
    last.join().unwrap();
    let sum: i32 = waiting.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(sum, 6);
    say("alive");
    ExitCode::SUCCESS
}

/// Nothing at all happens for two seconds; main's thread is not even inside `run`.
fn idle() -> ExitCode {
    // SAFETY: nothing here keeps a thread-local across a call that parks.
    unsafe {
        gort::run(|| {
            let (tx, rx) = gort::chan::<()>(0);
            gort::go(move || {
                let _keep = tx;
                rx.recv()
            });
        });
    }
    std::thread::sleep(Duration::from_secs(2));
    say("alive");
    ExitCode::SUCCESS
}

fn park_in_blocking() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(0);
        let (tx2, rx2) = gort::chan(0);
        gort::go(move || {
            gort::blocking(|| {
                rx.recv().unwrap();
                std::thread::sleep(LONG);
            });
            tx2.send("alive").unwrap();
        });
        gort::go(move || {
            gort::sleep(LONG);
            tx.send(()).unwrap();
        });
        say(rx2.recv().unwrap());
    })
}

/// A thread and a goroutine take turns for a while, so that most looks of the monitor fall into a hand-over.
fn thread_ping_pong() -> ExitCode {
    enter(|| {
        let (ping, pinged) = gort::chan::<u32>(0);
        let (pong, ponged) = gort::chan::<u32>(0);
        std::thread::spawn(move || {
            for n in &pinged {
                if n % 64 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                pong.send(n).unwrap();
            }
        });
        let start = std::time::Instant::now();
        let mut n = 0;
        while start.elapsed() < LONG {
            ping.send(n).unwrap();
            assert_eq!(ponged.recv(), Ok(n));
            n += 1;
        }
        say("alive");
    })
}

/// All goroutines wait; what goes on is a thread that waits in std's ways.
fn std_channel() -> ExitCode {
    let (tx, rx) = gort::chan(0);
    let (go, gone) = std::sync::mpsc::channel();
    std::thread::spawn(move || tx.send(gone.recv().unwrap()).unwrap());
    std::thread::spawn(move || {
        std::thread::sleep(LONG);
        go.send("alive").unwrap();
    });
    enter(move || say(rx.recv().unwrap()))
}

/// Threads wait in channels before there is a runtime; then it exists, and they go on.
fn before_run() -> ExitCode {
    let (tx, rx) = gort::chan(0);
    let (tx2, rx2) = gort::chan(0);
    std::thread::spawn(move || tx2.send(rx.recv().unwrap()).unwrap());
    std::thread::sleep(LONG);
    // SAFETY: nothing here keeps a thread-local across a call that parks.
    unsafe { gort::run(move || tx.send("alive").unwrap()) };
    say(rx2.recv().unwrap());
    ExitCode::SUCCESS
}

/// Four are at work on four processors, of which all but the first are taken away; one goes on for a while, on any of them.
fn unwanted() -> ExitCode {
    enter(|| {
        for last in 0..8 {
            gort::runtime::gomaxprocs(4);
            let there = AtomicUsize::new(0);
            gort::scope(|s| {
                for n in 0..4 {
                    let there = &there;
                    s.go(move || {
                        there.fetch_add(1, Ordering::Relaxed);
                        while there.load(Ordering::Relaxed) < 4 {
                            std::hint::spin_loop();
                        }
                        if n == last % 4 {
                            compute(30_000);
                        } else if n == (last + 1) % 4 {
                            gort::runtime::gomaxprocs(1);
                        }
                    });
                }
            });
        }
        say("alive");
    })
}
