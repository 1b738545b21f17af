//! Channels as futures.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_core::Stream;
use gort::block_on;
use gort::channel::{
    Receiver, RecvError, SendError, TryRecvError, TrySendError, after, bounded, tick, unbounded,
};

const MS: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, calls: &Arc<Calls>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(calls.clone())))
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker's own affair");
    }
}

#[test]
fn a_waker_that_panics_is_not_the_senders_affair() {
    let value = Arc::new(());
    let (tx, rx) = bounded(0);
    let mut recv = pin!(rx.recv_async());
    let waker = Waker::from(Arc::new(Panics));
    assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(tx.send(value.clone()), Ok(()));
    assert_eq!(Arc::strong_count(&value), 2, "the value is in one place");
    let calls = Arc::new(Calls::default());
    assert_eq!(poll(recv, &calls), Poll::Ready(Ok(value.clone())));
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn futures_wait_and_are_woken() {
    let calls = Arc::new(Calls::default());
    let (tx, rx) = bounded(0);
    let mut recv = pin!(rx.recv_async());
    assert!(poll(recv.as_mut(), &calls).is_pending());
    assert_eq!(tx.try_send(1), Ok(()), "a future that waits is a receiver like any other");
    assert_eq!(calls.0.load(SeqCst), 1);
    assert_eq!(poll(recv, &calls), Poll::Ready(Ok(1)));

    let mut send = pin!(tx.send_async(2));
    assert!(poll(send.as_mut(), &calls).is_pending());
    assert_eq!(rx.try_recv(), Ok(2));
    assert_eq!(calls.0.load(SeqCst), 2);
    assert_eq!(poll(send, &calls), Poll::Ready(Ok(())));
}

/// Futures show the order of the queues best: when one has been polled it is in there.
#[test]
fn waiters_are_served_in_order() {
    let calls = Arc::new(Calls::default());
    for cap in [0, 1, 3] {
        let (tx, rx) = bounded(cap);
        (0..cap).for_each(|n| tx.send(n).unwrap());
        let mut senders: Vec<_> = (cap..cap + 5).map(|n| Box::pin(tx.send_async(n))).collect();
        senders.iter_mut().for_each(|send| assert!(poll(send.as_mut(), &calls).is_pending()));
        assert!(rx.try_iter().eq(0..cap + 5));
        senders.iter_mut().for_each(|send| assert_eq!(poll(send.as_mut(), &calls), Poll::Ready(Ok(()))));

        let mut receivers: Vec<_> = (0..5).map(|_| Box::pin(rx.recv_async())).collect();
        receivers.iter_mut().for_each(|recv| assert!(poll(recv.as_mut(), &calls).is_pending()));
        // One in the middle leaves.
        drop(receivers.remove(2));
        (0..4).for_each(|n| tx.try_send(n).unwrap());
        for (n, recv) in receivers.iter_mut().enumerate() {
            assert_eq!(poll(recv.as_mut(), &calls), Poll::Ready(Ok(n)));
        }
    }
}

#[test]
fn the_end_reaches_futures() {
    let calls = Arc::new(Calls::default());
    let (tx, rx) = bounded::<u8>(0);
    let mut recv = pin!(rx.recv_async());
    let mut send = pin!(tx.send_async(3));
    let (_other_tx, other_rx) = bounded::<u8>(0);
    let mut other = pin!(other_rx.recv_async());
    assert!(poll(recv.as_mut(), &calls).is_pending());
    assert!(poll(other.as_mut(), &calls).is_pending());
    tx.close();
    assert_eq!(calls.0.load(SeqCst), 1);
    assert_eq!(poll(recv, &calls), Poll::Ready(Err(RecvError)));
    assert_eq!(poll(send.as_mut(), &calls), Poll::Ready(Err(SendError(3))));
}

#[test]
fn a_dropped_future_loses_nothing() {
    let calls = Arc::new(Calls::default());
    for cap in [0, 1] {
        let (tx, rx) = bounded(cap);
        // Not served: it leaves the queue.
        {
            let mut recv = pin!(rx.recv_async());
            assert!(poll(recv.as_mut(), &calls).is_pending());
        }
        assert_eq!(tx.try_send(Box::new(1)).is_ok(), cap == 1);
        let _ = rx.try_recv();
        // Served, but not looked at: the value goes back, before all others.
        {
            let mut recv = pin!(rx.recv_async());
            assert!(poll(recv.as_mut(), &calls).is_pending());
            tx.try_send(Box::new(2)).unwrap();
            (0..cap).for_each(|n| tx.try_send(Box::new(10 + n)).unwrap());
        }
        assert_eq!(rx.recv(), Ok(Box::new(2)));
        assert_eq!(rx.try_recv().ok(), (cap == 1).then(|| Box::new(10)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        // Served, dropped, and somebody else waits already.
        thread::scope(|s| {
            let mut first = Box::pin(rx.recv_async());
            assert!(poll(first.as_mut(), &calls).is_pending());
            let second = s.spawn(|| rx.recv());
            thread::sleep(20 * MS);
            tx.send(Box::new(3)).unwrap();
            drop(first);
            assert_eq!(second.join().unwrap(), Ok(Box::new(3)));
        });
        // A value that was given back survives the close, and is dropped with the channel.
        let mut recv = Box::pin(rx.recv_async());
        assert!(poll(recv.as_mut(), &calls).is_pending());
        tx.send(Box::new(4)).unwrap();
        tx.close();
        drop(recv);
        assert_eq!((rx.recv(), rx.recv()), (Ok(Box::new(4)), Err(RecvError)));
    }
    // A send that was not taken drops its value, unsent.
    let (tx, rx) = bounded(0);
    let value = Arc::new(());
    let mut send = Box::pin(tx.send_async(value.clone()));
    assert!(poll(send.as_mut(), &calls).is_pending());
    drop(send);
    drop(tx.send_async(value.clone()));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(Arc::strong_count(&value), 1);
    assert!(matches!(tx.try_send(value), Err(TrySendError::Full(_))));
}

#[test]
fn streams_end_with_the_channel() {
    let (tx, rx) = unbounded();
    let sender = thread::spawn(move || (0..100).for_each(|n| tx.send(n).unwrap()));
    let sum = block_on(async {
        let mut stream = rx.stream();
        let mut sum = 0;
        while let Some(n) = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
            sum += n;
        }
        sum
    });
    assert_eq!(sum, 4950);
    sender.join().unwrap();
}

#[test]
fn tasks_threads_and_selects_share_a_channel() {
    for cap in [0, 2] {
        let (tx, rx) = bounded::<u64>(cap);
        let total = AtomicUsize::new(0);
        let add = |n: u64| total.fetch_add(n as usize, SeqCst);
        thread::scope(|s| {
            s.spawn(|| {
                while let Ok(n) = block_on(rx.recv_async()) {
                    add(n);
                }
            });
            s.spawn(|| {
                rx.iter().for_each(|n| {
                    add(n);
                })
            });
            s.spawn(|| {
                while gort::select! {
                    recv(rx) -> n => n.map(add).is_ok(),
                    recv(Receiver::<u8>::nil()) -> _ => unreachable!(),
                } {}
            });
            let senders = [
                s.spawn(|| (0..1000).for_each(|n| block_on(tx.send_async(n)).unwrap())),
                s.spawn(|| (0..1000).for_each(|n| tx.send(n).unwrap())),
                s.spawn(|| {
                    (0..1000).for_each(|n| {
                        gort::select! {
                            send(tx, n) -> sent => sent.unwrap(),
                            recv(Receiver::<u8>::nil()) -> _ => unreachable!(),
                        }
                    })
                }),
            ];
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            tx.close();
        });
        assert_eq!(total.into_inner(), 3 * 999 * 500);
    }
}

#[test]
fn clocks_as_futures() {
    let start = Instant::now();
    let due = block_on(after(20 * MS).recv_async()).unwrap();
    assert!(due >= start + 20 * MS && start.elapsed() >= 20 * MS);
    let ticks = tick(5 * MS);
    let first = block_on(ticks.recv_async()).unwrap();
    let second = block_on(ticks.recv_async()).unwrap();
    assert!(second > first);
    // One that is dropped while it waits is out of the clock's queue.
    let late = after(3600 * 1000 * MS);
    let mut recv = Box::pin(late.recv_async());
    assert!(poll(recv.as_mut(), &Arc::new(Calls::default())).is_pending());
    drop(recv);
}

/// The thread that wakes the futures of clocks outlives a waker that panics.
#[test]
fn clocks_wake_others_after_a_waker_has_panicked() {
    let timer = gort::time::Timer::new(3600 * 1000 * MS);
    let mut recv = Box::pin(timer.c().recv_async());
    let waker = Waker::from(Arc::new(Panics));
    assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    // The reset calls it, here; after another poll it is for the clocks' thread to call it.
    timer.reset(MS);
    let _ = recv.as_mut().poll(&mut Context::from_waker(&waker));
    thread::sleep(20 * MS);
    for _ in 0..3 {
        assert!(block_on(after(MS).recv_async()).is_ok());
    }
}

/// A foreign waker may drop, or poll, another future that the same close has woken.
#[test]
fn a_waker_may_drop_another_future_that_is_woken_with_it() {
    type Received = Pin<Box<dyn Future<Output = Result<u8, RecvError>> + Send>>;
    struct DropsTheOther(Mutex<Option<Received>>);
    impl Wake for DropsTheOther {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    for the_clock in [false, true] {
        let timer = gort::time::Timer::new(3600 * 1000 * MS);
        let (tx, rx) = bounded::<u8>(0);
        let ticks: &'static _ = Box::leak(Box::new(timer.c().clone()));
        let rx: &'static Receiver<u8> = Box::leak(Box::new(rx));
        let future = || -> Received {
            if the_clock {
                Box::pin(async { ticks.recv_async().await.map(|_| 1) })
            } else {
                Box::pin(rx.recv_async())
            }
        };
        let (mut first, mut second) = (future(), future());
        let waker = Arc::new(DropsTheOther(Mutex::new(None)));
        let of_first = Waker::from(waker.clone());
        assert!(first.as_mut().poll(&mut Context::from_waker(&of_first)).is_pending());
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        *waker.0.lock().unwrap() = Some(second);
        timer.stop();
        tx.close();
        assert!(waker.0.lock().unwrap().is_none(), "it was called");
    }
}

#[test]
fn a_clocks_future_that_is_dropped_forgets_its_task() {
    let task = Arc::new(Calls::default());
    let late = after(3600 * 1000 * MS);
    for _ in 0..200 {
        let mut recv = Box::pin(late.recv_async());
        assert!(poll(recv.as_mut(), &task).is_pending());
    }
    assert_eq!(Arc::strong_count(&task), 1);
    // One that is polled by another task forgets the first.
    let mut recv = Box::pin(late.recv_async());
    assert!(poll(recv.as_mut(), &task).is_pending());
    assert!(poll(recv.as_mut(), &Arc::new(Calls::default())).is_pending());
    assert_eq!(Arc::strong_count(&task), 1);
}
