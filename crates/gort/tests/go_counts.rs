//! Counting goroutines exactly, which takes a process of its own: a single test.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gort::Builder;
use gort::channel::Sender;
use gort::runtime::{dump, num_goroutine, set_max_stack, stats};

fn headers(dump: &str) -> usize {
    dump.lines().filter(|line| line.starts_with("goroutine ") && line.ends_with("]:")).count()
}

/// The last steps of a goroutine come after its join returned.
#[track_caller]
fn becomes(count: usize) {
    let start = Instant::now();
    while num_goroutine() != count {
        assert!(start.elapsed() < Duration::from_secs(60), "{} and not {count}", num_goroutine());
        gort::gosched();
    }
}

#[gort::test(unsafe(migrate))]
fn goroutines_are_counted() {
    assert_eq!(num_goroutine(), 1);
    assert_eq!(gort::runtime::goroutine_id().unwrap().as_u64(), 1);
    let (stop, stopped) = gort::chan::<()>(0);
    let mut handles = Vec::new();
    for n in 0..30 {
        let stopped = stopped.clone();
        handles.push(gort::go(move || stopped.recv()));
        assert_eq!(num_goroutine(), n + 2);
    }
    assert_eq!(headers(&dump()), 31);
    // In every state: not started, waiting, asleep, in a blocking call, yielding.
    let over = Arc::new(AtomicBool::new(false));
    let [sleeps, blocks] = [over.clone(), over.clone()];
    let sleeper = gort::go(move || {
        while !sleeps.load(SeqCst) {
            gort::sleep(Duration::from_millis(20));
        }
    });
    let blocked = gort::go(move || {
        gort::blocking(|| {
            while !blocks.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    });
    let fresh = gort::go(|| ());
    assert!((33..=34).contains(&num_goroutine()), "{}", num_goroutine());
    fresh.join().unwrap();
    becomes(33);
    assert_eq!(stats().goroutines, 33);
    over.store(true, SeqCst);
    sleeper.join().unwrap();
    blocked.join().unwrap();
    becomes(31);
    drop(stop);
    handles.into_iter().for_each(|handle| assert!(handle.join().unwrap().is_err()));
    becomes(1);
    // Started and ended by threads and on other processors.
    let from_thread = std::thread::spawn(|| {
        let handles: Vec<_> = (0..500).map(|_| gort::go(gort::gosched)).collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
    gort::blocking(|| from_thread.join().unwrap());
    becomes(1);
    for round in 0..5 {
        gort::scope(|s| {
            for _ in 0..1000 {
                s.go(|| {
                    s.go(gort::gosched);
                });
            }
        });
        becomes(1);
        assert_eq!(headers(&dump()), 1, "round {round}");
    }
    refuses_stacks_above_the_limit();
    becomes(1);
    results_nobody_takes_are_dropped_by_who_still_counts();
    becomes(1);
}

/// And has its locals.
fn results_nobody_takes_are_dropped_by_who_still_counts() {
    gort::local! {
        static KEPT: Cell<u32> = const { Cell::new(0) };
    }
    struct Looks(Sender<u32>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.send(KEPT.get()).unwrap(); // twice: waits here for main
            self.0.send(KEPT.get()).unwrap();
        }
    }
    let (go_on, wait) = gort::chan::<()>(0);
    let (tell, told) = gort::chan(0);
    drop(gort::go(move || {
        let _ = wait.recv();
        KEPT.set(5);
        Looks(tell)
    }));
    go_on.close();
    assert_eq!(told.recv(), Ok(5));
    assert_eq!(num_goroutine(), 2);
    assert_eq!(headers(&dump()), 2);
    assert_eq!(told.recv(), Ok(5));
}

fn refuses_stacks_above_the_limit() {
    assert_eq!(set_max_stack(1 << 20), usize::MAX);
    assert!(Builder::new().stack_size(1 << 20).go(|| ()).is_ok());
    let error = Builder::new().stack_size((1 << 20) + 1).go(|| ()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "gort: stack size out of range: 1048577 bytes asked for, set_max_stack allows 1048576"
    );
    // The limit is for what a builder asks for: the runtime can still be entered.
    // SAFETY: nothing there keeps a thread-local across a park.
    assert_eq!(unsafe { gort::run(|| 7) }, 7);
    assert_eq!(set_max_stack(usize::MAX), 1 << 20);
    assert!(Builder::new().stack_size(2 << 20).go(|| ()).is_ok());
}
