//! Small whole programs.

use gort_bench::work::{self, SORT_CUTOFF};
use gort_bench::{Meter, Sample};
use std::thread;

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
    thread::scope(|s| {
        s.spawn(|| sort(left, left_spare));
        sort(right, right_spare);
    });
    work::merge(data, spare, middle);
}
