//! What is known about places: one word for each, in a table of fixed size that only fills up.
//!
//! A place is a hash of where a goroutine stood and which words on its stack were suspect. Its word is the hash with the
//! state in the lowest bits:
//! ```text
//!   0 (empty) ──look_up──► PENDING ──settle──► INNOCENT or GUILTY
//! ```
//! Whoever makes a place pending reports it. For others it counts as guilty meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

const PENDING: u64 = 1;
const INNOCENT: u64 = 2;
const GUILTY: u64 = 3;
const STATE: u64 = 3;

/// More places than this are not told apart: what is beyond is taken for innocent.
const SIZE: usize = 1024;

static TABLE: [AtomicU64; SIZE] = [const { AtomicU64::new(0) }; SIZE];

/// What the table says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing so far: the caller has to [`settle`] it.
    New,
    Innocent,
    Guilty,
}

pub(super) fn look_up(place: u64) -> Known {
    let hash = place & !STATE;
    for slot in slots(hash) {
        let word = match slot.load(Ordering::Relaxed) {
            // Relaxed throughout: the words are all there is to know.
            0 => match slot.compare_exchange(0, hash | PENDING, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Known::New,
                Err(word) => word,
            },
            word => word,
        };
        if word & !STATE == hash {
            return if word & STATE == INNOCENT { Known::Innocent } else { Known::Guilty };
        }
    }
    Known::Innocent
}

/// The verdict on a place that [`look_up`] called new.
pub(super) fn settle(place: u64, guilty: bool) {
    let hash = place & !STATE;
    if let Some(slot) = slots(hash).find(|slot| slot.load(Ordering::Relaxed) & !STATE == hash) {
        slot.store(hash | if guilty { GUILTY } else { INNOCENT }, Ordering::Relaxed);
    }
}

/// The slots in which a place may be, in order.
fn slots(hash: u64) -> impl Iterator<Item = &'static AtomicU64> {
    const PROBES: usize = 32;
    let first = (hash >> 32) as usize;
    (first..first + PROBES).map(|at| &TABLE[at % SIZE])
}

#[cfg(test)]
mod tests {
    use super::{Known, look_up, settle};

    #[test]
    fn a_place_is_new_once_and_keeps_its_verdict() {
        let (innocent, guilty) = (0x1234_5678_9abc_def0, 0x1234_5678_9abc_def4);
        assert_eq!(look_up(innocent), Known::New);
        assert_eq!(look_up(innocent), Known::Guilty, "as long as somebody looks at it");
        settle(innocent, false);
        assert_eq!(look_up(innocent), Known::Innocent);
        assert_eq!(look_up(guilty), Known::New, "the same slot, another place");
        settle(guilty, true);
        assert_eq!((look_up(guilty), look_up(innocent)), (Known::Guilty, Known::Innocent));
    }
}
