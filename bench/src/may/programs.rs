//! Small whole programs.

use gort_bench::work::{self, SORT_CUTOFF};
use gort_bench::{Meter, Sample};
use may::{coroutine, go};

pub(crate) fn forkjoin_fib(n: u64) -> Sample {
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
    let (a, b) = (go!(move || fork(n - 1)), go!(move || fork(n - 2)));
    a.join().unwrap() + b.join().unwrap()
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
    coroutine::scope(|s| {
        go!(s, || sort(left, left_spare));
        sort(right, right_spare);
    });
    work::merge(data, spare, middle);
}
