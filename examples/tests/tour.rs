//! Runs every stop of the tour as a process of its own and compares what it prints, and its exit status.
//!
//! Goroutines run in no fixed order, so the expectation is not one text. It is a list of steps: lines that come in
//! order, and groups of sequences that may interleave ([`merge`]), each of them in its own order. In a line `#` stands
//! for a number and `*` for anything.

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

type Lines = &'static [&'static str];

/// A part of the expected output: sequences of lines, each in order, interleaved in any way.
struct Step(Vec<Lines>);

/// These lines, in this order.
fn seq(lines: Lines) -> Step {
    Step(vec![lines])
}

/// These lines, in any order.
fn any(lines: Lines) -> Step {
    Step(lines.chunks(1).collect())
}

/// These sequences, interleaved.
fn merge(sequences: &[Lines]) -> Step {
    Step(sequences.to_vec())
}

/// Defines a test per stop, and the list of all that are tested.
macro_rules! stops {
    ($($name:ident: $($step:expr),+;)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), &[$($step),+]);
            }
        )*
        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

stops! {
    hello:
        seq(&["direct call", "direct call", "direct call"]),
        merge(&[
            &["wait for goroutines to end"],
            &["goroutine-1", "goroutine-1", "goroutine-1"],
            &["goroutine-2", "goroutine-2", "goroutine-2"],
            &["goroutine-3", "goroutine-3", "goroutine-3"],
        ]),
        seq(&["done.."]);
    print_message:
        merge(&[
            &["main 0", "main 1", "main 2", "main 3", "main 4"],
            &["goroutine 0", "goroutine 1", "goroutine 2", "goroutine 3", "goroutine 4"],
        ]);
    main_ends: seq(&["main returns", "exit status 0"]);
    two_tasks:
        merge(&[
            &["Task A : 1", "Task A : 2", "Task A : 3"],
            &["Task B : 1", "Task B : 2", "Task B : 3"],
        ]),
        seq(&["Done"]);
    wait_group:
        merge(&[
            &["Worker 1 starting", "Worker 1 done"],
            &["Worker 2 starting", "Worker 2 done"],
            &["Worker 3 starting", "Worker 3 done"],
        ]),
        seq(&["All workers finished"]);
    join:
        seq(&[
            "the value of data is 1",
            "a panic is joined too: index out of bounds: the len is 3 but the index is 3",
            "Done..",
        ]);
    race_outcomes:
        seq(&["nothing printed: # times", "the value is 0: # times", "the value is 1: # times"]);
    lost_update:
        seq(&["one after the other: i = 2", "interleaved: i = 1", "with a lock: i = 2"]);
    data_race:
        seq(&["with a lock: data = 2", "with an atomic: data = 2", "with a channel: data = 2"]);
    closure_outlives:
        any(&["return from function", "value of i: 1"]), seq(&["done.."]);
    closure_loop:
        seq(&["shared: 4", "shared: 4", "shared: 4"]), any(&["passed: 1", "passed: 2", "passed: 3"]);
    scope:
        seq(&["goroutines has 10 letters", "share has 5 letters", "memory has 6 letters"]);

    channel: seq(&["Message: task finished"]);
    computed_value: seq(&["computed value 3"]);
    unbuffered: seq(&["nobody is waiting: sending on a full channel"]), any(&["Sent 42", "Received 42"]);
    wait_for_worker: seq(&["Waiting for worker...", "Worker says: done"]);
    direct_handoff:
        seq(&["a channel for 1 took 2 values at once", "the waiting receiver got 1, then the buffer held [2]"]);
    buffered: seq(&["len 2 of cap 2", "no room for 30", "10", "20"]);
    buffer_full:
        seq(&["sent 1", "sent 2"]),
        merge(&[&["recv: 1", "still 2 in the buffer", "recv: 2", "recv: 3"], &["sent 3"]]);
    fifo:
        seq(&[
            "receiver 1 got the first value",
            "receiver 2 got the second value",
            "receiver 3 got the third value",
        ]);
    range: seq(&["10", "20"]);
    close:
        seq(&["Received: 1", "Received: 2", "Received: 3", "All done"]),
        seq(&["Received: 4", "Received: 5", "All done again"]);
    comma_ok: seq(&["Got: 10", "Got: 20", "Channel closed!", "value 0, ok false"]);
    closed_receive: seq(&["10", "20", "0"]);
    directions: seq(&["message 1"]);
    ping_pong: seq(&["ping 1", "pong 2", "ping 3", "pong 4", "ping 5", "pong 6", "game over"]);
    ownership:
        seq(&["Received: 0", "Received: 1", "Received: 2", "Received: 3", "Received: 4", "Received: 5"]),
        seq(&["Done receiving!"]);
    nil_channel: seq(&["receive from nil: timed out*", "send to nil: timed out*", "len 0, cap 0"]);
    panics:
        seq(&[
            "send on closed: error: send on closed channel, and 7 is still ours",
            "close twice: panic: close of closed channel",
            "close nil: panic: close of nil channel",
        ]);
    happens_before: seq(&["12 pages, 3400 words"]);

    done_channel: seq(&["Worker: started", "Worker: finished", "Main: all done"]);
    done_close: seq(&["Worker finished"]);
    tasks:
        merge(&[
            &[
                "Main: sending task 1",
                "Main: sending task 2",
                "Main: sending task 3",
                "Main: sending task 4",
                "Main: sending task 5",
            ],
            &[
                "Worker: processing task 1",
                "Worker: processing task 2",
                "Worker: processing task 3",
                "Worker: processing task 4",
                "Worker: processing task 5",
                "Worker: all tasks done",
            ],
        ]),
        seq(&["Main: worker finished"]);
    broadcast: any(&["Worker 1 stopped", "Worker 2 stopped", "Worker 3 stopped"]), seq(&["all stopped"]);
    many_producers:
        any(&["Received: 0", "Received: 1", "Received: 2"]),
        seq(&["closed by hand"]),
        any(&["Received: 3", "Received: 4", "Received: 5"]),
        seq(&["closed by the last sender"]);

    // Which of the two is first depends on the clock alone, so a stalled machine may swap them.
    select: any(&["Received: Message from ch1", "Received: Message from ch2"]);
    select_default: seq(&["No message", "Received two", "No message"]);
    try_send: seq(&["sent 1", "buffer full, 2 not sent", "Ok(1)", "Err(Empty)", "Err(Disconnected)"]);
    select_close: seq(&["Got: 1", "Got: 2", "Channel closed"]);
    select_fair: seq(&["a: #, b: #", "both had their turn: true"]);
    nil_case:
        merge(&[
            &["Received: 1", "Received: 3", "one source closed"],
            &["Received: 2", "Received: 4", "Received: 6", "one source closed"],
        ]);
    producers:
        merge(&[
            &["ch1: Fast produced 1", "ch1: Fast produced 2", "ch1: Fast produced 3"],
            &["ch2: Slow produced 1", "ch2: Slow produced 2", "ch2: Slow produced 3"],
        ]);
    timeout: seq(&["Got message: hello", "Timeout after 2s", "Timeout again"]);
    heartbeat: seq(&["heartbeat 1", "heartbeat 2", "heartbeat 3", "no heartbeat: the worker hangs"]);

    worker_pool:
        merge(&[
            &["Worker # processing job 1", "Result: 2"],
            &["Worker # processing job 2", "Result: 4"],
            &["Worker # processing job 3", "Result: 6"],
            &["Worker # processing job 4", "Result: 8"],
            &["Worker # processing job 5", "Result: 10"],
        ]);
    pipeline: seq(&["2", "4", "10", "16", "26", "the pipeline is empty"]);
    fan_out: seq(&["3 consumers, sum 465"]);
    fan_in:
        merge(&[
            &["Received: 11", "Received: 12"],
            &["Received: 21", "Received: 22"],
            &["Received: 31", "Received: 32"],
        ]);
    semaphore:
        any(&["task 1 done", "task 2 done", "task 3 done", "task 4 done", "task 5 done", "task 6 done"]),
        seq(&["never more than 2 at once: true"]);
    rate_limit:
        seq(&["request 1", "request 2", "request 3", "request 4", "request 5", "evenly spaced: true"]);
    token_bucket:
        seq(&[
            "request 1 passes in the burst",
            "request 2 passes in the burst",
            "request 3 passes in the burst",
            "request 4 must wait",
            "request 4 passes after a refill",
            "request 5 passes after a refill",
        ]);
    ticker: seq(&["Tick 1", "Tick 2", "Tick 3", "Ticker stopped"]);
    timer: seq(&["Timer 1 fired", "Timer 2 stopped: true", "Timer 3 called"]);

    mutex: seq(&["counter: 10000"]);
    rwmutex:
        any(&["reader 1 sees old", "reader 2 sees old", "reader 3 sees old"]),
        seq(&["3 readers were inside together", "after the writer: new"]);
    atomic: seq(&["ops: 50000"]);
    once: any(&["initialised", "loading the configuration"]), seq(&["10 goroutines went on"]);
    condvar: any(&["consumed 1", "consumed 2", "consumed 3"]), seq(&["0 items left"]);
    lock_order:
        seq(&["in one order: v1 = 2, v2 = 2", "in opposite order:"]),
        seq(&["fatal error: all goroutines are asleep - deadlock!", "exit status 2"]);

    client_server:
        merge(&[
            &[
                "client 1: tick 1", "client 1: tick 2", "client 1: tick 3", "client 1: the server has closed",
            ],
            &[
                "client 2: tick 1", "client 2: tick 2", "client 2: tick 3", "client 2: the server has closed",
            ],
            &[
                "client 3: tick 1", "client 3: tick 2", "client 3: tick 3", "client 3: the server has closed",
            ],
        ]);
    web_server:
        seq(&["/fast: 200 hello", "/nowhere: 404 not found"]),
        any(&["/slow: 200 hello, at last", "/slow: 200 hello, at last", "/slow: 200 hello, at last"]);
    fetcher:
        any(&[
            "/news: nothing new",
            "/slow: good things take time",
            "/missing: status 404",
            "/broken: failed: InvalidData",
            "/unreachable: failed: ConnectionRefused",
        ]);
    netpoll:
        seq(&[
            "200 goroutines wait for a socket",
            "on fewer than 50 threads: true",
            "each got its byte: true",
        ]);
    graceful:
        seq(&[
            "server: a request has begun",
            "server: the request is finished",
            "ended by: terminated signal received",
            "client: the answer",
            "one who comes too late: ConnectionRefused",
        ]);
    deadlock: seq(&["fatal error: all goroutines are asleep - deadlock!", "exit status 2"]);
    blocked: seq(&["10 goroutines are blocked", "another one works: 5050", "all were woken"]);
    preemption:
        seq(&[
            "tick 1, while another one computes: true",
            "tick 2, while another one computes: true",
            "tick 3, while another one computes: true",
            "it has counted: true",
        ]);
    system_call:
        seq(&[
            "unannounced: another one works: 5050",
            "unannounced: the call returns 7",
            "announced: another one works: 5050",
            "announced: the call returns 7",
        ]);
    states: seq(&["running: 1", "runnable: 2", "waiting: 3"]);
    gomaxprocs:
        seq(&["# CPUs, GOMAXPROCS is #", "GOMAXPROCS=1: side by side: false"]), seq(side_by_side());
    work_stealing: seq(stealing());
    identity:
        seq(&[
            "the handle knows the name: reader",
            "the handle and the goroutine agree: true",
            "two goroutines, two numbers: true",
            "a plain thread has none: true",
        ]);
    hundred_thousand:
        seq(&["100000 goroutines are alive: true", "about # bytes each", "all 100000 have ended"]);
    switch_cost:
        seq(&["start and join: goroutine # ns, thread # ns", "one pass: goroutines # ns, threads # ns"]);
}

/// What a second processor shows, if there is one.
fn side_by_side() -> Lines {
    if cpus() > 1 {
        &["GOMAXPROCS=2: side by side: true"]
    } else {
        &["GOMAXPROCS=2: this machine has one CPU"]
    }
}

/// Who steals, if there is anybody.
fn stealing() -> Lines {
    if cpus() > 1 {
        &["200 goroutines of one processor ran on # threads", "work was stolen: true"]
    } else {
        &["one processor: nobody to steal"]
    }
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn every_stop_is_tested() {
    let output = tour(&["list"]);
    assert!(output.status.success());
    let listed: Vec<String> = text(&output.stdout)
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .map(|line| line.split_whitespace().next().unwrap_or_default().to_string())
        .collect();
    assert_eq!(listed, TESTED, "the tour's list, and the expectations of this file in the same order");
}

#[test]
fn an_unknown_stop_is_refused() {
    for args in [&["no_such_stop"][..], &["hello", "child"], &["hello", "hello"], &[]] {
        let output = tour(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains("usage: tour"), "{args:?}");
    }
}

/// The second halves, looked at directly: what ends the process and how.
#[test]
fn a_deadlock_is_reported_with_the_goroutines_that_wait() {
    for (stop, reason) in [("deadlock", "[chan send"), ("lock_order", "[sync.Mutex.Lock")] {
        let output = tour(&[stop, "child"]);
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stop}: {report}");
        assert!(output.stdout.is_empty(), "{stop}: {}", text(&output.stdout));
        assert!(report.contains("goroutine 1 ["), "{stop}: main is in the dump: {report}");
        assert!(report.contains(reason), "{stop}: the dump says what is waited for: {report}");
    }
}

/// All stops in one process: none may disturb those after it.
#[test]
fn all_in_turn() {
    let output = tour(&["all"]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{}\n{}", stdout, text(&output.stderr));
    let headings = stdout.lines().filter(|line| line.starts_with("-- ")).count();
    assert_eq!(headings, TESTED.len(), "{stdout}");
}

fn check(stop: &str, steps: &[Step]) {
    let output = tour(&[stop]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stop}: {}\n{stdout}\n{}", output.status, text(&output.stderr));

    let mut lines: Vec<&str> = stdout.lines().collect();
    for step in steps {
        let length = step.0.iter().map(|sequence| sequence.len()).sum::<usize>().min(lines.len());
        let rest = lines.split_off(length);
        assert!(
            interleaves(&lines, &mut step.0.clone()),
            "{stop} printed\n{stdout}\nand these lines do not fit:\n{}\nexpected, interleaved in any way: {:?}",
            lines.join("\n"),
            step.0,
        );
        lines = rest;
    }
    assert!(lines.is_empty(), "{stop} printed more than expected: {lines:?}\n{stdout}");
}

/// Whether `lines` is an interleaving of `sequences`, all of them to their ends.
fn interleaves(lines: &[&str], sequences: &mut [Lines]) -> bool {
    let Some((line, rest)) = lines.split_first() else {
        return sequences.iter().all(|sequence| sequence.is_empty());
    };
    for at in 0..sequences.len() {
        let sequence = sequences[at];
        if sequence.first().is_some_and(|pattern| matches(pattern, line)) {
            sequences[at] = &sequence[1..];
            if interleaves(rest, sequences) {
                return true;
            }
            sequences[at] = sequence;
        }
    }
    false
}

/// Whether `line` is as `pattern` says: `#` is a number, `*` anything.
fn matches(pattern: &str, line: &str) -> bool {
    match pattern.chars().next() {
        None => line.is_empty(),
        Some('*') => {
            (0..=line.len()).any(|at| line.is_char_boundary(at) && matches(&pattern[1..], &line[at..]))
        }
        Some('#') => {
            let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len());
            digits > 0 && matches(&pattern[1..], &line[digits..])
        }
        Some(c) => line.strip_prefix(c).is_some_and(|rest| matches(&pattern[c.len_utf8()..], rest)),
    }
}

fn tour(args: &[&str]) -> Output {
    static TOUR: LazyLock<std::path::PathBuf> = LazyLock::new(|| common::build_example("tour"));
    let tour: &Path = &TOUR;
    let mut command = Command::new(tour);
    command.args(args).env_remove("GOMAXPROCS").env_remove("TOUR_GOROUTINES");
    // `hello` waits for its goroutines by sleeping, as the original does: give it the original's two seconds.
    match args {
        ["hello"] => command.env("TOUR_SPEED", "1"),
        _ => command.env_remove("TOUR_SPEED"),
    };
    command.output().expect("the tour starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
