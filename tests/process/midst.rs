//! Whatever a goroutine is in the middle of when it is stopped, it goes on rightly, and others do meanwhile.

use crate::child::{ending, ok, run};

ok! {
    in_the_middle_of_malloc "midst-malloc"
    in_the_middle_of_a_vector_that_grows "midst-vec"
    holding_a_lock_that_others_want "midst-mutex"
    holding_a_lock_of_readers_and_writers "midst-rwlock"
    with_registers_flags_and_a_red_zone_in_use "midst-numbers"
    near_the_end_of_its_stack "midst-deep"
    on_further_segments_of_stack "midst-grown"
    in_the_middle_of_a_thread_local "midst-thread-local"
    in_destructors_while_a_panic_unwinds "midst-unwinding"
    in_the_middle_of_catching_panics "midst-catching"
    between_an_error_and_its_number "midst-errno"
    in_the_middle_of_a_string_instruction "midst-string-copy"
}

#[test]
fn in_the_middle_of_printing() {
    for procs in ["1", "2", "4"] {
        let ended = run(ending(&["midst-println"]).env("GOMAXPROCS", procs));
        ended.status(0);
        assert_eq!(ended.stderr, "");
        let (last, lines) =
            ended.stdout.lines().collect::<Vec<_>>().split_last().map(|(l, ls)| (*l, ls.to_vec())).unwrap();
        assert_eq!(last, "ok");
        let whole = |line: &str| line.len() == 60 && line.bytes().all(|byte| byte == line.as_bytes()[0]);
        assert!(lines.len() >= 100 && lines.iter().all(|line| whole(line)), "{procs}");
    }
}
