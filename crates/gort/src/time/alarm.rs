//! The callback timer: at a moment, run something in a goroutine of its own. Under [`after_func`](super::after_func)
//! and the deadlines of contexts; timers with a channel need none of it.
//!
//! Inside the runtime this is the core's alarm. Where there is no runtime, a keeper thread stands in: it keeps the
//! alarms in the order of their deadlines and sleeps until the first; the calls run on [detached](super::detach)
//! threads. Which of the two an alarm uses is settled when it is made, and for good: a runtime does not go away again.
//! A keeper without alarms ends after a while.
//!
//! ```text
//!              start, restart                  deadline
//!   idle ───────────────────────► armed ───────────────────► idle, and the call runs elsewhere
//!     ▲                            │  ▲
//!     └──────────── stop ──────────┘  └── restart (from armed too)
//! ```
//!
//! Invariants of the keeper:
//! 1. An alarm is in the order exactly if its `armed` key is set; both change under the order's lock.
//! 2. Leaving the order decides: whoever takes an alarm out (the keeper, `stop` or `restart`) owns that firing.
//! 3. The order holds an alarm as long as it is armed, and no longer: then its handle does. Calls are dropped, and run,
//!    with no lock held.
//! 4. If the order is not empty, there is a keeper; unless the system refused a thread: then the next start makes one.

use std::collections::BTreeMap;
use std::mem;
use std::panic::Location;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gort_core::env::Moment;
use gort_core::lock::Spin;
use gort_core::spawn::Origin;
use gort_core::{alarm, here, rt};

use super::detach::{Contained, detach};

/// A callback timer. Dropping the handle does not stop it.
pub(crate) enum Alarm {
    Core(alarm::Alarm),
    Kept(Arc<Kept>),
}

impl Alarm {
    /// An idle alarm that will run `call`. Each firing is a run of its own, in a goroutine of its own: if the alarm is
    /// started again before a run has ended, runs overlap.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn new(call: impl Fn() + Send + Sync + 'static) -> Alarm {
        if rt::is_started() {
            let origin = Origin { pc: here!(), at: Location::caller() };
            let call = Contained::new(call);
            Alarm::Core(alarm::Alarm::new(origin, move || call.run()))
        } else {
            Alarm::Kept(Kept::new(call))
        }
    }

    /// Arms the alarm for `deadline`, which is not `Moment::NEVER`. If it is armed already, this moves it.
    pub(crate) fn start(&self, deadline: Moment) {
        let _ = self.restart(deadline);
    }

    /// Disarms the alarm. True if that prevented a firing.
    pub(crate) fn stop(&self) -> bool {
        match self {
            Alarm::Core(alarm) => alarm.stop(),
            Alarm::Kept(alarm) => {
                let taken = order().take_out(alarm);
                taken.is_some()
            }
        }
    }

    /// Arms the alarm for `deadline`, which is not `Moment::NEVER`. True if it was armed before: the earlier firing will
    /// not happen.
    pub(crate) fn restart(&self, deadline: Moment) -> bool {
        debug_assert_ne!(deadline, Moment::NEVER);
        match self {
            Alarm::Core(alarm) => alarm.set(deadline),
            Alarm::Kept(alarm) => restart_kept(alarm, deadline),
        }
    }
}

/// An alarm of the keeper.
pub(crate) struct Kept {
    call: Box<dyn Fn() + Send + Sync>,
    /// Where the alarm stands in the order, if it does (invariant 1).
    armed: Spin<Option<Key>>,
}

impl Kept {
    fn new(call: impl Fn() + Send + Sync + 'static) -> Arc<Kept> {
        let call = Contained::new(call);
        Arc::new(Kept { call: Box::new(move || call.run()), armed: Spin::new(None) })
    }
}

/// Deadline first; the number makes keys unique and lets equal deadlines fire in the order of their starts.
type Key = (Moment, u64);

/// All armed alarms, earliest first.
struct Order {
    due: BTreeMap<Key, Arc<Kept>>,
    next_number: u64,
    has_keeper: bool,
}

static ORDER: Mutex<Order> = Mutex::new(Order { due: BTreeMap::new(), next_number: 0, has_keeper: false });
/// Tells the keeper that there is a new first alarm.
static CHANGED: Condvar = Condvar::new();

fn order() -> MutexGuard<'static, Order> {
    // Nothing panics while the lock is held; if it did, the map would still be a map.
    ORDER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn restart_kept(alarm: &Arc<Kept>, deadline: Moment) -> bool {
    let mut order = order();
    let taken = order.take_out(alarm);
    let first = order.put_in(deadline, Arc::clone(alarm));
    let keeper_wanted = !mem::replace(&mut order.has_keeper, true);
    drop(order);
    if keeper_wanted {
        let keeper = Keeper;
        std::thread::Builder::new()
            .name("gort-alarms".to_string())
            .spawn(move || keeper.keep())
            .expect("gort: no thread for the timers: the system refuses to start one");
    } else if first {
        CHANGED.notify_one();
    }
    taken.is_some()
}

impl Order {
    fn take_out(&mut self, alarm: &Kept) -> Option<Arc<Kept>> {
        let key = alarm.armed.lock().take()?;
        let taken = self.due.remove(&key);
        debug_assert!(taken.is_some(), "an armed alarm is in the order");
        taken
    }

    /// True if the alarm is the first now.
    fn put_in(&mut self, deadline: Moment, alarm: Arc<Kept>) -> bool {
        let key = (deadline, self.next_number);
        self.next_number += 1;
        *alarm.armed.lock() = Some(key);
        self.due.insert(key, alarm);
        self.due.first_key_value().is_some_and(|(first, _)| *first == key)
    }

    fn pop_due(&mut self, now: Moment) -> Option<Arc<Kept>> {
        let first = self.due.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let alarm = first.remove();
        *alarm.armed.lock() = None;
        Some(alarm)
    }
}

/// Whoever has it is the keeper, or is about to start one. Dropped without having retired (there was no thread for it, or
/// none for a call), it lets the next start of an alarm make another.
struct Keeper;

impl Keeper {
    /// Fires what is due, sleeps until the next deadline or until there is an earlier one.
    fn keep(self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let mut order = order();
        loop {
            let now = Moment::now();
            while let Some(alarm) = order.pop_due(now) {
                drop(order);
                detach(move || (alarm.call)());
                order = self::order();
            }
            let idle = order.due.is_empty();
            let pause = order.due.first_key_value().map_or(PATIENCE, |(key, _)| key.0.since(Moment::now()));
            order = CHANGED.wait_timeout(order, pause).unwrap_or_else(PoisonError::into_inner).0;
            if idle && order.due.is_empty() {
                order.has_keeper = false;
                mem::forget(self);
                return;
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        order().has_keeper = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn later(ms: u64) -> Moment {
        Moment::after(Duration::from_millis(ms))
    }

    /// Each check, without a runtime and with one.
    fn both_kinds(check: impl Fn(&dyn Fn(Box<dyn Fn() + Send + Sync>) -> Alarm)) {
        check(&|call| Alarm::Kept(Kept::new(call)));
        // SAFETY: nothing here keeps a thread-local across a park.
        unsafe { crate::run(|| ()) };
        check(&|call| {
            let alarm = Alarm::new(call);
            assert!(matches!(alarm, Alarm::Core(_)));
            alarm
        });
    }

    #[test]
    fn alarms_fire_in_the_order_of_their_deadlines_and_again_after_a_restart() {
        both_kinds(|new| {
            let (tx, rx) = mpsc::channel();
            let alarms = [60, 10, 35].map(|ms| {
                let tx = tx.clone();
                let alarm = new(Box::new(move || tx.send(ms).unwrap()));
                alarm.start(later(ms));
                alarm
            });
            assert_eq!([rx.recv(), rx.recv(), rx.recv()], [Ok(10), Ok(35), Ok(60)]);
            assert!(!alarms[0].restart(later(1)), "it has fired");
            assert_eq!(rx.recv(), Ok(60));
        });
    }

    #[test]
    fn a_stopped_alarm_does_not_fire_and_lets_go_of_its_call() {
        both_kinds(|new| {
            let token = Arc::new(());
            let held = Arc::clone(&token);
            let alarm = new(Box::new(move || unreachable!("stopped, {held:?}")));
            assert!(!alarm.stop(), "not started");
            alarm.start(Moment::from_nanos(u64::MAX - 1));
            assert!(alarm.restart(later(3_600_000)));
            assert!(alarm.stop());
            assert!(!alarm.stop());
            drop(alarm);
            assert_eq!(Arc::strong_count(&token), 1);
        });
    }

    #[test]
    fn each_firing_belongs_to_the_timer_or_to_a_stop() {
        both_kinds(|new| {
            let fired = Arc::new(AtomicUsize::new(0));
            let (mut stopped, rounds) = (0, 2000);
            for round in 0..rounds {
                let fired = Arc::clone(&fired);
                let alarm = new(Box::new(move || {
                    fired.fetch_add(1, Ordering::Relaxed);
                }));
                alarm.start(Moment::after(Duration::from_micros(round % 40)));
                (0..round % 7 * 100).for_each(|_| std::hint::spin_loop());
                stopped += usize::from(alarm.stop());
            }
            while fired.load(Ordering::Relaxed) + stopped < rounds as usize {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(fired.load(Ordering::Relaxed) + stopped, rounds as usize);
        });
    }
}
