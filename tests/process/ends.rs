//! The end of main, panics that nobody joins, `goexit` in main, faults.

use std::time::Duration;

use crate::child::{end, ending, run};

const SIGSEGV: i32 = 11;

#[test]
fn main_returns_and_the_process_ends_at_once() {
    for (procs, others) in [("1", "well-behaved"), ("4", "well-behaved"), ("4", "busy")] {
        let ended = run(ending(&["main-returns", others]).env("GOMAXPROCS", procs));
        ended.status(0).said(&["main returns"]);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn main_returns_while_somebody_holds_stdout() {
    end(&["main-returns-stdout-held"]).status(0).said(&["main returns"]);
}

#[test]
fn an_exit_code_becomes_the_status() {
    end(&["exit-code"]).status(7);
}

#[test]
fn a_panic_that_nobody_joins_is_printed_and_the_rest_go_on() {
    for how in ["detached", "statement", "dropped-after"] {
        end(&["panics", how]).status(0).said(&["main lives"]).complained("fell over").silent_about("panic: ");
    }
    end(&["panics", "other-payload"]).status(0).said(&["main lives"]).complained("Box<dyn Any>");
    end(&["panic-in-scope"]).status(0).said(&["main lives"]);
}

#[test]
fn a_panic_that_nobody_joins_ends_the_process_if_so_chosen() {
    for (name, value) in [("GORT_PANIC", "crash"), ("POLICY", "crash")] {
        let how = |how| run(ending(&["panics", how]).env(name, value));
        for unjoined in ["detached", "dropped-after"] {
            how(unjoined).status(2).said(&[]).complained("fell over").complained("panic: fell over\n");
        }
        // Who drops the handle is not who has panicked.
        how("dropped-after").silent_about("goroutine 1 [running]");
        how("statement").status(2).said(&[]).complained("panic: fell over formatted\n");
        how("other-payload").status(2).said(&[]).complained("panic: Box<dyn Any>\n");
        for taken in ["joined", "caught", "goexit"] {
            how(taken).status(0).said(&["main lives"]).silent_about("panic: ");
        }
        run(ending(&["panic-in-scope"]).env(name, value)).status(0).said(&["main lives"]);
    }
    // Anything else is not a choice.
    run(ending(&["panics", "detached"]).env("GORT_PANIC", "continue")).status(0).said(&["main lives"]);
}

#[test]
fn the_others_go_on_when_main_calls_goexit_and_the_last_ends_the_process() {
    let ended = end(&["goexit-main"]);
    ended.status(2).said(&["main's destructor", "other 1", "other 2", "other 3"]);
    assert_eq!(ended.stderr, "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n");
    assert!(ended.took < Duration::from_secs(20), "{ended}");
    end(&["goexit-main-then-exit"]).status(5);
}

#[test]
fn goroutines_that_wait_for_each_other_after_mains_goexit_are_asleep() {
    end(&["goexit-main-while-parked"])
        .status(2)
        .complained("fatal error: all goroutines are asleep - deadlock!\n\ngoroutine ")
        .complained(" [chan receive]:\n");
}

#[test]
fn a_fault_that_is_no_stack_overflow_ends_the_process_as_ever() {
    for place in ["main", "goroutine", "thread"] {
        end(&["null-write", place]).signal(SIGSEGV).silent_about("stack overflow");
    }
}
