//! Locks, onces, wait groups and their kin: Go's `sync` (and a little of `golang.org/x/sync`) in std's shapes.
//!
//! Everything here parks the calling goroutine, never its thread; on a plain OS thread it blocks the thread. Both kinds
//! of callers may share one object. Nothing is poisoned by a panic. This room owns what the words of the primitives
//! mean; how one sleeps is the semaphore room's, and it knows no channels.
//!
//! | here | Go | note |
//! | --- | --- | --- |
//! | [`Mutex`], [`RwLock`] | `sync.Mutex`, `sync.RWMutex` | 4 and 16 bytes beside the data |
//! | [`Condvar`] | `sync.Cond` | ticket order, no spurious wake-ups |
//! | [`Once`], [`OnceLock`], [`LazyLock`] | `sync.Once`, `sync.OnceValue` | |
//! | [`WaitGroup`] | `sync.WaitGroup` | clones share |
//! | [`Pool`], [`Map`] | `sync.Pool`, `sync.Map` | sharded |
//! | [`Semaphore`], [`SingleFlight`], [`ErrGroup`] | `x/sync/semaphore`, `singleflight`, `errgroup` | |
//! | [`Barrier`], [`atomic`] | none, `sync/atomic` | std's |

mod barrier;
mod condvar;
mod errgroup;
mod lazy;
mod map;
#[cfg(all(test, loom))]
mod models;
mod mutex;
mod once;
mod pool;
mod rwlock;
mod semaphore;
mod singleflight;
mod spin;
mod unwound;
mod waitgroup;

pub use std::sync::{Arc, Weak, atomic};

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use errgroup::ErrGroup;
pub use lazy::{LazyLock, OnceLock};
pub use map::Map;
pub use mutex::{ArcMutexGuard, MappedMutexGuard, Mutex, MutexGuard, RawMutex};
pub use once::Once;
pub use pool::Pool;
pub use rwlock::{
    ArcRwLockReadGuard, ArcRwLockWriteGuard, MappedRwLockReadGuard, MappedRwLockWriteGuard, RawRwLock,
    RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};
pub use semaphore::{Semaphore, SemaphoreGuard};
pub use singleflight::SingleFlight;
pub use waitgroup::WaitGroup;
