//! From the running process to text: takes the core's snapshot and has it described. Also what is printed when the core
//! finds a deadlock.

use std::io::Write as _;

use gort_core::deadlock::{self, Deadlock};
use gort_core::{park, snapshot};

use super::fatal::Fatal;
use super::format::{Options, Traceback};
use super::{Dump, unwind};

/// Tells the core who reports a deadlock.
pub(crate) fn register() {
    deadlock::set_reporter(report_deadlock);
}

/// The text of all goroutines.
#[inline(never)]
pub(crate) fn all() -> String {
    let mut dump = Dump::collect(snapshot::goroutines());
    let me = park::goroutine_id().map(|id| id.as_u64());
    if let (Some(id), Some(context)) = (me, unwind::capture()) {
        // SAFETY: we are goroutine `id`, and have not left this function, where the registers were captured.
        unsafe { dump.add_own_stack(id, context) };
    }
    dump.show(Options { current: me, ..Options::for_dump(&dump) }).to_string()
}

fn report_deadlock(kind: Deadlock) {
    let dump = Dump::collect(snapshot::goroutines());
    let traceback = match Traceback::parse(std::env::var("GORT_TRACEBACK").ok().as_deref()) {
        // A deadlock is everybody's: all are shown unless none are wanted.
        Traceback::Single => Traceback::All,
        chosen => chosen,
    };
    let text = Fatal { message: kind.text(), current: None, dump: &dump, traceback }.to_string();
    let _ = std::io::stderr().write_all(text.as_bytes());
}
