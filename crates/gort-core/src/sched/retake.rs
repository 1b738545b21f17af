//! Taking a processor from a machine whose goroutine blocks the thread. The thread is not interrupted and is not told: it
//! finds its processor gone when it next comes into the runtime.

use super::Runtime;
use crate::m::{Call, M};
use crate::p::P;
use crate::sys::atomic::Ordering;

impl Runtime {
    /// Takes `p` from `m`, if it still has it, is outside the runtime and, with the door shut, `asleep` still holds; and
    /// gives it to others. True if it was taken: then the goroutine on `m` is in a call until it comes back.
    ///
    /// The monitor's only: one taker at a time.
    pub(crate) fn retake(&self, m: &'static M, p: &'static P, asleep: impl FnOnce() -> bool) -> bool {
        {
            let Some(_shut) = m.door.try_shut() else { return false };
            // With its owner outside and the door shut nobody else writes these.
            if !m.p_hint().is_some_and(|has| std::ptr::eq(has, p)) || m.curg().is_none() || !asleep() {
                return false;
            }
            if m.call() == Call::None {
                m.set_call(Call::Found);
            }
            // SeqCst: counted before the processor can be seen idle; the deadlock detector reads both.
            self.in_blocking.fetch_add(1, Ordering::SeqCst);
            m.release_p();
        }
        self.handoff_p(p);
        true
    }
}
