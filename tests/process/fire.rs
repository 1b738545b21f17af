//! GOMAXPROCS is a bound on the threads that run goroutines, whatever these do, and can change at any time.

use crate::child::{ending, ok, run};

ok! {
    lowering_it_takes_effect "fire-lowered"
    timers_of_processors_that_went_away "fire-timers-of-removed"
    it_bounds_hogs "fire-bound"
    it_bounds_those_who_wake_from_the_kernel "fire-bound-strays"
}

#[test]
fn changing_it_loses_nothing() {
    for procs in ["1", "2", "4"] {
        let ended = run(ending(&["fire-changes"]).env("GOMAXPROCS", procs));
        ended.status(0).said(&["ok"]).complained("seed ");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
    }
}
