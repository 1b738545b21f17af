//! Who listens to which signals; and the relay, which tells them.
//!
//! Owns the list of listeners and, through it, what stands at each signal: our handler while somebody listens, else what
//! the program asked for last, else what was there before. Knows nothing of how a handler is placed.
//!
//! Invariants:
//! 1. Whoever holds the lock finds every signal settled: what stands there fits the list.
//! 2. A signal is delivered under the lock. So nothing arrives at a listener that has been taken off the list.
//! 3. A signal that the handler took when nobody listens any more is raised again once the default is back in charge:
//!    it is delivered, or does what it does by default.
//! 4. No code of the program's runs under the lock, and nobody parks: who waits for a signal is woken (a future's waker is
//!    the program's), and contexts are cancelled, after it is given back.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gort_core::outside::{self, Hope};

use super::handler::{self, Dispositions, Purpose};
use super::{SignalError, quit};
use crate::channel::{Owed, Sender};
use crate::context::Canceller;
use crate::signame::Set;

/// What a listener is told with.
pub(super) enum Tell {
    /// It gets the number, unless its buffer is full.
    Channel(Sender<i32>),
    /// It is cancelled by the first signal, and takes those that follow.
    Context(Canceller),
}

struct Listener {
    id: u64,
    signals: Set,
    tell: Tell,
    /// While it can still wake somebody.
    hope: Option<Hope>,
}

struct Registry {
    listeners: Vec<Listener>,
    /// What the program has asked to have ignored.
    ignored: Set,
    /// SIGQUIT by default makes the dump.
    quit_dumps: bool,
    relay_runs: bool,
    last_id: u64,
    dispositions: Dispositions,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    listeners: Vec::new(),
    ignored: Set(0),
    quit_dumps: false,
    relay_runs: false,
    last_id: 0,
    dispositions: Dispositions::new(),
});

fn registry() -> MutexGuard<'static, Registry> {
    // Nothing under the lock panics.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name for a listener to come.
pub(super) fn new_id() -> u64 {
    let mut registry = registry();
    registry.last_id += 1;
    registry.last_id
}

/// Adds a listener.
///
/// # Panics
/// If there is no thread for the relay.
#[track_caller]
pub(super) fn listen(id: u64, signals: Set, tell: Tell) {
    let started = {
        let mut registry = registry();
        let started = registry.start_relay();
        if started.is_ok() {
            registry.ignored = registry.ignored.without(signals);
            registry.listeners.push(Listener { id, signals, tell, hope: Some(Hope::new()) });
            registry.settle_all(signals);
        }
        started
    };
    if let Err(error) = started {
        panic!("gort: no thread for the relay of signals: {error}");
    }
}

/// Takes the listeners off the list that `which` names.
pub(super) fn stop(which: impl Fn(u64, &Tell) -> bool) {
    let stopped = registry().take_off(which);
    drop(stopped);
}

/// Takes everybody off the list whose receivers have all gone. Called when the last one of a channel goes.
pub(super) fn sweep() {
    stop(has_gone);
}

/// Nobody listens to `signals` any more, and they are ignored or do again what they did before.
pub(super) fn silence(signals: Set, ignore: bool) {
    let done = {
        let mut registry = registry();
        for listener in &mut registry.listeners {
            listener.signals = listener.signals.without(signals);
        }
        let ignored = registry.ignored;
        registry.ignored = if ignore { ignored.with(signals) } else { ignored.without(signals) };
        registry.settle_all(signals);
        let done: Vec<Listener> =
            registry.listeners.extract_if(.., |listener| listener.signals == Set(0)).collect();
        done
    };
    drop(done);
}

/// From now on SIGQUIT makes the dump, unless somebody listens or it has another meaning already.
pub(super) fn make_quit_dump() {
    let mut registry = registry();
    if !registry.is_listened_to(libc::SIGQUIT) && !handler::is_default(libc::SIGQUIT) {
        return;
    }
    // Without a thread for it there is no dump, and SIGQUIT does what it does in any program.
    if registry.start_relay().is_ok() {
        registry.quit_dumps = true;
        registry.settle(libc::SIGQUIT);
    }
}

fn has_gone(_: u64, tell: &Tell) -> bool {
    matches!(tell, Tell::Channel(sender) if sender.is_closed())
}

impl Registry {
    fn is_listened_to(&self, signal: i32) -> bool {
        self.listeners.iter().any(|listener| listener.signals.has(signal))
    }

    /// Takes listeners off the list. They are for the caller to drop, without the lock.
    #[must_use]
    fn take_off(&mut self, which: impl Fn(u64, &Tell) -> bool) -> Vec<Listener> {
        let off: Vec<Listener> = self.listeners.extract_if(.., |it| which(it.id, &it.tell)).collect();
        self.settle_all(off.iter().fold(Set(0), |all, it| all.with(it.signals)));
        off
    }

    fn settle_all(&mut self, signals: Set) {
        signals.iter().for_each(|signal| self.settle(signal));
    }

    /// Makes what stands at the signal fit the list.
    fn settle(&mut self, signal: i32) {
        if self.is_listened_to(signal) {
            self.dispositions.place(signal, Purpose::Relay);
        } else if self.ignored.has(signal) {
            self.dispositions.ignore(signal);
        } else if self.makes_dump(signal) {
            self.dispositions.place(signal, Purpose::Dump);
        } else {
            self.dispositions.restore(signal);
        }
    }

    fn makes_dump(&self, signal: i32) -> bool {
        signal == libc::SIGQUIT && self.quit_dumps
    }

    fn start_relay(&mut self) -> io::Result<()> {
        if !self.relay_runs {
            handler::prepare();
            outside::spawn_service(c"gort-signals", relay)?;
            self.relay_runs = true;
        }
        Ok(())
    }
}

/// The relay: a thread, and not a goroutine, since the dump must be made also when no goroutine can run.
fn relay() {
    loop {
        let came = handler::wait();
        if quit::is_asked() {
            quit::dump_and_exit();
        }
        came.iter().for_each(deliver);
    }
}

fn deliver(signal: i32) {
    let mut to_cancel = Vec::new();
    let mut owed = Owed::new();
    let (gone, taken, raise) = {
        let mut registry = registry();
        // Whoever drops a receiver calls `sweep` a little later; the signal is not for that listener any more.
        let gone = registry.take_off(has_gone);
        let mut taken = false;
        for listener in registry.listeners.iter_mut().filter(|listener| listener.signals.has(signal)) {
            taken = true;
            match &listener.tell {
                // A full buffer drops the signal.
                Tell::Channel(sender) => drop(sender.try_send_owing(signal, &mut owed)),
                Tell::Context(context) => {
                    let first = listener.hope.take();
                    to_cancel.extend(first.map(|hope| (context.clone(), hope)));
                }
            }
        }
        // If it is neither, a handler of somebody else's stands there, and has had the signal.
        let raise = handler::is_left_alone(signal) || registry.makes_dump(signal);
        (gone, taken, raise)
    };
    owed.pay();
    drop(gone);
    for (context, hope) in to_cancel {
        context.cancel(SignalError::new(signal));
        // Only now: whoever the cancellation wakes is awake.
        drop(hope);
    }
    if !taken && raise {
        // SAFETY: sends a signal to this process.
        unsafe { libc::kill(libc::getpid(), signal) };
    }
}
