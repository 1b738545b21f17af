//! Many goroutines that do everything at once. Each test prints its seed; `GORT_TEST_SEED` replays it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gort::sync::{Mutex, WaitGroup};

/// xorshift64*: one for each goroutine, made from the test's seed and the goroutine's number.
struct Random(u64);

impl Random {
    fn new(seed: u64, number: u64) -> Random {
        let mixed = (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd134_2543_de82_ef95);
        Random(mixed | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

fn seed() -> u64 {
    let chosen = std::env::var("GORT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = chosen.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    println!("seed: GORT_TEST_SEED={seed}");
    seed
}

/// What the goroutines of a tree share.
struct World {
    seed: u64,
    made: AtomicU64,
    ended: AtomicU64,
    locked: Mutex<u64>,
    sent: AtomicU64,
    received: AtomicU64,
    pipe: (gort::channel::Sender<u64>, gort::channel::Receiver<u64>),
}

/// Starts children down to depth 0, and does a random thing between each.
fn tree(world: &Arc<World>, depth: u32) -> u64 {
    let mut random = Random::new(world.seed, world.made.fetch_add(1, SeqCst));
    let mut children = Vec::new();
    let mut nodes = 1;
    for _ in 0..if depth == 0 { 0 } else { 3 } {
        let theirs = world.clone();
        children.push(gort::go(move || tree(&theirs, depth - 1)));
        act(world, &mut random);
    }
    act(world, &mut random);
    for child in children {
        nodes += child.join().unwrap();
    }
    world.ended.fetch_add(1, SeqCst);
    nodes
}

fn act(world: &World, random: &mut Random) {
    match random.below(10) {
        0 => gort::gosched(),
        1 => gort::sleep(Duration::from_micros(random.below(300))),
        2 => gort::blocking(|| std::thread::sleep(Duration::from_micros(20))),
        3 => *world.locked.lock() += 1,
        4 => {
            let mut guard = world.locked.lock();
            gort::gosched();
            *guard += 1;
        }
        5 => {
            world.sent.fetch_add(5, SeqCst);
            world.pipe.0.send(5).unwrap();
        }
        6 => {
            world.sent.fetch_add(1, SeqCst);
            gort::select! {
                send(world.pipe.0, 1) -> sent => sent.unwrap(),
                recv(world.pipe.1) -> got => {
                    world.received.fetch_add(got.unwrap(), SeqCst);
                    world.sent.fetch_sub(1, SeqCst);
                },
            }
        }
        7 => gort::select! {
            recv(world.pipe.1) -> got => { world.received.fetch_add(got.unwrap(), SeqCst); },
            default(Duration::from_micros(random.below(200))) => {},
        },
        8 => gort::pin_thread(gort::gosched),
        _ => gort::maybe_grow(usize::MAX, 64 * 1024, gort::gosched),
    }
}

/// Runs a tree and checks that nothing was lost or made twice.
fn grow_a_tree(seed: u64, depth: u32) {
    let world = Arc::new(World {
        seed,
        made: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        locked: Mutex::new(0),
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        pipe: gort::chan(16),
    });
    let over = Arc::new(AtomicBool::new(false));
    let (drained, until) = (world.clone(), over.clone());
    // Takes what the tree leaves in the pipe.
    let drain = gort::go(move || {
        while !until.load(SeqCst) {
            if let Ok(got) = drained.pipe.1.recv_timeout(Duration::from_millis(1)) {
                drained.received.fetch_add(got, SeqCst);
            }
        }
        for got in drained.pipe.1.try_iter() {
            drained.received.fetch_add(got, SeqCst);
        }
    });
    let nodes = tree(&world, depth);
    over.store(true, SeqCst);
    drain.join().unwrap();
    assert_eq!(nodes, (3u64.pow(depth + 1) - 1) / 2);
    assert_eq!((world.made.load(SeqCst), world.ended.load(SeqCst)), (nodes, nodes));
    assert_eq!(world.received.load(SeqCst), world.sent.load(SeqCst));
}

#[gort::test(unsafe(migrate))]
fn trees_of_goroutines_that_do_everything() {
    let seed = seed();
    for round in 0..4 {
        grow_a_tree(seed.wrapping_add(round), 6);
    }
}

/// While GOMAXPROCS goes up and down nothing is lost: neither messages nor sleepers nor calls that are due.
#[gort::test(unsafe(migrate))]
fn gomaxprocs_changes_under_load() {
    let mut random = Random::new(seed(), 0);
    let before = gort::runtime::gomaxprocs(0);
    let over = Arc::new(AtomicBool::new(false));
    let work = WaitGroup::new();
    let fired = Arc::new(AtomicU64::new(0));
    let armed = Arc::new(AtomicU64::new(0));
    for n in 0..20u64 {
        let (over, fired, armed) = (over.clone(), fired.clone(), armed.clone());
        work.go(move || {
            while !over.load(SeqCst) {
                gort::sleep(Duration::from_micros(50 + n * 20));
                let fired = fired.clone();
                armed.fetch_add(1, SeqCst);
                drop(gort::time::after_func(Duration::from_micros(n * 100), move || {
                    fired.fetch_add(1, SeqCst);
                }));
            }
        });
    }
    let sums: Vec<_> = (0..8)
        .map(|_| {
            let (tx, rx) = gort::chan(2);
            let over = over.clone();
            let sender = gort::go(move || {
                let mut sent = 0u64;
                while !over.load(SeqCst) {
                    tx.send(sent).unwrap();
                    sent += 1;
                }
                sent
            });
            let receiver =
                gort::go(move || rx.iter().enumerate().all(|(at, n)| at as u64 == n).then_some(()));
            (sender, receiver)
        })
        .collect();
    let start = Instant::now();
    let mut now = before;
    while start.elapsed() < Duration::from_secs(2) {
        let next = 1 + random.below(9) as usize;
        assert_eq!(gort::runtime::gomaxprocs(next), now);
        now = next;
        match random.below(3) {
            0 => gort::sleep(Duration::from_micros(random.below(2000))),
            1 => gort::gosched(),
            _ => drop(gort::go(|| ()).join()),
        }
    }
    over.store(true, SeqCst);
    work.wait();
    for (sender, receiver) in sums {
        sender.join().unwrap();
        receiver.join().unwrap().expect("messages arrive in order");
    }
    let start = Instant::now();
    while fired.load(SeqCst) < armed.load(SeqCst) {
        assert!(start.elapsed() < Duration::from_secs(60), "{fired:?} of {armed:?} calls");
        gort::sleep(Duration::from_millis(1));
    }
    assert_eq!(fired.load(SeqCst), armed.load(SeqCst));
    gort::runtime::gomaxprocs(before);
}

#[gort::test(unsafe(migrate))]
fn a_hundred_thousand_goroutines_wait_at_once() {
    const MANY: usize = 100_000;
    let (stop, stopped) = gort::chan::<()>(0);
    let group = WaitGroup::new();
    let sum = Arc::new(AtomicU64::new(0));
    for n in 0..MANY as u64 {
        group.add(1);
        let (group, stopped, sum) = (group.clone(), stopped.clone(), sum.clone());
        gort::go(move || {
            assert!(stopped.recv().is_err());
            sum.fetch_add(n, SeqCst);
            group.done();
        });
    }
    assert!(gort::runtime::num_goroutine() > MANY);
    drop(stop);
    group.wait();
    assert_eq!(sum.load(SeqCst), (MANY as u64 - 1) * MANY as u64 / 2);
}

/// Everything crosses the border between threads and goroutines: starting, waking, waiting.
#[test]
fn threads_and_goroutines_in_one_crowd() {
    let seed = seed();
    // SAFETY: nothing here keeps a thread-local across a call that parks.
    unsafe { gort::run(|| ()) };
    let (tx, rx) = gort::chan::<u64>(0);
    let received = Arc::new(AtomicU64::new(0));
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let (rx, received) = (rx.clone(), received.clone());
            let take = move || rx.iter().for_each(|n| _ = received.fetch_add(n, SeqCst));
            (std::thread::spawn(take.clone()), gort::go(take))
        })
        .collect();
    let senders: Vec<_> = (0..4)
        .map(|number| {
            let tx = tx.clone();
            std::thread::spawn(move || {
                let mut random = Random::new(seed, number);
                for n in 0..500 {
                    let tx = tx.clone();
                    match random.below(4) {
                        0 => tx.send(n).unwrap(),
                        1 => gort::go(move || tx.send(n).unwrap()).join().unwrap(),
                        2 => drop(gort::go(move || {
                            gort::sleep(Duration::from_micros(n));
                            tx.send(n).unwrap();
                        })),
                        _ => drop(gort::time::after_func(Duration::from_micros(n), move || {
                            tx.send(n).unwrap()
                        })),
                    }
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    drop(tx);
    for (thread, goroutine) in receivers {
        thread.join().unwrap();
        goroutine.join().unwrap();
    }
    assert_eq!(received.load(SeqCst), 4 * 499 * 250);
}
