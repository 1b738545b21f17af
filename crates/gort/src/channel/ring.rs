//! The buffer of a channel: a ring of fixed size, or a chain of blocks that grows. Guarded by the channel's lock.
//!
//! ```text
//!   bounded     one block of `cap` slots, both ends wrap         [ . . v v v . . ]
//!                                                                     head   tail
//!   unbounded   blocks of a few dozen slots, linked                [ . . v v ]──►[ v v v . ]
//!                                                                      head              tail
//! ```
//! Both are the same code but for what happens at a block's end. The ring never allocates and never frees by itself,
//! because the caller holds a lock: it says that it [needs a block](Ring::needs_block) and is given one, and it hands
//! out the block that it is done with. A block that runs empty while it is the only one starts over, and one retired
//! block is kept, so that a steady flow allocates nothing.
//!
//! Zero-sized values need no memory and no blocks: their ring is one of endless size.
//!
//! Invariants:
//! 1. The slots from head to tail, in order, hold the values; all other slots hold nothing.
//! 2. In a growing ring `head == end` only if the ring is empty and has no block yet.
//! 3. Who pushes has made sure of room: `tail != end`, and in a bounded ring fewer than `end` values.

use std::alloc::{self, Layout};
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};

/// The buffer. It does not know how many values it holds; its channel does.
pub(super) struct Ring<T> {
    head_block: *mut Block<T>,
    tail_block: *mut Block<T>,
    head: usize,
    tail: usize,
    /// Slots of a block.
    end: usize,
    growing: bool,
    /// A block for the next need.
    spare: *mut Block<T>,
}

/// The head of a block; its slots follow at [`Block::SLOTS_AT`].
struct Block<T> {
    next: *mut Block<T>,
    _slots: [MaybeUninit<T>; 0],
}

/// A new block of a growing ring, or one that the ring is done with: memory without values.
pub(super) struct Spare<T>(NonNull<Block<T>>);

/// A capacity for which there is no memory.
#[derive(Debug)]
pub(super) struct OutOfRange;

impl<T> Block<T> {
    const SLOTS_AT: usize = mem::size_of::<Block<T>>();

    /// Slots of a growing ring's blocks: 2 KiB worth of them, within reason.
    const GROWING_SLOTS: usize = match mem::size_of::<T>() {
        0 => usize::MAX,
        size if size >= 1024 => 2,
        size if size <= 32 => 64,
        size => 2048 / size,
    };

    fn layout(slots: usize) -> Result<Layout, OutOfRange> {
        let values = Layout::array::<T>(slots).map_err(|_| OutOfRange)?;
        let (layout, at) = Layout::new::<Block<T>>().extend(values).map_err(|_| OutOfRange)?;
        debug_assert_eq!(at, Self::SLOTS_AT);
        Ok(layout.pad_to_align())
    }

    fn alloc(slots: usize) -> Result<NonNull<Block<T>>, OutOfRange> {
        let layout = Self::layout(slots)?;
        // SAFETY: a block is never of size zero, it has a link.
        let block = unsafe { alloc::alloc(layout) }.cast::<Block<T>>();
        let block = NonNull::new(block).ok_or(OutOfRange)?;
        // SAFETY: freshly allocated with room for the link.
        unsafe { (&raw mut (*block.as_ptr()).next).write(ptr::null_mut()) };
        Ok(block)
    }
}

impl<T> Spare<T> {
    /// A block for a growing ring. Allocates: never under a lock.
    pub(super) fn new() -> Spare<T> {
        match Block::alloc(Block::<T>::GROWING_SLOTS) {
            Ok(block) => Spare(block),
            Err(OutOfRange) => alloc::handle_alloc_error(Layout::new::<Block<T>>()),
        }
    }

    /// The memory and how it was allocated, for whoever frees it.
    pub(super) fn into_raw(self) -> (NonNull<u8>, Layout) {
        let layout =
            Block::<T>::layout(Block::<T>::GROWING_SLOTS).expect("it was allocated with this layout");
        let block = self.0.cast();
        mem::forget(self);
        (block, layout)
    }
}

impl<T> Drop for Spare<T> {
    fn drop(&mut self) {
        let layout =
            Block::<T>::layout(Block::<T>::GROWING_SLOTS).expect("it was allocated with this layout");
        // SAFETY: allocated by `Spare::new` with this layout, and nobody else has it.
        unsafe { alloc::dealloc(self.0.as_ptr().cast(), layout) };
    }
}

impl<T> Ring<T> {
    const ZERO_SIZED: bool = mem::size_of::<T>() == 0;

    /// A ring of `cap` slots, all there at once.
    pub(super) fn bounded(cap: usize) -> Result<Ring<T>, OutOfRange> {
        let block = if Self::ZERO_SIZED || cap == 0 { ptr::null_mut() } else { Block::alloc(cap)?.as_ptr() };
        Ok(Ring::with(block, cap, 0, false))
    }

    /// A ring that grows by blocks.
    pub(super) fn growing() -> Ring<T> {
        match Self::ZERO_SIZED {
            true => Ring::with(ptr::null_mut(), usize::MAX, 0, false),
            false => Ring::with(ptr::null_mut(), Block::<T>::GROWING_SLOTS, Block::<T>::GROWING_SLOTS, true),
        }
    }

    fn with(block: *mut Block<T>, end: usize, at: usize, growing: bool) -> Ring<T> {
        Ring {
            head_block: block,
            tail_block: block,
            head: at,
            tail: at,
            end,
            growing,
            spare: ptr::null_mut(),
        }
    }

    /// Whether a push must be preceded by [`Ring::give_block`].
    #[inline]
    pub(super) fn needs_block(&self) -> bool {
        self.tail == self.end
    }

    /// Uses the block that the ring has kept, if it has kept one.
    pub(super) fn reuse_block(&mut self) -> bool {
        let Some(block) = NonNull::new(mem::replace(&mut self.spare, ptr::null_mut())) else { return false };
        self.link(block);
        true
    }

    /// Gives the ring a block. It comes back if the ring needs none any more.
    pub(super) fn give_block(&mut self, block: Spare<T>) -> Option<Spare<T>> {
        if !(self.growing && self.needs_block()) {
            return self.keep(block);
        }
        self.link(block.0);
        mem::forget(block);
        None
    }

    fn link(&mut self, block: NonNull<Block<T>>) {
        debug_assert!(self.growing && self.needs_block());
        // SAFETY: the block is ours alone until it is linked.
        unsafe { (*block.as_ptr()).next = ptr::null_mut() };
        if self.tail_block.is_null() {
            self.head_block = block.as_ptr();
            self.head = 0;
        } else {
            // SAFETY: blocks of the chain are alive; the lock is held.
            unsafe { (*self.tail_block).next = block.as_ptr() };
        }
        self.tail_block = block.as_ptr();
        self.tail = 0;
    }

    fn keep(&mut self, block: Spare<T>) -> Option<Spare<T>> {
        if !self.spare.is_null() {
            return Some(block);
        }
        self.spare = block.0.as_ptr();
        mem::forget(block);
        None
    }

    /// Appends `*value`, moving it out.
    ///
    /// # Safety
    /// There is room (invariant 3), and `value` points to a value that the caller gives away.
    #[inline]
    pub(super) unsafe fn push(&mut self, value: *const T) {
        debug_assert!(!self.needs_block());
        // SAFETY: invariant 3: the slot at the tail exists and is empty.
        unsafe { slot(self.tail_block, self.tail).copy_from_nonoverlapping(value, 1) };
        self.tail += 1;
        if self.tail == self.end && !self.growing {
            self.tail = 0;
        }
    }

    /// Moves the first value to `out`. True if the head's block has come to its end: then [`Ring::next_block`] follows.
    ///
    /// # Safety
    /// The ring is not empty, and `out` may be written.
    #[inline]
    pub(super) unsafe fn pop(&mut self, out: *mut T) -> bool {
        // SAFETY: invariant 1: the slot at the head holds a value.
        unsafe {
            out.copy_from_nonoverlapping(self.first(), 1);
            self.pass_first()
        }
    }

    /// The first value, for who wants to move it out himself. [`Ring::pass_first`] follows.
    ///
    /// # Safety
    /// The ring is not empty.
    #[inline]
    pub(super) unsafe fn first(&self) -> *const T {
        slot(self.head_block, self.head)
    }

    /// Goes on behind the first value, which has been moved out. Answers like [`Ring::pop`].
    ///
    /// # Safety
    /// The ring is not empty.
    #[inline]
    pub(super) unsafe fn pass_first(&mut self) -> bool {
        self.head += 1;
        if self.head != self.end {
            return false;
        }
        if !self.growing {
            self.head = 0;
        }
        self.growing
    }

    /// Leaves a block whose last value has been popped. Gives out what is to be freed.
    pub(super) fn next_block(&mut self) -> Option<Spare<T>> {
        debug_assert!(self.growing && self.head == self.end);
        self.head = 0;
        let block = NonNull::new(self.head_block).expect("a value came out of a block");
        if self.head_block == self.tail_block {
            // Empty, and at the end: the block starts over.
            self.tail = 0;
            return None;
        }
        // SAFETY: alive; there are later blocks, so there is a link.
        self.head_block = unsafe { (*self.head_block).next };
        self.keep(Spare(block))
    }
}

/// Slot `at` of `block`.
#[inline]
fn slot<T>(block: *mut Block<T>, at: usize) -> *mut T {
    if mem::size_of::<T>() == 0 {
        return NonNull::dangling().as_ptr();
    }
    block.wrapping_byte_add(Block::<T>::SLOTS_AT).cast::<T>().wrapping_add(at)
}

impl<T> Drop for Ring<T> {
    /// Frees the blocks. The values have been taken out before, by whoever knows how many there are.
    fn drop(&mut self) {
        if self.growing {
            if let Some(spare) = NonNull::new(self.spare) {
                drop(Spare(spare));
            }
            let mut at = self.head_block;
            while let Some(block) = NonNull::new(at) {
                // SAFETY: a block of the chain, alive until the next line's drop.
                at = unsafe { block.as_ref() }.next;
                drop(Spare(block));
            }
        } else if let Some(block) = NonNull::new(self.head_block) {
            let layout = Block::<T>::layout(self.end).expect("it was allocated with this layout");
            // SAFETY: allocated by `bounded` with this layout.
            unsafe { alloc::dealloc(block.as_ptr().cast(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push<T>(ring: &mut Ring<T>, value: T) {
        if ring.needs_block() && !ring.reuse_block() {
            assert!(ring.give_block(Spare::new()).is_none());
        }
        let value = mem::ManuallyDrop::new(value);
        // SAFETY: room was made, or the test keeps within the bounds.
        unsafe { ring.push(&*value) };
    }

    fn pop<T>(ring: &mut Ring<T>) -> T {
        let mut out = MaybeUninit::uninit();
        // SAFETY: the tests pop what they pushed.
        unsafe {
            if ring.pop(out.as_mut_ptr()) {
                drop(ring.next_block());
            }
            out.assume_init()
        }
    }

    #[test]
    fn bounded_wraps() {
        let mut ring = Ring::bounded(3).unwrap();
        for round in 0..10 {
            push(&mut ring, round);
            push(&mut ring, round + 100);
            assert_eq!((pop(&mut ring), pop(&mut ring)), (round, round + 100));
        }
    }

    #[test]
    fn growing_keeps_order_over_many_blocks() {
        let mut ring = Ring::growing();
        for n in 0..1000 {
            push(&mut ring, Box::new(n));
        }
        for n in 0..500 {
            assert_eq!(*pop(&mut ring), n);
            push(&mut ring, Box::new(1000 + n));
        }
        for n in 500..1500 {
            assert_eq!(*pop(&mut ring), n);
        }
    }

    #[test]
    fn a_steady_flow_needs_no_new_block() {
        let mut ring = Ring::growing();
        push(&mut ring, 0u64);
        push(&mut ring, 1);
        let mut given = 0;
        for n in 2..1000 {
            if ring.needs_block() && !ring.reuse_block() {
                given += 1;
            }
            push(&mut ring, n);
            assert_eq!(pop(&mut ring), n - 2);
        }
        assert!(given <= 2, "{given} blocks");
        assert_eq!((pop(&mut ring), pop(&mut ring)), (998, 999));
    }

    #[test]
    fn zero_sized_and_over_aligned_values() {
        let mut ring = Ring::growing();
        for _ in 0..1000 {
            push(&mut ring, ());
        }
        for _ in 0..1000 {
            pop(&mut ring);
        }
        #[repr(align(128))]
        struct Wide(u8);
        for mut ring in [Ring::growing(), Ring::bounded(40).unwrap()] {
            for n in 0..40 {
                push(&mut ring, Wide(n));
            }
            for n in 0..40 {
                let value = pop(&mut ring);
                assert_eq!((value.0, (&raw const value).addr() % 128), (n, 0));
            }
        }
        assert!(Ring::<u64>::bounded(usize::MAX).is_err());
        assert!(Ring::<u64>::bounded(usize::MAX / 8 - 2).is_err());
    }
}
