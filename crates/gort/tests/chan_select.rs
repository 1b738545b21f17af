//! Selects: what is evaluated when, what is chosen, and what becomes of operations that were begun.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use gort::channel::{Receiver, RecvError, Select, SendError, Sender, after, bounded, never, tick, unbounded};

const MS: Duration = Duration::from_millis(1);

#[test]
fn ends_are_evaluated_in_order_and_values_when_chosen() {
    let log = RefCell::new(Vec::new());
    let note = |what| log.borrow_mut().push(what);
    let (tx, rx) = bounded::<u8>(1);
    let (full, _rx) = bounded::<u8>(0);
    gort::select! {
        recv({ note("first"); &rx }) -> _ => panic!("empty"),
        send({ note("second"); &tx }, { note("value"); 7 }) -> sent => { note("body"); sent.unwrap() }
        send({ note("third"); &full }, { note("never"); 8 }) -> _ => panic!("full"),
    }
    assert_eq!(*log.borrow(), ["first", "second", "third", "value", "body"]);
    assert_eq!(rx.try_recv(), Ok(7));
}

fn no_value() -> u8 {
    panic!("no value")
}

/// A value that can not be computed leaves the channel as it was.
#[test]
fn a_value_that_panics_or_leaves_undoes_the_choice() {
    let (tx, rx) = bounded::<u8>(1);
    let choose = || {
        gort::select! { send(tx, no_value()) -> _ => (), recv(never::<u8>()) -> _ => () }
    };
    assert!(catch_unwind(AssertUnwindSafe(choose)).is_err());
    let leave = || -> Option<u8> {
        gort::select! { send(tx, None?) -> _ => (), recv(never::<u8>()) -> _ => () }
        Some(1)
    };
    assert_eq!(leave(), None);
    assert_eq!(tx.try_send(1), Ok(()), "the slot was given back");
    assert_eq!(rx.try_recv(), Ok(1));

    // The same where a receiver was promised the value: it goes on waiting, and gets the next.
    let (tx, rx) = bounded::<u8>(0);
    thread::scope(|s| {
        let receiver = s.spawn(|| rx.recv());
        thread::sleep(20 * MS);
        let choose = || {
            gort::select! { send(tx, no_value()) -> _ => (), recv(never::<u8>()) -> _ => () }
        };
        assert!(catch_unwind(AssertUnwindSafe(choose)).is_err());
        tx.send(5).unwrap();
        assert_eq!(receiver.join().unwrap(), Ok(5));
    });
}

/// Who receives from a select waits for the value, even without a buffer.
#[test]
fn a_receiver_waits_for_the_value_of_a_select() {
    let (tx, rx) = bounded::<u8>(0);
    thread::scope(|s| {
        s.spawn(|| {
            gort::select! {
                send(tx, { thread::sleep(30 * MS); 7 }) -> sent => sent.unwrap(),
                recv(never::<u8>()) -> _ => (),
            }
        });
        let mut select = Select::new();
        select.recv(&rx);
        select.ready();
        assert_eq!(rx.recv_timeout(MS), Ok(7), "once promised, it comes");
    });
}

#[test]
fn both_ends_in_one_select_do_not_meet_themselves() {
    let (tx, rx) = bounded::<u8>(0);
    gort::select! {
        send(tx, 1) -> _ => panic!("it met itself"),
        recv(rx) -> _ => panic!("it met itself"),
        default(20 * MS) => {}
    }
    // But two such selects meet each other.
    let select =
        || gort::select! { send(tx, 1) -> sent => sent.map(|()| 0), recv(rx) -> value => Ok(value.unwrap()) };
    thread::scope(|s| {
        let others: Vec<_> = (0..4).map(|_| s.spawn(select)).collect();
        let sum: u8 = others.into_iter().map(|other| other.join().unwrap().unwrap()).sum();
        assert_eq!(sum, 2, "two sent, two received");
    });
}

#[test]
fn the_choice_is_uniform() {
    let ends: Vec<_> = (0..3).map(|_| unbounded::<()>()).collect();
    let mut hits = [0; 3];
    for _ in 0..6000 {
        ends.iter().for_each(|(tx, _)| tx.send(()).unwrap());
        gort::select! {
            recv(ends[0].1) -> _ => hits[0] += 1,
            recv(ends[1].1) -> _ => hits[1] += 1,
            recv(ends[2].1) -> _ => hits[2] += 1,
        }
    }
    assert!(hits.iter().all(|&n| (1700..2300).contains(&n)), "{hits:?}");
}

#[test]
fn biased_takes_the_first() {
    let ends: Vec<_> = (0..3).map(|_| unbounded::<()>()).collect();
    ends[1..].iter().for_each(|(tx, _)| (0..100).for_each(|_| tx.send(()).unwrap()));
    for _ in 0..100 {
        let mut select = Select::new_biased();
        ends.iter().for_each(|(_, rx)| {
            select.recv(rx);
        });
        let op = select.select();
        assert_eq!(op.index(), 1);
        op.recv(&ends[1].1).unwrap();
    }
    let chosen = gort::select_biased! {
        recv(ends[0].1) -> _ => 0,
        recv(ends[1].1) -> _ => 1,
        recv(ends[2].1) -> _ => 2,
    };
    assert_eq!(chosen, 2);
}

/// Whoever sends on `first` and then on `second` is seen in that order by a biased select.
#[test]
fn biased_decides_at_one_instant() {
    let (first, rx1) = unbounded();
    let (second, rx2) = unbounded();
    const N: u32 = 20_000;
    thread::scope(|s| {
        s.spawn(|| {
            (0..N).for_each(|n| {
                first.send(n).unwrap();
                second.send(n).unwrap();
            })
        });
        let (mut seen1, mut seen2) = (0, 0);
        while seen2 < N {
            gort::select_biased! {
                recv(rx1) -> _ => seen1 += 1,
                recv(rx2) -> _ => {
                    seen2 += 1;
                    assert!(seen1 >= seen2, "{seen1} {seen2}");
                }
            }
        }
    });
}

/// At each moment one of the two is ready, so the default is wrong. Go's TestNonblockSelectRace.
#[test]
fn default_decides_at_one_instant() {
    for _ in 0..3000 {
        let (tx1, rx1) = bounded(1);
        let (tx2, rx2) = bounded(1);
        tx1.send(1).unwrap();
        thread::scope(|s| {
            let other = s.spawn(|| {
                gort::select! { recv(rx1) -> _ => true, recv(rx2) -> _ => true, default => false }
            });
            tx2.send(1).unwrap();
            let _ = rx1.try_recv();
            assert!(other.join().unwrap());
        });
    }
}

#[test]
fn single_cases_are_plain_operations() {
    let (tx, rx) = bounded(1);
    gort::select! { send(tx, 3) -> sent => assert_eq!(sent, Ok(())) }
    gort::select! { send(tx, 4) -> _ => panic!("full"), default => {} }
    assert_eq!(gort::select! { recv(rx) -> value => value }, Ok(3));
    assert!(gort::select! { recv(rx) -> _ => false, default => true });
    assert!(gort::select! { recv(rx) -> _ => false, default(MS) => true });
    drop(tx);
    assert_eq!(gort::select! { recv(rx) -> value => value, default => Ok(0) }, Err(RecvError));
    assert_eq!(gort::select! { recv(rx) -> value => value, default(MS) => Ok(0) }, Err(RecvError));
    assert_eq!(gort::select! { default => 5 }, 5);
    let start = Instant::now();
    gort::select! { default(5 * MS) => assert!(start.elapsed() >= 5 * MS) }
}

#[test]
fn bodies_may_move_the_ends_and_leave() {
    let (tx, rx) = bounded(1);
    tx.send(1).unwrap();
    let moved = gort::select! {
        recv(rx) -> value => { assert_eq!(value, Ok(1)); drop(tx); Some(rx) }
        send(tx, 2) -> _ => None,
    };
    assert!(moved.unwrap().recv().is_err());
    let (tx, rx) = bounded(4);
    for n in 0.. {
        gort::select! {
            send(tx, n) -> sent => if sent.is_err() { unreachable!() } else { continue },
            default => break,
        }
    }
    assert_eq!(rx.len(), 4);
}

#[test]
fn clocks_in_selects() {
    let start = Instant::now();
    let ticks = tick(5 * MS);
    let end = after(60 * MS);
    let mut count = 0;
    loop {
        gort::select! {
            recv(ticks) -> at => { assert!(at.unwrap() <= Instant::now()); count += 1 }
            recv(end) -> at => { assert!(at.unwrap() >= start + 60 * MS); break }
        }
    }
    let most = start.elapsed().as_millis() / 5;
    assert!(count <= most, "{count} ticks, at most {most}");
    assert!(ticks.recv().is_ok());
    assert!(start.elapsed() >= 60 * MS);
}

#[test]
fn thousands_of_cases() {
    let ends: Vec<(Sender<usize>, Receiver<usize>)> = (0..3000).map(|_| bounded(0)).collect();
    let mut select = Select::new();
    ends.iter().for_each(|(_, rx)| {
        select.recv(rx);
    });
    thread::scope(|s| {
        s.spawn(|| (0..100).for_each(|n| ends[n * 29].0.send(n).unwrap()));
        for n in 0..100 {
            let op = select.select();
            assert_eq!(op.index(), n * 29);
            assert_eq!(op.recv(&ends[n * 29].1), Ok(n));
        }
    });
    let (_tx, rx) = bounded::<u8>(0);
    let mut select = Select::new();
    (0..65_536).for_each(|_| {
        select.recv(&rx);
    });
    assert!(select.try_select().is_err());
    let too_many = catch_unwind(AssertUnwindSafe(|| select.recv(&rx))).unwrap_err();
    assert_eq!(too_many.downcast_ref::<String>().unwrap(), "Select: too many cases (max 65536)");
}

#[test]
fn removed_operations_keep_the_other_numbers() {
    let (tx1, rx1) = bounded(1);
    let (tx2, rx2) = bounded(1);
    tx1.send(1).unwrap();
    tx2.send(2).unwrap();
    let mut select = Select::new();
    let (first, second) = (select.recv(&rx1), select.recv(&rx2));
    select.remove(first);
    let op = select.select();
    assert_eq!(op.index(), second);
    assert_eq!(op.recv(&rx2), Ok(2));
    assert_eq!(select.recv(&rx1), 2);
    assert!(catch_unwind(AssertUnwindSafe(|| select.remove(first))).is_err());
    assert_eq!(select.ready(), 2);
}

#[test]
fn an_uncompleted_operation_panics_and_is_undone() {
    const TEXT: &str = "dropped `SelectedOperation` without completing the operation";
    let (tx, rx) = bounded(1);
    tx.send(Box::new(1)).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    let err = catch_unwind(AssertUnwindSafe(|| drop(select.select()))).unwrap_err();
    assert_eq!(*err.downcast_ref::<&str>().unwrap(), TEXT);
    assert_eq!(rx.try_recv(), Ok(Box::new(1)), "the value went back");
    let mut select = Select::new();
    select.send(&tx);
    let err = catch_unwind(AssertUnwindSafe(|| drop(select.select()))).unwrap_err();
    assert_eq!(*err.downcast_ref::<&str>().unwrap(), TEXT);
    assert_eq!(tx.try_send(Box::new(2)), Ok(()), "the slot went back");
    assert_eq!(rx.try_recv(), Ok(Box::new(2)));
}

#[test]
fn wrong_completions_panic() {
    let (tx, rx) = bounded(1);
    let (other_tx, other_rx) = bounded(1);
    let mut select = Select::new();
    select.send(&tx);
    let wrong = catch_unwind(AssertUnwindSafe(|| select.select().send(&other_tx, 1))).unwrap_err();
    assert_eq!(*wrong.downcast_ref::<&str>().unwrap(), "passed a sender that wasn't selected");
    tx.send(3).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    let wrong = catch_unwind(AssertUnwindSafe(|| select.select().recv(&other_rx))).unwrap_err();
    assert_eq!(*wrong.downcast_ref::<&str>().unwrap(), "passed a receiver that wasn't selected");
    assert_eq!(rx.clone().try_recv(), Ok(3));
}

#[test]
fn a_forgotten_operation_hangs_nobody_else() {
    let (tx, rx) = bounded::<Box<u8>>(2);
    let mut select = Select::new();
    select.send(&tx);
    std::mem::forget(select.select());
    tx.send(Box::new(1)).unwrap();
    assert!(tx.try_send(Box::new(2)).is_err(), "the forgotten operation keeps its slot");
    assert_eq!(rx.recv(), Ok(Box::new(1)));
    drop(tx);
    assert_eq!(rx.recv(), Err(RecvError));
    drop(rx);

    let (tx, rx) = bounded::<u8>(0);
    thread::scope(|s| {
        let sender = s.spawn(|| tx.send(1));
        let mut select = Select::new();
        select.recv(&rx);
        std::mem::forget(select.select());
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

/// A send that was chosen on an open channel and completed on a closed one gives the value back.
#[test]
fn close_between_choice_and_completion() {
    let (tx, rx) = bounded(1);
    let mut select = Select::new();
    select.send(&tx);
    let op = select.select();
    tx.close();
    assert_eq!(op.send(&tx, 5), Err(SendError(5)));
    assert_eq!(rx.recv(), Err(RecvError));
}

#[test]
fn ready_tells_of_all_kinds_of_readiness() {
    let (tx, rx) = bounded::<u8>(0);
    let (_tx2, rx2) = bounded::<u8>(1);
    thread::scope(|s| {
        // A sender that comes later.
        let waiting = s.spawn(|| {
            let mut select = Select::new();
            select.recv(&rx2);
            let number = select.recv(&rx);
            assert_eq!(select.ready(), number);
            rx.recv()
        });
        thread::sleep(20 * MS);
        tx.send(1).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(1));
        // A receiver that comes later.
        let waiting = s.spawn(|| {
            let mut select = Select::new();
            select.send(&tx);
            select.ready();
            tx.send(2)
        });
        thread::sleep(20 * MS);
        assert_eq!(rx.recv(), Ok(2));
        waiting.join().unwrap().unwrap();
        // A select that comes later, and a close.
        let waiting = s.spawn(|| {
            let mut select = Select::new();
            select.recv(&rx);
            select.ready();
            let first = rx.recv();
            select.ready();
            (first, rx.recv())
        });
        thread::sleep(20 * MS);
        gort::select! { send(tx, 3) -> sent => sent.unwrap(), recv(rx2) -> _ => panic!("empty") }
        thread::sleep(20 * MS);
        tx.close();
        assert_eq!(waiting.join().unwrap(), (Ok(3), Err(RecvError)));
    });
    // A slot that becomes free.
    let (tx, rx) = bounded(1);
    tx.send(1).unwrap();
    let (full, is_full) = bounded(0);
    thread::scope(|s| {
        let waiting = s.spawn(|| {
            let mut select = Select::new();
            select.send(&tx);
            full.send(select.ready_timeout(5 * MS).is_err()).unwrap();
            select.ready();
            tx.try_send(2)
        });
        assert_eq!(is_full.recv(), Ok(true));
        thread::sleep(20 * MS);
        assert_eq!(rx.recv(), Ok(1));
        waiting.join().unwrap().unwrap();
    });
}
