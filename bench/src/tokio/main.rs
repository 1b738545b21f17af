//! The scenarios on tokio: the multi-thread runtime with `GOMAXPROCS` workers.
//!
//! Bodies are futures that run as a spawned task, since the future given to
//! `block_on` stays outside the workers and would measure another path.
//! Where tokio has no such channel (many receivers, or no buffer at all) the
//! row is tokio with flume or with async-channel, and says so.

mod channels;
mod http;
mod net;
mod os;
mod programs;
mod selects;
mod sync;
mod tasks;
mod timers;

use gort_bench::{BUFFER, CROWD, Job, Sample, Scenario, processors};
use std::pin::Pin;

type Body = fn(u64) -> Pin<Box<dyn Future<Output = Sample> + Send>>;

macro_rules! row {
    ($name:literal $(@ $with:literal)?, $size:expr, $body:expr) => {
        Scenario { name: $name, with: concat!($($with)?), size: $size, body: |n| Box::pin($body(n)) }
    };
}

static TABLE: &[Scenario<Body>] = &[
    row!("yield_2", 5_000_000, tasks::yield_2),
    row!("spawn_join", 2_000_000, tasks::spawn_join),
    row!("spawn_chain", 2_000_000, tasks::spawn_chain),
    row!("parked_1m" @ "async-channel", 1_000_000, tasks::parked),
    row!("pingpong", 1_000_000, channels::pingpong),
    row!("pingpong" @ "flume", 1_000_000, channels::pingpong_flume),
    row!("chan_spsc_unbuf" @ "flume", 3_000_000, |n| channels::stream_flume(n, 0, 1, 1)),
    row!("chan_spsc_128", 5_000_000, |n| channels::stream(n, 1)),
    row!("chan_spsc_128" @ "flume", 5_000_000, |n| channels::stream_flume(n, BUFFER, 1, 1)),
    row!("chan_mpsc_128", 5_000_000, |n| channels::stream(n, CROWD)),
    row!("chan_mpmc_128" @ "flume", 5_000_000, |n| channels::stream_flume(n, BUFFER, CROWD, CROWD)),
    row!("chan_mpmc_128" @ "async-channel", 5_000_000, channels::stream_async_channel),
    row!("chan_mpmc_unbuf" @ "flume", 1_000_000, |n| channels::stream_flume(n, 0, CROWD, CROWD)),
    row!("select2", 1_000_000, selects::select2),
    row!("select2" @ "flume", 1_000_000, selects::select2_flume),
    row!("select8", 1_000_000, selects::select8),
    row!("select_default", 100_000_000, selects::select_default),
    row!("mutex_uncontended", 20_000_000, sync::mutex_uncontended),
    row!("mutex_contended", 5_000_000, sync::mutex_contended),
    row!("rwmutex_read", 5_000_000, sync::rwmutex_read),
    row!("waitgroup_fanout", 1_000_000, sync::waitgroup_fanout),
    row!("timers_sleep", 200_000, timers::timers_sleep),
    row!("timer_reset", 5_000_000, timers::timer_reset),
    row!("skynet", 1_000_000, programs::skynet),
    row!("sieve", 3_000, programs::sieve),
    row!("sieve" @ "flume", 3_000, programs::sieve_flume),
    row!("forkjoin_fib", 1_000_000, programs::forkjoin_fib),
    row!("parallel_sort", 4_000_000, programs::parallel_sort),
    row!("semaphore_chan" @ "Semaphore", 5_000_000, sync::semaphore),
    row!("pingpong_pairs", 1_000_000, channels::pingpong_pairs),
    row!("crossing", 50_000, channels::crossing),
    row!("preempt_latency", 800, os::preempt_latency),
    row!("blocking_calls", 3_200, os::blocking_calls),
    row!("blocking_announced", 3_200, os::blocking_announced),
    row!("tcp_echo", 200_000, net::tcp_echo),
    row!("idle_conns", 5_000, net::idle_conns),
    row!("http_hello" @ "hyper", 2_000, |n| http::hello_hyper(n, 64)),
    row!("http_hello" @ "plain", 2_000, |n| http::hello_plain(n, 64)),
    row!("http_hello_1000" @ "hyper", 2_000, |n| http::hello_hyper(n, 1000)),
    row!("http_hello_1000" @ "plain", 2_000, |n| http::hello_plain(n, 1000)),
];

fn main() {
    let job = Job::from_args("tokio", TABLE);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors())
        .enable_all()
        .build()
        .expect("a tokio runtime");
    runtime.block_on(async move {
        let body = job.body();
        let whole = async move {
            body(job.warm_up()).await;
            job.report(&body(job.size).await);
        };
        tokio::spawn(whole).await.expect("the body");
    });
}
