//! Address space for stacks. A class reserves a lot of it at once (address space costs nothing), cuts it into slabs, and
//! a slab into plots. Guards are put under a whole slab at a time. Nothing is ever unmapped.
//!
//! ```text
//!   reservation  [ slab | slab | slab | not used yet ...           ]
//!   slab         [ plot | plot | plot | ... ]      guards installed when the slab is opened
//!   plot         [ guard | stack ............ | G ]
//! ```

use std::io;

use super::class::{self, Class};
use super::{GUARD_BYTES, guard};
use crate::lock::Spin;
use crate::sys::mem::{self, PageVec};

/// How much address space is asked for at once: the kernel may refuse (a limit on the process), then less and less.
const RESERVATION_BYTES: usize = 64 << 30;
/// Stacks of a slab, and an upper bound for its bytes.
pub(super) const SLAB_PLOTS: usize = 256;
const SLAB_BYTES: usize = 64 << 20;

/// A run of plots that were never used: `next..end`, step by step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plots {
    next: usize,
    end: usize,
    class: Class,
}

/// The place of one stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plot {
    /// The lowest address of the stack proper, above the guard.
    pub(crate) low: usize,
    /// One past the highest address.
    pub(crate) high: usize,
    pub(crate) class: Class,
}

/// The address space of one class.
#[derive(Debug)]
pub(crate) struct Slabs {
    class: Class,
    state: Spin<State>,
    /// Held while a reservation is made or guards are installed: system calls, too long for the short lock.
    opening: Spin<()>,
}

#[derive(Debug)]
struct State {
    /// Plots of opened slabs that nobody took yet.
    fresh: Plots,
    /// The rest of the reservation.
    reserved: std::ops::Range<usize>,
    /// Every slab ever opened, for walks over all goroutines.
    opened: PageVec<(usize, usize)>,
}

impl Plots {
    pub(crate) const fn none() -> Plots {
        Plots { next: 0, end: 0, class: 0 }
    }

    /// Splits off at most `count` plots from the front.
    fn split(&mut self, count: usize) -> Plots {
        let step = class::bytes_of(self.class);
        let at = self.next + ((self.end - self.next) / step).min(count) * step;
        let taken = Plots { next: self.next, end: at, class: self.class };
        self.next = at;
        taken
    }

    fn is_empty(&self) -> bool {
        self.next == self.end
    }
}

impl Iterator for Plots {
    type Item = Plot;

    fn next(&mut self) -> Option<Plot> {
        if self.is_empty() {
            return None;
        }
        let low = self.next;
        self.next += class::bytes_of(self.class);
        Some(Plot { low: low + GUARD_BYTES, high: self.next, class: self.class })
    }
}

impl Slabs {
    pub(crate) fn new(class: Class) -> Slabs {
        let fresh = Plots { next: 0, end: 0, class };
        Slabs {
            class,
            state: Spin::new(State { fresh, reserved: 0..0, opened: PageVec::new() }),
            opening: Spin::new(()),
        }
    }

    /// Takes up to `count` plots, at least one.
    ///
    /// # Errors
    /// The system has no more address space for this process.
    pub(crate) fn take(&self, count: usize) -> io::Result<Plots> {
        loop {
            let taken = self.state.lock().fresh.split(count);
            if !taken.is_empty() {
                return Ok(taken);
            }
            self.open_slab()?;
        }
    }

    /// All plots that may have been taken so far.
    pub(crate) fn all(&self) -> Vec<Plot> {
        loop {
            let slabs = self.state.lock().opened.len();
            let mut plots = Vec::with_capacity(slabs * SLAB_PLOTS);
            let state = self.state.lock();
            if state.opened.len() != slabs {
                continue; // the allocation above was outside the lock, and too small
            }
            for &(next, end) in state.opened.iter() {
                plots.extend(Plots { next, end, class: self.class });
            }
            plots.retain(|plot| !(state.fresh.next..state.fresh.end).contains(&(plot.low - GUARD_BYTES)));
            return plots;
        }
    }

    fn slab_bytes(&self) -> usize {
        let stack = class::bytes_of(self.class);
        (stack * SLAB_PLOTS).min(SLAB_BYTES).max(stack)
    }

    #[cold]
    fn open_slab(&self) -> io::Result<()> {
        let _one_at_a_time = self.opening.lock();
        if !self.state.lock().fresh.is_empty() {
            return Ok(()); // somebody was faster
        }
        let bytes = self.slab_bytes();
        let mut reserved = self.state.lock().reserved.clone();
        if reserved.len() < bytes {
            reserved = reserve(bytes)?;
        }
        let slab = Plots { next: reserved.start, end: reserved.start + bytes, class: self.class };
        let mut lows = [0; SLAB_PLOTS];
        let count = slab.zip(&mut lows).map(|(plot, low)| *low = plot.low - GUARD_BYTES).count();
        guard::install(&lows[..count]);
        let mut state = self.state.lock();
        state.reserved = reserved.start + bytes..reserved.end;
        state.opened.push((slab.next, slab.end));
        state.fresh = slab;
        Ok(())
    }
}

/// Address space for at least one slab, aligned so that slabs share page tables with nobody.
fn reserve(slab: usize) -> io::Result<std::ops::Range<usize>> {
    const TABLE: usize = 2 << 20; // what one page of page-table entries covers
    let mut bytes = RESERVATION_BYTES.max(slab);
    loop {
        match mem::reserve(bytes + TABLE) {
            Ok(at) => {
                mem::no_huge_pages(at, bytes + TABLE);
                let start = at.as_ptr().expose_provenance().next_multiple_of(TABLE);
                return Ok(start..start + bytes / slab * slab);
            }
            Err(error) if bytes == slab => {
                let text =
                    format!("gort: out of address space for goroutine stacks ({slab} bytes more): {error}");
                return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
            }
            Err(_) => bytes = (bytes / 2).max(slab),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn plots_are_disjoint_usable_and_counted() {
        let slabs = Slabs::new(class::for_bytes(class::DEFAULT_BYTES).unwrap());
        let mut plots: Vec<Plot> = (0..40).flat_map(|_| slabs.take(16).unwrap()).collect();
        assert_eq!(plots.len(), 640);
        assert_eq!(slabs.all().len(), 640);
        plots.sort_by_key(|plot| plot.low);
        assert!(plots.windows(2).all(|w| w[0].high + GUARD_BYTES <= w[1].low));
        for plot in &plots {
            let top = std::ptr::with_exposed_provenance_mut::<u64>(plot.high - 8);
            // SAFETY: the top word of a plot that this test owns.
            unsafe { top.write(plot.high as u64) };
        }
    }

    #[test]
    fn the_largest_class_can_be_had() {
        let slabs = Slabs::new(class::for_bytes(class::LARGEST).unwrap());
        let plot = slabs.take(16).unwrap().next().unwrap();
        assert_eq!(plot.high - plot.low + GUARD_BYTES, class::LARGEST);
    }
}
