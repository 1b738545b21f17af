//! A coroutine's stack on the heap, for tests that read a parked coroutine's frames from outside.

use corosensei::stack::{Stack, StackPointer};

/// The stack: a megabyte, touched where it is used.
pub(crate) struct HeapStack(Box<[Line]>);

#[derive(Clone)]
#[repr(align(16))]
struct Line(#[allow(dead_code)] [u8; 16]);

impl HeapStack {
    pub(crate) fn new() -> HeapStack {
        HeapStack(vec![Line([0; 16]); 1 << 16].into())
    }

    /// The address where it begins, its highest.
    pub(crate) fn top(&self) -> usize {
        self.base().get()
    }
}

// SAFETY: both ends are of one allocation, whose place does not change when the box moves, and are aligned.
unsafe impl Stack for HeapStack {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.0.as_ptr_range().end.addr()).expect("an allocation is not at 0")
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.0.as_ptr_range().start.addr()).expect("an allocation is not at 0")
    }
}
