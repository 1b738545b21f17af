//! Go's concurrency runtime for Rust: goroutines, channels, select, locks and timers, in plain blocking code.
//!
//! ```
//! #[gort::main(unsafe(migrate))]
//! fn main() {
//!     let (tx, rx) = gort::chan(0);
//!     for word in ["goroutines", "channels", "select"] {
//!         let tx = tx.clone();
//!         gort::go!(tx.send(word.len()).unwrap());
//!     }
//!     drop(tx); // the last sender: the stream ends
//!     assert_eq!(rx.iter().sum::<usize>(), 24);
//! }
//! ```
//!
//! A goroutine is a function on a stack of its own. When it waits, another one goes on in its place on the OS thread;
//! [`GOMAXPROCS`](runtime::gomaxprocs) of them run at the same time.
//!
//! # The one rule
//!
//! A goroutine that waits may go on on another OS thread. So no code on goroutines keeps, across a call that may park, a
//! reference to a thread-local, a value that is bound to its thread (`rand::rng()`, an `Rc` shared with a thread-local), or
//! a guard that knows its owner by thread (`StdoutLock`). The compiler can not check that, and so entering the runtime takes one
//! visible promise, `#[gort::main(unsafe(migrate))]` or [`run`]; all else is safe to call. [`local!`], the locks of [`sync`] and
//! [`pin_thread`] help to keep it. The calls that park, what may be held across them, and flags for the compiler that
//! every program on gort should set, are in
//! [docs/SAFETY.md](https://github.com/gort-rs/gort/blob/main/docs/SAFETY.md).
//!
//! # Where things are
//!
//! | | |
//! |---|---|
//! | [`go`](go()), [`go!`], [`scope`](scope()), [`Builder`], [`JoinHandle`] | starting goroutines and waiting for them |
//! | [`sleep`], [`gosched`], [`goexit`], [`local!`] | inside of one |
//! | [`chan`], [`channel`], [`select!`], [`select_biased!`] | channels, and waiting for several at once |
//! | [`sync`] | locks, onces, wait groups and their kin |
//! | [`time`], [`context`] | timers, tickers, deadlines, cancellation |
//! | [`fs`], [`process`], [`io`], [`signal`] | files, other programs, standard input, signals |
//! | [`net`] | sockets |
//! | [`blocking`], [`pin_thread`], [`lock_os_thread`], [`block_on`](block_on()), [`maybe_grow`] | OS threads, futures, stacks |
//! | [`runtime`] | settings, statistics, dumps |
//! | [`main`](macro@main), [`test`](macro@test), [`run`] | entering the runtime |
//!
//! Channels, [`sync`] and [`time`] also work on plain OS threads, where they block the thread.

mod block_on;
pub mod channel;
pub mod context;
mod dump;
pub mod fs;
mod go;
pub mod io;
pub mod local;
pub mod net;
mod panic_policy;
pub mod process;
mod rt;
pub mod runtime;
mod scope;
mod select;
mod sema;
pub mod signal;
mod signame;
pub mod sync;
mod thread;
pub mod time;
mod waitq;

pub use block_on::block_on;
pub use channel::bounded as chan;
pub use go::{Builder, JoinHandle, go, goexit, gosched};
pub use gort_macros::{main, test};
pub use panic_policy::Goexit;
pub use rt::run;
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use thread::{blocking, lock_os_thread, maybe_grow, pin_thread, unlock_os_thread};
pub use time::sleep;

/// What the macros expand to; not for use by hand.
#[doc(hidden)]
pub mod __rt {
    pub use crate::rt::{Options, detached, enter_main, enter_test};
}

/// What `select!` expands to; not for use by hand.
#[doc(hidden)]
pub mod __rt_select {
    pub use crate::select::{
        Arm, Choice, Chosen, Held, Memory, Payload, block, block_for, for_ever, pass, poll,
    };
}

/// The documents, for their examples: `cargo test --doc` compiles and runs them.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/SAFETY.md")]
    mod safety {}
    #[doc = include_str!("../../../docs/CAVEATS.md")]
    mod caveats {}
    #[doc = include_str!("../README.md")]
    mod of_the_crate {}
}
