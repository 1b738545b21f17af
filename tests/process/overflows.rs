//! Stack overflows: each on its kind of stack, with its report; and the lesser guards.

use crate::child::{end, ending, run};

const CURE: &str = "\nruntime: give it a larger stack with Builder::stack_size or GORT_STACK, \
                    or recurse inside gort::maybe_grow\nfatal error: stack overflow\n\ngoroutine ";

#[track_caller]
fn overflows(place: &str, guard: Option<&str>, kib: std::ops::RangeInclusive<usize>) -> crate::child::Ended {
    let mut command = ending(&["overflow", place]);
    if let Some(way) = guard {
        command.env("GORT_GUARD", way);
    }
    let ended = run(&mut command);
    ended.status(2).said(&[]).complained(CURE);
    let text = &ended.stderr;
    let limit = text.split_once("runtime: goroutine stack exceeds ").expect(text).1;
    let limit: usize = limit.split_once("-byte limit\nruntime: sp=0x").expect(text).0.parse().unwrap();
    // Guard and goroutine record are part of the size asked for.
    assert!(kib.contains(&limit.div_ceil(1024)), "{limit} bytes in\n{ended}");
    ended
}

#[test]
fn is_reported_on_every_kind_of_stack() {
    for guard in [None, Some("mprotect")] {
        for place in ["goroutine", "pinned", "blocking", "scope", "others-run"] {
            overflows(place, guard, 200..=256).complained(" [running]:\n");
        }
        overflows("named", guard, 200..=256).complained(" [running labels:{\"name\": \"digger\"}]:\n");
        overflows("small", guard, 40..=64);
        overflows("large", guard, 4000..=4096);
        overflows("main", guard, 65_000..=65_536)
            .complained("goroutine 1 [running labels:{\"name\": \"main\"}]:\n");
        overflows("segment", guard, 450..=512);
    }
}

#[test]
fn of_a_plain_thread_is_std_s_business() {
    end(&["overflow", "thread"])
        .signal(6)
        .complained("thread 'plain'")
        .complained("has overflowed its stack")
        .silent_about("goroutine");
}

#[test]
fn the_lesser_guards_do() {
    for guard in ["mprotect", "none"] {
        let ended = run(ending(&["works-unguarded"]).env("GORT_GUARD", guard));
        ended.status(0).said(&["works"]);
        let warned = ended.stderr.matches("gort: warning: no more guard pages can be had").count();
        assert_eq!(warned, usize::from(guard == "none"), "{ended}");
    }
}

#[test]
fn is_found_at_a_park_where_there_is_no_guard() {
    let ended = run(ending(&["overflow-parks"]).env("GORT_GUARD", "none"));
    ended.status(2).said(&["down"]).complained("fatal error: stack overflow: goroutine ");
}
