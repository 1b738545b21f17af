//! Nobody is starved by others who yield, pass messages or start each other. Everything here is on one processor, where
//! only the scheduler's own fairness helps; so this is one test, which decides how many processors there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs `hog` as goroutines that go on until the bystander has had `turns` turns, each a yield; fails if it does not get
/// them.
fn bystander(turns: u64, hog: impl FnOnce(Arc<AtomicBool>)) {
    let over = Arc::new(AtomicBool::new(false));
    hog(over.clone());
    let start = Instant::now();
    for turn in 0..turns {
        gort::gosched();
        assert!(start.elapsed() < LIMIT, "the bystander is starved after {turn} turns");
    }
    over.store(true, SeqCst);
}

fn yielding(over: Arc<AtomicBool>) {
    for _ in 0..3 {
        let over = over.clone();
        gort::go(move || {
            while !over.load(SeqCst) {
                gort::gosched();
            }
        });
    }
}

/// Two that wake each other, each time into the place of who runs next.
fn ping_pong(over: Arc<AtomicBool>) {
    let (ping, pinged) = gort::chan(0);
    let (pong, ponged) = gort::chan(0);
    gort::go(move || pinged.iter().try_for_each(|()| pong.send(())));
    gort::go(move || {
        while !over.load(SeqCst) {
            ping.send(()).unwrap();
            ponged.recv().unwrap();
        }
    });
}

/// Each starts its successor, which runs next, and ends.
fn respawn(over: Arc<AtomicBool>) {
    fn link(over: Arc<AtomicBool>) {
        if !over.load(SeqCst) {
            gort::go(move || link(over));
        }
    }
    gort::go(move || link(over));
}

/// Each readies the one before it, which readies it.
fn mutex_convoy(over: Arc<AtomicBool>) {
    let mutex = Arc::new(gort::sync::Mutex::new(0u64));
    for _ in 0..2 {
        let (over, mutex) = (over.clone(), mutex.clone());
        gort::go(move || {
            while !over.load(SeqCst) {
                let mut guard = mutex.lock();
                *guard += 1;
                gort::gosched();
            }
        });
    }
}

/// One that waits in the ring, behind goroutines that keep the next place busy, is run: and so is a sleeper.
fn sleeper_beside(hog: impl FnOnce(Arc<AtomicBool>)) {
    let over = Arc::new(AtomicBool::new(false));
    hog(over.clone());
    let start = Instant::now();
    for _ in 0..20 {
        gort::sleep(Duration::from_millis(1));
        assert!(start.elapsed() < LIMIT, "the sleeper is starved");
    }
    let (tx, rx) = gort::chan(0);
    gort::go(move || {
        (0..100).for_each(|n| tx.send(n).unwrap());
    });
    assert_eq!(rx.iter().sum::<u64>(), 4950);
    assert!(start.elapsed() < LIMIT, "a pair is starved");
    over.store(true, SeqCst);
}

/// A yield lets everybody who could run at that moment run first. (But who loses the processor, on a busy machine, stands aside
/// for a millisecond.)
fn yields_go_round() {
    let lost = || {
        let stats = gort::runtime::stats();
        stats.preemptions + stats.handoffs
    };
    for _ in 0..1000 {
        let before = lost();
        let furthest = furthest_ahead();
        if furthest <= 5 {
            return;
        }
        // Whoever took it says so a little later.
        gort::sleep(Duration::from_millis(1));
        assert!(lost() > before, "one was {furthest} turns ahead");
    }
    panic!("somebody loses the processor all the time");
}

/// Ten yield: by how many turns one was ahead of another, at most.
fn furthest_ahead() -> u64 {
    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..10).map(|_| AtomicU64::new(0)).collect());
    let furthest = Arc::new(AtomicU64::new(0));
    let handles: Vec<_> = (0..10)
        .map(|n| {
            let (counts, furthest) = (counts.clone(), furthest.clone());
            gort::go(move || {
                // All are there before anybody counts.
                gort::gosched();
                for _ in 0..100 {
                    counts[n].fetch_add(1, SeqCst);
                    let all = || counts.iter().map(|count| count.load(SeqCst));
                    furthest.fetch_max(all().max().unwrap() - all().min().unwrap(), SeqCst);
                    gort::gosched();
                }
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    furthest.load(SeqCst)
}

/// What a goroutine starts gets its turn while the goroutine yields, all of it.
fn started_get_their_turn() {
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..1000 {
        let ran = ran.clone();
        gort::go(move || ran.fetch_add(1, SeqCst));
    }
    let start = Instant::now();
    while ran.load(SeqCst) < 1000 {
        gort::gosched();
        assert!(start.elapsed() < LIMIT, "only {} ran", ran.load(SeqCst));
    }
}

#[gort::test(unsafe(migrate), maxprocs = 1)]
fn nobody_is_starved() {
    for procs in [1, 2] {
        gort::runtime::gomaxprocs(procs);
        bystander(2000, yielding);
        bystander(2000, ping_pong);
        bystander(2000, respawn);
        bystander(2000, mutex_convoy);
        sleeper_beside(yielding);
        sleeper_beside(ping_pong);
        sleeper_beside(respawn);
        sleeper_beside(mutex_convoy);
        started_get_their_turn();
        if procs == 1 {
            yields_go_round();
        }
    }
}
