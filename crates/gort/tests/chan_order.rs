//! Order between one sender and one receiver; no value lost, invented or dropped twice, whatever races.

use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use gort::channel::{Receiver, Sender, bounded, unbounded};

const MS: Duration = Duration::from_millis(1);

/// A seeded source of numbers; `CHAN_SEED` replays a run.
struct Dice(u64);

impl Dice {
    fn from_env(salt: u64) -> Dice {
        let seed = std::env::var("CHAN_SEED")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 ^ salt);
        eprintln!("replay with CHAN_SEED={seed}");
        Dice(seed)
    }

    fn roll(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

#[test]
fn one_producer_one_consumer_keeps_order() {
    for (tx, rx) in [bounded(0), bounded(1), bounded(7), unbounded()] {
        thread::scope(|s| {
            s.spawn(move || (0..20_000).for_each(|n| tx.send(n).unwrap()));
            assert!(rx.iter().eq(0..20_000));
        });
    }
}

/// Counts how many of its kind are alive, and notices a second drop.
struct Counted<'a> {
    alive: &'a AtomicIsize,
    number: Box<u64>,
}

impl<'a> Counted<'a> {
    fn new(alive: &'a AtomicIsize, number: u64) -> Counted<'a> {
        alive.fetch_add(1, Relaxed);
        Counted { alive, number: Box::new(number) }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Relaxed);
    }
}

/// Senders and receivers of all kinds at random, with a close or drops in the middle. What was sent with success is
/// received or still in the channel; what was not came back; everything is dropped once.
#[test]
fn conservation_under_random_operations() {
    let mut dice = Dice::from_env(1);
    for round in 0..60 {
        let alive = AtomicIsize::new(0);
        let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ends: [(Sender<Counted<'_>>, Receiver<Counted<'_>>); 3] =
            [bounded(dice.roll(3) as usize), bounded(dice.roll(2) as usize), unbounded()];
        let close_at = dice.roll(2000);
        thread::scope(|s| {
            for worker in 0..3 {
                let (ends, alive, sent, received) = (ends.clone(), &alive, &sent, &received);
                let mut dice = Dice(dice.roll(u64::MAX) | worker);
                s.spawn(move || {
                    for n in 0..400 {
                        let value = Counted::new(alive, n);
                        let (a, b) = (&ends[dice.roll(3) as usize], &ends[dice.roll(3) as usize]);
                        let done = match dice.roll(6) {
                            0 => a.0.try_send(value).is_ok(),
                            1 => a.0.send_timeout(value, Duration::from_micros(dice.roll(60))).is_ok(),
                            2 => gort::select! {
                                send(a.0, value) -> sent => sent.is_ok(),
                                recv(b.1) -> value => { received.fetch_add(usize::from(value.is_ok()), Relaxed); false }
                                default => false,
                            },
                            3 => gort::select_biased! {
                                send(a.0, value) -> sent => sent.is_ok(),
                                recv(a.1) -> value => { received.fetch_add(usize::from(value.is_ok()), Relaxed); false }
                                default(Duration::from_micros(50)) => false,
                            },
                            4 => gort::select! {
                                recv(a.1) -> value => { received.fetch_add(usize::from(value.is_ok()), Relaxed); false }
                                recv(b.1) -> value => { received.fetch_add(usize::from(value.is_ok()), Relaxed); false }
                                default(Duration::from_micros(50)) => false,
                            },
                            _ => {
                                let value = a.1.recv_timeout(Duration::from_micros(dice.roll(60)));
                                received.fetch_add(usize::from(value.is_ok()), Relaxed);
                                false
                            }
                        };
                        sent.fetch_add(usize::from(done), Relaxed);
                    }
                });
            }
            thread::sleep(Duration::from_micros(close_at));
            ends[dice.roll(3) as usize].0.close();
        });
        let mut left = 0;
        for (_, rx) in &ends[..] {
            left += rx.try_iter().inspect(|value| assert!(*value.number < 400)).count();
        }
        assert_eq!(sent.load(Relaxed), received.load(Relaxed) + left, "round {round}");
        drop(ends);
        assert_eq!(alive.load(Relaxed), 0, "round {round}");
    }
}

/// Blocking selects on both sides, and a close when all is sent: each value arrives once, and the selects end.
#[test]
fn selects_against_selects() {
    for cap in [0, 1, 4] {
        let (tx1, rx1) = bounded::<u64>(cap);
        let (tx2, rx2) = bounded::<u64>(cap);
        const EACH: u64 = 3_000;
        let total = AtomicUsize::new(0);
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let mut sum = 0;
                    let (mut a, mut b) = (rx1.clone(), rx2.clone());
                    let mut open = 2;
                    while open > 0 {
                        gort::select! {
                            recv(a) -> value => match value {
                                Ok(n) => sum += n,
                                Err(_) => { a = Receiver::nil(); open -= 1; }
                            },
                            recv(b) -> value => match value {
                                Ok(n) => sum += n,
                                Err(_) => { b = Receiver::nil(); open -= 1; }
                            },
                        }
                    }
                    total.fetch_add(sum as usize, Relaxed);
                });
            }
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    s.spawn(|| {
                        for n in 1..=EACH {
                            gort::select! {
                                send(tx1, n) -> sent => sent.unwrap(),
                                send(tx2, n) -> sent => sent.unwrap(),
                            }
                        }
                    })
                })
                .collect();
            senders.into_iter().for_each(|s| s.join().unwrap());
            tx1.close();
            tx2.close();
        });
        assert_eq!(total.into_inner() as u64, 2 * EACH * (EACH + 1) / 2);
    }
}

#[test]
fn values_of_all_shapes() {
    #[derive(Clone, Copy, PartialEq, Debug)]
    #[repr(align(256))]
    struct Wide(u64);
    for (tx, rx) in [bounded(0), bounded(3), unbounded()] {
        thread::scope(|s| {
            s.spawn(move || (0..500).for_each(|n| tx.send(Wide(n)).unwrap()));
            for n in 0..500 {
                let value = gort::select! { recv(rx) -> value => value, recv(gort::channel::never()) -> value => value };
                assert_eq!((value, (&raw const value).addr() % 256), (Ok(Wide(n)), 0));
            }
        });
    }
    for (tx, rx) in [bounded(0), bounded(3), unbounded()] {
        thread::scope(|s| {
            s.spawn(move || (0..5000).for_each(|_| tx.send(()).unwrap()));
            assert_eq!(rx.iter().count(), 5000);
        });
    }
    for (tx, rx) in [bounded(0), bounded(2), unbounded()] {
        thread::scope(|s| {
            s.spawn(move || (0..40u8).for_each(|n| tx.send([n; 65536]).unwrap()));
            for n in 0..40u8 {
                let value =
                    gort::select! { recv(rx) -> value => value, default(60_000 * MS) => panic!("late") };
                assert!(value.unwrap().iter().all(|&byte| byte == n));
            }
        });
    }
}

#[test]
fn a_panicking_drop_leaves_the_channel_sound() {
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0, "boom");
        }
    }
    let (tx, rx) = unbounded();
    tx.send(Bomb(false)).unwrap();
    tx.send(Bomb(true)).unwrap();
    tx.send(Bomb(false)).unwrap();
    assert!(std::panic::catch_unwind(move || drop(rx)).is_err());
    assert_eq!(tx.len(), 0);
    assert!(tx.send(Bomb(false)).is_err());
}
