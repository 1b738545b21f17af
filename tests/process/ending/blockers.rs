//! Goroutines that block their thread without a word, in the kernel, and one that announce it: others go on, and they
//! themselves find everything as they left it.

use std::fs;
use std::io::{Read, Write};
use std::net::ToSocketAddrs;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use super::say;
use super::tools::{Hogs, MS, bounded, wait_until};

pub(crate) const ALL: &[super::Ending] = &[
    ("block-fifo", fifo),
    ("block-sleep", sleep),
    ("block-mutex-queued", mutex_queued),
    ("block-mutex-parked", mutex_parked),
    ("block-condvar", condvar),
    ("block-lookup", lookup),
    ("block-child", child),
    ("block-calls", calls),
    ("block-mpsc", mpsc_ping_pong),
    ("block-many", many),
    ("announced-nests", announced_nests),
    ("announced-parks", announced_parks),
    ("announced-panics", announced_panics),
    ("announced-200", announced_200),
];

/// A reader whose writer is a goroutine that still waits in the queue.
fn fifo() -> ExitCode {
    bounded(|| {
        let path = std::env::temp_dir().join(format!("gort-fifo-{}", std::process::id()));
        let name = std::ffi::CString::new(path.to_str().expect("a plain path")).unwrap();
        // SAFETY: the name ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        for round in 0..20u8 {
            let text = vec![round; 200_000];
            let reader = gort::go({
                let path = path.clone();
                move || {
                    let mut text = Vec::new();
                    fs::File::open(path).unwrap().read_to_end(&mut text).unwrap();
                    text
                }
            });
            let writer = gort::go({
                let (path, text) = (path.clone(), text.clone());
                // More than a pipe holds: it blocks as well.
                move || fs::OpenOptions::new().write(true).open(path).unwrap().write_all(&text).unwrap()
            });
            assert_eq!(reader.join().unwrap(), text);
            writer.join().unwrap();
        }
        fs::remove_file(path).unwrap();
        say("ok");
    })
}

/// While as many as there are processors, and more, block in `block` for a while, others go on; then `block` returns. On a busy
/// machine it has to be a longer while.
fn beside_blocked<T: Send + 'static>(block: impl Fn(Duration) -> T + Send + Sync + 'static) -> Vec<T> {
    let block = Arc::new(block);
    let mut whiles = [1500, 6000, 24_000].map(Duration::from_millis).into_iter();
    whiles
        .find_map(|long| beside_blocked_for(long, &block))
        .expect("the others do not have to wait for the blocked ones")
}

fn beside_blocked_for<T: Send + 'static>(
    long: Duration,
    block: &Arc<impl Fn(Duration) -> T + Send + Sync + 'static>,
) -> Option<Vec<T>> {
    let returned = Arc::new(AtomicU32::new(0));
    let blocked: Vec<_> = (0..2 * super::tools::procs())
        .map(|_| {
            let (block, returned) = (block.clone(), returned.clone());
            gort::go(move || {
                let result = block(long);
                returned.fetch_add(1, Ordering::Relaxed);
                result
            })
        })
        .collect();
    let others: Vec<_> = (0..4).map(|_| gort::go(|| (0..10).for_each(|_| gort::sleep(MS)))).collect();
    others.into_iter().for_each(|other| other.join().unwrap());
    let in_time = returned.load(Ordering::Relaxed) == 0;
    let results = blocked.into_iter().map(|handle| handle.join().unwrap()).collect();
    in_time.then_some(results)
}

fn sleep() -> ExitCode {
    bounded(|| {
        beside_blocked(std::thread::sleep);
        say("ok");
    })
}

/// Who holds the lock computes, and on one processor waits in the queue behind those who want it.
fn mutex_queued() -> ExitCode {
    bounded(|| {
        let count = Arc::new(Mutex::new(0));
        let handles: Vec<_> = (0..8)
            .map(|_| {
                let count = count.clone();
                gort::go(move || {
                    for _ in 0..25 {
                        let mut count = count.lock().unwrap();
                        *count += 1;
                        super::tools::compute(500);
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(*count.lock().unwrap(), 8 * 25);
        say("ok");
    })
}

/// Who holds the lock is parked (on its own thread, as such a guard asks for), and others want it.
fn mutex_parked() -> ExitCode {
    bounded(|| {
        let count = Arc::new(Mutex::new(0));
        for round in 1..=10 {
            let (locked, when_locked) = gort::chan(0);
            let holder = gort::go({
                let count = count.clone();
                move || {
                    gort::pin_thread(|| {
                        let mut count = count.lock().unwrap();
                        locked.send(()).unwrap();
                        gort::sleep(10 * MS);
                        *count += 1;
                    })
                }
            });
            when_locked.recv().unwrap();
            let others: Vec<_> = (0..4)
                .map(|_| {
                    let count = count.clone();
                    gort::go(move || *count.lock().unwrap())
                })
                .collect();
            let seen: Vec<_> = others.into_iter().map(|handle| handle.join().unwrap()).collect();
            holder.join().unwrap();
            assert_eq!(seen, [round; 4]);
        }
        say("ok");
    })
}

/// Who notifies is queued behind who waits.
fn condvar() -> ExitCode {
    bounded(|| {
        let turn = Arc::new((Mutex::new(0), Condvar::new()));
        let players: Vec<_> = (0..4)
            .map(|player| {
                let turn = turn.clone();
                gort::go(move || {
                    for round in 0..50 {
                        let (at, changed) = &*turn;
                        let mut at =
                            changed.wait_while(at.lock().unwrap(), |at| *at != 4 * round + player).unwrap();
                        *at += 1;
                        changed.notify_all();
                    }
                })
            })
            .collect();
        players.into_iter().for_each(|player| player.join().unwrap());
        assert_eq!(*turn.0.lock().unwrap(), 200);
        say("ok");
    })
}

fn lookup() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(super::tools::procs());
        let handles: Vec<_> = (0..16)
            .map(|_| {
                gort::go(|| {
                    for port in 1..=5 {
                        let found: Vec<_> = ("localhost", port).to_socket_addrs().unwrap().collect();
                        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()));
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        hogs.stop();
        say("ok");
    })
}

/// Waits for children in std's way.
fn child() -> ExitCode {
    bounded(|| {
        let ended = beside_blocked(|long| {
            Command::new("sleep").arg(long.as_secs_f32().to_string()).status().unwrap().code()
        });
        assert!(ended.iter().all(|&code| code == Some(0)), "{ended:?}");
        say("ok");
    })
}

/// One C call each that sleeps in the kernel.
fn calls() -> ExitCode {
    bounded(|| {
        for call in [usleep, nanosleep, poll, select, epoll_wait, pause_like] {
            let results = beside_blocked(call);
            assert!(results.iter().all(|&result| result == 0), "{results:?}");
        }
        say("ok");
    })
}

fn usleep(long: Duration) -> i32 {
    // SAFETY: takes a number.
    unsafe { libc::usleep(long.as_micros() as u32) }
}

fn timespec(long: Duration) -> libc::timespec {
    libc::timespec { tv_sec: long.as_secs() as i64, tv_nsec: long.subsec_nanos().into() }
}

fn nanosleep(long: Duration) -> i32 {
    // SAFETY: reads the time; what is left is not asked for.
    unsafe { libc::nanosleep(&timespec(long), std::ptr::null_mut()) }
}

fn poll(long: Duration) -> i32 {
    // SAFETY: no descriptors.
    unsafe { libc::poll(std::ptr::null_mut(), 0, long.as_millis() as i32) }
}

fn select(long: Duration) -> i32 {
    let mut time = libc::timeval { tv_sec: long.as_secs() as i64, tv_usec: long.subsec_micros().into() };
    let none = std::ptr::null_mut();
    // SAFETY: no descriptors; the time may be written to.
    unsafe { libc::select(0, none, none, none, &mut time) }
}

fn epoll_wait(long: Duration) -> i32 {
    // SAFETY: the descriptor is this function's own, and the event has room for one.
    unsafe {
        let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let mut event = std::mem::zeroed();
        let result = libc::epoll_wait(epoll, &mut event, 1, long.as_millis() as i32);
        libc::close(epoll);
        result
    }
}

/// Waits for a signal that does not come.
fn pause_like(long: Duration) -> i32 {
    // SAFETY: fills a set of signals and reads it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGUSR2);
        assert_eq!(libc::sigtimedwait(&set, std::ptr::null_mut(), &timespec(long)), -1);
    }
    super::tools::errno() - libc::EAGAIN
}

/// Two goroutines that take turns over std's channels.
fn mpsc_ping_pong() -> ExitCode {
    bounded(|| {
        let (ping, pinged) = mpsc::channel();
        let (pong, ponged) = mpsc::channel();
        let other = gort::go(move || pinged.iter().for_each(|n: u32| pong.send(n + 1).unwrap()));
        for n in 0..200 {
            ping.send(n).unwrap();
            assert_eq!(ponged.recv(), Ok(n + 1));
        }
        drop(ping);
        other.join().unwrap();
        say("ok");
    })
}

/// A hundred at once that block again and again, among goroutines that compute and ones that park.
fn many() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(2);
        let done = Arc::new(AtomicU32::new(0));
        let handles: Vec<_> = (0..100u64)
            .map(|n| {
                let done = done.clone();
                gort::go(move || {
                    for round in 0..10 {
                        std::thread::sleep(Duration::from_micros(300 * (1 + (n + round) % 7)));
                        if (n + round) % 3 == 0 {
                            gort::sleep(MS);
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(done.load(Ordering::Relaxed), 1000);
        hogs.stop();
        say("ok");
    })
}

fn blocked() -> usize {
    gort::runtime::stats().blocked
}

fn announced_nests() -> ExitCode {
    bounded(|| {
        let sum = beside_blocked(|long| {
            gort::blocking(|| {
                std::thread::sleep(long / 2);
                let inner = gort::blocking(|| {
                    std::thread::sleep(long / 2);
                    20
                });
                inner + 1
            })
        });
        assert!(sum.iter().all(|&n| n == 21), "{sum:?}");
        // Two are told as two, and nests as one.
        let go_on = Arc::new(AtomicBool::new(false));
        let handles: Vec<_> = (0..2)
            .map(|_| {
                let go_on = go_on.clone();
                gort::go(move || {
                    gort::blocking(|| {
                        gort::blocking(|| {
                            while !go_on.load(Ordering::Relaxed) {
                                std::thread::sleep(MS);
                            }
                        })
                    })
                })
            })
            .collect();
        wait_until("two in announced calls", || blocked() == 2);
        go_on.store(true, Ordering::Relaxed);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        wait_until("none in a call", || blocked() == 0);
        say("ok");
    })
}

fn announced_parks() -> ExitCode {
    bounded(|| {
        let (tx, rx) = gort::chan(0);
        let handles: Vec<_> = (0..8)
            .map(|_| {
                let rx = rx.clone();
                gort::go(move || {
                    gort::blocking(|| {
                        let mut sum = 0;
                        for n in &rx {
                            std::thread::sleep(Duration::from_micros(100));
                            sum += n;
                        }
                        sum
                    })
                })
            })
            .collect();
        (1..=400).for_each(|n| tx.send(n).unwrap());
        drop(tx);
        let sum: u32 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, 400 * 401 / 2);
        wait_until("none in a call", || blocked() == 0);
        say("ok");
    })
}

fn announced_panics() -> ExitCode {
    bounded(|| {
        std::panic::set_hook(Box::new(|_| {}));
        let handles: Vec<_> = (0..100u32)
            .map(|n| {
                gort::go(move || {
                    gort::blocking(|| {
                        std::thread::sleep(MS);
                        std::panic::panic_any(n)
                    })
                })
            })
            .collect();
        for (n, handle) in handles.into_iter().enumerate() {
            let payload = handle.join().expect_err("each of them panics");
            assert_eq!(payload.downcast_ref(), Some(&(n as u32)));
        }
        let caught = std::panic::catch_unwind(|| gort::blocking(|| std::panic::panic_any(7u8)));
        assert_eq!(caught.expect_err("it panics").downcast_ref(), Some(&7u8));
        // Whoever caught it goes on with a processor.
        assert_eq!(gort::go(|| 3).join().unwrap(), 3);
        wait_until("none in a call", || blocked() == 0);
        say("ok");
    })
}

fn announced_200() -> ExitCode {
    bounded(|| {
        let go_on = Arc::new(AtomicBool::new(false));
        let handles: Vec<_> = (0..200)
            .map(|_| {
                let go_on = go_on.clone();
                gort::go(move || {
                    gort::blocking(|| {
                        while !go_on.load(Ordering::Relaxed) {
                            std::thread::sleep(10 * MS);
                        }
                    })
                })
            })
            .collect();
        wait_until("all in announced calls", || blocked() == 200);
        let (tx, rx) = gort::chan(0);
        gort::go(move || (0..1000).for_each(|n| tx.send(n).unwrap()));
        assert_eq!(rx.iter().sum::<u32>(), 999 * 500);
        // The caller itself may be counted for a moment, if its thread sleeps in the kernel.
        wait_until("all in announced calls still", || blocked() == 200);
        go_on.store(true, Ordering::Relaxed);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        wait_until("none in a call", || blocked() == 0);
        say("ok");
    })
}
