//! may's channels: unbounded, one kind each for one or many at either end.

use gort_bench::{CROWD, Meter, PAIRS, Sample, work::share, work::sum_below};
use may::go;
use may::sync::{mpmc, mpsc, spsc};

pub(crate) fn pingpong(n: u64) -> Sample {
    let meter = Meter::start();
    let sum = one_pair(n, |far| drop(go!(far)));
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}

/// Plays the near side; `spawn` starts the far one.
fn one_pair(n: u64, spawn: impl FnOnce(Box<dyn FnOnce() + Send>)) -> u64 {
    let (ping, pinged) = mpsc::channel::<u64>();
    let (pong, ponged) = mpsc::channel::<u64>();
    spawn(Box::new(move || {
        for v in pinged {
            pong.send(v + 1).unwrap();
        }
    }));
    let mut sum = 0;
    for i in 0..n {
        ping.send(i).unwrap();
        sum += ponged.recv().unwrap();
    }
    drop(ping);
    assert!(ponged.recv().is_err());
    sum
}

/// The far side is an OS thread.
pub(crate) fn crossing(n: u64) -> Sample {
    let meter = Meter::start();
    let sum = one_pair(n, |far| drop(std::thread::spawn(far)));
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}

pub(crate) fn pingpong_pairs(n: u64) -> Sample {
    let meter = Meter::start();
    let pairs: Vec<_> =
        (0..PAIRS).map(|i| go!(move || one_pair(share(n, PAIRS, i), |far| drop(go!(far))))).collect();
    let sum: u64 = pairs.into_iter().map(|pair| pair.join().unwrap()).sum();
    let sample = meter.stop(n);
    assert_eq!(sum, n + (0..PAIRS).map(|i| sum_below(share(n, PAIRS, i))).sum::<u64>());
    sample
}

pub(crate) fn spsc(n: u64) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = spsc::channel::<u64>();
    go!(move || {
        for i in 0..n {
            tx.send(i).unwrap();
        }
    });
    let receiver = go!(move || rx.iter().fold((0, 0), |(sum, count), v| (sum + v, count + 1)));
    let received = receiver.join().unwrap();
    let sample = meter.stop(n);
    assert_eq!(received, (sum_below(n), n));
    sample
}

pub(crate) fn mpsc(n: u64) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = mpsc::channel::<u64>();
    for i in 0..CROWD {
        let tx = tx.clone();
        go!(move || {
            for j in 0..share(n, CROWD, i) {
                tx.send(j).unwrap();
            }
        });
    }
    drop(tx);
    let receiver = go!(move || rx.iter().fold((0, 0), |(sum, count), v| (sum + v, count + 1)));
    let received = receiver.join().unwrap();
    let sample = meter.stop(n);
    assert_eq!(received, (wanted(n, CROWD), n));
    sample
}

pub(crate) fn mpmc(n: u64, senders: u64, receivers: u64) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = mpmc::channel::<u64>();
    for i in 0..senders {
        let tx = tx.clone();
        go!(move || {
            for j in 0..share(n, senders, i) {
                tx.send(j).unwrap();
            }
        });
    }
    drop(tx);
    let spawn = |_| {
        let rx = rx.clone();
        go!(move || rx.iter().fold((0, 0), |(sum, count), v| (sum + v, count + 1)))
    };
    let receivers: Vec<_> = (0..receivers).map(spawn).collect();
    let (mut sum, mut count) = (0, 0);
    for receiver in receivers {
        let (s, k) = receiver.join().unwrap();
        sum += s;
        count += k;
    }
    let sample = meter.stop(n);
    assert_eq!((sum, count), (wanted(n, senders), n));
    sample
}

fn wanted(n: u64, senders: u64) -> u64 {
    (0..senders).map(|i| sum_below(share(n, senders, i))).sum()
}

pub(crate) fn select_default(n: u64) -> Sample {
    let (_keep, rx) = mpsc::channel::<u64>();
    let mut empty = 0;
    let meter = Meter::start();
    for _ in 0..n {
        match std::hint::black_box(&rx).try_recv() {
            Ok(_) => panic!("a value out of nowhere"),
            Err(_) => empty += 1,
        }
    }
    let sample = meter.stop(n);
    assert_eq!(empty, n);
    sample
}
