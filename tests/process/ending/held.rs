//! Programs in which a goroutine changes threads with something of its thread in hand, or without.
//!
//! With one processor the goroutine and another, beside it, run on the same thread, one after the other. What becomes of
//! the other decides what becomes of the thread; and main, which wakes the first one, runs on another by then.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use gort::channel::Receiver;

use super::tools::wait_until;
use crate::{Ending, argument, enter, say};

pub(crate) const ALL: &[Ending] = &[("held", held)];

thread_local! {
    static LOG: RefCell<Vec<u32>> = RefCell::default();
    static COUNT: Cell<u32> = const { Cell::new(0) };
    static STATE: Rc<Cell<u32>> = Rc::default();
}

fn held() -> ExitCode {
    let receive = way_to_receive(&argument());
    let beside = std::env::args().nth(3).expect("this ending takes two arguments");
    enter(move || {
        let (tx, rx) = gort::chan(0);
        let one = gort::go(move || {
            let here = std::thread::current().id();
            receive(&rx);
            receive(&rx);
            std::thread::current().id() == here
        });
        gort::gosched();
        for n in 0..2 {
            go_beside(&beside);
            tx.send(n).expect("it receives");
        }
        say(if one.join().expect("it does not panic") { "stays" } else { "changes threads" });
    })
}

/// What becomes of the thread that the goroutine has parked on.
fn go_beside(beside: &str) {
    match beside {
        // It is idle: what was beside has come back from its call, found no processor, and gone on elsewhere.
        "idle" => {
            gort::go(|| gort::blocking(|| std::thread::sleep(Duration::from_millis(50)))).join().unwrap()
        }
        "busy" => {
            drop(gort::go(|| gort::blocking(|| std::thread::sleep(Duration::from_secs(50)))));
            gort::gosched();
        }
        // It has ended, as a goroutine did that was tied to it.
        "gone" => {
            let tied = gort::go(|| {
                gort::lock_os_thread();
                std::fs::read_link("/proc/thread-self").expect("/proc tells")
            });
            let thread = std::path::Path::new("/proc").join(tied.join().expect("it does not panic"));
            wait_until("the thread has ended", || !thread.exists());
        }
        other => panic!("nothing that is called {other:?} becomes of a thread"),
    }
}

fn way_to_receive(what: &str) -> fn(&Receiver<u32>) {
    match what {
        "borrow" => |rx| COUNT.with(|count| count.set(rx.recv().expect("main sends"))),
        "borrow-of-a-cell" => |rx| LOG.with_borrow_mut(|log| log.push(rx.recv().expect("main sends"))),
        "rc" => |rx| {
            let state = STATE.with(Rc::clone);
            state.set(rx.recv().expect("main sends"));
        },
        "rc-let-go-of" => |rx| {
            drop(STATE.with(Rc::clone));
            STATE.with(|state| state.set(1));
            LOG.with_borrow_mut(Vec::clear);
            let n = rx.recv().expect("main sends");
            COUNT.set(n);
        },
        "pinned" => |rx| {
            gort::pin_thread(|| COUNT.with(|count| count.set(rx.recv().expect("main sends"))));
        },
        "nothing" => |rx| {
            COUNT.set(COUNT.get() + rx.recv().expect("main sends"));
            // The thread-locals of std, which programs use without knowing.
            let set = HashSet::from([Instant::now()]);
            say(format_args!("{}", std::thread::current().name().unwrap_or("?").len().min(1)));
            assert_eq!(set.len(), 1);
        },
        other => panic!("no way to receive is called {other:?}"),
    }
}
