//! Goroutines that borrow from their parent: the scope is a closure, and its end waits for all of them.
//!
//! It is a closure and not a guard because a guard can be forgotten, and then borrowed data would go away under a
//! goroutine that still runs.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::Result;

use gort_core::ids::{GoroutineId, WaitReason};
use gort_core::lock::Spin;
use gort_core::park::{self, Sleeper};
use gort_core::spawn::Origin;

use crate::go::{self, Belongs, JoinEnd, PanicKeeper};
use crate::panic_policy::{self, Goexit};

/// Runs `f`, which may start goroutines that borrow from outside of it, and returns when all of them have ended.
///
/// Like `std::thread::scope`: parks the caller until then. A panic of a goroutine that nobody joined is raised again
/// here, after all have ended; of several, the first.
///
/// # Panics
/// Outside the runtime. Passes on panics of `f` and of unjoined goroutines.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     let mut parts = [1, 2, 3];
///     gort::scope(|s| {
///         for part in &mut parts {
///             s.go(|| *part *= 10);
///         }
///     });
///     assert_eq!(parts, [10, 20, 30]);
/// }
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    assert!(gort_core::rt::is_started(), "{}", gort_core::NO_RUNTIME);
    let scope = Scope { shared: Arc::new(Shared::default()), scope: PhantomData, env: PhantomData };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    scope.shared.wait();
    // First an own panic, then a child's.
    let panic = scope.shared.state.lock().panic.take();
    match (result, panic) {
        (Err(own), panic) => {
            if let Some(surplus) = panic {
                panic_policy::discard(surplus);
            }
            resume_unwind(own)
        }
        (Ok(_), Some(payload)) => resume_unwind(payload),
        (Ok(value), None) => value,
    }
}

/// Where goroutines of a scope are started. See [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    shared: Arc<Shared>,
    /// Invariance over 'scope, so that it can not shrink and children can not borrow what ends before the scope does.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

#[derive(Default)]
struct Shared {
    state: Spin<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    parent: Option<Sleeper>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a goroutine that may borrow from outside of the scope.
    ///
    /// # Panics
    /// When there is no memory for another stack.
    #[inline(always)]
    #[track_caller]
    pub fn go<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let origin = Origin { pc: gort_core::here!(), at: Location::caller() };
        self.start(origin, f)
    }

    #[track_caller]
    fn start<F, T>(&'scope self, origin: Origin, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let shared = Arc::clone(&self.shared);
        let belongs = Belongs::Scope(Arc::clone(&self.shared) as Arc<dyn PanicKeeper>);
        self.shared.state.lock().running += 1;
        // SAFETY: `scope` returns, or unwinds, only after `running` is back at zero, which is the last thing the
        // goroutine does; what it borrows lives for 'scope, which ends later.
        let started = unsafe { go::start(belongs, None, origin, f, move || shared.one_ended()) };
        match started {
            Ok((end, id)) => ScopedJoinHandle { end, id, scope: PhantomData },
            Err(error) => {
                self.shared.one_ended();
                panic!("{error}")
            }
        }
    }
}

impl Shared {
    fn wait(&self) {
        let mut state = self.state.lock();
        if state.running == 0 {
            return;
        }
        state.parent = Some(park::current());
        // The lock is given back once we can be readied.
        park::park(WaitReason::Scope, || drop(state));
    }

    fn one_ended(&self) {
        let parent = {
            let mut state = self.state.lock();
            state.running -= 1;
            if state.running == 0 { state.parent.take() } else { None }
        };
        if let Some(parent) = parent {
            // SAFETY: taken out under the lock: nobody else wakes it.
            unsafe { park::ready(parent) };
        }
    }
}

impl PanicKeeper for Shared {
    fn keep(&self, payload: Box<dyn Any + Send>) {
        if payload.is::<Goexit>() {
            // Ends the goroutine that called it, and no other.
            return;
        }
        let surplus = {
            let mut state = self.state.lock();
            match state.panic {
                None => {
                    state.panic = Some(payload);
                    None
                }
                Some(_) => Some(payload),
            }
        };
        if let Some(surplus) = surplus {
            panic_policy::discard(surplus);
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not under the lock: the formatter may be the user's.
        let running = self.shared.state.lock().running;
        f.debug_struct("Scope").field("running", &running).finish_non_exhaustive()
    }
}

/// A goroutine of a scope that can be joined before the scope ends.
pub struct ScopedJoinHandle<'scope, T> {
    end: JoinEnd<T>,
    id: GoroutineId,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the goroutine to end, and returns what its function returned. Parks the caller.
    ///
    /// # Errors
    /// The payload of its panic, which is then not raised again by the scope; [`Goexit`] after `goexit`.
    pub fn join(self) -> Result<T> {
        self.end.join()
    }

    /// Whether the goroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.end.is_done()
    }

    /// Its id.
    pub fn id(&self) -> GoroutineId {
        self.id
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
