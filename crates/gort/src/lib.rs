//! Go's concurrency runtime for Rust.

pub mod channel;
#[macro_use]
mod select_macro;
mod waitq;

pub use channel::bounded as chan;
