//! A tour of Go's concurrency in gort: one idea per stop, one stop per file.
//!
//! ```text
//! cargo run --example tour -- list          what there is
//! cargo run --example tour -- select        one stop
//! cargo run --example tour -- all           all of them in turn
//! ```
//!
//! Each stop mirrors a program, or a claim, of introductions to Go's concurrency, written as one would write it in
//! gort; its file says which, and what differs. Read the file, then run the stop. `docs/GO-TO-GORT.md` is the table of
//! contents by Go construct. `TOUR_SPEED=1` gives the pauses of the originals, which are shortened otherwise.
//!
//! A stop whose point is that the process ends has a second half, which `tour <stop> child` runs: the stop starts
//! itself again for it and tells what came of it.

mod http;
mod kit;

mod atomic;
mod blocked;
mod broadcast;
mod buffer_full;
mod buffered;
mod channel;
mod client_server;
mod close;
mod closed_receive;
mod closure_loop;
mod closure_outlives;
mod comma_ok;
mod computed_value;
mod condvar;
mod data_race;
mod deadlock;
mod direct_handoff;
mod directions;
mod done_channel;
mod done_close;
mod fan_in;
mod fan_out;
mod fetcher;
mod fifo;
mod gomaxprocs;
mod graceful;
mod happens_before;
mod heartbeat;
mod hello;
mod hundred_thousand;
mod identity;
mod join;
mod lock_order;
mod lost_update;
mod main_ends;
mod many_producers;
mod mutex;
mod netpoll;
mod nil_case;
mod nil_channel;
mod once;
mod ownership;
mod panics;
mod ping_pong;
mod pipeline;
mod preemption;
mod print_message;
mod producers;
mod race_outcomes;
mod range;
mod rate_limit;
mod rwmutex;
mod scope;
mod select;
mod select_close;
mod select_default;
mod select_fair;
mod semaphore;
mod states;
mod switch_cost;
mod system_call;
mod tasks;
mod ticker;
mod timeout;
mod timer;
mod token_bucket;
mod try_send;
mod two_tasks;
mod unbuffered;
mod wait_for_worker;
mod wait_group;
mod web_server;
mod work_stealing;
mod worker_pool;

use std::process::ExitCode;

/// One idea of the tour.
struct Stop {
    name: &'static str,
    idea: &'static str,
    run: fn(),
    /// The half that ends the process.
    child: Option<fn()>,
}

const fn stop(name: &'static str, idea: &'static str, run: fn()) -> Stop {
    Stop { name, idea, run, child: None }
}

const fn ends(name: &'static str, idea: &'static str, run: fn(), child: fn()) -> Stop {
    Stop { name, idea, run, child: Some(child) }
}

/// The tour, chapter by chapter, in the order in which it is meant to be read.
const CHAPTERS: &[(&str, &[Stop])] = &[
    (
        "Goroutines",
        &[
            stop("hello", "four ways to call a function", hello::run),
            stop("print_message", "a goroutine runs beside the one that started it", print_message::run),
            ends("main_ends", "the process ends with the main goroutine", main_ends::run, main_ends::child),
            stop("two_tasks", "two tasks in progress at once", two_tasks::run),
            stop("wait_group", "wait for several goroutines", wait_group::run),
            stop("join", "fork, join, and the result", join::run),
            stop("race_outcomes", "without a join: several outcomes", race_outcomes::run),
            stop("lost_update", "an update is lost between a read and a write", lost_update::run),
            stop("data_race", "the type system makes the data race impossible", data_race::run),
            stop("closure_outlives", "captured variables outlive their function", closure_outlives::run),
            stop("closure_loop", "the loop variable: shared, or passed", closure_loop::run),
            stop("scope", "goroutines on the variables of the caller", scope::run),
        ],
    ),
    (
        "Channels",
        &[
            stop("channel", "pass a message", channel::run),
            stop("computed_value", "bring a result back", computed_value::run),
            stop("unbuffered", "the handshake", unbuffered::run),
            stop("wait_for_worker", "receiving waits", wait_for_worker::run),
            stop("direct_handoff", "past the buffer, to a waiting receiver", direct_handoff::run),
            stop("buffered", "a queue with a fixed number of places", buffered::run),
            stop("buffer_full", "a full buffer parks the sender", buffer_full::run),
            stop("fifo", "first come, first served", fifo::run),
            stop("range", "range over a channel", range::run),
            stop("close", "the end of a stream", close::run),
            stop("comma_ok", "a value, or the end?", comma_ok::run),
            stop("closed_receive", "a closed channel can be drained", closed_receive::run),
            stop("directions", "senders and receivers as parameters", directions::run),
            stop("ping_pong", "two goroutines take turns", ping_pong::run),
            stop("ownership", "who creates a channel writes and closes it", ownership::run),
            stop("nil_channel", "a nil channel is never ready", nil_channel::run),
            stop("panics", "the three misuses of a channel", panics::run),
            stop("happens_before", "what a send makes visible", happens_before::run),
        ],
    ),
    (
        "Synchronisation by channels",
        &[
            stop("done_channel", "news that something is done", done_channel::run),
            stop("done_close", "closing as the signal", done_close::run),
            stop("tasks", "a bounded queue of tasks", tasks::run),
            stop("broadcast", "close wakes everybody", broadcast::run),
            stop("many_producers", "several senders, one close", many_producers::run),
        ],
    ),
    (
        "Select",
        &[
            stop("select", "wait on several channels", select::run),
            stop("select_default", "never wait", select_default::run),
            stop("try_send", "try instead of waiting", try_send::run),
            stop("select_close", "a closed channel is ready", select_close::run),
            stop("select_fair", "a random choice among the ready", select_fair::run),
            stop("nil_case", "switch a case off", nil_case::run),
            stop("producers", "producers of different speeds", producers::run),
            stop("timeout", "give up waiting", timeout::run),
            stop("heartbeat", "does the worker still live?", heartbeat::run),
        ],
    ),
    (
        "Patterns",
        &[
            stop("worker_pool", "workers share a queue of jobs", worker_pool::run),
            stop("pipeline", "stages joined by channels", pipeline::run),
            stop("fan_out", "several read from one channel", fan_out::run),
            stop("fan_in", "several send on one channel", fan_in::run),
            stop("semaphore", "limit how many do something at once", semaphore::run),
            stop("rate_limit", "one request per tick", rate_limit::run),
            stop("token_bucket", "bursts, and a rate in the long run", token_bucket::run),
            stop("ticker", "again and again", ticker::run),
            stop("timer", "once, unless stopped", timer::run),
        ],
    ),
    (
        "Locks and the like",
        &[
            stop("mutex", "a lock around shared state", mutex::run),
            stop("rwmutex", "many readers or one writer", rwmutex::run),
            stop("atomic", "a number without a lock", atomic::run),
            stop("once", "initialise exactly once", once::run),
            stop("condvar", "wait for a condition", condvar::run),
            ends("lock_order", "two locks, two orders: deadlock", lock_order::run, lock_order::child),
        ],
    ),
    (
        "Network programs",
        &[
            stop("client_server", "a goroutine for each client", client_server::run),
            stop("web_server", "a slow request holds up nobody", web_server::run),
            stop("fetcher", "results and errors through one channel", fetcher::run),
            stop("netpoll", "waiting for a socket costs no thread", netpoll::run),
            stop("graceful", "a signal ends the server, not the request", graceful::run),
        ],
    ),
    (
        "The runtime",
        &[
            ends("deadlock", "all goroutines are asleep", deadlock::run, deadlock::child),
            stop("blocked", "a blocked goroutine blocks nobody else", blocked::run),
            stop("preemption", "who computes does not keep the processor", preemption::run),
            stop("system_call", "a call that blocks its thread blocks nobody else", system_call::run),
            stop("states", "running, runnable, waiting", states::run),
            stop("gomaxprocs", "concurrency needs one processor, parallelism two", gomaxprocs::run),
            stop("work_stealing", "idle processors steal", work_stealing::run),
            stop("identity", "goroutines have numbers", identity::run),
            stop("hundred_thousand", "a hundred thousand goroutines", hundred_thousand::run),
            stop("switch_cost", "cheaper than threads", switch_cost::run),
        ],
    ),
];

#[gort::main(unsafe(migrate))]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => list(),
        ["all"] => all(),
        [name] => match find(name) {
            Some(stop) => (stop.run)(),
            None => return usage(&format!("no stop is called `{name}`; `list` names them")),
        },
        [name, "child"] => match find(name).and_then(|stop| stop.child) {
            Some(child) => child(),
            None => return usage(&format!("`{name}` has no second half")),
        },
        _ => return usage("which stop?"),
    }
    ExitCode::SUCCESS
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("tour: {problem}\nusage: tour list | all | <stop>");
    ExitCode::from(2)
}

fn find(name: &str) -> Option<&'static Stop> {
    CHAPTERS.iter().flat_map(|(_, stops)| *stops).find(|stop| stop.name == name)
}

fn list() {
    for (title, stops) in CHAPTERS {
        println!("{title}");
        for stop in *stops {
            println!("  {:<17} {}", stop.name, stop.idea);
        }
    }
}

fn all() {
    for (title, stops) in CHAPTERS {
        println!("==== {title}");
        for stop in *stops {
            println!("\n-- {}: {}", stop.name, stop.idea);
            (stop.run)();
        }
        println!();
    }
}
