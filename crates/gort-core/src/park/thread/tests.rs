//! Parks of real threads, in numbers: rounds of wake-ups that come early, late, and together with a deadline.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;
use crate::env::Rng;

#[test]
fn a_wake_up_before_the_park_is_taken_by_it() {
    ready(own::parker());
    park(|| ());
    let claim = Claim::new();
    park_until(Moment::after(Duration::from_millis(1)), &claim, || ());
    assert_eq!(claim.winner(), Claim::TIMED_OUT, "nothing was left over");
}

#[test]
fn a_deadline_is_not_early() {
    let claim = Claim::new();
    let deadline = Moment::after(Duration::from_millis(5));
    park_until(deadline, &claim, || ());
    assert!(Moment::now() >= deadline);
}

#[test]
fn two_threads_wake_each_other() {
    const ROUNDS: usize = 20_000;
    let turn = Arc::new(AtomicUsize::new(0));
    let parkers = Arc::new([const { AtomicPtr::<Parker>::new(ptr::null_mut()) }; 2]);
    let players: Vec<_> = (0..2)
        .map(|me| {
            let (turn, parkers) = (turn.clone(), parkers.clone());
            thread::spawn(move || {
                parkers[me].store(ptr::from_ref(own::parker()).cast_mut(), Ordering::Release);
                let other = loop {
                    let other = parkers[1 - me].load(Ordering::Acquire);
                    if !other.is_null() {
                        break other;
                    }
                    thread::yield_now();
                };
                for round in 0..ROUNDS {
                    if round % 2 == me {
                        turn.store(round + 1, Ordering::Relaxed);
                        ready(other);
                    } else {
                        park(|| ());
                        assert_eq!(turn.load(Ordering::Relaxed), round + 1);
                    }
                }
            })
        })
        .collect();
    players.into_iter().for_each(|player| player.join().expect("every park ended when it should"));
}

/// A waker and a deadline race for each claim; the waker also checks that it wakes nobody twice.
#[test]
fn of_deadline_and_waker_one_wins() {
    const ROUNDS: usize = 5_000;
    let seed = Moment::now().as_nanos();
    println!("seed {seed}");
    let rng = Rng::new(seed);
    let claims: Arc<Vec<Claim>> = Arc::new((0..ROUNDS).map(|_| Claim::new()).collect());
    // How many rounds have begun: the waker may come late, and find that a round is long over.
    let (begun, sleeper) = (Arc::new(AtomicUsize::new(0)), own::parker());
    let waker = thread::spawn({
        let (claims, begun) = (claims.clone(), begun.clone());
        move || {
            let mut wakes = 0;
            for (round, claim) in claims.iter().enumerate() {
                while begun.load(Ordering::Acquire) <= round {
                    std::hint::spin_loop();
                    thread::yield_now();
                }
                if claim.try_win(1) {
                    wakes += 1;
                    ready(sleeper);
                }
            }
            wakes
        }
    });
    let mut woken = 0;
    for (round, claim) in claims.iter().enumerate() {
        let deadline = Moment::after(Duration::from_nanos(u64::from(rng.below(4_000))));
        park_until(deadline, claim, || begun.store(round + 1, Ordering::Release));
        match claim.winner() {
            1 => woken += 1,
            Claim::TIMED_OUT => {}
            winner => panic!("round {round} ended without a winner: {winner}, seed {seed}"),
        }
    }
    assert_eq!(waker.join().expect("the waker does not panic"), woken, "seed {seed}");
}

#[test]
fn parkers_of_ended_threads_are_used_again() {
    const THREADS: usize = 100;
    let address = || thread::spawn(|| ptr::from_ref(own::parker()).addr()).join().expect("no panic");
    let seen: HashSet<usize> = (0..THREADS).map(|_| address()).collect();
    // Other tests may take one or the other out of the pool, but not each of them.
    assert!(seen.len() < THREADS / 2, "{} parkers for {THREADS} threads, one after the other", seen.len());
}
