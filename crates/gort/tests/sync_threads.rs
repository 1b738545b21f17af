//! The cases of `sync_cases` on plain OS threads, without a runtime.

mod sync_cases;

/// How this variant starts a task, waits, and lets others run.
mod env {
    pub(crate) use std::thread::{JoinHandle as Task, sleep, spawn, yield_now};
}

macro_rules! tests {
    ($($room:ident: $($case:ident)*;)*) => {
        $(mod $room { $(#[test] fn $case() { crate::sync_cases::$room::$case() })* })*
    };
}
sync_cases::all!(tests);
