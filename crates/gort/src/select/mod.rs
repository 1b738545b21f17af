//! Select: wait for several channel operations at once, do exactly one.
//!
//! Two faces, one engine: the macros [`select!`](crate::select!) and [`select_biased!`](crate::select_biased!) for cases
//! that are known when the program is written, [`Select`] for those that are not.
//!
//! Rooms: `engine` decides, `order` says in which order it asks and locks, `payload` is where a received value waits for
//! its type, `chosen` is the operation that was decided for, `macros` the syntax. None of them knows what a channel looks
//! like inside; they see its `Case`.

mod chosen;
mod engine;
mod macros;
mod order;
mod payload;

use std::fmt;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::park;

use crate::channel::{
    AT_ONCE, ReadyTimeoutError, Receiver, SelectTimeoutError, Sender, TryReadyError, TrySelectError,
};
use crate::waitq::Node;
use engine::{MAX_CASES, Scratch, Terms};

pub use chosen::{Chosen, Held, SelectedOperation};
pub use engine::Arm;
pub use payload::Payload;

/// A select over a list of operations that is made at run time.
///
/// Add operations with [`send`](Select::send) and [`recv`](Select::recv); each gets a number, counted from 0. Then choose
/// one that can proceed, a random one if there are several, and complete it:
///
/// ```
/// use gort::channel::{Select, unbounded};
///
/// let (tx, rx) = unbounded();
/// let (_tx2, rx2) = unbounded::<u8>();
/// let (tx3, _rx3) = gort::chan(0);
/// tx.send(7).unwrap();
///
/// let mut select = Select::new();
/// let first = select.recv(&rx);
/// let second = select.recv(&rx2);
/// let third = select.send(&tx3);
/// let operation = select.select();
/// match operation.index() {
///     n if n == first => assert_eq!(operation.recv(&rx), Ok(7)),
///     n if n == second => unreachable!("{:?}", operation.recv(&rx2)),
///     n if n == third => operation.send(&tx3, 8).unwrap(),
///     _ => unreachable!(),
/// }
/// ```
///
/// Or wait with [`ready`](Select::ready) until one of them can *probably* proceed, and then try it.
///
/// A `Select` can be used again and again, and can have thousands of cases; up to 16 it allocates only for the list.
/// Go's counterpart is `reflect.Select`.
///
/// # Panics
/// [`select`](Select::select) and [`ready`](Select::ready) panic if no operation was added. Adding more than 65,536 panics
/// with `Select: too many cases (max 65536)`.
pub struct Select<'a> {
    arms: Vec<Arm<'a>>,
    /// The number of each arm.
    numbers: Vec<usize>,
    next_number: usize,
    biased: bool,
    /// Kept for the next time if there are more cases than fit on the stack. Empty between selects.
    nodes: Vec<MaybeUninit<Node>>,
    orders: Vec<u16>,
}

// SAFETY: what a `Select` does by itself with a channel of `T` moves bytes of values, under the channel's lock, and never
// looks at, drops or gives out a `T`; for that one needs a `Sender<T>` or `Receiver<T>` at hand, and the compiler sees
// whether they may be there. The nodes hold nothing between calls.
unsafe impl Send for Select<'_> {}
// SAFETY: as above; all that is done through `&Select` is to copy the list.
unsafe impl Sync for Select<'_> {}

/// Cases for which a select has room in its frame.
const FEW: usize = 16;

impl<'a> Select<'a> {
    /// A select without operations.
    pub fn new() -> Select<'a> {
        Select::with(false)
    }

    /// A select that chooses the first of several operations that can proceed, and not a random one.
    pub fn new_biased() -> Select<'a> {
        Select::with(true)
    }

    fn with(biased: bool) -> Select<'a> {
        Select {
            arms: Vec::new(),
            numbers: Vec::new(),
            next_number: 0,
            biased,
            nodes: Vec::new(),
            orders: Vec::new(),
        }
    }

    /// Adds a send, and gives its number.
    #[track_caller]
    pub fn send<T>(&mut self, tx: &'a Sender<T>) -> usize {
        self.add(Arm::send(tx))
    }

    /// Adds a receive, and gives its number.
    #[track_caller]
    pub fn recv<T>(&mut self, rx: &'a Receiver<T>) -> usize {
        self.add(Arm::recv(rx))
    }

    #[track_caller]
    fn add(&mut self, arm: Arm<'a>) -> usize {
        assert!(self.arms.len() < MAX_CASES, "Select: too many cases (max {MAX_CASES})");
        let number = self.next_number;
        self.next_number += 1;
        self.arms.push(arm);
        self.numbers.push(number);
        number
    }

    /// Takes an operation out, by its number. The numbers of the others stay as they are, and it is not used again.
    ///
    /// # Panics
    /// If there is no operation of that number.
    #[track_caller]
    pub fn remove(&mut self, number: usize) {
        // Numbers are given in rising order and `remove` keeps the order, so they are sorted.
        let Ok(at) = self.numbers.binary_search(&number) else {
            panic!("Select: no operation has the number {number}")
        };
        self.arms.remove(at);
        self.numbers.remove(at);
    }

    /// Chooses an operation that can proceed right now.
    ///
    /// # Errors
    /// If there is none.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.choose(AT_ONCE).ok_or(TrySelectError)
    }

    /// Chooses an operation that can proceed. Parks until there is one.
    ///
    /// # Panics
    /// If no operation was added.
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        self.assert_not_empty();
        self.choose(Moment::NEVER).expect("without a deadline a select ends by a choice")
    }

    /// Chooses an operation that can proceed, waiting for `timeout` at the longest. (A value that another select has chosen to
    /// send here is waited for until it has been computed.)
    ///
    /// # Errors
    /// If the time is up.
    pub fn select_timeout(&mut self, timeout: Duration) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Moment::after(timeout)).ok_or(SelectTimeoutError)
    }

    /// Chooses an operation that can proceed, waiting until `deadline` at the longest.
    ///
    /// # Errors
    /// If the time is up.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Moment::from(deadline)).ok_or(SelectTimeoutError)
    }

    /// The number of an operation that can probably proceed right now. It has not begun: try it.
    ///
    /// # Errors
    /// If there is none.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.await_ready(AT_ONCE).ok_or(TryReadyError)
    }

    /// The number of an operation that can probably proceed; parks until there is one. It has not begun: try it, and come
    /// back if somebody else was faster.
    ///
    /// # Panics
    /// If no operation was added.
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        self.assert_not_empty();
        self.await_ready(Moment::NEVER).expect("without a deadline the wait ends by readiness")
    }

    /// Like [`ready`](Select::ready), waiting for `timeout` at the longest.
    ///
    /// # Errors
    /// If the time is up.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.await_ready(Moment::after(timeout)).ok_or(ReadyTimeoutError)
    }

    /// Like [`ready`](Select::ready), waiting until `deadline` at the longest.
    ///
    /// # Errors
    /// If the time is up.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.await_ready(Moment::from(deadline)).ok_or(ReadyTimeoutError)
    }

    #[track_caller]
    fn assert_not_empty(&self) {
        assert!(!self.arms.is_empty(), "no operations have been added to `Select`");
    }

    fn choose(&mut self, deadline: Moment) -> Option<SelectedOperation<'a>> {
        let terms = Terms { biased: self.biased, deadline };
        let mut payload = Payload::new();
        let (at, begun) =
            self.with_scratch(|arms, scratch| engine::choose(arms, scratch, terms, &mut payload))?;
        let chosen = Chosen::new(self.arms[at], self.numbers[at], begun, payload);
        Some(SelectedOperation::new(chosen))
    }

    fn await_ready(&mut self, deadline: Moment) -> Option<usize> {
        let terms = Terms { biased: self.biased, deadline };
        let at = self.with_scratch(|arms, scratch| engine::await_ready(arms, scratch, terms))?;
        Some(self.numbers[at])
    }

    /// Calls `f` with scratch memory: on the stack for a few cases, else kept from select to select.
    fn with_scratch<R>(&mut self, f: impl FnOnce(&[Arm<'a>], Scratch<'_>) -> R) -> R {
        let len = self.arms.len();
        if len <= FEW {
            let mut memory = Memory::<FEW>::new();
            return f(&self.arms, memory.split(len).0);
        }
        self.nodes.resize_with(len, MaybeUninit::uninit);
        self.orders.clear();
        self.orders.extend((0..len).map(|case| case as u16));
        self.orders.resize(2 * len, 0);
        let (polls, locks) = self.orders.split_at_mut(len);
        f(&self.arms, Scratch { nodes: &mut self.nodes[..len], polls, locks })
    }
}

impl Clone for Select<'_> {
    /// The same operations with the same numbers.
    fn clone(&self) -> Self {
        Select {
            arms: self.arms.clone(),
            numbers: self.numbers.clone(),
            next_number: self.next_number,
            ..Select::with(self.biased)
        }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Select::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}

/// Scratch memory in a frame.
#[doc(hidden)]
pub struct Memory<const N: usize> {
    payload: Payload,
    nodes: [MaybeUninit<Node>; N],
    polls: [u16; N],
    locks: [u16; N],
}

impl<const N: usize> Memory<N> {
    /// Memory for `N` cases.
    #[allow(clippy::new_without_default)]
    #[inline]
    pub fn new() -> Memory<N> {
        Memory {
            payload: Payload::new(),
            nodes: [const { MaybeUninit::uninit() }; N],
            polls: std::array::from_fn(|case| case as u16),
            locks: [0; N],
        }
    }

    #[inline]
    fn split(&mut self, len: usize) -> (Scratch<'_>, &mut Payload) {
        let scratch = Scratch {
            nodes: &mut self.nodes[..len],
            polls: &mut self.polls[..len],
            locks: &mut self.locks[..len],
        };
        (scratch, &mut self.payload)
    }
}

// ---- What the macros call ----

/// What a macro's select has chosen.
#[doc(hidden)]
pub type Choice<'any> = Chosen<'any, &'any mut Payload>;

/// Chooses one of the macro's cases. Each function below erases the lifetime of the arms, so that the body of a case may
/// move the ends of the channels.
///
/// # Safety
/// The ends behind `arms`, and `memory`, outlive the `Choice`.
#[inline]
pub unsafe fn block<'any, const N: usize>(
    arms: &[Arm<'_>; N],
    biased: bool,
    memory: &mut Memory<N>,
) -> Choice<'any> {
    // SAFETY: the caller's promise.
    match unsafe { until(arms, biased, memory, Moment::NEVER) } {
        Some(chosen) => chosen,
        None => unreachable!("without a deadline a select ends by a choice"),
    }
}

/// The same with a default case.
///
/// # Safety
/// As for [`block`].
#[inline]
pub unsafe fn poll<'any, const N: usize>(
    arms: &[Arm<'_>; N],
    biased: bool,
    memory: &mut Memory<N>,
) -> Option<Choice<'any>> {
    // SAFETY: the caller's promise.
    unsafe { until(arms, biased, memory, AT_ONCE) }
}

/// The same with a default case after a while.
///
/// # Safety
/// As for [`block`].
#[inline]
pub unsafe fn block_for<'any, const N: usize>(
    arms: &[Arm<'_>; N],
    biased: bool,
    memory: &mut Memory<N>,
    timeout: Duration,
) -> Option<Choice<'any>> {
    // SAFETY: the caller's promise.
    unsafe { until(arms, biased, memory, Moment::after(timeout)) }
}

/// # Safety
/// As for [`block`].
#[inline]
unsafe fn until<'any, const N: usize>(
    arms: &[Arm<'_>; N],
    biased: bool,
    memory: &mut Memory<N>,
    deadline: Moment,
) -> Option<Choice<'any>> {
    let terms = Terms { biased, deadline };
    let (scratch, payload) = memory.split(N);
    let (at, begun) = engine::choose(arms, scratch, terms, payload)?;
    let chosen = Chosen::new(arms[at], at, begun, payload);
    // SAFETY: only lifetimes change, and the caller promises that both are long enough.
    Some(unsafe { std::mem::transmute::<Chosen<'_, &mut Payload>, Choice<'any>>(chosen) })
}

/// A select without any case: Go's `select {}`.
#[cold]
pub fn for_ever() -> ! {
    loop {
        park::park(WaitReason::SelectNoCases, || {});
    }
}

/// A select with a default after a while, and nothing else.
#[cold]
pub fn pass(timeout: Duration) {
    let claim = Claim::new();
    park::park_until(WaitReason::SelectNoCases, Moment::after(timeout), &claim, || {});
}
