//! The report of a stack overflow, from the place it is meant for: a signal handler on an alternate stack, in a process
//! whose own stack is used up.

#![cfg(target_os = "linux")]

#[allow(dead_code)]
#[path = "../../gort-core/src/stack/overflow_text.rs"]
mod overflow_text;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::ptr;

use overflow_text::Overflow;

const ROLE: &str = "GORT_TEST_OVERFLOWS";

#[test]
fn is_written_by_a_signal_handler_when_the_stack_is_used_up() {
    if std::env::var_os(ROLE).is_some() {
        return overflow_for_real();
    }
    let me = std::env::current_exe().unwrap();
    let test = "is_written_by_a_signal_handler_when_the_stack_is_used_up";
    let output = Command::new(me).args([test, "--exact", "--nocapture"]).env(ROLE, "1").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{:?}: {stderr}", output.status.signal());
    let at = stderr.find("runtime: goroutine stack exceeds 65536-byte limit\nruntime: sp=0x").expect(&stderr);
    let report = &stderr[at..];
    assert!(report.contains(
        "\nfatal error: stack overflow\n\ngoroutine 7 [running labels:{\"name\": \"deep\"}]:\npc=0x"
    ));
    assert_eq!(report.lines().count(), 7, "{report}");
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if black_box(depth) == u64::MAX {
        return 0;
    }
    recurse(black_box(depth + 1)) + frame[black_box(3)]
}

extern "C" fn on_fault(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo of a fault to an SA_SIGINFO handler; `_exit` runs nothing more.
    unsafe {
        let sp = (*info).si_addr().addr();
        Overflow {
            goroutine: 7,
            name: Some("deep"),
            pc: recurse as *const () as usize,
            sp,
            stack: sp..sp + 65536,
        }
        .report();
        libc::_exit(2);
    }
}

fn overflow_for_real() {
    // SAFETY: the alternate stack is leaked, so it outlives the handler's use; the handler has the type that SA_SIGINFO
    // asks for; all structures are plain data, for which zero is a value.
    unsafe {
        let memory = Box::leak(vec![0u8; 64 << 10].into_boxed_slice());
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
        assert_eq!(libc::sigaltstack(&stack, ptr::null_mut()), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut()), 0);
    }
    black_box(recurse(0));
}
