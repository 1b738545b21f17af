//! The arithmetic inside the tasks, one copy for all Rust peers. The Go
//! program has the same functions, line by line.

use crate::Sample;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// `0 + 1 + .. + (n - 1)`: what receivers of `0..n` must have summed up.
pub fn sum_below(n: u64) -> u64 {
    n * n.saturating_sub(1) / 2
}

/// How many of `n` operations the `i`-th of `k` workers does.
pub fn share(n: u64, k: u64, i: u64) -> u64 {
    n / k + u64::from(i < n % k)
}

/// Below this argument `fib` is computed in place.
pub const FIB_CUTOFF: u64 = 12;
/// The argument of one fork-join tree.
pub const FIB_TOP: u64 = 27;

/// Fibonacci the slow way.
pub fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// Tasks that a fork-join tree of `fib(n)` spawns: two for every call from
/// the cut-off up.
pub fn fib_tasks(n: u64) -> u64 {
    if n < FIB_CUTOFF { 0 } else { 2 + fib_tasks(n - 1) + fib_tasks(n - 2) }
}

/// Below this length `parallel_sort` spawns nothing.
pub const SORT_CUTOFF: usize = 16_384;

/// A merge sort that no library has tuned, so that all languages run the same one.
pub fn merge_sort(data: &mut [u64], spare: &mut [u64]) {
    if data.len() <= 16 {
        return insertion_sort(data);
    }
    let middle = data.len() / 2;
    let (left, right) = data.split_at_mut(middle);
    let (left_spare, right_spare) = spare.split_at_mut(middle);
    merge_sort(left, left_spare);
    merge_sort(right, right_spare);
    merge(data, spare, middle);
}

/// Merges the two sorted halves of `data`, by way of `spare`.
pub fn merge(data: &mut [u64], spare: &mut [u64], middle: usize) {
    let (mut i, mut j) = (0, middle);
    for slot in spare.iter_mut() {
        if j >= data.len() || (i < middle && data[i] <= data[j]) {
            *slot = data[i];
            i += 1;
        } else {
            *slot = data[j];
            j += 1;
        }
    }
    data.copy_from_slice(spare);
}

fn insertion_sort(data: &mut [u64]) {
    for i in 1..data.len() {
        let value = data[i];
        let mut j = i;
        while j > 0 && data[j - 1] > value {
            data[j] = data[j - 1];
            j -= 1;
        }
        data[j] = value;
    }
}

/// `n` numbers that look random, the same in every run (splitmix64).
pub fn numbers(n: u64) -> Vec<u64> {
    (0..n).map(mixed).collect()
}

/// The `i`-th of those numbers.
pub fn mixed(i: u64) -> u64 {
    let mut z = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Panics unless `data` is sorted and sums up to what the unsorted numbers did.
pub fn check_sorted(data: &[u64], sum: u64) {
    assert!(data.is_sorted(), "the result is not sorted");
    assert_eq!(checksum(data), sum, "the sort lost a number");
}

/// The wrapping sum of all numbers.
pub fn checksum(data: &[u64]) -> u64 {
    data.iter().fold(0, |sum: u64, n| sum.wrapping_add(*n))
}

/// What a sieve of `primes` primes must see.
pub struct SievePlan {
    /// The last prime; the generator stops there.
    pub last: u64,
    /// Messages that all channels of the chain carry together.
    pub messages: u64,
}

impl SievePlan {
    /// A number passes one channel for each prime up to its smallest factor.
    pub fn new(primes: u64) -> Self {
        let mut found: Vec<u64> = Vec::new();
        let (mut number, mut messages) = (1, 0);
        while (found.len() as u64) < primes {
            number += 1;
            let factor = found.iter().position(|p| number % p == 0);
            messages += match factor {
                Some(index) => index as u64 + 1,
                None => {
                    found.push(number);
                    found.len() as u64
                }
            };
        }
        Self { last: number, messages }
    }
}

/// How many leaves the tree of `skynet` has: the largest power of ten that is
/// not above `size`.
pub fn skynet_leaves(size: u64) -> u64 {
    std::iter::successors(Some(1), |n| Some(n * 10)).take_while(|n| *n <= size).last().unwrap_or(1)
}

/// The longest sleep of `timers_sleep`.
pub const LONGEST_SLEEP_US: u64 = 500_000;

/// How long the `i`-th sleeper sleeps.
pub fn sleep_of(i: u64) -> Duration {
    Duration::from_micros(mixed(i) % LONGEST_SLEEP_US)
}

/// How late the sleepers of `timers_sleep` woke up, one slot each.
///
/// Only the steady part counts: sleepers due at least [`Lateness::SETTLE`]
/// after the last of them was spawned, when nothing but timers is going on.
pub struct Lateness {
    origin: Instant,
    /// Due time in µs after the origin (high half), lateness in ns (low half).
    slots: Vec<AtomicU64>,
}

impl Lateness {
    const SETTLE: Duration = Duration::from_millis(20);

    /// Slots for `sleepers`.
    pub fn new(sleepers: u64) -> Self {
        Self { origin: Instant::now(), slots: (0..sleepers).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The `i`-th sleeper, which wanted to wake at `due`, has woken.
    pub fn woke(&self, i: u64, due: Instant) {
        let late = Instant::now().saturating_duration_since(due).as_nanos().min(u128::from(u32::MAX)) as u64;
        let due = due.saturating_duration_since(self.origin).as_micros() as u64;
        self.slots[i as usize].store(due << 32 | late, Relaxed);
    }

    /// Checks that all have woken, and adds the median and the 99th
    /// percentile, in µs, to the sample.
    pub fn add_to(&self, sample: Sample, all_spawned: Instant) -> Sample {
        let slots: Vec<u64> = self.slots.iter().map(|slot| slot.load(Relaxed)).collect();
        assert!(slots.iter().all(|slot| *slot != 0), "a sleeper did not wake");
        let settled = (all_spawned + Self::SETTLE).saturating_duration_since(self.origin).as_micros() as u64;
        let steady = slots.iter().filter(|slot| **slot >> 32 >= settled);
        let mut late_us: Vec<f64> = steady.map(|slot| (*slot as u32) as f64 / 1000.0).collect();
        if late_us.is_empty() {
            return sample;
        }
        late_us.sort_by(f64::total_cmp);
        sample.and("late_p50_us", percentile(&late_us, 0.5)).and("late_p99_us", percentile(&late_us, 0.99))
    }
}

/// The value below which `share` of the sorted figures lie. There must be one.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}
