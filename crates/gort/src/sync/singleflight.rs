//! Doing the same work once for all who ask for it at a time.
//!
//! The first caller of a key enters a call into the table and runs its function; those who come while it runs find
//! the call and wait for its outcome. The call leaves the table before its outcome is published, so whoever comes
//! later starts a new one. Nothing of the user's runs under the table's lock but the keys' `Hash` and `Eq`; if they panic
//! when the call is over, it leaves the table and is published all the same.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::unwound::Unwound;
use super::{Mutex, OnceLock};

/// Suppresses duplicate calls: `golang.org/x/sync/singleflight.Group`.
///
/// ```
/// use gort::sync::SingleFlight;
///
/// let flights: SingleFlight<&str, u32> = SingleFlight::new();
/// assert_eq!(flights.run("answer", || 42), 42);
/// assert_eq!(flights.run_shared("answer", || 43), (43, false)); // the first call is over
/// ```
pub struct SingleFlight<K, V> {
    calls: Mutex<HashMap<Arc<K>, Arc<Call<V>>>>,
}

struct Call<V> {
    outcome: OnceLock<Result<V, Unwound>>,
    /// Somebody waits; set under the table's lock.
    shared: AtomicBool,
}

impl<K: Hash + Eq, V: Clone> SingleFlight<K, V> {
    /// No call is under way.
    pub fn new() -> SingleFlight<K, V> {
        SingleFlight { calls: Mutex::new(HashMap::new()) }
    }

    /// The result of `f`, or of the function of a caller that is running for the same `key` already. Waiting parks
    /// the goroutine. Calling this for the same key from within `f` deadlocks.
    ///
    /// # Panics
    /// If the function that runs panics, all who wait for it panic with the same text. If it ends its goroutine by
    /// [`goexit`](crate::goexit), so do they.
    pub fn run<F: FnOnce() -> V>(&self, key: K, f: F) -> V {
        self.run_shared(key, f).0
    }

    /// [`run`](SingleFlight::run), and whether the result was given to more than one caller.
    ///
    /// # Panics
    /// As [`run`](SingleFlight::run).
    pub fn run_shared<F: FnOnce() -> V>(&self, key: K, f: F) -> (V, bool) {
        let mut calls = self.calls.lock();
        if let Some(call) = calls.get(&key) {
            // Under the lock, by which it is read after the call has left the table.
            call.shared.store(true, Ordering::Relaxed);
            let call = Arc::clone(call);
            drop(calls);
            return (call.wait(), true);
        }
        let key = Arc::new(key);
        let call = Arc::new(Call { outcome: OnceLock::new(), shared: AtomicBool::new(false) });
        calls.insert(Arc::clone(&key), Arc::clone(&call));
        drop(calls);
        self.fly(&key, &call, f)
    }

    /// Makes the next caller of `key` run its function, even if a call is under way; its waiters go on waiting.
    pub fn forget(&self, key: &K) {
        let forgotten = self.calls.lock().remove_entry(key);
        drop(forgotten);
    }

    fn fly<F: FnOnce() -> V>(&self, key: &K, call: &Arc<Call<V>>, f: F) -> (V, bool) {
        let result = panic::catch_unwind(AssertUnwindSafe(f));
        let shared = self.land(key, call);
        match result {
            Ok(value) => {
                let outcome = call.outcome.get_or_init(|| Ok(value));
                let Ok(value) = outcome else { unreachable!("only the caller that runs publishes") };
                (value.clone(), shared)
            }
            Err(payload) => {
                call.outcome.get_or_init(|| Err(Unwound::of(&*payload)));
                panic::resume_unwind(payload)
            }
        }
    }
}

impl<K: Hash + Eq, V> SingleFlight<K, V> {
    /// Takes the call out of the table. True if others have come to it meanwhile.
    fn land(&self, key: &K, call: &Arc<Call<V>>) -> bool {
        let mut calls = self.calls.lock();
        let entry = panic::catch_unwind(AssertUnwindSafe(|| {
            // It may have been forgotten, and another one entered.
            let ours = calls.get(key).is_some_and(|other| Arc::ptr_eq(other, call));
            if ours { calls.remove_entry(key) } else { None }
        }));
        if entry.is_err() {
            // The key can not be looked up; the hook has told of it. The waiters are to get their outcome all the same.
            calls.retain(|_, other| !Arc::ptr_eq(other, call));
        }
        let shared = call.shared.load(Ordering::Relaxed);
        drop(calls);
        drop(entry);
        shared
    }
}

impl<V: Clone> Call<V> {
    fn wait(&self) -> V {
        match self.outcome.wait() {
            Ok(value) => value.clone(),
            Err(unwound) => unwound.raise(),
        }
    }
}

impl<K: Hash + Eq, V: Clone> Default for SingleFlight<K, V> {
    fn default() -> Self {
        SingleFlight::new()
    }
}

// A panic of a function that runs is part of a call's outcome; the table is changed without code of the user's but the
// keys' `Hash` and `Eq`, which std's table survives.
impl<K, V> UnwindSafe for SingleFlight<K, V> {}
impl<K, V> RefUnwindSafe for SingleFlight<K, V> {}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}
