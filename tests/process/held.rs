//! What is said of programs that break the one rule, and what becomes of their goroutines.

use crate::child::{Ended, ending, run};

/// A goroutine that receives in this way while its old thread is in that state.
fn held(what: &str, beside: &str, check: Option<&str>) -> Ended {
    let mut command = ending(&["held", what, beside]);
    command.env("GOMAXPROCS", "1");
    if let Some(check) = check {
        command.env("GORT_TLSCHECK", check);
    }
    run(&mut command)
}

impl Ended {
    #[track_caller]
    fn reports(&self, count: usize) -> &Ended {
        assert_eq!(self.stderr.matches("gort: goroutine ").count(), count, "{self}");
        self
    }
}

#[test]
#[cfg_attr(
    not(debug_assertions),
    ignore = "optimised, a program uses its own thread-locals without an address"
)]
fn a_borrow_across_a_park_is_reported_once_and_the_goroutine_left_to_its_thread() {
    for (what, thread_local) in [("borrow", "COUNT"), ("borrow-of-a-cell", "LOG")] {
        held(what, "idle", Some("1"))
            .status(0)
            .said(&["stays"])
            .reports(1)
            .complained("keeps a reference to the thread-local ")
            .complained(&format!("held::{thread_local} of its OS thread (gort-m"))
            .complained("\theld by ")
            .complained("ending/held.rs:")
            .complained("gort::channel::receiver::Receiver<T>::recv(...)\n")
            .complained("created by ending::held::held");
    }
}

#[test]
fn an_rc_that_a_thread_local_shares_is_reported_while_it_is_held() {
    held("rc", "idle", Some("1"))
        .status(0)
        .said(&["stays"])
        .reports(1)
        .complained("keeps a pointer that it shares with the thread-local ")
        .complained("held::STATE of its OS thread");
}

#[test]
fn whose_thread_is_busy_goes_on_elsewhere() {
    let ended = held("rc", "busy", Some("1"));
    ended.status(0).said(&["changes threads"]).reports(1);
    ended.complained("It goes on on that thread if that is free");
}

/// (Of a thread that has ended nobody can say what its thread-locals kept pointers to; where they were is known.)
#[test]
#[cfg_attr(not(debug_assertions), ignore = "as above")]
fn whose_thread_is_gone_goes_on_elsewhere() {
    let ended = held("borrow", "gone", Some("1"));
    ended.status(0).said(&["changes threads"]).reports(1).complained("That thread has ended");
}

#[test]
fn who_keeps_the_rule_hears_nothing() {
    for (what, becomes) in
        [("rc-let-go-of", "changes threads"), ("nothing", "changes threads"), ("pinned", "stays")]
    {
        let ended = held(what, "busy", Some("1"));
        assert_eq!(ended.stderr, "", "{what}");
        assert!(ended.status(0).stdout.ends_with(&format!("{becomes}\n")), "{what}: {ended}");
    }
}

#[test]
fn the_check_can_be_turned_off_and_made_fatal() {
    let ended = held("rc", "busy", Some("0"));
    assert_eq!(ended.status(0).said(&["changes threads"]).stderr, "");
    held("rc", "busy", Some("fatal"))
        .status(2)
        .reports(1)
        .complained("\nfatal error: a goroutine holds something of its thread across a park\n");
}

#[test]
fn debug_builds_check_and_are_not_told_of_the_code_model() {
    let ended = held("rc", "busy", None);
    ended.status(0).reports(usize::from(cfg!(debug_assertions)));
    if cfg!(debug_assertions) {
        ended.silent_about("is built so that");
    }
}
