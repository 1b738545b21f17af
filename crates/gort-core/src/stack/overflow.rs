//! Stack overflow: a fault in the guard below a goroutine's stack ends the process with a report; any other fault goes to
//! whoever handled it before.
//!
//! The handler runs on an alternate stack that each machine has of its own (the goroutine's stack is full, after all). It
//! is async-signal-safe: it reads atomics, formats into a buffer on its stack, writes to descriptor 2 and exits.

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::GUARD_BYTES;
use super::overflow_text::Overflow;

const SIGNAL_STACK_BYTES: usize = 64 * 1024;

/// The goroutine that the calling thread runs, if it runs one. Async-signal-safe.
pub(crate) type Suspect = fn() -> Option<Suspected>;

/// A goroutine that may have used up its stack.
pub(crate) struct Suspected {
    pub(crate) id: u64,
    /// The first bytes of its name, filled up with zeros.
    pub(crate) name: [u8; 24],
    /// The stack it is on, without the guard.
    pub(crate) stack: Range<usize>,
}

impl Suspected {
    fn name(&self) -> Option<&str> {
        let len = self.name.iter().position(|&byte| byte == 0).unwrap_or(self.name.len());
        std::str::from_utf8(self.name.get(..len)?).ok().filter(|name| !name.is_empty())
    }
}

struct Before {
    segv: libc::sigaction,
    bus: libc::sigaction,
}

static SUSPECT: OnceLock<Suspect> = OnceLock::new();
static BEFORE: OnceLock<Before> = OnceLock::new();

/// Installs the handler; once per process.
pub(crate) fn install(suspect: Suspect) -> io::Result<()> {
    if SUSPECT.set(suspect).is_err() {
        return Ok(());
    }
    // The old handlers are read first and stored before ours can run, which then only reads.
    let _ = BEFORE.set(Before { segv: current_action(libc::SIGSEGV)?, bus: current_action(libc::SIGBUS)? });
    set_ours(libc::SIGSEGV)?;
    set_ours(libc::SIGBUS)
}

fn current_action(signal: libc::c_int) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::uninit();
    // SAFETY: only reads the action, into a place of the right type.
    match unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) } {
        // SAFETY: the call succeeded and filled it.
        0 => Ok(unsafe { old.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set_ours(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: an all-zero sigaction is a valid value: no flags, empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for and is async-signal-safe.
    match unsafe { libc::sigaction(signal, &action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The handler of SIGSEGV and SIGBUS.
///
/// # Safety
/// Called by the kernel, or by a handler that passes on what the kernel gave it: `info` is valid, and `context` is a
/// ucontext.
unsafe extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo, and for these signals it holds the address.
    let at = unsafe { (*info).si_addr() }.addr();
    if let Some(suspected) = SUSPECT.get().and_then(|suspect| suspect())
        && (suspected.stack.start - GUARD_BYTES..suspected.stack.start).contains(&at)
    {
        let (pc, sp) = registers(context).unwrap_or((0, at));
        let stack = suspected.stack.clone();
        Overflow { goroutine: suspected.id, name: suspected.name(), pc, sp, stack }.report();
        // SAFETY: ends the process without running anything of the program, which can not go on.
        unsafe { libc::_exit(2) }
    }
    // SAFETY: the arguments are passed on as they came.
    unsafe { chain(signal, info, context) }
}

/// Where it happened: instruction and stack pointer.
fn registers(context: *mut libc::c_void) -> Option<(usize, usize)> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        // SAFETY: with SA_SIGINFO the third argument of a handler is a valid ucontext.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        Some((registers[libc::REG_RIP as usize] as usize, registers[libc::REG_RSP as usize] as usize))
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    {
        let _ = context;
        None
    }
}

/// Calls the handler that was there before us; if there was none, lets the default action happen.
///
/// # Safety
/// Called from a handler, with the arguments that it was called with.
unsafe fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE.get().map(|b| if signal == libc::SIGBUS { &b.bus } else { &b.segv });
    match before {
        Some(old) if old.sa_sigaction != libc::SIG_DFL && old.sa_sigaction != libc::SIG_IGN => {
            if old.sa_flags & libc::SA_SIGINFO != 0 {
                type Handler = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
                // SAFETY: with SA_SIGINFO the stored address is a handler of this type.
                unsafe { std::mem::transmute::<usize, Handler>(old.sa_sigaction)(signal, info, context) }
            } else {
                type Handler = unsafe extern "C" fn(libc::c_int);
                // SAFETY: without SA_SIGINFO the stored address is a handler of this type.
                unsafe { std::mem::transmute::<usize, Handler>(old.sa_sigaction)(signal) }
            }
        }
        // Return with the default action in place: the faulting instruction runs again and ends the process.
        // SAFETY: resets one signal's action.
        _ => unsafe {
            libc::signal(signal, libc::SIG_DFL);
        },
    }
}

/// The alternate stack of one machine's thread; given back when dropped, on the same thread.
#[derive(Debug)]
pub(crate) struct SignalStack {
    at: *mut libc::c_void,
}

impl SignalStack {
    /// Gives the calling thread an alternate signal stack, in place of any that it had.
    pub(crate) fn install() -> io::Result<SignalStack> {
        let flags = MapFlags::PRIVATE | MapFlags::STACK | MapFlags::NORESERVE;
        // SAFETY: a fresh anonymous mapping disturbs nothing.
        let at = unsafe {
            mmap_anonymous(ptr::null_mut(), SIGNAL_STACK_BYTES, ProtFlags::READ | ProtFlags::WRITE, flags)
        }?;
        let stack = libc::stack_t { ss_sp: at, ss_flags: 0, ss_size: SIGNAL_STACK_BYTES };
        // SAFETY: the mapping stays until `drop`, which first takes it out of use.
        match unsafe { libc::sigaltstack(&stack, ptr::null_mut()) } {
            0 => Ok(SignalStack { at }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        let off =
            libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: SIGNAL_STACK_BYTES };
        // SAFETY: takes the stack out of use and unmaps it; dropped on the thread that installed it.
        unsafe {
            libc::sigaltstack(&off, ptr::null_mut());
            let _ = munmap(self.at, SIGNAL_STACK_BYTES);
        }
    }
}
