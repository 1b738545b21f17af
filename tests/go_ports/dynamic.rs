//! Selects over lists of cases (reflect's Select, reflect/all_test.go).

use std::panic::{AssertUnwindSafe, catch_unwind};

use gort::channel::{Receiver, Select, Sender};

use crate::support::{Chance, alone, on_procs};

/// The most cases: Go's number.
const MOST: usize = 65_536;

/// TestSelectMaxCases: a select can have 65,536 cases, each of which can be chosen, and not one more.
#[gort::test(unsafe(migrate))]
fn as_many_cases_as_in_go() {
    alone(2, || {
        let (tx, rx) = gort::chan(1);
        let never = Receiver::<usize>::nil();
        for chosen in [0, 1, MOST / 2 + 1, MOST - 1] {
            let mut select = Select::new();
            for case in 0..MOST {
                let case_number = select.recv(if case == chosen { &rx } else { &never });
                assert_eq!(case_number, case);
            }
            assert!(select.try_select().is_err(), "nothing has been sent");
            tx.send(chosen).unwrap();
            let operation = select.select();
            assert_eq!(operation.index(), chosen);
            assert_eq!(operation.recv(&rx), Ok(chosen));
            let text = catch_unwind(AssertUnwindSafe(|| select.recv(&rx))).unwrap_err();
            let text = text.downcast_ref::<String>().unwrap();
            assert_eq!(text, "Select: too many cases (max 65536)");
        }
    });
}

/// The same with a channel for each case: all are locked at a time, waited for, and left again.
#[gort::test(unsafe(migrate))]
fn thousands_of_channels_are_waited_for() {
    const CHANNELS: usize = 10_000;
    on_procs(|_| {
        let chance = Chance::new();
        let (txs, rxs): (Vec<Sender<u64>>, Vec<Receiver<u64>>) =
            (0..CHANNELS).map(|case| gort::chan(case % 2)).unzip();
        let mut select = Select::new();
        for rx in &rxs {
            select.recv(rx);
        }
        for _ in 0..20 {
            let at = chance.below(CHANNELS as u64) as usize;
            let (sender, value) = (txs[at].clone(), chance.below(1000));
            // Mostly the select sleeps by the time of the send.
            let sent = gort::go(move || {
                gort::gosched();
                sender.send(value).unwrap();
            });
            let operation = select.select();
            assert_eq!(operation.index(), at);
            assert_eq!(operation.recv(&rxs[at]), Ok(value));
            sent.join().unwrap();
        }
        assert!(select.try_select().is_err());
        // Nobody is left in a queue: a send that does not wait finds nobody.
        assert!(txs.iter().step_by(2).all(|tx| tx.try_send(0).is_err()));
    });
}

/// A channel whose case in a select is prepared to be ready, or not to be.
struct Prepared {
    tx: Sender<u64>,
    rx: Receiver<u64>,
    sends: bool,
    ready: bool,
}

impl Prepared {
    fn new(chance: &Chance) -> Prepared {
        let sends = chance.below(2) == 0;
        let (tx, rx) = gort::chan(1);
        let (tx, rx, ready) = match chance.below(6) {
            0 => (Sender::nil(), Receiver::nil(), false),
            // Closed: a send fails at once, a receive gets the end.
            1 => {
                tx.close();
                (tx, rx, true)
            }
            2 | 3 => {
                tx.send(FILLED).unwrap();
                (tx, rx, !sends)
            }
            _ => (tx, rx, sends),
        };
        Prepared { tx, rx, sends, ready }
    }

    /// Makes the case ready, as another goroutine would. False if nothing can.
    fn help(&self) -> bool {
        match (self.sends, self.rx.capacity()) {
            (_, Some(0)) => false,
            (true, _) => self.rx.recv() == Ok(FILLED),
            (false, _) => self.tx.send(FILLED).is_ok(),
        }
    }
}

const FILLED: u64 = 7;

/// TestSelect: of random lists of cases one is chosen that is ready, its operation does what it would have done alone,
/// and the others are left as they were.
#[gort::test(unsafe(migrate))]
fn random_lists_of_cases() {
    on_procs(|_| {
        let chance = Chance::new();
        let mut chosen = 0;
        for _ in 0..2000 {
            let cases: Vec<_> = (0..1 + chance.below(24)).map(|_| Prepared::new(&chance)).collect();
            let mut select = Select::new();
            for case in &cases {
                let _ = if case.sends { select.send(&case.tx) } else { select.recv(&case.rx) };
            }
            let mut ready: Vec<bool> = cases.iter().map(|case| case.ready).collect();
            if !ready.contains(&true) {
                assert!(select.try_select().is_err());
                let at = chance.below(cases.len() as u64) as usize;
                ready[at] = cases[at].help();
                if !ready[at] {
                    continue;
                }
            }
            let before: Vec<_> = cases.iter().map(|case| case.rx.len()).collect();
            let operation = select.select();
            let at = operation.index();
            assert!(ready[at], "case {at} of {ready:?}");
            let case = &cases[at];
            let closed = case.rx.is_closed();
            if case.sends {
                assert_eq!(operation.send(&case.tx, FILLED).is_err(), closed);
            } else {
                assert_eq!(operation.recv(&case.rx).is_err(), closed);
            }
            chosen += 1;
            for (other, case) in cases.iter().enumerate() {
                let moved = usize::from(other == at && !closed);
                let now = if case.sends { before[other] + moved } else { before[other] - moved };
                assert_eq!(case.rx.len(), now, "case {other}, of which {at} was chosen");
            }
        }
        assert!(chosen > 1000, "{chosen} of 2000 lists");
    });
}

/// TestSelectNop, TestSelect: without cases there is nothing to choose, and nothing to wait for.
#[gort::test(unsafe(migrate))]
fn no_cases_at_all() {
    alone(1, || {
        assert!(Select::new().try_select().is_err());
        assert!(Select::new().select_timeout(std::time::Duration::from_millis(1)).is_err());
        let text = catch_unwind(|| Select::new().ready()).unwrap_err();
        let text = text.downcast_ref::<&str>().unwrap();
        assert_eq!(*text, "no operations have been added to `Select`");
        gort::select! { default => {} }
    });
}
