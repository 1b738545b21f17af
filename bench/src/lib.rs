//! What every Rust peer shares: the command line, the meter, the checks.
//!
//! A peer is one binary, `bench-<peer> <scenario> [size]`. It owns a table of
//! [`Scenario`]s and knows how to enter its runtime; everything that must be
//! the same for all peers, from the sizes to the arithmetic inside the tasks,
//! lives here or in [`work`], so that two rows differ by the runtime alone.
//! This crate knows no runtime.
//!
//! The life of one process, for every peer and for the Go program as well:
//!
//! ```text
//! parse -> enter the runtime -> body(size / 10), thrown away -> body(size) -> one line of JSON
//! ```
//!
//! A body sets itself up, starts a [`Meter`], does the work, stops the meter,
//! and only then checks its counts and hands back the [`Sample`]. A wrong
//! count is a panic, and the driver reports the process as failed.

pub mod blocking;
pub mod hogs;
pub mod http;
mod job;
mod meter;
pub mod net;
pub mod ticks;
pub mod work;

pub use job::{Body, Job, Scenario, processors};
pub use meter::{Meter, Sample, resident_bytes};

/// Batch size of the scenarios that spawn tasks and wait for them.
pub const BATCH: u64 = 1000;
/// Senders, and receivers, of the channel scenarios with many of them.
pub const CROWD: u64 = 4;
/// Tasks that fight for one lock.
pub const LOCKERS: u64 = 8;
/// Every so many lock operations of `rwmutex_read` one is a write.
pub const WRITE_EVERY: u64 = 1000;
/// Buffer of the channels whose scenario ends in `_128`.
pub const BUFFER: usize = 128;
/// Tasks that all select over one shared `done` channel.
pub const WATCHERS: u64 = 10_000;
/// Tasks that share a channel used as a semaphore, and its permits.
pub const PERMIT_TASKS: u64 = 400;
/// Capacity of that channel.
pub const PERMITS: usize = 16;
/// Pairs of tasks in `pingpong_pairs`.
pub const PAIRS: u64 = 1000;
