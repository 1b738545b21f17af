//! `tokio::select!`, in its default random order.

use crate::channels::wanted;
use gort_bench::{Meter, Sample, work::share};
use tokio::sync::mpsc;

/// `k` senders on channels of one slot each, the nearest to unbuffered.
fn sources<const K: usize>(n: u64) -> [mpsc::Receiver<u64>; K] {
    std::array::from_fn(|i| {
        let (tx, rx) = mpsc::channel(1);
        tokio::spawn(async move {
            for j in 0..share(n, K as u64, i as u64) {
                tx.send(j).await.unwrap();
            }
            tx.closed().await;
        });
        rx
    })
}

pub(crate) async fn select2(n: u64) -> Sample {
    let meter = Meter::start();
    let [mut a, mut b] = sources::<2>(n);
    let mut sum = 0;
    for _ in 0..n {
        sum += tokio::select! {
            v = a.recv() => v.unwrap(),
            v = b.recv() => v.unwrap(),
        };
    }
    let sample = meter.stop(n);
    assert_eq!(sum, wanted(n, 2));
    sample
}

pub(crate) async fn select2_flume(n: u64) -> Sample {
    let meter = Meter::start();
    let ends: [_; 2] = std::array::from_fn(|i| {
        let (tx, rx) = flume::bounded::<u64>(0);
        let keep = tx.clone();
        tokio::spawn(async move {
            for j in 0..share(n, 2, i as u64) {
                tx.send_async(j).await.unwrap();
            }
        });
        (keep, rx)
    });
    let (a, b) = (&ends[0].1, &ends[1].1);
    let mut sum = 0;
    for _ in 0..n {
        sum += tokio::select! {
            v = a.recv_async() => v.unwrap(),
            v = b.recv_async() => v.unwrap(),
        };
    }
    let sample = meter.stop(n);
    assert_eq!(sum, wanted(n, 2));
    sample
}

pub(crate) async fn select8(n: u64) -> Sample {
    let meter = Meter::start();
    let [mut c0, mut c1, mut c2, mut c3, mut c4, mut c5, mut c6, mut c7] = sources::<8>(n);
    let mut sum = 0;
    for _ in 0..n {
        sum += tokio::select! {
            v = c0.recv() => v.unwrap(),
            v = c1.recv() => v.unwrap(),
            v = c2.recv() => v.unwrap(),
            v = c3.recv() => v.unwrap(),
            v = c4.recv() => v.unwrap(),
            v = c5.recv() => v.unwrap(),
            v = c6.recv() => v.unwrap(),
            v = c7.recv() => v.unwrap(),
        };
    }
    let sample = meter.stop(n);
    assert_eq!(sum, wanted(n, 8));
    sample
}

pub(crate) async fn select_default(n: u64) -> Sample {
    let (_keep, mut rx) = mpsc::channel::<u64>(1);
    let mut empty = 0;
    let meter = Meter::start();
    for _ in 0..n {
        match std::hint::black_box(&mut rx).try_recv() {
            Ok(_) => panic!("a value out of nowhere"),
            Err(_) => empty += 1,
        }
    }
    let sample = meter.stop(n);
    assert_eq!(empty, n);
    sample
}
