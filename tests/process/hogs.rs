//! Goroutines that compute without end: nobody else notices, whatever they are in the middle of.

use crate::child::{ending, ok, ok_on, run};

ok! {
    a_ticker_ticks_beside_hogs "hog-ticker"
    channels_work_beside_hogs "hog-ping-pong"
    goroutines_start_beside_hogs "hog-spawn"
    timer_functions_run_beside_hogs "hog-after-func"
    who_yields_to_hogs_comes_back "hog-gosched"
    a_select_times_out_beside_hogs "hog-select"
    gomaxprocs_changes_beside_hogs "hog-gomaxprocs"
    a_dump_shows_where_a_hog_was_stopped "hog-dump"
    main_returns_beside_hogs "hog-main-returns"
    hogs_are_no_deadlock "hog-no-deadlock"
    hogs_share_alike "hog-fair"
    two_hundred_hogs "hog-storm"
    threads_and_hogs "hog-outside"
    threads_that_hogs_start_do_not_inherit_their_manners "hog-heirs"
}

#[test]
fn a_hog_in_nobodys_way_is_left_alone() {
    ok_on(&["2"], "hog-quiet");
}

#[test]
fn main_panics_beside_hogs() {
    for procs in ["1", "2", "4"] {
        let ended = run(ending(&["hog-main-panics"]).env("GOMAXPROCS", procs));
        ended.status(101).complained("on purpose");
    }
}

#[test]
fn a_deadlock_after_hogs_is_told() {
    for procs in ["1", "2", "4"] {
        let ended = run(ending(&["hog-then-deadlock"]).env("GOMAXPROCS", procs));
        ended.status(2).said(&["hogs have ended"]);
        ended.complained("fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [");
    }
}

#[test]
fn preemption_can_be_switched_off() {
    for (what, says) in [("nothing", "nobody else ran"), ("channels", "others ran"), ("looks", "others ran")]
    {
        let mut command = ending(&["hog-switched-off", what]);
        let ended = run(command.env("GOMAXPROCS", "1").env("GORT_DEBUG", "asyncpreemptoff=1"));
        ended.status(0).said(&[says]);
    }
    let ended = run(ending(&["hog-switched-off", "channels"]).env("GOMAXPROCS", "1"));
    ended.status(0).said(&["others ran"]);
}

/// What polls futures, hyper perhaps, keeps thread-locals meanwhile.
#[test]
fn polls_of_clocks_do_not_yield() {
    let mut command = ending(&["poll-beside-others"]);
    let ended = run(command.env("GOMAXPROCS", "1").env("GORT_DEBUG", "asyncpreemptoff=1"));
    ended.status(0).said(&["ok"]);
}

/// As quiet as can be, and without the helper for threads: it fails now and then while threads end ("cannot find user-level
/// thread"), whatever the program.
const GDB: &[&str] = &[
    "gdb",
    "-batch",
    "-iex",
    "set print thread-events off",
    "-iex",
    "set libthread-db-search-path /nowhere",
    "-ex",
    "run",
    "--args",
];

/// Debuggers see each SIGURG and pass it on: the program ends as without. Where there is none, nothing is shown.
#[test]
fn hogs_under_a_debugger() {
    for debugger in [GDB, &["strace", "-f", "-o", "/dev/null"]] {
        if std::process::Command::new(debugger[0]).arg("--version").output().is_err() {
            eprintln!("there is no {}", debugger[0]);
            continue;
        }
        for procs in ["1", "2"] {
            let program = ending(&["hog-ping-pong"]);
            let mut command = std::process::Command::new(debugger[0]);
            command.args(&debugger[1..]).arg(program.get_program()).args(program.get_args());
            let ended = run(command.env("GOMAXPROCS", procs).env_remove("GORT_DEBUG"));
            ended.status(0).silent_about("panicked");
            assert!(ended.stdout.lines().any(|line| line == "ok"), "{ended}");
            assert!(!ended.stdout.contains("exited with code"), "{ended}");
        }
    }
}
