//! Channels without select.

use gort_bench::{Meter, PAIRS, Sample, work::share, work::sum_below};

pub(crate) fn pingpong(n: u64) -> Sample {
    let meter = Meter::start();
    let sum = one_pair(n, |far| drop(gort::go(far)));
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}

/// One or both sides are wired to an OS thread.
pub(crate) fn pinned_pingpong(n: u64, near: bool, far: bool) -> Sample {
    let meter = Meter::start();
    let sum = wired(near, || one_pair(n, |body| drop(gort::go(move || wired(far, body)))));
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}

/// One way over one unbuffered channel; the receiver, or either side, is wired
/// to an OS thread.
pub(crate) fn pinned_handoff(n: u64, near: bool, far: bool) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = gort::chan::<u64>(0);
    gort::go(move || wired(far, || (0..n).for_each(|i| tx.send(i).unwrap())));
    let received = wired(near, || rx.iter().fold((0, 0), |(sum, count), v| (sum + v, count + 1)));
    let sample = meter.stop(n);
    assert_eq!(received, (sum_below(n), n));
    sample
}

fn wired<T>(pinned: bool, body: impl FnOnce() -> T) -> T {
    if pinned { gort::pin_thread(body) } else { body() }
}

/// The far side is an OS thread of the program's own.
pub(crate) fn crossing(n: u64) -> Sample {
    let meter = Meter::start();
    let sum = one_pair(n, |far| drop(std::thread::spawn(far)));
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}

pub(crate) fn pingpong_pairs(n: u64) -> Sample {
    let meter = Meter::start();
    let near = |i| gort::go(move || one_pair(share(n, PAIRS, i), |far| drop(gort::go(far))));
    let pairs: Vec<_> = (0..PAIRS).map(near).collect();
    let sum: u64 = pairs.into_iter().map(|pair| pair.join().unwrap()).sum();
    let sample = meter.stop(n);
    assert_eq!(sum, n + (0..PAIRS).map(|i| sum_below(share(n, PAIRS, i))).sum::<u64>());
    sample
}

/// Plays the near side; `spawn` starts the far one.
fn one_pair(n: u64, spawn: impl FnOnce(Box<dyn FnOnce() + Send>)) -> u64 {
    let (ping, pinged) = gort::chan::<u64>(0);
    let (pong, ponged) = gort::chan::<u64>(0);
    spawn(Box::new(move || {
        for v in &pinged {
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

/// Carries `n` numbers from the senders to the receivers.
pub(crate) fn stream(n: u64, capacity: usize, senders: u64, receivers: u64) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = gort::chan::<u64>(capacity);
    for i in 0..senders {
        let tx = tx.clone();
        gort::go(move || {
            for j in 0..share(n, senders, i) {
                tx.send(j).unwrap();
            }
        });
    }
    drop(tx);
    let spawn = |_| {
        let rx = rx.clone();
        gort::go(move || rx.iter().fold((0, 0), |(sum, count), v| (sum + v, count + 1)))
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

/// What the receivers must have summed up.
pub(crate) fn wanted(n: u64, senders: u64) -> u64 {
    (0..senders).map(|i| sum_below(share(n, senders, i))).sum()
}

/// Carries `n` arrays of bytes through a small buffer. The sender gets a stack
/// that holds a few 64 KiB arrays.
pub(crate) fn values<const BYTES: usize>(n: u64) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = gort::chan::<[u8; BYTES]>(16);
    let sender = gort::Builder::new().stack_size(1 << 20).go(move || {
        let mut value = [0; BYTES];
        for i in 0..n {
            value[0] = i as u8;
            value[BYTES - 1] = i as u8;
            tx.send(value).unwrap();
        }
    });
    drop(sender.expect("a goroutine"));
    let (mut sum, mut count) = (0, 0);
    for value in &rx {
        sum += u64::from(value[0]) + u64::from(value[BYTES - 1]);
        count += 1;
    }
    let sample = meter.stop(n);
    assert_eq!((sum, count), ((0..n).map(|i| 2 * u64::from(i as u8)).sum(), n));
    sample
}
