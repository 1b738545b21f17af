//! Idea: four ways to call a function, three of them concurrent.
//!
//! Go writes `go f(x)`, `go func() { .. }()` and `go fv(x)` with a function value. In gort a goroutine is started with
//! a closure, `gort::go(move || f(x))`, which gives a handle to join; the `go!` macro is the statement form that looks
//! like Go's and detaches. The Go program waits for its goroutines by sleeping; so do we here, as in the first
//! programs one writes. The stops after this one do better.

use crate::kit::pace;

fn say(text: &str) {
    for _ in 0..3 {
        println!("{text}");
        gort::sleep(pace(20));
    }
}

pub(crate) fn run() {
    say("direct call");

    // go say("goroutine-1")
    gort::go!(say("goroutine-1"));

    // go func() { say("goroutine-2") }()
    gort::go! {
        let text = String::from("goroutine-2");
        say(&text);
    };

    // fv := say; go fv("goroutine-3")
    let function_value: fn(&str) = say;
    let handle = gort::go(move || function_value("goroutine-3"));

    println!("wait for goroutines to end");
    gort::sleep(pace(2000));
    handle.join().unwrap();
    println!("done..");
}
