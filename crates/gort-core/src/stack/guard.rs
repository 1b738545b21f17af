//! Guards: pages below a stack that fault when touched.
//!
//! Best is `MADV_GUARD_INSTALL` (Linux 6.13): page-table marks without a mapping of their own, put under a whole slab of
//! stacks by one vectored call. Where the kernel lacks it, `mprotect` splits the mapping at each guard; the number of
//! mappings of a process is limited (65,530 by default, and reaching it takes the whole process down), so only a quarter
//! of that is used. Beyond, stacks are unguarded; that is said once on stderr, and every park checks the stack pointer.
//! `GORT_GUARD=mprotect` or `none` forces the lesser ways, for tests.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::mm::{MprotectFlags, mprotect};

use super::GUARD_BYTES;

const MADV_GUARD_INSTALL: libc::c_int = 102;
/// A quarter of `vm.max_map_count`, each guard costing two mappings.
const MPROTECT_BUDGET: usize = 65_530 / 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Install,
    Mprotect,
    Nothing,
}

/// Some stack of this process has no guard: parks check.
static UNGUARDED: AtomicBool = AtomicBool::new(false);

/// Puts guards at the low ends of stacks; `lows` are their addresses.
pub(crate) fn install(lows: &[usize]) {
    match way() {
        Way::Install if install_vectored(lows) => {}
        Way::Install | Way::Mprotect => install_mprotect(lows),
        Way::Nothing => mark_unguarded(),
    }
}

/// Whether stacks may lack a guard.
#[inline]
pub(crate) fn unguarded() -> bool {
    UNGUARDED.load(Ordering::Relaxed)
}

fn way() -> Way {
    static WAY: OnceLock<Way> = OnceLock::new();
    *WAY.get_or_init(|| match std::env::var("GORT_GUARD").as_deref() {
        Ok("mprotect") => Way::Mprotect,
        Ok("none") => Way::Nothing,
        _ => Way::Install,
    })
}

fn install_vectored(lows: &[usize]) -> bool {
    // On the stack: this also runs in the scheduler, which must not use malloc.
    let mut ranges =
        [libc::iovec { iov_base: ptr::null_mut(), iov_len: GUARD_BYTES }; super::slab::SLAB_PLOTS];
    for (range, &low) in ranges.iter_mut().zip(lows) {
        range.iov_base = ptr::without_provenance_mut(low);
    }
    advise_all(&ranges[..lows.len()], MADV_GUARD_INSTALL)
}

/// Gives the same advice for many ranges of this process: in one call if the kernel can, else one by one.
pub(crate) fn advise_all(ranges: &[libc::iovec], advice: libc::c_int) -> bool {
    let total: usize = ranges.iter().map(|range| range.iov_len).sum();
    // SAFETY: the ranges are parts of stacks that are not in use, owned by the caller; the advice does not outlive the
    // call in any pointer. A result other than the full length means: not (or not all) done.
    let done = unsafe {
        libc::syscall(libc::SYS_process_madvise, own_pidfd(), ranges.as_ptr(), ranges.len(), advice, 0)
    };
    if usize::try_from(done) == Ok(total) {
        return true;
    }
    ranges.iter().all(|range| {
        // SAFETY: as above.
        unsafe { libc::madvise(range.iov_base, range.iov_len, advice) == 0 }
    })
}

fn own_pidfd() -> libc::c_int {
    static PIDFD: OnceLock<libc::c_int> = OnceLock::new();
    *PIDFD.get_or_init(|| {
        // SAFETY: no pointers; the descriptor (or -1, with which process_madvise fails) is kept for good.
        unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) as libc::c_int }
    })
}

fn install_mprotect(lows: &[usize]) {
    static USED: AtomicUsize = AtomicUsize::new(0);
    if USED.fetch_add(lows.len(), Ordering::Relaxed) + lows.len() > MPROTECT_BUDGET {
        return mark_unguarded();
    }
    for &low in lows {
        let at = ptr::without_provenance_mut(low);
        // SAFETY: the low end of a stack of ours that nobody uses yet.
        if unsafe { mprotect(at, GUARD_BYTES, MprotectFlags::empty()) }.is_err() {
            mark_unguarded();
        }
    }
}

fn mark_unguarded() {
    if !UNGUARDED.swap(true, Ordering::Relaxed) {
        crate::sys::warn(format_args!(
            "gort: warning: no more guard pages can be had on this kernel (Linux 6.13 has no such limit): further \
             goroutine stacks are only checked when a goroutine parks"
        ));
    }
}
