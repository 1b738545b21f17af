//! An asymmetric barrier: one side often and nearly free, the other side seldom and dear. The kernel's `membarrier` makes
//! every running thread of the process pass a full memory barrier; so the frequent side need only keep the compiler from
//! moving things. A model checker does not know of that, and gets a full barrier on both sides.

#[cfg(not(loom))]
mod imp {
    use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

    use rustix::thread::{MembarrierCommand, membarrier};

    static REGISTERED: AtomicBool = AtomicBool::new(false);

    /// Tells the kernel that this process will use the heavy side. False: it can not be had.
    pub(crate) fn register() -> bool {
        let registered = membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
        // Relaxed: whoever reads `false` too long takes nothing.
        REGISTERED.store(registered, Ordering::Relaxed);
        registered
    }

    /// Whether the heavy side works.
    pub(crate) fn available() -> bool {
        REGISTERED.load(Ordering::Relaxed)
    }

    /// The frequent side.
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The seldom side.
    pub(crate) fn heavy() {
        if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
            crate::sys::throw(format_args!("membarrier failed, which was registered"));
        }
    }
}

#[cfg(loom)]
mod imp {
    use loom::sync::atomic::{Ordering, fence};

    pub(crate) fn register() -> bool {
        true
    }

    pub(crate) fn available() -> bool {
        true
    }

    pub(crate) fn light() {
        // SeqCst: pairs with the other side's.
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() {
        // SeqCst: pairs with the other side's.
        fence(Ordering::SeqCst);
    }
}

pub(crate) use imp::{available, heavy, light, register};
