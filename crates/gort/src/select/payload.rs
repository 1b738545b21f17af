//! Where a select puts the value that it receives, before anybody knows of which type it is.
//!
//! One place serves all cases, because one case is chosen. Small values lie in the select's own frame; for large or
//! over-aligned ones memory is fetched, before any lock is taken.

use std::alloc::{self, Layout};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

#[derive(Clone, Copy)]
#[repr(align(16))]
struct Inline(#[expect(dead_code, reason = "read and written through pointers")] [u8; 64]);

/// Room for one value. It does not know whether there is one.
pub(super) struct Payload {
    inline: MaybeUninit<Inline>,
    heap: Option<(NonNull<u8>, Layout)>,
}

fn fits(small: Layout, large: Layout) -> bool {
    small.size() <= large.size() && small.align() <= large.align()
}

impl Payload {
    pub(super) const fn new() -> Payload {
        Payload { inline: MaybeUninit::uninit(), heap: None }
    }

    /// Makes sure of room for `layout`. There is no value now. May allocate.
    #[inline]
    pub(super) fn reserve(&mut self, layout: Layout) {
        if !fits(layout, Layout::new::<Inline>()) {
            self.reserve_heap(layout);
        }
    }

    #[cold]
    fn reserve_heap(&mut self, layout: Layout) {
        let mut wanted = layout;
        if let Some((_, have)) = self.heap {
            if fits(layout, have) {
                return;
            }
            let align = layout.align().max(have.align());
            wanted = Layout::from_size_align(layout.size().max(have.size()), align).expect("as both parts are in range");
            self.free();
        }
        // SAFETY: what does not fit inline is not zero-sized, or is over-aligned: then a byte is asked for.
        let wanted = Layout::from_size_align(wanted.size().max(1), wanted.align()).expect("one byte is in range");
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc::alloc(wanted) };
        let Some(memory) = NonNull::new(memory) else { alloc::handle_alloc_error(wanted) };
        self.heap = Some((memory, wanted));
    }

    /// The place for a value of `layout`, which has been reserved. The place moves with the `Payload`.
    #[inline]
    pub(super) fn place(&mut self, layout: Layout) -> *mut () {
        if fits(layout, Layout::new::<Inline>()) {
            return self.inline.as_mut_ptr().cast();
        }
        match self.heap {
            Some((memory, have)) if fits(layout, have) => memory.as_ptr().cast(),
            _ => unreachable!("the place was reserved"),
        }
    }

    fn free(&mut self) {
        if let Some((memory, layout)) = self.heap.take() {
            // SAFETY: allocated with this layout in `reserve_heap`.
            unsafe { alloc::dealloc(memory.as_ptr(), layout) };
        }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.free();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_fits_whatever_was_reserved() {
        let mut payload = Payload::new();
        let small = Layout::new::<[u64; 8]>();
        let large = Layout::new::<[u8; 70_000]>();
        let wide = Layout::from_size_align(8, 256).unwrap();
        let empty_wide = Layout::from_size_align(0, 64).unwrap();
        for layout in [small, large, wide, empty_wide, small, large] {
            payload.reserve(layout);
            let place = payload.place(layout).cast::<u8>();
            assert_eq!(place.addr() % layout.align(), 0);
            // SAFETY: the place has this size.
            unsafe { place.write_bytes(0xa5, layout.size()) };
        }
        payload.reserve(wide);
        payload.place(large);
    }
}
