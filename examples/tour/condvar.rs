//! Idea: wait until shared state has become what one needs.
//!
//! Go's `sync.Cond`: hold the lock, and while the condition does not hold, `Wait`, which gives the lock back and takes
//! it again before it returns. Three consumers wait for items in a queue; the producer adds items under the lock and
//! signals. (A channel would be shorter: a condition variable is for state that is more than a queue.)

use std::collections::VecDeque;

use gort::sync::{Condvar, Mutex};

pub(crate) fn run() {
    let queue = Mutex::new(VecDeque::new());
    let not_empty = Condvar::new();

    gort::scope(|s| {
        for _ in 0..3 {
            s.go(|| {
                let mut items = queue.lock();
                while items.is_empty() {
                    items = not_empty.wait(items);
                }
                let item: i32 = items.pop_front().expect("the condition holds");
                drop(items); // print without the lock
                println!("consumed {item}");
            });
        }
        for item in 1..=3 {
            queue.lock().push_back(item);
            not_empty.notify_one();
        }
    });
    println!("{} items left", queue.lock().len());
}
