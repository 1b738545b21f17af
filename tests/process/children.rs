//! Programs whose goroutines start other processes.

use crate::child::ok;

ok! {
    commands_beside_hogs "child-commands"
    forks_beside_hogs "child-forks"
    forks_that_execute_beside_hogs "child-execs"
    children_inherit_no_signals "child-signals"
}
