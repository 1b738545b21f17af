//! The handler of SIGURG: stops the thread and hands its processor over. The signal is Go's choice, for Go's reasons: its
//! default action is nothing, debuggers pass it on, and hardly anybody else uses it. Who does is still served: a SIGURG that
//! the runtime did not send goes to the handler that was there before, or was installed since.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::resume;
use crate::m::M;
use crate::sched::the_runtime;

type Handler = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
type ShortHandler = unsafe extern "C" fn(libc::c_int);

/// The program's own handler: its address, and whether it wants three arguments. (Two words, of which a signal that comes
/// while they are exchanged may see the old and the new one; so the flag is the address's lowest bit.)
static THEIRS: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
const LONG: usize = 1;

/// The process whose monitor asks. A fork of it has machines that were asked, and nobody to bring them a processor.
static ASKER: AtomicI32 = AtomicI32::new(0);

/// Installs the handler, in front of the program's own.
pub(super) fn install() -> io::Result<()> {
    remember(current()?);
    ASKER.store(std::process::id().cast_signed(), Ordering::Relaxed);
    // SAFETY: an all-zero sigaction is a valid value: no flags, empty mask.
    let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    ours.sa_sigaction = on_urgent as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for and is async-signal-safe.
    match unsafe { libc::sigaction(libc::SIGURG, &ours, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The monitor: if the program has installed a handler over ours, ours goes in front of it.
pub(super) fn ensure_installed() {
    if current().is_ok_and(|now| now.sa_sigaction != on_urgent as *const () as usize) {
        let _ = install();
    }
}

fn current() -> io::Result<libc::sigaction> {
    let mut now = MaybeUninit::uninit();
    // SAFETY: only reads the action, into a place of the right type.
    match unsafe { libc::sigaction(libc::SIGURG, ptr::null(), now.as_mut_ptr()) } {
        // SAFETY: the call succeeded and filled it.
        0 => Ok(unsafe { now.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn remember(theirs: libc::sigaction) {
    let long = theirs.sa_flags & libc::SA_SIGINFO != 0 && theirs.sa_sigaction > LONG;
    // Relaxed: code does not change.
    THEIRS.store(theirs.sa_sigaction | if long { LONG } else { 0 }, Ordering::Relaxed);
}

/// # Safety
/// Called by the kernel, or by a handler that passes on what the kernel gave it.
unsafe extern "C" fn on_urgent(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as it came.
    let ours = unsafe { is_ours(info) };
    let Some(m) = M::current().filter(|m| ours && m.asked.swap(false, Ordering::Relaxed)) else {
        // SAFETY: the kernel's record, which comes with SA_SIGINFO, also by way of a handler that passes it on.
        let first = unsafe { mark(info) };
        // SAFETY: passed on as it came.
        let nobodys = first && !unsafe { pass_on(signal, info, context) };
        // The monitor's, which comes late: an earlier one has been taken for both. Or one that nobody asked for, which without
        // our handler would have interrupted nothing.
        if (ours || nobodys) && M::current().is_none_or(|m| m.door.is_outside()) {
            resume::restart_interrupted_call(context);
        }
        return;
    };
    if m.door.is_outside()
        && let Some(g) = m.curg()
    {
        resume::restart_interrupted_call(context);
        resume::note_registers(g, context);
        m.door.enter();
        the_runtime().freeze(m, g);
        m.door.leave();
    }
}

/// Whether the monitor may have sent it. If not, and the monitor has sent one at the same moment, the kernel has made one
/// signal of both: then the monitor will ask again.
///
/// # Safety
/// The pointer is null or what the kernel gave to a handler.
unsafe fn is_ours(info: *const libc::siginfo_t) -> bool {
    // SAFETY: the caller's promise; a signal of a thread comes with its sender.
    unsafe { info.as_ref() }.is_some_and(|info| {
        // SAFETY: as above.
        info.si_code == libc::SI_TKILL && unsafe { info.si_pid() } == ASKER.load(Ordering::Relaxed)
    })
}

/// Marks the kernel's record of a signal; false if it is marked already. A handler that was installed over ours may well pass
/// on to ours what it gets, and it gets it from ours, once ours is in front again: without this they would call each other
/// until the stack ends. The mark is in the part of the record that the kernel fills with zeros: in the last word but one,
/// for the last one is where the rooms above that listen to signals put theirs, for the same reason.
///
/// # Safety
/// The pointer is null or what the kernel gave to a handler.
unsafe fn mark(info: *mut libc::siginfo_t) -> bool {
    const WORDS: usize = size_of::<libc::siginfo_t>() / size_of::<u64>();
    const MARK: u64 = 0x676f_7274_5552_4721;
    // SAFETY: the record is on the handler's stack, and this thread's alone.
    let Some(words) = (unsafe { info.cast::<[u64; WORDS]>().as_mut() }) else { return false };
    std::mem::replace(&mut words[WORDS - 2], MARK) != MARK
}

/// Calls the program's own handler: false if there is none.
///
/// # Safety
/// Called from a handler, with the arguments that it was called with.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) -> bool {
    let theirs = THEIRS.load(Ordering::Relaxed);
    match theirs & !LONG {
        // The default action is to do nothing. (SIG_IGN is 1, without its lowest bit the same.)
        libc::SIG_DFL => return false,
        // SAFETY: the address of a handler of this type, by `remember`.
        address if theirs & LONG != 0 => unsafe {
            std::mem::transmute::<usize, Handler>(address)(signal, info, context);
        },
        // SAFETY: as above.
        address => unsafe { std::mem::transmute::<usize, ShortHandler>(address)(signal) },
    }
    true
}
