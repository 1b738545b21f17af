//! Sleeping, timers, tickers and delayed calls, by the rules of Go 1.23 and later.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use gort::channel::TryRecvError;
use gort::time::{self, Duration, Instant, Ticker, Timer};

const MS: Duration = Duration::from_millis(1);
/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn sleep_lasts_at_least_as_long_as_asked() {
    for ms in [0, 1, 5, 20] {
        let start = Instant::now();
        time::sleep(MS * ms);
        assert!(start.elapsed() >= MS * ms);
    }
}

#[test]
fn sleep_of_nothing_returns_at_once() {
    for _ in 0..100_000 {
        time::sleep(Duration::ZERO);
    }
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let woken = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    let threads: Vec<_> = [60u32, 20, 40]
        .into_iter()
        .map(|ms| {
            let woken = Arc::clone(&woken);
            thread::spawn(move || {
                time::sleep((start + MS * ms).saturating_duration_since(Instant::now()));
                woken.lock().unwrap().push((Instant::now(), ms));
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    for &(at, ms) in woken.lock().unwrap().iter() {
        assert!(at >= start + MS * ms);
    }
}

#[test]
fn after_gives_the_moment_it_was_due_once() {
    let (start, rx) = loop {
        let start = Instant::now();
        let rx = time::after(10 * MS);
        let early = rx.try_recv();
        // Else this thread was held up.
        if start.elapsed() < 10 * MS {
            assert_eq!(early, Err(TryRecvError::Empty));
            break (start, rx);
        }
    };
    thread::sleep(30 * MS);
    let at = rx.recv().unwrap();
    assert!(at >= start + 10 * MS, "not before it was due");
    assert!(at < start + 29 * MS || at < Instant::now() - 15 * MS, "the due moment, not that of the receipt");
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

/// Not by a nanosecond, and not even if it is due at once.
#[test]
fn no_tick_looks_earlier_than_it_was_set_to() {
    for n in 0..40_000 {
        let short = Duration::from_nanos(50) * (n % 2);
        let earliest = Instant::now() + short;
        assert!(time::after(short).recv().unwrap() >= earliest);
    }
}

#[test]
fn after_zero_is_due_at_once_and_huge_durations_never() {
    assert!(time::after(Duration::ZERO).try_recv().is_ok());
    for huge in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_secs(1 << 40)] {
        assert_eq!(time::after(huge).try_recv(), Err(TryRecvError::Empty));
        let timer = Timer::new(huge);
        assert_eq!(timer.c().recv_timeout(2 * MS).ok(), None);
        assert!(timer.stop(), "it was set: {huge:?}");
        assert!(!timer.reset(huge), "it was not set");
        assert!(timer.reset(huge), "it was set again");
        let func = time::after_func(huge, || unreachable!("in some centuries"));
        assert!(func.reset(huge));
        assert!(func.stop());
    }
}

#[test]
fn timer_channels_show_no_buffer() {
    let (timer, ticker) = (Timer::new(Duration::ZERO), Ticker::new(MS));
    thread::sleep(5 * MS);
    for c in [timer.c(), ticker.c()] {
        assert_eq!((c.len(), c.capacity()), (0, Some(0)));
        assert!(c.try_recv().is_ok(), "there is a value all the same");
    }
}

/// What stop and reset say, and what can be received after them, in each state of a timer.
#[test]
fn stop_and_reset_tell_whether_an_event_was_taken_back() {
    type Act = fn(&Timer) -> bool;
    let acts: [Act; 2] = [|timer| timer.stop(), |timer| timer.reset(LONG)];
    for act in acts {
        let running = Timer::new(LONG);
        assert!(act(&running));
        assert!(running.c().try_recv().is_err());

        let due = Timer::new(Duration::ZERO);
        thread::sleep(MS);
        assert!(act(&due), "due, but not received");
        assert!(due.c().try_recv().is_err(), "no stale value");

        let received = Timer::new(Duration::ZERO);
        assert!(received.c().recv().is_ok());
        assert!(!act(&received));

        let stopped = Timer::new(Duration::ZERO);
        assert!(stopped.stop());
        assert!(!act(&stopped));
    }
}

#[test]
fn a_reset_timer_fires_by_its_new_setting() {
    let timer = Timer::new(LONG);
    let start = Instant::now();
    assert!(timer.reset(5 * MS));
    assert!(timer.c().recv().unwrap() >= start + 5 * MS);
    for _ in 0..3 {
        let start = Instant::now();
        assert!(!timer.reset(2 * MS));
        assert!(timer.c().recv().unwrap() >= start + 2 * MS);
    }
}

#[test]
fn a_reset_reaches_a_receiver_that_waits() {
    let timer = Arc::new(Timer::new(LONG));
    let waiter = thread::spawn({
        let timer = Arc::clone(&timer);
        move || timer.c().recv().unwrap()
    });
    thread::sleep(5 * MS);
    assert!(timer.reset(MS));
    waiter.join().unwrap();
}

#[test]
fn a_stopped_timer_keeps_its_channel_open() {
    let timer = Timer::new(LONG);
    timer.stop();
    assert_eq!(timer.c().try_recv(), Err(TryRecvError::Empty));
    assert!(timer.c().recv_timeout(5 * MS).is_err());
    timer.reset(Duration::ZERO);
    assert!(timer.c().recv().is_ok());
}

#[test]
fn a_channel_outlives_its_timer() {
    let c = Timer::new(2 * MS).c().clone();
    assert!(c.recv().is_ok());
    let c = Ticker::new(MS).c().clone();
    assert!(c.recv().is_ok() && c.recv().is_ok());
}

#[test]
fn ticks_are_due_on_a_grid() {
    const PERIOD: Duration = Duration::from_millis(3);
    let start = Instant::now();
    let ticker = Ticker::new(PERIOD);
    let first = ticker.c().recv().unwrap();
    assert!(first >= start + PERIOD);
    let mut last = first;
    for round in 1..12 {
        if round % 4 == 0 {
            thread::sleep(4 * PERIOD);
        }
        let at = ticker.c().recv().unwrap();
        assert!(at > last, "ticks come in order and once");
        assert!(at <= Instant::now());
        assert_eq!((at - first).as_nanos() % PERIOD.as_nanos(), 0, "in phase");
        last = at;
    }
}

#[test]
fn slow_receivers_miss_ticks() {
    let ticker = Ticker::new(2 * MS);
    thread::sleep(21 * MS);
    assert!(ticker.c().try_recv().is_ok());
    // One was stored, whatever the number of those that were due: the next is due on the grid's next line.
    let next = ticker.c().recv().unwrap();
    let late = Instant::now();
    assert!(next <= late);
}

#[test]
fn a_stopped_ticker_is_silent_until_reset() {
    let ticker = Ticker::new(MS);
    thread::sleep(5 * MS);
    ticker.stop();
    ticker.stop();
    assert!(ticker.c().recv_timeout(10 * MS).is_err(), "neither a stored tick nor a new one");
    let start = Instant::now();
    ticker.reset(4 * MS);
    assert!(ticker.c().recv().unwrap() >= start + 4 * MS);
    ticker.reset(LONG);
    assert!(ticker.c().recv_timeout(10 * MS).is_err());
}

#[test]
fn tick_of_nothing_is_nil() {
    assert!(time::tick(Duration::ZERO).recv_timeout(2 * MS).is_err());
    assert!(time::tick(MS).recv().is_ok());
}

#[test]
fn intervals_of_nothing_panic_with_gos_words() {
    let text = |result: thread::Result<()>| *result.unwrap_err().downcast::<&str>().unwrap();
    let new = catch_unwind(|| drop(Ticker::new(Duration::ZERO)));
    assert_eq!(text(new), "non-positive interval for NewTicker");
    let reset = catch_unwind(|| Ticker::new(LONG).reset(Duration::ZERO));
    assert_eq!(text(reset), "non-positive interval for Ticker.Reset");
}

#[test]
fn after_func_runs_once_unless_reset() {
    let (tx, rx) = gort::chan(10);
    let start = Instant::now();
    let timer = time::after_func(5 * MS, move || tx.send(Instant::now()).unwrap());
    assert!(rx.recv().unwrap() >= start + 5 * MS);
    assert!(rx.recv_timeout(10 * MS).is_err(), "once");
    assert!(!timer.stop(), "it has run");
    let start = Instant::now();
    assert!(!timer.reset(3 * MS), "it has run");
    assert!(rx.recv().unwrap() >= start + 3 * MS);
    assert!(timer.c().try_recv().is_err(), "its channel is nil");
}

#[test]
fn a_dropped_after_func_still_runs() {
    let (tx, rx) = gort::chan(1);
    drop(time::after_func(5 * MS, move || tx.send(()).unwrap()));
    assert_eq!(rx.recv(), Ok(()));
    assert!(rx.recv().is_err(), "the function is gone, with its sender");
}

#[test]
fn a_stopped_after_func_does_not_run_and_is_dropped() {
    let token = Arc::new(());
    let held = Arc::clone(&token);
    let timer = time::after_func(LONG, move || unreachable!("stopped, {held:?}"));
    assert!(timer.stop());
    assert!(!timer.stop());
    assert!(!timer.reset(LONG));
    assert!(timer.stop());
    assert_eq!(Arc::strong_count(&token), 2);
    drop(timer);
    assert_eq!(Arc::strong_count(&token), 1);
}

/// What a function has captured, and panics in its drop.
struct DropPanics(gort::channel::Sender<()>);

impl Drop for DropPanics {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        std::panic::resume_unwind(Box::new("from a drop"));
    }
}

fn a_drop_of_a_function_that_panics() {
    let (tx, rx) = gort::chan(2);
    let captured = DropPanics(tx.clone());
    drop(time::after_func(MS, move || _ = &captured));
    assert_eq!(rx.recv(), Ok(()));
    let captured = DropPanics(tx);
    assert!(time::after_func(LONG, move || _ = &captured).stop());
    assert_eq!(rx.recv(), Ok(()));
    assert!(time::after(MS).recv().is_ok(), "others go on");
}

#[test]
fn a_drop_of_a_function_that_panics_harms_nobody() {
    a_drop_of_a_function_that_panics();
    // SAFETY: nothing there keeps a thread-local across a park.
    unsafe { gort::run(a_drop_of_a_function_that_panics) };
}

#[test]
fn after_func_chains_run_to_their_end() {
    fn next(left: usize, tx: gort::channel::Sender<()>) {
        time::after_func(Duration::ZERO, move || match left {
            0 => tx.send(()).unwrap(),
            _ => next(left - 1, tx.clone()),
        });
    }
    let (tx, rx) = gort::chan(1);
    next(1000, tx);
    assert_eq!(rx.recv(), Ok(()));
}

#[test]
fn after_funcs_that_block_do_not_hold_up_others() {
    let (open, gate) = gort::chan::<()>(0);
    let (begins, begun) = gort::chan(1);
    let blocked = time::after_func(Duration::ZERO, move || {
        begins.send(()).unwrap();
        let _ = gate.recv();
    });
    begun.recv().unwrap();
    assert!(!blocked.stop(), "it has begun");
    let (tx, rx) = gort::chan(1);
    time::after_func(MS, move || tx.send(()).unwrap());
    assert_eq!(rx.recv(), Ok(()));
    drop(open);
}

#[test]
fn runs_of_one_function_follow_each_other() {
    let (tx, rx) = gort::chan(10);
    let mut round = 0;
    let timer = time::after_func(Duration::ZERO, move || {
        round += 1;
        tx.send((round, "begins")).unwrap();
        thread::sleep(20 * MS);
        tx.send((round, "ends")).unwrap();
    });
    assert_eq!(rx.recv(), Ok((1, "begins")));
    assert!(!timer.reset(Duration::ZERO));
    for expected in [(1, "ends"), (2, "begins"), (2, "ends")] {
        assert_eq!(rx.recv(), Ok(expected));
    }
}

#[test]
fn a_timer_is_a_case_of_a_select() {
    let (_tx, rx) = gort::chan::<i32>(0);
    let start = Instant::now();
    gort::select! {
        recv(rx) -> _ => panic!("nobody sends"),
        recv(time::after(5 * MS)) -> at => assert!(at.unwrap() >= start + 5 * MS),
    }
    let timer = Timer::new(LONG);
    gort::select! {
        recv(timer.c()) -> _ => panic!("not due"),
        default => {},
    }
    timer.reset(Duration::ZERO);
    gort::select! {
        recv(timer.c()) -> at => assert!(at.is_ok()),
        recv(rx) -> _ => panic!("nobody sends"),
    }
}

/// Timers are stopped and reset by some while others receive: each setting gives a tick or is taken back, never both.
#[test]
fn stress_each_setting_is_received_or_taken_back() {
    for seed in 0..20u64 {
        let timer = Timer::new(LONG);
        let (received, over) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (mut settings, mut taken_back) = (1, 0);
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    while over.load(Ordering::Relaxed) == 0 {
                        if timer.c().recv_timeout(Duration::from_micros(200)).is_ok() {
                            received.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            let mut chance = seed;
            for _ in 0..500 {
                chance =
                    chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let d = Duration::from_micros(chance >> 59);
                taken_back += usize::from(timer.reset(d));
                settings += 1;
                (0..(chance >> 40) % 2000).for_each(|_| std::hint::spin_loop());
                if chance >> 63 == 0 {
                    taken_back += usize::from(timer.stop());
                    assert!(timer.c().try_recv().is_err(), "seed {seed}: a stopped timer gives nothing");
                }
            }
            taken_back += usize::from(timer.stop());
            over.store(1, Ordering::Relaxed);
        });
        assert_eq!(received.into_inner() + taken_back, settings, "seed {seed}");
    }
}

/// Functions are stopped and reset around the moment they are due: each setting makes one run or is taken back.
#[test]
fn stress_each_setting_makes_a_run_or_is_taken_back() {
    for seed in 0..20u64 {
        let ran = Arc::new(AtomicUsize::new(0));
        let timer = time::after_func(LONG, {
            let ran = Arc::clone(&ran);
            move || {
                ran.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (mut settings, mut taken_back, mut chance) = (1, 0, seed);
        for _ in 0..300 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            taken_back += usize::from(timer.reset(Duration::from_micros(chance >> 59)));
            settings += 1;
            (0..(chance >> 40) % 4000).for_each(|_| std::hint::spin_loop());
            if chance >> 63 == 0 {
                taken_back += usize::from(timer.stop());
            }
        }
        taken_back += usize::from(timer.stop());
        let start = Instant::now();
        while ran.load(Ordering::Relaxed) + taken_back < settings {
            assert!(start.elapsed() < Duration::from_secs(60), "seed {seed}: a run is missing");
            thread::yield_now();
        }
        assert_eq!(ran.load(Ordering::Relaxed) + taken_back, settings, "seed {seed}");
    }
}
