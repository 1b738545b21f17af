//! Tasks that compute and never call their runtime, and what they cost.
//!
//! [`Hogs`] are many of them beside a ticker (`preempt_latency`). They end when
//! a flag says so, and an OS thread sets the flag when the time is up, so that a
//! runtime that can not interrupt them is measured too: its ticker comes back
//! only then, and the row says `never`.
//!
//! [`Overhead`] compares one of them with the same loop on an OS thread of its
//! own (`hog_overhead`), by CPU time: the hog's own, which contains the signals
//! that interrupt the loop and what they do to its caches, and that of the whole
//! process, which contains a monitor that looks after it and threads that look
//! for work as well. The two sides take turns every 50 ms or so, and the median
//! of the pairs counts, for a core's speed depends on its neighbours.

use crate::meter::process_cpu_ns;
use crate::ticks::Ticks;
use crate::work::percentile;
use crate::{Sample, processors};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Hogs for each processor.
const PER_PROCESSOR: usize = 2;

/// A cache line of one's own, and its neighbour, which processors fetch along.
#[repr(align(128))]
#[derive(Default)]
struct Line<T>(T);

/// The hogs of one run.
pub struct Hogs {
    stop: Line<AtomicBool>,
    counts: Vec<Line<AtomicU64>>,
    limit: Duration,
}

impl Hogs {
    /// As many as `preempt_latency` needs; they will be stopped when `ticks`
    /// ticks have had two and a half milliseconds each.
    pub fn beside(ticks: u64) -> Arc<Self> {
        let counts = (0..PER_PROCESSOR * processors()).map(|_| Line::default()).collect();
        let limit = Duration::from_micros(2500 * ticks).max(Duration::from_millis(300));
        let hogs = Arc::new(Self { stop: Line::default(), counts, limit });
        let watched = Arc::clone(&hogs);
        std::thread::spawn(move || {
            std::thread::sleep(limit);
            watched.stop();
        });
        hogs
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.counts.len()
    }

    /// Hog number `i`: counts until it is told to stop.
    pub fn run(&self, i: usize) {
        let count = &self.counts[i].0;
        while !self.stopped() {
            count.store(count.load(Relaxed) + 1, Relaxed);
        }
    }

    /// Tells all to stop.
    pub fn stop(&self) {
        self.stop.0.store(true, Relaxed);
    }

    /// Whether they have been told.
    pub fn stopped(&self) -> bool {
        self.stop.0.load(Relaxed)
    }

    /// Adds how late the ticker was, or `never` if it was away for half of the
    /// time, and how unevenly the hogs got on: the furthest divided by the
    /// one that is furthest behind. Call it when all hogs have returned.
    pub fn add_to(&self, sample: Sample, ticks: Ticks) -> Sample {
        let counts = self.counts.iter().map(|count| count.0.load(Relaxed) as f64);
        let (most, least) = counts.fold((0.0, f64::MAX), |(most, least), n| (n.max(most), n.min(least)));
        assert!(most > 0.0, "no hog ran");
        let sample = if ticks.latest() > self.limit / 2 {
            ["late_p50_us", "late_p99_us", "late_max_us"].into_iter().fold(sample, Sample::and_never)
        } else {
            ticks.add_to(sample)
        };
        if least > 0.0 { sample.and("hog_spread", most / least) } else { sample.and_never("hog_spread") }
    }
}

/// Iterations of one side of a pair: some 50 ms, so that a monitor that looks
/// every 10 ms has seen it a few times.
const SPIN: u64 = 150_000_000;

/// The same loop for ten times as long.
pub fn long_spin() {
    assert_eq!(count_to(10 * SPIN), 10 * SPIN);
}

#[inline(never)]
fn count_to(rounds: u64) -> u64 {
    let count = Line(AtomicU64::new(0));
    let count = &std::hint::black_box(&count).0;
    for _ in 0..rounds {
        count.store(count.load(Relaxed) + 1, Relaxed);
    }
    count.load(Relaxed)
}

/// The loop of a hog, for 50 ms or so: the CPU time of its thread, ns. A hog
/// that never calls its runtime stays on the thread it started on.
pub fn spin_cpu_ns() -> f64 {
    let before = thread_cpu_ns();
    assert_eq!(count_to(SPIN), SPIN);
    thread_cpu_ns() - before
}

/// Pairs of measurements: a hog in the runtime, the same loop outside.
#[derive(Default)]
pub struct Overhead {
    own: Vec<f64>,
    whole: Vec<f64>,
}

impl Overhead {
    /// Measures one pair: `bare` runs [`spin_cpu_ns`] on a thread of its own,
    /// `hog` runs it as a task.
    pub fn pair(&mut self, bare: impl FnOnce() -> f64, hog: impl FnOnce() -> f64) {
        let bare = bare();
        let before = process_cpu_ns();
        let own = hog();
        let whole = process_cpu_ns() - before;
        self.own.push(own / bare);
        self.whole.push(whole / bare);
    }

    /// Adds the share of the hog's own CPU time that is not its work, and that
    /// of the whole process, in percent.
    pub fn add_to(self, sample: Sample) -> Sample {
        let lost = |mut ratios: Vec<f64>| {
            ratios.sort_by(f64::total_cmp);
            (1.0 - 1.0 / percentile(&ratios, 0.5)) * 100.0
        };
        sample.and("lost_percent", lost(self.own)).and("whole_lost_percent", lost(self.whole))
    }
}

/// Counts, every two milliseconds, the threads that are running or want to.
pub struct Census {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<f64>>,
}

impl Census {
    /// Starts counting threads whose name is `prefix` and a number.
    pub fn of(prefix: &'static str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let count = move || {
            let mut counts = Vec::new();
            while !seen.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
                counts.push(running_threads(prefix) as f64);
            }
            counts
        };
        // A thread without a name has that of the thread which starts it.
        let thread = std::thread::Builder::new().name("census".into()).spawn(count).expect("a thread");
        Self { over, thread }
    }

    /// Ends it, and adds the mean and the maximum.
    pub fn add_to(self, sample: Sample) -> Sample {
        self.over.store(true, Relaxed);
        let counts = self.thread.join().expect("the counting thread");
        assert!(!counts.is_empty(), "no count was taken");
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        sample.and("running_mean", mean).and("running_max", counts.into_iter().fold(0.0, f64::max))
    }
}

fn running_threads(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc/self/task");
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let running = |stat: &String| {
        let (name, state) =
            stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")).expect("a stat line");
        let number = name.strip_prefix(prefix).unwrap_or("none");
        number.bytes().all(|byte| byte.is_ascii_digit()) && state.starts_with('R')
    };
    stats.filter(running).count()
}

fn thread_cpu_ns() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of our own.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(code, 0, "clock_gettime");
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
