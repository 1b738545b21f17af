//! Scopes: what may be borrowed, when they end, and what becomes of panics inside.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use gort::Goexit;

fn quiet_panic(words: &'static str) -> ! {
    resume_unwind(Box::new(words))
}

#[track_caller]
fn raised<T>(scope: impl FnOnce() -> T) -> &'static str {
    let Err(payload) = catch_unwind(AssertUnwindSafe(scope)) else { panic!("nothing was raised") };
    payload.downcast_ref::<&'static str>().copied().expect("the payload is what was raised")
}

#[gort::test(unsafe(migrate))]
fn borrows_shared_and_mutable_and_returns_a_value() {
    let words = vec!["a".to_string(), "b".into(), "c".into()];
    let mut lengths = vec![0; 3];
    let total = gort::scope(|s| {
        for (length, word) in lengths.iter_mut().zip(&words) {
            s.go(move || {
                gort::gosched();
                *length = word.len();
            });
        }
        let handle = s.go(|| words.concat());
        handle.join().unwrap()
    });
    assert_eq!(lengths, [1, 1, 1]);
    assert_eq!(total, "abc");
    drop(words);
}

#[gort::test(unsafe(migrate))]
fn waits_for_all_that_were_started_those_of_children_included() {
    let ended = AtomicUsize::new(0);
    gort::scope(|s| {
        for n in 0..50 {
            let ended = &ended;
            s.go(move || {
                s.go(move || {
                    gort::sleep(Duration::from_micros(n * 20));
                    ended.fetch_add(1, SeqCst);
                });
                ended.fetch_add(1, SeqCst);
            });
        }
    });
    assert_eq!(ended.load(SeqCst), 100);
}

#[gort::test(unsafe(migrate))]
fn nests() {
    fn count(levels: u32) -> u64 {
        if levels == 0 {
            return 1;
        }
        let mut halves = [0, 0];
        gort::scope(|s| {
            for half in &mut halves {
                s.go(move || *half = count(levels - 1));
            }
        });
        halves.iter().sum()
    }
    assert_eq!(count(9), 512);
}

#[gort::test(unsafe(migrate))]
fn raises_a_panic_again_after_all_have_ended() {
    let ended = AtomicUsize::new(0);
    let words = raised(|| {
        gort::scope(|s| {
            s.go(|| quiet_panic("child"));
            for _ in 0..20 {
                s.go(|| {
                    gort::sleep(Duration::from_millis(5));
                    ended.fetch_add(1, SeqCst);
                });
            }
        })
    });
    assert_eq!(words, "child");
    assert_eq!(ended.load(SeqCst), 20);
}

#[gort::test(unsafe(migrate))]
fn of_several_panics_one_is_raised() {
    for _ in 0..100 {
        let words = raised(|| {
            gort::scope(|s| {
                for words in ["one", "two", "three"] {
                    s.go(move || quiet_panic(words));
                }
            })
        });
        assert!(["one", "two", "three"].contains(&words));
    }
}

#[gort::test(unsafe(migrate))]
fn surplus_panics_whose_payloads_drop_panics_harm_nobody() {
    struct DropPanics;
    impl Drop for DropPanics {
        fn drop(&mut self) {
            quiet_panic("from a drop");
        }
    }
    for of_the_parent in [false, true] {
        let words = raised(|| {
            gort::scope(|s| {
                if !of_the_parent {
                    let first = s.go(|| quiet_panic("first"));
                    while !first.is_finished() {
                        gort::sleep(Duration::from_millis(1));
                    }
                }
                for _ in 0..3 {
                    s.go(|| resume_unwind(Box::new(DropPanics)));
                }
                if of_the_parent {
                    quiet_panic("first");
                }
            })
        });
        assert_eq!(words, "first");
    }
}

#[gort::test(unsafe(migrate))]
fn a_scope_may_be_printed_to_somebody_who_parks() {
    struct Yields;
    impl Write for Yields {
        fn write_str(&mut self, _: &str) -> std::fmt::Result {
            gort::gosched();
            Ok(())
        }
    }
    let before = gort::runtime::gomaxprocs(1);
    for turns in 0..10 {
        gort::scope(|s| {
            s.go(move || (0..turns).for_each(|_| gort::gosched()));
            write!(Yields, "{s:?}").unwrap();
        });
    }
    gort::runtime::gomaxprocs(before);
}

#[gort::test(unsafe(migrate))]
fn a_panic_that_was_joined_is_not_raised_again() {
    let value = gort::scope(|s| {
        let handle = s.go(|| -> u8 { quiet_panic("child") });
        let payload = handle.join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"child"));
        3
    });
    assert_eq!(value, 3);
}

#[gort::test(unsafe(migrate))]
fn a_panic_of_the_parent_waits_for_the_children_and_wins() {
    let ended = AtomicUsize::new(0);
    let words = raised(|| {
        gort::scope(|s| {
            for n in 0..20 {
                let ended = &ended;
                s.go(move || {
                    gort::sleep(Duration::from_millis(3));
                    ended.fetch_add(1, SeqCst);
                    if n == 7 {
                        quiet_panic("child");
                    }
                });
            }
            quiet_panic("parent")
        })
    });
    assert_eq!(words, "parent");
    assert_eq!(ended.load(SeqCst), 20);
}

#[gort::test(unsafe(migrate))]
fn scopes_in_destructors_of_an_unwinding_parent_work() {
    struct Scopes<'a>(&'a AtomicUsize);
    impl Drop for Scopes<'_> {
        fn drop(&mut self) {
            gort::scope(|s| {
                for _ in 0..5 {
                    s.go(|| {
                        gort::sleep(Duration::from_millis(1));
                        self.0.fetch_add(1, SeqCst);
                    });
                }
            });
        }
    }
    let ended = AtomicUsize::new(0);
    let words = raised(|| {
        let _scopes = Scopes(&ended);
        quiet_panic("parent")
    });
    assert_eq!((words, ended.load(SeqCst)), ("parent", 5));
}

#[gort::test(unsafe(migrate))]
fn goexit_of_a_child_is_seen_by_its_joiner() {
    gort::scope(|s| {
        let handle = s.go(|| -> u8 { gort::goexit() });
        assert!(handle.join().unwrap_err().is::<Goexit>());
    });
}

#[gort::test(unsafe(migrate))]
fn goexit_of_an_unjoined_child_ends_that_child_alone() {
    let ended = AtomicUsize::new(0);
    let value = gort::scope(|s| {
        s.go(|| gort::goexit());
        s.go(|| {
            gort::sleep(Duration::from_millis(2));
            ended.fetch_add(1, SeqCst)
        });
        11
    });
    assert_eq!((value, ended.load(SeqCst)), (11, 1));
}

#[gort::test(unsafe(migrate))]
fn goexit_of_the_parent_waits_for_the_children() {
    let ended = std::sync::Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let result = gort::go(move || {
        gort::scope(|s| {
            for _ in 0..10 {
                s.go(|| {
                    gort::sleep(Duration::from_millis(3));
                    count.fetch_add(1, SeqCst);
                });
            }
            gort::goexit()
        })
    })
    .join();
    let result: Result<(), _> = result;
    assert!(result.unwrap_err().is::<Goexit>());
    assert_eq!(ended.load(SeqCst), 10);
}

#[gort::test(unsafe(migrate))]
fn handles_tell_of_their_goroutine() {
    gort::scope(|s| {
        let (tx, rx) = gort::chan::<()>(0);
        let handle = s.go(move || (rx.recv().is_err(), gort::runtime::goroutine_id()));
        assert!(!handle.is_finished());
        let id = handle.id();
        drop(tx);
        assert_eq!(handle.join().unwrap(), (true, Some(id)));
    });
}

#[gort::test(unsafe(migrate))]
fn ten_thousand_children() {
    let sum = AtomicUsize::new(0);
    gort::scope(|s| {
        for n in 0..10_000 {
            let sum = &sum;
            s.go(move || sum.fetch_add(n, SeqCst));
        }
    });
    assert_eq!(sum.load(SeqCst), 9999 * 5000);
}

#[gort::test(unsafe(migrate))]
fn empty_scopes_end_at_once() {
    assert_eq!(gort::scope(|_| "nothing"), "nothing");
    assert_eq!(raised(|| gort::scope(|_| -> () { quiet_panic("own") })), "own");
}

/// A plain thread may open a scope once the runtime exists; it blocks.
#[test]
fn on_plain_threads() {
    // SAFETY: nothing here keeps a thread-local across a call that parks.
    unsafe { gort::run(|| ()) };
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let mut parts = [0u64; 64];
                for _ in 0..50 {
                    gort::scope(|s| {
                        for part in &mut parts {
                            s.go(|| *part += 1);
                        }
                    });
                }
                parts
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), [50; 64]);
    }
    let words = raised(|| gort::scope(|s| drop(s.go(|| quiet_panic("child")))));
    assert_eq!(words, "child");
}
