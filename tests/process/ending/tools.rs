//! What programs about hogs and blockers have in common: endless loops that count, waiting with a bound, random numbers
//! with a printed seed, and a look at the threads of the process as the kernel sees them.

use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::enter;

/// What has not happened by then never will: a starvation. (Shorter than the time-out of whoever runs the program. On a machine
/// with a load of 25, whoever needs some hundreds of turns beside hogs may need a minute.)
pub(crate) const BOUND: Duration = Duration::from_secs(240);

pub(crate) const MS: Duration = Duration::from_millis(1);

/// The bound on the number of processors.
pub(crate) fn procs() -> usize {
    gort::runtime::gomaxprocs(0)
}

/// Runs `main` as the main goroutine; the program is over if it takes too long, and says where everybody stands.
pub(crate) fn bounded(main: impl FnOnce() + Send + 'static) -> ExitCode {
    bounded_by(BOUND, main)
}

/// As [`bounded`], by as much as that.
pub(crate) fn bounded_by(bound: Duration, main: impl FnOnce() + Send + 'static) -> ExitCode {
    let over = Arc::new(AtomicBool::new(false));
    let (watched, began) = (over.clone(), Instant::now());
    let watch = std::thread::spawn(move || {
        while !watched.load(Ordering::Relaxed) {
            if began.elapsed() > bound {
                eprintln!("not over after {bound:?}\n{:#?}", gort::runtime::stats());
                eprintln!("{}", gort::runtime::dump());
                std::process::exit(3);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    });
    let code = enter(main);
    over.store(true, Ordering::Relaxed);
    watch.thread().unpark();
    code
}

/// Waits, parked, until `condition` holds.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < BOUND, "{what}: not after {BOUND:?}; {:#?}", gort::runtime::stats());
        gort::sleep(MS);
    }
}

/// How often goroutines have lost their processor since they computed for long.
pub(crate) fn preemptions() -> u64 {
    gort::runtime::stats().preemptions
}

/// Waits until goroutines have been preempted so many times more.
pub(crate) fn wait_for_preemptions(more: u64) {
    let before = preemptions();
    wait_until("preemptions", || preemptions() >= before + more);
}

/// Goroutines that compute without end and without ever calling the runtime.
pub(crate) struct Hogs {
    stop: Arc<AtomicBool>,
    counts: Vec<Arc<AtomicU64>>,
    handles: Vec<gort::JoinHandle<()>>,
}

impl Hogs {
    /// Starts `n` that just loop.
    pub(crate) fn start(n: usize) -> Hogs {
        Hogs::doing(n, |_| {
            black_box((0..1000u64).fold(0, |sum, n| black_box(sum + n)));
        })
    }

    /// Starts `n` that do `work`, given the hog's number, over and over.
    pub(crate) fn doing(n: usize, work: impl Fn(usize) + Send + Sync + 'static) -> Hogs {
        let (stop, work) = (Arc::new(AtomicBool::new(false)), Arc::new(work));
        let counts: Vec<_> = (0..n).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let hog = |(number, count): (usize, &Arc<AtomicU64>)| {
            let (stop, work, count) = (stop.clone(), work.clone(), count.clone());
            gort::go(move || {
                while !stop.load(Ordering::Relaxed) {
                    work(number);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let handles = counts.iter().enumerate().map(hog).collect();
        Hogs { stop, counts, handles }
    }

    /// How far each has come.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Waits until each has got somewhere since now.
    pub(crate) fn wait_for_progress(&self) {
        let before = self.counts();
        wait_until("progress of all hogs", || self.counts().iter().zip(&before).all(|(now, old)| now > old));
    }

    /// Stops them; passes their panics on.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for handle in self.handles {
            handle.join().unwrap();
        }
    }
}

/// A small generator of random numbers (xorshift*).
#[derive(Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A seed that differs from run to run; a failing program shows it.
    pub(crate) fn fresh_seed() -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("it is later than 1970").as_nanos() as u64 ^ u64::from(std::process::id())
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// Computes for about as many microseconds, without calling anything.
pub(crate) fn compute(micros: u64) {
    let (began, time) = (Instant::now(), Duration::from_micros(micros));
    while began.elapsed() < time {
        black_box((0..100u64).fold(0, |sum, n| black_box(sum ^ n)));
    }
}

/// A thread of this process: its name, and the letter of its state.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) name: String,
    pub(crate) state: char,
}

/// All threads of this process, as the kernel sees them.
pub(crate) fn threads() -> Vec<Thread> {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is there");
    tasks
        .filter_map(|task| {
            // One that ends meanwhile is left out.
            let stat = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            let (open, close) = (stat.find('(')?, stat.rfind(')')?);
            let state = stat[close + 1..].trim_start().chars().next()?;
            Some(Thread { name: stat[open + 1..close].to_owned(), state })
        })
        .collect()
}

/// How many threads of the runtime run goroutines' code, or would: the median of many looks, since a hand-over between
/// two threads shows both for a moment. Who looks is none of them.
pub(crate) fn median_running(looks: usize) -> usize {
    let look = || {
        std::thread::sleep(5 * MS);
        threads().iter().filter(|thread| thread.is_machine_running()).count()
    };
    // With a name, or it would inherit the machine's.
    let watch = std::thread::Builder::new().name("watch".into()).spawn(move || {
        let mut seen: Vec<usize> = (0..looks).map(|_| look()).collect();
        seen.sort_unstable();
        seen[looks / 2]
    });
    gort::blocking(|| watch.unwrap().join().unwrap())
}

impl Thread {
    fn is_machine_running(&self) -> bool {
        self.state == 'R' && self.name.strip_prefix("gort-m").is_some_and(|id| id.parse::<u32>().is_ok())
    }
}

/// The error number of the last call that failed, read from the thread at hand.
#[inline(never)]
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or_default()
}
