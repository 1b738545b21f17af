//! Values that are made once: `OnceLock` and `LazyLock`, each a cell beside the state machine of `once`.
//!
//! Invariant: the cell is written by the one who runs the initialisation, before DONE; after DONE it is only read,
//! except through exclusive borrows.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe};

use super::once::{RawOnce, Running};
use super::unwound::Unwound;

/// A cell that is written once: `std::sync::OnceLock`, waiting as goroutines do.
///
/// If an initialising function panics the cell stays empty, and the next caller tries.
///
/// ```
/// use gort::sync::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
/// assert_eq!(NAME.get(), None);
/// assert_eq!(NAME.get_or_init(|| "gopher".to_string()), "gopher");
/// assert_eq!(NAME.set("crab".to_string()), Err("crab".to_string()));
/// ```
pub struct OnceLock<T> {
    once: RawOnce,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: references to the value are given out after DONE only (room invariant), so shared use needs `T: Sync`; the
// value may be put in by one thread and dropped by another, hence `T: Send`.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// An empty cell.
    pub const fn new() -> OnceLock<T> {
        OnceLock { once: RawOnce::new(), value: UnsafeCell::new(None) }
    }

    /// The value, if there is one. Does not wait.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_done() {
            return None;
        }
        // SAFETY: DONE was seen: the cell is only read from now on.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// The value, if there is one.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Puts `value` in, or gives it back if the cell is full. Waits for an initialisation that is under way.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("an initialiser runs once"));
        value.map_or(Ok(()), Err)
    }

    /// The value; if there is none, `f` makes it. Of several callers one runs its function, and the others wait.
    /// Calling this from within `f` deadlocks.
    #[inline]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        enum Never {}
        match self.get_or_try_init(|| Ok::<T, Never>(f())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// [`get_or_init`](OnceLock::get_or_init) with a function that may fail; the cell then stays empty.
    #[inline]
    pub fn get_or_try_init<F: FnOnce() -> Result<T, E>, E>(&self, f: F) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        self.init_slow(f)
    }

    /// Waits until there is a value.
    pub fn wait(&self) -> &T {
        self.once.wait_done();
        self.get().expect("done means that there is a value")
    }

    /// The value, if there is one.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out and leaves the cell empty.
    pub fn take(&mut self) -> Option<T> {
        self.once.reset();
        self.value.get_mut().take()
    }

    #[cold]
    fn init_slow<F: FnOnce() -> Result<T, E>, E>(&self, f: F) -> Result<&T, E> {
        if let Some(running) = self.once.start() {
            let give_up = GiveUpOnDrop(Some(running));
            let value = f()?;
            // SAFETY: we run the initialisation: nobody else touches the cell before DONE.
            unsafe { *self.value.get() = Some(value) };
            give_up.finish();
        }
        Ok(self.get().expect("done means that there is a value"))
    }
}

/// Lets the next one try if the initialiser fails or unwinds.
struct GiveUpOnDrop<'a>(Option<Running<'a>>);

impl GiveUpOnDrop<'_> {
    fn finish(mut self) {
        if let Some(running) = self.0.take() {
            running.finish();
        }
    }
}

impl Drop for GiveUpOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.give_up();
        }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        OnceLock { once: RawOnce::new_done(), value: UnsafeCell::new(Some(value)) }
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().map_or_else(OnceLock::new, |value| OnceLock::from(value.clone()))
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => tuple.field(value).finish(),
            None => tuple.field(&format_args!("<uninit>")).finish(),
        }
    }
}

/// A value that is made at its first use: `std::sync::LazyLock`, waiting as goroutines do; Go's `sync.OnceValue`.
///
/// The function is dropped after its call. If it panics, every later use panics with the same message, as in Go.
///
/// ```
/// use gort::sync::LazyLock;
///
/// static PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| (2..30).filter(|n| (2..*n).all(|d| n % d != 0)).collect());
/// assert_eq!(PRIMES.len(), 10);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    once: RawOnce,
    data: UnsafeCell<Data<T, F>>,
}

enum Data<T, F> {
    Function(F),
    Value(T),
    /// The function did not return.
    Failed(Unwound),
}

// SAFETY: references to the value are given out after DONE only (room invariant). The function is called once, by some
// thread, and the value dropped by some thread: both are `Send`.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `f` will make.
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock { once: RawOnce::new(), data: UnsafeCell::new(Data::Function(f)) }
    }

    /// The value; the first call makes it, and those that come meanwhile wait.
    ///
    /// # Panics
    /// If the function panics, or has panicked in an earlier call.
    #[inline]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        if !this.once.is_done() {
            this.make();
        }
        // SAFETY: it is done: the cell is only read from now on.
        match unsafe { &*this.data.get() } {
            Data::Value(value) => value,
            Data::Failed(unwound) => unwound.raise(),
            Data::Function(_) => unreachable!("the function was called before DONE"),
        }
    }

    #[cold]
    fn make(&self) {
        let Some(running) = self.once.start() else { return };
        // SAFETY: we run the initialisation: nobody else touches the cell before DONE.
        let data = unsafe { &mut *self.data.get() };
        let Data::Function(f) = mem::replace(data, Data::Failed(Unwound::Unknown)) else {
            unreachable!("the function is there until somebody runs it")
        };
        match panic::catch_unwind(AssertUnwindSafe(f)) {
            Ok(value) => {
                *data = Data::Value(value);
                running.finish();
            }
            Err(payload) => {
                *data = Data::Failed(Unwound::of(&*payload));
                running.finish();
                panic::resume_unwind(payload);
            }
        }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("LazyLock");
        if self.once.is_done()
            // SAFETY: it is done: the cell is only read from now on.
            && let Data::Value(value) = unsafe { &*self.data.get() }
        {
            return tuple.field(value).finish();
        }
        tuple.field(&format_args!("<uninit>")).finish()
    }
}
