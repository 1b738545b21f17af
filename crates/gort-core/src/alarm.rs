//! Alarms: functions that are called, each on a goroutine of its own, when a moment has come.

use std::sync::Arc;

use crate::env::Moment;
use crate::g::start::Origin;
use crate::ids::NO_RUNTIME;
use crate::lock::Spin;
use crate::m::M;
use crate::park;
use crate::sched::runtime;
use crate::sys::door;
use crate::timers::{Action, Node};

/// A function that is called, on a goroutine of its own, when a moment has come; Go's `AfterFunc` timer.
///
/// It can be stopped and set again, also after it went off. A dropped alarm that is set still goes off.
#[derive(Clone)]
pub struct Alarm(Arc<Inner>);

struct Inner {
    node: Node,
    /// Starting and stopping, one at a time.
    setting: Spin<()>,
    function: Box<dyn Fn() + Send + Sync>,
    origin: Origin,
}

// SAFETY: the node is governed by `setting` and the locks of the heaps; the function is Send + Sync.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alarm")
    }
}

impl Alarm {
    /// An alarm that is not set. Neither `function` nor its drop may unwind (the process ends then).
    pub fn new(origin: Origin, function: impl Fn() + Send + Sync + 'static) -> Alarm {
        let inner = Arc::new_cyclic(|this: &std::sync::Weak<Inner>| Inner {
            node: Node::revocable(Action::Start { call: go_off, data: this.as_ptr().cast() }),
            setting: Spin::new(()),
            function: Box::new(function),
            origin,
        });
        Alarm(inner)
    }

    /// Sets the alarm to `when`, in place of what it was set to. True if it was set and had not gone off yet.
    ///
    /// # Panics
    /// Outside the runtime.
    #[track_caller]
    pub fn set(&self, when: Moment) -> bool {
        let rt = runtime().unwrap_or_else(|| panic!("{}", NO_RUNTIME));
        let first;
        let inside = door::inside();
        let was_set = {
            let _setting = self.0.setting.lock();
            let was_set = self.0.node.cancel();
            // It may be on its way off on another machine, between check and act: a few instructions.
            while self.0.node.is_due() {
                std::hint::spin_loop();
            }
            if when == Moment::NEVER {
                first = false;
            } else {
                // The set alarm keeps itself alive.
                let _kept = Arc::into_raw(self.0.clone());
                // Without a processor, the first one's heap: any will do.
                let p = M::current().and_then(M::p).unwrap_or_else(|| rt.p_at(0));
                // SAFETY: the node is in an Arc that has just been given a count for it.
                first = unsafe { p.timers.adding().add(&self.0.node, when) };
            }
            was_set
        };
        if first {
            rt.announce_timer(when);
        }
        drop(inside);
        if was_set {
            self.release();
            if when == Moment::NEVER {
                rt.rouse_monitor();
            }
        }
        was_set
    }

    /// Makes sure that it does not go off: true. It was not set, or has gone off already: false.
    pub fn stop(&self) -> bool {
        let stopped = {
            let _setting = self.0.setting.lock();
            self.0.node.cancel()
        };
        if stopped {
            self.release();
            if let Some(rt) = runtime() {
                // It may have been the last thing that could happen.
                rt.rouse_monitor();
            }
        }
        stopped
    }

    /// Gives back the count that a set alarm holds.
    fn release(&self) {
        // SAFETY: `set` leaked one count, and the cancellation of that setting has come to us alone.
        unsafe { Arc::decrement_strong_count(Arc::as_ptr(&self.0)) };
    }
}

/// The body of the goroutine that is started when an alarm goes off.
///
/// # Safety
/// `inner` is the address of an alarm that was set, with the count that this setting holds.
unsafe fn go_off(inner: *const ()) {
    // SAFETY: the caller's promise.
    let inner = unsafe { Arc::from_raw(inner.cast::<Inner>()) };
    if let Some((_, g)) = park::this() {
        g.set_origin(inner.origin);
    }
    (inner.function)();
}
