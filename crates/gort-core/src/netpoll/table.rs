//! Where records live: in chunks of doubling size that are never given back and never move. A free record is the one that
//! was given back last, whose lines are warm.
//!
//! ```text
//!   chunk      0         1         2
//!   records    0..32     32..96    96..224   ...
//! ```

use std::{io, ptr};

use super::record::Record;
use crate::lock::Spin;
use crate::sys::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::sys::mem;

/// Records of the first chunk.
const FIRST: usize = 32;
/// Chunks: more records than a process can have descriptors (the kernel's limit is below 2^30).
const CHUNKS: usize = if cfg!(loom) { 1 } else { 26 };

/// The records.
pub(crate) struct Table {
    chunks: [AtomicPtr<Record>; CHUNKS],
    /// Records ever made: those with a lower index are there.
    made: AtomicU32,
    /// The first of the free ones, which are linked (`record::State`). The lock is also that of making one.
    free: Spin<Option<u32>>,
}

impl Table {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Table {
        Table {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            made: AtomicU32::new(0),
            free: Spin::new(None),
        }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Table {
        Table {
            chunks: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            made: AtomicU32::new(0),
            free: Spin::new(None),
        }
    }

    /// The record with this index, if there is one.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&'static Record> {
        // Acquire: pairs with the Release in `make`.
        if index >= self.made.load(Ordering::Acquire) {
            return None;
        }
        let (chunk, place) = place(index);
        // SAFETY: the record was made, in this place, and stays for ever (in a model: as long as the table).
        Some(unsafe { &*self.chunks[chunk].load(Ordering::Relaxed).add(place) })
    }

    /// A record for a new registration, and its sequence number.
    ///
    /// # Errors
    /// No memory.
    pub(crate) fn take(&self) -> io::Result<(&'static Record, u32)> {
        let mut free = self.free.lock();
        let index = match *free {
            Some(index) => index,
            None => self.make()?,
        };
        let record = self.at(index).expect("a record that was made is there");
        let (seq, next) = record.transition_to_used();
        *free = next;
        Ok((record, seq))
    }

    /// The registration has ended: events with its sequence number count no more.
    pub(crate) fn give_back(&self, record: &'static Record) {
        let mut free = self.free.lock();
        record.transition_to_free(*free);
        *free = Some(record.index());
    }

    /// Under the lock: makes one more record, which is in no list.
    fn make(&self) -> io::Result<u32> {
        let index = self.made.load(Ordering::Relaxed);
        let (chunk, at) = place(index);
        let Some(slot) = self.chunks.get(chunk) else { return Err(io::ErrorKind::OutOfMemory.into()) };
        if at == 0 {
            let first = mem::reserve((FIRST << chunk) * size_of::<Record>())?;
            slot.store(first.as_ptr().cast(), Ordering::Relaxed);
        }
        // SAFETY: the chunk is ours, has room for this place, and nobody looks there before `made` says so.
        unsafe { slot.load(Ordering::Relaxed).add(at).write(Record::new(index)) };
        // Release: pairs with the Acquire in `at`.
        self.made.store(index + 1, Ordering::Release);
        Ok(index)
    }
}

/// The chunk that holds a record, and the place in it.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let above = index as usize + FIRST;
    let chunk = (above.ilog2() - FIRST.ilog2()) as usize;
    (chunk, above - (FIRST << chunk))
}

#[cfg(loom)]
impl Drop for Table {
    /// The end of an execution of a model.
    fn drop(&mut self) {
        for (chunk, slot) in self.chunks.iter().enumerate() {
            let first = slot.load(Ordering::Relaxed);
            if !first.is_null() {
                // SAFETY: the mapping is ours, exactly this long; all threads of the model have ended.
                let _ = unsafe { rustix::mm::munmap(first.cast(), (FIRST << chunk) * size_of::<Record>()) };
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        let (chunk, at) = place(u32::MAX >> 2);
        assert!(chunk < CHUNKS && at < FIRST << chunk, "more descriptors than a process can have find room");
    }

    #[test]
    fn what_was_given_back_is_taken_again_under_another_number() {
        let table = Table::new();
        let taken: Vec<_> = (0..100).map(|_| table.take().expect("there is memory")).collect();
        for (index, (record, _)) in taken.iter().enumerate() {
            assert!(ptr::eq(table.at(index as u32).expect("it was made"), *record));
        }
        let (record, seq) = taken[40];
        table.give_back(record);
        let (again, next) = table.take().expect("there is memory");
        assert!(ptr::eq(record, again));
        assert_ne!(seq, next);
        assert_eq!(table.take().expect("there is memory").0.index(), 100);
    }

    #[test]
    fn what_was_never_made_is_not_there() {
        assert!(Table::new().at(0).is_none());
        assert!(Table::new().at(u32::MAX).is_none());
    }
}
