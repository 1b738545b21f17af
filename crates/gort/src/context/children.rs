//! The list of scopes below a scope: linked through the nodes themselves, so that adding and removing one takes a few
//! stores under the parent's short lock, and no allocation.
//!
//! Invariants:
//! 1. A node's links are touched only under the lock of the scope it is (or was) listed in, and a node is listed in
//!    one scope all its life: the one above it.
//! 2. A listed node is kept alive by the list, which owns one count of it.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use super::tree::Node;

/// The scopes below one scope.
pub(super) struct Children {
    first: *const Node,
    last: *const Node,
}

// SAFETY: the list owns counts of `Arc<Node>`, which is Send; whoever has it holds the scope's lock (invariant 1).
unsafe impl Send for Children {}

/// A node's place in the list above it.
pub(super) struct Links {
    prev: Cell<*const Node>,
    next: Cell<*const Node>,
    listed: Cell<bool>,
}

// SAFETY: the links are guarded by the lock of the scope above (invariant 1), and they point to `Node`s, which are Sync.
unsafe impl Sync for Links {}
// SAFETY: as above.
unsafe impl Send for Links {}

impl Links {
    pub(super) const fn new() -> Links {
        Links { prev: Cell::new(ptr::null()), next: Cell::new(ptr::null()), listed: Cell::new(false) }
    }
}

impl Children {
    pub(super) const fn new() -> Children {
        Children { first: ptr::null(), last: ptr::null() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Appends `child`.
    ///
    /// # Safety
    /// The caller holds the lock of the scope above `child`, whose list this is.
    pub(super) unsafe fn push(&mut self, child: Arc<Node>) {
        let links = child.links();
        debug_assert!(!links.listed.get());
        links.listed.set(true);
        links.prev.set(self.last);
        links.next.set(ptr::null());
        let child = Arc::into_raw(child);
        if self.last.is_null() {
            self.first = child;
        } else {
            // SAFETY: listed nodes are alive (invariant 2); we hold the lock of their links.
            unsafe { &*self.last }.links().next.set(child);
        }
        self.last = child;
    }

    /// The first child, with a count of its own.
    pub(super) fn first(&self) -> Option<Arc<Node>> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: the list owns a count of the node (invariant 2), made by `into_raw` in `push`; this adds one for the
        // caller.
        unsafe {
            Arc::increment_strong_count(self.first);
            Some(Arc::from_raw(self.first))
        }
    }

    /// Takes `child` out, if it is listed. The list's count of it is the caller's, to be dropped after the lock.
    ///
    /// # Safety
    /// The caller holds the lock of the scope above `child`, whose list this is.
    #[must_use = "drop it after the lock"]
    pub(super) unsafe fn remove(&mut self, child: &Arc<Node>) -> Option<Arc<Node>> {
        let links = child.links();
        if !links.listed.replace(false) {
            return None;
        }
        let (prev, next) = (links.prev.get(), links.next.get());
        if prev.is_null() {
            self.first = next;
        } else {
            // SAFETY: neighbours of a listed node are listed, hence alive; we hold the lock of their links.
            unsafe { &*prev }.links().next.set(next);
        }
        if next.is_null() {
            self.last = prev;
        } else {
            // SAFETY: as above.
            unsafe { &*next }.links().prev.set(prev);
        }
        // SAFETY: the count that `push` put in; the node has left the list, so it is taken once.
        Some(unsafe { Arc::from_raw(Arc::as_ptr(child)) })
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        // A listed child holds its parent, so a scope that goes away has none.
        debug_assert!(self.is_empty());
    }
}
