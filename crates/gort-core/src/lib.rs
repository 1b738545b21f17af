//! The core of gort: goroutines on their own stacks, processors that run them, machines that carry the
//! processors, timers, and the watcher over all of it.
//!
//! Everything that blocks, in this crate or above it, goes through the *waist*: [`park`](park::park),
//! [`ready`](park::ready) and [`yield_now`](park::yield_now). The scheduler knows nothing of channels, locks or
//! sockets; they know nothing of the scheduler but these three verbs.
//!
//! This crate is the engine room of the `gort` crate and makes no promise of stability of its own.

pub mod alarm;
pub mod atomic;
pub mod blocking;
pub mod claim;
mod cpus;
pub mod deadlock;
pub mod env;
mod g;
pub mod grow;
pub mod ids;
pub mod lock;
mod m;
mod netpoll;
pub mod outside;
mod p;
pub mod park;
pub mod pollfd;
mod preempt;
pub mod rt;
mod runq;
mod sched;
pub mod snapshot;
pub mod spawn;
mod stack;
pub mod stderr;
mod sys;
mod sysmon;
mod timers;
pub mod tlscheck;
mod trim;

pub use cpus::num_cpu;

pub use ids::NO_RUNTIME;

/// For the models of the crates above.
#[cfg(loom)]
pub mod model {
    pub use crate::sys::futex::time_passes;
    pub use crate::sys::model::{check, check_deep, check_large};
}
