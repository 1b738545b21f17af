//! Stacks: address space by size class, guards below each, and what happens when one overflows. Never schedules.
//!
//! - [`class`]: the sizes one can ask for.
//! - [`slab`]: reservations cut into slabs, slabs cut into plots; a plot is one stack with its guard.
//! - [`guard`]: how the pages below a stack are made untouchable.
//! - [`overflow`]: the signal handler that tells a stack overflow from any other fault.
//!
//! A plot is never unmapped. What was used of it is given back to the system (`MADV_DONTNEED`) while it lies idle.

pub(crate) mod class;
pub(crate) mod guard;
pub(crate) mod overflow;
pub(crate) mod overflow_text;
pub(crate) mod slab;

/// Bytes below every stack that fault when touched. Rust's own frames probe page by page; this is for C's larger ones.
pub(crate) const GUARD_BYTES: usize = 16 * 1024;
