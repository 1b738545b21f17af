//! The same channels among goroutines, and between goroutines and OS threads.

use std::thread;
use std::time::{Duration, Instant};

use gort::channel::{Receiver, Select, bounded, unbounded};

fn on_goroutines<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    // SAFETY: the tests keep nothing that belongs to a thread across a park.
    unsafe { gort::run(f) }
}

#[test]
fn ping_pong() {
    on_goroutines(|| {
        let (ping, pings) = bounded(0);
        let (pong, pongs) = bounded(0);
        let other = gort::go(move || pings.iter().for_each(|n: u32| pong.send(n + 1).unwrap()));
        for n in 0..10_000 {
            ping.send(n).unwrap();
            assert_eq!(pongs.recv(), Ok(n + 1));
        }
        drop(ping);
        other.join().unwrap();
    });
}

#[test]
fn many_senders_many_receivers() {
    on_goroutines(|| {
        for cap in [0, 1, 16] {
            let (tx, rx) = bounded(cap);
            let receivers: Vec<_> = (0..8)
                .map(|_| {
                    let rx = rx.clone();
                    gort::go(move || rx.iter().sum::<u64>())
                })
                .collect();
            gort::scope(|s| {
                for _ in 0..8 {
                    s.go(|| (0..2000).for_each(|n| tx.send(n).unwrap()));
                }
            });
            tx.close();
            let total: u64 = receivers.into_iter().map(|r| r.join().unwrap()).sum();
            assert_eq!(total, 8 * 1999 * 1000);
        }
    });
}

#[test]
fn sieve() {
    on_goroutines(|| {
        let (tx, mut numbers) = bounded(0);
        gort::go(move || (2u32..).take_while(|&n| tx.send(n).is_ok()).count());
        let primes: Vec<u32> = (0..200)
            .map(|_| {
                let prime = numbers.recv().unwrap();
                let (tx, filtered) = bounded(0);
                let source = std::mem::replace(&mut numbers, filtered);
                gort::go(move || {
                    source.iter().filter(|n| n % prime != 0).take_while(|&n| tx.send(n).is_ok()).count()
                });
                prime
            })
            .collect();
        assert_eq!(primes[199], 1223);
    });
}

#[test]
fn selects_on_both_sides() {
    on_goroutines(|| {
        let (tx1, rx1) = bounded::<u64>(0);
        let (tx2, rx2) = bounded::<u64>(1);
        const EACH: u64 = 2000;
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let (mut a, mut b) = (rx1.clone(), rx2.clone());
                gort::go(move || {
                    let (mut sum, mut open) = (0, 2);
                    while open > 0 {
                        gort::select! {
                            recv(a) -> n => match n { Ok(n) => sum += n, Err(_) => { a = Receiver::nil(); open -= 1 } },
                            recv(b) -> n => match n { Ok(n) => sum += n, Err(_) => { b = Receiver::nil(); open -= 1 } },
                        }
                    }
                    sum
                })
            })
            .collect();
        gort::scope(|s| {
            for _ in 0..3 {
                s.go(|| {
                    for n in 1..=EACH {
                        // The value needs the scheduler, so that whoever was promised it really waits.
                        gort::select! {
                            send(tx1, { gort::gosched(); n }) -> sent => sent.unwrap(),
                            send(tx2, n) -> sent => sent.unwrap(),
                        }
                    }
                });
            }
        });
        tx1.close();
        tx2.close();
        let total: u64 = receivers.into_iter().map(|r| r.join().unwrap()).sum();
        assert_eq!(total, 3 * EACH * (EACH + 1) / 2);
    });
}

#[test]
fn timeouts_and_ticks() {
    on_goroutines(|| {
        const MS: Duration = Duration::from_millis(1);
        let (tx, rx) = bounded::<u8>(0);
        assert!(rx.recv_timeout(3 * MS).is_err());
        assert!(tx.send_timeout(1, 3 * MS).is_err());
        let began = Instant::now();
        let ticks = gort::channel::tick(2 * MS);
        let mut count = 0;
        let end = gort::channel::after(30 * MS);
        while gort::select! { recv(ticks) -> _ => { count += 1; true } recv(end) -> _ => false } {}
        let most = began.elapsed().as_millis() / 2;
        assert!(count <= most, "{count} ticks, at most {most}");
        assert!(ticks.recv().is_ok());
        let mut select = Select::new();
        select.recv(&rx);
        assert!(select.select_timeout(2 * MS).is_err());
        assert!(select.ready_timeout(2 * MS).is_err());
    });
}

#[test]
fn goroutines_and_threads_mix() {
    let (to_goroutines, work) = bounded::<u64>(3);
    let (results, from_goroutines) = unbounded();
    let thread = thread::spawn(move || {
        (0..3000).for_each(|n| to_goroutines.send(n).unwrap());
        drop(to_goroutines);
        from_goroutines.iter().sum::<u64>()
    });
    on_goroutines(move || {
        gort::scope(|s| {
            for _ in 0..4 {
                s.go(|| work.iter().for_each(|n| results.send(2 * n).unwrap()));
            }
        });
        drop(results);
    });
    assert_eq!(thread.join().unwrap(), 2999 * 3000);
}
