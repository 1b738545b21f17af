//! The one handler, and what the system is told about each signal.
//!
//! ```text
//!   handler   bit into PENDING ── was it empty? ── ring ──┐      any thread, async-signal-safe: atomics, sem_post, and
//!      │                                                  │      whatever the handler does that was there before
//!      └── pass on to the handler that was there before   ▼
//!   relay                                        wait, take PENDING, deliver      a thread of its own
//! ```
//! Equal signals that come before the relay has looked are one: it is a bit.
//!
//! What stands at a signal, as far as this room is concerned:
//! ```text
//!   untouched ──listen──► placed ──restore──► untouched       `before` holds what stood there when it was untouched
//!       └──────ignore──► ignored ──listen, restore──► ...
//! ```
//! Somebody may put a handler of his own over ours at any time, and pass signals on to it (the runtime does so with
//! SIGURG). Invariant: ours is placed once at a time. While another one stands above it, it is neither placed again (the
//! two would call each other for ever) nor taken away (there is no way to): it then only passes on. Should two handlers
//! come to call each other nevertheless, ours does nothing the second time.
//!
//! Orderings: a bit is set with Release and taken with Acquire; the semaphore orders the rest.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::quit;
use crate::signame::Set;

/// Signals that came and were not relayed yet.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// SIGQUIT asks for the dump.
static QUIT_DUMPS: AtomicBool = AtomicBool::new(false);

/// What was there before, for the handler: by number of the signal.
static CHAIN: [Link; 65] =
    [const { Link { handler: AtomicUsize::new(0), with_info: AtomicBool::new(false) } }; 65];

/// A handler to pass signals on to; 0: none.
struct Link {
    handler: AtomicUsize,
    with_info: AtomicBool,
}

type Plain = unsafe extern "C" fn(libc::c_int);
type WithInfo = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Takes what has come since the last call; waits until there is something (perhaps nothing: a ring that came late).
pub(super) fn wait() -> Set {
    BELL.wait();
    // Acquire: pairs with the Release in `on_signal`.
    Set(PENDING.swap(0, Ordering::Acquire))
}

extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel, and whoever passes a signal on, gives a handler with SA_SIGINFO a valid siginfo.
    if !unsafe { is_new(info) } {
        return;
    }
    // SAFETY: the address of the calling thread's errno; a handler does not change threads.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *errno };
    if signal == libc::SIGQUIT && QUIT_DUMPS.load(Ordering::Relaxed) {
        // SAFETY: the arguments are those of a handler with SA_SIGINFO.
        unsafe { quit::ask(info, context) };
        BELL.ring();
    // Release: pairs with the Acquire in `wait`.
    } else if PENDING.fetch_or(Set::one(signal).0, Ordering::Release) == 0 {
        BELL.ring();
    }
    // SAFETY: the arguments are passed on as they came.
    unsafe { pass_on(signal, info, context) };
    // SAFETY: as above.
    unsafe { *errno = saved };
}

/// Whether this delivery comes here for the first time, which it does once. The one that we pass it on to may pass it on to
/// us: the runtime puts its handler of SIGURG in front of ours, over which ours was placed.
///
/// The mark is in the delivery's own siginfo, in the last word of 128 bytes, of which the kernel uses less than half and
/// clears the rest. (The runtime's handler of SIGURG has its own mark beside it.)
///
/// # Safety
/// `info` is a valid siginfo, which nobody else looks at.
unsafe fn is_new(info: *mut libc::siginfo_t) -> bool {
    const WORDS: usize = size_of::<libc::siginfo_t>() / size_of::<usize>();
    let mark = (&raw const PENDING).addr();
    // SAFETY: inside the siginfo, and aligned; the caller's promise.
    unsafe {
        let place = info.cast::<usize>().add(WORDS - 1);
        let seen = place.read() == mark;
        place.write(mark);
        !seen
    }
}

/// # Safety
/// Called from the handler, with its arguments.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let link = &CHAIN[signal as usize];
    // Acquire: pairs with the Release in `set_chain`.
    let handler = link.handler.load(Ordering::Acquire);
    if handler == 0 {
        return;
    }
    if link.with_info.load(Ordering::Relaxed) {
        // SAFETY: with SA_SIGINFO the stored address is a handler of this type.
        unsafe { std::mem::transmute::<usize, WithInfo>(handler)(signal, info, context) }
    } else {
        // SAFETY: without SA_SIGINFO the stored address is a handler of this type.
        unsafe { std::mem::transmute::<usize, Plain>(handler)(signal) }
    }
}

/// A semaphore, because to post one is among the few things that a handler may do.
struct Bell(UnsafeCell<MaybeUninit<libc::sem_t>>);

// SAFETY: a semaphore is made to be shared; `prepare` comes before all other uses.
unsafe impl Sync for Bell {}

static BELL: Bell = Bell(UnsafeCell::new(MaybeUninit::zeroed()));

impl Bell {
    fn at(&self) -> *mut libc::sem_t {
        self.0.get().cast()
    }

    fn ring(&self) {
        // It fails if the count is at its limit: then the relay has rings enough to wake up for.
        // SAFETY: initialised by `prepare` before a handler was placed.
        unsafe { libc::sem_post(self.at()) };
    }

    fn wait(&self) {
        // EINTR, the one possible failure, means to wait again.
        // SAFETY: initialised by `prepare` before the relay was started.
        while unsafe { libc::sem_wait(self.at()) } != 0 {}
    }
}

/// Comes once, before anything is placed and before [`wait`].
pub(super) fn prepare() {
    // SAFETY: the memory is static and of the right type, and nobody uses it yet.
    unsafe { libc::sem_init(BELL.at(), 0, 0) };
}

/// What we have told the system.
pub(super) struct Dispositions {
    /// What stood there before we came, while we are there.
    before: [Option<libc::sigaction>; 65],
    /// Our handler stands there, on top or below another one.
    placed: Set,
}

/// What SIGQUIT does while nobody listens to it is to be the dump; all else is the same for all signals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Relay,
    Dump,
}

impl Dispositions {
    pub(super) const fn new() -> Dispositions {
        Dispositions { before: [None; 65], placed: Set(0) }
    }

    /// Puts our handler there.
    pub(super) fn place(&mut self, signal: i32, purpose: Purpose) {
        // Also below another: that one may pass the signal on.
        if signal == libc::SIGQUIT {
            QUIT_DUMPS.store(purpose == Purpose::Dump, Ordering::Relaxed);
        }
        if self.is_below_another(signal) {
            return;
        }
        let before = *self.before[signal as usize].get_or_insert_with(|| current(signal));
        set_chain(signal, &before);
        set(signal, &ours(signal, &before, purpose));
        self.placed = self.placed.with(Set::one(signal));
    }

    /// Puts back what stood there before us.
    pub(super) fn restore(&mut self, signal: i32) {
        if self.is_below_another(signal) {
            return;
        }
        if let Some(before) = self.before[signal as usize].take() {
            set(signal, &before);
            self.placed = self.placed.without(Set::one(signal));
        }
    }

    /// Has the system drop the signal.
    pub(super) fn ignore(&mut self, signal: i32) {
        // To be dropped is what happens to it anyway, and the runtime's own use of it goes on.
        if signal == libc::SIGURG {
            return self.restore(signal);
        }
        self.before[signal as usize].get_or_insert_with(|| current(signal));
        self.placed = self.placed.without(Set::one(signal));
        let mut action = blank();
        action.sa_sigaction = libc::SIG_IGN;
        set(signal, &action);
    }

    /// Whether our handler is there, and somebody else's above it. (If the default action is there, the dump's handler
    /// has done its work, or somebody has taken ours away.)
    fn is_below_another(&self, signal: i32) -> bool {
        let now = current(signal).sa_sigaction;
        self.placed.has(signal) && now != libc::SIG_DFL && now != on_signal as *const () as usize
    }
}

/// Whether the system drops this signal.
pub(super) fn is_ignored(signal: i32) -> bool {
    current(signal).sa_sigaction == libc::SIG_IGN
}

/// Whether the system does with this signal what it does if nobody has said anything.
pub(super) fn is_default(signal: i32) -> bool {
    current(signal).sa_sigaction == libc::SIG_DFL
}

/// Whether no handler stands there, ours or another's.
pub(super) fn is_left_alone(signal: i32) -> bool {
    !is_handler(&current(signal))
}

fn is_handler(action: &libc::sigaction) -> bool {
    action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

fn set_chain(signal: i32, before: &libc::sigaction) {
    let link = &CHAIN[signal as usize];
    link.with_info.store(before.sa_flags & libc::SA_SIGINFO != 0, Ordering::Relaxed);
    let handler = if is_handler(before) { before.sa_sigaction } else { 0 };
    // Release: pairs with the Acquire in `pass_on`.
    link.handler.store(handler, Ordering::Release);
}

/// Our handler.
///
/// It is not interrupted by other signals: each would need room for a frame of some thousand bytes on an alternate stack,
/// and the one that a thread of std's has is small. SIGURG is the exception if there is a handler below: the runtime's may
/// hold a thread up, which others must not wait for.
fn ours(signal: i32, before: &libc::sigaction, purpose: Purpose) -> libc::sigaction {
    let mut action = blank();
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    if signal == libc::SIGURG && is_handler(before) {
        action.sa_mask = before.sa_mask;
    } else {
        // SAFETY: fills a set that is ours, and takes the signals out of it that a fault of the handler's would raise.
        unsafe {
            libc::sigfillset(&mut action.sa_mask);
            for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT] {
                libc::sigdelset(&mut action.sa_mask, fault);
            }
        }
    }
    if purpose == Purpose::Dump {
        // If the dump can not be made the next one ends the process all the same.
        action.sa_flags |= libc::SA_RESETHAND;
    }
    action
}

fn blank() -> libc::sigaction {
    // SAFETY: all zeros is a valid value: the default action, no flags, an empty mask.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// What stands at a signal that can be caught.
fn current(signal: i32) -> libc::sigaction {
    let mut action = blank();
    // SAFETY: only reads the action, into a place of the right type.
    let read = unsafe { libc::sigaction(signal, ptr::null(), &mut action) };
    debug_assert_eq!(read, 0);
    action
}

fn set(signal: i32, action: &libc::sigaction) {
    // SAFETY: the action is one that stood there before, or none, or `on_signal`, which has the signature that
    // SA_SIGINFO asks for and is async-signal-safe.
    let set = unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
    debug_assert_eq!(set, 0);
}
