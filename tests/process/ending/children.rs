//! Other processes: started by std and by hand, from goroutines, among hogs.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::say;
use super::tools::{Hogs, bounded, compute, procs, wait_for_preemptions};

pub(crate) const ALL: &[super::Ending] = &[
    ("child-commands", commands),
    ("child-forks", forks),
    ("child-execs", execs),
    ("child-signals", signals),
];

/// Sixteen at a time start processes, and get what these print and return.
fn commands() -> ExitCode {
    bounded(|| {
        let (hogs, next) = (Hogs::start(procs()), Arc::new(AtomicU32::new(0)));
        let starters: Vec<_> = (0..16)
            .map(|_| {
                let next = next.clone();
                gort::go(move || {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= 200 {
                            return;
                        }
                        let script = format!("echo {n}; exit {}", n % 7);
                        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
                        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{n}\n"));
                        assert_eq!(output.status.code(), Some((n % 7) as i32));
                        assert!(output.stderr.is_empty());
                    }
                })
            })
            .collect();
        starters.into_iter().for_each(|starter| starter.join().unwrap());
        hogs.stop();
        say("ok");
    })
}

/// Forks; the child does as `child` says and does not return from it.
fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child calls nothing but what may be called after a fork of a process with threads.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        child();
        // SAFETY: ends the child.
        unsafe { libc::_exit(99) };
    }
    assert!(pid > 0);
    pid
}

/// Waits for its end, which must be an exit; the wait is not interrupted.
fn wait(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: there is room for the status.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "status {status:#x}");
    libc::WEXITSTATUS(status)
}

/// Children that compute for a while, hear a SIGURG, and exit.
fn forks() -> ExitCode {
    /// Runs after the runtime's, which was registered later.
    extern "C" fn before() {
        FORKED.fetch_add(1, Ordering::Relaxed);
        BLOCKED.fetch_add(u32::from(urgent_is_blocked()), Ordering::Relaxed);
    }
    static FORKED: AtomicU32 = AtomicU32::new(0);
    static BLOCKED: AtomicU32 = AtomicU32::new(0);
    // SAFETY: the function counts and no more.
    assert_eq!(unsafe { libc::pthread_atfork(Some(before), None, None) }, 0);
    bounded(|| {
        let hogs = Hogs::start(procs());
        let forkers: Vec<_> = (0..4)
            .map(|n| {
                gort::go(move || {
                    for round in 0..10 {
                        let pid = fork(|| {
                            compute(300);
                            // SAFETY: a signal with a handler, or none; then the end.
                            unsafe {
                                libc::raise(libc::SIGURG);
                                libc::_exit(if urgent_is_blocked() { 98 } else { 7 + n + round });
                            }
                        });
                        assert!(!urgent_is_blocked());
                        assert_eq!(wait(pid), 7 + n + round);
                        gort::gosched();
                    }
                })
            })
            .collect();
        forkers.into_iter().for_each(|forker| forker.join().unwrap());
        // No goroutine was frozen in the middle of a fork, where it has all of malloc's locks.
        assert_eq!((FORKED.load(Ordering::Relaxed), BLOCKED.load(Ordering::Relaxed)), (40, 40));
        wait_for_preemptions(5);
        hogs.wait_for_progress();
        hogs.stop();
        say("ok");
    })
}

fn urgent_is_blocked() -> bool {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: fills the set, which is then read.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr());
        libc::sigismember(set.as_ptr(), libc::SIGURG) == 1
    }
}

fn execs() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(procs());
        let forkers: Vec<_> = (0..4)
            .map(|n| {
                gort::go(move || {
                    for round in 0..10 {
                        let script = std::ffi::CString::new(format!("exit {}", 3 + n + round)).unwrap();
                        let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), script.as_ptr(), std::ptr::null()];
                        let pid = fork(|| {
                            // SAFETY: the arguments are texts that live, and end with a null.
                            super::ignore(unsafe { libc::execv(c"/bin/sh".as_ptr(), arguments.as_ptr()) });
                        });
                        assert_eq!(wait(pid), 3 + n + round);
                    }
                })
            })
            .collect();
        forkers.into_iter().for_each(|forker| forker.join().unwrap());
        hogs.stop();
        say("ok");
    })
}

/// What a child finds of the runtime's use of SIGURG: nothing.
fn signals() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        wait_for_preemptions(10);
        let handles: Vec<_> = (0..8)
            .map(|_| {
                gort::go(|| {
                    let output = Command::new("cat").arg("/proc/self/status").output().unwrap();
                    let text = String::from_utf8(output.stdout).unwrap();
                    for name in ["SigPnd:", "SigBlk:", "SigIgn:", "SigCgt:"] {
                        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                        let set = u64::from_str_radix(line.trim(), 16).unwrap();
                        assert_eq!(set >> (libc::SIGURG - 1) & 1, 0, "{name}{line}");
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        hogs.stop();
        say("ok");
    })
}
