//! crossbeam-channel without select.

use crossbeam_channel::bounded;
use gort_bench::{Meter, Sample, work::share, work::sum_below};
use std::thread;

pub(crate) fn pingpong(n: u64) -> Sample {
    let meter = Meter::start();
    let (ping, pinged) = bounded::<u64>(0);
    let (pong, ponged) = bounded::<u64>(0);
    thread::spawn(move || {
        for v in &pinged {
            pong.send(v + 1).unwrap();
        }
    });
    let mut sum = 0;
    for i in 0..n {
        ping.send(i).unwrap();
        sum += ponged.recv().unwrap();
    }
    drop(ping);
    assert!(ponged.recv().is_err());
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}

pub(crate) fn stream(n: u64, capacity: usize, senders: u64, receivers: u64) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = bounded::<u64>(capacity);
    for i in 0..senders {
        let tx = tx.clone();
        thread::spawn(move || {
            for j in 0..share(n, senders, i) {
                tx.send(j).unwrap();
            }
        });
    }
    drop(tx);
    let spawn = |_| {
        let rx = rx.clone();
        thread::spawn(move || rx.iter().fold((0, 0), |(sum, count), v| (sum + v, count + 1)))
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

pub(crate) fn values<const BYTES: usize>(n: u64) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = bounded::<[u8; BYTES]>(16);
    thread::spawn(move || {
        let mut value = [0; BYTES];
        for i in 0..n {
            value[0] = i as u8;
            value[BYTES - 1] = i as u8;
            tx.send(value).unwrap();
        }
    });
    let (mut sum, mut count) = (0, 0);
    for value in &rx {
        sum += u64::from(value[0]) + u64::from(value[BYTES - 1]);
        count += 1;
    }
    let sample = meter.stop(n);
    assert_eq!((sum, count), ((0..n).map(|i| 2 * u64::from(i as u8)).sum(), n));
    sample
}
