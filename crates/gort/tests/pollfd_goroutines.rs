//! Descriptors that goroutines and threads wait for: the network poller and the scheduler together.

mod pollfd_cases;

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use gort_core::env::{Moment, Rng, random};
use gort_core::pollfd::{Direction, PollError, PollFd};
use pollfd_cases::End;

/// One after the other: some of these change GOMAXPROCS.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Runs the body on a goroutine, with so many processors.
fn with_procs(procs: usize, body: impl FnOnce() + Send + 'static) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: no test keeps a thread-local across a park: calls that set errno are in functions of their own.
    unsafe {
        gort::run(move || {
            let before = gort::runtime::gomaxprocs(procs);
            body();
            gort::runtime::gomaxprocs(before);
        });
    }
}

#[test]
fn a_reader_waits_for_a_writer() {
    with_procs(2, || {
        let (one, other) = End::pair();
        let reader = gort::go(move || {
            let mut buf = [0; 16];
            let count = other.read(&mut buf).expect("the other end writes");
            buf[..count].to_vec()
        });
        gort::sleep(Duration::from_millis(5));
        one.write_all(b"hello").expect("there is room");
        assert_eq!(reader.join().expect("no panic"), b"hello");
    });
}

#[test]
fn a_writer_waits_for_room() {
    with_procs(2, || {
        const BYTES: usize = 4 << 20;
        let (one, other) = End::pair();
        let writer = gort::go(move || one.write_all(&vec![7; BYTES]));
        let (mut buf, mut sum) = (vec![0; 10_000], 0);
        while sum < BYTES {
            let count = other.read(&mut buf).expect("the other end writes");
            assert!(count > 0 && buf[..count].iter().all(|byte| *byte == 7));
            sum += count;
        }
        writer.join().expect("no panic").expect("all was read");
    });
}

/// The seed of a test, printed; `GORT_TEST_SEED` replays it.
fn seed() -> u64 {
    let chosen = std::env::var("GORT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = chosen.unwrap_or_else(random);
    println!("seed: GORT_TEST_SEED={seed}");
    seed
}

/// Pairs of sockets pass a count to and fro, with now and then a pause, a yield, or another goroutine in between.
fn ping_pong(procs: usize, pairs: usize, rounds: u64) {
    let seed = seed();
    let handles: Vec<_> = (0..pairs as u64)
        .map(|pair| {
            let (one, other) = End::pair();
            let echo = gort::go(move || {
                let mut buf = [0; 8];
                while other.read(&mut buf).expect("the other end writes or closes") != 0 {
                    other.write_all(&buf).expect("there is room");
                }
            });
            let asks = gort::go(move || {
                let rng = Rng::new(seed ^ pair);
                let mut buf = [0; 8];
                for round in 0..rounds {
                    one.write_all(&round.to_ne_bytes()).expect("there is room");
                    assert_eq!(one.read(&mut buf).expect("it is echoed"), 8);
                    assert_eq!(
                        u64::from_ne_bytes(buf),
                        round,
                        "seed {seed}, {procs} processors, pair {pair}"
                    );
                    match rng.below(200) {
                        0 => gort::sleep(Duration::from_micros(u64::from(rng.below(500)))),
                        1..10 => gort::gosched(),
                        10 => drop(gort::go(|| ())),
                        _ => {}
                    }
                }
            });
            (echo, asks)
        })
        .collect();
    for (echo, asks) in handles {
        asks.join().unwrap_or_else(|_| panic!("seed {seed}"));
        echo.join().unwrap_or_else(|_| panic!("seed {seed}"));
    }
}

#[test]
fn a_thousand_ping_pongs_on_one_processor() {
    with_procs(1, || ping_pong(1, 1000, 25));
}

#[test]
fn a_thousand_ping_pongs_on_two_processors() {
    with_procs(2, || ping_pong(2, 1000, 25));
}

#[test]
fn a_thousand_ping_pongs_on_four_processors() {
    with_procs(4, || ping_pong(4, 1000, 25));
}

#[test]
fn few_ping_pongs_that_often_find_nothing_to_do() {
    for procs in [1, 2, 4] {
        with_procs(procs, move || ping_pong(procs, 3, 2000));
    }
}

#[test]
fn deadlines_pass_are_moved_and_are_cleared() {
    with_procs(2, || {
        let (one, other) = End::pair();
        let (one, mut buf) = (Arc::new(one), [0; 8]);
        // In the past: even with data ready.
        other.write_all(b"x").expect("there is room");
        one.fd.set_deadline(Direction::Read, Some(Moment::now()));
        assert_eq!(one.read(&mut buf).map_err(|error| error.kind()), Err(ErrorKind::TimedOut));
        assert_eq!(one.fd.wait(Direction::Read), Err(PollError::TimedOut));
        one.fd.set_deadline(Direction::Read, None);
        assert_eq!(one.read(&mut buf).expect("there is data"), 1);
        // It comes while somebody waits.
        let deadline = Moment::after(Duration::from_millis(5));
        one.fd.set_deadline(Direction::Read, Some(deadline));
        assert_eq!(one.read(&mut buf).map_err(|error| error.kind()), Err(ErrorKind::TimedOut));
        assert!(Moment::now() >= deadline);
        // One of the call only.
        one.fd.set_deadline(Direction::Read, None);
        let deadline = Moment::after(Duration::from_millis(5));
        loop {
            match one.fd.wait_until(Direction::Read, deadline) {
                Ok(()) => {}
                Err(error) => break assert_eq!(error, PollError::TimedOut),
            }
        }
        assert!(Moment::now() >= deadline);
        // It is moved while somebody waits: nearer, further away, gone.
        let start = || {
            let one = one.clone();
            gort::go(move || one.read(&mut [0; 8]).map_err(|error| error.kind()))
        };
        one.fd.set_deadline(Direction::Read, Some(Moment::after(Duration::from_secs(600))));
        let reader = start();
        gort::sleep(Duration::from_millis(2));
        one.fd.set_deadline(Direction::Read, Some(Moment::after(Duration::from_millis(2))));
        assert_eq!(reader.join().expect("no panic"), Err(ErrorKind::TimedOut));
        // (On a busy machine it takes more than one attempt to be in time.)
        let readers = loop {
            let deadline = Moment::after(Duration::from_millis(50));
            one.fd.set_deadline(Direction::Read, Some(deadline));
            let readers = [start(), start()];
            gort::sleep(Duration::from_millis(2));
            one.fd.set_deadline(Direction::Read, None);
            if Moment::now() < deadline {
                break readers;
            }
            one.fd.set_deadline(Direction::Read, Some(Moment::now()));
            readers.into_iter().for_each(|reader| drop(reader.join()));
        };
        gort::sleep(Duration::from_millis(100));
        assert!(readers.iter().all(|reader| !reader.is_finished()), "a cleared deadline ends nothing");
        other.write_all(b"y").expect("there is room");
        one.fd.set_deadline(Direction::Write, Some(Moment::now()));
        let past = Moment::from_nanos(0);
        while readers.iter().all(|reader| !reader.is_finished()) {
            gort::sleep(Duration::from_millis(1));
        }
        one.fd.set_deadline(Direction::Read, Some(past));
        let mut ends = readers.map(|reader| reader.join().expect("no panic"));
        ends.sort_by_key(Result::is_err);
        assert_eq!(ends, [Ok(1), Err(ErrorKind::TimedOut)]);
    });
}

#[test]
fn close_ends_all_waits_for_good() {
    with_procs(2, || {
        let (one, _other) = End::pair();
        let (one, closed) = (Arc::new(one), Arc::new(AtomicBool::new(false)));
        let readers: Vec<_> = (0..100)
            .map(|reader| {
                let (one, closed) = (one.clone(), closed.clone());
                gort::go(move || {
                    let never = Moment::after(Duration::from_secs(600));
                    let end = loop {
                        let end = if reader % 2 == 0 {
                            one.fd.wait(Direction::Read)
                        } else {
                            one.fd.wait_until(Direction::Read, never)
                        };
                        if end.is_err() {
                            break end;
                        }
                    };
                    assert!(closed.load(Ordering::SeqCst));
                    end
                })
            })
            .collect();
        gort::sleep(Duration::from_millis(5));
        closed.store(true, Ordering::SeqCst);
        one.fd.close();
        one.fd.close();
        for reader in readers {
            assert_eq!(reader.join().expect("no panic"), Err(PollError::Closed));
        }
        assert_eq!(one.fd.check(Direction::Write), Err(PollError::Closed));
        assert_eq!(one.fd.wait(Direction::Write), Err(PollError::Closed));
    });
}

#[test]
fn many_readers_of_one_socket_share_what_comes() {
    with_procs(2, || {
        const MESSAGES: usize = 2000;
        let (one, other) = UnixStream::pair().expect("the system gives a socket pair");
        let (one, other) = (Arc::new(End::new(one)), End::new(other));
        let sum = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..20)
            .map(|_| {
                let (one, sum) = (one.clone(), sum.clone());
                gort::go(move || {
                    let mut buf = [0; 3];
                    while let count @ 1.. = one.read(&mut buf).expect("the other end writes or closes") {
                        sum.fetch_add(count, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for message in 0..MESSAGES {
            other.write_all(b"abc").expect("there is room");
            if message % 50 == 0 {
                gort::sleep(Duration::from_micros(100));
            }
        }
        drop(other);
        readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
        assert_eq!(sum.load(Ordering::Relaxed), 3 * MESSAGES);
    });
}

/// Records are used again at once, while events for their former descriptors may be on the way.
#[test]
fn registrations_come_and_go() {
    with_procs(4, || {
        let handles: Vec<_> = (0..8)
            .map(|_| {
                gort::go(|| {
                    for round in 0..300u32 {
                        let (one, other) = End::pair();
                        let reader = gort::go(move || {
                            let mut buf = [0; 4];
                            assert_eq!(other.read(&mut buf).expect("the other end writes"), 4);
                            u32::from_ne_bytes(buf)
                        });
                        if round % 3 == 0 {
                            gort::gosched();
                        }
                        one.write_all(&round.to_ne_bytes()).expect("there is room");
                        if round % 2 == 0 {
                            drop(one);
                        }
                        assert_eq!(reader.join().expect("no panic"), round);
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
    });
}

#[test]
fn the_network_goes_on_while_others_keep_the_processors_busy() {
    for procs in [1, 2] {
        with_procs(procs, move || {
            let stop = Arc::new(AtomicBool::new(false));
            let busy: Vec<_> = (0..4)
                .map(|which| {
                    let stop = stop.clone();
                    let (to, from) = gort::channel::bounded(1);
                    gort::go(move || {
                        while !stop.load(Ordering::Relaxed) {
                            if which % 2 == 0 {
                                gort::gosched();
                            } else {
                                to.send(()).expect("the receiver is here");
                                from.recv().expect("the sender is here");
                            }
                        }
                    })
                })
                .collect();
            ping_pong(procs, 4, 10);
            stop.store(true, Ordering::Relaxed);
            busy.into_iter().for_each(|busy| busy.join().expect("no panic"));
        });
    }
}

#[test]
fn a_goroutine_that_computes_does_not_keep_the_network_from_another_processor() {
    with_procs(2, || {
        let stop = Arc::new(AtomicBool::new(false));
        let computes = gort::go({
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        });
        ping_pong(2, 4, 100);
        stop.store(true, Ordering::Relaxed);
        computes.join().expect("no panic");
    });
}

#[test]
fn threads_wait_as_well() {
    with_procs(2, || ());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (one, other) = End::pair();
    // Everything is asleep: the threads see to it that somebody polls for them.
    thread::sleep(Duration::from_millis(50));
    let echo = thread::spawn(move || {
        let mut buf = [0; 8];
        while other.read(&mut buf).expect("the other end writes or closes") != 0 {
            other.write_all(&buf).expect("there is room");
        }
    });
    let mut buf = [0; 8];
    for round in 0..300u64 {
        one.write_all(&round.to_ne_bytes()).expect("there is room");
        assert_eq!(one.read(&mut buf).expect("it is echoed"), 8);
        assert_eq!(u64::from_ne_bytes(buf), round);
    }
    let deadline = Moment::after(Duration::from_millis(5));
    // The last echo may have come before anybody waited for it, and the news of it after: that ends one wait.
    let wait = || one.fd.wait_until(Direction::Read, deadline);
    let waited = wait().and_then(|()| wait());
    assert_eq!(waited, Err(PollError::TimedOut));
    drop(one);
    echo.join().expect("no panic");
}

/// A goroutine inside a blocking call has no processor when it begins to wait.
#[test]
fn inside_a_blocking_call() {
    with_procs(1, || {
        let (one, other) = End::pair();
        let reader =
            gort::go(move || gort::blocking(|| other.read(&mut [0; 8]).expect("the other end writes")));
        gort::sleep(Duration::from_millis(5));
        one.write_all(b"abc").expect("there is room");
        assert_eq!(reader.join().expect("no panic"), 3);
    });
}

#[test]
fn looks_are_counted() {
    with_procs(1, || {
        let before = gort_core::snapshot::counts().polls;
        ping_pong(1, 1, 10);
        assert!(gort_core::snapshot::counts().polls > before);
    });
}

#[test]
fn what_cannot_be_polled_is_refused() {
    let file = std::fs::File::open("/proc/self/exe").expect("it is there");
    let error = PollFd::new(file.as_fd()).expect_err("a regular file is always ready");
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    let (one, _other) = End::pair();
    let error = PollFd::new(one.stream.as_fd()).expect_err("it is registered already");
    assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
}

/// What a stream was emptied of is not asked for again, and nothing is missed by that.
#[test]
fn calls_that_are_not_worth_trying_are_left_out() {
    with_procs(2, || {
        let (one, other) = End::pair();
        let calls = Arc::new(AtomicU64::new(0));
        let reader = gort::go({
            let calls = calls.clone();
            move || {
                let (mut buf, mut sum) = ([0; 64], 0);
                loop {
                    if !other.fd.is_promising(Direction::Read) {
                        other.fd.wait(Direction::Read).expect("nobody closes it");
                    }
                    let progress = other.fd.progress(Direction::Read);
                    calls.fetch_add(1, Ordering::Relaxed);
                    match pollfd_cases::try_read(&other.stream, &mut buf) {
                        Ok(0) => break sum,
                        Ok(count) => {
                            sum += count;
                            if count < buf.len() {
                                other.fd.emptied(Direction::Read, progress);
                            }
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            other.fd.wait(Direction::Read).expect("nobody closes it");
                        }
                    }
                }
            }
        });
        for _ in 0..1000 {
            one.write_all(b"0123456789").expect("there is room");
            gort::gosched();
        }
        drop(one);
        assert_eq!(reader.join().expect("no panic"), 10_000);
        assert!(calls.load(Ordering::Relaxed) > 0);
    });
}
