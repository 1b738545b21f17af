//! Programs in which nothing can ever happen again.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use gort::channel::{Receiver, Sender, never};
use gort::sync::{Barrier, Condvar, Mutex, Once, RwLock, Semaphore, WaitGroup};

use super::{enter, ignore, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("deadlock-simple", simple),
    ("deadlock-everything", everything),
    ("deadlock-after-threads", after_threads),
    ("deadlock-after-a-call", after_a_call),
    ("deadlock-after-a-timer", after_a_timer),
    ("deadlock-stderr-locked", stderr_locked),
    ("deadlock-threads-parked", threads_parked),
    ("deadlock-many", many),
    ("deadlock-two-runs", two_runs),
    ("deadlock-after-work", after_work),
    ("deadlock-stopped-timers", stopped_timers),
    ("deadlock-pinned", pinned),
    ("deadlock-in-blocking", in_blocking),
];

/// Main waits for what nobody sends.
fn simple() -> ExitCode {
    enter(|| {
        let (_tx, rx) = gort::chan::<()>(0);
        rx.recv().unwrap()
    })
}

/// One goroutine for every way to wait that has a name. Their creator is this function, their names are the ways.
#[inline(never)]
fn everything() -> ExitCode {
    enter(every_wait)
}

#[inline(never)]
fn every_wait() {
    fn named(name: &str, f: impl FnOnce() + Send + 'static) {
        drop(gort::Builder::new().name(name).go(f).unwrap());
    }
    let (tx, rx) = gort::chan::<u8>(0);
    let (tx2, rx2) = (tx.clone(), rx.clone());
    let full = gort::chan::<u8>(1);
    full.0.send(1).unwrap();
    named("receiver", waits_in_a_function_of_its_own);
    named("sender", move || full.0.send(2).unwrap());
    named("selecting", move || {
        gort::select! { recv(rx2) -> _ => {}, recv(never::<u8>()) -> _ => {} }
    });
    named("selecting nothing", || gort::select! {});
    named("nil receiver", || ignore(Receiver::<u8>::nil().recv()));
    named("nil sender", || ignore(Sender::<u8>::nil().send(1)));
    let mutex = Arc::new(Mutex::new(()));
    std::mem::forget(mutex.lock());
    named("locking", move || drop(mutex.lock()));
    let rw = Arc::new(RwLock::new(()));
    std::mem::forget(rw.write());
    let rw2 = rw.clone();
    named("reading", move || drop(rw.read()));
    named("writing", move || drop(rw2.write()));
    named("grouped", || {
        let wg = WaitGroup::new();
        wg.add(1);
        wg.wait();
    });
    named("conditional", || {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        drop(condvar.wait(mutex.lock()));
    });
    named("barred", || ignore(Barrier::new(2).wait()));
    named("permitted", || {
        let semaphore = Semaphore::new(1);
        semaphore.acquire(1);
        semaphore.acquire(1);
    });
    let once = Arc::new(Once::new());
    let again = once.clone();
    let (begins, begun) = gort::chan(1);
    named("once", move || {
        once.call_once(|| {
            begins.send(()).unwrap();
            ignore(Receiver::<u8>::nil().recv());
        });
    });
    begun.recv().unwrap();
    named("twice", move || again.call_once(|| ()));
    named("joining", || drop(gort::go(|| gort::select! {}).join()));
    named("scoped", || gort::scope(|s| ignore(s.go(|| ignore(Receiver::<u8>::nil().recv())))));
    named("future", || gort::block_on(std::future::pending()));
    let _keep = (tx, tx2);
    let _ = rx.recv();
}

#[inline(never)]
fn waits_in_a_function_of_its_own() {
    let (_tx, rx) = gort::chan::<u8>(0);
    let _ = rx.recv();
    // Not a tail call: the frame is there to be seen.
    std::hint::black_box(());
}

/// As long as the thread lives it could wake somebody; it dies instead.
fn after_threads() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan::<()>(0);
        std::thread::spawn(move || {
            let _never_used = tx.clone();
            std::thread::sleep(Duration::from_millis(1500));
            say("the thread ends");
            std::mem::forget(tx);
        });
        let _ = rx.recv();
    })
}

/// By then the monitor has nothing to look after, and sleeps.
const LONG: Duration = Duration::from_secs(6);

/// Who was in a call that nobody announced ends without a processor.
fn after_a_call() -> ExitCode {
    enter(|| {
        let group = WaitGroup::new();
        group.add(1);
        gort::go(|| std::thread::sleep(LONG));
        group.wait();
    })
}

/// A thread stops the timer that could have happened, and ends.
fn after_a_timer() -> ExitCode {
    enter(|| {
        let timer = gort::time::after_func(Duration::from_secs(3600), || say("never"));
        std::thread::spawn(move || {
            std::thread::sleep(LONG);
            timer.stop();
        });
        waits_in_a_function_of_its_own();
    })
}

/// A thread that waits for good holds what everybody prints with.
fn stderr_locked() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan::<()>(0);
        let other = rx.clone();
        std::thread::spawn(move || {
            let _stderr = std::io::stderr().lock();
            other.recv()
        });
        let _ = rx.recv();
        drop(tx);
    })
}

/// Threads of the program's own wait for the goroutines and for each other.
fn threads_parked() -> ExitCode {
    let (tx, rx) = gort::chan::<()>(0);
    for _ in 0..4 {
        let rx = rx.clone();
        std::thread::spawn(move || rx.recv());
    }
    let group = WaitGroup::new();
    group.add(1);
    let waiting = group.clone();
    std::thread::spawn(move || waiting.wait());
    enter(move || {
        let _keep = (tx, group);
        let _ = rx.recv();
    })
}

fn many() -> ExitCode {
    enter(|| {
        let (_tx, rx) = gort::chan::<u8>(0);
        for _ in 0..1000 {
            let rx = rx.clone();
            gort::go(move || rx.recv());
        }
        let _ = rx.recv();
    })
}

fn two_runs() -> ExitCode {
    let other = std::thread::spawn(simple);
    simple();
    other.join().unwrap()
}

/// All the machinery has been used, and is at rest again.
fn after_work() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(8);
        for n in 0..200u64 {
            let tx = tx.clone();
            gort::go(move || {
                gort::sleep(Duration::from_micros(n * 10));
                gort::blocking(|| std::thread::sleep(Duration::from_micros(100)));
                tx.send(n).unwrap();
            });
        }
        assert_eq!((0..200).map(|_| rx.recv().unwrap()).sum::<u64>(), 199 * 100);
        let from_thread = tx.clone();
        std::thread::spawn(move || from_thread.send(1).unwrap()).join().unwrap();
        rx.recv().unwrap();
        say("all is done");
        let _ = rx.recv();
    })
}

/// Timers that were stopped, or fired, wake nobody.
fn stopped_timers() -> ExitCode {
    enter(|| {
        let timer = gort::time::Timer::new(Duration::from_secs(3600));
        let call = gort::time::after_func(Duration::from_secs(3600), || ());
        let ticker = gort::time::Ticker::new(Duration::from_millis(5));
        ticker.c().recv().unwrap();
        ticker.stop();
        assert!(timer.stop() && call.stop());
        gort::time::after(Duration::from_millis(5)).recv().unwrap();
        ignore(ticker.c().recv());
    })
}

fn pinned() -> ExitCode {
    enter(|| {
        let (_tx, rx) = gort::chan::<u8>(0);
        for _ in 0..3 {
            let rx = rx.clone();
            gort::go(move || gort::pin_thread(|| rx.recv()));
        }
        gort::lock_os_thread();
        let _ = rx.recv();
    })
}

/// A wait of gort's inside an announced blocking call can only be ended by a goroutine.
fn in_blocking() -> ExitCode {
    enter(|| {
        let (_tx, rx) = gort::chan::<u8>(0);
        for _ in 0..3 {
            let rx = rx.clone();
            gort::go(move || gort::blocking(|| rx.recv()));
        }
        gort::sleep(Duration::from_millis(5));
        ignore(gort::blocking(|| rx.recv()));
    })
}
