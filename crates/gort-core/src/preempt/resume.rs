//! What the handler does with the registers that the goroutine will go on with.

use crate::g::G;
use std::sync::atomic::Ordering;

/// Leaves a note for dumps of where the goroutine stands.
pub(super) fn note_registers(g: &G, context: *mut libc::c_void) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        // SAFETY: with SA_SIGINFO the third argument of a handler is a valid ucontext.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let register = |which: libc::c_int| registers[which as usize] as usize;
        g.context.pc.store(register(libc::REG_RIP), Ordering::Relaxed);
        g.context.sp.store(register(libc::REG_RSP), Ordering::Relaxed);
        g.context.fp.store(register(libc::REG_RBP), Ordering::Relaxed);
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    {
        let _ = context;
        g.context.sp.store(0, Ordering::Relaxed);
    }
}

/// The thread computed when it was asked, but it may have begun a system call before the signal arrived. Most calls are
/// started again by the kernel (SA_RESTART). Some are not: nanosleep, poll, epoll_wait and others return EINTR, which the
/// program would see. The call had not begun to wait in earnest, so it is started again here: the registers of its arguments
/// are as they were, and its number is in the instruction before, where that loads a constant, as C libraries do.
///
/// ```text
///     b8 n n n n     mov eax, n      ◄── go on here
///     0f 05          syscall
///     ..                             ◄── would go on here, with -EINTR in rax
/// ```
///
/// A futex is waited for by way of the C library's `syscall`, which has forgotten the number by then. But the kernel remembers
/// how to go on with a futex's wait that has a time-out, until this handler returns: so it goes on in here. Its thread then
/// sleeps outside the runtime as before, and may lose its processor.
pub(super) fn restart_interrupted_call(context: *mut libc::c_void) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        const MOV_EAX: u8 = 0xb8;
        const SYSCALL: [u8; 2] = [0x0f, 0x05];
        const LENGTH: i64 = 7;
        /// `mov r9, [rsp + 8]`, the last argument's, and `syscall`: the end of glibc's function of that name.
        const BY_FUNCTION: [u8; LENGTH as usize] = [0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05];
        // SAFETY: with SA_SIGINFO the third argument of a handler is a valid ucontext, which is ours to change.
        let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        if registers[libc::REG_RAX as usize] != -i64::from(libc::EINTR) {
            return;
        }
        let pc = registers[libc::REG_RIP as usize];
        let before: *const u8 = std::ptr::with_exposed_provenance((pc - LENGTH) as usize);
        // After a system call the kernel leaves its return address in rcx: so there is a syscall instruction before it.
        if registers[libc::REG_RCX as usize] != pc {
            return;
        }
        // SAFETY: code that has just been executed, and what lies before it in the same function; code is readable.
        let code = unsafe { before.cast::<[u8; LENGTH as usize]>().read_unaligned() };
        if code[0] == MOV_EAX && code[5..] == SYSCALL {
            registers[libc::REG_RIP as usize] = pc - LENGTH;
        } else if code == BY_FUNCTION && is_timed_futex_wait(registers) {
            registers[libc::REG_RAX as usize] = restart_syscall();
        }
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    let _ = context;
}

/// By its arguments. Hardly any other call has such a small number for its second and a pointer for its fourth.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn is_timed_futex_wait(registers: &[i64; 23]) -> bool {
    const FLAGS: i64 = (libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) as i64;
    const WAIT: i64 = libc::FUTEX_WAIT as i64;
    const WAIT_BITSET: i64 = libc::FUTEX_WAIT_BITSET as i64;
    let (operation, timeout) = (registers[libc::REG_RSI as usize], registers[libc::REG_R10 as usize]);
    matches!(operation & !FLAGS, WAIT | WAIT_BITSET) && timeout != 0
}

/// Goes on with the calling thread's interrupted call, if the kernel remembers one. Does not touch errno.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn restart_syscall() -> i64 {
    let mut result = libc::SYS_restart_syscall;
    // SAFETY: the call has no arguments, and writes where the interrupted one was to write.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") result, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}
