//! What the ports share: a turn for each test, a number of processors, a watchdog, chance with a seed, Go's channel of
//! one value that both sends and receives.

use std::fmt::Debug;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gort::channel::{Receiver, RecvError, Sender, TryRecvError};
use gort::runtime;
use gort::sync::Mutex;

/// Longer takes none of these tests, on however slow a machine: one that does is stuck.
const PATIENCE: Duration = Duration::from_secs(150);

/// Runs `body` with 1, 2 and 4 processors.
#[track_caller]
pub(crate) fn on_procs(mut body: impl FnMut(usize)) {
    for procs in [1, 2, 4] {
        alone(procs, || body(procs));
    }
}

/// Runs `body` with `procs` processors, and no other test beside it.
#[track_caller]
pub(crate) fn alone<R>(procs: usize, body: impl FnOnce() -> R) -> R {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let _watch = Watchdog::start();
    let _procs = Procs::set(procs);
    body()
}

struct Procs {
    before: usize,
}

impl Procs {
    fn set(procs: usize) -> Procs {
        Procs { before: runtime::gomaxprocs(procs) }
    }
}

impl Drop for Procs {
    fn drop(&mut self) {
        runtime::gomaxprocs(self.before);
    }
}

/// Ends the process, with a dump of all goroutines, if it is not dropped in time. A hang would say nothing.
struct Watchdog {
    /// Dropping it calls the watchdog off.
    _off: mpsc::Sender<()>,
}

impl Watchdog {
    #[track_caller]
    fn start() -> Watchdog {
        let (off, called_off) = mpsc::channel();
        let at = std::panic::Location::caller();
        thread::spawn(move || {
            if called_off.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Not by `eprintln!`, which is captured here, and lost.
                let (stats, dump) = (runtime::stats(), runtime::dump());
                let _ = writeln!(std::io::stderr(), "{at}: stuck for {PATIENCE:?}\n{stats:?}\n{dump}");
                std::process::abort();
            }
        });
        Watchdog { _off: off }
    }
}

/// A channel whose two ends are kept together, as Go's are.
#[derive(Debug)]
pub(crate) struct Chan<T> {
    pub(crate) tx: Sender<T>,
    pub(crate) rx: Receiver<T>,
}

impl<T> Clone for Chan<T> {
    fn clone(&self) -> Chan<T> {
        Chan { tx: self.tx.clone(), rx: self.rx.clone() }
    }
}

impl<T: Debug> Chan<T> {
    pub(crate) fn new(capacity: usize) -> Chan<T> {
        let (tx, rx) = gort::chan(capacity);
        Chan { tx, rx }
    }

    pub(crate) fn nil() -> Chan<T> {
        Chan { tx: Sender::nil(), rx: Receiver::nil() }
    }

    /// `c <- value`
    #[track_caller]
    pub(crate) fn send(&self, value: T) {
        self.tx.send(value).unwrap();
    }

    /// `value, ok := <-c`
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        self.rx.recv()
    }

    /// `<-c` of a channel that is not closed.
    #[track_caller]
    pub(crate) fn take(&self) -> T {
        self.rx.recv().unwrap()
    }

    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.rx.try_recv()
    }

    pub(crate) fn close(&self) {
        self.tx.close();
    }
}

/// Lets everybody run who can, until all of them wait. Who never waits is given half a second.
pub(crate) fn settle() {
    for _ in 0..20 {
        gort::gosched();
    }
    for _ in 0..500 {
        gort::sleep(Duration::from_millis(1));
        let stats = runtime::stats();
        if stats.running == 1 && stats.runnable == 0 {
            return;
        }
    }
}

/// Waits until `done` holds. What never happens is a failure, after a time that no slow machine needs.
#[track_caller]
pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE / 2, "never: {what}");
        gort::sleep(Duration::from_micros(200));
    }
}

/// Waits until so many goroutines wait for this, as dumps put it.
#[track_caller]
pub(crate) fn until_in_line(reason: &str, count: usize) {
    let reason = format!(" [{reason}");
    until("they are in line", || {
        gort::runtime::dump().lines().filter(|line| line.contains(&reason)).count() >= count
    });
}

/// Processor time this process has used so far: what others do to the machine does not count.
pub(crate) fn cpu_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place to write to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    assert_eq!(result, 0, "clock_gettime");
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Memory of this process that is in use, in bytes.
pub(crate) fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Random numbers (splitmix64). `GO_PORTS_SEED` replays a run; the seed is printed if the test fails.
pub(crate) struct Chance {
    seed: u64,
    state: AtomicU64,
}

impl Chance {
    pub(crate) fn new() -> Chance {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let seed = std::env::var("GO_PORTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now);
        Chance { seed, state: AtomicU64::new(seed) }
    }

    /// A number below `n`.
    pub(crate) fn below(&self, n: u64) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

impl Drop for Chance {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(std::io::stderr(), "replay with GO_PORTS_SEED={}", self.seed);
        }
    }
}
