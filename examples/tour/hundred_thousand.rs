//! Idea: a hundred thousand goroutines are no problem.
//!
//! All of them are alive together: each reports that it has come and then waits for the broadcast. The stop prints
//! how much memory the process gained per goroutine. Go starts with 2 KiB of stack and copies the stack when it must
//! grow; Rust's stacks cannot be moved, so gort reserves address space for a full stack, of which only the pages that
//! have been touched take memory: at least one page each. `TOUR_GOROUTINES` sets another number.

use gort::sync::WaitGroup;

fn count() -> usize {
    std::env::var("TOUR_GOROUTINES")
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|&n| n > 0)
        .unwrap_or(100_000)
}

/// Resident memory of this process in bytes; `None` where /proc does not tell.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

pub(crate) fn run() {
    let count = count();
    let wg = WaitGroup::new();
    let (here, arrivals) = gort::chan(1024);
    let (stop, stopped) = gort::chan::<()>(0);
    let before = resident();

    for _ in 0..count {
        let (here, stopped) = (here.clone(), stopped.clone());
        wg.go(move || {
            here.send(()).unwrap();
            assert!(stopped.recv().is_err());
        });
    }
    for _ in 0..count {
        arrivals.recv().unwrap();
    }
    println!("{count} goroutines are alive: {}", gort::runtime::num_goroutine() > count);
    match (before, resident()) {
        (Some(before), Some(after)) => println!("about {} bytes each", after.saturating_sub(before) / count),
        _ => println!("about ? bytes each"),
    }

    stop.close();
    wg.wait();
    println!("all {count} have ended");
}
