//! GOMAXPROCS while everything is in motion, and how many threads run at a time.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gort::runtime::gomaxprocs;

use super::say;
use super::tools::{Hogs, MS, Rng, bounded, compute, median_running, procs, wait_until};

pub(crate) const ALL: &[super::Ending] = &[
    ("fire-changes", changes),
    ("fire-lowered", lowered),
    ("fire-timers-of-removed", timers_of_removed),
    ("fire-bound", bound),
    ("fire-bound-strays", bound_strays),
];

/// Eight hogs, a thousand goroutines that start others, ten thousand timers, and GOMAXPROCS that changes all the time:
/// nothing is lost.
fn changes() -> ExitCode {
    const SPAWNERS: u64 = 1000;
    const TIMERS: u64 = 10_000;
    bounded(|| {
        let seed = std::env::args().nth(2).map_or_else(Rng::fresh_seed, |seed| seed.parse().unwrap());
        eprintln!("seed {seed}");
        let hogs = Hogs::start(8);
        let (ran, fired) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        for n in 0..SPAWNERS {
            let ran = ran.clone();
            gort::go(move || {
                let mut rng = Rng::new(seed ^ n);
                for _ in 0..5 {
                    let ran = ran.clone();
                    gort::go(move || ran.fetch_add(1, Ordering::Relaxed));
                    gort::sleep(Duration::from_micros(rng.below(20_000)));
                }
            });
        }
        for n in 0..TIMERS {
            let (fired, mut rng) = (fired.clone(), Rng::new(!seed ^ n));
            drop(gort::time::after_func(Duration::from_micros(rng.below(300_000)), move || {
                fired.fetch_add(1, Ordering::Relaxed);
            }));
        }
        let mut rng = Rng::new(seed.rotate_left(32));
        let began = Instant::now();
        for _ in 0..1000 {
            // Each change stops the world, beside hogs: on a busy machine that takes its time.
            if began.elapsed() > Duration::from_secs(10) {
                break;
            }
            let n = 1 + rng.below(16) as usize;
            gomaxprocs(n);
            assert_eq!(procs(), n);
            match rng.below(4) {
                0 => gort::gosched(),
                1 => gort::sleep(Duration::from_micros(rng.below(500))),
                2 => std::thread::sleep(Duration::from_micros(rng.below(200))),
                _ => {}
            }
        }
        gomaxprocs(4);
        wait_until("all goroutines", || ran.load(Ordering::Relaxed) == 5 * SPAWNERS);
        wait_until("all timers", || fired.load(Ordering::Relaxed) == TIMERS);
        hogs.wait_for_progress();
        hogs.stop();
        wait_until("the end of all", || gort::runtime::num_goroutine() == 1);
        say("ok");
    })
}

/// After the bound is lowered no more threads run than it says, soon.
fn lowered() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(8);
        for n in [8, 1, 4, 2, 6, 1] {
            gomaxprocs(n);
            gort::sleep(100 * MS);
            assert_running_at_most(n);
            hogs.wait_for_progress();
        }
        hogs.stop();
        say("ok");
    })
}

/// A few tries: the machine may be busy, and slow to let the monitor run.
fn assert_running_at_most(n: usize) {
    let seen: Vec<usize> =
        (0..100).map(|_| median_running(15)).take_while_inclusive(|&seen| seen > n).collect();
    let stats = gort::runtime::stats();
    let (running, blocked) = (stats.running, stats.blocked);
    let why = format!("GOMAXPROCS is {n}, and threads that run are {seen:?}; {running} {blocked}");
    assert!(seen.iter().any(|&seen| seen <= n), "{why}");
}

trait TakeWhileInclusive: Iterator + Sized {
    /// As `take_while`, with the item that ends it.
    fn take_while_inclusive(self, wanted: impl Fn(&Self::Item) -> bool) -> impl Iterator<Item = Self::Item>;
}

impl<I: Iterator> TakeWhileInclusive for I {
    fn take_while_inclusive(
        mut self,
        wanted: impl Fn(&Self::Item) -> bool,
    ) -> impl Iterator<Item = Self::Item> {
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let item = self.next()?;
            over = !wanted(&item);
            Some(item)
        })
    }
}

/// Timers that were started on a processor which is taken away fire.
fn timers_of_removed() -> ExitCode {
    bounded(|| {
        for round in 0..20 {
            gomaxprocs(8);
            let woken = Arc::new(AtomicU64::new(0));
            let hogs = Hogs::start(if round % 2 == 0 { 0 } else { 4 });
            let sleepers: Vec<_> = (0..200)
                .map(|n| {
                    let woken = woken.clone();
                    gort::go(move || {
                        compute(20);
                        gort::sleep(Duration::from_millis(5 + n % 20));
                        woken.fetch_add(1, Ordering::Relaxed);
                    })
                })
                .collect();
            gort::sleep(3 * MS);
            gomaxprocs(1);
            sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
            assert_eq!(woken.load(Ordering::Relaxed), 200);
            hogs.stop();
        }
        say("ok");
    })
}

/// Hogs never run on more threads than allowed.
fn bound() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(4 * procs());
        hogs.wait_for_progress();
        assert_running_at_most(procs());
        hogs.stop();
        say("ok");
    })
}

/// Nor do goroutines that sleep in the kernel without a word, and then compute without ever calling the runtime.
fn bound_strays() -> ExitCode {
    bounded(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let computed = Arc::new([const { AtomicU64::new(0) }; 8]);
        let hogs = Hogs::start(procs());
        let strays: Vec<_> = (0..8)
            .map(|n| {
                let (stop, computed) = (stop.clone(), computed.clone());
                gort::go(move || {
                    std::thread::sleep(Duration::from_millis(20 + n));
                    while !stop.load(Ordering::Relaxed) {
                        compute(100);
                        if computed[n as usize].fetch_add(1, Ordering::Relaxed) % 5000 == 4999 {
                            std::thread::sleep(MS);
                        }
                    }
                })
            })
            .collect();
        gort::sleep(200 * MS);
        assert_running_at_most(procs());
        hogs.wait_for_progress();
        wait_until("all strays compute", || computed.iter().all(|n| n.load(Ordering::Relaxed) != 0));
        stop.store(true, Ordering::Relaxed);
        strays.into_iter().for_each(|stray| stray.join().unwrap());
        hogs.stop();
        say("ok");
    })
}
