//! Idea: GOMAXPROCS is the number of goroutines that may run at the same moment.
//!
//! Concurrency needs one processor, parallelism two. To tell them apart two goroutines play an exchange that only
//! works well side by side: each spins until the other has answered, without ever waiting in a way the runtime could
//! see. In parallel an exchange takes well under a microsecond. On one processor the first goroutine spins in vain:
//! the other is not running, and if the runtime switches between them, it is once per time slice at best.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::kit::with_gomaxprocs;

const ENOUGH: usize = 1000;

/// Whether two goroutines made `ENOUGH` exchanges within `limit`.
fn side_by_side(limit: Duration) -> bool {
    let turn = AtomicUsize::new(0);
    let give_up = Instant::now() + limit;
    // Player 0 moves on even turns, player 1 on odd ones.
    let play = |player: usize| {
        loop {
            let now = turn.load(SeqCst);
            if now >= ENOUGH || Instant::now() > give_up {
                return;
            }
            if now % 2 == player {
                turn.store(now + 1, SeqCst);
            }
            std::hint::spin_loop();
        }
    };
    gort::scope(|s| {
        s.go(|| play(0));
        s.go(|| play(1));
    });
    turn.into_inner() >= ENOUGH
}

pub(crate) fn run() {
    let cpus = gort::runtime::num_cpu();
    let default = gort::runtime::gomaxprocs(0);
    println!("{cpus} CPUs, GOMAXPROCS is {default}");

    let alone = with_gomaxprocs(1, || side_by_side(Duration::from_millis(50)));
    println!("GOMAXPROCS=1: side by side: {alone}");

    if cpus > 1 {
        let together = with_gomaxprocs(2, || side_by_side(Duration::from_secs(60)));
        println!("GOMAXPROCS=2: side by side: {together}");
    } else {
        println!("GOMAXPROCS=2: this machine has one CPU");
    }
}
