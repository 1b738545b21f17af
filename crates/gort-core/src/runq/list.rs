//! An intrusive first-in first-out list. Whoever holds it `&mut` owns every item in it, so links are plain cells.

use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Something that can be in one list at a time.
pub(crate) trait Linked {
    /// The link of this item; only the list it is in touches it.
    fn link(&self) -> &Cell<*const Self>;
}

/// The list.
#[derive(Debug)]
pub(crate) struct List<T> {
    head: *const T,
    tail: *const T,
    len: usize,
}

// SAFETY: the list is only links; the items are `Sync` things of type-stable memory owned by whoever has the list.
unsafe impl<T: Sync> Send for List<T> {}

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List { head: ptr::null(), tail: ptr::null(), len: 0 }
    }
}

impl<T: Linked> List<T> {
    pub(crate) const fn new() -> List<T> {
        List { head: ptr::null(), tail: ptr::null(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    pub(crate) fn first(&self) -> Option<&T> {
        // SAFETY: the head is in this list, which is borrowed; items are never freed.
        unsafe { self.head.as_ref() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        // SAFETY: as in `first`.
        std::iter::successors(self.first(), |item| unsafe { item.link().get().as_ref() })
    }

    pub(crate) fn push(&mut self, item: NonNull<T>) {
        // SAFETY: the caller hands the item over; it is in no other list, and items are never freed.
        unsafe { item.as_ref() }.link().set(ptr::null());
        if self.tail.is_null() {
            self.head = item.as_ptr();
        } else {
            // SAFETY: the tail is in this list, which is borrowed mutably.
            unsafe { &*self.tail }.link().set(item.as_ptr());
        }
        self.tail = item.as_ptr();
        self.len += 1;
    }

    pub(crate) fn push_front(&mut self, item: NonNull<T>) {
        // SAFETY: as in `push`.
        unsafe { item.as_ref() }.link().set(self.head);
        if self.head.is_null() {
            self.tail = item.as_ptr();
        }
        self.head = item.as_ptr();
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<NonNull<T>> {
        let item = NonNull::new(self.head.cast_mut())?;
        // SAFETY: the head is in this list, which is borrowed mutably.
        self.head = unsafe { item.as_ref() }.link().get();
        if self.head.is_null() {
            self.tail = ptr::null();
        }
        self.len -= 1;
        Some(item)
    }

    /// Moves all of `other` to the end of this list.
    pub(crate) fn append(&mut self, other: &mut List<T>) {
        if other.is_empty() {
            return;
        }
        if self.tail.is_null() {
            self.head = other.head;
        } else {
            // SAFETY: the tail is in this list, which is borrowed mutably.
            unsafe { &*self.tail }.link().set(other.head);
        }
        self.tail = other.tail;
        self.len += other.len;
        *other = List::new();
    }
}
