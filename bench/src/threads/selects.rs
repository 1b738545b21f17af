//! `crossbeam_channel::select!`.

use crate::channels::wanted;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use gort_bench::{Meter, Sample, work::share};
use std::thread;

/// `k` senders, each on an unbuffered channel that stays open.
fn sources<const K: usize>(n: u64) -> [(Sender<u64>, Receiver<u64>); K] {
    std::array::from_fn(|i| {
        let (tx, rx) = bounded(0);
        let sender = tx.clone();
        thread::spawn(move || {
            for j in 0..share(n, K as u64, i as u64) {
                sender.send(j).unwrap();
            }
        });
        (tx, rx)
    })
}

pub(crate) fn select2(n: u64) -> Sample {
    let meter = Meter::start();
    let ends = sources::<2>(n);
    let [a, b] = ends.each_ref().map(|(_, rx)| rx);
    let mut sum = 0;
    for _ in 0..n {
        select! {
            recv(a) -> v => sum += v.unwrap(),
            recv(b) -> v => sum += v.unwrap(),
        }
    }
    let sample = meter.stop(n);
    assert_eq!(sum, wanted(n, 2));
    sample
}

pub(crate) fn select8(n: u64) -> Sample {
    let meter = Meter::start();
    let ends = sources::<8>(n);
    let [c0, c1, c2, c3, c4, c5, c6, c7] = ends.each_ref().map(|(_, rx)| rx);
    let mut sum = 0;
    for _ in 0..n {
        select! {
            recv(c0) -> v => sum += v.unwrap(),
            recv(c1) -> v => sum += v.unwrap(),
            recv(c2) -> v => sum += v.unwrap(),
            recv(c3) -> v => sum += v.unwrap(),
            recv(c4) -> v => sum += v.unwrap(),
            recv(c5) -> v => sum += v.unwrap(),
            recv(c6) -> v => sum += v.unwrap(),
            recv(c7) -> v => sum += v.unwrap(),
        }
    }
    let sample = meter.stop(n);
    assert_eq!(sum, wanted(n, 8));
    sample
}

pub(crate) fn select_default(n: u64) -> Sample {
    let (_keep, rx) = bounded::<u64>(1);
    let rx = std::hint::black_box(&rx);
    let mut empty = 0;
    let meter = Meter::start();
    for _ in 0..n {
        select! {
            recv(rx) -> _ => panic!("a value out of nowhere"),
            default => empty += 1,
        }
    }
    let sample = meter.stop(n);
    assert_eq!(empty, n);
    sample
}
