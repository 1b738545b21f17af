//! What former dumps have resolved, kept for the next one.
//!
//! To resolve an address for the first time takes a symbol table, which takes milliseconds to read (tens of them in a
//! build without optimisation), and nearly all addresses of a dump were in the one before. Loaded code does not change;
//! so what was found out about an address holds until a module is loaded or unloaded, which the loader counts.
//!
//! A dump takes all that is known and gives it back, with what it has added, at its end. Meanwhile nothing is locked; a
//! dump that is made beside it starts with nothing.
//!
//! Bounded: at most [`MOST`] addresses are kept, a megabyte or two; who brings back more brings back nothing. The tables
//! themselves, which are as long as the program's list of functions, are not kept.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, TryLockError};

use super::modules::Changes;
use super::symbol::Resolved;
use super::unwind::Pc;

/// How many addresses are kept.
const MOST: usize = 4096;

/// What is known about addresses.
pub(super) type Resolutions = HashMap<Pc, Arc<Resolved>>;

static KNOWN: Mutex<Known> = Mutex::new(Known { changes: Changes::NONE, resolved: None });

/// Takes what is known of the modules that are loaded after these `changes`.
pub(super) fn take(changes: Changes) -> Resolutions {
    // Not `lock`: a dump is made in whatever state the process is, and can do without.
    let taken = match KNOWN.try_lock() {
        Ok(mut known) => known.take(changes),
        Err(TryLockError::Poisoned(known)) => known.into_inner().take(changes),
        Err(TryLockError::WouldBlock) => Taken::default(),
    };
    if taken.stale {
        // It would go on looking for new modules' names in the old ones.
        backtrace::clear_symbol_cache();
    }
    taken.resolved
}

/// Gives back what is known of the modules that were loaded after these `changes`.
pub(super) fn give_back(changes: Changes, resolved: Resolutions) {
    let surplus = match KNOWN.try_lock() {
        Ok(mut known) => known.give_back(changes, resolved),
        Err(TryLockError::Poisoned(known)) => known.into_inner().give_back(changes, resolved),
        Err(TryLockError::WouldBlock) => resolved,
    };
    drop(surplus);
}

struct Known {
    changes: Changes,
    resolved: Option<Resolutions>,
}

#[derive(Default)]
struct Taken {
    resolved: Resolutions,
    /// There was something, and it was of other modules.
    stale: bool,
}

impl Known {
    fn take(&mut self, changes: Changes) -> Taken {
        let stale = self.changes != changes && self.changes != Changes::NONE;
        self.changes = self.changes.max(changes);
        match self.resolved.take() {
            Some(resolved) if !stale => Taken { resolved, stale },
            _ => Taken { resolved: Resolutions::new(), stale },
        }
    }

    /// Keeps the larger of what it has and what it gets, if both are of the modules that are loaded now. Returns the rest.
    fn give_back(&mut self, changes: Changes, mut resolved: Resolutions) -> Resolutions {
        let known = self.resolved.get_or_insert_default();
        if changes == self.changes && resolved.len() <= MOST && resolved.len() > known.len() {
            mem::swap(known, &mut resolved);
        }
        resolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolutions(addrs: impl IntoIterator<Item = usize>) -> Resolutions {
        let of = |addr| Arc::new(Resolved { calls: Box::new([]), offset: None, addr });
        addrs.into_iter().map(|addr| (Pc::exact(addr), of(addr))).collect()
    }

    fn nothing() -> Known {
        Known { changes: Changes::NONE, resolved: None }
    }

    #[test]
    fn what_is_given_back_is_there_the_next_time() {
        let (mut known, now) = (nothing(), Changes { loads: 7, unloads: 1 });
        let first = known.take(now);
        assert!(first.resolved.is_empty() && !first.stale);
        assert!(known.give_back(now, resolutions(1..=3)).is_empty());
        let second = known.take(now);
        assert_eq!((second.resolved.len(), second.stale), (3, false));
        assert!(known.take(now).resolved.is_empty(), "another dump has it");
        assert!(known.give_back(now, second.resolved).is_empty());
        assert_eq!(known.give_back(now, resolutions(1..=2)).len(), 2, "more is known already");
        assert_eq!(known.take(now).resolved.len(), 3);
    }

    #[test]
    fn what_is_known_of_other_modules_is_forgotten() {
        let mut known = nothing();
        let (before, after) = (Changes { loads: 7, unloads: 1 }, Changes { loads: 8, unloads: 1 });
        let slow = known.take(before);
        known.give_back(before, resolutions(1..=3));
        let taken = known.take(after);
        assert!(taken.resolved.is_empty() && taken.stale);
        known.give_back(before, slow.resolved);
        known.give_back(before, resolutions(1..=3));
        let taken = known.take(after);
        assert!(taken.resolved.is_empty() && !taken.stale);
    }

    #[test]
    fn too_much_is_not_kept() {
        let (mut known, now) = (nothing(), Changes { loads: 7, unloads: 0 });
        known.take(now);
        assert_eq!(known.give_back(now, resolutions(0..MOST + 1)).len(), MOST + 1);
        assert!(known.take(now).resolved.is_empty());
        known.give_back(now, resolutions(0..MOST));
        assert_eq!(known.take(now).resolved.len(), MOST);
    }
}
