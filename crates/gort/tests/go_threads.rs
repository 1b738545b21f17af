//! Goroutines and OS threads: pinning, announced blocking, more stack, entering from many threads, waking from threads.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Not inlined, so that the thread is looked up anew after each park.
#[inline(never)]
fn here() -> ThreadId {
    thread::current().id()
}

fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
    // SAFETY: nothing here keeps a thread-local across a call that parks.
    unsafe { gort::run(main) }
}

/// Goroutines that make others move about.
fn traffic(over: gort::channel::Receiver<()>) {
    for _ in 0..20 {
        let over = over.clone();
        gort::go(move || {
            while over.try_recv().is_err_and(|error| error.is_empty()) {
                gort::sleep(Duration::from_micros(50));
                gort::gosched();
            }
        });
    }
}

#[gort::test(unsafe(migrate))]
fn a_pinned_goroutine_stays_and_is_alone_there() {
    let (over, rx) = gort::chan(0);
    traffic(rx);
    let handles: Vec<_> = (0..8)
        .map(|_| {
            gort::go(|| {
                gort::pin_thread(|| {
                    let thread = here();
                    for n in 0..50 {
                        match n % 3 {
                            0 => gort::sleep(Duration::from_micros(100)),
                            1 => gort::gosched(),
                            _ => gort::blocking(|| thread::sleep(Duration::from_micros(50))),
                        }
                        assert_eq!(here(), thread);
                    }
                    // Still pinned after an inner pin, until the outer ends.
                    gort::pin_thread(|| gort::sleep(Duration::from_micros(100)));
                    gort::sleep(Duration::from_micros(100));
                    assert_eq!(here(), thread);
                    gort::sleep(Duration::from_millis(1));
                    thread
                })
            })
        })
        .collect();
    let threads: Vec<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
    assert!(!threads.is_empty());
    drop(over);
}

#[gort::test(unsafe(migrate))]
fn goroutines_pinned_at_the_same_time_are_on_different_threads() {
    let barrier = Arc::new(gort::sync::Barrier::new(10));
    let handles: Vec<_> = (0..10)
        .map(|_| {
            let barrier = barrier.clone();
            gort::go(move || {
                gort::pin_thread(|| {
                    let thread = here();
                    barrier.wait();
                    assert_eq!(here(), thread);
                    barrier.wait();
                    thread
                })
            })
        })
        .collect();
    let threads: HashSet<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
    assert_eq!(threads.len(), 10);
}

#[gort::test(unsafe(migrate))]
fn unlocking_without_a_lock_is_nothing() {
    gort::unlock_os_thread();
    gort::lock_os_thread();
    gort::lock_os_thread();
    gort::unlock_os_thread();
    let thread = here();
    gort::sleep(Duration::from_millis(2));
    assert_eq!(here(), thread);
    gort::unlock_os_thread();
    gort::unlock_os_thread();
    gort::sleep(Duration::from_millis(1));
}

/// Says that its thread has ended.
struct AtThreadEnd(Arc<AtomicUsize>);

impl Drop for AtThreadEnd {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

thread_local! {
    static END: std::cell::RefCell<Vec<AtThreadEnd>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Counts the thread in `ends` when it ends, once.
#[inline(never)]
fn tell_of_thread_end(ends: &Arc<AtomicUsize>) {
    END.with(|end| {
        let mut end = end.borrow_mut();
        if !end.iter().any(|known| Arc::ptr_eq(&known.0, ends)) {
            end.push(AtThreadEnd(ends.clone()));
        }
    });
}

#[gort::test(unsafe(migrate))]
fn a_goroutine_that_ends_while_locked_takes_its_thread_with_it() {
    let ends = Arc::new(AtomicUsize::new(0));
    for n in 0..20 {
        let ends = ends.clone();
        let ended = gort::go(move || {
            gort::lock_os_thread();
            gort::sleep(Duration::from_micros(100));
            tell_of_thread_end(&ends);
            match n % 3 {
                0 => (),
                1 => gort::goexit(),
                _ => resume_unwind(Box::new("ends")),
            }
        })
        .join();
        assert_eq!(ended.is_ok(), n % 3 == 0);
    }
    let start = Instant::now();
    while ends.load(SeqCst) < 20 {
        assert!(start.elapsed() < Duration::from_secs(60), "{} threads ended", ends.load(SeqCst));
        gort::sleep(Duration::from_millis(1));
    }
}

#[gort::test(unsafe(migrate))]
fn a_pin_ends_with_a_panic_inside() {
    let caught = catch_unwind(|| gort::pin_thread(|| resume_unwind(Box::new("inside"))));
    assert!(caught.map(|never: std::convert::Infallible| match never {}).is_err());
    let ends = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let ends = ends.clone();
        let ended = gort::go(move || {
            let _ = catch_unwind(|| gort::pin_thread(|| resume_unwind(Box::new("inside"))) as ());
            tell_of_thread_end(&ends);
        });
        ended.join().unwrap();
    }
    gort::sleep(Duration::from_millis(5));
    // They were not locked any more: their threads live on, but for those that other tests end.
    assert!(ends.load(SeqCst) < 100, "{} threads ended", ends.load(SeqCst));
}

#[gort::test(unsafe(migrate))]
fn blocking_calls_overlap() {
    let start = Instant::now();
    gort::scope(|s| {
        for _ in 0..64 {
            s.go(|| gort::blocking(|| thread::sleep(Duration::from_secs(1))));
        }
    });
    // One after the other they would take 64 s.
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
}

#[gort::test(unsafe(migrate))]
fn blocking_gives_results_and_panics_and_nests() {
    assert_eq!(gort::blocking(|| 3), 3);
    let nested = gort::blocking(|| {
        thread::sleep(Duration::from_micros(200));
        gort::blocking(|| {
            thread::sleep(Duration::from_micros(200));
            4
        })
    });
    assert_eq!(nested, 4);
    for _ in 0..100 {
        let caught = catch_unwind(|| gort::blocking(|| resume_unwind(Box::new("blocked"))));
        let caught: Result<(), _> = caught;
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"blocked"));
        gort::gosched();
    }
}

#[gort::test(unsafe(migrate))]
fn everything_may_be_done_inside_blocking() {
    gort::scope(|s| {
        for n in 0..40 {
            s.go(move || {
                gort::blocking(|| {
                    let (tx, rx) = gort::chan(0);
                    let child = gort::go(move || tx.send(n).unwrap());
                    assert_eq!(rx.recv(), Ok(n));
                    gort::sleep(Duration::from_micros(100));
                    child.join().unwrap();
                    gort::gosched();
                    thread::sleep(Duration::from_micros(50));
                    gort::scope(|s| drop(s.go(|| ())));
                });
            });
        }
    });
}

#[test]
fn blocking_on_a_plain_thread_is_a_call() {
    assert_eq!(gort::blocking(here), here());
    gort::pin_thread(|| ());
}

fn depth(n: u64, each: &dyn Fn(u64)) -> u64 {
    gort::maybe_grow(32 * 1024, 256 * 1024, || {
        let frame = std::hint::black_box([n; 64]);
        each(n);
        let below = if n == 0 { 0 } else { 1 + depth(n - 1, each) };
        below + frame[std::hint::black_box(0)] - n
    })
}

#[gort::test(unsafe(migrate))]
fn recursion_goes_on_on_further_stack() {
    let handles: Vec<_> = (0..8)
        .map(|_| {
            gort::go(|| {
                depth(5_000, &|n| {
                    if n % 100 == 0 {
                        gort::sleep(Duration::from_micros(20));
                    }
                })
            })
        })
        .collect();
    for handle in handles {
        assert_eq!(handle.join().unwrap(), 5_000);
    }
    // With blocking and yields inside.
    let found = depth(2_000, &|n| {
        if n % 250 == 0 {
            gort::blocking(|| thread::sleep(Duration::from_micros(10)));
            gort::gosched();
        }
    });
    assert_eq!(found, 2_000);
}

#[gort::test(unsafe(migrate))]
fn panics_and_goexit_cross_segments() {
    for _ in 0..20 {
        let caught = catch_unwind(|| {
            depth(3_000, &|n| {
                if n == 7 {
                    resume_unwind(Box::new("deep"))
                }
            })
        });
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"deep"));
        let ended = gort::go(|| {
            depth(3_000, &|n| {
                if n == 7 {
                    gort::goexit()
                }
            })
        })
        .join();
        assert!(ended.unwrap_err().is::<gort::Goexit>());
    }
}

#[gort::test(unsafe(migrate))]
fn a_segment_of_a_wrong_size_is_refused_only_if_it_is_needed() {
    assert_eq!(gort::maybe_grow(0, 1, || 5), 5);
    let refused = catch_unwind(|| gort::maybe_grow(usize::MAX, 1, || 5));
    let words = refused.unwrap_err().downcast_ref::<String>().unwrap().clone();
    assert!(
        words.starts_with("gort: maybe_grow: no further stack can be had: gort: stack size out of range: 1 ")
    );
}

#[test]
fn a_plain_thread_grows_as_well() {
    run(|| ());
    let thread = thread::Builder::new().stack_size(256 * 1024).spawn(|| depth(5_000, &|_| ()));
    assert_eq!(thread.unwrap().join().unwrap(), 5_000);
    let thread = thread::spawn(|| {
        depth(1_000, &|n| {
            if n % 200 == 0 {
                // Waits inside a segment of a plain thread.
                let (tx, rx) = gort::chan(0);
                gort::go(move || tx.send(n));
                assert_eq!(rx.recv(), Ok(n));
            }
        })
    });
    assert_eq!(thread.join().unwrap(), 1_000);
    let thread = thread::spawn(|| {
        depth(1_000, &|n| {
            if n == 3 {
                resume_unwind(Box::new("deep"))
            }
        })
    });
    assert_eq!(thread.join().unwrap_err().downcast_ref(), Some(&"deep"));
}

/// How often the stack changes on the way down.
fn changes_of_stack(levels: u64) -> usize {
    let (last, changes) = (Cell::new(0), Cell::new(0));
    depth(levels, &|_| {
        let here = 0u8;
        let here = std::ptr::from_ref(&here).addr();
        if here.abs_diff(last.replace(here)) > 16 * 1024 {
            changes.set(changes.get() + 1);
        }
    });
    changes.get()
}

/// On a segment, too, a thread knows how much is left of it: it neither takes another at every level nor runs out of this.
#[test]
fn a_plain_thread_uses_its_segments_up() {
    run(|| ());
    let on_goroutine = run(|| gort::go(|| changes_of_stack(5_000)).join().unwrap());
    let on_thread = thread::Builder::new().stack_size(256 * 1024).spawn(|| changes_of_stack(5_000));
    let on_thread = on_thread.unwrap().join().unwrap();
    assert!((2..500).contains(&on_goroutine), "{on_goroutine}");
    assert!(on_thread.abs_diff(on_goroutine) <= 3, "{on_thread} on a thread, {on_goroutine} on a goroutine");
}

#[test]
fn many_threads_run_at_once() {
    let threads: Vec<_> = (0..16u64)
        .map(|n| {
            thread::spawn(move || {
                (0..50u64)
                    .map(|m| {
                        run(move || {
                            let handle = gort::go(move || n * m);
                            gort::gosched();
                            handle.join().unwrap()
                        })
                    })
                    .sum::<u64>()
            })
        })
        .collect();
    for (n, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap(), n as u64 * 49 * 25);
    }
}

#[gort::test(unsafe(migrate))]
fn runs_nest() {
    let outer = gort::runtime::goroutine_id();
    let inner = run(move || {
        let mine = gort::runtime::goroutine_id();
        assert_ne!(mine, outer);
        run(move || (gort::runtime::goroutine_id() != mine, 6))
    });
    assert_eq!(inner, (true, 6));
    let caught = catch_unwind(|| run(|| resume_unwind(Box::new("from inside"))));
    let caught: Result<(), _> = caught;
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"from inside"));
}

#[test]
fn a_plain_thread_starts_goroutines_once_there_is_a_runtime() {
    run(|| ());
    let handles: Vec<_> = (0..1000u64).map(|n| gort::go(move || n)).collect();
    let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
    assert_eq!(sum, 999 * 500);
    let (tx, rx) = gort::chan(1);
    gort::go!(tx.send(1).unwrap());
    assert_eq!(rx.recv(), Ok(1));
}

#[test]
fn threads_and_goroutines_exchange_messages_at_speed() {
    const EACH: u64 = 5_000;
    for capacity in [0, 1, 64] {
        let (tx, rx) = gort::chan(capacity);
        let (back, came_back) = gort::chan(capacity);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let tx = tx.clone();
                thread::spawn(move || (0..EACH).for_each(|n| tx.send(n).unwrap()))
            })
            .collect();
        drop(tx);
        let relay = thread::spawn(move || {
            run(move || {
                gort::scope(|s| {
                    for _ in 0..8 {
                        s.go(|| rx.iter().for_each(|n| back.send(n).unwrap()));
                    }
                });
            })
        });
        let sum: u64 = came_back.iter().sum();
        assert_eq!(sum, 4 * EACH * (EACH - 1) / 2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        relay.join().unwrap();
    }
}

/// Waits while it unwinds, and finds everything as it was.
struct WaitsInDrop {
    rx: gort::channel::Receiver<u32>,
    thread: ThreadId,
    done: Arc<AtomicUsize>,
}

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        assert!(thread::panicking());
        let thread = here();
        assert_eq!(self.rx.recv(), Ok(1));
        assert!(thread::panicking());
        gort::sleep(Duration::from_micros(300));
        gort::gosched();
        // A goroutine that unwinds stays on its thread: std counts panics per thread.
        assert_eq!(here(), thread);
        assert!(thread::panicking());
        // A panic beside the one on the way, caught in the same place.
        let caught = catch_unwind(AssertUnwindSafe(|| resume_unwind(Box::new(()))));
        let caught: Result<(), _> = caught;
        assert!(caught.is_err());
        let _ = self.thread;
        self.done.fetch_add(1, SeqCst);
    }
}

/// A panic without a message: the hook prints none for `resume_unwind`, but std counts it the same way.
#[gort::test(unsafe(migrate))]
fn destructors_wait_while_their_goroutine_unwinds() {
    let before = gort::runtime::gomaxprocs(0);
    for procs in 1..=4 {
        gort::runtime::gomaxprocs(procs);
        let done = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = gort::chan(0);
        let handles: Vec<_> = (0..300)
            .map(|n| {
                let (rx, done) = (rx.clone(), done.clone());
                gort::go(move || -> () {
                    let _waits = WaitsInDrop { rx, thread: here(), done };
                    resume_unwind(Box::new(n))
                })
            })
            .collect();
        // Beside them goroutines that do not panic, and must not seem to.
        let calm: Vec<_> = (0..100)
            .map(|_| {
                gort::go(|| {
                    for _ in 0..20 {
                        assert!(!thread::panicking());
                        gort::gosched();
                    }
                })
            })
            .collect();
        (0..300).for_each(|_| tx.send(1).unwrap());
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap_err().downcast_ref(), Some(&(n as i32)));
        }
        calm.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(done.load(SeqCst), 300);
        assert!(!thread::panicking());
    }
    gort::runtime::gomaxprocs(before);
}
