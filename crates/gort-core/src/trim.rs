//! Gives the memory of idle stacks back to the system: everything below the page that holds the `G`.
//!
//! Only stacks that have lain in a global free list for a full period are trimmed, so that a program in full swing does
//! not lose pages that it is about to use again.

use std::ptr::NonNull;
use std::time::Duration;

use crate::env::Moment;
use crate::g::{Age, G};
use crate::sched::Runtime;
use crate::stack::{class, guard};
use crate::sys::mem::PAGE;

const PERIOD: Duration = Duration::from_secs(2);
const BATCH: usize = 256;

/// The trimmer; part of the monitor.
pub(crate) struct Trimmer {
    rt: &'static Runtime,
    next: Moment,
    /// Goroutines that had come to the pool when it last looked: without new ones there is nothing new to trim.
    seen: u64,
    pending: bool,
}

impl Trimmer {
    pub(crate) fn new(rt: &'static Runtime) -> Trimmer {
        Trimmer { rt, next: Moment::after(PERIOD), seen: 0, pending: false }
    }

    /// Whether stacks are waiting to become old.
    pub(crate) fn has_work(&self) -> bool {
        self.pending || self.seen != self.rt.pool.gained()
    }

    pub(crate) fn look(&mut self, now: Moment) {
        if now < self.next || !self.has_work() {
            return;
        }
        self.next = now.plus(PERIOD);
        self.seen = self.rt.pool.gained();
        self.pending = false;
        for class in 0..class::COUNT as class::Class {
            self.trim_class(class);
        }
    }

    /// Batch by batch, so that whoever starts goroutines meanwhile still finds free ones.
    fn trim_class(&mut self, class: class::Class) {
        let mut left = self.rt.pool.free_count(class);
        while left > 0 {
            let mut batch: [Option<NonNull<G>>; BATCH] = [None; BATCH];
            let wanted = left.min(BATCH);
            batch.iter_mut().take(wanted).for_each(|slot| *slot = self.rt.pool.take_coldest(class));
            left -= wanted;
            self.pending |= age(&batch);
            // They have just been looked at in the order of their coldness; the others come next.
            batch.iter().flatten().for_each(|&g| self.rt.pool.put_back(g));
        }
    }
}

/// Makes each a step older; the old ones lose their memory. True if some are not trimmed yet.
fn age(batch: &[Option<NonNull<G>>]) -> bool {
    let mut ranges = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut count = 0;
    let mut young = false;
    for g in batch.iter().flatten() {
        // SAFETY: goroutines are never freed.
        let g = unsafe { g.as_ref() };
        match g.age.get() {
            Age::Young => {
                g.age.set(Age::Old);
                young = true;
            }
            Age::Old => {
                let stack = g.own_stack();
                let end = stack.end & !(PAGE - 1);
                ranges[count] = libc::iovec {
                    iov_base: std::ptr::with_exposed_provenance_mut(stack.start),
                    iov_len: end.saturating_sub(stack.start),
                };
                count += 1;
                g.age.set(Age::Trimmed);
            }
            Age::Trimmed => {}
        }
    }
    guard::advise_all(&ranges[..count], libc::MADV_DONTNEED);
    young
}
