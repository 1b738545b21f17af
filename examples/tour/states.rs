//! Idea: a goroutine is running, runnable, or waiting.
//!
//! With one processor the picture can be held still. Three goroutines wait on a channel. Two more have just been
//! started: they are runnable, for the only processor is busy with the main goroutine, which is the one that runs and
//! looks. (The monitor could interrupt just then; we look again if it did.)

use gort::runtime;
use gort::sync::WaitGroup;

use crate::kit::{parked, until_parked, with_gomaxprocs};

pub(crate) fn run() {
    with_gomaxprocs(1, || {
        let (stop, stopped) = gort::chan::<()>(0);
        let wg = WaitGroup::new();
        let parked_before = parked();
        for _ in 0..3 {
            let stopped = stopped.clone();
            wg.go(move || assert!(stopped.recv().is_err()));
        }
        until_parked(parked_before + 3);

        let seen = (0..100).find_map(|_| {
            let started = [gort::go(|| ()), gort::go(|| ())];
            let stats = runtime::stats();
            for handle in started {
                handle.join().unwrap();
            }
            let picture = (stats.running, stats.runnable, stats.waiting - parked_before);
            (picture == (1, 2, 3)).then_some(picture)
        });
        match seen {
            Some((running, runnable, waiting)) => {
                println!("running: {running}");
                println!("runnable: {runnable}");
                println!("waiting: {waiting}");
            }
            None => println!("the picture never held still"),
        }

        stop.close();
        wg.wait();
    });
}
