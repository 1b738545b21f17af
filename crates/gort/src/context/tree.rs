//! The nodes of the context tree and how a cancellation walks through it.
//!
//! Every node holds its parent. A node that can be cancelled is a *scope*; it is listed in the nearest scope above it
//! (values in between are skipped, a wall ends the search) for as long as it is not done.
//!
//! ```text
//!   scope:   open ──── mark(err, cause), once ────► marked ─── settled, and all below too ───► unlisted
//! ```
//!
//! Invariants:
//! 1. A scope is marked once, under its own lock; error and cause never change afterwards.
//! 2. A scope takes children only while it is open: listing a child and marking the scope exclude each other by the
//!    scope's lock. A child that comes too late is marked on the spot.
//! 3. A scope leaves the list above it only when it is *settled* (marked, and its done channel is closed if it has one)
//!    and its own list is empty. So a marked scope with an empty list is a subtree that is done to its leaves, whoever
//!    did it. This makes [`cancel`] synchronous, without holding a lock on the way: a second cancellation that meets a
//!    first one does not wait for its end, it does the same walk. Unlisting has the same effect once or twice; a
//!    channel is closed by one, and the other looks at it until that is to be seen.
//! 4. The walk needs no stack of its own and no recursion: down is the first listed child, up is the scope above. Dropping
//!    a chain of nodes is a loop, too.
//! 5. Locks are taken one at a time; nothing is allocated, dropped, closed or called under them.
//!
//! A listed scope and the scope above it keep each other alive. That is no leak as long as the scope gets done, and
//! whoever made it has a `CancelFn`, whose drop sees to that; forgetting one leaks what Go leaks: the scope, until the
//! one above is done.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use gort_core::env::Moment;
use gort_core::lock::Spin;
use gort_core::park;

use super::ContextError;
use super::children::{Children, Links};
use crate::channel::{self, Receiver, Sender};
use crate::signame::Set;
use crate::time::alarm::Alarm;
use crate::time::detach::detach;

pub(super) type Cause = Arc<dyn std::error::Error + Send + Sync>;
type Func = Box<dyn FnOnce() + Send>;

/// One step on the way from the root to a context.
pub(super) struct Node {
    parent: Option<Arc<Node>>,
    above: Above,
    kind: Kind,
    links: Links,
}

/// The nearest scope above a node.
enum Above {
    /// There is none: nothing above can be done.
    Nothing,
    Parent,
    Further(Arc<Node>),
}

pub(super) enum Kind {
    Scope(Scope),
    Value {
        value: Arc<dyn Any + Send + Sync>,
        type_name: &'static str,
    },
    /// Values pass, cancellation does not.
    Wall,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Cancel,
    Deadline,
    Func,
    /// These signals cancel it.
    Signals(Set),
}

/// What can be cancelled.
pub(super) struct Scope {
    label: Label,
    /// The earliest deadline from here to the root.
    deadline: Moment,
    /// What cancels the scope at a deadline of its own.
    alarm: Option<Alarm>,
    /// [`OPEN`] or the code of a [`ContextError`]. Written under the lock.
    err: AtomicU8,
    state: Spin<State>,
    /// Somebody has taken it upon himself to close the done channel.
    closing: AtomicBool,
    /// Made when somebody asks for it: most scopes are never waited for.
    done: OnceLock<(Sender<()>, Receiver<()>)>,
}

struct State {
    cause: Option<Cause>,
    func: Option<Func>,
    children: Children,
}

const OPEN: u8 = 0;
const CANCELED: u8 = 1;
const DEADLINE_EXCEEDED: u8 = 2;

/// Marks `root` and everything below it. When this returns they are all settled, whoever marked them.
pub(super) fn cancel(root: &Arc<Node>, err: ContextError, cause: Option<Cause>) {
    root.scope().mark(err, cause);
    let mut at = Arc::clone(root);
    loop {
        if let Some((child, err, cause)) = at.scope().first_child() {
            child.scope().mark(err, cause);
            at = child;
        } else if !Arc::ptr_eq(&at, root) {
            // Everything below `at` is settled, and so is `at`: it may leave (invariant 3).
            at.unlist();
            let above = Arc::clone(at.above().expect("the walk went down to here"));
            at = above;
        } else {
            break;
        }
    }
    root.unlist();
}

/// Lists a new scope in the one above it; or, if that is done already, marks it.
pub(super) fn attach(node: &Arc<Node>) {
    let Some(above) = node.above() else { return };
    let listed = Arc::clone(node);
    let mut state = above.scope().state.lock();
    match above.scope().err() {
        None => {
            // SAFETY: the lock of the scope above `node` is held.
            unsafe { state.children.push(listed) };
        }
        Some(err) => {
            let cause = state.cause.clone();
            drop(state);
            node.scope().mark(err, cause);
        }
    }
}

/// Ends a scope made by `after_func` without running its function. True if that was in time.
pub(super) fn stop(node: &Arc<Node>) -> bool {
    let scope = node.scope();
    let (stopped, func) = {
        let mut state = scope.state.lock();
        let open = scope.err().is_none();
        if open {
            // Release: as in `mark`. Nobody asks this scope for its error; it only must not be open.
            scope.err.store(CANCELED, Ordering::Release);
        }
        (open, state.func.take())
    };
    drop(func);
    node.unlist();
    stopped
}

impl Node {
    pub(super) fn value(
        parent: Option<Arc<Node>>,
        value: Arc<dyn Any + Send + Sync>,
        type_name: &'static str,
    ) -> Arc<Node> {
        Arc::new(Node::below(parent, Kind::Value { value, type_name }))
    }

    pub(super) fn wall(parent: Option<Arc<Node>>) -> Arc<Node> {
        Arc::new(Node { parent, above: Above::Nothing, kind: Kind::Wall, links: Links::new() })
    }

    /// An unattached scope.
    pub(super) fn cancel(parent: Option<Arc<Node>>, label: Label, inherited: Moment) -> Arc<Node> {
        Arc::new(Node::below(parent, Kind::Scope(Scope::new(label, inherited))))
    }

    /// An unattached scope that runs `func` when it is marked.
    pub(super) fn func(parent: Option<Arc<Node>>, func: Func) -> Arc<Node> {
        let mut scope = Scope::new(Label::Func, Moment::NEVER);
        scope.state.get_mut().func = Some(func);
        Arc::new(Node::below(parent, Kind::Scope(scope)))
    }

    /// A scope that is cancelled at `deadline`, attached and with its alarm started.
    #[track_caller]
    pub(super) fn deadline(parent: Option<Arc<Node>>, deadline: Moment, cause: Option<Cause>) -> Arc<Node> {
        let expired = cause.clone();
        let node = Arc::new_cyclic(|node: &Weak<Node>| {
            let node = node.clone();
            let mut scope = Scope::new(Label::Deadline, deadline);
            // Weak, as the alarm is the node's own; whoever could see the cancellation keeps the node alive.
            scope.alarm = Some(Alarm::new(move || {
                if let Some(node) = node.upgrade() {
                    cancel(&node, ContextError::DeadlineExceeded, expired.clone());
                }
            }));
            Node::below(parent, Kind::Scope(scope))
        });
        attach(&node);
        if deadline <= Moment::now() {
            cancel(&node, ContextError::DeadlineExceeded, cause);
        } else {
            node.scope().start_alarm();
        }
        node
    }

    fn below(parent: Option<Arc<Node>>, kind: Kind) -> Node {
        let above = match &parent {
            None => Above::Nothing,
            Some(node) if matches!(node.kind, Kind::Scope(_)) => Above::Parent,
            Some(node) => node.above().map_or(Above::Nothing, |above| Above::Further(Arc::clone(above))),
        };
        Node { parent, above, kind, links: Links::new() }
    }

    pub(super) fn parent(&self) -> Option<&Node> {
        self.parent.as_deref()
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The signals that cancel it, if it was made to be cancelled by some.
    pub(super) fn signals(&self) -> Option<Set> {
        match &self.kind {
            Kind::Scope(Scope { label: Label::Signals(signals), .. }) => Some(*signals),
            _ => None,
        }
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// This node's own scope, or the nearest above it.
    #[inline]
    pub(super) fn nearest_scope(&self) -> Option<&Scope> {
        match &self.kind {
            Kind::Scope(scope) => Some(scope),
            _ => self.above().map(|above| above.scope()),
        }
    }

    fn above(&self) -> Option<&Arc<Node>> {
        match &self.above {
            Above::Nothing => None,
            Above::Parent => self.parent.as_ref(),
            Above::Further(above) => Some(above),
        }
    }

    fn scope(&self) -> &Scope {
        match &self.kind {
            Kind::Scope(scope) => scope,
            _ => unreachable!("only scopes are listed, stand above a node, or have a CancelFn or StopFn"),
        }
    }

    /// Leaves the list above, if not done yet. The caller has seen to invariant 3.
    fn unlist(self: &Arc<Node>) {
        if let Some(above) = self.above() {
            // SAFETY: the lock of the scope above is held; it is given back at the end of the statement.
            let listed = unsafe { above.scope().state.lock().children.remove(self) };
            drop(listed);
        }
    }
}

impl Drop for Node {
    /// Parents that nobody else holds go with this node: in a loop, since chains may be long.
    fn drop(&mut self) {
        // The scope above is an ancestor: it is held by the chain as well, so this only lowers its count.
        self.above = Above::Nothing;
        let mut parent = self.parent.take();
        while let Some(node) = parent.and_then(Arc::into_inner).as_mut() {
            node.above = Above::Nothing;
            parent = node.parent.take();
        }
    }
}

impl Scope {
    fn new(label: Label, deadline: Moment) -> Scope {
        let state = State { cause: None, func: None, children: Children::new() };
        Scope {
            label,
            deadline,
            alarm: None,
            err: AtomicU8::new(OPEN),
            closing: AtomicBool::new(false),
            state: Spin::new(state),
            done: OnceLock::new(),
        }
    }

    #[inline]
    pub(super) fn err(&self) -> Option<ContextError> {
        // Acquire: pairs with the Release in `mark`: whoever sees the end sees what led to it.
        match self.err.load(Ordering::Acquire) {
            OPEN => None,
            CANCELED => Some(ContextError::Canceled),
            _ => Some(ContextError::DeadlineExceeded),
        }
    }

    /// The error, once there is one and whoever waits for the end can see it, if anybody does.
    pub(super) fn told_err(&self) -> Option<ContextError> {
        let err = self.err()?;
        if let Some((sender, _)) = self.done.get() {
            self.close(sender);
        }
        Some(err)
    }

    /// Error and cause, once they are told.
    pub(super) fn verdict(&self) -> Option<(ContextError, Option<Cause>)> {
        let err = self.told_err()?;
        Some((err, self.state.lock().cause.clone()))
    }

    pub(super) fn deadline(&self) -> Moment {
        self.deadline
    }

    pub(super) fn done(&self) -> &Receiver<()> {
        let (sender, receiver) = self.done.get().unwrap_or_else(|| self.make_done());
        // Whoever marked the scope may not have come to the closing yet, or have looked before there was a channel.
        if self.err().is_some() {
            self.close(sender);
        }
        receiver
    }

    #[cold]
    fn make_done(&self) -> &(Sender<()>, Receiver<()>) {
        let done = self.done.get_or_init(|| channel::bounded(0));
        // `mark` looks for the channel after it has held the lock. If it held it before this, `done` finds the error
        // now; if after, `mark` finds the channel. So it is closed in any case.
        drop(self.state.lock());
        done
    }

    /// Marks the scope if it is open, and settles it even if it is not.
    fn mark(&self, err: ContextError, cause: Option<Cause>) {
        let (first, func, unused) = {
            let mut state = self.state.lock();
            if self.err().is_none() {
                state.cause = cause;
                let code = if err.is_timeout() { DEADLINE_EXCEEDED } else { CANCELED };
                // Release: pairs with the Acquire in `err`.
                self.err.store(code, Ordering::Release);
                (true, state.func.take(), None)
            } else {
                (false, None, cause)
            }
        };
        drop(unused);
        if let Some((sender, _)) = self.done.get() {
            self.close(sender);
        }
        if first && let Some(alarm) = &self.alarm {
            alarm.stop();
        }
        if let Some(func) = func {
            detach(func);
        }
    }

    /// Sees to it that the done channel is closed when this returns. If somebody else is just closing it, this waits
    /// for the few instructions that it takes to be seen.
    fn close(&self, done: &Sender<()>) {
        if done.is_closed() {
            return;
        }
        // Relaxed: the flag only picks one; the channel orders what it tells.
        if !self.closing.swap(true, Ordering::Relaxed) {
            done.close();
        }
        while !done.is_closed() {
            park::yield_now();
        }
    }

    /// The first child to be marked, and what with. The scope is marked itself.
    fn first_child(&self) -> Option<(Arc<Node>, ContextError, Option<Cause>)> {
        let state = self.state.lock();
        let child = state.children.first()?;
        let err = self.err().expect("a cancellation walks through marked scopes only");
        Some((child, err, state.cause.clone()))
    }

    /// Starts the alarm of a scope that others can mark already.
    fn start_alarm(&self) {
        let alarm = self.alarm.as_ref().expect("a scope with a deadline of its own has an alarm");
        alarm.start(self.deadline);
        // Whoever marks the scope stops the alarm after having held the lock: if that was before the start, the error
        // is visible here.
        let open = {
            let _state = self.state.lock();
            self.err().is_none()
        };
        if !open {
            alarm.stop();
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Value { type_name, .. } => write!(f, "WithValue({type_name})"),
            Kind::Wall => f.write_str("WithoutCancel"),
            Kind::Scope(scope) => match scope.label {
                Label::Cancel => f.write_str("WithCancel"),
                Label::Func => f.write_str("AfterFunc"),
                Label::Signals(signals) => write!(f, "NotifyContext({signals})"),
                Label::Deadline => {
                    let now = Moment::now();
                    let sign = if now > scope.deadline { "-" } else { "" };
                    let left = scope.deadline.since(now).max(now.since(scope.deadline));
                    write!(f, "WithDeadline([{sign}{left:?}])")
                }
            },
        }
    }
}
