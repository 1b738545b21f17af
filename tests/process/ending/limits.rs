//! Programs that run out of something: threads, address space; and the settings from the environment.

use std::io::ErrorKind;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use super::tools::{bounded, compute, wait_until};
use super::{argument, enter, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("threads", threads),
    ("memory-builder", memory_builder),
    ("memory-go", memory_go),
    ("memory-grow", memory_grow),
    ("timers-no-thread", timers_no_thread),
    ("procs", procs),
    ("stack", stack),
    ("idle-stacks", idle_stacks),
];

/// More goroutines block than there may be threads.
fn threads() -> ExitCode {
    let limit: usize = argument().parse().unwrap();
    enter(move || {
        assert_eq!(gort::runtime::set_max_threads(limit), 10_000);
        say("started");
        gort::scope(|s| {
            for _ in 0..limit + 10 {
                s.go(|| gort::blocking(|| std::thread::sleep(Duration::from_secs(30))));
            }
        });
    })
}

/// Everything started so far goes on, and the next one is refused.
fn memory_builder() -> ExitCode {
    enter(|| {
        let (stop, stopped) = gort::chan::<()>(0);
        let mut started = 0u64;
        let error = loop {
            let stopped = stopped.clone();
            match gort::Builder::new().stack_size(1 << 30).go(move || stopped.recv()) {
                Ok(handle) => drop(handle),
                Err(error) => break error,
            }
            started += 1;
            assert!(started < 1000, "the limit is not there");
        };
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        say(format_args!("refused after {started}: {error}"));
        // There is enough left for small ones, or those are refused as well: nothing hangs.
        let small = gort::Builder::new().stack_size(64 * 1024).go(|| 5);
        say(small.map_or("no small one either".into(), |handle| format!("small: {}", handle.join().unwrap())));
        drop(stop);
        while gort::runtime::num_goroutine() > 1 {
            gort::gosched();
        }
        let again = gort::Builder::new().stack_size(1 << 30).go(|| 6);
        say(again.map_or("refused again".into(), |handle| format!("reused: {}", handle.join().unwrap())));
    })
}

/// `go` has no other way to refuse than to panic; whoever catches that goes on.
fn memory_go() -> ExitCode {
    enter(|| {
        let (stop, stopped) = gort::chan::<()>(0);
        let refused = std::panic::catch_unwind(|| {
            for _ in 0..100_000 {
                let stopped = stopped.clone();
                gort::go(move || stopped.recv());
            }
        });
        let payload = refused.expect_err("the limit is there");
        say(payload.downcast_ref::<String>().unwrap());
        drop(stop);
        while gort::runtime::num_goroutine() > 1 {
            gort::gosched();
        }
        assert_eq!(gort::go(|| 3).join().unwrap(), 3);
        say("went on");
    })
}

/// Returns the limit until now.
fn limit_address_space(bytes: u64) -> u64 {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads and sets limits of this process.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut limits), 0);
        let before = std::mem::replace(&mut limits.rlim_cur, bytes);
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limits), 0);
        before
    }
}

/// Outside the runtime, where timers need a thread.
fn timers_no_thread() -> ExitCode {
    let (tx, rx) = gort::chan(2);
    let timer = move || {
        let tx = tx.clone();
        gort::time::after_func(Duration::from_millis(1), move || tx.send(()).unwrap())
    };
    let unlimited = limit_address_space(1 << 20);
    let refused = std::panic::catch_unwind(AssertUnwindSafe(&timer));
    limit_address_space(unlimited);
    assert!(refused.is_err(), "there was room for a thread");
    say("refused");
    // The next one starts the thread, which then finds the first one as well.
    drop(timer());
    rx.recv_timeout(Duration::from_secs(20)).unwrap();
    rx.recv_timeout(Duration::from_secs(20)).unwrap();
    say("both ran");
    ExitCode::SUCCESS
}

fn memory_grow() -> ExitCode {
    enter(|| {
        let grown = std::panic::catch_unwind(|| {
            fn nest(levels: u32) {
                if levels > 0 {
                    gort::maybe_grow(usize::MAX, 1 << 30, || nest(levels - 1));
                }
            }
            nest(100);
        });
        say(grown.unwrap_err().downcast_ref::<String>().unwrap());
    })
}

fn procs() -> ExitCode {
    enter(|| {
        let procs = gort::runtime::gomaxprocs(0);
        let ran = gort::scope(|s| {
            let handles: Vec<_> = (0..100).map(|n| s.go(move || n)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u32>()
        });
        assert_eq!(ran, 4950);
        say(format_args!("{procs} of {}", gort::runtime::num_cpu()));
    })
}

/// Uses as many KiB of stack as the argument says.
fn stack() -> ExitCode {
    #[inline(never)]
    fn use_up(kib: usize) -> usize {
        let frame = std::hint::black_box([kib; 100]);
        match kib {
            0 => 0,
            _ => use_up(std::hint::black_box(kib - 1)) + frame[std::hint::black_box(7)].min(1),
        }
    }
    let kib: usize = argument().parse().unwrap();
    enter(move || say(gort::go(move || use_up(kib)).join().unwrap()))
}

/// A thousand stacks that were deep once, on processors of which most are not wanted any more.
fn idle_stacks() -> ExitCode {
    #[inline(never)]
    fn dig() {
        std::hint::black_box([1u8; 100 * 1024]);
    }
    const MIB: usize = 1 << 20;
    bounded(|| {
        let before = resident("VmRSS:");
        let (go_on, wait) = gort::chan::<()>(0);
        gort::scope(|s| {
            for _ in 0..1000 {
                s.go(|| {
                    let _ = wait.recv();
                    dig();
                    // So that others come to have some of them.
                    compute(300);
                });
            }
            go_on.close();
        });
        let most = resident("VmHWM:");
        assert!(most - before > 80 * MIB, "{} of them were resident", most - before);
        gort::runtime::gomaxprocs(1);
        // One processor may keep up to 256 of them.
        wait_until("their memory is given back", || resident("VmRSS:") < before + 60 * MIB);
        say("ok");
    })
}

/// What the kernel says of this process, in bytes.
fn resident(what: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
