//! Stacks that are used up.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use super::{argument, enter, ignore, say};

pub(crate) const ALL: &[super::Ending] =
    &[("overflow", overflow), ("overflow-parks", overflow_parks), ("works-unguarded", works)];

/// Recursion without end; each level uses some 300 bytes.
#[inline(never)]
fn dig(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if black_box(depth) == u64::MAX {
        return 0;
    }
    dig(black_box(depth + 1)) + frame[black_box(3)]
}

fn overflow() -> ExitCode {
    fn wait_for<T>(handle: gort::JoinHandle<T>) {
        let _ = handle.join();
        unreachable!("an overflow is the end");
    }
    match argument().as_str() {
        "goroutine" => enter(|| wait_for(gort::go(|| dig(0)))),
        "named" => enter(|| wait_for(gort::Builder::new().name("digger").go(|| dig(0)).unwrap())),
        "small" => enter(|| wait_for(gort::Builder::new().stack_size(64 * 1024).go(|| dig(0)).unwrap())),
        "large" => enter(|| wait_for(gort::Builder::new().stack_size(3 << 20).go(|| dig(0)).unwrap())),
        "main" => enter(|| ignore(black_box(dig(0)))),
        "segment" => enter(|| wait_for(gort::go(|| gort::maybe_grow(usize::MAX, 512 * 1024, || dig(0))))),
        "pinned" => enter(|| wait_for(gort::go(|| gort::pin_thread(|| dig(0))))),
        "blocking" => enter(|| wait_for(gort::go(|| gort::blocking(|| dig(0))))),
        "scope" => enter(|| gort::scope(|s| drop(s.go(|| dig(0)).join()))),
        "others-run" => enter(|| {
            for _ in 0..50 {
                gort::go(|| {
                    loop {
                        gort::sleep(Duration::from_micros(100));
                    }
                });
            }
            gort::sleep(Duration::from_millis(10));
            wait_for(gort::go(|| dig(0)))
        }),
        "thread" => {
            // SAFETY: nothing here keeps a thread-local across a call that parks.
            unsafe { gort::run(|| ()) };
            let named = std::thread::Builder::new().name("plain".into());
            drop(named.spawn(|| dig(0)).unwrap().join());
            ExitCode::SUCCESS
        }
        other => panic!("no overflow is called {other}"),
    }
}

/// Goes down into where the guard would be, and parks there: only a check of the stack pointer can tell.
fn overflow_parks() -> ExitCode {
    #[inline(never)]
    fn descend(to: usize) -> u64 {
        let frame = black_box([0u64; 16]);
        if frame.as_ptr().addr() > to {
            return descend(black_box(to)) + frame[black_box(1)];
        }
        gort::gosched();
        frame[black_box(1)]
    }
    enter(|| {
        say("down");
        let deep = gort::Builder::new().stack_size(64 * 1024).go(|| {
            let here = 0u8;
            // Stack and guard are 64 KiB in all: this is some KiB below the one, and above the other's end.
            descend(std::ptr::from_ref(&here).addr() - 55 * 1024)
        });
        let _ = deep.unwrap().join();
        say("not noticed");
    })
}

/// All the ways to use a stack, rightly.
fn works() -> ExitCode {
    enter(|| {
        fn depth(n: u64) -> u64 {
            gort::maybe_grow(32 * 1024, 1 << 20, || {
                gort::gosched();
                if n == 0 { 0 } else { 1 + depth(n - 1) }
            })
        }
        let handles: Vec<_> = (0..64).map(|n| gort::go(move || depth(n * 20))).collect();
        let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, 63 * 32 * 20);
        let small = gort::Builder::new().stack_size(64 * 1024).go(|| 1).unwrap();
        assert_eq!(small.join().unwrap(), 1);
        say("works");
    })
}
