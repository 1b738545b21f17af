//! How many descriptors the process has open.
//!
//! Tests of one program run at the same time, so one that counts needs a process of its own: it starts itself again.

use std::process::Command;
use std::time::Duration;

/// How many descriptors are open, without those that the runtime's own threads open for a moment, to read of themselves in
/// `/proc`: the least of several looks.
pub(crate) fn open() -> usize {
    let look = || std::fs::read_dir("/proc/self/fd").expect("the process's descriptors").count();
    let looks = (0..20).map(|_| {
        std::thread::sleep(Duration::from_micros(500));
        look()
    });
    looks.min().expect("there are looks") - 1 // the one that reads
}

/// Runs `test` in a process of its own; returns whether this is that process.
pub(crate) fn in_own_process(test: &str) -> bool {
    const MARK: &str = "GORT_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("the test program");
    let output = Command::new(program)
        .args(["--exact", test, "--test-threads=1", "--nocapture"])
        .env(MARK, "1")
        .output()
        .expect("the test program runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{}: {text}", output.status);
    false
}
