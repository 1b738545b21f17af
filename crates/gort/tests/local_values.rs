//! Goroutine-local values, on plain OS threads: lazy, one set for each, destroyed at the end by std's rules.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Runs `f` on a fresh stack of its own and waits for its end, destructors of its locals included.
fn in_fresh<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(f).join().expect("the body does not panic")
}

#[test]
fn a_value_is_made_at_its_first_use_and_once() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    gort::local! {
        static VALUE: usize = MADE.fetch_add(1, Ordering::Relaxed);
    }
    in_fresh(|| {
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        assert_eq!(VALUE.with(|v| *v), 0);
        assert_eq!(VALUE.with(|v| *v), 0);
    });
    assert_eq!(in_fresh(|| VALUE.with(|v| *v)), 1);
    assert_eq!(MADE.load(Ordering::Relaxed), 2);
}

#[test]
fn each_has_its_own() {
    gort::local! { static SUM: Cell<u64> = const { Cell::new(0) }; }
    let workers: Vec<_> = (1..=4u64)
        .map(|n| {
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    SUM.set(SUM.get() + n);
                    std::thread::yield_now();
                }
                SUM.get()
            })
        })
        .collect();
    let sums: Vec<u64> = workers.into_iter().map(|w| w.join().unwrap()).collect();
    assert_eq!(sums, [1000, 2000, 3000, 4000]);
    assert_eq!(SUM.get(), 0);
}

#[test]
fn cells_and_refcells_have_the_calls_of_std() {
    gort::local! {
        static CELL: Cell<i32> = Cell::new(1);
        static LIST: RefCell<Vec<i32>> = RefCell::new(vec![1]);
    }
    in_fresh(|| {
        assert_eq!(CELL.replace(5), 1);
        assert_eq!(CELL.take(), 5);
        assert_eq!(CELL.get(), 0);
        LIST.with_borrow_mut(|list| list.push(2));
        assert_eq!(LIST.with_borrow(|list| list.len()), 2);
        assert_eq!(LIST.replace(vec![9]), [1, 2]);
        assert_eq!(LIST.take(), [9]);
        LIST.set(vec![3, 3]);
        assert_eq!(LIST.with_borrow(Vec::clone), [3, 3]);
    });
}

#[test]
fn set_does_not_run_the_initialiser() {
    gort::local! {
        static CELL: Cell<i32> = panic!("not needed");
        static LIST: RefCell<Vec<i32>> = panic!("not needed");
    }
    in_fresh(|| {
        CELL.set(3);
        CELL.set(4);
        LIST.set(vec![1]);
        assert_eq!(CELL.get(), 4);
        assert_eq!(LIST.take(), [1]);
    });
}

#[test]
fn references_survive_the_first_use_of_many_other_keys() {
    macro_rules! keys {
        ($($name:ident)*) => {
            gort::local! { $(static $name: String = stringify!($name).to_string();)* }
            fn touch_all() -> usize { [$($name.with(|s| s.len())),*].iter().sum() }
        };
    }
    keys!(A1 A2 A3 A4 A5 A6 A7 A8 A9 B1 B2 B3 B4 B5 B6 B7 B8 B9 C1 C2 C3 C4 C5 C6 C7 C8 C9 D1 D2 D3 D4 D5 D6);
    in_fresh(|| {
        A1.with(|first| {
            assert_eq!(touch_all(), 66);
            assert_eq!(first, "A1");
        });
    });
}

#[test]
fn values_may_be_neither_send_nor_sync() {
    gort::local! { static SHARED: Rc<Cell<i32>> = Rc::new(Cell::new(0)); }
    in_fresh(|| {
        let mine = SHARED.with(Rc::clone);
        mine.set(7);
        assert_eq!(SHARED.with(|shared| shared.get()), 7);
        assert_eq!(Rc::strong_count(&mine), 2);
    });
}

/// Writes its name down when it is dropped.
struct Noted(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn values_die_with_their_owner() {
    gort::local! { static KEPT: RefCell<Option<Noted>> = RefCell::new(None); }
    let log = Arc::new(Mutex::new(Vec::new()));
    let inner = Arc::clone(&log);
    in_fresh(move || {
        KEPT.set(Some(Noted("first", Arc::clone(&inner))));
        KEPT.set(Some(Noted("second", inner)));
    });
    assert_eq!(*log.lock().unwrap(), ["first", "second"]);
}

#[test]
fn destructors_use_other_keys_and_not_their_own() {
    gort::local! {
        static LATE: RefCell<Vec<Noted>> = RefCell::new(Vec::new());
        static EARLY: RefCell<Option<Early>> = RefCell::new(None);
    }
    struct Early(Arc<Mutex<Vec<&'static str>>>);
    impl Drop for Early {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("early");
            assert!(EARLY.try_with(|_| ()).is_err(), "its own key is dead");
            assert!(catch_unwind(|| EARLY.with(|_| ())).is_err(), "and panics with `with`");
            // First use of this key: its value comes to life while its goroutine ends, and dies too.
            LATE.with_borrow_mut(|late| late.push(Noted("late", Arc::clone(&self.0))));
        }
    }
    let log = Arc::new(Mutex::new(Vec::new()));
    let inner = Arc::clone(&log);
    in_fresh(move || EARLY.set(Some(Early(inner))));
    assert_eq!(*log.lock().unwrap(), ["early", "late"]);
}

#[test]
fn a_recursive_initialiser_ends_with_the_outer_value() {
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    static DROPPED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    struct Value(usize);
    impl Drop for Value {
        fn drop(&mut self) {
            DROPPED.lock().unwrap().push(self.0);
        }
    }
    gort::local! {
        static OWN: Value = {
            let round = ROUND.fetch_add(1, Ordering::Relaxed);
            if round == 0 {
                assert_eq!(OWN.with(|v| v.0), 1);
            }
            Value(round)
        };
    }
    in_fresh(|| assert_eq!(OWN.with(|v| v.0), 0));
    assert_eq!(*DROPPED.lock().unwrap(), [1, 0]);
}

#[test]
fn a_panicking_initialiser_leaves_the_key_unset() {
    gort::local! { static TRIES: Cell<i32> = Cell::new(first_fails()); }
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn first_fails() -> i32 {
        assert_ne!(CALLS.fetch_add(1, Ordering::Relaxed), 0, "the first call fails");
        42
    }
    in_fresh(|| {
        assert!(catch_unwind(AssertUnwindSafe(|| TRIES.get())).is_err());
        assert_eq!(TRIES.get(), 42);
    });
}

#[test]
fn threads_that_die_with_std_locals_see_an_error_and_no_ghost() {
    gort::local! { static KEY: Cell<i32> = Cell::new(1); }
    static SEEN: Mutex<Option<bool>> = Mutex::new(None);
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            // Depending on std's order the key is alive or destroyed here; both are answers, a crash is none.
            *SEEN.lock().unwrap() = Some(KEY.try_with(Cell::get).is_ok());
        }
    }
    thread_local! { static LAST: Last = const { Last }; }
    in_fresh(|| {
        LAST.with(|_| ());
        assert_eq!(KEY.get(), 1);
    });
    assert!(SEEN.lock().unwrap().is_some());
}
