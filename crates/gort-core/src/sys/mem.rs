//! Memory that does not come from malloc: reservations of address space, and an array that grows by remapping. The
//! scheduler may not use malloc, because a goroutine that is frozen in the middle of it would hold its lock.

use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

/// The size of a page. (Larger pages work too: everything here is rounded to what the kernel wants.)
pub(crate) const PAGE: usize = 4096;

/// Reserves `bytes` of zeroed, readable and writable memory of which nothing is resident or accounted yet.
pub(crate) fn reserve(bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice disturbs nothing.
    let at = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK,
        )
    }?;
    NonNull::new(at.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}

/// Keeps transparent huge pages away from `at..at + bytes`: one touched stack must not cost 2 MiB.
pub(crate) fn no_huge_pages(at: NonNull<u8>, bytes: usize) {
    // SAFETY: advice on our own mapping; a kernel without huge pages refuses it, which is as good.
    let _ = unsafe { rustix::mm::madvise(at.as_ptr().cast(), bytes, rustix::mm::Advice::LinuxNoHugepage) };
}

/// A growing array of plain values on pages of its own.
#[derive(Debug)]
pub(crate) struct PageVec<T> {
    at: *mut T,
    len: usize,
    cap: usize,
}

// SAFETY: the array owns its pages; `T` decides.
unsafe impl<T: Send> Send for PageVec<T> {}

impl<T: Copy> PageVec<T> {
    pub(crate) const fn new() -> PageVec<T> {
        PageVec { at: ptr::null_mut(), len: 0, cap: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        if self.len == self.cap {
            self.grow();
        }
        // SAFETY: len < cap, and the pages hold cap values.
        unsafe { self.at.add(self.len).write(value) };
        self.len += 1;
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the old len was within the initialised part.
        Some(unsafe { self.at.add(self.len).read() })
    }

    /// Takes the first `count` values out, in order; the rest moves up.
    pub(crate) fn drain_front(&mut self, count: usize, sink: impl FnMut(T)) {
        let count = count.min(self.len);
        self[..count].iter().copied().for_each(sink);
        self.copy_within(count.., 0);
        self.len -= count;
    }

    #[cold]
    fn grow(&mut self) {
        let old_bytes = self.cap * size_of::<T>();
        let bytes = (old_bytes * 2).max(PAGE);
        let at = if self.cap == 0 {
            reserve(bytes).map(|at| at.as_ptr().cast())
        } else {
            // SAFETY: the mapping is ours, exactly this long, and no reference into it is alive (`&mut self`).
            unsafe { mremap(self.at.cast(), old_bytes, bytes, MremapFlags::MAYMOVE) }.map_err(io::Error::from)
        };
        match at {
            Ok(at) => {
                self.at = at.cast();
                self.cap = bytes / size_of::<T>();
            }
            Err(error) => super::throw(format_args!(
                "out of memory: cannot grow a runtime table to {bytes} bytes: {error}"
            )),
        }
    }
}

impl<T> std::ops::Deref for PageVec<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        if self.at.is_null() {
            return &[];
        }
        // SAFETY: the first `len` values are initialised and ours.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }
}

impl<T> std::ops::DerefMut for PageVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        if self.at.is_null() {
            return &mut [];
        }
        // SAFETY: as above; borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
    }
}

impl<T> Drop for PageVec<T> {
    fn drop(&mut self) {
        if !self.at.is_null() {
            // SAFETY: the mapping is ours and nobody can reach it any more.
            let _ = unsafe { munmap(self.at.cast(), self.cap * size_of::<T>()) };
        }
    }
}

/// A growing double-ended queue of plain values on pages of its own.
#[derive(Debug)]
pub(crate) struct PageDeque<T> {
    at: *mut T,
    /// Where the first value is; `at[(first + i) % cap]` is value `i`.
    first: usize,
    len: usize,
    /// A power of two, or 0.
    cap: usize,
}

// SAFETY: the queue owns its pages; `T` decides.
unsafe impl<T: Send> Send for PageDeque<T> {}

impl<T> Default for PageDeque<T> {
    fn default() -> PageDeque<T> {
        PageDeque { at: ptr::null_mut(), first: 0, len: 0, cap: 0 }
    }
}

impl<T: Copy> PageDeque<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn push_back(&mut self, value: T) {
        self.make_room();
        let at = self.index(self.len);
        // SAFETY: `index` is below cap, and there is room.
        unsafe { self.at.add(at).write(value) };
        self.len += 1;
    }

    #[inline]
    pub(crate) fn push_front(&mut self, value: T) {
        self.make_room();
        self.first = self.index(self.cap - 1);
        // SAFETY: as in `push_back`.
        unsafe { self.at.add(self.first).write(value) };
        self.len += 1;
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let len = self.len.checked_sub(1)?;
        // SAFETY: the queue is not empty, so its first value is initialised.
        let value = unsafe { self.at.add(self.first).read() };
        self.first = self.index(1);
        self.len = len;
        Some(value)
    }

    #[inline]
    pub(crate) fn pop_back(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: this was the last value.
        Some(unsafe { self.at.add(self.index(self.len)).read() })
    }

    #[inline]
    fn index(&self, offset: usize) -> usize {
        (self.first + offset) & (self.cap - 1)
    }

    #[inline]
    fn make_room(&mut self) {
        if self.len == self.cap {
            self.grow();
        }
    }

    /// Twice the pages. The values are put in order, so that the new half is free.
    #[cold]
    fn grow(&mut self) {
        let mut larger = PageDeque {
            cap: (self.cap * 2).max(PAGE / size_of::<T>().next_power_of_two()),
            ..Self::default()
        };
        let bytes = larger.cap * size_of::<T>();
        match reserve(bytes) {
            Ok(at) => larger.at = at.as_ptr().cast(),
            Err(error) => super::throw(format_args!(
                "out of memory: cannot grow a runtime queue to {bytes} bytes: {error}"
            )),
        }
        while let Some(value) = self.pop_front() {
            // SAFETY: the new pages hold more values than there are.
            unsafe { larger.at.add(larger.len).write(value) };
            larger.len += 1;
        }
        *self = larger;
    }
}

impl<T> Drop for PageDeque<T> {
    fn drop(&mut self) {
        if !self.at.is_null() {
            // SAFETY: the mapping is ours and nobody can reach it any more.
            let _ = unsafe { munmap(self.at.cast(), self.cap * size_of::<T>()) };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::env::Rng;

    #[test]
    fn a_page_deque_behaves_like_std_s() {
        let (seed, mut ours, mut theirs) = (0xdec, PageDeque::default(), VecDeque::new());
        let rng = Rng::new(seed);
        for step in 0..200_000u64 {
            match rng.below(if step < 100_000 { 5 } else { 8 }) {
                0..3 => (ours.push_back(step), theirs.push_back(step)).0,
                3 => (ours.push_front(step), theirs.push_front(step)).0,
                4..6 => assert_eq!(ours.pop_front(), theirs.pop_front(), "seed {seed:#x} step {step}"),
                _ => assert_eq!(ours.pop_back(), theirs.pop_back(), "seed {seed:#x} step {step}"),
            }
            assert_eq!(ours.len(), theirs.len());
        }
    }

    #[test]
    fn a_page_vec_drains_from_the_front() {
        let mut vec = PageVec::new();
        (0..1000).for_each(|n| vec.push(n));
        let mut front = Vec::new();
        vec.drain_front(400, |n| front.push(n));
        assert_eq!(front, (0..400).collect::<Vec<_>>());
        assert_eq!(vec[..], (400..1000).collect::<Vec<_>>()[..]);
        assert_eq!(vec.pop(), Some(999));
    }
}
