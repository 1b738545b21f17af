//! What `#[gort::test]` and `#[gort::main]` make of a function: on a goroutine, with the return type it has, beside the
//! attributes it has.

use std::process::{Command, ExitCode, Output};
use std::rc::Rc;
use std::sync::OnceLock;

#[gort::test(unsafe(migrate))]
fn the_body_is_a_goroutine() {
    assert!(gort::runtime::goroutine_id().is_some());
}

#[gort::test(unsafe(migrate), maxprocs = PROCESSORS, main_stack = 4 << 20)]
fn options_are_expressions() {
    assert_eq!(gort::go(|| 40 + PROCESSORS).join().unwrap(), 42);
}

const PROCESSORS: usize = 2;

#[should_panic(expected = "told so")]
#[gort::test(unsafe(migrate))]
fn panics_come_through() {
    panic!("told so");
}

#[gort::test(unsafe(migrate))]
fn an_error_need_not_be_send() -> Result<(), Rc<str>> {
    let number: u32 = "42".parse().map_err(|error: std::num::ParseIntError| Rc::from(error.to_string()))?;
    assert_eq!(number, 42);
    Ok(())
}

#[gort::test(unsafe(migrate), crate = renamed::go_runtime)]
fn an_exit_code_from_a_renamed_crate() -> ExitCode {
    ExitCode::SUCCESS
}

mod renamed {
    pub(super) use gort as go_runtime;
}

/// A body that calls the function by its name means itself, not another entry into the runtime.
#[gort::test(unsafe(migrate))]
fn recursion_stays_inside() {
    static FIRST: OnceLock<gort::runtime::GoroutineId> = OnceLock::new();
    let me = gort::runtime::goroutine_id().unwrap();
    match FIRST.set(me) {
        Ok(()) => recursion_stays_inside(),
        Err(me) => assert_eq!(FIRST.get(), Some(&me)),
    }
}

fn main_status(how: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_main-status")).arg(how).output().expect("the program starts")
}

#[track_caller]
fn ends(how: &str, status: i32, words: &str) {
    let output = main_status(how);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{how}: {errors}");
    assert!(errors.contains(words), "{how}: {errors}");
}

#[test]
fn main_returns_what_it_returns() {
    ends("ok", 0, "");
    ends("error", 1, "Error: \"an error that is not Send\"");
}

#[test]
fn a_panic_of_main_is_a_panic_of_the_program() {
    ends("panic", 101, "main panicked on purpose");
}

#[test]
fn the_program_ends_with_main() {
    ends("leave-others", 0, "");
}
