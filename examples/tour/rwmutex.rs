//! Idea: many readers or one writer.
//!
//! Three readers meet *inside* the lock: each takes the read lock and then waits at a barrier for the other two, which
//! would never return if readers excluded each other. The writer then has the lock for itself.

use gort::sync::{Barrier, RwLock};

pub(crate) fn run() {
    let config = RwLock::new("old");
    let meeting = Barrier::new(3);

    gort::scope(|s| {
        for reader in 1..=3 {
            let (config, meeting) = (&config, &meeting);
            s.go(move || {
                let value = config.read();
                meeting.wait();
                println!("reader {reader} sees {}", *value);
            });
        }
    });
    println!("3 readers were inside together");

    gort::scope(|s| {
        s.go(|| *config.write() = "new");
    });
    println!("after the writer: {}", *config.read());
}
