//! The scenarios on gort. `GOMAXPROCS` is the runtime's own variable, and
//! `GORT_STACK` chooses the stack class of `parked_1m`.

mod channels;
mod http;
mod net;
mod os;
mod programs;
mod selects;
mod sync;
mod tasks;
mod timers;

use gort_bench::{BUFFER, Body, CROWD, Job, Scenario};

static TABLE: &[Scenario<Body>] = &[
    Scenario::new("yield_2", 10_000_000, tasks::yield_2),
    Scenario::new("spawn_join", 5_000_000, tasks::spawn_join),
    Scenario::with("spawn_join", "WaitGroup", 5_000_000, tasks::spawn_join_waitgroup),
    Scenario::new("spawn_chain", 5_000_000, tasks::spawn_chain),
    Scenario::new("parked_1m", 1_000_000, tasks::parked),
    Scenario::with("parked_1m", "64KiB", 1_000_000, tasks::parked_64k),
    Scenario::new("pingpong", 2_000_000, channels::pingpong),
    Scenario::new("chan_spsc_unbuf", 5_000_000, |n| channels::stream(n, 0, 1, 1)),
    Scenario::new("chan_spsc_128", 20_000_000, |n| channels::stream(n, BUFFER, 1, 1)),
    Scenario::new("chan_mpsc_128", 20_000_000, |n| channels::stream(n, BUFFER, CROWD, 1)),
    Scenario::new("chan_mpmc_128", 20_000_000, |n| channels::stream(n, BUFFER, CROWD, CROWD)),
    Scenario::new("chan_mpmc_unbuf", 5_000_000, |n| channels::stream(n, 0, CROWD, CROWD)),
    Scenario::new("select2", 3_000_000, selects::select2),
    Scenario::new("select8", 2_000_000, selects::select8),
    Scenario::new("select_default", 100_000_000, selects::select_default),
    Scenario::new("mutex_uncontended", 50_000_000, sync::mutex_uncontended),
    Scenario::new("mutex_contended", 10_000_000, sync::mutex_contended),
    Scenario::new("rwmutex_read", 20_000_000, sync::rwmutex_read),
    Scenario::new("waitgroup_fanout", 2_000_000, sync::waitgroup_fanout),
    Scenario::new("timers_sleep", 200_000, timers::timers_sleep),
    Scenario::new("timer_reset", 10_000_000, timers::timer_reset),
    Scenario::with("timer_reset", "func", 10_000_000, timers::timer_reset_func),
    Scenario::new("skynet", 1_000_000, programs::skynet),
    Scenario::new("sieve", 3_000, programs::sieve),
    Scenario::new("forkjoin_fib", 2_000_000, programs::forkjoin_fib),
    Scenario::with("forkjoin_fib", "scope", 2_000_000, programs::forkjoin_fib_scope),
    Scenario::new("parallel_sort", 4_000_000, programs::parallel_sort),
    Scenario::new("chan_value_16", 10_000_000, channels::values::<16>),
    Scenario::new("chan_value_256", 5_000_000, channels::values::<256>),
    Scenario::new("chan_value_64k", 50_000, channels::values::<65528>),
    Scenario::new("select_done_10k", 1_000_000, selects::select_done),
    Scenario::new("semaphore_chan", 5_000_000, sync::semaphore_chan),
    Scenario::new("pingpong_pairs", 2_000_000, channels::pingpong_pairs),
    Scenario::new("pinned_pingpong", 50_000, |n| channels::pinned_pingpong(n, false, true)),
    Scenario::with("pinned_pingpong", "both", 50_000, |n| channels::pinned_pingpong(n, true, true)),
    Scenario::with("pinned_pingpong", "none", 2_000_000, |n| channels::pinned_pingpong(n, false, false)),
    Scenario::new("pinned_handoff", 100_000, |n| channels::pinned_handoff(n, true, false)),
    Scenario::with("pinned_handoff", "both", 100_000, |n| channels::pinned_handoff(n, true, true)),
    Scenario::with("pinned_handoff", "none", 4_000_000, |n| channels::pinned_handoff(n, false, false)),
    Scenario::new("crossing", 50_000, channels::crossing),
    Scenario::new("preempt_latency", 2_000, os::preempt_latency),
    Scenario::new("hog_overhead", 40, os::hog_overhead),
    Scenario::new("blocking_calls", 3_200, os::blocking_calls),
    Scenario::new("blocking_announced", 3_200, os::blocking_announced),
    Scenario::new("tcp_echo", 200_000, net::tcp_echo),
    Scenario::new("idle_conns", 5_000, net::idle_conns),
    Scenario::with("http_hello", "hyper", 2_000, |n| http::hello_hyper(n, 64)),
    Scenario::with("http_hello", "plain", 2_000, |n| http::hello_plain(n, 64)),
    Scenario::with("http_hello_1000", "hyper", 2_000, |n| http::hello_hyper(n, 1000)),
    Scenario::with("http_hello_1000", "plain", 2_000, |n| http::hello_plain(n, 1000)),
];

fn main() {
    let job = Job::from_args("gort", TABLE);
    // SAFETY: nothing in the bodies keeps a thread-local across a park.
    unsafe { gort::run(move || job.perform()) }
}
