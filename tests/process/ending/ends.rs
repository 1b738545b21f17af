//! Ways in which main ends, or does not, and what that means for the others.

use std::process::ExitCode;
use std::time::Duration;

use gort::runtime::{PanicPolicy, set_panic_policy};

use super::tools::wait_until;
use super::{argument, enter, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("main-returns", main_returns),
    ("main-returns-stdout-held", main_returns_stdout_held),
    ("exit-code", exit_code),
    ("panics", panics),
    ("panic-in-scope", panic_in_scope),
    ("goexit-main", goexit_main),
    ("goexit-main-then-exit", goexit_main_then_exit),
    ("goexit-main-while-parked", goexit_main_while_parked),
    ("null-write", null_write),
];

struct Loud(&'static str);

impl Drop for Loud {
    fn drop(&mut self) {
        say(self.0);
    }
}

/// Others compute, sleep, wait, block and yield meanwhile.
fn main_returns() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan::<()>(0);
        gort::go(move || {
            let _never = Loud("a destructor of a goroutine that main left behind");
            rx.recv()
        });
        gort::go(|| gort::sleep(Duration::from_secs(3600)));
        gort::go(|| gort::blocking(|| std::thread::sleep(Duration::from_secs(3600))));
        gort::go(|| {
            loop {
                gort::gosched();
            }
        });
        if argument() == "busy" {
            gort::go(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
        }
        gort::sleep(Duration::from_millis(20));
        say("main returns");
        std::mem::forget(tx);
    })
}

/// Somebody holds for good what main flushes at its end.
fn main_returns_stdout_held() -> ExitCode {
    let main = || {
        say("main returns");
        let (holds, held) = gort::chan(0);
        gort::go(move || {
            gort::pin_thread(|| {
                let _stdout = std::io::stdout().lock();
                holds.send(()).unwrap();
                gort::sleep(Duration::from_secs(3600));
            })
        });
        held.recv().unwrap();
    };
    // SAFETY: as for `enter`.
    unsafe { gort::__rt::enter_main(gort::__rt::Options::new(), main) }
}

fn exit_code() -> ExitCode {
    enter(|| ExitCode::from(gort::go(|| 7u8).join().unwrap()))
}

/// A goroutine panics, in the way of the argument; then main says that it lives.
fn panics() -> ExitCode {
    enter(|| {
        let how = argument();
        if std::env::var_os("POLICY").is_some() {
            set_panic_policy(PanicPolicy::Crash);
        }
        match how.as_str() {
            "joined" => {
                let payload = gort::go(|| -> () { panic!("fell over") }).join().unwrap_err();
                assert_eq!(payload.downcast_ref(), Some(&"fell over"));
            }
            "detached" => drop(gort::go(|| -> () { panic!("fell over") })),
            "statement" => gort::go!(panic!("fell over {}", "formatted")),
            "dropped-after" => {
                let handle = gort::go(|| -> () { panic!("fell over") });
                while !handle.is_finished() {
                    gort::gosched();
                }
                drop(handle);
            }
            "other-payload" => drop(gort::go(|| -> () { std::panic::panic_any(17u64) })),
            "caught" => drop(gort::go(|| std::panic::catch_unwind(|| panic!("fell over")).is_err())),
            "goexit" => drop(gort::go(|| -> () { gort::goexit() })),
            other => panic!("no panic is called {other}"),
        }
        wait_until("the other has ended", || gort::runtime::num_goroutine() == 1);
        gort::sleep(Duration::from_millis(100));
        say("main lives");
    })
}

/// The scope takes the panic, and whoever catches that has it.
fn panic_in_scope() -> ExitCode {
    enter(|| {
        let scope = || gort::scope(|s| drop(s.go(|| panic!("fell over"))));
        let payload = std::panic::catch_unwind(scope).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"fell over"));
        say("main lives");
    })
}

fn goexit_main() -> ExitCode {
    enter(|| -> () {
        let _last = Loud("main's destructor");
        gort::go(|| {
            for n in 1..=3 {
                gort::sleep(Duration::from_millis(10));
                say(format_args!("other {n}"));
            }
        });
        gort::goexit()
    })
}

fn goexit_main_then_exit() -> ExitCode {
    enter(|| -> () {
        gort::go(|| {
            gort::sleep(Duration::from_millis(50));
            std::process::exit(5)
        });
        gort::goexit()
    })
}

/// Main is gone and the others wait for each other: that is the other deadlock.
fn goexit_main_while_parked() -> ExitCode {
    enter(|| -> () {
        let (tx, rx) = gort::chan::<()>(0);
        gort::go(move || {
            let _keep = tx;
            rx.recv()
        });
        gort::goexit()
    })
}

/// On a goroutine, on a plain thread, or on main's own thread after the runtime exists.
fn null_write() -> ExitCode {
    fn write() {
        // SAFETY: there is no excuse: the point is that it faults.
        unsafe { std::ptr::without_provenance_mut::<u32>(std::hint::black_box(8)).write_volatile(1) };
    }
    match argument().as_str() {
        "goroutine" => enter(|| drop(gort::go(write).join())),
        "thread" => {
            // SAFETY: nothing here keeps a thread-local across a call that parks.
            unsafe { gort::run(|| ()) };
            let _ = std::thread::spawn(write).join();
            ExitCode::SUCCESS
        }
        _ => enter(write),
    }
}
