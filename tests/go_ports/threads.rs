//! Goroutines tied to their OS thread (runtime/proc_test.go: LockOSThread and what it does to others).

use std::fs;
use std::path::Path;
use std::thread;

use crate::support::{Chan, on_procs, settle, until};

/// The kernel's number of the calling thread.
fn tid() -> String {
    let link = fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().to_owned()
}

/// TestYieldLocked: a goroutine that is tied to its thread yields, and is still on that thread.
#[gort::test(unsafe(migrate))]
fn a_tied_goroutine_yields() {
    on_procs(|_| {
        let done = Chan::new(0);
        gort::scope(|s| {
            s.go(|| {
                gort::pin_thread(|| {
                    let mine = thread::current().id();
                    for _ in 0..10 {
                        gort::gosched();
                        gort::sleep(std::time::Duration::from_micros(100));
                        assert_eq!(thread::current().id(), mine);
                    }
                    done.send(());
                });
            });
            done.take();
        });
    });
}

/// TestYieldLockedProgress: others make progress beside tied goroutines that do nothing but yield.
#[gort::test(unsafe(migrate))]
fn tied_goroutines_let_others_run() {
    on_procs(|_| {
        let over = Chan::<()>::new(0);
        gort::scope(|s| {
            for _ in 0..3 {
                s.go(|| {
                    gort::pin_thread(|| {
                        while !over.rx.is_closed() {
                            gort::gosched();
                        }
                    });
                });
            }
            (0..10).for_each(|_| gort::gosched());
            s.go(|| over.close());
        });
    });
}

/// TestBlockLocked: a tied goroutine sends to one that is not, which takes a change of threads for each value.
#[gort::test(unsafe(migrate))]
fn a_tied_goroutine_waits() {
    on_procs(|_| {
        let c = Chan::new(0);
        gort::scope(|s| {
            s.go(|| {
                gort::pin_thread(|| {
                    let mine = tid();
                    for i in 0..500 {
                        c.send(i);
                        assert_eq!(tid(), mine);
                    }
                    c.close();
                });
            });
            assert!((0..500).eq(&c.rx));
        });
    });
}

/// Two tied goroutines play ping-pong: BenchmarkPingPongHog's worst case, and every select form on the way.
#[gort::test(unsafe(migrate))]
fn two_tied_goroutines_meet() {
    on_procs(|_| {
        let (ping, pong) = (Chan::new(0), Chan::new(0));
        gort::scope(|s| {
            s.go(|| {
                gort::lock_os_thread();
                ping.rx.iter().for_each(|i: u32| {
                    gort::select! { send(pong.tx, i + 1) -> sent => sent.unwrap() }
                });
                gort::unlock_os_thread();
            });
            gort::pin_thread(|| {
                for i in 0..300 {
                    ping.send(i);
                    assert_eq!(pong.take(), i + 1);
                }
                ping.close();
            });
        });
    });
}

/// TestLockOSThreadNesting: it takes as many unlocks as locks.
#[gort::test(unsafe(migrate))]
fn locks_nest() {
    on_procs(|_| {
        gort::scope(|s| {
            // Somebody else wants this thread all the time.
            let over = Chan::<()>::new(0);
            let rival_over = over.clone();
            s.go(move || {
                while !rival_over.rx.is_closed() {
                    gort::gosched();
                }
            });
            let tied = s.go(|| {
                gort::lock_os_thread();
                gort::lock_os_thread();
                let mine = tid();
                gort::unlock_os_thread();
                for _ in 0..20 {
                    gort::gosched();
                    gort::sleep(std::time::Duration::from_millis(1));
                    assert_eq!(tid(), mine, "one unlock of two, and it moved");
                }
                gort::unlock_os_thread();
                // One too many does nothing, as in Go.
                gort::unlock_os_thread();
                gort::pin_thread(tid)
            });
            tied.join().unwrap();
            over.close();
        });
    });
}

/// TestLockOSThreadExit: a goroutine that ends while it is tied takes its thread along.
#[gort::test(unsafe(migrate))]
fn a_goroutine_that_ends_tied_ends_its_thread() {
    on_procs(|_| {
        let ended = gort::go(|| {
            gort::lock_os_thread();
            tid()
        });
        let tid = ended.join().unwrap();
        until("the thread ends", || !Path::new("/proc/self/task").join(&tid).exists());
        // The rest goes on.
        settle();
        assert_eq!(gort::go(|| 5).join().unwrap(), 5);

        let stays = gort::go(|| gort::pin_thread(self::tid)).join().unwrap();
        settle();
        assert!(
            Path::new("/proc/self/task").join(&stays).exists(),
            "who unlocks in time leaves the thread alive"
        );
    });
}

/// TestLockOSThreadTemplateThreadRace, in the small: many goroutines end tied while others start.
#[gort::test(unsafe(migrate))]
fn many_threads_come_and_go() {
    on_procs(|_| {
        for _ in 0..5 {
            gort::scope(|s| {
                for i in 0..20 {
                    s.go(move || {
                        if i % 2 == 0 {
                            gort::lock_os_thread();
                        }
                        gort::gosched();
                        gort::go(move || assert!(i < 20)).join().unwrap();
                    });
                }
            });
        }
    });
}
