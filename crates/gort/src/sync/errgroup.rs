//! Goroutines that work on one task and may fail: a wait group, the first failure, and perhaps a limit and a context.

use std::any::Any;
use std::borrow::Borrow;
use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use super::{Mutex, Semaphore, WaitGroup};
use crate::context::{CancelFn, Context};
use crate::go;
use crate::panic_policy;
use crate::panic_policy::Goexit;

/// A group of goroutines of which the first error counts: `golang.org/x/sync/errgroup.Group`. Clones are the same
/// group.
///
/// ```
/// use gort::sync::ErrGroup;
///
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     let group = ErrGroup::new();
///     for n in ["1", "2", "three"] {
///         group.go(move || n.parse::<u32>().map(drop));
///     }
///     assert!(group.wait().is_err());
/// }
/// ```
pub struct ErrGroup<E> {
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    tasks: WaitGroup,
    first: Mutex<First<E>>,
    limit: Mutex<Option<Arc<Semaphore>>>,
    cancel: Option<CancelFn>,
}

/// The first thing that went wrong; a panic goes before errors.
enum First<E> {
    Nothing,
    Error(E),
    Panic(Box<dyn Any + Send>),
}

impl<E: Send + 'static> ErrGroup<E> {
    /// A group without a context and without a limit.
    pub fn new() -> ErrGroup<E> {
        ErrGroup::with_cancel(None)
    }

    /// A group, and a child of `ctx` that is cancelled when a function of the group fails, or when
    /// [`wait`](ErrGroup::wait) returns.
    pub fn with_context(ctx: impl Borrow<Context>) -> (ErrGroup<E>, Context) {
        let (child, cancel) = ctx.borrow().with_cancel();
        (ErrGroup::with_cancel(Some(cancel)), child)
    }

    /// Lets at most `n` goroutines of the group run at a time.
    ///
    /// # Panics
    /// If some are running: `errgroup: modify limit while .. goroutines in the group are still active`.
    #[track_caller]
    pub fn set_limit(&self, n: usize) {
        let active = self.shared.tasks.count();
        assert!(
            active == 0,
            "errgroup: modify limit while {active} goroutines in the group are still active"
        );
        let old = self.shared.limit.lock().replace(Arc::new(Semaphore::new(n)));
        drop(old);
    }

    /// Runs `f` in a goroutine of the group; waits, parked, while the limit is reached.
    ///
    /// # Panics
    /// Outside the runtime. With a limit of 0, since it could never start.
    #[inline(always)]
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let limit = self.limit();
        if let Some(limit) = &limit {
            limit.acquire(1);
        }
        let task = self.task(limit);
        go::detached(move || task.run(f));
    }

    /// [`go`](ErrGroup::go), unless the limit is reached: then false, and `f` does not run.
    ///
    /// # Panics
    /// Outside the runtime.
    #[inline(always)]
    #[track_caller]
    pub fn try_go<F>(&self, f: F) -> bool
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let limit = self.limit();
        if limit.as_ref().is_some_and(|limit| !limit.try_acquire(1)) {
            return false;
        }
        let task = self.task(limit);
        go::detached(move || task.run(f));
        true
    }

    /// Waits until all goroutines of the group have ended, cancels the group's context, and returns the first error.
    /// The error is handed out once; a later call finds none.
    ///
    /// # Panics
    /// If a function of the group has panicked: with its payload.
    pub fn wait(&self) -> Result<(), E> {
        self.shared.tasks.wait();
        self.shared.cancel();
        let first = mem::replace(&mut *self.shared.first.lock(), First::Nothing);
        match first {
            First::Nothing => Ok(()),
            First::Error(error) => Err(error),
            First::Panic(payload) => panic::resume_unwind(payload),
        }
    }

    fn with_cancel(cancel: Option<CancelFn>) -> ErrGroup<E> {
        let shared = Shared {
            tasks: WaitGroup::new(),
            first: Mutex::new(First::Nothing),
            limit: Mutex::new(None),
            cancel,
        };
        ErrGroup { shared: Arc::new(shared) }
    }

    fn limit(&self) -> Option<Arc<Semaphore>> {
        self.shared.limit.lock().clone()
    }

    fn task(&self, limit: Option<Arc<Semaphore>>) -> Task<E> {
        self.shared.tasks.add(1);
        Task { shared: Arc::clone(&self.shared), limit }
    }
}

impl<E> Shared<E> {
    fn cancel(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }

    fn failed(&self, failure: First<E>) {
        let mut first = self.first.lock();
        let take = matches!((&*first, &failure), (First::Nothing, _) | (First::Error(_), First::Panic(_)));
        let surplus = if take { mem::replace(&mut *first, failure) } else { failure };
        drop(first);
        drop(surplus);
        self.cancel();
    }
}

/// A goroutine of the group. Counts until dropped, also if it could not be started.
struct Task<E> {
    shared: Arc<Shared<E>>,
    limit: Option<Arc<Semaphore>>,
}

impl<E> Task<E> {
    fn run<F: FnOnce() -> Result<(), E>>(self, f: F) {
        match panic::catch_unwind(AssertUnwindSafe(f)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.shared.failed(First::Error(error)),
            Err(payload) if payload.is::<Goexit>() => {}
            Err(payload) => self.shared.failed(First::Panic(payload)),
        }
    }
}

impl<E> Drop for Task<E> {
    fn drop(&mut self) {
        if let Some(limit) = &self.limit {
            limit.release(1);
        }
        self.shared.tasks.done();
    }
}

impl<E> Drop for Shared<E> {
    fn drop(&mut self) {
        // Nobody waited for it, so nobody joins it.
        if let First::Panic(payload) = mem::replace(self.first.get_mut(), First::Nothing) {
            panic_policy::unjoined(payload);
        }
    }
}

impl<E> Clone for ErrGroup<E> {
    fn clone(&self) -> Self {
        ErrGroup { shared: Arc::clone(&self.shared) }
    }
}

impl<E: Send + 'static> Default for ErrGroup<E> {
    fn default() -> Self {
        ErrGroup::new()
    }
}

// A panic of somebody else never leaves it in a broken state: no code of the user's runs while it changes.
impl<E> UnwindSafe for ErrGroup<E> {}
impl<E> RefUnwindSafe for ErrGroup<E> {}

impl<E> fmt::Debug for ErrGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrGroup").field("active", &self.shared.tasks.count()).finish_non_exhaustive()
    }
}
