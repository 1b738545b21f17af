//! Timers, contexts, goroutine-locals and `block_on` on goroutines that move between threads.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};

use gort::context::{ContextError, background};
use gort::gosched;
use gort::time::{self, Duration, Instant, Ticker, Timer};

fn on_goroutine() -> bool {
    gort::runtime::goroutine_id().is_some()
}

const MS: Duration = Duration::from_millis(1);

/// Starts a goroutine, from a plain thread.
fn go<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> gort::JoinHandle<T> {
    // SAFETY: nothing here keeps a reference to a thread-local, a thread-bound value or a std guard across a park.
    unsafe {
        gort::run(|| {
            gort::runtime::gomaxprocs(4);
        });
    }
    gort::go(f)
}

fn all<T>(goroutines: impl IntoIterator<Item = gort::JoinHandle<T>>) -> Vec<T> {
    // All of them are started before the first is waited for.
    let goroutines: Vec<_> = goroutines.into_iter().collect();
    goroutines.into_iter().map(|g| g.join().expect("the goroutine has not panicked")).collect()
}

#[test]
fn many_sleep_at_once() {
    let start = Instant::now();
    let slept = all((0..500u32).map(|n| {
        go(move || {
            let start = Instant::now();
            time::sleep(10 * MS * (n % 40));
            assert!(start.elapsed() >= 10 * MS * (n % 40));
        })
    }));
    assert_eq!(slept.len(), 500);
    // Else it would be 97 s.
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "they slept at the same time, not one after the other"
    );
}

#[test]
fn timers_and_tickers_tick() {
    all((0..50u32).map(|n| {
        go(move || {
            let timer = Timer::new(Duration::from_secs(3600));
            let start = Instant::now();
            assert!(timer.reset(MS * (n % 7)));
            assert!(timer.c().recv().unwrap() >= start + MS * (n % 7));
            let ticker = Ticker::new(MS);
            let first = ticker.c().recv().unwrap();
            for _ in 0..3 {
                assert_eq!((ticker.c().recv().unwrap() - first).as_nanos() % 1_000_000, 0);
            }
            ticker.stop();
            gort::select! {
                recv(ticker.c()) -> _ => panic!("stopped"),
                recv(time::after(MS)) -> _ => {},
            }
        })
    }));
}

#[test]
fn after_func_runs_on_a_goroutine_and_again_after_reset() {
    all([go(|| {
        let (tx, rx) = gort::chan(4);
        let timer = time::after_func(MS, move || tx.send(on_goroutine()).unwrap());
        assert_eq!(rx.recv(), Ok(true));
        assert!(!timer.reset(MS));
        assert_eq!(rx.recv(), Ok(true));
        assert!(!timer.stop());
        let stopped = time::after_func(Duration::from_secs(3600), || unreachable!("stopped"));
        assert!(stopped.stop());
    })]);
}

#[test]
fn a_panicking_after_func_ends_only_its_run() {
    all([go(|| {
        let (tx, rx) = gort::chan(4);
        let mut round = 0;
        let timer = time::after_func(Duration::ZERO, move || {
            round += 1;
            tx.send(round).unwrap();
            assert!(round != 1, "the first run panics, as this test wants it to");
        });
        assert_eq!(rx.recv(), Ok(1));
        timer.reset(Duration::ZERO);
        assert_eq!(rx.recv(), Ok(2));
    })]);
}

#[test]
fn contexts_end_those_who_wait() {
    let (ctx, cancel) = background().with_cancel();
    let (timed, _cancel) = ctx.with_timeout(20 * MS);
    let waiting: Vec<_> = (0..100)
        .map(|n| {
            let ctx = if n % 2 == 0 { ctx.clone() } else { timed.clone() };
            go(move || {
                let (_tx, rx) = gort::chan::<()>(0);
                gort::select! {
                    recv(ctx.done()) -> closed => assert!(closed.is_err()),
                    recv(rx) -> _ => panic!("nobody sends"),
                }
                ctx.err().unwrap()
            })
        })
        .collect();
    let (tx, rx) = mpsc::channel();
    timed.after_func(move || tx.send(on_goroutine()).unwrap());
    assert_eq!(rx.recv(), Ok(true));
    assert_eq!(timed.err(), Some(ContextError::DeadlineExceeded));
    assert_eq!(ctx.err(), None);
    all([go(move || cancel.cancel())]);
    for (n, err) in all(waiting).into_iter().enumerate() {
        assert_eq!(err == ContextError::Canceled, n % 2 == 0);
    }
}

#[test]
fn cancellations_meet_on_goroutines() {
    for _ in 0..50 {
        let (root, cancel) = background().with_cancel();
        let cancel = Arc::new(cancel);
        let leaves: Arc<Vec<_>> =
            Arc::new((0..20).map(|_| root.with_value(1).with_timeout(Duration::from_secs(60))).collect());
        assert!(leaves.iter().all(|(ctx, _)| !ctx.done().is_closed()));
        all((0..4).map(|_| {
            let (cancel, leaves) = (Arc::clone(&cancel), Arc::clone(&leaves));
            go(move || {
                cancel.cancel();
                assert!(leaves.iter().all(|(ctx, _)| ctx.done().is_closed()));
            })
        }));
    }
}

#[test]
fn locals_stay_with_their_goroutine() {
    gort::local! {
        static SUM: Cell<u64> = const { Cell::new(0) };
        static NAMES: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }
    let sums = all((1..=20u64).map(|n| {
        go(move || {
            for round in 0..200 {
                SUM.set(SUM.get() + n);
                NAMES.with_borrow_mut(|names| names.push(n));
                match round % 3 {
                    0 => gosched(),
                    1 => time::sleep(Duration::from_micros(n * 10)),
                    // A reference to the value, held while the goroutine moves: the value does not.
                    _ => SUM.with(|sum| {
                        let before = sum.get();
                        gosched();
                        assert_eq!(sum.get(), before);
                    }),
                }
            }
            assert!(NAMES.take().iter().all(|name| *name == n));
            SUM.get()
        })
    }));
    assert_eq!(sums, (1..=20).map(|n| n * 200).collect::<Vec<_>>());
    assert_eq!(SUM.get(), 0, "this thread has its own");
}

#[test]
fn locals_are_destroyed_on_their_goroutine_and_may_park_there() {
    gort::local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
        static OTHER: Cell<u32> = const { Cell::new(7) };
    }
    struct Last(u32, mpsc::Sender<(u32, bool, u32, bool)>);
    impl Drop for Last {
        fn drop(&mut self) {
            time::sleep(MS);
            let own = LAST.try_with(|_| ()).is_err();
            self.1.send((self.0, on_goroutine(), OTHER.get(), own)).unwrap();
        }
    }
    let (tx, rx) = mpsc::channel();
    for n in 0..100 {
        let tx = tx.clone();
        go(move || {
            OTHER.set(n + 1000);
            LAST.set(Some(Last(n, tx)));
        });
    }
    drop(tx);
    let mut ended: Vec<_> = rx.iter().collect();
    ended.sort();
    assert_eq!(ended.len(), 100);
    for (n, (id, on_goroutine, other, own)) in (0..).zip(ended) {
        // The other key was used first, so it goes last and is alive still.
        assert_eq!((id, on_goroutine, other, own), (n, true, n + 1000, true));
    }
}

#[test]
fn block_on_parks_the_goroutine() {
    const PAIRS: usize = 50;
    const UNITS: usize = 500;
    let taken = all((0..PAIRS).map(|_| {
        let (given, waker) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None::<Waker>)));
        go({
            let (given, waker) = (Arc::clone(&given), Arc::clone(&waker));
            move || {
                for unit in 0..UNITS {
                    given.fetch_add(1, Ordering::Release);
                    let current = waker.lock().unwrap().clone();
                    if let Some(waker) = current {
                        waker.wake();
                    }
                    if unit % 3 == 0 {
                        gosched();
                    }
                }
            }
        });
        go(move || {
            let mut taken = 0;
            while taken < UNITS {
                taken += gort::block_on(poll_fn(|cx| {
                    *waker.lock().unwrap() = Some(cx.waker().clone());
                    match given.swap(0, Ordering::Acquire) {
                        0 => Poll::Pending,
                        n => Poll::Ready(n),
                    }
                }));
            }
            taken
        })
    }));
    assert_eq!(taken, [UNITS; PAIRS]);
}
