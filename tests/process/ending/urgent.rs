//! A program's own use of signals beside preemption: of SIGURG, which the runtime uses itself, and of others.

use std::mem::MaybeUninit;
use std::process::ExitCode;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::tools::{Hogs, MS, bounded, procs, wait_for_preemptions, wait_until};
use super::{ignore, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("urgent-before", before),
    ("urgent-before-short", before_short),
    ("urgent-after", after),
    ("urgent-after-chained", after_chained),
    ("urgent-ignored", ignored),
    ("urgent-blocked", blocked),
    ("urgent-late", late),
    ("signal-usr1", usr1),
    ("signal-alarm", || alarm(0)),
    ("signal-alarm-onstack", || alarm(libc::SA_ONSTACK)),
    ("signal-all-blocked", all_blocked),
];

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs a handler; returns what was there.
fn install(signal: libc::c_int, handler: usize, flags: libc::c_int) -> libc::sigaction {
    let mut old = MaybeUninit::uninit();
    // SAFETY: an all-zero action is valid; the handlers of this program do nothing but count.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, old.as_mut_ptr()), 0);
        old.assume_init()
    }
}

static HEARD: AtomicU32 = AtomicU32::new(0);
/// The sender of the last signal, as its handler was told.
static SENDER: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    assert!(!context.is_null());
    // SAFETY: with SA_SIGINFO the second argument is valid.
    SENDER.store(unsafe { (*info).si_pid() }, Ordering::Relaxed);
    HEARD.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn count_short(signal: libc::c_int) {
    SENDER.store(if signal == libc::SIGURG { std::process::id() as i32 } else { 0 }, Ordering::Relaxed);
    HEARD.fetch_add(1, Ordering::Relaxed);
}

fn heard() -> u32 {
    HEARD.load(Ordering::Relaxed)
}

/// Sends one, and waits until it is heard; sends it again after a while, since a signal may meet another of its kind.
fn send_until_heard(send: impl Fn()) {
    let before = heard();
    let sent = AtomicU32::new(0);
    wait_until("the signal", || {
        if sent.fetch_add(1, Ordering::Relaxed).is_multiple_of(100) {
            send();
        }
        heard() > before
    });
    assert_eq!(SENDER.load(Ordering::Relaxed), std::process::id() as i32);
}

/// Sends SIGURG in all ways: each is heard by the program's handler, and preemption goes on.
fn served_beside_hogs() {
    let hogs = Hogs::start(2 * procs());
    let main_tid = process_thread();
    for _ in 0..3 {
        wait_for_preemptions(20);
        // SAFETY: sends a signal that has a handler: to the process, to the calling thread, to another.
        unsafe {
            send_until_heard(|| ignore(libc::kill(libc::getpid(), libc::SIGURG)));
            send_until_heard(|| ignore(libc::raise(libc::SIGURG)));
            send_until_heard(|| {
                ignore(libc::syscall(libc::SYS_tgkill, libc::getpid(), main_tid, libc::SIGURG))
            });
        }
        // From one hog to another's thread: aimed at one that computes or is stopped.
        let (tx, rx) = gort::chan(1);
        let (stop, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let target = gort::go({
            let stop = stop.clone();
            move || {
                tx.send(own_thread()).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        });
        let tid: i32 = rx.recv().unwrap();
        // SAFETY: as above; the thread is there until `stop`.
        send_until_heard(|| unsafe {
            ignore(libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGURG))
        });
        stop.store(true, Ordering::Relaxed);
        target.join().unwrap();
        stopped.store(true, Ordering::Relaxed);
        hogs.wait_for_progress();
    }
    hogs.stop();
    say("ok");
}

fn own_thread() -> i32 {
    // SAFETY: asks for a number.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// The process's first thread, which runs no goroutine.
fn process_thread() -> i32 {
    std::process::id() as i32
}

const LONG: libc::c_int = libc::SA_SIGINFO | libc::SA_RESTART;

fn before() -> ExitCode {
    install(libc::SIGURG, count as Handler as usize, LONG);
    bounded(served_beside_hogs)
}

fn before_short() -> ExitCode {
    install(
        libc::SIGURG,
        count_short as extern "C" fn(libc::c_int) as usize,
        libc::SA_RESTART | libc::SA_ONSTACK,
    );
    bounded(served_beside_hogs)
}

fn after() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        wait_for_preemptions(20);
        install(libc::SIGURG, count as Handler as usize, LONG | libc::SA_ONSTACK);
        wait_for_preemptions(20);
        hogs.stop();
        served_beside_hogs();
    })
}

/// What was there before `chained` was installed.
static OLD: AtomicUsize = AtomicUsize::new(0);

/// A handler with manners: it passes on what it gets.
extern "C" fn chained(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    count(signal, info, context);
    let old = OLD.load(Ordering::Relaxed);
    // SAFETY: the address of a handler of this type, which is passed what the kernel has given.
    let old: Handler = unsafe { std::mem::transmute::<usize, Handler>(old) };
    old(signal, info, context);
}

fn after_chained() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        wait_for_preemptions(20);
        // Known before the new one can be called.
        let mut old = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: only asks for the action, which is the runtime's, with three arguments.
        let old = unsafe {
            assert_eq!(libc::sigaction(libc::SIGURG, ptr::null(), old.as_mut_ptr()), 0);
            old.assume_init()
        };
        assert_ne!(old.sa_flags & libc::SA_SIGINFO, 0);
        OLD.store(old.sa_sigaction, Ordering::Relaxed);
        install(libc::SIGURG, chained as Handler as usize, LONG | libc::SA_ONSTACK);
        wait_for_preemptions(20);
        hogs.stop();
        served_beside_hogs();
    })
}

fn ignored() -> ExitCode {
    install(libc::SIGURG, libc::SIG_IGN, 0);
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        wait_for_preemptions(50);
        // SAFETY: sends a signal that the program ignores.
        unsafe { libc::kill(libc::getpid(), libc::SIGURG) };
        hogs.wait_for_progress();
        hogs.stop();
        say("ok");
    })
}

/// Calls with a time-out, in the middle of which a signal comes that nobody waits for any more: they are not cut short.
fn late() -> ExitCode {
    /// A hundredth of a second in the kernel. True if it was that.
    fn call(kind: u32) -> bool {
        let time = libc::timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        // SAFETY: no descriptors; reads the time.
        unsafe {
            match kind {
                0 => libc::ppoll(ptr::null_mut(), 0, &time, ptr::null()) == 0,
                1 => libc::poll(ptr::null_mut(), 0, 10) == 0,
                _ => libc::nanosleep(&time, ptr::null_mut()) == 0,
            }
        }
    }
    bounded(|| {
        for round in 0..10 {
            let (tx, begun) = std::sync::mpsc::channel::<i32>();
            let sender = std::thread::spawn(move || {
                for tid in begun {
                    std::thread::sleep(3 * MS);
                    // SAFETY: sends a signal that has a handler to a thread of this process.
                    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGURG) };
                }
            });
            let calls = move || {
                for kind in 0..3 {
                    // SAFETY: takes nothing.
                    tx.send(unsafe { libc::gettid() }).unwrap();
                    assert!(call(kind), "interrupted: {kind}");
                }
            };
            match round % 2 {
                0 => gort::go(move || gort::pin_thread(calls)).join().unwrap(),
                _ => gort::blocking(|| std::thread::spawn(calls).join().unwrap()),
            }
            sender.join().unwrap();
        }
        say("ok");
    })
}

/// Blocks signals for the calling thread.
fn block(fill: unsafe extern "C" fn(*mut libc::sigset_t) -> libc::c_int, also: libc::c_int) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: fills a set of signals and reads it.
    unsafe {
        fill(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), also);
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()), 0);
    }
}

fn blocked() -> ExitCode {
    block(libc::sigemptyset, libc::SIGURG);
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        wait_for_preemptions(50);
        hogs.stop();
        say("ok");
    })
}

/// Main blocks everything there is, as programs do that handle signals on a thread of their own.
fn all_blocked() -> ExitCode {
    block(libc::sigfillset, libc::SIGURG);
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        wait_for_preemptions(50);
        hogs.stop();
        say("ok");
    })
}

/// A storm of another signal, from a goroutine to the whole process, beside preemption.
fn usr1() -> ExitCode {
    install(libc::SIGUSR1, count as Handler as usize, LONG | libc::SA_ONSTACK);
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        let before = super::tools::preemptions();
        for _ in 0..300 {
            let heard_before = heard();
            // SAFETY: sends a signal that has a handler.
            unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
            wait_until("the signal", || heard() > heard_before);
        }
        assert_ne!(super::tools::preemptions(), before);
        hogs.wait_for_progress();
        hogs.stop();
        say("ok");
    })
}

/// A timer of the kernel's that interrupts every millisecond whoever runs, goroutines on their own stacks among them.
fn alarm(on_stack: libc::c_int) -> ExitCode {
    install(libc::SIGALRM, count as Handler as usize, LONG | on_stack);
    let every = libc::timeval { tv_sec: 0, tv_usec: 1000 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: reads the times.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) }, 0);
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        let sleepers: Vec<_> = (0..8)
            .map(|_| gort::go(|| (0..20).for_each(|_| std::thread::sleep(Duration::from_micros(1500)))))
            .collect();
        wait_for_preemptions(50);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        wait_until("alarms", || heard() > 100);
        hogs.wait_for_progress();
        hogs.stop();
        gort::sleep(5 * MS);
        say("ok");
    })
}
