//! GOMAXPROCS is a bound on the threads that run goroutines, whatever these do, and can change at any time.

use crate::child::{ending, ok, ok_on, run};

ok! {
    it_bounds_hogs "fire-bound"
    it_bounds_those_who_wake_from_the_kernel "fire-bound-strays"
}

// Where the program itself says how many processors there are, one run is enough.

#[test]
fn lowering_it_takes_effect() {
    ok_on(&["2"], "fire-lowered");
}

#[test]
fn timers_of_processors_that_went_away() {
    ok_on(&["2"], "fire-timers-of-removed");
}

#[test]
fn changing_it_loses_nothing() {
    let ended = run(ending(&["fire-changes"]).env("GOMAXPROCS", "2"));
    ended.status(0).said(&["ok"]).complained("seed ");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
}
