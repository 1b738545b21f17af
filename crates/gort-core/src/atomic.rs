//! Atomics for the words of locks and of what is built like them: std's, or, under `--cfg loom`, loom's, made at first use.
//!
//! A lock can be made in a constant, since many a lock is a static. loom's atomics can not: each belongs to one execution
//! of one model. So under loom a word remembers what it starts with, and the atomic behind it is made when the word is
//! first used. Two things follow for models:
//!
//! 1. The thread that starts the others uses each word once before it does so. loom finds fault with a word that is made
//!    by whoever comes first: nothing orders that before the others' use.
//! 2. A word in a static would outlive the execution; such a static is one of `loom::lazy_static!` under loom.

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicUsize, Ordering};

#[cfg(loom)]
pub use made_at_first_use::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicUsize, Ordering};

#[cfg(loom)]
mod made_at_first_use {
    use std::ops::Deref;
    use std::sync::OnceLock;

    pub use loom::sync::atomic::Ordering;

    macro_rules! atomics {
        ($($name:ident of $value:ty),*) => {$(
            /// loom's atomic, made at first use.
            #[derive(Debug, Default)]
            pub struct $name {
                first: $value,
                made: OnceLock<loom::sync::atomic::$name>,
            }

            impl $name {
                /// A word that starts with `first`.
                pub const fn new(first: $value) -> Self {
                    Self { first, made: OnceLock::new() }
                }

                /// Makes the atomic now.
                #[allow(dead_code, reason = "only a short lock's word is made early")]
                pub(crate) fn make(&self) {
                    let _: &loom::sync::atomic::$name = self;
                }
            }

            impl Deref for $name {
                type Target = loom::sync::atomic::$name;

                fn deref(&self) -> &Self::Target {
                    self.made.get_or_init(|| loom::sync::atomic::$name::new(self.first))
                }
            }
        )*};
    }

    atomics!(AtomicBool of bool, AtomicU8 of u8, AtomicU32 of u32, AtomicI64 of i64, AtomicUsize of usize);
}
