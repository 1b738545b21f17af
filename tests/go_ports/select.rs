//! Select: one case and only one, a fair choice, races between selects, the same channel in several cases.

use std::sync::atomic::{AtomicUsize, Ordering};

use gort::channel::{Receiver, Select, Sender};

use crate::support::{Chan, alone, on_procs, settle};

/// TestNonblockSelectRace: of two channels one is ready at every moment, though never the same; a select that does not
/// wait has to see it.
#[gort::test(unsafe(migrate))]
fn a_select_decides_at_one_moment() {
    race_of_selects(|second| second.send(1));
}

/// TestNonblockSelectRace2: the same, and the second becomes ready by being closed.
#[gort::test(unsafe(migrate))]
fn a_select_decides_at_one_moment_beside_a_close() {
    race_of_selects(|second| second.close());
}

fn race_of_selects(make_ready: fn(&Chan<u32>)) {
    on_procs(|_| {
        for round in 0..5000 {
            let (first, second) = (Chan::new(1), Chan::new(1));
            first.send(1);
            let ready = gort::scope(|s| {
                let looker = s.go(|| {
                    gort::select! {
                        recv(first.rx) -> _ => true,
                        recv(second.rx) -> _ => true,
                        default => false,
                    }
                });
                make_ready(&second);
                gort::select! {
                    recv(first.rx) -> _ => (),
                    default => (),
                }
                looker.join().unwrap()
            });
            assert!(ready, "round {round}: no channel was ready");
        }
    });
}

/// TestSelfSelect: who selects both ends of one channel does not meet itself.
#[gort::test(unsafe(migrate))]
fn nobody_receives_from_itself() {
    on_procs(|_| {
        for capacity in [0, 10] {
            let c = Chan::new(capacity);
            gort::scope(|s| {
                for me in 0..2 {
                    let c = &c;
                    s.go(move || {
                        let got = |value: Result<usize, _>| {
                            let value = value.unwrap();
                            assert!(capacity > 0 || value != me, "{me} received from itself");
                        };
                        for turn in 0..1000 {
                            if me == 0 || turn % 2 == 0 {
                                gort::select! {
                                    send(c.tx, me) -> sent => sent.unwrap(),
                                    recv(c.rx) -> value => got(value),
                                }
                            } else {
                                gort::select! {
                                    recv(c.rx) -> value => got(value),
                                    send(c.tx, me) -> sent => sent.unwrap(),
                                }
                            }
                        }
                    });
                }
            });
        }
    });
}

/// TestSelectStress: four channels, each with a sender and a receiver of its own, and one goroutine that sends to all
/// and one that receives from all by select. Nothing is lost, nothing is made up.
#[gort::test(unsafe(migrate))]
fn select_stress() {
    const VALUES: usize = 4000;
    on_procs(|_| {
        let channels = [0, 0, 2, 3].map(Chan::<usize>::new);
        gort::scope(|s| {
            for c in &channels {
                s.go(move || (0..VALUES).for_each(|i| c.send(i)));
                s.go(move || {
                    for _ in 0..VALUES {
                        c.take();
                    }
                });
            }
            s.go(|| {
                let mut ends = channels.each_ref().map(|c| c.tx.clone());
                let mut sent = [0; 4];
                for _ in 0..4 * VALUES {
                    let chosen = gort::select! {
                        send(ends[3], sent[3]) -> result => { result.unwrap(); 3 }
                        send(ends[2], sent[2]) -> result => { result.unwrap(); 2 }
                        send(ends[0], sent[0]) -> result => { result.unwrap(); 0 }
                        send(ends[1], sent[1]) -> result => { result.unwrap(); 1 }
                    };
                    sent[chosen] += 1;
                    if sent[chosen] == VALUES {
                        ends[chosen] = Sender::nil();
                    }
                }
            });
            s.go(|| {
                let mut ends = channels.each_ref().map(|c| c.rx.clone());
                let mut received = [0; 4];
                for _ in 0..4 * VALUES {
                    let chosen = gort::select! {
                        recv(ends[0]) -> value => { value.unwrap(); 0 }
                        recv(ends[1]) -> value => { value.unwrap(); 1 }
                        recv(ends[2]) -> value => { value.unwrap(); 2 }
                        recv(ends[3]) -> value => { value.unwrap(); 3 }
                    };
                    received[chosen] += 1;
                    if received[chosen] == VALUES {
                        ends[chosen] = Receiver::nil();
                    }
                }
            });
        });
        assert!(channels.iter().all(|c| c.rx.is_empty()));
    });
}

/// TestSelectFairness: two channels that are always ready are chosen equally often, beside two that never are.
#[gort::test(unsafe(migrate))]
fn the_choice_is_fair() {
    const TRIALS: usize = 10_000;
    on_procs(|_| {
        let full = || {
            let c = Chan::new(TRIALS + 1);
            (0..=TRIALS).for_each(|_| c.send(()));
            c
        };
        let (one, two) = (full(), full());
        let (never, nor) = (Chan::<()>::new(0), Chan::<()>::new(0));
        let mut chosen = [0usize; 2];
        for _ in 0..TRIALS {
            gort::select! {
                recv(never.rx) -> _ => panic!("nobody sends there"),
                recv(nor.rx) -> _ => panic!("nobody sends there"),
                recv(one.rx) -> value => { value.unwrap(); chosen[0] += 1; }
                recv(two.rx) -> value => { value.unwrap(); chosen[1] += 1; }
            }
        }
        // Six standard deviations: once in five hundred million runs by chance alone.
        let tolerance = 6.0 * (TRIALS as f64 * 0.25).sqrt();
        let off = (chosen[0] as f64 - TRIALS as f64 / 2.0).abs();
        assert!(off < tolerance, "{chosen:?}");
    });
}

/// As above for a dynamic select, with many cases of which a few are ready.
#[gort::test(unsafe(migrate))]
fn the_choice_among_many_is_fair() {
    const READY: usize = 5;
    const TRIALS: usize = 10_000;
    alone(2, || {
        let channels: Vec<_> = (0..40).map(|_| Chan::new(TRIALS)).collect();
        let ready: Vec<_> = channels.iter().skip(3).step_by(8).collect();
        assert_eq!(ready.len(), READY);
        for c in ready {
            (0..TRIALS).for_each(|_| c.send(()));
        }
        let mut select = Select::new();
        for c in &channels {
            select.recv(&c.rx);
        }
        let mut chosen = vec![0usize; channels.len()];
        for _ in 0..TRIALS {
            let operation = select.select();
            let case = operation.index();
            operation.recv(&channels[case].rx).unwrap();
            chosen[case] += 1;
        }
        let share = 1.0 / READY as f64;
        let tolerance = 6.0 * (TRIALS as f64 * share * (1.0 - share)).sqrt();
        for (case, &times) in chosen.iter().enumerate().filter(|(case, _)| case % 8 == 3) {
            assert!((times as f64 - TRIALS as f64 * share).abs() < tolerance, "case {case}: {chosen:?}");
        }
    });
}

/// TestPseudoRandomSend: two cases that send to the same channel are both chosen.
#[gort::test(unsafe(migrate))]
fn sends_to_one_channel_are_chosen_at_random() {
    const VALUES: usize = 400;
    on_procs(|_| {
        for capacity in [0, VALUES] {
            let c = Chan::new(capacity);
            let ones = gort::scope(|s| {
                let receiver = s.go(|| {
                    let mut ones = 0;
                    for _ in 0..VALUES {
                        gort::gosched();
                        ones += c.take();
                    }
                    ones
                });
                for _ in 0..VALUES {
                    gort::select! {
                        send(c.tx, 1) -> sent => sent.unwrap(),
                        send(c.tx, 0) -> sent => sent.unwrap(),
                    }
                }
                receiver.join().unwrap()
            });
            assert!(
                (VALUES / 10..VALUES - VALUES / 10).contains(&ones),
                "{ones} of {VALUES}, capacity {capacity}"
            );
        }
    });
}

/// TestSelectDuplicateChannel: a select that waits twice on one channel leaves its queue whole when another case wins.
#[gort::test(unsafe(migrate))]
fn a_channel_twice_in_one_select() {
    on_procs(|_| {
        for _ in 0..20 {
            let (twice, other, done) = (Chan::new(0), Chan::new(0), Chan::new(0));
            gort::scope(|s| {
                s.go(|| {
                    gort::select! {
                        recv(twice.rx) -> _ => panic!("that was for the other one"),
                        recv(twice.rx) -> _ => panic!("that was for the other one"),
                        recv(other.rx) -> value => assert_eq!(value, Ok(7)),
                    }
                    done.send(9);
                });
                settle();
                let behind = s.go(|| twice.take());
                settle();
                other.send(7);
                assert_eq!(done.take(), 9);
                twice.send(8);
                assert_eq!(behind.join().unwrap(), 8);
            });
        }
    });
}

/// BenchmarkSelectProdCons: producers and consumers that also watch a timeout channel and a channel that ends them.
#[gort::test(unsafe(migrate))]
fn producers_and_consumers() {
    const ITEMS: usize = 5000;
    on_procs(|procs| {
        for capacity in [0, 1, 100] {
            let items = Chan::new(capacity);
            let never_ends = Chan::<()>::new(0);
            let late = gort::channel::after(std::time::Duration::from_secs(3600));
            let received = AtomicUsize::new(0);
            gort::scope(|s| {
                for _ in 0..procs {
                    s.go(|| {
                        for i in 0..ITEMS {
                            gort::select! {
                                send(items.tx, i) -> sent => sent.unwrap(),
                                recv(late) -> _ => panic!("not that slow"),
                                recv(never_ends.rx) -> _ => panic!("nobody ends it"),
                            }
                        }
                    });
                    s.go(|| {
                        for _ in 0..ITEMS {
                            gort::select! {
                                recv(items.rx) -> value => received.fetch_add(value.unwrap(), Ordering::Relaxed),
                                recv(late) -> _ => panic!("not that slow"),
                                recv(never_ends.rx) -> _ => panic!("nobody ends it"),
                            };
                        }
                    });
                }
            });
            assert_eq!(received.load(Ordering::Relaxed), procs * ITEMS * (ITEMS - 1) / 2);
        }
    });
}
