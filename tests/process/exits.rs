//! Parking in the destructors of thread-locals, when nothing is left of the thread but them: it is a plain OS thread then,
//! whatever it was before.

use crate::child::end;

#[test]
fn destructors_of_thread_locals_may_wait_when_their_thread_ends() {
    for thread in ["machine", "thread", "main"] {
        for (what, words) in
            [("recv", "received"), ("lock", "locked"), ("select", "selected"), ("go", "joined")]
        {
            let ended = end(&["thread-exit", thread, what]);
            ended.status(0).said(&[words]);
            assert_eq!(ended.stderr, "", "{thread} {what}");
        }
    }
}

#[test]
fn a_destructor_that_waits_for_ever_is_part_of_a_deadlock() {
    for thread in ["machine", "thread"] {
        end(&["thread-exit", thread, "for-ever"])
            .status(2)
            .complained("fatal error: all goroutines are asleep - deadlock!\n");
    }
}
