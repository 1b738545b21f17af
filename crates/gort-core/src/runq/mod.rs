//! Run queues: where runnable things wait for a processor. Generic in the thing; nobody is woken here.
//!
//! - [`ring`]: a processor's own queue of 256 and its `next` slot; one owner, many thieves, no lock.
//!
//! The global queue is a plain queue under the scheduler's lock and has no room of its own.

pub(crate) mod ring;
