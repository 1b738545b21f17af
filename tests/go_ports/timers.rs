//! Timer and Ticker (time/sleep_test.go, time/tick_test.go): their channels hold at most one value, and none that is out
//! of date.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort::channel::RecvTimeoutError;
use gort::runtime;
use gort::time::{self, Ticker, Timer};

use crate::support::{Chance, alone, on_procs, settle, until};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// TestChan: the channel looks empty and without a buffer, even with a value to receive.
#[gort::test(unsafe(migrate))]
fn channels_of_timers_look_empty() {
    on_procs(|_| {
        let (timer, ticker) = (Timer::new(MS), Ticker::new(MS));
        for c in [timer.c(), ticker.c()] {
            assert_eq!((c.len(), c.capacity()), (0, Some(0)));
            gort::sleep(3 * MS);
            assert_eq!((c.len(), c.capacity()), (0, Some(0)));
            assert!(c.try_recv().is_ok());
            assert_eq!(c.len(), 0);
        }
    });
}

/// TestChan, TestReset: after `stop` or `reset` no value of the old setting is received, in any order of the two.
#[gort::test(unsafe(migrate))]
fn no_stale_values() {
    on_procs(|_| {
        let timer = Timer::new(HOUR);
        assert!(timer.c().try_recv().is_err());
        assert!(timer.stop());
        assert!(!timer.stop());
        assert!(!timer.reset(HOUR));
        assert!(timer.reset(MS));
        assert!(timer.c().recv().is_ok());
        assert!(!timer.stop(), "its value was received");

        // It has fired, nobody has looked: the value is taken back.
        assert!(!timer.reset(Duration::ZERO));
        gort::sleep(MS);
        assert!(timer.stop());
        assert!(timer.c().try_recv().is_err());
        timer.reset(Duration::ZERO);
        gort::sleep(MS);
        assert!(timer.reset(HOUR));
        assert!(timer.c().try_recv().is_err());

        // Whoever waits already waits for the new setting.
        gort::scope(|s| {
            let waiting = s.go(|| timer.c().recv().unwrap());
            settle();
            let from = Instant::now();
            assert!(timer.reset(2 * MS));
            assert!(waiting.join().unwrap() >= from + 2 * MS);
        });

        let ticker = Ticker::new(Duration::from_micros(100));
        gort::sleep(MS);
        ticker.stop();
        assert!(ticker.c().try_recv().is_err());
        ticker.reset(Duration::from_micros(100));
        gort::sleep(MS);
        ticker.reset(HOUR);
        assert!(ticker.c().try_recv().is_err());
    });
}

/// TestStopResult, TestResetResult: `stop` says true exactly if nothing was or will be received or called.
#[gort::test(unsafe(migrate))]
fn stop_and_reset_tell_the_truth() {
    on_procs(|_| {
        let chance = Chance::new();
        gort::scope(|s| {
            for _ in 0..20 {
                s.go(|| {
                    for _ in 0..20 {
                        let around = Duration::from_micros(chance.below(400));
                        channel_tells_the_truth(around, chance.below(2) == 0);
                        function_tells_the_truth(around);
                    }
                });
            }
        });
    });
}

fn channel_tells_the_truth(around: Duration, by_stop: bool) {
    let timer = Timer::new(Duration::from_micros(200));
    let got_it = AtomicBool::new(false);
    gort::scope(|s| {
        let (over, ended) = gort::chan::<()>(0);
        let (timer, got_it) = (&timer, &got_it);
        s.go(move || {
            gort::select! {
                recv(timer.c()) -> at => { at.unwrap(); got_it.store(true, Ordering::Relaxed); }
                recv(ended) -> _ => (),
            }
        });
        gort::sleep(around);
        let taken_back = if by_stop { timer.stop() } else { timer.reset(HOUR) };
        if !taken_back {
            until("a value that was not taken back is received", || got_it.load(Ordering::Relaxed));
        }
        over.close();
        gort::gosched();
        assert!(!taken_back || !got_it.load(Ordering::Relaxed), "taken back, and received");
    });
}

fn function_tells_the_truth(around: Duration) {
    let called = Arc::new(AtomicBool::new(false));
    let call = Arc::clone(&called);
    let timer = time::after_func(Duration::from_micros(200), move || call.store(true, Ordering::Relaxed));
    gort::sleep(around);
    if timer.stop() {
        gort::gosched();
        assert!(!called.load(Ordering::Relaxed), "taken back, and called");
    } else {
        until("a call that was not taken back comes", || called.load(Ordering::Relaxed));
    }
}

/// TestAfterTimes, TestTickTimes: the value is the moment at which it was due, however late it is received.
#[gort::test(unsafe(migrate))]
fn values_are_due_times() {
    on_procs(|_| {
        let before = Instant::now();
        let (timer, ticker, after) = (Timer::new(MS), Ticker::new(MS), time::after(MS));
        let set = Instant::now();
        gort::sleep(30 * MS);
        for c in [timer.c(), ticker.c(), &after] {
            let due = c.recv().unwrap();
            assert!(due >= before + MS && due <= set + MS, "due {:?} after it was set", due - before);
        }
    });
}

/// TestTicker: ticks keep their phase; a slow receiver misses some and gets no burst.
#[gort::test(unsafe(migrate))]
fn ticks_keep_their_phase() {
    on_procs(|_| {
        const PERIOD: Duration = Duration::from_micros(300);
        let ticker = Ticker::new(PERIOD);
        let mut last = ticker.c().recv().unwrap();
        for i in 0..50 {
            if i % 10 == 0 {
                gort::sleep(3 * PERIOD);
                let missed = ticker.c().recv().unwrap();
                assert!(missed > last);
                last = missed;
            }
            let now = ticker.c().recv().unwrap();
            assert!(now > last);
            assert_eq!((now - last).as_nanos() % PERIOD.as_nanos(), 0, "out of phase");
            last = now;
        }
        ticker.stop();
        gort::sleep(2 * PERIOD);
        assert!(ticker.c().try_recv().is_err(), "a tick after stop");
    });
}

/// TestTickerStopWithDirectInitialization, TestTicker: reset gives a new period from now on.
#[gort::test(unsafe(migrate))]
fn tickers_change_their_period() {
    on_procs(|_| {
        let ticker = Ticker::new(HOUR);
        for period in [MS, 2 * MS, MS / 2] {
            let from = Instant::now();
            ticker.reset(period);
            let first = ticker.c().recv().unwrap();
            assert!(first >= from + period);
            let second = ticker.c().recv().unwrap();
            assert_eq!((second - first).as_nanos() % period.as_nanos(), 0);
        }
        assert!(std::panic::catch_unwind(|| Ticker::new(Duration::ZERO)).is_err());
        assert!(time::tick(Duration::ZERO).try_recv().is_err());
    });
}

/// TestMultiWakeupTicker: many tickers and many sleepers, more than processors, and everybody goes on.
#[gort::test(unsafe(migrate))]
fn many_tickers_and_sleepers() {
    on_procs(|_| {
        let ticks = AtomicUsize::new(0);
        let over = AtomicBool::new(false);
        gort::scope(|s| {
            for i in 0..20 {
                let (ticks, over) = (&ticks, &over);
                s.go(move || {
                    let ticker = Ticker::new(Duration::from_micros(100 + 7 * i));
                    while !over.load(Ordering::Relaxed) {
                        ticker.c().recv().unwrap();
                        ticks.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..20 {
                let before = Instant::now();
                gort::sleep(MS);
                assert!(before.elapsed() >= MS);
            }
            over.store(true, Ordering::Relaxed);
        });
        // Twenty milliseconds of twenty tickers are thousands of ticks; one of each is certain.
        assert!(ticks.load(Ordering::Relaxed) >= 20);
    });
}

/// TestTickerStress: tickers come and go beside others that run.
#[gort::test(unsafe(migrate))]
fn ticker_stress() {
    on_procs(|_| {
        let chance = Chance::new();
        gort::scope(|s| {
            for _ in 0..10 {
                s.go(|| {
                    for _ in 0..20 {
                        let ticker = Ticker::new(Duration::from_micros(1 + chance.below(200)));
                        for _ in 0..chance.below(5) {
                            ticker.c().recv().unwrap();
                        }
                        if chance.below(2) == 0 {
                            ticker.stop();
                        }
                    }
                });
            }
        });
    });
}

/// TestAdjustTimers, TestLongAdjustTimers: timers that are put off again and again fire in the end, and no other is held
/// up by them.
#[gort::test(unsafe(migrate))]
fn timers_that_are_put_off() {
    on_procs(|_| {
        let putting_off = AtomicBool::new(true);
        gort::scope(|s| {
            for _ in 0..100 {
                s.go(|| {
                    let timer = Timer::new(HOUR);
                    while putting_off.load(Ordering::Relaxed) {
                        timer.reset(Duration::from_secs(30));
                        gort::sleep(MS);
                    }
                    timer.reset(MS);
                    timer.c().recv().unwrap();
                });
            }
            gort::sleep(20 * MS);
            time::after(MS).recv().unwrap();
            putting_off.store(false, Ordering::Relaxed);
        });
    });
}

/// TestTimerGC: timers that nobody has any more are gone, set or not.
#[gort::test(unsafe(migrate))]
fn dropped_timers_are_gone() {
    alone(2, || {
        let before = runtime::stats().timers;
        for _ in 0..10_000 {
            drop(Timer::new(HOUR));
            drop(Ticker::new(HOUR));
            drop(time::after(HOUR));
            drop(time::tick(HOUR));
            gort::select! {
                recv(time::after(HOUR)) -> _ => unreachable!(),
                default => (),
            }
        }
        // Those that were waited for are in a heap, and leave it.
        let (tx, rx) = gort::chan(1);
        for i in 0..10_000 {
            tx.send(i).unwrap();
            gort::select! {
                recv(rx) -> value => assert_eq!(value, Ok(i)),
                recv(time::after(HOUR)) -> _ => unreachable!(),
            }
        }
        let timers = runtime::stats().timers;
        assert!(timers <= before + 100, "{timers} timers, {before} before");
    });
}

/// TestAfterStop: a timer that was stopped says nothing, and the call of one that was stopped does not come.
#[gort::test(unsafe(migrate))]
fn stopped_in_time() {
    on_procs(|_| {
        let called = Arc::new(AtomicBool::new(false));
        let calls = Arc::clone(&called);
        let call = time::after_func(HOUR, move || calls.store(true, Ordering::Relaxed));
        let timer = Timer::new(HOUR);
        assert!(call.stop() && timer.stop());
        assert!(!call.stop() && !timer.stop(), "once is enough");
        // The same for those that are nearly due: whoever stops in time says so, and then nothing comes.
        for i in 0..50 {
            let timer = Timer::new(Duration::from_micros(20 * i));
            gort::sleep(Duration::from_micros(400));
            let in_time = timer.stop();
            assert!(timer.c().try_recv().is_err(), "stop says {in_time}");
        }
        settle();
        assert!(!called.load(Ordering::Relaxed));
    });
}

/// TestTick, TestNewTickerLtZeroDuration: there is no period of nothing.
#[gort::test(unsafe(migrate))]
fn a_period_of_nothing() {
    alone(2, || {
        assert_eq!(time::tick(Duration::ZERO).recv_timeout(MS), Err(RecvTimeoutError::Timeout));
        assert!(time::tick(MS).recv().is_ok());
        let words = |call: fn()| {
            let text = std::panic::catch_unwind(call).unwrap_err();
            *text.downcast_ref::<&str>().unwrap()
        };
        assert_eq!(words(|| drop(Ticker::new(Duration::ZERO))), "non-positive interval for NewTicker");
        let reset = || Ticker::new(HOUR).reset(Duration::ZERO);
        assert_eq!(words(reset), "non-positive interval for Ticker.Reset");
    });
}
