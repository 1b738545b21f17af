//! One channel: who waits, who is served first, what close does, races between a close and the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gort::channel::{RecvError, SendError, TryRecvError, TrySendError};
use gort::sync::WaitGroup;

use crate::support::{Chan, alone, cpu_time, on_procs, settle, until, until_in_line};

const CAPACITIES: [usize; 7] = [0, 1, 2, 3, 7, 64, 199];

/// TestChan: receiving from an empty channel waits, in both forms.
#[gort::test(unsafe(migrate))]
fn receivers_wait_for_a_value() {
    on_procs(|_| {
        for capacity in CAPACITIES {
            let c = Chan::<u32>::new(capacity);
            let received = AtomicUsize::new(0);
            gort::scope(|s| {
                for _ in 0..2 {
                    s.go(|| {
                        assert_eq!(c.recv(), Ok(0));
                        received.fetch_add(1, Ordering::Relaxed);
                    });
                }
                settle();
                assert_eq!(received.load(Ordering::Relaxed), 0, "capacity {capacity}");
                // What comes is for those who wait.
                assert_eq!(c.try_recv(), Err(TryRecvError::Empty));
                gort::select! {
                    recv(c.rx) -> value => panic!("{value:?} from an empty channel"),
                    default => (),
                }
                c.send(0);
                c.send(0);
            });
            assert_eq!(received.load(Ordering::Relaxed), 2);
        }
    });
}

/// TestChan: sending into a full channel waits.
#[gort::test(unsafe(migrate))]
fn senders_wait_for_room() {
    on_procs(|_| {
        for capacity in CAPACITIES {
            let c = Chan::new(capacity);
            for i in 0..capacity {
                c.send(i);
            }
            let sent = AtomicBool::new(false);
            gort::scope(|s| {
                s.go(|| {
                    c.send(capacity);
                    sent.store(true, Ordering::Relaxed);
                });
                settle();
                assert!(!sent.load(Ordering::Relaxed), "capacity {capacity}");
                assert_eq!(c.tx.try_send(99), Err(TrySendError::Full(99)));
                gort::select! {
                    send(c.tx, 98) -> _ => panic!("sent into a full channel"),
                    default => (),
                }
                assert_eq!(c.take(), 0);
            });
            assert!(sent.load(Ordering::Relaxed));
            assert!((1..=capacity).eq(c.rx.try_iter()), "capacity {capacity}");
        }
    });
}

/// TestChan: a closed channel gives what it holds and then nothing, for ever; whoever waited is woken.
#[gort::test(unsafe(migrate))]
fn close_drains_and_wakes() {
    on_procs(|_| {
        for capacity in CAPACITIES {
            let c = Chan::new(capacity);
            for i in 0..capacity {
                c.send(i);
            }
            c.close();
            assert_eq!(c.tx.send(7), Err(SendError(7)));
            for i in 0..capacity {
                assert_eq!(c.recv(), Ok(i));
            }
            for _ in 0..3 {
                assert_eq!(c.recv(), Err(RecvError));
            }

            let c = Chan::<usize>::new(capacity);
            gort::scope(|s| {
                let waiting: Vec<_> = (0..4).map(|_| s.go(|| c.recv())).collect();
                settle();
                c.close();
                for receiver in waiting {
                    assert_eq!(receiver.join().unwrap(), Err(RecvError));
                }
            });

            let c = Chan::new(capacity);
            for i in 0..capacity {
                c.send(i);
            }
            gort::scope(|s| {
                let c = &c;
                let waiting: Vec<_> = (0..4).map(|i| (i, s.go(move || c.tx.send(1000 + i)))).collect();
                settle();
                c.close();
                for (i, sender) in waiting {
                    assert_eq!(sender.join().unwrap(), Err(SendError(1000 + i)));
                }
            });
            assert!((0..capacity).eq(&c.rx), "a sender that failed leaves nothing behind");
        }
    });
}

/// TestChan: values come in the order they were sent, whichever form receives them.
#[gort::test(unsafe(migrate))]
fn values_keep_their_order() {
    on_procs(|_| {
        for capacity in CAPACITIES {
            let c = Chan::new(capacity);
            gort::scope(|s| {
                s.go(|| (0..300).for_each(|i| c.send(i)));
                for i in 0..100 {
                    assert_eq!(c.recv(), Ok(i));
                }
                for i in 100..200 {
                    gort::select! { recv(c.rx) -> value => assert_eq!(value, Ok(i)) }
                }
                for (i, value) in (200..300).zip(&c.rx) {
                    assert_eq!(value, i);
                }
            });
        }
    });
}

/// TestChan: four senders, four receivers; every value comes once, a sender's values in order.
#[gort::test(unsafe(migrate))]
fn every_value_comes_once() {
    const PARTIES: usize = 4;
    const VALUES: usize = 1000;
    on_procs(|_| {
        for capacity in CAPACITIES {
            let c = Chan::new(capacity);
            let results = gort::scope(|s| {
                let c = &c;
                for sender in 0..PARTIES {
                    s.go(move || (0..VALUES).for_each(|i| c.send((sender, i))));
                }
                let receivers: Vec<_> = (0..PARTIES)
                    .map(|_| s.go(move || (0..VALUES).map(|_| c.take()).collect::<Vec<_>>()))
                    .collect();
                receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect::<Vec<_>>()
            });
            let mut seen = HashMap::new();
            for result in results {
                let mut last = [None; PARTIES];
                for (sender, i) in result {
                    assert!(last[sender] < Some(i), "{i} of sender {sender} after {:?}", last[sender]);
                    last[sender] = Some(i);
                    *seen.entry(i).or_insert(0) += 1;
                }
            }
            assert!(
                seen.len() == VALUES && seen.values().all(|&times| times == PARTIES),
                "capacity {capacity}"
            );
        }
    });
}

/// TestChan, chancap.go: what `len` and `cap` say.
#[gort::test(unsafe(migrate))]
fn len_and_cap() {
    alone(1, || {
        for capacity in CAPACITIES {
            let c = Chan::new(capacity);
            assert_eq!((c.rx.len(), c.rx.capacity()), (0, Some(capacity)));
            for i in 0..capacity {
                c.send(i);
                assert_eq!((c.rx.len(), c.tx.len()), (i + 1, i + 1));
            }
            c.close();
            assert_eq!((c.rx.len(), c.tx.capacity()), (capacity, Some(capacity)));
        }
        // A sender that waits is not in the buffer.
        let c = Chan::new(0);
        gort::scope(|s| {
            s.go(|| c.send(1));
            settle();
            assert_eq!(c.rx.len(), 0);
            assert_eq!(c.take(), 1);
        });
        let c = Chan::<u8>::nil();
        assert_eq!((c.rx.len(), c.rx.capacity()), (0, Some(0)));
    });
}

/// First come, first served, receivers as well as senders (the code of `waitq`; no test of Go's says so directly).
#[gort::test(unsafe(migrate))]
fn waiters_are_served_in_turn() {
    on_procs(|_| {
        let c = Chan::new(0);
        let order = Chan::new(100);
        gort::scope(|s| {
            for i in 0..20 {
                let (c, order) = (&c, &order);
                s.go(move || order.send((i, c.take())));
                until_in_line("chan receive", i as usize + 1);
            }
            (0..20).for_each(|i| c.send(i));
        });
        let mut pairs: Vec<(i32, i32)> = order.rx.try_iter().collect();
        pairs.sort();
        assert!(pairs.iter().all(|(receiver, value)| receiver == value), "{pairs:?}");

        for capacity in [0, 1, 5] {
            let c = Chan::new(capacity);
            gort::scope(|s| {
                for i in 0..20 {
                    let c = &c;
                    s.go(move || c.send(i));
                    match i as usize {
                        i if i < capacity => until("it is in the buffer", || c.rx.len() > i),
                        i => until_in_line("chan send", i + 1 - capacity),
                    }
                }
                for i in 0..20 {
                    assert_eq!(c.take(), i, "capacity {capacity}");
                }
            });
        }
    });
}

/// TestNonblockRecvRace: a channel with a value in it, closed meanwhile, is ready at every moment.
#[gort::test(unsafe(migrate))]
fn a_receive_that_does_not_wait_races_with_close() {
    on_procs(|_| {
        for round in 0..3000 {
            let c = Chan::new(1);
            c.send(1);
            gort::scope(|s| {
                s.go(|| {
                    assert_ne!(c.try_recv(), Err(TryRecvError::Empty), "round {round}: the channel is ready")
                });
                c.close();
                let _ = c.recv();
            });
        }
    });
}

/// TestMultiConsumer: one feeder, many workers, one who adds up, with yields strewn in.
#[gort::test(unsafe(migrate))]
fn many_consumers() {
    const WORKERS: usize = 23;
    const ITEMS: usize = 40_000;
    const PRIMES: [usize; 10] = [2, 3, 7, 11, 13, 17, 19, 23, 27, 31];
    on_procs(|_| {
        let work = Chan::new(WORKERS * 3);
        let results = Chan::new(WORKERS * 3);
        let workers = WaitGroup::new();
        for worker in 0..WORKERS {
            let (work, results) = (work.clone(), results.clone());
            workers.go(move || {
                for value in &work.rx {
                    if PRIMES[worker % PRIMES.len()] == value {
                        gort::gosched();
                    }
                    results.send(value);
                }
            });
        }
        let expected = Arc::new(AtomicUsize::new(0));
        let sum = Arc::clone(&expected);
        let all_results = results.clone();
        gort::go!({
            for i in 0..ITEMS {
                let value = PRIMES[i % PRIMES.len()];
                sum.fetch_add(value, Ordering::Relaxed);
                work.send(value);
            }
            work.close();
            workers.wait();
            all_results.close();
        });
        let (mut count, mut total) = (0, 0);
        for value in &results.rx {
            count += 1;
            total += value;
        }
        assert_eq!((count, total), (ITEMS, expected.load(Ordering::Relaxed)));
    });
}

/// TestChanSendInterface, TestChanSendSelectBarrier: values that own memory survive every way through a channel, and
/// none is left behind.
#[gort::test(unsafe(migrate))]
fn what_a_value_owns_travels_with_it() {
    const TURNS: usize = 500;
    on_procs(|_| {
        let token = Arc::new(());
        let buffered = Chan::new(8);
        let direct = Chan::new(0);
        gort::scope(|s| {
            for i in 0..4 {
                let (token, buffered, direct) = (Arc::clone(&token), &buffered, &direct);
                s.go(move || {
                    for j in 0..TURNS {
                        let value = Box::new((Arc::clone(&token), i * TURNS + j));
                        if j % 2 == 0 {
                            buffered.send(value);
                        } else {
                            gort::select! {
                                send(direct.tx, value) -> sent => sent.unwrap(),
                                recv(Chan::<()>::nil().rx) -> _ => unreachable!(),
                            }
                        }
                    }
                });
            }
            let mut seen = vec![false; 4 * TURNS];
            for _ in 0..4 * TURNS {
                let (_, i) = *gort::select! {
                    recv(buffered.rx) -> value => value.unwrap(),
                    recv(direct.rx) -> value => value.unwrap(),
                };
                assert!(!std::mem::replace(&mut seen[i], true), "{i} came twice");
            }
        });
        drop((buffered, direct));
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

/// chanlinear.go: whoever gives up waiting leaves the queue without a search: it makes no difference whether those at
/// the front leave first or those in the middle.
#[gort::test(unsafe(migrate))]
fn leaving_a_queue_does_not_search_it() {
    const WAITERS: usize = 16_000;
    /// How much work it is until selects that wait on one popular channel have left it, chosen by others in this order.
    fn leave(order: impl Iterator<Item = usize>) -> f64 {
        let popular = Chan::<()>::new(0);
        let own: Vec<_> = (0..WAITERS).map(|_| Chan::<()>::new(0)).collect();
        let (started, done) = (WaitGroup::new(), WaitGroup::new());
        started.add(WAITERS as isize);
        for mine in own.clone() {
            let (popular, started) = (popular.clone(), started.clone());
            done.go(move || {
                started.done();
                gort::select! {
                    recv(popular.rx) -> _ => panic!("nobody sends there"),
                    recv(mine.rx) -> value => value.unwrap(),
                }
            });
        }
        started.wait();
        settle();
        let before = cpu_time();
        order.for_each(|i| own[i].send(()));
        done.wait();
        (cpu_time() - before).as_secs_f64()
    }
    alone(1, || {
        let from_the_front = || leave(0..WAITERS);
        let from_the_middle = || {
            let middle = WAITERS / 2;
            leave((0..middle).flat_map(|i| [middle - 1 - i, middle + i]))
        };
        from_the_front();
        // A search of half the queue each time would be fifty times the work. Once without it is proof enough.
        let mut ratios = Vec::new();
        while ratios.iter().all(|ratio| *ratio > 3.0) {
            assert!(ratios.len() < 6, "leaving from the middle is dearer by {ratios:?}");
            ratios.push(from_the_middle() / from_the_front());
        }
    });
}
