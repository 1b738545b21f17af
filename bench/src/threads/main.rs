//! The scenarios on OS threads, with std's locks and crossbeam-channel, in so
//! far as a program would do them with threads at all.
//!
//! There is no scheduler to tell how many processors to use, so the process
//! confines itself to the first `GOMAXPROCS` CPUs it may run on.

mod channels;
mod net;
mod os;
mod programs;
mod selects;
mod sync;
mod tasks;

use gort_bench::{BUFFER, Body, CROWD, Job, Scenario, processors};

static TABLE: &[Scenario<Body>] = &[
    Scenario::new("yield_2", 1_000_000, tasks::yield_2),
    Scenario::new("spawn_join", 20_000, tasks::spawn_join),
    Scenario::new("pingpong", 50_000, channels::pingpong),
    Scenario::new("chan_spsc_unbuf", 100_000, |n| channels::stream(n, 0, 1, 1)),
    Scenario::new("chan_spsc_128", 5_000_000, |n| channels::stream(n, BUFFER, 1, 1)),
    Scenario::new("chan_mpsc_128", 5_000_000, |n| channels::stream(n, BUFFER, CROWD, 1)),
    Scenario::new("chan_mpmc_128", 5_000_000, |n| channels::stream(n, BUFFER, CROWD, CROWD)),
    Scenario::new("chan_mpmc_unbuf", 100_000, |n| channels::stream(n, 0, CROWD, CROWD)),
    Scenario::new("select2", 100_000, selects::select2),
    Scenario::new("select8", 100_000, selects::select8),
    Scenario::new("select_default", 50_000_000, selects::select_default),
    Scenario::new("mutex_uncontended", 50_000_000, sync::mutex_uncontended),
    Scenario::new("mutex_contended", 10_000_000, sync::mutex_contended),
    Scenario::new("rwmutex_read", 20_000_000, sync::rwmutex_read),
    Scenario::new("parallel_sort", 4_000_000, programs::parallel_sort),
    Scenario::new("chan_value_16", 2_000_000, channels::values::<16>),
    Scenario::new("chan_value_256", 2_000_000, channels::values::<256>),
    Scenario::new("chan_value_64k", 20_000, channels::values::<65528>),
    Scenario::new("semaphore_chan", 1_000_000, sync::semaphore_chan),
    Scenario::new("pinned_pingpong", 50_000, channels::pingpong),
    Scenario::new("pinned_handoff", 50_000, |n| channels::stream(n, 0, 1, 1)),
    Scenario::new("preempt_latency", 2_000, os::preempt_latency),
    Scenario::with("hog_overhead", "control", 40, os::hog_overhead),
    Scenario::new("blocking_calls", 3_200, os::blocking_calls),
    Scenario::new("blocking_announced", 3_200, os::blocking_calls),
    Scenario::new("tcp_echo", 200_000, net::tcp_echo),
    Scenario::new("tcp_floor", 200_000, net::tcp_floor),
    Scenario::with("http_hello", "plain", 2_000, |n| net::http_hello(n, 64)),
    Scenario::with("http_hello_1000", "plain", 2_000, |n| net::http_hello(n, 1000)),
];

fn main() {
    let job = Job::from_args("threads", TABLE);
    confine(processors());
    // A spawned thread, for its stack holds the 64 KiB values with ease.
    std::thread::spawn(move || job.perform()).join().expect("the body");
}

/// Keeps this thread, and those it will start, on the first `n` of its CPUs.
fn confine(n: usize) {
    // SAFETY: an all-zero cpu_set_t is an empty set.
    let (mut may, mut set): (libc::cpu_set_t, libc::cpu_set_t) = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: the pointer is to a set of our own of the given size.
    let code = unsafe { libc::sched_getaffinity(0, size, &mut may) };
    assert_eq!(code, 0, "sched_getaffinity");
    // SAFETY: CPU_ISSET only reads the set, within CPU_SETSIZE.
    let cpus = (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &may) });
    for cpu in cpus.take(n) {
        // SAFETY: CPU_SET only writes our set, within CPU_SETSIZE.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: as for the read above.
    let code = unsafe { libc::sched_setaffinity(0, size, &set) };
    assert_eq!(code, 0, "sched_setaffinity");
}
