//! The figures gort promises, measured, and held against their bounds: what a parked goroutine weighs, what starting and
//! waking cost, that idling costs nothing, that nothing grows, how late sleepers wake.
//!
//! ```text
//!   selfcheck [--quick] [name..]     all checks if none is named; --quick: a tenth of the sizes
//! ```
//! Every check runs in a process of its own (the program starts itself anew), so that none inherits the memory or the
//! threads of another. It prints one line per figure, `ok` or `TOO MUCH` before it, with the bound behind it. The exit
//! status is 1 if a figure is beyond its bound.
//!
//! The bounds are for a release build on a machine that others use as well. So costs are held against processor time,
//! which others do not add to (the time on the clock is printed beside it), with a bound of several times what a quiet
//! machine shows. What does not depend on the machine (bytes, leaves, leaks) has a bound of its own.

use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use gort::runtime;
use gort::sync::WaitGroup;

type Check = fn(Size, &mut Report);

const CHECKS: [(&str, Check); 6] = [
    ("parked", parked),
    ("daisy", daisy),
    ("skynet", skynet),
    ("idle", idle),
    ("growth", growth),
    ("sleepers", sleepers),
];

/// Divides the full sizes.
#[derive(Clone, Copy)]
struct Size {
    divisor: usize,
}

impl Size {
    fn of(self, full: usize) -> usize {
        full / self.divisor
    }
}

/// What was measured, and whether all of it is within bounds.
struct Report {
    check: &'static str,
    failed: bool,
}

impl Report {
    fn figure(&mut self, what: &str, value: f64, bound: f64, unit: &str) {
        let good = value <= bound;
        self.failed |= !good;
        let verdict = if good { "ok" } else { "TOO MUCH" };
        println!("{verdict:8} {:9} {what:58} {value:>12.1} {unit} (at most {bound})", self.check);
    }

    fn cost(&mut self, what: &str, cost: Cost, bound: f64) {
        self.figure(&format!("{what}, CPU (clock {:.0})", cost.clock_ns), cost.cpu_ns, bound, "ns");
    }

    fn equal(&mut self, what: &str, value: u64, expected: u64) {
        let good = value == expected;
        self.failed |= !good;
        let verdict = if good { "ok" } else { "WRONG" };
        println!("{verdict:8} {:9} {what:58} {value:>12} (must be {expected})", self.check);
    }
}

/// What one of many costs, in nanoseconds.
struct Cost {
    /// Of processor time, of all processors.
    cpu_ns: f64,
    clock_ns: f64,
}

struct Stopwatch {
    clock: Instant,
    cpu: Duration,
}

impl Stopwatch {
    fn start() -> Stopwatch {
        Stopwatch { clock: Instant::now(), cpu: cpu_time() }
    }

    /// What each of `n` has cost since the start.
    fn each_of(&self, n: usize) -> Cost {
        let ns = |time: Duration| time.as_nanos() as f64 / n as f64;
        Cost { cpu_ns: ns(cpu_time() - self.cpu), clock_ns: ns(self.clock.elapsed()) }
    }
}

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let one = args.iter().position(|arg| arg == "--one").map(|at| args.remove(at)).is_some();
    let quick = args.iter().position(|arg| arg == "--quick").map(|at| args.remove(at)).is_some();
    if let Some(unknown) = args.iter().find(|arg| CHECKS.iter().all(|(name, _)| name != arg)) {
        let names = CHECKS.map(|(name, _)| name).join(" ");
        eprintln!("selfcheck: no check is called {unknown}; there are: {names}");
        return ExitCode::from(2);
    }
    let chosen = CHECKS.into_iter().filter(|(name, _)| args.is_empty() || args.iter().any(|arg| arg == name));
    if one {
        let mut failed = false;
        chosen.for_each(|(name, check)| {
            failed |= run(name, check, Size { divisor: if quick { 10 } else { 1 } })
        });
        return ExitCode::from(u8::from(failed));
    }
    let mut failures = Vec::new();
    for (name, _) in chosen {
        let program = std::env::current_exe().expect("the program knows itself");
        let status = Command::new(program).arg("--one").args(quick.then_some("--quick")).arg(name).status();
        if !status.expect("the program starts").success() {
            failures.push(name);
        }
    }
    if failures.is_empty() {
        println!("selfcheck: every figure is within its bound");
        return ExitCode::SUCCESS;
    }
    println!("selfcheck: beyond the bounds: {}", failures.join(" "));
    ExitCode::from(1)
}

/// Runs a check as the main goroutine. Whether it failed.
fn run(name: &'static str, check: Check, size: Size) -> bool {
    let body = move || {
        let mut report = Report { check: name, failed: false };
        check(size, &mut report);
        report.failed
    };
    // SAFETY: nothing here keeps a thread-local across a call that parks: the checks use channels, wait groups and
    // files that are read at once.
    unsafe { gort::run(body) }
}

/// A million goroutines wait for one channel: bytes for each, time to start and to wake each.
fn parked(size: Size, report: &mut Report) {
    let n = size.of(1_000_000);
    // What the first goroutines cost is not their own: tables, threads.
    park_all(1000);
    let before = memory();
    let (start, bytes, wake) = park_all(n);
    report.figure("memory per parked goroutine", (bytes - before) / n as f64, 8192.0, "bytes");
    report.cost("starting one, until it waits", start, 20_000.0);
    report.cost("waking one, until it has ended", wake, 6_000.0);
}

/// The cost of starting each, bytes of memory while all wait, the cost of waking each.
fn park_all(n: usize) -> (Cost, f64, Cost) {
    let (tx, rx) = gort::chan::<()>(0);
    let (started, done) = (WaitGroup::new(), WaitGroup::new());
    started.add(n as isize);
    let watch = Stopwatch::start();
    for _ in 0..n {
        let (started, rx) = (started.clone(), rx.clone());
        done.go(move || {
            started.done();
            assert!(rx.recv().is_err());
        });
    }
    started.wait();
    let start = watch.each_of(n);
    gort::sleep(Duration::from_millis(10));
    let bytes = memory();
    let watch = Stopwatch::start();
    tx.close();
    done.wait();
    (start, bytes, watch.each_of(n))
}

/// A value goes through a chain of goroutines: ten thousand of them, a million of them.
fn daisy(size: Size, report: &mut Report) {
    chain(1000);
    for full in [10_000, 1_000_000] {
        let n = size.of(full);
        let watch = Stopwatch::start();
        report.equal(&format!("what comes out of a chain of {n}"), chain(n), n as u64);
        report.cost(&format!("each of a chain of {n}"), watch.each_of(n), 20_000.0);
    }
}

fn chain(n: usize) -> u64 {
    let (mut left, out) = gort::chan::<u64>(0);
    for _ in 0..n {
        let (tx, right) = gort::chan::<u64>(0);
        gort::go!({
            let value = right.recv().expect("the one to the right sends");
            left.send(value + 1).expect("the one to the left receives");
        });
        left = tx;
    }
    left.send(0).expect("the chain receives");
    out.recv().expect("the chain sends")
}

/// A tree of goroutines, ten children each, a million leaves that are added up.
fn skynet(size: Size, report: &mut Report) {
    let leaves = size.of(1_000_000) as u64;
    let sum = |leaves: u64| {
        let (tx, rx) = gort::chan(1);
        branch(tx, 0, leaves);
        rx.recv().expect("the root sends")
    };
    sum(1000);
    let watch = Stopwatch::start();
    report.equal(&format!("the sum of {leaves} leaves"), sum(leaves), leaves * (leaves - 1) / 2);
    // One goroutine per leaf and per inner node.
    let goroutines = (leaves * 10 / 9) as usize;
    report.cost("each goroutine of the tree", watch.each_of(goroutines), 8_000.0);
}

fn branch(up: gort::channel::Sender<u64>, number: u64, leaves: u64) {
    if leaves == 1 {
        return up.send(number).expect("the parent receives");
    }
    let (tx, rx) = gort::chan(10);
    for child in 0..10 {
        let (tx, leaves) = (tx.clone(), leaves / 10);
        gort::go!(branch(tx, number + child * leaves, leaves));
    }
    drop(tx);
    up.send(rx.iter().sum()).expect("the parent receives");
}

/// Ten thousand goroutines wait, nothing happens: how much of a core that takes.
fn idle(size: Size, report: &mut Report) {
    let (n, time) = (10_000, Duration::from_secs(size.of(10) as u64));
    let (tx, rx) = gort::chan::<()>(0);
    let done = WaitGroup::new();
    for _ in 0..n {
        let rx = rx.clone();
        done.go(move || assert!(rx.recv().is_err()));
    }
    // Whoever searches for work gives up meanwhile.
    gort::sleep(Duration::from_millis(300));
    let (start, before) = (Instant::now(), cpu_time());
    gort::sleep(time);
    let used = (cpu_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    report.figure(&format!("idle with {n} goroutines"), used * 100.0, 1.0, "% of a core");
    tx.close();
    done.wait();
}

/// Ten million goroutines start and end, ten million selects wait: memory before and after.
fn growth(size: Size, report: &mut Report) {
    const MIB: f64 = (1 << 20) as f64;
    let n = size.of(10_000_000);
    for (what, work) in [("goroutines", spawns as fn(usize)), ("selects that wait", selects)] {
        // The same work in the same pieces: what it needs at a time, it has.
        work(n / 10);
        // A thread that the scheduler makes meanwhile, or a processor that had not taken part before, costs a megabyte
        // once. What grows with the work grows each time.
        let watch = Stopwatch::start();
        let growth = (0..3).map(|_| grown_by(|| work(n))).fold(f64::INFINITY, f64::min);
        let cost = watch.each_of(3 * n);
        report.figure(&format!("growth over {n} {what}"), growth.max(0.0) / MIB, 2.0, "MiB");
        report.cost(&format!("each of {n} {what}"), cost, 5_000.0);
    }
    // Main, and whoever is about to end.
    gort::sleep(Duration::from_millis(10));
    report.equal("goroutines in the end", runtime::num_goroutine() as u64, 1);
}

/// By how many bytes the process is larger afterwards.
fn grown_by(work: impl FnOnce()) -> f64 {
    let before = memory();
    work();
    memory() - before
}

fn spawns(n: usize) {
    const AT_A_TIME: usize = 1000;
    for _ in 0..n / AT_A_TIME {
        let done = WaitGroup::new();
        (0..AT_A_TIME).for_each(|i| {
            done.go(move || {
                black_box(i);
            })
        });
        done.wait();
    }
}

fn selects(n: usize) {
    let (tx, rx) = gort::chan(0);
    let (over_tx, over) = gort::chan::<()>(0);
    let other = over.clone();
    gort::go!({
        for i in 0..n {
            gort::select! {
                send(tx, i) -> sent => sent.expect("main receives"),
                recv(other) -> _ => return,
            }
        }
    });
    for i in 0..n {
        gort::select! {
            recv(rx) -> value => assert_eq!(value, Ok(i)),
            recv(over) -> _ => unreachable!("nobody closes it"),
        }
    }
    drop(over_tx);
}

/// A hundred thousand goroutines sleep, each its own time: how much too long. What the machine itself does to whoever
/// sleeps is told by two OS threads that sleep meanwhile, and is granted several times over.
fn sleepers(size: Size, report: &mut Report) {
    let n = size.of(100_000);
    // A burst of somebody else's work is no figure of gort's: the best of a few attempts counts.
    let attempts = (0..4).map(|_| oversleep(n, report));
    let excess = |(ours, machine): &([f64; 2], [f64; 2])| ours[1] - 3.0 * machine[1];
    let (ours, machine) =
        attempts.min_by(|a, b| excess(a).total_cmp(&excess(b))).expect("there was an attempt");
    report.figure("overslept, median", ours[0], 1_000.0 + 3.0 * machine[0], "us");
    report.figure("overslept, 99 of 100", ours[1], 10_000.0 + 3.0 * machine[1], "us");
}

/// Microseconds overslept by half and by 99 of 100, of the goroutines and of OS threads beside them.
fn oversleep(n: usize, report: &mut Report) -> ([f64; 2], [f64; 2]) {
    // Mostly all have started before the first is due.
    let start = Instant::now() + Duration::from_secs(1);
    let span = Duration::from_secs(2);
    let (tx, rx) = gort::chan(n);
    for i in 0..n {
        let tx = tx.clone();
        gort::go!({
            // Spread over the span by steps that share no factor with it.
            let planned = start + span.mul_f64((i as f64 * 0.618_033_988_75).fract());
            let due = planned.max(Instant::now());
            gort::sleep(due.saturating_duration_since(Instant::now()));
            tx.send(Instant::now().saturating_duration_since(due)).expect("main receives");
        });
    }
    drop(tx);
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(move || sleep_until(start + span))).collect();
    let late: Vec<Duration> = rx.iter().collect();
    report.equal("sleepers that woke", late.len() as u64, n as u64);
    let machine =
        threads.into_iter().flat_map(|thread| gort::blocking(|| thread.join().expect("it sleeps"))).collect();
    (parts(late), parts(machine))
}

/// An OS thread that sleeps a millisecond at a time until `end`: how much too long each time.
fn sleep_until(end: Instant) -> Vec<Duration> {
    const NAP: Duration = Duration::from_millis(1);
    let mut late = Vec::new();
    while Instant::now() < end {
        let due = Instant::now() + NAP;
        std::thread::sleep(NAP);
        late.push(Instant::now().saturating_duration_since(due));
    }
    late
}

/// What half of them stay below, and 99 of 100, in microseconds.
fn parts(mut late: Vec<Duration>) -> [f64; 2] {
    late.sort();
    [0.5, 0.99].map(|part| late[(late.len() as f64 * part) as usize].as_secs_f64() * 1e6)
}

/// Bytes of memory this process occupies, page tables included.
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("there is a /proc");
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel tells");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number")
    };
    (kib("VmRSS:") + kib("VmPTE:")) * 1024.0
}

/// Time this process has spent on processors, its own and the kernel's on its behalf.
fn cpu_time() -> Duration {
    // SAFETY: all zeros is a value of this plain struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place to write to.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    assert_eq!(result, 0, "getrusage");
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
