//! What each operation does on an open, a closed, an abandoned and a nil channel.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use gort::channel::{
    Receiver, RecvError, RecvTimeoutError, Select, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError, after, bounded, never, tick, unbounded,
};

const MS: Duration = Duration::from_millis(1);

fn panic_text(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it should have panicked");
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string()))
        .unwrap()
}

#[test]
fn closed() {
    for (tx, rx) in [bounded(3), unbounded()] {
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        assert!(!tx.is_closed() && !rx.is_closed());
        tx.close();
        assert!(tx.is_closed() && rx.is_closed() && tx.clone().is_closed());
        assert_eq!(tx.send(3), Err(SendError(3)));
        assert_eq!(tx.try_send(3), Err(TrySendError::Disconnected(3)));
        assert_eq!(tx.send_timeout(3, MS), Err(SendTimeoutError::Disconnected(3)));
        assert_eq!(tx.send_deadline(3, Instant::now()), Err(SendTimeoutError::Disconnected(3)));
        assert_eq!(rx.len(), 2);
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(rx.try_recv(), Ok(2));
        assert_eq!(rx.recv(), Err(RecvError));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(rx.recv_timeout(MS), Err(RecvTimeoutError::Disconnected));
        assert_eq!(panic_text(|| tx.close()), "close of closed channel");
        gort::select! {
            recv(rx) -> value => assert_eq!(value, Err(RecvError)),
            default => panic!("a closed channel is ready"),
        }
        gort::select! {
            send(tx, 9) -> sent => assert_eq!(sent, Err(SendError(9))),
            default => panic!("a closed channel is ready"),
        }
    }
}

#[test]
fn abandoned() {
    let (tx, rx) = bounded(2);
    tx.send(1).unwrap();
    drop(tx);
    assert!(rx.is_closed());
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Err(RecvError)));

    let (tx, rx) = bounded(2);
    drop(rx);
    assert!(tx.is_closed());
    assert_eq!(tx.send(1), Err(SendError(1)));
    tx.close();
    assert_eq!(panic_text(|| tx.close()), "close of closed channel");
}

#[test]
fn nil() {
    let (tx, rx) = (Sender::<u8>::nil(), Receiver::<u8>::nil());
    assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(tx.send_timeout(1, MS), Err(SendTimeoutError::Timeout(1)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(rx.recv_timeout(MS), Err(RecvTimeoutError::Timeout));
    assert_eq!((tx.len(), tx.capacity(), rx.len(), rx.capacity()), (0, Some(0), 0, Some(0)));
    assert!(tx.is_empty() && tx.is_full() && rx.is_empty() && rx.is_full());
    assert!(!tx.is_closed() && !rx.is_closed());
    assert!(rx.same_channel(&never()) && tx.same_channel(&tx.clone()));
    assert_eq!(panic_text(|| tx.close()), "close of nil channel");
    gort::select! {
        recv(rx) -> _ => panic!("never ready"),
        send(tx, 1) -> _ => panic!("never ready"),
        default(5 * MS) => {}
    }
    let mut select = Select::new();
    select.recv(&rx);
    select.send(&tx);
    assert!(select.try_select().is_err());
    assert!(select.select_timeout(MS).is_err());
    assert!(select.ready_timeout(MS).is_err());
}

/// A case is switched off by a nil channel in its place, as in Go.
#[test]
fn nil_disables_a_case() {
    let (mut a, mut b) = (bounded(1).1, bounded(1).1);
    let mut ends = 0;
    while a.capacity() == Some(1) || b.capacity() == Some(1) {
        gort::select! {
            recv(a) -> value => { assert_eq!(value, Err::<u8, _>(RecvError)); a = Receiver::nil(); }
            recv(b) -> value => { assert_eq!(value, Err::<u8, _>(RecvError)); b = Receiver::nil(); }
        }
        ends += 1;
    }
    assert_eq!(ends, 2);
}

#[test]
fn close_wakes_all_who_wait() {
    for cap in [0, 1] {
        let (tx, rx) = bounded(cap);
        thread::scope(|s| {
            let receivers: Vec<_> = (0..3).map(|_| s.spawn(|| rx.recv())).collect();
            let selecting = s.spawn(|| {
                gort::select! { recv(rx) -> value => value.is_err(), recv(never::<u8>()) -> _ => false }
            });
            thread::sleep(20 * MS);
            tx.close();
            assert!(receivers.into_iter().all(|r| r.join().unwrap() == Err::<u8, _>(RecvError)));
            assert!(selecting.join().unwrap());
        });
        let (tx, _rx) = bounded(cap);
        (0..cap).for_each(|n| tx.send(n).unwrap());
        thread::scope(|s| {
            let senders: Vec<_> = (10..13)
                .map(|n| {
                    (
                        n,
                        s.spawn({
                            let tx = tx.clone();
                            move || tx.send(n)
                        }),
                    )
                })
                .collect();
            thread::sleep(20 * MS);
            tx.close();
            for (n, sender) in senders {
                assert_eq!(sender.join().unwrap(), Err(SendError(n)));
            }
        });
    }
}

#[test]
fn bad_size() {
    assert_eq!(panic_text(|| drop(bounded::<u64>(usize::MAX))), "makechan: size out of range");
    assert_eq!(panic_text(|| drop(bounded::<u64>(usize::MAX / 9))), "makechan: size out of range");
    assert_eq!(panic_text(|| drop(bounded::<()>(usize::MAX))), "makechan: size out of range");
    assert_eq!(bounded::<()>(1 << 40).0.capacity(), Some(1 << 40));
}

#[test]
fn clocks_show_a_buffer_of_one() {
    for make in [after, tick] {
        let rx = loop {
            let start = Instant::now();
            let rx = make(100 * MS);
            let shown = (rx.len(), rx.capacity(), rx.is_full());
            // Else this thread was held up.
            if start.elapsed() < 100 * MS {
                assert_eq!(shown, (0, Some(1), false));
                break rx;
            }
        };
        thread::sleep(110 * MS);
        assert_eq!((rx.len(), rx.capacity(), rx.is_full()), (1, Some(1), true));
        assert!(rx.try_recv().is_ok());
        assert!(!rx.is_closed());
    }
    assert_eq!(after(Duration::MAX).recv_timeout(MS), Err(RecvTimeoutError::Timeout));
}
