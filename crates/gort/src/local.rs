//! Goroutine-local storage: what [`local!`](crate::local!) declares.
//!
//! A goroutine moves between OS threads, so a `thread_local!` is not its own: after a park it may look at another
//! thread's. A goroutine-local value stays with its goroutine. A plain OS thread has its own set too, so that code
//! that uses goroutine-locals runs anywhere.
//!
//! This room owns the table of values; where the table's address is kept is the business of `home` below. It knows
//! nothing of scheduling.
//!
//! ```text
//!   static KEY: LocalKey<T>          the table of this goroutine (made at its first use of any key)
//!     init:  fn() -> T                 slots: [ Empty | Alive { value, free } | Destroyed ]
//!     index: 3  ───────────────────►            slots[3].value ──► Box<T>
//! ```
//!
//! Invariants:
//! 1. An index belongs to one `LocalKey<T>` for the life of the process, so what sits in slot `index` is a `T`.
//! 2. A value is in a box of its own: it does not move when the table grows.
//! 3. A value is reached only through its goroutine's table, and only by code that runs on that goroutine. It dies
//!    when the goroutine ends (when no `with` of its frames is left), or when a recursive initialiser replaces it (while
//!    it has no `with` either, see `LocalKey::store`).
//! 4. Nothing of the table is borrowed while user code (an initialiser, a closure, a destructor) runs: such code may
//!    use other keys, which can move the slots, and may park, which can change the thread. A table is reached
//!    afresh after each such call.
//! 5. A destroyed slot stays destroyed: no value comes to life again while its goroutine ends.
//!
//! Why `T` needs neither `Send` nor `Sync`, although the value changes threads with its goroutine: for `Sync`, nobody
//! but the goroutine reaches it (invariant 3). For `Send`: a value that is not `Send` is either tied to its thread (a
//! guard whose owner is checked, a reference into a thread-local), or shares something unsynchronised with others (an
//! `Rc`). Sharing within the goroutine is no sharing between threads: a migration is a hand-over with all the ordering
//! that a hand-over has. Sharing with something that stays on the thread, or being tied to the thread, is what the one
//! rule of goroutines forbids to keep across a park, whether it is kept in a variable of the frame or in a
//! goroutine-local; whoever entered the runtime has promised it. Nothing leaks to other goroutines: those are
//! started with closures that are `Send`.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Declares goroutine-local values, as [`std::thread_local!`] declares thread-local ones.
///
/// Each goroutine (and each plain OS thread) has its own value, made by the initialiser at its first use there, and
/// destroyed when the goroutine ends. The statics have the type [`LocalKey`], whose methods are those of
/// [`std::thread::LocalKey`].
///
/// Go has no counterpart; there one passes such values along in a `Context`.
///
/// ```
/// use std::cell::{Cell, RefCell};
///
/// gort::local! {
///     static DEPTH: Cell<u32> = const { Cell::new(0) };
///     /// Attributes, visibility and several declarations at once are fine.
///     pub static NAMES: RefCell<Vec<String>> = RefCell::new(vec!["first".to_string()]);
/// }
///
/// DEPTH.set(DEPTH.get() + 1);
/// NAMES.with_borrow_mut(|names| names.push("second".to_string()));
/// assert_eq!(DEPTH.get(), 1);
/// std::thread::spawn(|| assert_eq!(DEPTH.get(), 0)).join().unwrap();
/// ```
#[macro_export]
macro_rules! local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident : $t:ty = $init:expr; $($rest:tt)*) => {
        $crate::local!($(#[$attr])* $vis static $name: $t = $init);
        $crate::local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident : $t:ty = $init:expr) => {
        $(#[$attr])*
        $vis static $name: $crate::local::LocalKey<$t> = {
            fn __init() -> $t {
                $init
            }
            $crate::local::LocalKey::new(__init)
        };
    };
}

/// A goroutine-local value's name: the type of the statics that [`local!`](crate::local!) declares.
///
/// All methods without `try_` panic if the value has been destroyed already, which only other values' destructors can
/// see, at the end of their goroutine. None of them parks (the initialiser and the closure may).
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
    /// This key's slot plus one, or 0 as long as nobody has used the key.
    index: AtomicU32,
    _value: PhantomData<fn() -> T>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> LocalKey<T> {
        LocalKey { init, index: AtomicU32::new(0), _value: PhantomData }
    }

    /// Calls `f` with this goroutine's value, which is made first if it is not there yet.
    ///
    /// # Panics
    /// If the value has been destroyed already, see [`try_with`](LocalKey::try_with).
    #[track_caller]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic_destroyed(error),
        }
    }

    /// Calls `f` with this goroutine's value, which is made first if it is not there yet; or fails if the value has
    /// been destroyed already, because the goroutine is about to end.
    ///
    /// ```
    /// gort::local! { static ID: u32 = 7; }
    /// assert_eq!(ID.try_with(|id| id + 1), Ok(8));
    /// ```
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        let value = match self.find() {
            Slot::Alive { value, .. } => value,
            Slot::Empty => self.store((self.init)())?,
            Slot::Destroyed => return Err(AccessError(())),
        };
        // SAFETY: the slot of this key holds a `T` (invariant 1) that stays where it is (2) and is not destroyed while
        // this call is on the goroutine's stack (3). It is shared with this goroutine's own code only.
        Ok(f(unsafe { value.cast::<T>().as_ref() }))
    }

    /// Calls `f` with the value; if there is none yet, it is `first` and not the initialiser's. What is not needed of
    /// `first` is handed to `f`.
    #[track_caller]
    fn with_first<R>(&'static self, first: T, f: impl FnOnce(Option<T>, &T) -> R) -> R {
        let (value, unused) = match self.find() {
            Slot::Alive { value, .. } => (value, Some(first)),
            Slot::Empty => match self.store(first) {
                Ok(value) => (value, None),
                Err(error) => panic_destroyed(error),
            },
            Slot::Destroyed => panic_destroyed(AccessError(())),
        };
        // SAFETY: as in `try_with`.
        f(unused, unsafe { value.cast::<T>().as_ref() })
    }

    /// What this goroutine has for this key.
    #[inline]
    fn find(&'static self) -> Slot {
        // Relaxed: the index is plain data; what it leads to belongs to this goroutine alone.
        let index = self.index.load(Ordering::Relaxed);
        match home::table() {
            home::Place::Table(table) if index != 0 => {
                // SAFETY: the table is this goroutine's own, and the borrow ends here (invariant 4).
                unsafe { table.as_ref() }.slots.get(index as usize - 1).copied().unwrap_or(Slot::Empty)
            }
            home::Place::Gone => Slot::Destroyed,
            _ => Slot::Empty,
        }
    }

    /// Puts the first value into the slot. If an initialiser that used its own key has put one there meanwhile, that
    /// one is replaced, as std does: whoever saw it has returned before the initialiser did.
    #[cold]
    fn store(&'static self, value: T) -> Result<NonNull<()>, AccessError> {
        let index = self.index_or_assign();
        let table = home::table_or_make()?;
        let value = NonNull::from(Box::leak(Box::new(value))).cast::<()>();
        let old = {
            // SAFETY: the table is this goroutine's own; no other borrow of it is live (invariant 4), and this one ends
            // with the block, in which nothing but the vector's allocation happens.
            let slots = unsafe { &mut (*table.as_ptr()).slots };
            if slots.len() <= index {
                slots.resize(index + 1, Slot::Empty);
            }
            std::mem::replace(&mut slots[index], Slot::Alive { value, free: free::<T> })
        };
        debug_assert!(
            !matches!(old, Slot::Destroyed),
            "a goroutine's values are not destroyed inside an initialiser"
        );
        if let Slot::Alive { value: old, free } = old {
            // SAFETY: the value has left its slot, and was seen only by calls that ended before the initialiser did.
            unsafe { free(old) };
        }
        Ok(value)
    }

    #[cold]
    fn index_or_assign(&'static self) -> usize {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut index = self.index.load(Ordering::Relaxed);
        if index == 0 {
            let new = NEXT.fetch_add(1, Ordering::Relaxed);
            assert_ne!(new, 0, "gort: too many goroutine-local keys");
            // Relaxed, here and above: indices are plain numbers. The loser's number stays unused.
            index = match self.index.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => new,
                Err(winner) => winner,
            };
        }
        index as usize - 1
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value. If there is none yet, the initialiser does not run.
    ///
    /// # Panics
    /// If the value has been destroyed already.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with_first(Cell::new(value), |unused, cell| {
            if let Some(value) = unused {
                cell.set(value.into_inner());
            }
        });
    }

    /// A copy of the value.
    ///
    /// # Panics
    /// If the value has been destroyed already.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default in its place.
    ///
    /// # Panics
    /// If the value has been destroyed already.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Puts `value` in and gives the old one back.
    ///
    /// # Panics
    /// If the value has been destroyed already.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with the value borrowed.
    ///
    /// # Panics
    /// If the value is mutably borrowed, or has been destroyed already.
    #[track_caller]
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with the value mutably borrowed.
    ///
    /// # Panics
    /// If the value is borrowed, or has been destroyed already.
    #[track_caller]
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value. If there is none yet, the initialiser does not run.
    ///
    /// # Panics
    /// If the value is borrowed, or has been destroyed already.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with_first(RefCell::new(value), |unused, cell| {
            if let Some(value) = unused {
                // The old value is dropped after the borrow has ended: its destructor may want to use the key.
                drop(cell.replace(value.into_inner()));
            }
        });
    }

    /// Takes the value and leaves the default in its place.
    ///
    /// # Panics
    /// If the value is borrowed, or has been destroyed already.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Puts `value` in and gives the old one back.
    ///
    /// # Panics
    /// If the value is borrowed, or has been destroyed already.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// A goroutine-local value was used after it had been destroyed, which happens only while its goroutine ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessError")
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already destroyed")
    }
}

impl Error for AccessError {}

#[cold]
#[track_caller]
fn panic_destroyed(error: AccessError) -> ! {
    panic!("cannot access a goroutine-local value during or after its destruction: {error}")
}

/// The values of one goroutine, by key index.
struct Table {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Alive {
        value: NonNull<()>,
        free: Free,
    },
    /// Was alive; its goroutine is ending.
    Destroyed,
}

/// How a value is freed: [`free`] of its type.
type Free = unsafe fn(NonNull<()>);

/// Drops the box behind a slot's value.
///
/// # Safety
/// `value` came from a leaked `Box<T>`, is in no slot any more, and is not used afterwards.
unsafe fn free<T>(value: NonNull<()>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(value.cast::<T>().as_ptr()) });
}

/// Destroys all values of a goroutine, on that goroutine, as the last thing that runs there. Destructors may use other
/// keys, even for the first time: the rounds go on until nothing is alive. A destructor that panics ends the process,
/// as std's thread-locals do: there is no frame left that could catch it.
///
/// # Safety
/// `table` is the current goroutine's table, no `with` of it is on the stack, and it is not used afterwards except
/// through [`home`] while this call runs.
unsafe fn destroy(table: NonNull<Table>) {
    let bomb = Abort;
    let next = || {
        // SAFETY: the caller's promise; the borrow ends with the call, before a destructor runs (invariant 4).
        unsafe { (*table.as_ptr()).take_last_alive() }
    };
    while let Some((value, free)) = next() {
        // SAFETY: the value has left its slot just now, and no `with` is on the stack.
        unsafe { free(value) };
    }
    std::mem::forget(bomb);
}

impl Table {
    fn take_last_alive(&mut self) -> Option<(NonNull<()>, Free)> {
        self.slots.iter_mut().rev().find_map(|slot| match *slot {
            Slot::Alive { value, free } => {
                *slot = Slot::Destroyed;
                Some((value, free))
            }
            _ => None,
        })
    }
}

struct Abort;

impl Drop for Abort {
    fn drop(&mut self) {
        gort_core::stderr::write(b"fatal error: a goroutine-local value panicked on drop\n");
        std::process::abort();
    }
}

/// Where the address of the current goroutine's table is kept: in the goroutine, or on a plain OS thread in a
/// thread-local. The addresses leave these functions by value, and the functions are never inlined: nothing of the
/// place they came from can be kept across a change of thread.
mod home {
    use std::cell::Cell;
    use std::ptr::{self, NonNull};
    use std::sync::Once;

    use gort_core::{park, spawn};

    use super::{AccessError, Table, destroy};

    pub(super) enum Place {
        None,
        Table(NonNull<Table>),
        /// The table has been destroyed: its thread is ending.
        Gone,
    }

    thread_local! {
        /// A plain OS thread's table, or null, or [`GONE`]. Without a destructor, so that it can be read while the
        /// thread's own locals go away.
        static TABLE: Cell<*mut Table> = const { Cell::new(ptr::null_mut()) };
        static AT_EXIT: AtExit = const { AtExit };
    }

    const GONE: *mut Table = ptr::without_provenance_mut(align_of::<Table>());

    struct AtExit;

    impl Drop for AtExit {
        fn drop(&mut self) {
            let table = TABLE.get();
            if !table.is_null() {
                // SAFETY: a thread's locals are destroyed when no frame of its own is left; the table is this thread's,
                // from `make`, and the next statement ends its being found.
                unsafe { end(table.cast()) };
                TABLE.set(GONE);
            }
        }
    }

    #[inline(never)]
    pub(super) fn table() -> Place {
        let table = match park::locals_slot() {
            // SAFETY: the slot is in the goroutine that runs this very code; goroutines are never freed.
            Some(slot) => unsafe { slot.as_ref() }.get().cast(),
            None => TABLE.get(),
        };
        match table {
            GONE => Place::Gone,
            table => NonNull::new(table).map_or(Place::None, Place::Table),
        }
    }

    #[inline(never)]
    pub(super) fn table_or_make() -> Result<NonNull<Table>, AccessError> {
        match table() {
            Place::Table(table) => Ok(table),
            Place::Gone => Err(AccessError(())),
            Place::None => make(),
        }
    }

    fn make() -> Result<NonNull<Table>, AccessError> {
        /// The core has been told who destroys tables.
        static END: Once = Once::new();
        let table = || NonNull::from(Box::leak(Box::new(Table { slots: Vec::new() })));
        match park::locals_slot() {
            Some(slot) => {
                END.call_once(|| spawn::set_locals_end(end));
                let table = table();
                // SAFETY: as in `table`; nothing in between has parked.
                unsafe { slot.as_ref() }.set(table.as_ptr().cast());
                Ok(table)
            }
            None => {
                // A thread whose locals are going away can not be asked to destroy another one.
                AT_EXIT.try_with(|_| ()).map_err(|_| AccessError(()))?;
                let table = table();
                TABLE.set(table.as_ptr());
                Ok(table)
            }
        }
    }

    /// Destroys and frees the table of a goroutine or thread that ends, on it.
    ///
    /// # Safety
    /// `table` is the current one's, from `make`; no `with` is on the stack; it is not looked for after the return.
    unsafe fn end(table: *mut ()) {
        let table = table.cast::<Table>();
        // SAFETY: the caller's promise; a table found is not null.
        unsafe { destroy(NonNull::new_unchecked(table)) };
        // SAFETY: boxed in `make`, and nobody finds it any more.
        drop(unsafe { Box::from_raw(table) });
    }
}
