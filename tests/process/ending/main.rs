//! A program that ends, or hangs on, in the way its arguments name: for tests that look at it from outside.
//!
//! The first argument names the ending; more arguments are the ending's own. What a test waits for goes to stdout.

mod blockers;
mod children;
mod deadlocks;
mod ends;
mod exits;
mod fire;
mod held;
mod hogs;
mod interrupted;
mod limits;
mod live;
mod midst;
mod misuse;
mod network;
mod overflows;
mod signals;
mod soak;
mod sockets;
mod threads;
mod tools;
mod urgent;

use std::process::{ExitCode, Termination};

type Ending = (&'static str, fn() -> ExitCode);

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let rooms = [
        blockers::ALL,
        children::ALL,
        deadlocks::ALL,
        ends::ALL,
        fire::ALL,
        hogs::ALL,
        interrupted::ALL,
        exits::ALL,
        held::ALL,
        limits::ALL,
        live::ALL,
        midst::ALL,
        misuse::ALL,
        network::ALL,
        overflows::ALL,
        signals::ALL,
        soak::ALL,
        threads::ALL,
        urgent::ALL,
    ];
    match rooms.concat().iter().find(|(known, _)| *known == name) {
        Some((_, ending)) => ending(),
        None => panic!("no ending is called {name:?}"),
    }
}

/// Enters the runtime as `#[gort::main]` does: what comes back is for the real main to return.
fn enter<T: Termination + 'static>(main: impl FnOnce() -> T + Send + 'static) -> ExitCode {
    // SAFETY: nothing in this program keeps a thread-local across a call that parks.
    unsafe { gort::run(move || main().report()) }
}

/// The argument after the name.
fn argument() -> String {
    std::env::args().nth(2).expect("this ending takes an argument")
}

/// Says something to the test, at once.
fn say(words: impl std::fmt::Display) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{words}").and_then(|()| out.flush()).expect("the test reads what is said");
}

/// Takes a result that nobody needs.
fn ignore<T>(_: T) {}
