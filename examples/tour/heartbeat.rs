//! Idea: a heartbeat tells a worker that works from one that hangs.
//!
//! The documents name timeouts and heartbeats together: both are a select between news and a timer. Here the worker
//! reports at every tick of a ticker, three times, and then falls silent without ending, as if it were stuck. The
//! watcher starts a new timer for each wait, and calls the worker dead when one runs out.

use gort::channel::{Receiver, Sender};
use gort::time;

use crate::kit::pace;

/// Beats three times, then hangs until told to end.
fn worker(beat: Sender<()>, end: Receiver<()>) {
    let ticker = time::tick(pace(200));
    for _ in 0..3 {
        ticker.recv().unwrap();
        beat.send(()).unwrap();
    }
    let _ = end.recv();
}

pub(crate) fn run() {
    let (beat, beats) = gort::chan(1);
    let (end, ended) = gort::chan::<()>(0);
    let handle = gort::go(move || worker(beat, ended));

    let mut count = 0;
    loop {
        gort::select! {
            recv(beats) -> _ => {
                count += 1;
                println!("heartbeat {count}");
            }
            recv(time::after(pace(20_000))) -> _ => {
                println!("no heartbeat: the worker hangs");
                break;
            }
        }
    }
    end.close();
    handle.join().unwrap();
}
