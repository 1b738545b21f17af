//! Go's concurrency runtime for Rust.

mod block_on;
pub mod channel;
pub mod context;
mod dump;
mod go;
pub mod local;
mod panic_policy;
mod rt;
pub mod runtime;
mod scope;
mod select;
mod sema;
pub mod sync;
mod thread;
pub mod time;
mod waitq;

pub use block_on::block_on;
pub use channel::bounded as chan;
pub use go::{Builder, Goexit, JoinHandle, go, goexit, gosched};
pub use gort_macros::{main, test};
pub use rt::run;
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use thread::{blocking, lock_os_thread, maybe_grow, pin_thread, unlock_os_thread};
pub use time::sleep;

/// What the macros expand to; not for use by hand.
#[doc(hidden)]
pub mod __rt {
    pub use crate::rt::{Options, detached, enter_main, enter_test};
}

/// What `select!` expands to; not for use by hand.
#[doc(hidden)]
pub mod __rt_select {
    pub use crate::select::{Arm, Choice, Chosen, Memory, Payload, block, block_for, for_ever, pass, poll};
}
