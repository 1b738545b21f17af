//! The door through which atomics enter that models look at, so that a model checker can stand behind it; and cells, for
//! what is handed from thread to thread under the protection of atomics, which a model checker wants to watch as well.
//! (`crate::atomic` has the words of locks, which are constants. Counters and flags that no model looks at are std's.)

#[cfg(loom)]
pub(crate) use loom::{cell::Cell, sync::atomic::*};
#[cfg(not(loom))]
pub(crate) use std::{cell::Cell, sync::atomic::*};

/// One step of a busy wait.
#[cfg_attr(loom, allow(dead_code, reason = "only models of busy waits wait busily"))]
#[inline]
pub(crate) fn spin_hint() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::hint::spin_loop();
}
