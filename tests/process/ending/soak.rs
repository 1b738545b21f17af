//! Everything at once for as long as one likes, with a seed: hogs, calls that block with and without a word, channels,
//! select, timers, locks, sockets, other processes, panics, scopes, and GOMAXPROCS that changes. In the end every sum is
//! right, and all goroutines, calls and descriptors are gone.
//!
//! ```text
//!   ending soak [seconds] [seed]
//! ```
//! Workers do one thing after another, as their random numbers say, and note what they began and what they finished.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gort::channel::{Receiver, Sender};

use super::say;
use super::sockets::Echo;
use super::tools::{BOUND, Hogs, MS, Rng, bounded_by, compute, wait_until};

pub(crate) const ALL: &[super::Ending] = &[("soak", soak)];

const WORKERS: u64 = 24;

/// What all workers share.
struct World {
    stop: AtomicBool,
    /// Sums of what was sent into the channel, and of what came out.
    sent: AtomicU64,
    received: AtomicU64,
    to: Sender<u64>,
    from: Receiver<u64>,
    /// Goroutines and timers: how many were started, how many have run.
    started: AtomicU64,
    ran: AtomicU64,
    std_lock: std::sync::Mutex<(u64, u64)>,
    gort_lock: gort::sync::Mutex<(u64, u64)>,
    echo: Echo,
    done: AtomicU64,
}

type Deed = fn(&Arc<World>, &mut Rng);

const DEEDS: &[Deed] = &[
    |_, rng| compute(rng.below(3000)),
    |_, rng| std::thread::sleep(Duration::from_micros(rng.below(3000))),
    |_, rng| gort::blocking(|| std::thread::sleep(Duration::from_micros(rng.below(3000)))),
    |_, rng| gort::sleep(Duration::from_micros(rng.below(3000))),
    |_, _| gort::gosched(),
    send,
    send,
    send,
    select,
    spawn,
    timer,
    scope,
    std_lock,
    gort_lock,
    panic,
    pinned,
    child,
    file,
    |world, rng| world.echo.visit(rng),
    |world, rng| world.echo.visit(rng),
];

fn soak() -> ExitCode {
    let argument = |n| std::env::args().nth(n).map(|text| text.parse::<u64>().expect("a number"));
    let seconds = argument(2).unwrap_or(3);
    let seed = argument(3).unwrap_or_else(Rng::fresh_seed);
    eprintln!("seed {seed}");
    std::panic::set_hook(Box::new(|info| {
        if info.payload().downcast_ref::<u64>().is_none() {
            eprintln!("{info}");
        }
    }));
    bounded_by(Duration::from_secs(2 * seconds) + BOUND, move || {
        let (to, from) = gort::chan(16);
        let world = Arc::new(World::new(to, from));
        let descriptors = open_descriptors();
        let hogs = Hogs::start(3);
        let consumers: Vec<_> = (0..4u64).map(|n| consumer(&world, seed ^ n)).collect();
        let workers: Vec<_> = (0..WORKERS).map(|n| worker(&world, seed.wrapping_add(n))).collect();
        change_procs(Duration::from_secs(seconds), seed);
        world.stop.store(true, Ordering::Relaxed);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        hogs.wait_for_progress();
        hogs.stop();
        world.check(consumers);
        // The listener is closed, and goes with the world.
        wait_until("the end of all connections", || open_descriptors() <= descriptors);
        say("ok");
    })
}

impl World {
    fn new(to: Sender<u64>, from: Receiver<u64>) -> World {
        World {
            stop: false.into(),
            sent: 0.into(),
            received: 0.into(),
            to,
            from,
            started: 0.into(),
            ran: 0.into(),
            std_lock: std::sync::Mutex::new((0, 0)),
            gort_lock: gort::sync::Mutex::new((0, 0)),
            echo: Echo::start(),
            done: 0.into(),
        }
    }

    /// All workers have ended: everything that they began has an end.
    fn check(&self, consumers: Vec<gort::JoinHandle<()>>) {
        let sum = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        wait_until("goroutines and timers", || sum(&self.started) == sum(&self.ran));
        self.to.close();
        self.echo.stop();
        consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
        assert_eq!(sum(&self.sent), sum(&self.received), "what was sent and what was received");
        for pair in [*self.std_lock.lock().unwrap(), *self.gort_lock.lock()] {
            assert_eq!(pair.0, pair.1);
        }
        wait_until("the end of all", || gort::runtime::num_goroutine() == 1);
        wait_until("the end of all calls", || gort::runtime::stats().blocked == 0);
        assert!(sum(&self.done) > WORKERS, "hardly anything was done");
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Sets GOMAXPROCS to something else now and then.
fn change_procs(time: Duration, seed: u64) {
    let (began, mut rng) = (std::time::Instant::now(), Rng::new(seed.rotate_left(17)));
    while began.elapsed() < time {
        gort::runtime::gomaxprocs(1 + rng.below(6) as usize);
        gort::sleep(Duration::from_micros(rng.below(30_000)));
    }
}

fn worker(world: &Arc<World>, seed: u64) -> gort::JoinHandle<()> {
    let (world, mut rng) = (world.clone(), Rng::new(seed));
    gort::go(move || {
        while !world.stop.load(Ordering::Relaxed) {
            DEEDS[rng.below(DEEDS.len() as u64) as usize](&world, &mut rng);
            world.done.fetch_add(1, Ordering::Relaxed);
        }
    })
}

fn consumer(world: &Arc<World>, seed: u64) -> gort::JoinHandle<()> {
    let (world, mut rng) = (world.clone(), Rng::new(seed));
    gort::go(move || {
        for n in &world.from {
            world.received.fetch_add(n, Ordering::Relaxed);
            if rng.below(20) == 0 {
                std::thread::sleep(Duration::from_micros(rng.below(500)));
            }
        }
    })
}

fn send(world: &Arc<World>, rng: &mut Rng) {
    for _ in 0..20 {
        let n = rng.below(1000);
        world.sent.fetch_add(n, Ordering::Relaxed);
        world.to.send(n).unwrap();
    }
}

/// Either side of the channel, or neither.
fn select(world: &Arc<World>, rng: &mut Rng) {
    let n = rng.below(1000);
    gort::select! {
        send(world.to, n) -> sent => {
            sent.unwrap();
            world.sent.fetch_add(n, Ordering::Relaxed);
        }
        recv(world.from) -> received => {
            world.received.fetch_add(received.unwrap(), Ordering::Relaxed);
        }
        default(Duration::from_micros(rng.below(500))) => {}
    }
}

fn spawn(world: &Arc<World>, rng: &mut Rng) {
    for _ in 0..rng.below(50) {
        world.started.fetch_add(1, Ordering::Relaxed);
        let (world, micros) = (world.clone(), rng.below(50));
        gort::go(move || {
            compute(micros);
            world.ran.fetch_add(1, Ordering::Relaxed);
        });
    }
}

fn timer(world: &Arc<World>, rng: &mut Rng) {
    for _ in 0..rng.below(20) {
        world.started.fetch_add(1, Ordering::Relaxed);
        let ran = world.clone();
        let timer = gort::time::after_func(Duration::from_micros(rng.below(5000)), move || {
            ran.ran.fetch_add(1, Ordering::Relaxed);
        });
        if rng.below(4) == 0 && timer.stop() {
            world.ran.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn scope(_: &Arc<World>, rng: &mut Rng) {
    let numbers: Vec<u64> = (0..8).map(|_| rng.below(1000)).collect();
    let sum: u64 = gort::scope(|s| {
        let handles: Vec<_> = numbers
            .chunks(2)
            .map(|pair| {
                s.go(|| {
                    gort::sleep(Duration::from_micros(pair[0]));
                    pair.iter().sum::<u64>()
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
    });
    assert_eq!(sum, numbers.iter().sum());
}

fn std_lock(world: &Arc<World>, rng: &mut Rng) {
    let mut pair = world.std_lock.lock().unwrap();
    pair.0 += 1;
    compute(rng.below(200));
    pair.1 += 1;
}

fn gort_lock(world: &Arc<World>, rng: &mut Rng) {
    let mut pair = world.gort_lock.lock();
    pair.0 += 1;
    match rng.below(3) {
        0 => compute(rng.below(200)),
        1 => gort::gosched(),
        _ => std::thread::sleep(Duration::from_micros(rng.below(200))),
    }
    pair.1 += 1;
}

/// Caught on the spot, or by who joins.
fn panic(_: &Arc<World>, rng: &mut Rng) {
    let n = rng.below(1000);
    let unwind = move || {
        compute(20);
        std::panic::panic_any(n)
    };
    let payload = match n % 2 {
        0 => std::panic::catch_unwind(unwind).expect_err("it panics"),
        _ => gort::go(unwind).join().expect_err("it panics"),
    };
    assert_eq!(payload.downcast_ref(), Some(&n));
}

fn pinned(_: &Arc<World>, rng: &mut Rng) {
    gort::pin_thread(|| {
        let here = std::thread::current().id();
        gort::sleep(Duration::from_micros(rng.below(500)));
        compute(rng.below(500));
        std::thread::sleep(Duration::from_micros(rng.below(500)));
        gort::gosched();
        assert_eq!(std::thread::current().id(), here);
    });
}

/// Seldom: it is dear.
fn child(_: &Arc<World>, rng: &mut Rng) {
    if rng.below(10) == 0 {
        let code = rng.below(100) as i32;
        let script = format!("exit {code}");
        assert_eq!(Command::new("sh").args(["-c", &script]).status().unwrap().code(), Some(code));
    }
}

fn file(_: &Arc<World>, _: &mut Rng) {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(text.contains("gort-m") || text.contains("ending"), "{text}");
    gort::sleep(MS / 10);
}
