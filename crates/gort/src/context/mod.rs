//! Contexts: when to give up, why, and what a request carries along. Go's `context`.
//!
//! A [`Context`] is a handle to a node of a tree that grows downwards: each `with_` call makes a node below its
//! receiver's. Cancelling a node is synchronous and reaches everything below it. Values are looked up the other
//! way, from the node towards the root.
//!
//! ```text
//!   background()                       nothing, not even a node
//!    └─ .with_value(User)              a value
//!        └─ .with_timeout(1 s)         a scope with a deadline
//!            ├─ .with_cancel()         a scope
//!            ├─ .after_func(f)         a scope that runs f when it is cancelled
//!            └─ .without_cancel()      a wall: values pass, cancellation does not
//! ```
//!
//! This file is the public face; nodes, their cancellation and its invariants live in `tree`. No goroutine runs on
//! behalf of a context: a deadline is an alarm, and a cancellation runs where it was asked for.

mod children;
mod tree;

use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gort_core::env::Moment;

use self::tree::{Cause, Kind, Label, Node};
use crate::channel::Receiver;
use crate::signame::Set;

/// The root of all contexts: never cancelled, without values, without deadline. Go's `context.Background`.
///
/// ```
/// let ctx = gort::context::background();
/// assert!(ctx.err().is_none() && ctx.deadline().is_none());
/// assert_eq!(ctx.to_string(), "context.Background");
/// ```
pub fn background() -> Context {
    Context(None)
}

/// A deadline, a cancellation and values for everything that works on one request: Go's `context.Context`.
///
/// A cheap handle; clones are the same context. Hand it down the calls of a request, wait for [`done`](Context::done)
/// in a `select!` beside whatever else is waited for, or look at [`err`](Context::err) between steps.
///
/// ```
/// use std::time::Duration;
/// use gort::context::{self, ContextError};
///
/// let (ctx, cancel) = context::background().with_timeout(Duration::from_secs(60));
/// let (child, _cancel_child) = ctx.with_cancel();
/// assert!(child.err().is_none());
/// cancel.cancel();
/// assert!(child.done().recv().is_err()); // closed: does not block
/// assert_eq!(child.err(), Some(ContextError::Canceled));
/// ```
///
/// `Display` shows how the context was made, as Go does: `context.Background.WithCancel`.
#[derive(Clone, Default)]
pub struct Context(Option<Arc<Node>>);

impl Context {
    /// A child that is done when the [`CancelFn`] says so, or when this context is. Go's `WithCancel`.
    ///
    /// Bind the second half to a name: `_` drops it at once, which cancels.
    pub fn with_cancel(&self) -> (Context, CancelFn) {
        self.scope(Label::Cancel, Moment::NEVER, None)
    }

    /// [`with_cancel`](Context::with_cancel) under the name of Go's `WithCancelCause`: every [`CancelFn`] can give a
    /// cause, see [`CancelFn::cancel_cause`].
    pub fn with_cancel_cause(&self) -> (Context, CancelFn) {
        self.with_cancel()
    }

    /// A child that is also done when `timeout` from now has passed. Go's `WithTimeout`.
    ///
    /// A `timeout` of zero gives a context that is done already; one so long that the clock can not count it, one
    /// without a deadline of its own.
    #[track_caller]
    pub fn with_timeout(&self, timeout: Duration) -> (Context, CancelFn) {
        self.scope(Label::Deadline, Moment::after(timeout), None)
    }

    /// As [`with_timeout`](Context::with_timeout); when the time has passed, [`cause`](Context::cause) is `cause`.
    #[track_caller]
    pub fn with_timeout_cause<E>(&self, timeout: Duration, cause: E) -> (Context, CancelFn)
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.scope(Label::Deadline, Moment::after(timeout), Some(Arc::from(cause.into())))
    }

    /// A child that is also done at `deadline`; at once if that has passed. An earlier deadline of this context
    /// counts, as ever. Go's `WithDeadline`.
    #[track_caller]
    pub fn with_deadline(&self, deadline: Instant) -> (Context, CancelFn) {
        self.scope(Label::Deadline, Moment::from(deadline), None)
    }

    /// As [`with_deadline`](Context::with_deadline); when the time has come, [`cause`](Context::cause) is `cause`.
    #[track_caller]
    pub fn with_deadline_cause<E>(&self, deadline: Instant, cause: E) -> (Context, CancelFn)
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.scope(Label::Deadline, Moment::from(deadline), Some(Arc::from(cause.into())))
    }

    /// A child that carries `value` for whoever asks it, or a context below it, for a `T`. Go's `WithValue`; the type
    /// is the key, so wrap what has a common type in one of your own.
    ///
    /// ```
    /// struct UserId(u32);
    /// let ctx = gort::context::background().with_value(UserId(7));
    /// assert_eq!(ctx.value::<UserId>().unwrap().0, 7);
    /// assert!(ctx.value::<String>().is_none());
    /// ```
    pub fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Context {
        Context(Some(Node::value(self.0.clone(), Arc::new(value), std::any::type_name::<T>())))
    }

    /// The value of type `T` that was put in last on the way from the root to here. Go's `Value`.
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.chain().find_map(|node| match node.kind() {
            Kind::Value { value, .. } if (**value).is::<T>() => Arc::clone(value).downcast::<T>().ok(),
            _ => None,
        })
    }

    /// A context with the same values that is never done: for work that outlives the request. Go's `WithoutCancel`.
    pub fn without_cancel(&self) -> Context {
        Context(Some(Node::wall(self.0.clone())))
    }

    /// Runs `f` in a goroutine of its own once this context is done; at once if it is already. Go's `AfterFunc`.
    ///
    /// The cancellation does not wait for `f`. Dropping the [`StopFn`] changes nothing; calling
    /// [`stop`](StopFn::stop) in time prevents the call. Where there is no runtime, `f` runs in a thread of its own.
    pub fn after_func<F>(&self, f: F) -> StopFn
    where
        F: FnOnce() + Send + 'static,
    {
        let node = Node::func(self.0.clone(), Box::new(f));
        tree::attach(&node);
        StopFn(node)
    }

    /// A channel that is closed when the context is done, and on which nothing is ever sent: receiving from it blocks
    /// until then. A nil channel if the context can never be done. Go's `Done`.
    pub fn done(&self) -> &Receiver<()> {
        static NEVER: Receiver<()> = Receiver::nil();
        self.nearest_scope().map_or(&NEVER, |scope| scope.done())
    }

    /// Why the context is done, or `None` as long as it is not: then [`done`](Context::done) is not closed yet, else it is. Go's
    /// `Err`.
    pub fn err(&self) -> Option<ContextError> {
        self.nearest_scope()?.told_err()
    }

    /// What whoever cancelled first gave as the cause, else the same as [`err`](Context::err); `None` as long as the
    /// context is not done. Go's `Cause`.
    ///
    /// ```
    /// let (ctx, cancel) = gort::context::background().with_cancel_cause();
    /// cancel.cancel_cause("disk full");
    /// assert_eq!(ctx.err().unwrap().to_string(), "context canceled");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "disk full");
    /// ```
    pub fn cause(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        let (err, cause) = self.nearest_scope()?.verdict()?;
        Some(cause.unwrap_or_else(|| Arc::new(err)))
    }

    /// When the context will be done at the latest, if that is known. Go's `Deadline`.
    pub fn deadline(&self) -> Option<Instant> {
        match self.nearest_scope()?.deadline() {
            Moment::NEVER => None,
            deadline => Some(deadline.to_instant()),
        }
    }

    /// A child scope as `signal::notify_context` makes it: `stop` is called whenever its [`CancelFn`] is called or dropped.
    pub(crate) fn with_signals(
        &self,
        signals: Set,
        stop: impl Fn() + Send + Sync + 'static,
    ) -> (Context, CancelFn) {
        let (context, mut cancel) = self.scope(Label::Signals(signals), Moment::NEVER, None);
        cancel.stop = Some(Box::new(stop));
        (context, cancel)
    }

    /// A child scope. The label is as in Go: a deadline that is not earlier than the parent's makes a plain scope.
    #[track_caller]
    fn scope(&self, label: Label, deadline: Moment, cause: Option<Cause>) -> (Context, CancelFn) {
        let inherited = self.nearest_scope().map_or(Moment::NEVER, |scope| scope.deadline());
        let own = label == Label::Deadline && deadline != Moment::NEVER && deadline <= inherited;
        let node = if own {
            Node::deadline(self.0.clone(), deadline, cause)
        } else {
            let plain = if label == Label::Deadline { Label::Cancel } else { label };
            let node = Node::cancel(self.0.clone(), plain, inherited);
            tree::attach(&node);
            node
        };
        (Context(Some(Arc::clone(&node))), CancelFn { node, stop: None })
    }

    /// The scope whose end is this context's.
    #[inline]
    fn nearest_scope(&self) -> Option<&tree::Scope> {
        self.0.as_ref()?.nearest_scope()
    }

    /// The nodes from here to the root.
    fn chain(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(self.0.as_deref(), |node| node.parent())
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain: Vec<&Node> = self.chain().collect();
        // Go's form for these goes around its parent's.
        for _ in chain.iter().filter(|node| node.signals().is_some()) {
            f.write_str("signal.NotifyContext(")?;
        }
        f.write_str("context.Background")?;
        chain.into_iter().rev().try_for_each(|node| match node.signals() {
            Some(signals) => write!(f, ", {signals})"),
            None => write!(f, ".{node}"),
        })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// What a panic could interrupt here runs no user code in between: no context is ever seen half changed.
impl UnwindSafe for Context {}
impl RefUnwindSafe for Context {}
impl UnwindSafe for CancelFn {}
impl RefUnwindSafe for CancelFn {}

/// Cancels a context and everything below it, when called or when dropped. Go's `CancelFunc`.
///
/// Only the first cancellation counts; later ones change nothing. When a call returns, all descendants are done, whoever
/// cancelled them.
#[must_use = "dropping it cancels the context at once"]
pub struct CancelFn {
    node: Arc<Node>,
    /// What else is to be done.
    stop: Option<Box<dyn Fn() + Send + Sync>>,
}

impl CancelFn {
    /// Cancels with [`ContextError::Canceled`].
    pub fn cancel(&self) {
        self.cancel_as(None);
    }

    /// Cancels with [`ContextError::Canceled`] and says why: [`Context::cause`] gives `cause`.
    pub fn cancel_cause<E>(&self, cause: E)
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.cancel_as(Some(Arc::from(cause.into())));
    }

    fn cancel_as(&self, cause: Option<Cause>) {
        tree::cancel(&self.node, ContextError::Canceled, cause);
        if let Some(stop) = &self.stop {
            stop();
        }
    }

    /// A second handle, whose drop changes nothing, and which does nothing but cancel.
    pub(crate) fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.node))
    }
}

impl Drop for CancelFn {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for CancelFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelFn").finish_non_exhaustive()
    }
}

/// Cancels a context for the runtime.
#[derive(Clone)]
pub(crate) struct Canceller(Arc<Node>);

impl Canceller {
    pub(crate) fn cancel(&self, cause: impl Error + Send + Sync + 'static) {
        tree::cancel(&self.0, ContextError::Canceled, Some(Arc::new(cause)));
    }
}

/// Takes back what [`Context::after_func`] has registered. Dropping it changes nothing.
pub struct StopFn(Arc<Node>);

impl StopFn {
    /// Takes the registration back. True if that prevented the call; false if the call has begun, or was stopped before.
    /// Does not wait for a call that runs.
    pub fn stop(&self) -> bool {
        tree::stop(&self.0)
    }
}

impl fmt::Debug for StopFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopFn").finish_non_exhaustive()
    }
}

/// Why a context is done. The texts are Go's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextError {
    /// Somebody cancelled it, or a context above it.
    Canceled,
    /// Its deadline, or that of a context above it, has passed.
    DeadlineExceeded,
}

impl ContextError {
    /// Whether time ran out. Go's `Timeout() bool`.
    pub fn is_timeout(self) -> bool {
        self == ContextError::DeadlineExceeded
    }
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContextError::Canceled => "context canceled",
            ContextError::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl Error for ContextError {}
