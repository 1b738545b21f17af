//! Goroutines that compute without end and never call the runtime: everybody else goes on. There are two for each
//! processor, so that there is no moment without.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use super::tools::{Hogs, MS, bounded, compute, preemptions, procs, wait_for_preemptions, wait_until};
use super::{argument, enter, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("hog-ticker", ticker),
    ("hog-ping-pong", ping_pong),
    ("hog-spawn", spawn),
    ("hog-after-func", after_func),
    ("hog-gosched", gosched),
    ("hog-select", select),
    ("hog-gomaxprocs", gomaxprocs),
    ("hog-dump", dump),
    ("hog-main-returns", main_returns),
    ("hog-main-panics", main_panics),
    ("hog-no-deadlock", no_deadlock),
    ("hog-then-deadlock", then_deadlock),
    ("hog-fair", fair),
    ("hog-storm", storm),
    ("hog-quiet", quiet),
    ("hog-outside", outside),
    ("hog-heirs", heirs),
    ("hog-switched-off", switched_off),
    ("poll-beside-others", polls),
];

/// Runs `others` beside two hogs for each processor.
fn beside_hogs(others: impl FnOnce() + Send + 'static) -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        hogs.wait_for_progress();
        others();
        // It was no pause of theirs.
        hogs.wait_for_progress();
        hogs.stop();
        say("ok");
    })
}

fn ticker() -> ExitCode {
    beside_hogs(|| {
        let ticker = gort::time::Ticker::new(2 * MS);
        for _ in 0..50 {
            ticker.c().recv().unwrap();
        }
        ticker.stop();
        assert_ne!(preemptions(), 0);
    })
}

fn ping_pong() -> ExitCode {
    beside_hogs(|| {
        let (ping, pinged) = gort::chan(0);
        let (pong, ponged) = gort::chan(0);
        gort::go(move || pinged.iter().for_each(|n: u32| pong.send(n + 1).unwrap()));
        for n in 0..300 {
            ping.send(n).unwrap();
            assert_eq!(ponged.recv(), Ok(n + 1));
        }
    })
}

fn spawn() -> ExitCode {
    beside_hogs(|| {
        for round in 0..50 {
            let handles: Vec<_> = (0..20).map(|n| gort::go(move || n + round)).collect();
            let sum: u32 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
            assert_eq!(sum, 190 + 20 * round);
        }
    })
}

fn after_func() -> ExitCode {
    beside_hogs(|| {
        let fired = Arc::new(AtomicU32::new(0));
        for n in 0..100 {
            let fired = fired.clone();
            drop(gort::time::after_func(n % 10 * MS, move || {
                fired.fetch_add(1, Ordering::Relaxed);
            }));
        }
        wait_until("all timers", || fired.load(Ordering::Relaxed) == 100);
    })
}

fn gosched() -> ExitCode {
    beside_hogs(|| (0..100).for_each(|_| gort::gosched()))
}

fn select() -> ExitCode {
    beside_hogs(|| {
        let (_tx, never) = gort::chan::<()>(0);
        for _ in 0..30 {
            gort::select! {
                recv(never) -> _ => unreachable!(),
                default(MS) => {}
            }
        }
    })
}

fn gomaxprocs() -> ExitCode {
    beside_hogs(|| {
        let before = procs();
        for n in (1..=8).chain((1..8).rev()).cycle().take(60) {
            gort::runtime::gomaxprocs(n);
            assert_eq!(procs(), n);
            gort::gosched();
        }
        gort::runtime::gomaxprocs(before);
    })
}

/// A loop with a name that is looked for in the dump.
#[inline(never)]
fn endless_loop_of_this_name(stop: &AtomicBool, rounds: &AtomicU64) -> u64 {
    while !stop.load(Ordering::Relaxed) {
        rounds.fetch_add(1, Ordering::Relaxed);
    }
    std::hint::black_box(7)
}

/// A hog that was stopped shows where: all but as many as run.
fn dump() -> ExitCode {
    bounded(|| {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let hogs: Vec<_> = (0..2 * procs())
            .map(|_| {
                let (stop, rounds) = (stop.clone(), rounds.clone());
                let hog = move || endless_loop_of_this_name(&stop, &rounds);
                gort::Builder::new().name("hog").go(hog).unwrap()
            })
            .collect();
        wait_for_preemptions(20);
        wait_until("a dump that shows a stopped hog", || {
            let dump = gort::runtime::dump();
            dump.split("\n\n").any(|one| {
                let frames: Vec<&str> = one.lines().filter(|line| !line.starts_with('\t')).collect();
                one.starts_with("goroutine ")
                    && one.contains(" [runnable")
                    && one.contains("\"name\": \"hog\"")
                    && frames.iter().skip(1).any(|frame| frame.contains("endless_loop_of_this_name"))
                    && frames.iter().any(|frame| frame.contains("closure"))
                    && one.contains("created by ")
            })
        });
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| assert_eq!(hog.join().unwrap(), 7));
        say("ok");
    })
}

fn main_returns() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(20 * procs());
        wait_for_preemptions(10);
        std::mem::forget(hogs);
        say("ok");
    })
}

fn main_panics() -> ExitCode {
    enter(|| {
        let hogs = Hogs::start(2 * procs());
        wait_for_preemptions(10);
        std::mem::forget(hogs);
        panic!("on purpose");
    })
}

/// All others wait for ever; but a hog runs, and could wake them.
fn no_deadlock() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(0);
        gort::go(move || {
            let began = Instant::now();
            while began.elapsed() < 300 * MS {
                std::hint::spin_loop();
            }
            tx.send("ok").unwrap();
        });
        say(rx.recv().unwrap());
    })
}

/// When the hogs have ended the others are in a deadlock, and that is told.
fn then_deadlock() -> ExitCode {
    enter(|| {
        let hogs: Vec<_> = (0..2 * procs()).map(|_| gort::go(|| super::tools::compute(100_000))).collect();
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
        say("hogs have ended");
        let (_tx, rx) = gort::chan::<()>(0);
        rx.recv().unwrap();
    })
}

/// Two for each processor: within a while in which nothing disturbs, all get about the same.
fn fair() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(2 * procs());
        // The busier the machine, the longer until all have had some slices.
        let mut time = 250 * MS;
        loop {
            let before = hogs.counts();
            gort::sleep(time);
            let got: Vec<u64> = hogs.counts().iter().zip(before).map(|(now, old)| now - old).collect();
            if got.iter().max() <= got.iter().min().map(|least| least * 3).as_ref() {
                break;
            }
            time = 2 * time;
            assert!(time < 60_000 * MS, "{got:?}");
        }
        hogs.stop();
        say("ok");
    })
}

/// Very many; all come to something, and a ticker beside them.
fn storm() -> ExitCode {
    bounded(|| {
        let hogs = Hogs::start(200);
        let ticks = Arc::new(AtomicU32::new(0));
        gort::go({
            let ticks = ticks.clone();
            move || {
                loop {
                    gort::sleep(MS);
                    ticks.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        hogs.wait_for_progress();
        wait_until("ticks", || ticks.load(Ordering::Relaxed) > 100);
        hogs.stop();
        say("ok");
    })
}

/// A hog in nobody's way is left alone.
fn quiet() -> ExitCode {
    bounded(|| {
        // On as many processors as there are hogs, and one for main's sleep.
        gort::runtime::gomaxprocs(3);
        let hogs = Hogs::start(2);
        hogs.wait_for_progress();
        // On a busy machine such a while may be a long one.
        let times = || {
            let before = preemptions();
            gort::sleep(300 * MS);
            preemptions() - before
        };
        // A few are asked when main's timer is due.
        assert!((0..20).any(|_| times() < 20), "it is asked all the time");
        hogs.stop();
        say("ok");
    })
}

/// Threads of the program's own, which are no goroutines, are served beside hogs as well.
fn outside() -> ExitCode {
    beside_hogs(|| {
        let (tx, rx) = gort::chan(0);
        let (back_tx, back) = gort::chan(0);
        let thread = std::thread::spawn(move || {
            for n in 0..100 {
                tx.send(n).unwrap();
                assert_eq!(back.recv(), Ok(n));
            }
            // SAFETY: nothing here keeps a thread-local across a call that parks.
            unsafe { gort::run(|| gort::go(|| 5).join().unwrap()) }
        });
        for n in &rx {
            back_tx.send(n).unwrap();
        }
        assert_eq!(gort::blocking(|| thread.join().unwrap()), 5);
    })
}

/// Without preemption by signals: a loop that never comes to a checkpoint is not stopped, one that does is.
fn switched_off() -> ExitCode {
    let what = argument();
    enter(move || {
        let (stop, computes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let others_ran = Arc::new(AtomicBool::new(false));
        // Without checkpoints the loop would go on for ever.
        let patience = if what == "nothing" { 500 * MS } else { 30_000 * MS };
        let began = Instant::now();
        gort::go({
            let (stop, computes, others_ran) = (stop.clone(), computes.clone(), others_ran.clone());
            move || {
                while !computes.load(Ordering::Relaxed) {
                    gort::sleep(MS);
                }
                others_ran.store(true, Ordering::Relaxed);
                stop.store(true, Ordering::Relaxed);
            }
        });
        gort::gosched();
        let (tx, rx) = gort::chan(1);
        let mut look = gort::channel::Select::new();
        look.recv(&rx);
        // From here on: before, the other one may have had its turn at any time.
        computes.store(true, Ordering::Relaxed);
        while !stop.load(Ordering::Relaxed) && began.elapsed() < patience {
            match what.as_str() {
                "channels" => {
                    tx.send(()).unwrap();
                    rx.recv().unwrap();
                }
                "looks" => assert!(look.try_ready().is_err()),
                _ => {}
            }
        }
        say(if others_ran.load(Ordering::Relaxed) { "others ran" } else { "nobody else ran" });
        assert!(std::env::var_os("GORT_DEBUG").is_none() || preemptions() == 0);
    })
}

/// Polls a future when it is asked to yield, and counts how often others ran meanwhile.
fn polls() -> ExitCode {
    bounded(|| {
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let other = gort::go({
            let (stop, turns) = (stop.clone(), turns.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    turns.fetch_add(1, Ordering::Relaxed);
                    gort::gosched();
                }
            }
        });
        let mut ran_meanwhile = 0;
        for _ in 0..20 {
            gort::gosched();
            let late = gort::time::after(3_600_000 * MS);
            let mut next = std::pin::pin!(late.recv_async());
            let began = Instant::now();
            while began.elapsed() < 30 * MS {}
            let before = turns.load(Ordering::Relaxed);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(next.as_mut().poll(&mut context).is_pending());
            ran_meanwhile += u32::from(turns.load(Ordering::Relaxed) != before);
        }
        stop.store(true, Ordering::Relaxed);
        other.join().unwrap();
        // The thread may have had to wait for a lock.
        assert!(ran_meanwhile < 10, "{ran_meanwhile} of 20 times");
        say("ok");
    })
}

/// What the kernel is told of a thread that computes is not passed on to the threads that it starts.
fn heirs() -> ExitCode {
    let usual = std::thread::spawn(manners).join().unwrap();
    beside_hogs(move || {
        let computes = gort::go(move || {
            let preempted = preemptions() + 20;
            while preemptions() < preempted {
                compute(5000);
            }
            assert_eq!(std::thread::spawn(manners).join().unwrap(), usual);
            assert_eq!(manners().0, usual.0, "the policy while it runs");
        });
        while !computes.is_finished() {
            gort::sleep(MS);
        }
        computes.join().unwrap();
    })
}

/// The calling thread's policy, and its turn in nanoseconds.
fn manners() -> (u32, u64) {
    // The kernel's struct sched_attr: the policy is the second word of 32 bits, the turn the fourth of 64.
    let mut attributes = [0_u64; 6];
    let size = size_of_val(&attributes);
    // SAFETY: fills a struct of that size.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), size, 0) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    ((attributes[0] >> 32) as u32, attributes[3])
}
