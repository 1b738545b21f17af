//! When waiting awake is better than going to sleep: shortly, and only if somebody else can run meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A few rounds of busy waiting before a sleep.
pub(super) struct Spinner {
    rounds: u32,
}

/// One is enough for a model: it is a step that does nothing.
const ROUNDS: u32 = if cfg!(loom) { 1 } else { 4 };
const PAUSES: u32 = 30;

impl Spinner {
    pub(super) fn new() -> Spinner {
        Spinner { rounds: if cpus() > 1 { ROUNDS } else { 0 } }
    }

    /// Waits for one round; false if it is time to sleep.
    pub(super) fn spin(&mut self) -> bool {
        if self.rounds == 0 {
            return false;
        }
        self.rounds -= 1;
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
        true
    }
}

/// How many threads can run at a time. Asked once: the answer costs some system calls.
pub(super) fn cpus() -> usize {
    static CPUS: AtomicUsize = AtomicUsize::new(0);
    match CPUS.load(Ordering::Relaxed) {
        0 => {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            CPUS.store(cpus, Ordering::Relaxed);
            cpus
        }
        cpus => cpus,
    }
}
