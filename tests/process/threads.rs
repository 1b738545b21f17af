//! The threads under the goroutines, seen from the program and from the system.

use crate::child::{ending, ok, ok_on, run};

ok! {
    tying_to_a_thread_nests "pin-nests"
    who_is_tied_to_a_thread_is_alone_there "pin-alone"
    who_is_tied_to_a_thread_is_preempted_there "pin-preempted"
    who_is_tied_to_a_thread_blocks_it "pin-blocked"
    who_ends_tied_to_a_thread_ends_it "pin-exit"
    channels_between_tied_and_others "pin-channels"
    threads_have_names "thread-names"
}

#[test]
fn idle_threads_end() {
    ok_on(&["2"], "thread-idle");
}

/// There is none left when the runtime's own have been made.
#[test]
fn no_thread_at_all_is_fatal() {
    let ended = run(ending(&["thread-none-left", "3"]).env("GOMAXPROCS", "2"));
    if ended.stdout == "skipped\n" {
        return;
    }
    ended.status(2).said(&[]).complained(
        "runtime: failed to create new OS thread (have 0 already; errno=11)\n\
         runtime: may need to increase max user processes (ulimit -u)\n\
         fatal error: newosproc\n",
    );
}

#[test]
fn hogs_at_the_limit_of_threads_take_turns() {
    for procs in ["1", "2", "4"] {
        let ended = run(ending(&["thread-limit-of-hogs"]).env("GOMAXPROCS", procs));
        ended
            .status(0)
            .said(&["ok"])
            .complained("runtime: 20-thread limit reached: goroutines that compute take turns");
    }
}

/// It may well be a standstill, but no silent one.
#[test]
fn no_thread_for_long_is_said() {
    let ended = run(ending(&["thread-last-tied", "5"]).env("GOMAXPROCS", "1"));
    if ended.stdout.is_empty() {
        ended
            .signal(libc::SIGALRM)
            .complained("runtime: failed to create new OS thread (have 1 already; errno=11)\n");
    }
}

#[test]
fn few_threads_are_made_do_with() {
    for limit in ["5", "6", "7", "10"] {
        let ended = run(ending(&["thread-none-left", limit]).env("GOMAXPROCS", "4"));
        ended.status(0);
        assert!(["ok\n", "skipped\n"].contains(&ended.stdout.as_str()) && ended.stderr.is_empty(), "{ended}");
    }
}
