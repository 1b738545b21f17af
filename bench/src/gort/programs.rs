//! Small whole programs.

use gort::channel::{Receiver, Sender};
use gort_bench::work::{self, SORT_CUTOFF, SievePlan, sum_below};
use gort_bench::{Meter, Sample};

pub(crate) fn skynet(n: u64) -> Sample {
    let leaves = work::skynet_leaves(n);
    let meter = Meter::start();
    let (tx, rx) = gort::chan(0);
    gort::go(move || node(tx, 0, leaves));
    let sum = rx.recv().unwrap();
    let sample = meter.stop(leaves);
    assert_eq!(sum, sum_below(leaves));
    sample
}

fn node(up: Sender<u64>, first: u64, leaves: u64) {
    if leaves == 1 {
        return up.send(first).unwrap();
    }
    let (tx, rx) = gort::chan(0);
    for i in 0..10 {
        let tx = tx.clone();
        gort::go(move || node(tx, first + i * (leaves / 10), leaves / 10));
    }
    let sum = (0..10).map(|_| rx.recv().unwrap()).sum();
    up.send(sum).unwrap();
}

pub(crate) fn sieve(primes: u64) -> Sample {
    let plan = SievePlan::new(primes);
    let last = plan.last;
    let meter = Meter::start();
    let (tx, mut input) = gort::chan(0);
    gort::go(move || {
        for i in 2..=last {
            tx.send(i).unwrap();
        }
    });
    let mut prime = 0;
    for _ in 0..primes {
        prime = input.recv().unwrap();
        let (tx, output) = gort::chan(0);
        gort::go(move || filter(prime, input, tx));
        input = output;
    }
    assert!(input.recv().is_err());
    let sample = meter.stop(plan.messages);
    assert_eq!(prime, last);
    sample
}

fn filter(prime: u64, input: Receiver<u64>, output: Sender<u64>) {
    for i in &input {
        if i % prime != 0 {
            output.send(i).unwrap();
        }
    }
}

pub(crate) fn forkjoin_fib(n: u64) -> Sample {
    trees(n, fork)
}

pub(crate) fn forkjoin_fib_scope(n: u64) -> Sample {
    trees(n, fork_scope)
}

fn trees(n: u64, fork: fn(u64) -> u64) -> Sample {
    let tasks = work::fib_tasks(work::FIB_TOP);
    let rounds = (n / tasks).max(1);
    let want = work::fib(work::FIB_TOP);
    let meter = Meter::start();
    let sum: u64 = (0..rounds).map(|_| fork(work::FIB_TOP)).sum();
    let sample = meter.stop(rounds * tasks);
    assert_eq!(sum, rounds * want);
    sample
}

fn fork(n: u64) -> u64 {
    if n < work::FIB_CUTOFF {
        return work::fib(n);
    }
    let (a, b) = (gort::go(move || fork(n - 1)), gort::go(move || fork(n - 2)));
    a.join().unwrap() + b.join().unwrap()
}

fn fork_scope(n: u64) -> u64 {
    if n < work::FIB_CUTOFF {
        return work::fib(n);
    }
    let (mut a, mut b) = (0, 0);
    gort::scope(|s| {
        s.go(|| a = fork_scope(n - 1));
        s.go(|| b = fork_scope(n - 2));
    });
    a + b
}

pub(crate) fn parallel_sort(n: u64) -> Sample {
    let mut data = work::numbers(n);
    let sum = work::checksum(&data);
    let mut spare = vec![0; data.len()];
    let meter = Meter::start();
    sort(&mut data, &mut spare);
    let sample = meter.stop(n);
    work::check_sorted(&data, sum);
    sample
}

fn sort(data: &mut [u64], spare: &mut [u64]) {
    if data.len() <= SORT_CUTOFF {
        return work::merge_sort(data, spare);
    }
    let middle = data.len() / 2;
    let (left, right) = data.split_at_mut(middle);
    let (left_spare, right_spare) = spare.split_at_mut(middle);
    gort::scope(|s| {
        s.go(|| sort(left, left_spare));
        sort(right, right_spare);
    });
    work::merge(data, spare, middle);
}
