//! Panics of wrong use: the words, and that they name the user's own line.

use crate::child::end;

#[test]
fn panics_with_words_that_name_the_callers_line() {
    for (what, words) in [
        ("capacity", "makechan: size out of range"),
        ("capacity-in-bytes", "makechan: size out of range"),
        ("tick", "non-positive interval for NewTicker"),
        ("tick-reset", "non-positive interval for Ticker.Reset"),
        ("wait-group", "sync: negative WaitGroup counter"),
        ("double-close", "close of closed channel"),
        ("nil-close", "close of nil channel"),
        (
            "grow-size",
            "gort: maybe_grow: no further stack can be had: gort: stack size out of range: 1 bytes",
        ),
    ] {
        end(&["misuse", what]).status(101).complained(words).complained("ending/misuse.rs:");
    }
}

#[test]
fn outside_the_runtime_says_how_to_get_in() {
    for what in
        ["go", "statement", "builder", "scope", "goexit", "gomaxprocs", "set-max-threads", "wait-group-go"]
    {
        end(&["outside", what])
            .status(101)
            .complained("\ngort: no runtime: enter it with #[gort::main(unsafe(migrate))]\n")
            .complained("ending/misuse.rs:");
    }
    end(&["outside", "maybe-grow"])
        .status(101)
        .complained("gort: no runtime: enter it with")
        .complained("misuse.rs:");
}
