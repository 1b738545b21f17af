//! Starting, joining, naming and ending goroutines, as a program sees it.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gort::runtime::{GoroutineId, goroutine_id};
use gort::{Builder, Goexit};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

struct DropPanics;

impl Drop for DropPanics {
    fn drop(&mut self) {
        resume_unwind(Box::new("from a drop"));
    }
}

fn soon(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(60), "does not come true");
        gort::sleep(Duration::from_micros(200));
    }
}

#[gort::test(unsafe(migrate))]
fn a_result_comes_back_once_and_is_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let value = Counted(drops.clone());
    let back = gort::go(move || value).join().unwrap();
    assert_eq!(drops.load(SeqCst), 0);
    drop(back);
    assert_eq!(drops.load(SeqCst), 1);
}

#[gort::test(unsafe(migrate))]
fn a_detached_goroutine_s_result_is_dropped() {
    let drops = Arc::new(AtomicUsize::new(0));
    for n in 0..200 {
        let value = Counted(drops.clone());
        let handle = gort::go(move || value);
        match n % 3 {
            0 => drop(handle),
            1 => {
                soon(|| handle.is_finished());
                drop(handle);
            }
            _ => {
                gort::gosched();
                drop(handle);
            }
        }
    }
    soon(|| drops.load(SeqCst) == 200);
}

#[gort::test(unsafe(migrate))]
fn what_a_goroutine_captured_is_dropped_before_its_join_returns() {
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..200 {
        let captured = Counted(drops.clone());
        let before = drops.load(SeqCst);
        gort::go(move || drop(captured)).join().unwrap();
        assert_eq!(drops.load(SeqCst), before + 1);
    }
}

#[gort::test(unsafe(migrate))]
fn large_captures_and_results_arrive_whole() {
    let large: [u64; 500] = std::array::from_fn(|n| n as u64);
    let back = gort::go(move || large.map(|n| n + 1)).join().unwrap();
    assert!(back.iter().enumerate().all(|(n, &word)| word == n as u64 + 1));
    #[repr(align(256))]
    struct Aligned(u8);
    let aligned = Aligned(7);
    let addr = gort::go(move || (std::ptr::from_ref(&aligned).addr() % 256, aligned.0)).join().unwrap();
    assert_eq!(addr, (0, 7));
}

#[gort::test(unsafe(migrate))]
fn is_finished_turns_true_and_join_then_returns_at_once() {
    let (tx, rx) = gort::chan::<()>(0);
    let handle = gort::go(move || rx.recv().is_err());
    gort::gosched();
    assert!(!handle.is_finished());
    drop(tx);
    soon(|| handle.is_finished());
    assert!(handle.join().unwrap());
}

#[gort::test(unsafe(migrate))]
fn names_are_the_handle_s_and_optional() {
    let plain = gort::go(|| ());
    assert_eq!(plain.name(), None);
    let long = "a name of many more bytes than a dump shows, with \u{fc}ml\u{e4}uts and a \" quote";
    let named = Builder::new().name(long).go(goroutine_id).unwrap();
    assert_eq!(named.name(), Some(long));
    assert!(format!("{named:?}").contains("umlauts") || format!("{named:?}").contains("ml"));
    let id = named.id();
    assert_eq!(named.join().unwrap(), Some(id));
    plain.join().unwrap();
    assert_eq!(Builder::new().name("").go(|| ()).unwrap().name(), Some(""));
}

#[gort::test(unsafe(migrate))]
fn the_statement_takes_expressions_blocks_and_captures() {
    let (tx, rx) = gort::chan(0);
    for n in 0..3 {
        let tx = tx.clone();
        gort::go!(tx.send(n).unwrap());
    }
    let base = 10;
    let tx2 = tx.clone();
    gort::go! {
        for n in 0..3 {
            tx2.send(base + n).unwrap();
        }
    }
    drop(tx);
    let mut got: Vec<i32> = rx.iter().collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 10, 11, 12]);
}

#[gort::test(unsafe(migrate))]
fn ids_are_unique_and_those_of_one_parent_are_told_apart() {
    let ids = |count: usize| -> Vec<GoroutineId> {
        let handles: Vec<_> = (0..count).map(|_| gort::go(goroutine_id)).collect();
        handles
            .into_iter()
            .map(|handle| {
                let id = handle.id();
                assert_eq!(handle.join().unwrap(), Some(id));
                id
            })
            .collect()
    };
    let parents: Vec<_> = (0..20).map(|_| gort::go(move || ids(100))).collect();
    let all: Vec<_> = parents.into_iter().flat_map(|parent| parent.join().unwrap()).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 2000);
    assert!(all.iter().all(|id| id.as_u64() > 0 && Some(*id) != goroutine_id()));
}

#[gort::test(unsafe(migrate))]
fn a_panic_s_payload_comes_to_the_joiner() {
    let payload = gort::go(|| -> () { panic!("plain") }).join().unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"plain"));
    let payload = gort::go(|| -> () { panic!("with {}", std::process::id()) }).join().unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&format!("with {}", std::process::id())));
    let payload = gort::go(|| -> () { panic_any(17u64) }).join().unwrap_err();
    assert_eq!(payload.downcast_ref::<u64>(), Some(&17));
    let payload = gort::go(|| -> () { resume_unwind(Box::new("quiet")) }).join().unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"quiet"));
}

#[gort::test(unsafe(migrate))]
fn a_payload_whose_drop_panics_harms_nobody() {
    drop(gort::go(|| -> () { resume_unwind(Box::new(DropPanics)) }));
    let done = gort::go(|| -> () { resume_unwind(Box::new(DropPanics)) });
    soon(|| done.is_finished());
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(done)));
    assert!(dropped.is_ok());
    assert_eq!(gort::go(|| 1).join().unwrap(), 1);
}

#[gort::test(unsafe(migrate))]
fn a_result_that_nobody_takes_and_whose_drop_panics_harms_nobody() {
    drop(gort::go(|| DropPanics));
    let done = gort::go(|| DropPanics);
    soon(|| done.is_finished());
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(done)));
    assert!(dropped.is_ok());
    let scoped = catch_unwind(|| {
        gort::scope(|s| {
            s.go(|| DropPanics);
        });
    });
    assert_eq!(scoped.unwrap_err().downcast_ref(), Some(&"from a drop"));
    assert_eq!(gort::go(|| 1).join().unwrap(), 1);
}

#[gort::test(unsafe(migrate))]
fn goexit_ends_the_goroutine_alone_and_runs_its_destructors() {
    let drops = Arc::new(AtomicUsize::new(0));
    let past = Arc::new(AtomicBool::new(false));
    let (counted, reached) = (drops.clone(), past.clone());
    let ended = gort::go(move || {
        let _outer = Counted(counted.clone());
        fn inner(counted: &Arc<AtomicUsize>) {
            let _inner = Counted(counted.clone());
            gort::goexit();
        }
        inner(&counted);
        reached.store(true, SeqCst);
    })
    .join();
    assert!(ended.unwrap_err().is::<Goexit>());
    assert_eq!(drops.load(SeqCst), 2);
    assert!(!past.load(SeqCst));
    assert_eq!(Goexit.to_string(), "the goroutine ended by goexit");
}

#[gort::test(unsafe(migrate))]
fn goexit_passes_a_catch_that_passes_it_on() {
    let seen = Arc::new(AtomicUsize::new(0));
    let seen2 = seen.clone();
    let ended = gort::go(move || {
        let caught = catch_unwind(|| gort::goexit());
        let payload = caught.map(|never: std::convert::Infallible| match never {}).unwrap_err();
        assert!(payload.is::<Goexit>());
        seen2.fetch_add(1, SeqCst);
        resume_unwind(payload)
    })
    .join();
    let ended: Result<(), _> = ended;
    assert!(ended.unwrap_err().is::<Goexit>());
    assert_eq!(seen.load(SeqCst), 1);
}

#[gort::test(unsafe(migrate))]
fn destructors_that_goexit_runs_may_wait() {
    struct Tells(gort::channel::Sender<&'static str>);
    impl Drop for Tells {
        fn drop(&mut self) {
            gort::sleep(Duration::from_millis(1));
            self.0.send("still here").unwrap();
        }
    }
    let (tx, rx) = gort::chan(0);
    let handle = gort::go(move || -> () {
        let _tells = Tells(tx);
        gort::goexit()
    });
    assert_eq!(rx.recv(), Ok("still here"));
    assert!(handle.join().unwrap_err().is::<Goexit>());
}

#[gort::test(unsafe(migrate))]
fn stack_sizes_out_of_range_are_refused_in_words() {
    for bytes in [0, 1, 65_535, (1 << 30) + 1, usize::MAX] {
        let error = Builder::new().stack_size(bytes).go(|| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            format!(
                "gort: stack size out of range: {bytes} bytes asked for, \
                 between 65536 (64 KiB) and 1073741824 (1 GiB) can be had"
            )
        );
    }
}

#[inline(never)]
fn use_stack(bytes: usize, start: usize) -> usize {
    let frame = std::hint::black_box([1u8; 512]);
    let used = start.abs_diff(frame.as_ptr().addr());
    if used >= bytes {
        return used;
    }
    use_stack(bytes, start).max(usize::from(frame[std::hint::black_box(3)]))
}

#[gort::test(unsafe(migrate))]
fn stacks_are_as_large_as_asked_for() {
    let mut bytes = 64 << 10;
    while bytes <= 1 << 30 {
        let handle = Builder::new().stack_size(bytes).go(move || {
            let here = 0u8;
            // The guard and the records at its ends take some 20 KiB of it.
            use_stack((bytes - (24 << 10)).min(16 << 20), std::ptr::from_ref(&here).addr())
        });
        assert!(handle.unwrap().join().unwrap() >= (bytes - (24 << 10)).min(16 << 20));
        bytes *= 4;
    }
    assert!(Builder::new().stack_size(65_537).go(|| ()).unwrap().join().is_ok());
}

#[gort::test(unsafe(migrate))]
fn sleeps_end_in_order_and_a_zero_sleep_ends_at_once() {
    gort::sleep(Duration::ZERO);
    let order = |unit: Duration| {
        let start = Instant::now();
        let (tx, rx) = gort::chan(10);
        for n in [4, 1, 3, 0, 2] {
            let tx = tx.clone();
            gort::go(move || {
                gort::sleep(n * unit);
                assert!(start.elapsed() >= n * unit);
                tx.send(n).unwrap();
            });
        }
        drop(tx);
        rx.iter().collect::<Vec<_>>()
    };
    // On a busy machine the steps have to be longer to be told apart.
    let mut units = [60, 240, 1000, 4000].map(Duration::from_millis).into_iter();
    assert!(units.any(|unit| order(unit) == [0, 1, 2, 3, 4]));
}

#[gort::test(unsafe(migrate))]
fn a_sleep_of_all_time_does_not_end() {
    let handle = gort::go(|| gort::sleep(Duration::MAX));
    gort::sleep(Duration::from_millis(20));
    assert!(!handle.is_finished());
}

gort::local! {
    static AT_END: std::cell::RefCell<Option<Counted>> = std::cell::RefCell::new(None);
}

#[gort::test(unsafe(migrate))]
fn locals_end_before_the_join_returns_however_the_goroutine_ends() {
    for n in 0..300 {
        let drops = Arc::new(AtomicUsize::new(0));
        let counted = Counted(drops.clone());
        let ended = gort::go(move || {
            AT_END.with(|local| *local.borrow_mut() = Some(counted));
            match n % 3 {
                0 => (),
                1 => gort::goexit(),
                _ => resume_unwind(Box::new(())),
            }
        })
        .join();
        assert_eq!(ended.is_ok(), n % 3 == 0);
        assert_eq!(drops.load(SeqCst), 1);
    }
}

#[gort::test(unsafe(migrate))]
fn handles_may_be_joined_elsewhere() {
    let (tx, rx) = gort::chan(0);
    let handle = gort::go(move || rx.recv().unwrap());
    let joiner = std::thread::spawn(move || handle.join().unwrap());
    gort::sleep(Duration::from_millis(2));
    tx.send(5).unwrap();
    assert_eq!(gort::blocking(|| joiner.join().unwrap()), 5);
    let handle = gort::go(|| 6);
    assert_eq!(gort::go(move || handle.join().unwrap()).join().unwrap(), 6);
}
