//! The condition variable: whom a signal reaches, in what order, and that none is lost or stolen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort::sync::{Condvar, Mutex};

use super::{a_moment, eventually, seeded};
use crate::env;

type Shared<T> = Arc<(Mutex<T>, Condvar)>;

fn shared<T>(value: T) -> Shared<T> {
    Arc::new((Mutex::new(value), Condvar::new()))
}

/// How many wait, and how many have gone on.
#[derive(Default)]
struct Counts {
    waiting: usize,
    awake: usize,
}

fn waiters(n: usize) -> (Shared<Counts>, Vec<env::Task<()>>) {
    let state = shared(Counts::default());
    let tasks = (0..n)
        .map(|_| {
            let state = state.clone();
            env::spawn(move || {
                let mut counts = state.0.lock();
                counts.waiting += 1;
                counts = state.1.wait(counts);
                counts.awake += 1;
            })
        })
        .collect();
    eventually(|| state.0.lock().waiting == n);
    (state, tasks)
}

pub(crate) fn signal_wakes_one() {
    let (state, tasks) = waiters(4);
    for awake in 1..=4 {
        {
            let _locked = state.0.lock();
            state.1.notify_one();
        }
        eventually(|| state.0.lock().awake == awake);
        env::yield_now();
        assert_eq!(state.0.lock().awake, awake);
    }
    tasks.into_iter().for_each(|task| task.join().unwrap());
    state.1.notify_one(); // nobody waits: no effect
}

pub(crate) fn broadcast() {
    let (state, tasks) = waiters(8);
    state.1.notify_all();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(state.0.lock().awake, 8);
}

/// Signals reach the waiters in the order in which they began to wait.
pub(crate) fn signal_order() {
    let state = shared((0usize, Vec::new()));
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let other = state.clone();
            let task = env::spawn(move || {
                let mut guard = other.0.lock();
                guard.0 += 1;
                guard = other.1.wait(guard);
                guard.1.push(i);
            });
            eventually(|| state.0.lock().0 == i + 1);
            task
        })
        .collect();
    for n in 1..=6 {
        state.1.notify_one();
        eventually(|| state.0.lock().1.len() == n);
    }
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(state.0.lock().1, [0, 1, 2, 3, 4, 5]);
}

/// Two waiters, two signals given at once, and a third waiter that comes at the same time: it must not take a signal
/// from the two.
pub(crate) fn a_late_waiter_steals_nothing() {
    for _ in 0..100 {
        let state = shared((0usize, false));
        let early: Vec<_> = (0..2)
            .map(|_| {
                let state = state.clone();
                env::spawn(move || {
                    let mut guard = state.0.lock();
                    guard.0 += 1;
                    drop(state.1.wait(guard));
                })
            })
            .collect();
        eventually(|| state.0.lock().0 == 2);
        state.1.notify_one();
        let late = {
            let state = state.clone();
            env::spawn(move || {
                let guard = state.0.lock();
                drop(state.1.wait_while(guard, |state| !state.1));
            })
        };
        state.1.notify_one();
        early.into_iter().for_each(|task| task.join().unwrap());
        state.0.lock().1 = true;
        state.1.notify_all();
        late.join().unwrap();
    }
}

/// Waiters come and go at the same time, two for each signal: the signals still go to the oldest.
pub(crate) fn generations() {
    const N: usize = 60;
    let state = shared((0usize, Vec::<usize>::new()));
    let signal = || {
        let awake = state.0.lock().1.len();
        state.1.notify_one();
        eventually(|| state.0.lock().1.len() == awake + 1);
    };
    let mut tasks = Vec::new();
    for i in 0..N {
        let other = state.clone();
        tasks.push(env::spawn(move || {
            let mut guard = other.0.lock();
            guard.0 += 1;
            guard = other.1.wait(guard);
            guard.1.push(i);
        }));
        eventually(|| state.0.lock().0 == i + 1);
        if i % 2 == 1 {
            signal();
        }
    }
    (0..N / 2).for_each(|_| signal());
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(state.0.lock().1, (0..N).collect::<Vec<_>>());
}

pub(crate) fn timeouts() {
    let state = shared(false);
    let start = Instant::now();
    let (guard, result) = state.1.wait_timeout(state.0.lock(), Duration::from_millis(10));
    assert!(result.timed_out() && start.elapsed() >= Duration::from_millis(10));
    drop(guard);
    let (guard, result) =
        state.1.wait_timeout_while(state.0.lock(), Duration::from_millis(5), |ready| !*ready);
    assert!(result.timed_out() && !*guard);
    drop(guard);
    let other = state.clone();
    let setter = env::spawn(move || {
        a_moment();
        *other.0.lock() = true;
        other.1.notify_all();
    });
    let (guard, result) =
        state.1.wait_timeout_while(state.0.lock(), Duration::from_secs(600), |ready| !*ready);
    assert!(!result.timed_out() && *guard);
    drop(guard);
    setter.join().unwrap();
}

/// Tokens through a condition with timed and untimed waiters: none is lost, none is made up.
pub(crate) fn stress() {
    const TAKERS: usize = 6;
    const EACH: usize = 200;
    let state = shared(0usize);
    let taken = Arc::new(AtomicUsize::new(0));
    let rng = seeded("condvar stress");
    let takers: Vec<_> = (0..TAKERS)
        .map(|_| {
            let (state, taken) = (state.clone(), taken.clone());
            let rng = gort_core::env::Rng::new(u64::from(rng.next()));
            env::spawn(move || {
                for _ in 0..EACH {
                    let mut tokens = state.0.lock();
                    while *tokens == 0 {
                        if rng.below(2) == 0 {
                            tokens = state.1.wait(tokens);
                            continue;
                        }
                        let timeout = Duration::from_micros(u64::from(rng.below(50)));
                        let (guard, result) = state.1.wait_timeout(tokens, timeout);
                        tokens = guard;
                        if !result.timed_out() && *tokens == 0 {
                            // Somebody overtook us after the signal; pass on nothing, just wait again.
                            continue;
                        }
                    }
                    *tokens -= 1;
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for i in 0..TAKERS * EACH {
        *state.0.lock() += 1;
        state.1.notify_one();
        if i % 16 == 0 {
            env::yield_now();
        }
    }
    takers.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!((taken.load(Ordering::Relaxed), *state.0.lock()), (TAKERS * EACH, 0));
}
