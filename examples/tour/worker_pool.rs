//! Idea: a fixed number of workers shares a queue of jobs.
//!
//! The Go program starts three workers on `jobs` and `results`, sends five jobs, closes `jobs`, and collects five
//! results. Which worker gets which job, and the order of the results, is open; what is computed is not. A `Receiver`
//! may be cloned: each clone takes from the same queue, and each job goes to exactly one worker.

use gort::channel::{Receiver, Sender};

use crate::kit::pace;

fn worker(id: i32, jobs: Receiver<i32>, results: Sender<i32>) {
    for job in jobs {
        println!("Worker {id} processing job {job}");
        gort::sleep(pace(1000));
        results.send(job * 2).unwrap();
    }
}

pub(crate) fn run() {
    let (jobs, queue) = gort::chan(5);
    let (output, results) = gort::chan(5);

    for id in 1..=3 {
        let (queue, output) = (queue.clone(), output.clone());
        gort::go!(worker(id, queue, output));
    }
    drop(output); // now only the workers hold senders: `results` closes after the last of them

    for job in 1..=5 {
        jobs.send(job).unwrap();
    }
    jobs.close();

    for result in results {
        println!("Result: {result}");
    }
}
