//! Small whole programs.

use gort_bench::work::{self, SORT_CUTOFF, SievePlan, sum_below};
use gort_bench::{Meter, Sample};
use std::pin::Pin;
use tokio::sync::mpsc;

pub(crate) async fn skynet(n: u64) -> Sample {
    let leaves = work::skynet_leaves(n);
    let meter = Meter::start();
    let (tx, mut rx) = mpsc::channel(1);
    node(tx, 0, leaves);
    let sum = rx.recv().await.unwrap();
    let sample = meter.stop(leaves);
    assert_eq!(sum, sum_below(leaves));
    sample
}

fn node(up: mpsc::Sender<u64>, first: u64, leaves: u64) {
    tokio::spawn(async move {
        if leaves == 1 {
            return up.send(first).await.unwrap();
        }
        let (tx, mut rx) = mpsc::channel(1);
        for i in 0..10 {
            node(tx.clone(), first + i * (leaves / 10), leaves / 10);
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += rx.recv().await.unwrap();
        }
        up.send(sum).await.unwrap();
    });
}

/// With tokio's channel of one slot, as it has none without.
pub(crate) async fn sieve(primes: u64) -> Sample {
    let plan = SievePlan::new(primes);
    let last = plan.last;
    let meter = Meter::start();
    let (tx, mut input) = mpsc::channel(1);
    tokio::spawn(async move {
        for i in 2..=last {
            tx.send(i).await.unwrap();
        }
    });
    let mut prime = 0;
    for _ in 0..primes {
        prime = input.recv().await.unwrap();
        let (tx, output) = mpsc::channel(1);
        tokio::spawn(filter(prime, input, tx));
        input = output;
    }
    assert_eq!(input.recv().await, None);
    let sample = meter.stop(plan.messages);
    assert_eq!(prime, last);
    sample
}

async fn filter(prime: u64, mut input: mpsc::Receiver<u64>, output: mpsc::Sender<u64>) {
    while let Some(i) = input.recv().await {
        if i % prime != 0 {
            output.send(i).await.unwrap();
        }
    }
}

pub(crate) async fn sieve_flume(primes: u64) -> Sample {
    let plan = SievePlan::new(primes);
    let last = plan.last;
    let meter = Meter::start();
    let (tx, mut input) = flume::bounded(0);
    tokio::spawn(async move {
        for i in 2..=last {
            tx.send_async(i).await.unwrap();
        }
    });
    let mut prime = 0;
    for _ in 0..primes {
        prime = input.recv_async().await.unwrap();
        let (tx, output) = flume::bounded(0);
        tokio::spawn(filter_flume(prime, input, tx));
        input = output;
    }
    assert!(input.recv_async().await.is_err());
    let sample = meter.stop(plan.messages);
    assert_eq!(prime, last);
    sample
}

async fn filter_flume(prime: u64, input: flume::Receiver<u64>, output: flume::Sender<u64>) {
    while let Ok(i) = input.recv_async().await {
        if i % prime != 0 {
            output.send_async(i).await.unwrap();
        }
    }
}

pub(crate) async fn forkjoin_fib(n: u64) -> Sample {
    let tasks = work::fib_tasks(work::FIB_TOP);
    let rounds = (n / tasks).max(1);
    let want = work::fib(work::FIB_TOP);
    let meter = Meter::start();
    let mut sum = 0;
    for _ in 0..rounds {
        sum += fork(work::FIB_TOP).await;
    }
    let sample = meter.stop(rounds * tasks);
    assert_eq!(sum, rounds * want);
    sample
}

fn fork(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < work::FIB_CUTOFF {
            return work::fib(n);
        }
        let (a, b) = (tokio::spawn(fork(n - 1)), tokio::spawn(fork(n - 2)));
        a.await.unwrap() + b.await.unwrap()
    })
}

pub(crate) async fn parallel_sort(n: u64) -> Sample {
    let mut data = work::numbers(n);
    let sum = work::checksum(&data);
    let mut spare = vec![0; data.len()];
    let meter = Meter::start();
    // SAFETY: both vectors outlive the await, and nothing else touches them
    // until it has returned.
    unsafe { sort(Part::of(&mut data), Part::of(&mut spare)) }.await;
    let sample = meter.stop(n);
    work::check_sorted(&data, sum);
    sample
}

/// A slice that a spawned task may hold: tokio has no scoped tasks.
#[derive(Clone, Copy)]
struct Part(*mut u64, usize);

// SAFETY: a Part stands for a unique slice of plain numbers; `sort` gives each
// half to one task only.
unsafe impl Send for Part {}

impl Part {
    fn of(slice: &mut [u64]) -> Self {
        Self(slice.as_mut_ptr(), slice.len())
    }

    fn split(self, at: usize) -> (Self, Self) {
        assert!(at <= self.1);
        // SAFETY: `at` is inside the slice, as just checked.
        (Self(self.0, at), Self(unsafe { self.0.add(at) }, self.1 - at))
    }

    /// # Safety
    /// Nobody else may use the slice during `'a`, and it must live that long.
    unsafe fn slice<'a>(self) -> &'a mut [u64] {
        // SAFETY: made of a slice; unique and alive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0, self.1) }
    }
}

/// # Safety
/// The two parts are this task's alone until the future has returned.
unsafe fn sort(data: Part, spare: Part) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if data.1 <= SORT_CUTOFF {
            // SAFETY: ours by the promise of the caller.
            return unsafe { work::merge_sort(data.slice(), spare.slice()) };
        }
        let middle = data.1 / 2;
        let ((left, right), (left_spare, right_spare)) = (data.split(middle), spare.split(middle));
        // SAFETY: the halves do not overlap, and we wait for both before
        // using the whole again.
        let left = tokio::spawn(unsafe { sort(left, left_spare) });
        // SAFETY: as above.
        unsafe { sort(right, right_spare) }.await;
        left.await.unwrap();
        // SAFETY: both halves have come back to us.
        unsafe { work::merge(data.slice(), spare.slice(), middle) }
    })
}
