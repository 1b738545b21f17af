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
#[doc(hidden)]
pub struct Payload {
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

    /// The place for a value of `layout`. Allocates if there is none yet; there is no value now.
    ///
    /// The place moves with the `Payload`.
    #[inline]
    pub(super) fn reserve(&mut self, layout: Layout) -> *mut () {
        match self.place(layout) {
            Some(place) => place,
            None => self.reserve_heap(layout),
        }
    }

    /// The place for a value of `layout`, if it is there without allocating.
    #[inline]
    pub(super) fn place(&mut self, layout: Layout) -> Option<*mut ()> {
        if fits(layout, Layout::new::<Inline>()) {
            return Some(self.inline.as_mut_ptr().cast());
        }
        match self.heap {
            Some((memory, have)) if fits(layout, have) => Some(memory.as_ptr().cast()),
            _ => None,
        }
    }

    #[cold]
    fn reserve_heap(&mut self, layout: Layout) -> *mut () {
        let (mut size, mut align) = (layout.size(), layout.align());
        if let Some((_, have)) = self.heap {
            (size, align) = (size.max(have.size()), align.max(have.align()));
            self.free();
        }
        // A zero-sized value that is over-aligned gets a byte of its own.
        let wanted = Layout::from_size_align(size.max(1), align).expect("each part is in range");
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc::alloc(wanted) };
        let Some(memory) = NonNull::new(memory) else { alloc::handle_alloc_error(wanted) };
        self.heap = Some((memory, wanted));
        memory.as_ptr().cast()
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
            let place = payload.reserve(layout).cast::<u8>();
            assert_eq!(payload.place(layout), Some(place.cast()));
            assert_eq!(place.addr() % layout.align(), 0);
            // SAFETY: the place has this size.
            unsafe { place.write_bytes(0xa5, layout.size()) };
        }
        payload.reserve(wide);
        assert!(
            payload.place(large).is_some(),
            "what was reserved stays large enough for what was there before"
        );
    }
}
