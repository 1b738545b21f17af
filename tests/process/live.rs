//! What looks like a deadlock and is none.

use crate::child::{ending, run};

#[track_caller]
fn alive(name: &str) {
    for procs in ["1", "2", "8"] {
        let ended = run(ending(&[name]).env("GOMAXPROCS", procs));
        ended.status(0).said(&["alive"]);
        assert_eq!(ended.stderr, "");
    }
}

macro_rules! alive {
    ($($test:ident $name:literal)*) => { $(#[test] fn $test() { alive($name); })* };
}

alive! {
    a_thread_that_will_send "live-thread-sends"
    threads_that_start_each_other "live-thread-chain"
    a_sleep "live-sleep"
    a_call_that_is_due_later "live-after-func"
    a_blocking_call "live-blocking"
    a_thread_in_a_timed_wait "live-recv-timeout"
    several_runs "live-runs"
    nothing_to_do_for_two_seconds "live-idle"
    a_park_inside_a_blocking_call "live-park-in-blocking"
    a_thread_and_a_goroutine_that_take_turns "live-thread-ping-pong"
    threads_that_wait_in_std "live-std-channel"
    threads_that_waited_before_the_runtime_was "live-before-run"
    who_computes_on_a_processor_that_is_not_wanted_any_more "live-unwanted"
}
