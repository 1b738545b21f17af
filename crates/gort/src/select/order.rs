//! In which order a select asks and in which it locks.
//!
//! It asks in random order, so that of several ready cases each is as likely as the others. It locks in the order of
//! addresses, each lock once: whoever locks several channels does so in the same order, so nobody waits in a circle.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use gort_core::env::{Moment, Rng};

use super::engine::Arm;

/// Draws the next of the not yet drawn: moves a random one of `order[at..]` to `at`, and says which it is.
#[inline]
pub(super) fn draw(order: &mut [u16], at: usize) -> usize {
    let left = order.len() - at;
    if left > 1 {
        order.swap(at, at + below(left as u32) as usize);
    }
    usize::from(order[at])
}

/// A random number in `0..n`.
///
/// Not inlined: a goroutine may go on in another thread after it has parked, and nothing that belongs to the thread may
/// be remembered across that.
#[inline(never)]
fn below(n: u32) -> u32 {
    thread_local! {
        static CHANCE: Rng = Rng::new(seed());
    }
    CHANCE.with(|rng| rng.below(n))
}

/// A seed that differs from thread to thread and from run to run.
fn seed() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(1);
    let thread = THREADS.fetch_add(1, Ordering::Relaxed);
    (Moment::now().as_nanos() ^ thread.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Fills `order` with the cases that have a lock, one for each lock, in the order of the locks' addresses.
pub(super) fn by_lock<'o>(arms: &[Arm<'_>], order: &'o mut [u16]) -> &'o [u16] {
    let address = |case: u16| arms[usize::from(case)].lock_word().map(|lock| ptr::from_ref(lock).addr());
    let mut len = 0;
    for case in 0..arms.len() {
        let case = case as u16;
        if address(case).is_some() {
            order[len] = case;
            len += 1;
        }
    }
    let order = &mut order[..len];
    order.sort_unstable_by_key(|&case| address(case));
    let mut kept = 0;
    for at in 0..len {
        if kept == 0 || address(order[at]) != address(order[kept - 1]) {
            order[kept] = order[at];
            kept += 1;
        }
    }
    &order[..kept]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{bounded, never};

    #[test]
    fn draws_are_uniform_permutations() {
        let mut seen = std::collections::HashMap::new();
        for _ in 0..24_000 {
            let mut order = [0, 1, 2, 3];
            let drawn: Vec<usize> = (0..4).map(|at| draw(&mut order, at)).collect();
            *seen.entry(drawn).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 24, "all permutations come up");
        assert!(seen.values().all(|&n| (700..1300).contains(&n)), "{seen:?}");
    }

    #[test]
    fn each_lock_once_in_address_order() {
        let (tx, rx) = bounded::<u8>(1);
        let (tx2, rx2) = bounded::<u8>(1);
        let nil = never::<u8>();
        let arms = [
            Arm::recv(&rx2),
            Arm::recv(&rx),
            Arm::recv(&nil),
            Arm::send(&tx),
            Arm::send(&tx2),
            Arm::recv(&rx),
        ];
        let mut order = [0; 6];
        let locks = by_lock(&arms, &mut order);
        let addresses: Vec<usize> =
            locks.iter().map(|&c| ptr::from_ref(arms[usize::from(c)].lock_word().unwrap()).addr()).collect();
        assert_eq!(addresses.len(), 2);
        assert!(addresses[0] < addresses[1]);
    }
}
