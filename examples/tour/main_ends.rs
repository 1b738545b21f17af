//! Idea: when the main goroutine returns the process ends, whatever else still runs.
//!
//! Go does not wait for goroutines, and neither does gort: a detached goroutine is no reason to stay. The second half
//! of this stop runs as a process of its own: it starts a goroutine that would print after a while, and returns.

use std::time::Duration;

use crate::kit;

pub(crate) fn run() {
    let output = kit::child("main_ends");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    println!("exit status {}", output.status.code().unwrap_or(-1));
}

pub(crate) fn child() {
    gort::go! {
        gort::sleep(Duration::from_secs(60));
        println!("this line is never printed");
    };
    println!("main returns");
}
