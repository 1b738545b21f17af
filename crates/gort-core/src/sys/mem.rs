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
            Err(error) => super::throw(format_args!("out of memory: cannot grow a runtime table to {bytes} bytes: {error}")),
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
