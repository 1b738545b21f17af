//! What the operating system and the language give us, made uniform: atomics (std's, or loom's under
//! `--cfg loom`), the futex, the per-thread word. No policy lives here.

pub(crate) mod atomic;
pub(crate) mod futex;
