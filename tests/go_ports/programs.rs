//! Small programs that use channels as Go's authors do: what stands in Go's `test/chan`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use gort::channel::{Receiver, RecvError, Select, SendError, Sender};

use crate::support::{Chan, alone, on_procs, resident, settle};

/// doubleselect.go: a select that sends to one of four chooses one, never two.
#[gort::test(unsafe(migrate))]
fn a_select_sends_once() {
    const VALUES: usize = 10_000;
    on_procs(|_| {
        let (channels, merged) = ([(); 4].map(|()| Chan::new(0)), Chan::new(0));
        gort::scope(|s| {
            s.go(|| {
                let [c1, c2, c3, c4] = &channels;
                for i in 0..VALUES {
                    gort::select! {
                        send(c1.tx, i) -> sent => sent.unwrap(),
                        send(c2.tx, i) -> sent => sent.unwrap(),
                        send(c3.tx, i) -> sent => sent.unwrap(),
                        send(c4.tx, i) -> sent => sent.unwrap(),
                    }
                }
                channels.iter().for_each(Chan::close);
            });
            let forwarders = channels.each_ref().map(|c| s.go(|| c.rx.iter().for_each(|i| merged.send(i))));
            s.go(|| {
                forwarders.into_iter().for_each(|forwarder| forwarder.join().unwrap());
                merged.close();
            });
            let mut seen = vec![false; VALUES];
            for i in &merged.rx {
                assert!(!std::mem::replace(&mut seen[i], true), "{i} came twice");
            }
            assert!(seen.iter().all(|&seen| seen));
        });
    });
}

/// fifo.go: a chain of goroutines, each of which runs when the one before it has.
#[gort::test(unsafe(migrate))]
fn a_chain_runs_in_order() {
    const LINKS: usize = 100;
    on_procs(|_| {
        let c = Chan::new(0);
        gort::scope(|s| {
            let mut before = Chan::<()>::new(0);
            let first = before.clone();
            for i in 0..LINKS {
                let (after, c) = (Chan::new(0), c.clone());
                let (link, next) = (before, after.clone());
                s.go(move || {
                    link.take();
                    assert_eq!(c.take(), i);
                    next.send(());
                });
                before = after;
            }
            s.go(move || first.send(()));
            (0..LINKS).for_each(|i| c.send(i));
            before.take();
        });
    });
}

/// goroutines.go: a daisy chain of ten thousand; a value goes in at one end and comes out at the other.
#[gort::test(unsafe(migrate))]
fn a_daisy_chain() {
    const LINKS: usize = 10_000;
    on_procs(|_| {
        let (leftmost_tx, leftmost) = gort::chan(0);
        let mut left = leftmost_tx;
        for _ in 0..LINKS {
            let (tx, right) = gort::chan::<usize>(0);
            gort::go!({
                let value = right.recv().unwrap();
                left.send(value + 1).unwrap();
            });
            left = tx;
        }
        gort::go!(left.send(0).unwrap());
        assert_eq!(leftmost.recv(), Ok(LINKS));
    });
}

/// nonblock.go: operations that do not wait fail until the other side waits, and then succeed.
#[gort::test(unsafe(migrate))]
fn without_waiting() {
    fn check<T: Send + Clone + PartialEq + std::fmt::Debug + 'static>(value: T) {
        for capacity in [0, 1, 10] {
            let c = Chan::<T>::new(capacity);
            assert!(c.try_recv().is_err());
            let waiting = c.clone();
            let receiver = gort::go(move || waiting.take());
            let mut tries = 0;
            while capacity == 0 && c.tx.try_send(value.clone()).is_err() {
                tries += 1;
                assert!(tries < 1_000_000, "the receiver never waits");
                gort::gosched();
            }
            if capacity > 0 {
                c.tx.try_send(value.clone()).unwrap();
            }
            assert_eq!(receiver.join().unwrap(), value);

            for _ in 0..capacity {
                c.tx.try_send(value.clone()).unwrap();
            }
            assert!(c.tx.try_send(value.clone()).is_err());
            let (waiting, sent) = (c.clone(), value.clone());
            let sender = gort::go(move || waiting.send(sent));
            for _ in 0..=capacity {
                while gort::select! {
                    recv(c.rx) -> got => { assert_eq!(got.as_ref(), Ok(&value)); false }
                    default => true,
                } {
                    gort::gosched();
                }
            }
            sender.join().unwrap();
        }
    }
    on_procs(|_| {
        check(123_i32);
        check("BBB".to_owned());
        check(true);
        check([7_u8; 300]);
        check(());
    });
}

/// select.go, select4.go, select5.go: what a select evaluates, how often, and in which order.
#[gort::test(unsafe(migrate))]
fn operands_are_evaluated_once_and_in_order() {
    alone(2, || {
        let log = RefCell::new(Vec::new());
        let note = |word: &'static str| log.borrow_mut().push(word);
        let (full, empty, ready) = (Chan::new(1), Chan::<u32>::new(0), Chan::new(1));
        full.send(0);
        ready.send(5);
        let (mut places, nil) = ([0; 3], Sender::nil());
        gort::select! {
            send({ note("full"); &full.tx }, { note("its value"); 1 }) -> _ => panic!("it is full"),
            recv({ note("empty"); &empty.rx }) -> _ => panic!("it is empty"),
            recv({ note("ready"); &ready.rx }) -> value => {
                note("body");
                places[{ note("place"); 1 }] = value.unwrap();
            }
            send({ note("nil"); &nil }, { note("its value"); 1 }) -> _ => panic!("it is nil"),
        }
        assert_eq!(places, [0, 5, 0]);
        assert_eq!(*log.borrow(), ["full", "empty", "ready", "nil", "body", "place"]);

        // The value to send is computed when its case is chosen, and only then.
        log.borrow_mut().clear();
        gort::select! {
            recv(empty.rx) -> _ => panic!("it is empty"),
            send({ note("ready"); &ready.tx }, { note("value"); 6 }) -> sent => { note("body"); sent.unwrap() }
        }
        assert_eq!(*log.borrow(), ["ready", "value", "body"]);
        assert_eq!(ready.take(), 6);
    });
}

/// select2.go: a select that waits leaves nothing behind, however often.
#[gort::test(unsafe(migrate))]
fn selects_do_not_pile_up() {
    alone(2, || {
        let (c, never, end) = (Chan::new(0), Chan::<()>::new(0), Chan::<()>::new(0));
        gort::scope(|s| {
            let sender = |n: usize| {
                for i in 0..n {
                    gort::select! {
                        send(c.tx, i) -> sent => sent.unwrap(),
                        recv(never.rx) -> _ => unreachable!(),
                        recv(end.rx) -> _ => unreachable!(),
                    }
                }
            };
            let turn = |n: usize| {
                let handle = s.go(move || sender(n));
                for i in 0..n {
                    gort::select! {
                        recv(c.rx) -> value => assert_eq!(value, Ok(i)),
                        recv(never.rx) -> _ => unreachable!(),
                    }
                }
                handle.join().unwrap();
            };
            turn(20_000);
            let before = resident();
            turn(100_000);
            let grown = resident().saturating_sub(before);
            // A word kept per select would be 800 KB and more.
            assert!(grown < 600_000, "{grown} bytes more");
        });
    });
}

/// select3.go, closedchan.go: what waits and what does not on nil, closed, empty and full channels.
#[gort::test(unsafe(migrate))]
fn what_waits_and_what_does_not() {
    /// Whether `operation` is still at it after a while. It is left alone if so.
    fn waits(operation: impl FnOnce() + Send + 'static) -> bool {
        let done = std::sync::Arc::new(AtomicBool::new(false));
        let flag = std::sync::Arc::clone(&done);
        gort::go!({
            operation();
            flag.store(true, Ordering::Relaxed);
        });
        settle();
        if done.load(Ordering::Relaxed) {
            return false;
        }
        settle();
        !done.load(Ordering::Relaxed)
    }
    /// It ends, however slow the machine.
    fn passes(operation: impl FnOnce() + Send + 'static) {
        gort::go(operation).join().unwrap();
    }
    let closed = || {
        let c = Chan::<u32>::new(0);
        c.close();
        c
    };
    on_procs(|_| {
        assert!(waits(|| panic!("{:?} to nil", Sender::<u32>::nil().send(1))));
        assert!(waits(|| panic!("{:?} from nil", Receiver::<u32>::nil().recv())));
        assert!(waits(|| gort::select! { recv(Receiver::<u32>::nil()) -> _ => () }));
        assert!(waits(|| gort::select! {
            recv(Receiver::<u32>::nil()) -> _ => (),
            send(Sender::nil(), 1) -> _ => (),
        }));
        assert!(waits(|| gort::select! {}));
        passes(|| gort::select! { recv(Receiver::<u32>::nil()) -> _ => panic!("from nil"), default => () });
        passes(|| gort::select! { send(Sender::nil(), 1) -> _ => panic!("to nil"), default => () });

        let c = closed();
        passes(move || assert_eq!(c.tx.send(1), Err(SendError(1))));
        let c = closed();
        passes(move || (0..3).for_each(|_| assert_eq!(c.recv(), Err(RecvError))));
        let c = closed();
        passes(move || gort::select! { send(c.tx, 1) -> sent => assert_eq!(sent, Err(SendError(1))) });
        let c = closed();
        passes(move || {
            gort::select! {
                recv(c.rx) -> value => assert_eq!(value, Err(RecvError)),
                recv(Receiver::<u32>::nil()) -> _ => panic!("from nil"),
            }
        });
        let c = closed();
        passes(
            move || gort::select! { recv(c.rx) -> value => assert!(value.is_err()), default => panic!("it is ready") },
        );

        let c = Chan::<u32>::new(0);
        let held = c.clone();
        assert!(waits(move || panic!("{:?} from an empty channel", c.recv())));
        assert!(waits(|| {
            let c = Chan::new(0);
            c.send(1);
        }));
        let full = Chan::new(10);
        (0..10).for_each(|i| full.send(i));
        let c = full.clone();
        assert!(waits(move || c.send(10)));
        drop(held);
    });
}

/// What closing twice and closing nil say.
#[gort::test(unsafe(migrate))]
fn misuse_of_close_panics() {
    fn text(f: impl FnOnce() + Send + 'static) -> String {
        let payload = gort::go(f).join().unwrap_err();
        payload
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| payload.downcast_ref::<&str>().unwrap().to_string())
    }
    alone(2, || {
        let twice = || {
            let c = Chan::<u8>::new(0);
            c.close();
            c.close();
        };
        assert_eq!(text(twice), "close of closed channel");
        assert_eq!(text(|| Sender::<u8>::nil().close()), "close of nil channel");
    });
}

/// select6.go: selects that give up leave the queues of channels in order, so that whoever came between them is served.
#[gort::test(unsafe(migrate))]
fn a_queue_survives_those_who_leave() {
    on_procs(|_| {
        for _ in 0..20 {
            let (c1, c2, c3) = (Chan::new(0), Chan::new(0), Chan::new(0));
            gort::scope(|s| {
                s.go(|| assert_eq!(c1.recv(), Ok(1)));
                settle();
                s.go(|| {
                    gort::select! {
                        recv(c1.rx) -> _ => panic!("that is for others"),
                        recv(c2.rx) -> value => assert_eq!(value, Ok(2)),
                    }
                    c3.send(3);
                });
                settle();
                let last = s.go(|| c1.take());
                settle();
                c2.send(2);
                assert_eq!(c3.take(), 3);
                c1.send(1);
                c1.send(4);
                assert_eq!(last.join().unwrap(), 4);
            });
        }
    });
}

/// select7.go: every way to send meets every way to receive, whoever comes first.
#[gort::test(unsafe(migrate))]
fn every_sender_meets_every_receiver() {
    type Way = fn(&Chan<u32>, u32);
    fn with_yields(ready: impl Fn() -> bool) {
        while !ready() {
            gort::gosched();
        }
    }
    fn dynamic(c: &Chan<u32>, value: Option<u32>) -> Option<u32> {
        let never = Chan::<u32>::new(0);
        let mut select = Select::new();
        select.recv(&never.rx);
        match value {
            Some(value) => {
                select.send(&c.tx);
                select.select().send(&c.tx, value).unwrap();
                None
            }
            None => {
                select.recv(&c.rx);
                Some(select.select().recv(&c.rx).unwrap())
            }
        }
    }
    let senders: [Way; 5] = [
        |c, v| c.send(v),
        |c, v| with_yields(|| c.tx.try_send(v).is_ok()),
        |c, v| gort::select! { send(c.tx, v) -> sent => sent.unwrap() },
        |c, v| {
            gort::select! {
                send(c.tx, v) -> sent => sent.unwrap(),
                recv(Chan::<()>::new(0).rx) -> _ => (),
            }
        },
        |c, v| assert_eq!(dynamic(c, Some(v)), None),
    ];
    let receivers: [Way; 6] = [
        |c, v| assert_eq!(c.recv(), Ok(v)),
        |c, v| with_yields(|| c.try_recv().is_ok_and(|got| got == v)),
        |c, v| assert_eq!(c.rx.iter().next(), Some(v)),
        |c, v| gort::select! { recv(c.rx) -> value => assert_eq!(value, Ok(v)) },
        |c, v| {
            let never = Chan::<()>::new(0);
            gort::select! {
                recv(never.rx) -> _ => panic!("nobody sends there"),
                recv(c.rx) -> value => assert_eq!(value, Ok(v)),
            }
        },
        |c, v| assert_eq!(dynamic(c, None), Some(v)),
    ];
    on_procs(|_| {
        for (i, send) in senders.into_iter().enumerate() {
            for (j, receive) in receivers.into_iter().enumerate() {
                // Two that do not wait meet in a buffer only.
                let capacity = usize::from(i == 1 && j == 1);
                for sender_first in [true, false] {
                    let c = Chan::new(capacity);
                    let value = (10 * i + j) as u32;
                    let (first, second) = if sender_first { (send, receive) } else { (receive, send) };
                    gort::scope(|s| {
                        s.go(|| first(&c, value));
                        gort::gosched();
                        second(&c, value);
                    });
                }
            }
        }
    });
}

/// sieve1.go: primes from a chain of filters that grows with each.
#[gort::test(unsafe(migrate))]
fn the_sieve() {
    on_procs(|_| {
        let (tx, mut numbers) = gort::chan(0);
        gort::go!({
            // Ends when nobody listens any more.
            let _ = (2..).try_for_each(|i: u32| tx.send(i));
        });
        let mut primes = Vec::new();
        for _ in 0..60 {
            let prime = numbers.recv().unwrap();
            primes.push(prime);
            let (tx, rest) = gort::chan(0);
            let all = std::mem::replace(&mut numbers, rest);
            gort::go!({
                let _ = all.iter().filter(|i| i % prime != 0).try_for_each(|i| tx.send(i));
            });
        }
        let expected: Vec<u32> = (2..282).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
        assert_eq!(primes, expected);
    });
}

/// sieve2.go: one goroutine that merges many streams by a select it rebuilds as it goes: the multiples of each prime
/// found so far, of which those below its square do not matter.
#[gort::test(unsafe(migrate))]
fn the_sieve_of_selects() {
    fn multiples(prime: u32) -> Receiver<u32> {
        let (tx, rx) = gort::chan(10);
        gort::go!({
            let _ = (prime..).map(|factor| factor * prime).try_for_each(|n| tx.send(n));
        });
        rx
    }
    on_procs(|_| {
        let mut primes = vec![2];
        let mut streams = vec![(multiples(2), None)];
        for candidate in 3..400 {
            // The streams whose next multiple is not known yet, whichever comes first.
            loop {
                let open: Vec<usize> = (0..streams.len())
                    .filter(|&i| streams[i].1.is_none_or(|next| next < candidate))
                    .collect();
                if open.is_empty() {
                    break;
                }
                let (chosen, next) = {
                    let mut select = Select::new();
                    for &i in &open {
                        select.recv(&streams[i].0);
                    }
                    let operation = select.select();
                    let chosen = open[operation.index()];
                    (chosen, operation.recv(&streams[chosen].0).unwrap())
                };
                streams[chosen].1 = Some(next);
            }
            if streams.iter().all(|(_, next)| *next != Some(candidate)) {
                primes.push(candidate);
                streams.push((multiples(candidate), None));
            }
        }
        let expected: Vec<u32> = (2..400).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
        assert_eq!(primes, expected);
    });
}

/// zerosize.go: values without a size need no memory, and still have a number.
#[gort::test(unsafe(migrate))]
fn values_without_size() {
    alone(2, || {
        const MANY: usize = 1 << 30;
        let c = Chan::new(MANY);
        (0..1000).for_each(|_| c.send(()));
        assert_eq!((c.rx.len(), c.rx.capacity()), (1000, Some(MANY)));
        c.close();
        assert_eq!(c.rx.iter().count(), 1000);

        let c = Chan::<[u64; 0]>::new(0);
        gort::scope(|s| {
            s.go(|| c.send([]));
            assert_eq!(c.recv(), Ok([]));
        });
    });
}
