//! Run queues: where runnable things wait for a processor. Generic in the thing; nobody is woken here.
//!
//! - [`ring`]: a processor's own queue of 256 and its `next` slot; one owner, many thieves, no lock.
//! - [`list`]: an intrusive first-in first-out list, for the global queue and for batches on their way to it.

pub(crate) mod list;
pub(crate) mod ring;
#[cfg(all(test, loom))]
mod ring_models;
