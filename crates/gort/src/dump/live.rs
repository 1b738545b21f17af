//! From the running process to text: takes the core's snapshot and has it described. Also what is printed when the core
//! finds a deadlock. What it finds on stacks is [`held`]'s.

use gort_core::deadlock::{self, Deadlock};
use gort_core::{park, snapshot, tlscheck};

use super::fatal::Fatal;
use super::format::{Options, Traceback};
use super::{Dump, held, unwind};

/// Tells the core who reports what it finds.
pub(crate) fn register() {
    deadlock::set_reporter(report_deadlock);
    tlscheck::set_reporter(held::report);
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

/// What is shown when the process ends because somebody asked to see it: as much as `GORT_TRACEBACK` allows, all by
/// default; `None` if that is nothing.
pub(crate) fn at_the_end() -> Option<String> {
    let dump = Dump::collect(snapshot::goroutines());
    let options = traceback_for_all().options(&dump, None)?;
    Some(dump.show(options).to_string())
}

fn report_deadlock(kind: Deadlock) {
    let dump = Dump::collect(snapshot::goroutines());
    let traceback = traceback_for_all();
    let text = Fatal { message: kind.text(), current: None, dump: &dump, traceback }.to_string();
    gort_core::stderr::write(text.as_bytes());
}

/// What `GORT_TRACEBACK` says about an end that no single goroutine has brought about.
fn traceback_for_all() -> Traceback {
    match Traceback::parse(std::env::var("GORT_TRACEBACK").ok().as_deref()) {
        // All are shown unless none are wanted.
        Traceback::Single => Traceback::All,
        chosen => chosen,
    }
}
