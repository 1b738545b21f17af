//! Idea: a queue of tasks in a buffered channel, and a worker that stops when the queue is closed.
//!
//! The Go program sends five tasks into `make(chan int, 3)`, so `main` is at most a few tasks ahead of the worker: it
//! waits when the buffer is full. The worker asks `task, more := <-tasks`, and reports on `done` when there is no more.

use gort::channel::{Receiver, Sender};

use crate::kit::pace;

fn worker(tasks: Receiver<i32>, done: Sender<()>) {
    while let Ok(task) = tasks.recv() {
        println!("Worker: processing task {task}");
        gort::sleep(pace(500));
    }
    println!("Worker: all tasks done");
    done.send(()).unwrap();
}

pub(crate) fn run() {
    let (tasks, queue) = gort::chan(3);
    let (done, wait) = gort::chan(0);
    gort::go!(worker(queue, done));

    for task in 1..=5 {
        println!("Main: sending task {task}");
        tasks.send(task).unwrap();
    }
    tasks.close(); // no more tasks

    wait.recv().unwrap();
    println!("Main: worker finished");
}
