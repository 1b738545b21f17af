//! Wall time, CPU time of the whole process, and resident memory.
//!
//! CPU time is `getrusage(RUSAGE_SELF)`, user and system together: it counts
//! every thread, so a runtime that spins while it waits is seen doing so.
//! Memory is `VmRSS` + `VmPTE`: with a page or two per task the page tables
//! are a visible part of what a task costs.

use std::sync::OnceLock;
use std::time::Instant;

/// A running measurement.
pub struct Meter {
    wall: Instant,
    cpu_ns: f64,
}

/// What a body hands back.
pub struct Sample {
    /// Operations done; the times below are divided by it when printed.
    pub ops: u64,
    /// Wall time of all operations, ns.
    pub wall_ns: f64,
    /// CPU time of the process meanwhile, user and system, ns.
    pub cpu_ns: f64,
    /// Further figures, already per operation or absolute as their name says.
    pub more: Vec<(&'static str, f64)>,
}

impl Meter {
    /// Starts measuring.
    pub fn start() -> Self {
        Self { cpu_ns: process_cpu_ns(), wall: Instant::now() }
    }

    /// Wall time so far, ns.
    pub fn wall_ns(&self) -> f64 {
        self.wall.elapsed().as_nanos() as f64
    }

    /// Ends the measurement.
    pub fn stop(&self, ops: u64) -> Sample {
        let wall_ns = self.wall_ns();
        Sample { ops, wall_ns, cpu_ns: process_cpu_ns() - self.cpu_ns, more: Vec::new() }
    }
}

impl Sample {
    /// Adds a further figure.
    pub fn and(mut self, key: &'static str, value: f64) -> Self {
        self.more.push((key, value));
        self
    }

    /// Adds the times of all operations together, in ms.
    pub fn in_total(self) -> Self {
        let (wall_ms, cpu_ms) = (self.wall_ns / 1e6, self.cpu_ns / 1e6);
        self.and("total_ms", wall_ms).and("total_cpu_ms", cpu_ms)
    }

    /// Adds a figure that will not come, ever: the peer can not do it.
    pub fn and_never(self, key: &'static str) -> Self {
        self.and(key, f64::INFINITY)
    }
}

static AT_START: OnceLock<f64> = OnceLock::new();

/// Notes the memory of the process before the runtime is entered.
pub(crate) fn note_start() {
    AT_START.get_or_init(memory_bytes);
}

/// Resident bytes and page tables gained since the process started, ahead of
/// the warm-up, whose stacks may live on in a pool.
pub fn resident_bytes() -> f64 {
    memory_bytes() - AT_START.get().copied().unwrap_or(0.0)
}

fn memory_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let kib = |key: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(key)).expect("a line of /proc/self/status");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of KiB")
    };
    (kib("VmRSS:") + kib("VmPTE:")) * 1024.0
}

/// CPU time of the whole process so far, user and system, ns.
pub(crate) fn process_cpu_ns() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a rusage of our own, which the call fills.
    let code = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    assert_eq!(code, 0, "getrusage");
    // SAFETY: zeroed is a valid rusage, and the call has filled it.
    let usage = unsafe { usage.assume_init() };
    let ns = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    ns(usage.ru_utime) + ns(usage.ru_stime)
}
