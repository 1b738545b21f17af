//! Starting goroutines, joining them, and what becomes of their panics. Makes no scheduling choice.
//!
//! A goroutine that can be joined shares a [`Packet`] with its handle. Its state is a set of marks, each set once:
//! ```text
//!   DONE      by the goroutine: the result is there, it will not touch the packet again
//!   AWAITED   by the handle: the joiner is parked, and wants to be readied
//!   DETACHED  by the handle: it will not touch the packet again
//! ```
//! Invariants:
//! 1. The result is written before DONE (Release) and taken by who saw DONE (Acquire).
//! 2. The joiner's sleeper is written before AWAITED (Release) and read by the goroutine after it saw AWAITED (Acquire).
//! 3. Of DONE and DETACHED the one that comes second frees the packet; a handle that has joined frees it without a mark.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, needs_drop};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::Result;

use gort_core::ids::{GoroutineId, WaitReason};
use gort_core::park::{self, Sleeper};
use gort_core::spawn::{self, Origin, Spec};

use crate::panic_policy::{self, Goexit};

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
    match Builder::new().start(origin, f) {
        Ok(handle) => handle,
        Err(error) => refused(&error),
    }
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

/// The calling goroutine has done its work and is about to tell somebody, who may expect that its goroutine-locals are
/// destroyed by then and that it is not counted any more.
pub(crate) fn about_to_tell() {
    spawn::leave();
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
        if let Some(bytes) = self.stack_size {
            crate::runtime::check_stack_size(bytes)?;
        }
        let belongs = self.name.map_or(Belongs::Nowhere, Belongs::Name);
        // SAFETY: `f` and the packet's type borrow nothing.
        let (end, id) = unsafe { start(belongs, self.stack_size, origin, f, || ())? };
        Ok(JoinHandle { end, id })
    }
}

/// Starts a goroutine that leaves the result of `f` in a packet and then runs `after`. Returns the joiner's end.
///
/// # Safety
/// What `f`, its result and `after` borrow outlives the goroutine.
#[inline]
pub(crate) unsafe fn start<F, T>(
    belongs: Belongs,
    stack_bytes: Option<usize>,
    origin: Origin,
    f: F,
    after: impl FnOnce() + Send,
) -> io::Result<(JoinEnd<T>, GoroutineId)>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let (ours, theirs) = packet(belongs);
    let spec = Spec { name: ours.name(), stack_bytes, origin };
    // SAFETY: the caller's promise.
    let id = unsafe {
        spawn::spawn(spec, move || {
            let result = catch_unwind(AssertUnwindSafe(f));
            // Asked only where it makes a difference.
            if needs_drop::<T>() && theirs.is_detached() {
                theirs.forget(result);
            } else {
                about_to_tell();
                theirs.complete(result);
            }
            after();
        })
    }?;
    Ok((ours, id))
}

/// A goroutine that can be joined. Dropping it detaches the goroutine.
pub struct JoinHandle<T> {
    end: JoinEnd<T>,
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

    /// The name given by the builder.
    pub fn name(&self) -> Option<&str> {
        self.end.name()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id).field("name", &self.name()).finish_non_exhaustive()
    }
}

const DONE: u8 = 1;
const AWAITED: u8 = 2;
const DETACHED: u8 = 4;

/// Whom a goroutine's result concerns, besides its joiner.
pub(crate) enum Belongs {
    Nowhere,
    Name(Arc<str>),
    /// A scope, which is told of a panic that nobody joined.
    Scope(Arc<dyn PanicKeeper>),
}

/// Is told of a panic that nobody joined.
pub(crate) trait PanicKeeper: Send + Sync {
    fn keep(&self, payload: Box<dyn Any + Send>);
}

/// What a goroutine and its handle share.
struct Packet<T> {
    state: AtomicU8,
    joiner: UnsafeCell<Option<Sleeper>>,
    result: UnsafeCell<Option<Result<T>>>,
    belongs: Belongs,
}

/// The handle's end of a packet. Dropping it detaches the goroutine.
pub(crate) struct JoinEnd<T> {
    packet: NonNull<Packet<T>>,
    owns: PhantomData<Packet<T>>,
}

/// The goroutine's end of a packet. Dropped without a result (the goroutine never started) it just lets go.
struct RunEnd<T> {
    packet: NonNull<Packet<T>>,
    owns: PhantomData<Packet<T>>,
}

// SAFETY: the cells change hands by `state` (invariants 1 and 2); a `T` goes from the goroutine to the joiner.
unsafe impl<T: Send> Send for JoinEnd<T> {}
// SAFETY: by reference one can only ask whether it is done, and for the name.
unsafe impl<T: Send> Sync for JoinEnd<T> {}
// SAFETY: as for the other end.
unsafe impl<T: Send> Send for RunEnd<T> {}

fn packet<T>(belongs: Belongs) -> (JoinEnd<T>, RunEnd<T>) {
    let packet = NonNull::from(Box::leak(Box::new(Packet {
        state: AtomicU8::new(0),
        joiner: UnsafeCell::new(None),
        result: UnsafeCell::new(None),
        belongs,
    })));
    (JoinEnd { packet, owns: PhantomData }, RunEnd { packet, owns: PhantomData })
}

impl<T> Packet<T> {
    /// Deals with a result that nobody takes. If its drop panics that counts as a panic of the goroutine, which is the
    /// calling one if `own`.
    #[cold]
    #[inline(never)]
    fn untaken(&self, result: Result<T>, own: bool) {
        let unwound = match result {
            Ok(value) => catch_unwind(AssertUnwindSafe(|| drop(value))).err(),
            Err(payload) => Some(payload),
        };
        match (unwound, &self.belongs) {
            (None, _) => (),
            (Some(payload), Belongs::Scope(scope)) => scope.keep(payload),
            (Some(payload), _) if own => panic_policy::unjoined(payload),
            (Some(payload), _) => panic_policy::unjoined_of(payload, None),
        }
    }
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        // (Not in the ends' own drops: those are part of every goroutine's end, which took a tenth longer then.)
        let Some(result) = self.result.get_mut().take() else { return };
        self.untaken(result, true);
    }
}

impl<T> RunEnd<T> {
    /// Whether it is known by now that nobody will take the result. (If the handle goes after this look and before DONE, the
    /// result is dropped after the goroutine's locals, with the packet.)
    #[inline]
    fn is_detached(&self) -> bool {
        // SAFETY: invariant 3: the packet is there until this end is done.
        // Relaxed: nothing is read that was written before the mark.
        unsafe { self.packet.as_ref() }.state.load(Ordering::Relaxed) & DETACHED != 0
    }

    /// The end of a goroutine whose result nobody will take: it is dropped while the goroutine still counts and has its
    /// locals.
    #[cold]
    #[inline(never)]
    fn forget(self, result: Result<T>) {
        // SAFETY: invariant 3: the packet is there until this end is done.
        unsafe { self.packet.as_ref() }.untaken(result, true);
        about_to_tell();
    }

    /// The goroutine's last word.
    fn complete(self, result: Result<T>) {
        // SAFETY: invariant 1: nobody looks before DONE, which is not set yet. Invariant 3: the packet is there.
        unsafe { *self.packet.as_ref().result.get() = Some(result) };
        // The drop sets DONE.
    }
}

impl<T> Drop for RunEnd<T> {
    fn drop(&mut self) {
        // SAFETY: invariant 3: the packet is there until this end is done.
        let packet = unsafe { self.packet.as_ref() };
        // Release: invariant 1. Acquire: invariants 2 and 3.
        let before = packet.state.fetch_or(DONE, Ordering::AcqRel);
        if before & AWAITED != 0 {
            // SAFETY: invariant 2; the joiner is parked and waits for this one wake-up, which ends our use of the packet.
            let joiner = unsafe { (*packet.joiner.get()).take() };
            // Behind the others: who joins one of many would only find the next of them not done yet.
            // SAFETY: as above: the one wake-up.
            unsafe { park::ready_last(joiner.expect("an awaited packet has a joiner")) };
        } else if before & DETACHED != 0 {
            // SAFETY: invariant 3: we come second.
            drop(unsafe { Box::from_raw(self.packet.as_ptr()) });
        }
    }
}

impl<T> JoinEnd<T> {
    fn shared(&self) -> &Packet<T> {
        // SAFETY: invariant 3: the packet is there until this end is detached or has joined, which takes it by value.
        unsafe { self.packet.as_ref() }
    }

    pub(crate) fn is_done(&self) -> bool {
        // Acquire: invariant 1.
        self.shared().state.load(Ordering::Acquire) & DONE != 0
    }

    fn name(&self) -> Option<&str> {
        match &self.shared().belongs {
            Belongs::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Waits for the goroutine to end and takes its result.
    pub(crate) fn join(self) -> Result<T> {
        if !self.is_done() {
            self.wait();
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: invariant 3: the goroutine is done, and this end joins: the packet is ours.
        let mut packet = unsafe { Box::from_raw(this.packet.as_ptr()) };
        packet.result.get_mut().take().expect("a goroutine that has ended left a result")
    }

    fn wait(&self) {
        let packet = self.shared();
        let me = park::current();
        // SAFETY: a packet has one joiner; the goroutine does not look before AWAITED.
        unsafe { *packet.joiner.get() = Some(me) };
        park::park(WaitReason::Join, || {
            // Release: invariant 2. Acquire: invariant 1, if it was done meanwhile; then it will not ready us.
            if packet.state.fetch_or(AWAITED, Ordering::AcqRel) & DONE != 0 {
                // SAFETY: the goroutine has seen nobody who waits; the one wake-up is ours.
                unsafe { park::ready(me) };
            }
        });
        // Acquire: invariant 1: the goroutine that woke us set DONE before.
        debug_assert!(self.is_done());
        let _done = packet.state.load(Ordering::Acquire);
    }
}

impl<T> Drop for JoinEnd<T> {
    fn drop(&mut self) {
        // AcqRel: invariants 1 and 3.
        if self.shared().state.fetch_or(DETACHED, Ordering::AcqRel) & DONE != 0 {
            // SAFETY: invariant 3: we come second.
            let mut packet = unsafe { Box::from_raw(self.packet.as_ptr()) };
            if let Some(result) = packet.result.get_mut().take() {
                // (Its goroutine is no more, and ours is another one.)
                packet.untaken(result, false);
            }
        }
    }
}

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
