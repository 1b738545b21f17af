//! SIGQUIT while nobody listens to it: the dump of all goroutines, and the end with status 2.
//!
//! The handler notes where it struck; the relay writes. The dump allocates and takes locks, and a goroutine that was
//! stopped at a bad moment may hold any of them: the head is therefore written first, and without them, and the next
//! SIGQUIT takes the system's default action, which ends the process in any case.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use gort_core::{snapshot, stderr};

/// Writes what there is to say about all goroutines; `None`: nothing.
pub(crate) type Dump = fn() -> Option<String>;

static DUMP: OnceLock<Dump> = OnceLock::new();
static ASKED: AtomicBool = AtomicBool::new(false);
static PC: AtomicUsize = AtomicUsize::new(0);
static MACHINE: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);

/// Says who makes the dump; before anybody can ask for it.
pub(super) fn set_dump(dump: Dump) {
    // The second one would be the same.
    let _ = DUMP.set(dump);
}

/// Notes where the signal struck. Async-signal-safe.
///
/// # Safety
/// The arguments are those of a handler with SA_SIGINFO.
pub(super) unsafe fn ask(info: *const libc::siginfo_t, context: *const libc::c_void) {
    // SAFETY: the caller's promise: both are valid.
    let (code, pc) = unsafe { ((*info).si_code, program_counter(context)) };
    PC.store(pc, Ordering::Relaxed);
    CODE.store(code, Ordering::Relaxed);
    // A thread that is no machine is mostly the one that called main, which Go calls m0.
    MACHINE.store(snapshot::this_machine().unwrap_or(0).cast_signed(), Ordering::Relaxed);
    // Release: pairs with the Acquire in `is_asked`.
    ASKED.store(true, Ordering::Release);
}

pub(super) fn is_asked() -> bool {
    // Acquire: pairs with the Release in `ask`.
    ASKED.load(Ordering::Acquire)
}

/// Writes the dump to stderr and ends the process.
pub(super) fn dump_and_exit() -> ! {
    let (pc, machine, code) =
        (PC.load(Ordering::Relaxed), MACHINE.load(Ordering::Relaxed), CODE.load(Ordering::Relaxed));
    let mut head = [0; 128];
    let mut rest = &mut head[..];
    let _ = write!(rest, "SIGQUIT: quit\nPC={pc:#x} m={machine} sigcode={code}\n\n");
    let left = rest.len();
    let written = head.len() - left;
    stderr::write(&head[..written]);
    if let Some(text) = DUMP.get().and_then(|dump| dump()) {
        stderr::write(text.as_bytes());
    }
    // SAFETY: takes no pointers and does not return. Not `exit`, which runs code of the program's that may wait for a lock.
    unsafe { libc::_exit(2) }
}

/// Where the interrupted code stood.
///
/// # Safety
/// `context` is what a handler with SA_SIGINFO was given.
unsafe fn program_counter(context: *const libc::c_void) -> usize {
    // SAFETY: the caller's promise: it is a valid ucontext.
    let context = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let pc = context.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    let pc = context.pc as usize;
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let pc = {
        let _ = context;
        0
    };
    pc
}
