//! `block_on` with wakers that are called before, while and after its caller waits, from everywhere.

use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

#[test]
fn a_ready_future_needs_no_waker() {
    assert_eq!(gort::block_on(ready(3)), 3);
    assert_eq!(gort::block_on(async { [1, 2].len() + ready(1).await }), 3);
}

#[test]
fn a_wake_up_during_the_poll_is_not_lost() {
    let mut polls = 0;
    gort::block_on(poll_fn(|cx| {
        polls += 1;
        if polls == 1000 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        // More than one call between two polls counts as one.
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!(polls, 1000);
}

#[test]
fn another_thread_wakes_a_parked_caller() {
    let flag = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let other = thread::spawn({
        let (flag, waker) = (Arc::clone(&flag), Arc::clone(&waker));
        move || {
            while waker.lock().unwrap().is_none() {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            flag.store(true, Ordering::Release);
            waker.lock().unwrap().take().expect("the first poll left its waker").wake();
        }
    });
    let mut polls = 0;
    gort::block_on(poll_fn(|cx| {
        polls += 1;
        if flag.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        *waker.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }));
    other.join().unwrap();
    assert!(polls <= 2, "a park has no spurious end, and there was one wake-up: {polls} polls");
}

#[test]
fn wakers_may_be_woken_after_the_end() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        gort::block_on(poll_fn(|cx| {
            kept.lock().unwrap().push(cx.waker().clone());
            Poll::Ready(())
        }));
    }
    for waker in kept.lock().unwrap().drain(..) {
        waker.wake_by_ref();
        thread::spawn(move || waker.wake()).join().unwrap();
    }
    // The caller's next wait is not ended by any of them.
    let mut polls = 0;
    gort::block_on(poll_fn(|cx| {
        polls += 1;
        if polls == 2 {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(10));
            waker.wake();
        });
        Poll::Pending
    }));
    assert_eq!(polls, 2);
}

#[test]
fn calls_nest() {
    let outer = async {
        let inner = gort::block_on(Yield(3));
        Yield(2).await + inner
    };
    assert_eq!(gort::block_on(outer), 5);
}

#[test]
fn a_panic_of_the_future_is_the_callers() {
    let result = std::panic::catch_unwind(|| gort::block_on(async { panic!("from inside") }));
    assert_eq!(*result.unwrap_err().downcast_ref::<&str>().unwrap(), "from inside");
    assert_eq!(gort::block_on(ready(1)), 1);
}

/// Gives the caller's waker away to itself `n` times, then is ready with `n`.
struct Yield(u32);

impl Future for Yield {
    type Output = u32;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        struct Relay(Waker);
        impl Wake for Relay {
            fn wake(self: Arc<Relay>) {
                self.0.wake_by_ref();
            }
        }
        if self.0 & 0x100 == 0 {
            self.0 |= 0x100;
            // Wakers are wrapped by combinators; the chain must hold.
            Waker::from(Arc::new(Relay(cx.waker().clone()))).wake();
            return Poll::Pending;
        }
        Poll::Ready(self.0 & 0xff)
    }
}

/// One caller, several threads that each hand over many units and wake: nothing is lost (the test would hang) and the
/// sum is right.
#[test]
fn stress_many_wakers() {
    const WAKERS: usize = 3;
    const UNITS: usize = 20_000;
    let seed: u64 = 0x5eed_b10c;
    let (given, waker) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None::<Waker>)));
    let threads: Vec<_> = (0..WAKERS)
        .map(|n| {
            let (given, waker) = (Arc::clone(&given), Arc::clone(&waker));
            thread::spawn(move || {
                let mut chance = seed + n as u64;
                for _ in 0..UNITS {
                    given.fetch_add(1, Ordering::Release);
                    let current = waker.lock().unwrap().clone();
                    if let Some(waker) = current {
                        waker.wake();
                    }
                    chance = chance
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    match chance >> 60 {
                        0 => thread::yield_now(),
                        n => (0..n * 8).for_each(|_| std::hint::spin_loop()),
                    }
                }
            })
        })
        .collect();
    let mut taken = 0;
    while taken < WAKERS * UNITS {
        taken += gort::block_on(poll_fn(|cx| {
            *waker.lock().unwrap() = Some(cx.waker().clone());
            match given.swap(0, Ordering::Acquire) {
                0 => Poll::Pending,
                n => Poll::Ready(n),
            }
        }));
    }
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(taken, WAKERS * UNITS, "seed {seed:#x}");
}
