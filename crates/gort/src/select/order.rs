//! In which order a select asks and in which it locks.
//!
//! It asks in random order, so that of several ready cases each is as likely as the others. It locks in the order of
//! addresses, each lock once: whoever locks several channels does so in the same order, so nobody waits in a circle.

use std::ptr;

use gort_core::env::{self, Rng};

use super::FEW;
use super::engine::Arm;

/// The chance of one select. It is a value of the select's own: it asks the thread for a seed once, if it has to draw at
/// all, and may then go from thread to thread with its goroutine.
pub(super) struct Chance(Option<Rng>);

impl Chance {
    pub(super) const fn new() -> Chance {
        Chance(None)
    }

    /// Draws the next of the not yet drawn: moves a random one of `order[at..]` to `at`, and says which it is.
    #[inline]
    pub(super) fn draw(&mut self, order: &mut [u16], at: usize) -> usize {
        let left = order.len() - at;
        if left > 1 {
            let rng = self.0.get_or_insert_with(|| Rng::new(env::random()));
            order.swap(at, at + rng.below(left as u32) as usize);
        }
        usize::from(order[at])
    }
}

/// Fills `order` with the cases that have a lock, one for each lock, in the order of the locks' addresses.
pub(super) fn by_lock<'o>(arms: &[Arm<'_>], order: &'o mut [u16]) -> &'o [u16] {
    let address = |case: u16| arms[usize::from(case)].lock_word().map(|lock| ptr::from_ref(lock).addr());
    if arms.len() > FEW {
        return by_lock_sorting(arms, order, address);
    }
    let mut len = 0;
    for case in 0..arms.len() as u16 {
        let here = address(case);
        let place = order[..len].iter().rposition(|&before| address(before) <= here).map_or(0, |at| at + 1);
        if here.is_none() || place > 0 && address(order[place - 1]) == here {
            continue;
        }
        order.copy_within(place..len, place + 1);
        order[place] = case;
        len += 1;
    }
    &order[..len]
}

/// The same for many cases, where inserting one by one would take long.
#[cold]
fn by_lock_sorting<'o>(
    arms: &[Arm<'_>],
    order: &'o mut [u16],
    address: impl Fn(u16) -> Option<usize>,
) -> &'o [u16] {
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
            let mut chance = Chance::new();
            let drawn: Vec<usize> = (0..4).map(|at| chance.draw(&mut order, at)).collect();
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
        for arms in [arms.to_vec(), arms.repeat(FEW)] {
            let mut order = vec![0; arms.len()];
            let locks = by_lock(&arms, &mut order);
            let addresses: Vec<usize> = locks
                .iter()
                .map(|&case| ptr::from_ref(arms[usize::from(case)].lock_word().unwrap()).addr())
                .collect();
            assert_eq!(addresses.len(), 2, "of {} cases", arms.len());
            assert!(addresses[0] < addresses[1]);
        }
    }
}
