//! Threads that end while their thread-locals still have something to wait for.

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gort::channel::{Receiver, Sender};
use gort::sync::{Mutex, WaitGroup};

use crate::{Ending, argument, enter, say};

pub(crate) const ALL: &[Ending] = &[("thread-exit", thread_exit)];

/// Does something when its thread ends.
struct AtExit(Cell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(last) = self.0.take() {
            last();
        }
    }
}

thread_local! {
    static AT_EXIT: AtExit = const { AtExit(Cell::new(None)) };
}

fn at_exit(last: impl FnOnce() + 'static) {
    AT_EXIT.with(|at_exit| at_exit.0.set(Some(Box::new(last))));
}

fn thread_exit() -> ExitCode {
    let what = std::env::args().nth(3).expect("this ending takes two arguments");
    match argument().as_str() {
        "machine" => enter(move || {
            let (waits, done) = pair(&what);
            // A goroutine that ends pinned takes its thread with it.
            gort::go!({
                gort::lock_os_thread();
                at_exit(waits);
            });
            done();
        }),
        "thread" => enter(move || {
            let (waits, done) = pair(&what);
            let thread = thread::spawn(|| at_exit(waits));
            done();
            gort::blocking(|| thread.join()).expect("it does not panic");
        }),
        "main" => {
            let done = enter_and_return(move || {
                let (waits, done) = pair(&what);
                // The runtime outlives this.
                gort::go!(done());
                waits
            });
            at_exit(done);
            ExitCode::SUCCESS
        }
        other => panic!("no thread is called {other:?}"),
    }
}

fn enter_and_return<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
    // SAFETY: nothing here keeps a thread-local across a call that parks.
    unsafe { gort::run(main) }
}

type Half = Box<dyn FnOnce() + Send>;

/// Something to wait for at the end of a thread, and what gives it.
fn pair(what: &str) -> (Half, Half) {
    let (tx, rx): (Sender<u32>, Receiver<u32>) = gort::chan(0);
    let said = |tx: Sender<u32>, words: &str| {
        say(words);
        tx.send(1).expect("main waits");
    };
    let heard = |rx: Receiver<u32>| assert_eq!(rx.recv(), Ok(1));
    match what {
        "recv" => {
            let (back, answer) = gort::chan(0);
            let waits = move || {
                assert_eq!(rx.recv(), Ok(7));
                said(back, "received");
            };
            let gives = move || {
                gort::sleep(Duration::from_millis(20));
                tx.send(7).expect("the thread receives");
                heard(answer);
            };
            (Box::new(waits), Box::new(gives))
        }
        "lock" => {
            let lock = Arc::new(Mutex::new(0));
            let (held, go_on) = gort::chan(0);
            let waits = {
                let lock = Arc::clone(&lock);
                move || {
                    go_on.recv().expect("main has it");
                    assert_eq!(*lock.lock(), 7);
                    said(tx, "locked");
                }
            };
            let gives = move || {
                let mut value = lock.lock();
                held.send(()).expect("the thread waits");
                gort::sleep(Duration::from_millis(20));
                *value = 7;
                drop(value);
                heard(rx);
            };
            (Box::new(waits), Box::new(gives))
        }
        "select" => {
            let waits = move || {
                gort::select! {
                    recv(gort::time::after(Duration::from_millis(5))) -> _ => said(tx, "selected"),
                }
            };
            (Box::new(waits), Box::new(move || heard(rx)))
        }
        "go" => {
            let waits = move || {
                let group = WaitGroup::new();
                group.go(|| gort::sleep(Duration::from_millis(5)));
                group.wait();
                assert_eq!(gort::go(|| 7).join().expect("it does not panic"), 7);
                said(tx, "joined");
            };
            (Box::new(waits), Box::new(move || heard(rx)))
        }
        "for-ever" => {
            let for_ever = move || heard(gort::channel::never());
            (Box::new(for_ever), Box::new(for_ever))
        }
        other => panic!("nothing to wait for is called {other:?}"),
    }
}
