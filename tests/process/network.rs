//! Deadlocks and the network: whoever waits for a descriptor can be woken, and a machine that looks at nobody's can not.

use crate::child::{end, ending, run};

#[test]
fn who_waits_for_a_descriptor_is_no_deadlock() {
    for name in ["network-nothing-else-to-wait-for", "network-thread-waits"] {
        for procs in ["1", "4"] {
            run(ending(&[name]).env("GOMAXPROCS", procs)).status(0).said(&["it came"]);
        }
    }
}

#[test]
fn waits_with_deadlines_in_calls_while_gomaxprocs_changes() {
    end(&["network-deadlines-in-calls"]).status(0).said(&["ok"]);
}

#[test]
fn a_machine_that_sleeps_in_the_poller_for_nobody_hides_no_deadlock() {
    for procs in ["1", "2", "4"] {
        let ended = run(ending(&["network-deadlock-after"]).env("GOMAXPROCS", procs));
        ended.status(2).said(&["nobody waits"]).complained("all goroutines are asleep - deadlock!");
    }
}
