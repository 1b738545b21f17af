//! Names that cross rooms as plain data: goroutine ids and the reasons for which one waits.

use std::fmt;
use std::num::NonZeroU64;

/// What anything that needs the runtime says outside of it.
pub const NO_RUNTIME: &str = "gort: no runtime: enter it with #[gort::main(unsafe(migrate))]";

/// The identity of a goroutine: starts at 1 for the first, never reused within a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoroutineId(NonZeroU64);

impl GoroutineId {
    /// The id as a number, as printed in dumps.
    pub const fn as_u64(self) -> u64 {
        self.0.get()
    }

    pub(crate) fn from_u64(id: u64) -> Option<GoroutineId> {
        NonZeroU64::new(id).map(GoroutineId)
    }
}

impl fmt::Debug for GoroutineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GoroutineId({})", self.0)
    }
}

impl fmt::Display for GoroutineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! wait_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a goroutine is parked. One per cause, never reused for another; the texts are Go's where Go has one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum WaitReason { $($(#[$doc])* $name,)* }

        impl WaitReason {
            const ALL: &'static [WaitReason] = &[$(WaitReason::$name,)*];

            /// The text that a dump shows in the goroutine's header.
            pub const fn text(self) -> &'static str {
                match self { $(WaitReason::$name => $text,)* }
            }
        }
    };
}

wait_reasons! {
    /// Not waiting.
    None = "",
    /// A receive on a channel.
    ChanReceive = "chan receive",
    /// A send on a channel.
    ChanSend = "chan send",
    /// A receive on a nil channel: for ever.
    ChanReceiveNil = "chan receive (nil chan)",
    /// A send on a nil channel: for ever.
    ChanSendNil = "chan send (nil chan)",
    /// A select over some cases.
    Select = "select",
    /// A select without a case that could ever proceed.
    SelectNoCases = "select (no cases)",
    /// A sleep.
    Sleep = "sleep",
    /// `sync::Mutex::lock`.
    MutexLock = "sync.Mutex.Lock",
    /// `sync::RwLock::read`.
    RwLockRead = "sync.RWMutex.RLock",
    /// `sync::RwLock::write`.
    RwLockWrite = "sync.RWMutex.Lock",
    /// `sync::Condvar::wait`.
    CondWait = "sync.Cond.Wait",
    /// `sync::WaitGroup::wait`.
    WaitGroupWait = "sync.WaitGroup.Wait",
    /// `sync::Once` and its kin, while another goroutine initialises.
    OnceWait = "sync.Once.Do",
    /// `sync::Barrier::wait`.
    BarrierWait = "sync.Barrier.Wait",
    /// `sync::Semaphore::acquire`.
    Semacquire = "semacquire",
    /// `JoinHandle::join`.
    Join = "join",
    /// A scope waiting for its goroutines.
    Scope = "scope",
    /// `block_on` a future.
    Future = "future",
    /// Somebody waits in `run` for its main goroutine.
    Main = "run",
    /// A file descriptor that is not ready.
    IoWait = "IO wait",
}

impl WaitReason {
    pub(crate) fn from_u8(raw: u8) -> WaitReason {
        Self::ALL.get(usize::from(raw)).copied().unwrap_or(WaitReason::None)
    }
}
