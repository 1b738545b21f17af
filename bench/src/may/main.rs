//! The scenarios on may: stackful coroutines with `GOMAXPROCS` workers.
//!
//! may's channels are unbounded, and the rows say so where that matters (a
//! ping-pong never has a second value to buffer); its select starts a coroutine
//! per case and is left out, as is the sieve, which is about back-pressure. A coroutine's guard page is a mapping
//! of its own, so scenarios with more than about 30,000 coroutines at once do
//! not run at the kernel's default limits and are left out as well.

mod channels;
mod net;
mod os;
mod programs;
mod sync;
mod tasks;

use gort_bench::{Body, CROWD, Job, Scenario, processors};

static TABLE: &[Scenario<Body>] = &[
    Scenario::new("yield_2", 5_000_000, tasks::yield_2),
    Scenario::new("spawn_join", 1_000_000, tasks::spawn_join),
    Scenario::new("spawn_chain", 1_000_000, tasks::spawn_chain),
    Scenario::new("pingpong", 1_000_000, channels::pingpong),
    Scenario::with("chan_spsc_128", "unbounded", 5_000_000, channels::spsc),
    Scenario::with("chan_mpsc_128", "unbounded", 5_000_000, channels::mpsc),
    Scenario::with("chan_mpmc_128", "unbounded", 2_000_000, |n| channels::mpmc(n, CROWD, CROWD)),
    Scenario::new("select_default", 100_000_000, channels::select_default),
    Scenario::new("mutex_uncontended", 20_000_000, sync::mutex_uncontended),
    Scenario::new("mutex_contended", 5_000_000, sync::mutex_contended),
    Scenario::new("rwmutex_read", 5_000_000, sync::rwmutex_read),
    Scenario::new("waitgroup_fanout", 200_000, sync::waitgroup_fanout),
    Scenario::new("timers_sleep", 20_000, tasks::timers_sleep),
    Scenario::new("forkjoin_fib", 500_000, programs::forkjoin_fib),
    Scenario::new("parallel_sort", 4_000_000, programs::parallel_sort),
    Scenario::new("pingpong_pairs", 500_000, channels::pingpong_pairs),
    Scenario::new("crossing", 50_000, channels::crossing),
    Scenario::new("preempt_latency", 800, os::preempt_latency),
    Scenario::new("blocking_calls", 3_200, os::blocking_calls),
    Scenario::new("tcp_echo", 200_000, net::tcp_echo),
    Scenario::new("idle_conns", 5_000, net::idle_conns),
    Scenario::with("http_hello", "plain", 2_000, |n| net::http_hello(n, 64)),
    Scenario::with("http_hello_1000", "plain", 2_000, |n| net::http_hello(n, 1000)),
];

fn main() {
    let job = Job::from_args("may", TABLE);
    may::config().set_workers(processors()).set_pool_capacity(4096);
    may::go!(move || job.perform()).join().expect("the body");
}
