//! The core of gort: goroutines on their own stacks, processors that run them, machines that carry the
//! processors, timers, and the watcher over all of it.
//!
//! Everything that blocks, in this crate or above it, goes through the *waist*: [`park`](park::park),
//! [`ready`](park::ready) and [`yield_now`](park::yield_now). The scheduler knows nothing of channels, locks or
//! sockets; they know nothing of the scheduler but these three verbs.
//!
//! This crate is the engine room of the `gort` crate and makes no promise of stability of its own.

pub mod claim;
pub mod env;
pub mod ids;
pub mod lock;
pub mod park;
mod sys;
