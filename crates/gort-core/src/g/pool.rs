//! Free goroutines, by stack class: taken for a new goroutine, put back when it has ended. Last in, first out: the stack
//! that was used last is the one whose page is warm.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::G;
use crate::lock::Spin;
use crate::stack::class::{self, Class};
use crate::stack::slab::{Plot, Plots, Slabs};
use crate::sys::mem::{PageDeque, PageVec};

/// A free `G`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Free(pub(crate) NonNull<G>);

// SAFETY: a free `G` belongs to the list that it is in, and lists move between threads.
unsafe impl Send for Free {}

/// All stacks of the process.
pub(crate) struct Pool {
    classes: [ClassPool; class::COUNT],
    gained: AtomicU64,
}

struct ClassPool {
    slabs: Slabs,
    /// The warmest is at the back. Dense pointers: taking one does not touch the next.
    free: Spin<PageDeque<Free>>,
}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool {
            classes: std::array::from_fn(|class| ClassPool {
                slabs: Slabs::new(class as Class),
                free: Spin::default(),
            }),
            gained: AtomicU64::new(0),
        }
    }

    /// How many free ones have come, ever: the same number twice says that there are no new ones.
    pub(crate) fn gained(&self) -> u64 {
        // Relaxed: nothing is read because of it; what the trimmer does not see yet it sees at a later look.
        self.gained.load(Ordering::Relaxed)
    }

    /// A free `G` of the class, used before or new.
    pub(crate) fn take(&self, class: Class) -> io::Result<NonNull<G>> {
        let pool = &self.classes[usize::from(class)];
        if let Some(Free(g)) = pool.free.lock().pop_back() {
            return Ok(g);
        }
        let plot = pool.slabs.take(1)?.next().expect("at least one plot was taken");
        Ok(seat(plot))
    }

    /// Plots that were never used, at least one: for a processor that keeps some at hand.
    pub(crate) fn take_plots(&self, class: Class, count: usize) -> io::Result<Plots> {
        self.classes[usize::from(class)].slabs.take(count)
    }

    /// Moves up to `count` free ones to `to`.
    pub(crate) fn refill(&self, class: Class, count: usize, to: &mut PageVec<Free>) {
        let mut free = self.classes[usize::from(class)].free.lock();
        for _ in 0..count {
            let Some(g) = free.pop_back() else { break };
            to.push(g);
        }
    }

    /// Puts a free one back.
    pub(crate) fn put(&self, g: NonNull<G>) {
        self.gained.fetch_add(1, Ordering::Relaxed);
        self.put_back(g);
    }

    /// As [`put`](Self::put), for one that was only looked at.
    pub(crate) fn put_back(&self, g: NonNull<G>) {
        // SAFETY: `G`s are never freed.
        let class = unsafe { g.as_ref() }.class;
        self.classes[usize::from(class)].free.lock().push_back(Free(g));
    }

    /// Puts the first `count` of `from` back, which are all of this class.
    pub(crate) fn put_many(&self, class: Class, from: &mut PageVec<Free>, count: usize) {
        self.gained.fetch_add(count as u64, Ordering::Relaxed);
        let mut free = self.classes[usize::from(class)].free.lock();
        from.drain_front(count, |g| free.push_back(g));
    }

    /// Takes the one that has been free the longest.
    pub(crate) fn take_coldest(&self, class: Class) -> Option<NonNull<G>> {
        self.classes[usize::from(class)].free.lock().pop_front().map(|Free(g)| g)
    }

    /// Every `G` there is, in use or not. One that is just being made may be missing or look idle.
    pub(crate) fn all(&self) -> impl Iterator<Item = NonNull<G>> {
        self.classes.iter().flat_map(|class| class.slabs.all()).map(place)
    }

    /// How many free ones of the class there are.
    pub(crate) fn free_count(&self, class: Class) -> usize {
        self.classes[usize::from(class)].free.lock().len()
    }
}

/// Where the `G` of a plot is: at the top, lowered by its colour.
///
/// All stacks have the same alignment. Without colours the hot lines of all goroutines would compete for the few cache
/// sets of one address modulo 4096.
fn place(plot: Plot) -> NonNull<G> {
    const COLOURS: usize = 16;
    const LINE: usize = 64;
    let index = plot.high / class::bytes_of(plot.class);
    let at = plot.high - size_of::<G>().next_multiple_of(LINE) - index % COLOURS * LINE;
    NonNull::new(std::ptr::with_exposed_provenance_mut(at)).expect("a plot is not at address zero")
}

/// Makes the `G` of a plot that was just taken.
pub(crate) fn seat(plot: Plot) -> NonNull<G> {
    let g = place(plot);
    // SAFETY: the plot is ours alone, zeroed, never unmapped; `place` is inside it and aligned.
    unsafe { G::seat(g, plot.low, plot.class) };
    g
}
