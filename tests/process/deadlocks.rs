//! Deadlocks that have to be reported.

use std::time::Duration;

use crate::child::{Ended, end, ending, run};

const ASLEEP: &str = "fatal error: all goroutines are asleep - deadlock!\n\n";

#[track_caller]
fn deadlock(ended: &Ended) -> &Ended {
    ended.status(2);
    assert!(ended.stderr.starts_with(ASLEEP), "{ended}");
    assert!(ended.took < Duration::from_secs(30), "{ended}");
    ended
}

#[test]
fn is_reported_on_any_number_of_processors() {
    for procs in ["1", "2", "8"] {
        let ended = run(ending(&["deadlock-simple"]).env("GOMAXPROCS", procs));
        deadlock(&ended);
        let text = &ended.stderr;
        assert!(text.contains("goroutine 1 [chan receive labels:{\"name\": \"main\"}]:\n"), "{ended}");
        assert_eq!(text.matches("\ngoroutine ").count(), 1, "{ended}");
    }
}

#[test]
fn the_last_thing_that_could_happen_goes_away() {
    deadlock(&end(&["deadlock-after-a-call"]));
    deadlock(&end(&["deadlock-after-a-timer"]));
}

#[test]
fn is_reported_past_whoever_holds_stderr() {
    deadlock(&end(&["deadlock-stderr-locked"]));
}

/// The name that the goroutine was given, and what its header must say.
const WAITS: &[(&str, &str)] = &[
    ("main", "chan receive"),
    ("receiver", "chan receive"),
    ("sender", "chan send"),
    ("selecting", "select"),
    ("selecting nothing", "select (no cases)"),
    ("nil receiver", "chan receive (nil chan)"),
    ("nil sender", "chan send (nil chan)"),
    ("locking", "sync.Mutex.Lock"),
    ("reading", "sync.RWMutex.RLock"),
    ("writing", "sync.RWMutex.Lock"),
    ("grouped", "sync.WaitGroup.Wait"),
    ("conditional", "sync.Cond.Wait"),
    ("barred", "sync.Barrier.Wait"),
    ("permitted", "semacquire"),
    ("once", "chan receive (nil chan)"),
    ("twice", "sync.Once.Do"),
    ("joining", "join"),
    ("scoped", "scope"),
    ("future", "future"),
];

#[test]
fn shows_every_goroutine_with_its_wait_its_frames_and_its_creator() {
    let ended = end(&["deadlock-everything"]);
    deadlock(&ended);
    let blocks: Vec<&str> = ended.stderr.split("\n\n").skip(1).collect();
    // Two have no name: those that are joined and scoped.
    assert_eq!(blocks.len(), WAITS.len() + 2, "{ended}");
    for (name, wait) in WAITS {
        let header = format!(" [{wait} labels:{{\"name\": \"{name}\"}}]:");
        let found = blocks.iter().find(|block| block.lines().next().unwrap().ends_with(&header));
        let block = found.unwrap_or_else(|| panic!("no {header:?} in\n{ended}"));
        assert!(block.starts_with("goroutine "), "{block}");
        assert!(block.contains("ending/deadlocks.rs:"), "no line of the program's own in\n{block}");
        if *name != "main" {
            assert!(block.contains("named in goroutine 1\n\t"), "no creator in\n{block}");
        }
    }
    let receiver = blocks.iter().find(|block| block.contains("\"receiver\"")).unwrap();
    assert!(receiver.contains("waits_in_a_function_of_its_own(...)\n\t"), "{receiver}");
}

#[test]
fn the_dump_can_be_left_out() {
    let ended = run(ending(&["deadlock-simple"]).env("GORT_TRACEBACK", "none"));
    ended.status(2);
    assert_eq!(ended.stderr, "fatal error: all goroutines are asleep - deadlock!\n");
}

#[test]
fn many_equal_goroutines_are_one_entry() {
    let ended = end(&["deadlock-many"]);
    deadlock(&ended).complained("\n1000 goroutines [chan receive");
    assert!(ended.stderr.lines().count() < 100, "{ended}");
}

#[test]
fn that_arises_when_the_last_thread_ends_is_reported() {
    let ended = end(&["deadlock-after-threads"]);
    deadlock(&ended).said(&["the thread ends"]);
}

#[test]
fn is_reported_when_all_threads_wait_in_channels() {
    deadlock(&end(&["deadlock-threads-parked"]));
}

#[test]
fn of_two_runs_is_reported() {
    deadlock(&end(&["deadlock-two-runs"]));
}

#[test]
fn is_reported_after_sleeps_blocking_calls_and_threads() {
    for procs in ["1", "3"] {
        let ended = run(ending(&["deadlock-after-work"]).env("GOMAXPROCS", procs));
        deadlock(&ended).said(&["all is done"]);
    }
}

#[test]
fn stopped_timers_are_no_hope() {
    deadlock(&end(&["deadlock-stopped-timers"]));
}

#[test]
fn of_pinned_goroutines_is_reported() {
    deadlock(&end(&["deadlock-pinned"]));
}

#[test]
fn of_goroutines_that_wait_inside_blocking_calls_is_reported() {
    deadlock(&end(&["deadlock-in-blocking"]));
}
