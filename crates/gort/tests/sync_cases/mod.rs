//! What `gort::sync` promises, as cases that know nothing of the tasks they run on: each test binary supplies
//! `crate::env` with `spawn`, `sleep` and `yield_now`, and runs the list below.

pub(crate) mod condvar;
pub(crate) mod map;
pub(crate) mod mutex;
pub(crate) mod once;
pub(crate) mod others;
pub(crate) mod pool;
pub(crate) mod rwlock;
pub(crate) mod semaphore;
pub(crate) mod waitgroup;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gort_core::env::Rng;

/// Gives the list of all cases to a macro.
macro_rules! all {
    ($run:ident) => {
        $run! {
            mutex: hammer try_lock_never_waits a_sleeper_is_not_starved timeouts guards_travel many_locks_at_a_time;
            rwlock: hammer readers_share is_locked_counts_every_guard a_waiting_writer_stops_readers readers_go_between_writers
                timeouts upgrade_and_downgrade phases_alternate;
            condvar: signal_wakes_one signal_order a_late_waiter_steals_nothing broadcast timeouts
                generations stress;
            once: once_runs_once a_panic_counts once_lock_fills_once a_failed_init_leaves_it_empty
                lazy_lock_panics_again waiting_for_a_value;
            waitgroup: counts reuse misuse race;
            pool: reuses shares_between_tasks stress;
            map: agrees_with_a_plain_map range_and_changes range_nested clear_while_used compare_and_swap
                get_or_insert_agrees;
            semaphore: weighted_stress first_come_first_served big_is_not_starved timeout_lets_others_through misuse;
            others: barrier_generations single_flight_runs_once single_flight_panics_for_all
                single_flight_forget single_flight_keys_that_panic;
        }
    };
}
pub(crate) use all;

/// Yields until `condition` holds. For conditions that other tasks are sure to bring about.
pub(crate) fn eventually(condition: impl Fn() -> bool) {
    while !condition() {
        crate::env::yield_now();
    }
}

/// Long enough for tasks that could go on to go on. Used to see that something does *not* happen: such a case can only
/// fail if the code is wrong.
pub(crate) fn a_moment() {
    crate::env::sleep(Duration::from_millis(10));
}

/// A task that soon waits for its turn says that it has begun; who has started it lets it get in line.
#[derive(Clone, Default)]
pub(crate) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(crate) fn say(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Comes back a good while after it has begun.
    pub(crate) fn let_it_get_in_line(&self) {
        while !self.0.load(Ordering::Acquire) {
            a_moment();
        }
        (0..50).for_each(|_| a_moment());
    }
}

/// A generator whose seed is printed, so that a failing run can be repeated with `GORT_TEST_SEED`.
pub(crate) fn seeded(case: &str) -> Rng {
    let seed = match std::env::var("GORT_TEST_SEED") {
        Ok(seed) => seed.parse().expect("GORT_TEST_SEED is a number"),
        Err(_) => std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_nanos() as u64,
    };
    println!("{case}: GORT_TEST_SEED={seed}");
    Rng::new(seed)
}

/// Runs `f` and returns the text of its panic.
pub(crate) fn panic_text(f: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}
