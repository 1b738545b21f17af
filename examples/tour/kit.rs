//! What the stops of the tour share: the pace, looking at parked goroutines, and child processes.
//!
//! The documents behind the tour sleep for seconds so that a person can watch. The tour shortens every such pause by
//! [`speed`], twenty unless `TOUR_SPEED` says otherwise; `TOUR_SPEED=1` is real time.

use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A pause that the mirrored program writes as `millis` milliseconds, at the tour's speed.
pub(crate) fn pace(millis: u64) -> Duration {
    Duration::from_millis(millis).div_f64(*speed())
}

fn speed() -> &'static f64 {
    static SPEED: LazyLock<f64> = LazyLock::new(|| {
        let asked = std::env::var("TOUR_SPEED").ok().and_then(|text| text.parse().ok());
        asked.filter(|speed: &f64| speed.is_finite() && *speed > 0.0).unwrap_or(20.0)
    });
    &SPEED
}

/// How many goroutines are parked now: on a channel, a lock, a timer.
pub(crate) fn parked() -> usize {
    gort::runtime::stats().waiting
}

/// Waits until `count` goroutines are parked. A real program never needs this; a demonstration of what happens to a
/// goroutine *that already waits* does.
pub(crate) fn until_parked(count: usize) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while parked() < count {
        assert!(Instant::now() < give_up, "the goroutines of this stop never came to wait");
        gort::sleep(Duration::from_millis(1));
    }
}

/// Runs `f` with GOMAXPROCS set to `procs`, then puts the old value back.
pub(crate) fn with_gomaxprocs<T>(procs: usize, f: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            gort::runtime::gomaxprocs(self.0);
        }
    }
    let _restore = Restore(gort::runtime::gomaxprocs(procs));
    f()
}

/// Runs the second half of a stop, the one that ends its process, in a process of its own.
pub(crate) fn child(stop: &str) -> Output {
    let tour = std::env::current_exe().expect("the tour knows where its program lies");
    Command::new(tour).args([stop, "child"]).output().expect("the tour can start itself again")
}

/// Prints the first line of what a child wrote to stderr, and how it ended.
pub(crate) fn print_fatal(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    println!("{}", stderr.lines().next().unwrap_or("(nothing on stderr)"));
    match output.status.code() {
        Some(code) => println!("exit status {code}"),
        None => println!("{}", output.status),
    }
}

/// The text of a panic, from what `join` or `catch_unwind` gives.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "(not a text)",
    }
}
