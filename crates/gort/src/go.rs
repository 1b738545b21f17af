//! Starting goroutines, joining them, and what becomes of their panics. Makes no scheduling choice.
//!
//! A goroutine that can be joined shares a [`Packet`] with its handle:
//! ```text
//!              goroutine ends                    join, or drop of the handle, takes the result
//!   RUNNING ───────────────────────────► DONE
//!      │ join parks                        ▲
//!      └────────► AWAITED ─────────────────┘ and the goroutine readies the joiner
//! ```
//! Invariants:
//! 1. The result is written by the goroutine before DONE (Release) and taken by the handle after it saw DONE (Acquire).
//! 2. The joiner's sleeper is written before AWAITED (Release) and read by the goroutine after its swap (Acquire).

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::Result;

use gort_core::ids::{GoroutineId, WaitReason};
use gort_core::park::{self, Sleeper};
use gort_core::spawn::{self, Origin, Spec};

use crate::panic_policy;

/// Starts a goroutine that runs `f`; Go's `go` statement.
///
/// The new goroutine is runnable at once. Dropping the handle detaches it: it runs on, and its result is dropped.
///
/// # Panics
/// Outside the runtime, and when there is no memory for another stack; [`Builder::go`] returns these as errors.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     let handle = gort::go(|| 6 * 7);
///     assert_eq!(handle.join().unwrap(), 42);
/// }
/// ```
#[inline(always)]
#[track_caller]
pub fn go<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let origin = Origin { pc: gort_core::here!(), at: Location::caller() };
    Builder::new().start(origin, f).unwrap_or_else(|error| refused(&error))
}

/// `go` as a statement: starts a goroutine that evaluates the expression, or the block, and detaches it.
///
/// Captured variables move into the goroutine, as into `go(move || ..)`.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     let (tx, rx) = gort::chan(0);
///     let tx2 = tx.clone();
///     gort::go!(tx.send("expression").unwrap());
///     gort::go! {
///         let word = "block";
///         tx2.send(word).unwrap();
///     }
///     let mut got: Vec<_> = rx.iter().collect();
///     got.sort();
///     assert_eq!(got, ["block", "expression"]);
/// }
/// ```
#[macro_export]
macro_rules! go {
    ($($body:tt)*) => { $crate::__rt::detached(move || { $($body)* }) };
}

/// Starts a goroutine that nobody can join.
#[inline(always)]
#[track_caller]
pub fn detached<T>(f: impl FnOnce() -> T + Send + 'static) {
    let origin = Origin { pc: gort_core::here!(), at: Location::caller() };
    let spec = Spec { name: None, stack_bytes: None, origin };
    // SAFETY: `f` borrows nothing.
    let started = unsafe {
        spawn::spawn(spec, move || {
            let ended = catch_unwind(AssertUnwindSafe(|| drop(f())));
            if let Err(payload) = ended {
                panic_policy::unjoined(payload);
            }
        })
    };
    if let Err(error) = started {
        refused(&error)
    }
}

#[cold]
#[track_caller]
fn refused(error: &io::Error) -> ! {
    panic!("{error}")
}

/// How a goroutine is to be started, if not the usual way: with a name, or with more stack.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let handle = gort::Builder::new().name("digger").stack_size(8 << 20).go(|| "deep")?;
///     assert_eq!(handle.name(), Some("digger"));
///     assert_eq!(handle.join().unwrap(), "deep");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Arc<str>>,
    stack_size: Option<usize>,
}

impl Builder {
    /// A goroutine without a name, with a stack of the usual size.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the goroutine, for dumps (which show the first 24 bytes) and [`JoinHandle::name`].
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into().into());
        self
    }

    /// Asks for a stack of at least `bytes`, between 64 KiB and 1 GiB; it is rounded up to a power of two. Memory is
    /// used only as far as the goroutine goes down.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Starts a goroutine that runs `f`.
    ///
    /// # Errors
    /// `InvalidInput` for a stack size out of range, `OutOfMemory` if there is no address space for the stack,
    /// `NotConnected` outside the runtime.
    #[inline(always)]
    #[track_caller]
    pub fn go<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let origin = Origin { pc: gort_core::here!(), at: Location::caller() };
        self.start(origin, f)
    }

    #[inline]
    fn start<F, T>(self, origin: Origin, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let packet = Arc::new(Packet::new(self.name));
        // SAFETY: `f` and the packet's type borrow nothing.
        let id = unsafe { start(&packet, self.stack_size, origin, f, || ())? };
        Ok(JoinHandle { packet, id })
    }
}

/// Starts a goroutine that leaves the result of `f` in the packet and then runs `after`.
///
/// # Safety
/// What `f`, `after` and the packet borrow outlives the goroutine.
#[inline]
pub(crate) unsafe fn start<F, T>(
    packet: &Arc<Packet<T>>,
    stack_bytes: Option<usize>,
    origin: Origin,
    f: F,
    after: impl FnOnce() + Send,
) -> io::Result<GoroutineId>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    if let Some(bytes) = stack_bytes {
        crate::runtime::check_stack_size(bytes)?;
    }
    let spec = Spec { name: packet.name.as_deref(), stack_bytes, origin };
    let theirs = Arc::clone(packet);
    // SAFETY: the caller's promise.
    unsafe {
        spawn::spawn(spec, move || {
            let result = catch_unwind(AssertUnwindSafe(f));
            // Whoever joins finds the goroutine-locals destroyed, as with threads.
            spawn::end_locals();
            theirs.complete(result);
            drop(theirs);
            after();
        })
    }
}

/// A goroutine that can be joined. Dropping it detaches the goroutine.
pub struct JoinHandle<T> {
    packet: Arc<Packet<T>>,
    id: GoroutineId,
}

impl<T> JoinHandle<T> {
    /// Waits for the goroutine to end, and returns what its function returned.
    ///
    /// Parks the calling goroutine (or blocks the calling OS thread).
    ///
    /// # Errors
    /// The payload of its panic; [`Goexit`] if it ended by [`goexit`].
    pub fn join(self) -> Result<T> {
        self.packet.wait();
        self.packet.take().expect("a goroutine that has ended left a result")
    }

    /// Whether the goroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.packet.is_done()
    }

    /// Its id.
    pub fn id(&self) -> GoroutineId {
        self.id
    }

    /// The name given by the builder.
    pub fn name(&self) -> Option<&str> {
        self.packet.name.as_deref()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id).field("name", &self.name()).finish_non_exhaustive()
    }
}

const RUNNING: u8 = 0;
const AWAITED: u8 = 1;
const DONE: u8 = 2;

/// What a goroutine and its handle share.
pub(crate) struct Packet<T> {
    state: AtomicU8,
    joiner: UnsafeCell<Option<Sleeper>>,
    result: UnsafeCell<Option<Result<T>>>,
    name: Option<Arc<str>>,
    /// Told of a panic that nobody took.
    scope: Option<Arc<dyn Fn(Box<dyn Any + Send>) + Send + Sync>>,
}

// SAFETY: the cells change hands by `state` (invariants 1 and 2); a `T` goes from the goroutine to the joiner.
unsafe impl<T: Send> Sync for Packet<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Packet<T> {}

impl<T> Packet<T> {
    pub(crate) fn new(name: Option<Arc<str>>) -> Packet<T> {
        Packet {
            state: AtomicU8::new(RUNNING),
            joiner: UnsafeCell::new(None),
            result: UnsafeCell::new(None),
            name,
            scope: None,
        }
    }

    pub(crate) fn with_scope(scope: Arc<dyn Fn(Box<dyn Any + Send>) + Send + Sync>) -> Packet<T> {
        let mut packet = Packet::new(None);
        packet.scope = Some(scope);
        packet
    }

    /// The goroutine's last word.
    fn complete(&self, result: Result<T>) {
        // SAFETY: invariant 1: nobody looks before DONE.
        unsafe { *self.result.get() = Some(result) };
        // Release: invariant 1. Acquire: invariant 2.
        if self.state.swap(DONE, Ordering::AcqRel) == AWAITED {
            // SAFETY: invariant 2; the joiner is parked and waits for this one wake-up.
            let joiner = unsafe { (*self.joiner.get()).take() };
            park::ready(joiner.expect("an awaited packet has a joiner"));
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        // Acquire: invariant 1.
        self.state.load(Ordering::Acquire) == DONE
    }

    pub(crate) fn wait(&self) {
        if self.is_done() {
            return;
        }
        let me = park::current();
        // SAFETY: a packet has one handle, so one joiner; the goroutine does not look before AWAITED.
        unsafe { *self.joiner.get() = Some(me) };
        park::park(WaitReason::Join, || {
            // Release: invariant 2. Failing means DONE: the goroutine will not ready us any more.
            let waiting =
                self.state.compare_exchange(RUNNING, AWAITED, Ordering::Release, Ordering::Relaxed).is_ok();
            if !waiting {
                park::ready(me);
            }
        });
        // Acquire: invariant 1 (we may have been told by a failed exchange).
        let _done = self.state.load(Ordering::Acquire);
    }

    /// The result, if the goroutine has ended and nobody took it yet.
    pub(crate) fn take(&self) -> Option<Result<T>> {
        if !self.is_done() {
            return None;
        }
        // SAFETY: invariant 1; only the one handle, or the last owner, calls this.
        unsafe { (*self.result.get()).take() }
    }
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        if let Some(Err(payload)) = self.result.get_mut().take() {
            match &self.scope {
                Some(scope) => scope(payload),
                None => panic_policy::unjoined(payload),
            }
        }
    }
}

/// What [`JoinHandle::join`] returns as the error of a goroutine that ended by [`goexit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goexit;

impl fmt::Display for Goexit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the goroutine ended by goexit")
    }
}

impl std::error::Error for Goexit {}

/// Ends the calling goroutine, and no other: Go's `runtime.Goexit`. Destructors of everything on its stack run.
///
/// Works by unwinding, without a panic message. Code that catches panics (`catch_unwind`) catches this as well; it
/// should pass it on with `resume_unwind`. If the main goroutine ends this way the others go on, and when the last has
/// ended the process ends with Go's `no goroutines (main called runtime.Goexit) - deadlock!`.
///
/// # Panics
/// Outside of a goroutine.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     let ended = gort::go(|| gort::goexit()).join();
///     assert!(ended.unwrap_err().is::<gort::Goexit>());
/// }
/// ```
#[track_caller]
pub fn goexit() -> ! {
    assert!(park::on_goroutine(), "{}", gort_core::NO_RUNTIME);
    resume_unwind(Box::new(Goexit))
}

/// Lets other goroutines run, and goes on later: Go's `runtime.Gosched`. On a plain OS thread it yields the thread.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate), maxprocs = 1)]
/// fn main() {
///     let other = gort::go(|| ());
///     while !other.is_finished() {
///         gort::gosched();
///     }
/// }
/// ```
pub fn gosched() {
    park::yield_now();
}
