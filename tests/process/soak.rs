//! A second of everything at once; `ci/soak.sh` does it for longer.

use crate::child::{ending, run};

#[test]
fn everything_at_once_for_a_while() {
    let ended = run(&mut ending(&["soak", "1"]));
    ended.status(0).said(&["ok"]).complained("seed ");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
}
