//! The status word of a goroutine: its state, why it waits, and a count of its changes.
//!
//! ```text
//!            spawn              execute               exit
//!   Idle ───────────► Runnable ─────────► Running ───────────► Idle
//!                        ▲                 │   │
//!                        │ ready           │   └─ yield ─► Runnable
//!                        └───── Waiting ◄──┘ park
//! ```
//! | state    | who owns the stack             | on which queue            | who may leave it        |
//! |----------|--------------------------------|---------------------------|-------------------------|
//! | Idle     | the free list it is in         | a free list               | whoever takes it out    |
//! | Runnable | the queue it is in             | a ring, next slot, global | the machine that pops it|
//! | Running  | itself                         | none                      | itself                  |
//! | Waiting  | nobody, until it is readied    | some wait queue           | the one allowed to ready|
//!
//! Only the owner stores, so a transition is a plain store. The upper bits count transitions: a dump that copies the
//! stack of a waiting goroutine sees by an unchanged word that the goroutine did not run meanwhile.

use crate::ids::WaitReason;
use crate::sys::atomic::{AtomicU64, Ordering, fence};

/// What a goroutine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It is no goroutine at the moment: a free `G`.
    Idle = 0,
    /// It waits for a processor.
    Runnable = 1,
    /// It runs.
    Running = 2,
    /// It is parked.
    Waiting = 4,
}

const REASON_SHIFT: u32 = 8;
const COUNT_UNIT: u64 = 1 << 16;

/// The word.
#[derive(Debug)]
pub(crate) struct StatusWord(AtomicU64);

/// One reading of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(u64);

impl StatusWord {
    pub(crate) fn new() -> StatusWord {
        StatusWord(AtomicU64::new(0))
    }

    /// The machine that popped it is about to run it.
    #[inline]
    pub(crate) fn transition_to_running(&self) {
        self.store(Status::Runnable, Status::Running, WaitReason::None);
        // Release fence: the new count is visible before any store of the goroutine to its stack; pairs with the
        // Acquire fence in `unchanged_since`.
        fence(Ordering::Release);
    }

    /// It gives up the processor and waits.
    #[inline]
    pub(crate) fn transition_to_waiting(&self, reason: WaitReason) {
        self.store(Status::Running, Status::Waiting, reason);
    }

    /// It is told to go on; the caller holds the right to.
    #[inline]
    pub(crate) fn transition_to_ready(&self) {
        self.store(Status::Waiting, Status::Runnable, WaitReason::None);
    }

    /// It gives up the processor but wants it back.
    #[inline]
    pub(crate) fn transition_to_yielded(&self) {
        self.store(Status::Running, Status::Runnable, WaitReason::None);
    }

    /// A free `G` becomes a new goroutine.
    #[inline]
    pub(crate) fn transition_to_spawned(&self) {
        self.store(Status::Idle, Status::Runnable, WaitReason::None);
    }

    /// The goroutine has ended.
    #[inline]
    pub(crate) fn transition_to_idle(&self) {
        self.store(Status::Running, Status::Idle, WaitReason::None);
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // Acquire: whoever then looks at the goroutine's other fields sees them as of this state or later.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// Whether the goroutine did not move since `before` was read, so that what was read in between belongs together.
    pub(crate) fn unchanged_since(&self, before: Snapshot) -> bool {
        // Acquire fence: the reads before it are done before the word is read again.
        fence(Ordering::Acquire);
        self.0.load(Ordering::Relaxed) == before.0
    }

    #[inline]
    fn store(&self, from: Status, to: Status, reason: WaitReason) {
        let old = self.0.load(Ordering::Relaxed);
        debug_assert_eq!(Snapshot(old).status(), from, "on the way to {to:?}");
        let count = (old & !(COUNT_UNIT - 1)).wrapping_add(COUNT_UNIT);
        // Release: pairs with the Acquire in `load`.
        self.0.store(count | u64::from(reason as u8) << REASON_SHIFT | to as u64, Ordering::Release);
    }
}

impl Snapshot {
    pub(crate) fn status(self) -> Status {
        match self.0 as u8 {
            0 => Status::Idle,
            1 => Status::Runnable,
            2 => Status::Running,
            _ => Status::Waiting,
        }
    }

    pub(crate) fn reason(self) -> WaitReason {
        WaitReason::from_u8((self.0 >> REASON_SHIFT) as u8)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_life() {
        let word = StatusWord::new();
        assert_eq!(word.load().status(), Status::Idle);
        word.transition_to_spawned();
        assert_eq!(word.load().status(), Status::Runnable);
        word.transition_to_running();
        word.transition_to_waiting(WaitReason::ChanReceive);
        assert_eq!((word.load().status(), word.load().reason()), (Status::Waiting, WaitReason::ChanReceive));
        word.transition_to_ready();
        assert_eq!((word.load().status(), word.load().reason()), (Status::Runnable, WaitReason::None));
        word.transition_to_running();
        word.transition_to_yielded();
        word.transition_to_running();
        word.transition_to_idle();
        assert_eq!(word.load().status(), Status::Idle);
    }

    #[test]
    fn the_same_state_again_is_another_reading() {
        let word = StatusWord::new();
        word.transition_to_spawned();
        word.transition_to_running();
        word.transition_to_waiting(WaitReason::Sleep);
        let before = word.load();
        assert!(word.unchanged_since(before));
        word.transition_to_ready();
        word.transition_to_running();
        word.transition_to_waiting(WaitReason::Sleep);
        assert!(!word.unchanged_since(before));
        assert_eq!(word.load().status(), before.status());
    }

    #[test]
    fn the_count_of_changes_leaves_state_and_reason_alone_when_it_wraps() {
        let word = StatusWord(AtomicU64::new(!(COUNT_UNIT - 1) | Status::Runnable as u64));
        word.transition_to_running();
        word.transition_to_waiting(WaitReason::Select);
        assert_eq!((word.load().status(), word.load().reason()), (Status::Waiting, WaitReason::Select));
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "on the way to Runnable")]
    fn a_goroutine_that_runs_can_not_be_readied() {
        let word = StatusWord::new();
        word.transition_to_spawned();
        word.transition_to_running();
        word.transition_to_ready();
    }
}

#[cfg(all(test, loom))]
mod models;
