//! `gort::select!`.

use crate::channels::wanted;
use gort::channel::{Receiver, Sender};
use gort::sync::WaitGroup;
use gort_bench::{Meter, Sample, WATCHERS, work::share, work::sum_below};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// `K` senders, each on an unbuffered channel that stays open.
fn sources<const K: usize>(n: u64) -> [(Sender<u64>, Receiver<u64>); K] {
    std::array::from_fn(|i| {
        let (tx, rx) = gort::chan(0);
        let sender = tx.clone();
        gort::go(move || {
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
        gort::select! {
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
        gort::select! {
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
    let (_keep, rx) = gort::chan::<u64>(1);
    let rx = std::hint::black_box(&rx);
    let mut empty = 0;
    let meter = Meter::start();
    for _ in 0..n {
        gort::select! {
            recv(rx) -> _ => panic!("a value out of nowhere"),
            default => empty += 1,
        }
    }
    let sample = meter.stop(n);
    assert_eq!(empty, n);
    sample
}

/// What the goroutines of `select_done` share.
struct Scene {
    work: Receiver<u64>,
    done: Receiver<()>,
    sum: AtomicU64,
    ended: AtomicU64,
}

/// Many workers, each selecting over the common work channel and one done
/// channel that all of them share and that is closed in the end.
pub(crate) fn select_done(n: u64) -> Sample {
    let ((tx, work), (close, done)) = (gort::chan(0), gort::chan(0));
    let scene = Arc::new(Scene { work, done, sum: AtomicU64::new(0), ended: AtomicU64::new(0) });
    let (ready, all) = (WaitGroup::new(), WaitGroup::new());
    ready.add(WATCHERS as isize);
    for _ in 0..WATCHERS {
        let (scene, ready) = (scene.clone(), ready.clone());
        all.go(move || {
            ready.done();
            let Scene { work, done, .. } = &*scene;
            loop {
                gort::select! {
                    recv(work) -> v => { scene.sum.fetch_add(v.unwrap(), Relaxed); },
                    recv(done) -> _ => break,
                }
            }
            scene.ended.fetch_add(1, Relaxed);
        });
    }
    ready.wait();
    let meter = Meter::start();
    for i in 0..n {
        tx.send(i).unwrap();
    }
    close.close();
    all.wait();
    let sample = meter.stop(n);
    assert_eq!((scene.sum.load(Relaxed), scene.ended.load(Relaxed)), (sum_below(n), WATCHERS));
    sample
}
