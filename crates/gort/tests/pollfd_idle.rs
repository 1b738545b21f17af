//! Goroutines that wait for descriptors cost nothing. Alone in its process, whose CPU time is looked at.

mod pollfd_cases;

use std::time::Duration;

use pollfd_cases::End;

/// CPU time of this process so far.
fn cpu_time() -> Duration {
    // SAFETY: zeroes are a rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is ours.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) }, 0);
    let duration = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

#[gort::test(unsafe(migrate))]
fn a_thousand_blocked_readers_use_no_cpu() {
    // Two descriptors for each pair; the usual limit is 1024 in all.
    let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
    // SAFETY: the structure is ours.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0;
    let count = if raised { 1000 } else { 400 };
    let (ends, readers): (Vec<_>, Vec<_>) = (0..count)
        .map(|_| {
            let (one, other) = End::pair();
            (one, gort::go(move || other.read(&mut [0; 8]).expect("the other end closes")))
        })
        .unzip();
    while gort::runtime::stats().waiting < count {
        gort::sleep(Duration::from_millis(10));
    }
    // Until everything has come to rest, the monitor as well; the busier the machine, the later.
    let used = || {
        gort::sleep(Duration::from_millis(500));
        let before = cpu_time();
        gort::sleep(Duration::from_secs(2));
        cpu_time() - before
    };
    let idles = (0..5).any(|_| used() < Duration::from_millis(100));
    assert!(idles, "CPU time while everybody waits");
    drop(ends);
    for reader in readers {
        assert_eq!(reader.join().expect("no panic"), 0);
    }
}
