//! The per-thread word: which machine this thread is, or null.
//!
//! A goroutine may resume on another thread, so a cached address of a thread-local is a wrong address after any park,
//! and LLVM does cache them (even across calls, in rlibs at default flags). The word is therefore read by an `asm!` that
//! goes through the thread pointer each time and that the compiler may neither merge nor move across a switch. It is an
//! initial-exec symbol: two instructions, no call.

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom), not(miri)))]
mod imp {
    use std::arch::{asm, global_asm};

    // The name carries the version: two versions of this crate in one program are two runtimes.
    global_asm!(
        ".pushsection .tbss.gort_core_0_1_this_m,\"awT\",@nobits",
        ".p2align 3",
        ".globl gort_core_0_1_this_m",
        ".hidden gort_core_0_1_this_m",
        ".type gort_core_0_1_this_m, @object",
        ".size gort_core_0_1_this_m, 8",
        "gort_core_0_1_this_m:",
        ".zero 8",
        ".popsection",
    );

    #[inline(always)]
    pub(crate) fn load() -> *const () {
        let word: *const ();
        // SAFETY: reads the calling thread's own copy of the variable defined above, which lives as long as the thread.
        unsafe {
            asm!(
                "mov {0}, qword ptr [rip + gort_core_0_1_this_m@GOTTPOFF]",
                "mov {0}, qword ptr fs:[{0}]",
                out(reg) word,
                options(nostack, preserves_flags, readonly),
            );
        }
        word
    }

    pub(crate) fn store(word: *const ()) {
        // SAFETY: writes the calling thread's own copy of the variable defined above.
        unsafe {
            asm!(
                "mov {0}, qword ptr [rip + gort_core_0_1_this_m@GOTTPOFF]",
                "mov qword ptr fs:[{0}], {1}",
                out(reg) _,
                in(reg) word,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(loom), not(miri))))]
mod imp {
    //! Elsewhere: std's thread-local behind functions that are never inlined, so that no caller holds its address.
    use std::cell::Cell;

    thread_local! {
        static THIS_M: Cell<*const ()> = const { Cell::new(std::ptr::null()) };
    }

    #[inline(never)]
    pub(crate) fn load() -> *const () {
        THIS_M.get()
    }

    #[inline(never)]
    pub(crate) fn store(word: *const ()) {
        THIS_M.set(word);
    }
}

pub(crate) use imp::{load, store};
