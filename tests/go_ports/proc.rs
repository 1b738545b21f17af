//! Processors, queues and fairness (runtime/proc_test.go). Goroutines here that compute without end yield now and then:
//! what happens to those that do not is a matter of preemption.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort::runtime;
use gort::sync::WaitGroup;

use crate::support::{Chan, alone, on_procs, until};

/// TestStopTheWorldDeadlock: the number of processors changes while goroutines are made without end.
#[gort::test(unsafe(migrate))]
fn processors_come_and_go() {
    alone(4, || {
        let (made, done) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..3 {
            let (over, made) = (Arc::clone(&over), Arc::clone(&made));
            done.go(move || {
                while !over.load(Ordering::Relaxed) {
                    let batch = WaitGroup::new();
                    for _ in 0..50 {
                        let made = Arc::clone(&made);
                        batch.go(move || {
                            gort::gosched();
                            made.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                    batch.wait();
                }
            });
        }
        let mut before = 4;
        for round in 0..300 {
            let now = [1, 3, 2, 4, 7, 1, 2][round % 7];
            assert_eq!(runtime::gomaxprocs(now), before);
            before = now;
            if round % 10 == 0 {
                assert!(runtime::stats().goroutines > 3);
            }
            if round == 150 {
                assert!(runtime::dump().contains("goroutine "));
            }
            gort::gosched();
        }
        over.store(true, Ordering::Relaxed);
        done.wait();
        assert!(made.load(Ordering::Relaxed) > 0);
    });
}

/// TestStopTheWorldDeadlock, time: sleepers survive the end of the processor whose timers held them.
#[gort::test(unsafe(migrate))]
fn timers_outlive_their_processor() {
    alone(4, || {
        let done = WaitGroup::new();
        for i in 0..200 {
            done.go(move || gort::sleep(Duration::from_micros(100 * i)));
        }
        for procs in [2, 1, 3, 4, 1] {
            runtime::gomaxprocs(procs);
            gort::sleep(Duration::from_millis(2));
        }
        done.wait();
    });
}

/// TestBigGOMAXPROCS: as many as there can be, and not more.
#[gort::test(unsafe(migrate))]
fn very_many_processors() {
    alone(2, || {
        runtime::gomaxprocs(1024);
        assert_eq!(runtime::gomaxprocs(0), 1024);
        let done = WaitGroup::new();
        (0..2000).for_each(|_| done.go(gort::gosched));
        done.wait();
        runtime::gomaxprocs(5000);
        assert_eq!(runtime::gomaxprocs(2), 1024);
        assert_eq!(runtime::gomaxprocs(0), 2);
    });
}

/// TestYieldProgress: who yields in a loop lets the others run.
#[gort::test(unsafe(migrate))]
fn yielding_lets_others_run() {
    on_procs(|_| {
        let over = Chan::<()>::new(0);
        gort::scope(|s| {
            for _ in 0..3 {
                s.go(|| {
                    while !over.rx.is_closed() {
                        gort::gosched();
                    }
                });
            }
            for _ in 0..100 {
                gort::gosched();
            }
            s.go(|| over.close());
        });
    });
}

/// TestGoroutineParallelism: as many goroutines as processors run at the same time: each waits, without yielding, for
/// its turn, which the one before it gives.
#[gort::test(unsafe(migrate))]
fn goroutines_run_in_parallel() {
    parallelism(false);
}

/// TestGoroutineParallelism2: the same beside a load that comes and goes, and timers that fire.
#[gort::test(unsafe(migrate))]
fn goroutines_run_in_parallel_under_load() {
    parallelism(true);
}

fn parallelism(load: bool) {
    const TURNS: usize = 10;
    for procs in [2, 3, 4] {
        for _ in 0..10 {
            alone(procs, || {
                if load {
                    // Goroutines all at once, timers all at once: everybody wakes and goes to sleep again.
                    let done = WaitGroup::new();
                    for i in 0..procs {
                        done.go(move || {
                            if i % 2 == 0 {
                                gort::sleep(Duration::from_micros(300));
                            }
                        });
                    }
                    done.wait();
                }
                let turn = AtomicUsize::new(0);
                gort::scope(|s| {
                    for me in 0..procs {
                        let turn = &turn;
                        s.go(move || {
                            for round in 0..TURNS {
                                while turn.load(Ordering::Acquire) != round * procs + me {
                                    spin_loop();
                                }
                                turn.fetch_add(1, Ordering::Release);
                            }
                        });
                    }
                });
                assert_eq!(turn.load(Ordering::Relaxed), procs * TURNS);
            });
        }
    }
}

/// TestSchedLocalQueue, TestSchedLocalQueueSteal: however many goroutines one of them starts, around the sizes of the
/// queue and of its half, each runs once.
#[gort::test(unsafe(migrate))]
fn every_goroutine_runs_once() {
    on_procs(|_| {
        for count in [1, 2, 3, 127, 128, 129, 255, 256, 257, 258, 384, 385, 513, 1000, 5000] {
            let runs: Vec<_> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            gort::scope(|s| {
                for run in &runs {
                    s.go(|| run.fetch_add(1, Ordering::Relaxed));
                }
            });
            assert!(runs.iter().all(|run| run.load(Ordering::Relaxed) == 1), "{count} goroutines");
        }
    });
}

/// TestSchedLocalQueueEmpty: a goroutine that is ready is never overlooked, by however many idle processors, while it
/// is moved from place to place: two processors hand one goroutine to and fro and fall asleep in between.
#[gort::test(unsafe(migrate))]
fn a_ready_goroutine_is_not_overlooked() {
    on_procs(|_| {
        let (there, back) = (Chan::new(0), Chan::new(0));
        gort::scope(|s| {
            s.go(|| {
                for i in &there.rx {
                    if i % 16 == 0 {
                        gort::gosched();
                    }
                    back.send(i);
                }
            });
            for i in 0..20_000_u32 {
                there.send(i);
                assert_eq!(back.take(), i);
                if i % 2000 == 0 {
                    gort::sleep(Duration::from_micros(100));
                }
            }
            there.close();
        });
    });
}

/// TestNumGoroutine: the count, the statistics and the dump agree once things have calmed down.
#[gort::test(unsafe(migrate))]
fn the_count_and_the_dump_agree() {
    fn headers() -> usize {
        runtime::dump().lines().filter(|line| line.starts_with("goroutine ") && line.ends_with("]:")).count()
    }
    on_procs(|_| {
        let gate = Chan::<()>::new(0);
        let done = WaitGroup::new();
        // Below a hundred, or else equal ones are grouped.
        for _ in 0..40 {
            let gate = gate.clone();
            done.go(move || assert!(gate.recv().is_err()));
        }
        let agree = || {
            let count = runtime::num_goroutine();
            count >= 41 && headers() == count && runtime::stats().goroutines == count
        };
        // What other tests left behind may still be ending.
        until("the count and the dump agree", agree);
        let before = runtime::num_goroutine();
        gate.close();
        done.wait();
        // Other tests may have begun meanwhile, hardly as many as ten.
        until("forty fewer", || runtime::num_goroutine() + 30 <= before);
    });
}

/// TestPingPongHog: two pairs of goroutines that hand their turn to and fro, one pair doing more per turn than the
/// other. Although one of a pair is always ready, it does not keep the processor to itself.
#[gort::test(unsafe(migrate))]
fn a_pair_does_not_keep_the_processor() {
    alone(1, || {
        // Each attempt adds to the evidence: that the light pair starves every time is no accident.
        let shares: Vec<f64> = (0..5).map(|_| share_of_the_light_pair()).collect();
        assert!(shares.iter().any(|share| *share > 0.01), "the light pair's shares of all turns: {shares:?}");
    });
}

fn share_of_the_light_pair() -> f64 {
    let over = Chan::<()>::new(0);
    let turns = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let pairs = WaitGroup::new();
    let wakes = [Chan::new(0), Chan::new(0)];
    for (i, wake) in wakes.iter().enumerate() {
        let work = [20_000, 20][i];
        for _ in 0..2 {
            let (over, wake, turns) = (over.clone(), wake.clone(), Arc::clone(&turns[i]));
            pairs.go(move || {
                loop {
                    gort::select! {
                        recv(over.rx) -> _ => return,
                        recv(wake.rx) -> _ => {
                            (0..work).for_each(|_| spin_loop());
                            turns.fetch_add(1, Ordering::Relaxed);
                            gort::select! {
                                send(wake.tx, ()) -> sent => sent.unwrap(),
                                recv(over.rx) -> _ => return,
                            }
                        }
                    }
                }
            });
        }
    }
    wakes.iter().for_each(|wake| wake.send(()));
    gort::sleep(Duration::from_millis(60));
    over.close();
    pairs.wait();
    let [hog, light] = turns.map(|turns| turns.load(Ordering::Relaxed) as f64);
    assert!(hog > 0.0, "the pair that works long does not run at all");
    light / (hog + light)
}

/// TestTimerFairness: a timer fires though two goroutines are always ready to send.
#[gort::test(unsafe(migrate))]
fn timers_fire_beside_goroutines_that_never_rest() {
    on_procs(|_| {
        let (busy, over) = (Chan::new(0), Chan::<()>::new(0));
        gort::scope(|s| {
            for _ in 0..2 {
                s.go(|| {
                    loop {
                        gort::select! {
                            send(busy.tx, true) -> sent => sent.unwrap(),
                            recv(over.rx) -> _ => return,
                        }
                    }
                });
            }
            let timer = gort::time::after(Duration::from_millis(20));
            loop {
                gort::select! {
                    recv(busy.rx) -> _ => (),
                    recv(timer) -> fired => { fired.unwrap(); break }
                }
            }
            over.close();
        });
    });
}

/// TestTimerFairness2: the same for each of two goroutines that wake one another for ever, with a call that blocks
/// strewn in.
#[gort::test(unsafe(migrate))]
fn timers_fire_for_goroutines_that_never_rest() {
    on_procs(|_| {
        let busy = Chan::new(0);
        gort::scope(|s| {
            for _ in 0..2 {
                s.go(|| {
                    let timer = gort::time::after(Duration::from_millis(20));
                    loop {
                        gort::blocking(|| ());
                        gort::select! {
                            send(busy.tx, ()) -> sent => sent.unwrap(),
                            recv(busy.rx) -> value => value.unwrap(),
                            recv(timer) -> fired => { fired.unwrap(); return }
                        }
                    }
                });
            }
        });
    });
}

/// golang/go#52934: a chain of goroutines of which each starts the next does not starve the others. (In Go it may.)
#[gort::test(unsafe(migrate))]
fn a_chain_of_new_goroutines_does_not_starve_others() {
    fn link(over: Arc<AtomicBool>) {
        if !over.load(Ordering::Relaxed) {
            gort::go!(link(over));
        }
    }
    on_procs(|procs| {
        let over = Arc::new(AtomicBool::new(false));
        (0..procs).for_each(|_| link(Arc::clone(&over)));
        let start = Instant::now();
        let other = gort::go(|| (0..100).for_each(|_| gort::gosched()));
        other.join().unwrap();
        over.store(true, Ordering::Relaxed);
        assert!(start.elapsed() < Duration::from_secs(60));
    });
}

/// TestGoroutineParallelism2, in the small: goroutines made ready by timers all at once spread over the processors.
#[gort::test(unsafe(migrate))]
fn woken_goroutines_spread() {
    alone(4, || {
        // Each spins until all four run at the same time; on one thread that would never end.
        let together = AtomicUsize::new(0);
        let when = Instant::now() + Duration::from_millis(5);
        gort::scope(|s| {
            for _ in 0..4 {
                s.go(|| {
                    gort::sleep(when.saturating_duration_since(Instant::now()));
                    together.fetch_add(1, Ordering::AcqRel);
                    while together.load(Ordering::Acquire) < 4 {
                        spin_loop();
                    }
                });
            }
        });
    });
}
