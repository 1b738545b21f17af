//! Idea: two locks taken in opposite order are a deadlock, and one order for all is the cure.
//!
//! The document's picture: thread 1 holds `v1` and wants `v2`, thread 2 holds `v2` and wants `v1`; both wait for ever.
//! The second half of the stop does exactly that in a process of its own, made certain by a barrier between the two
//! steps. The runtime sees that nobody can go on, and ends the process, as Go's does. The first half takes the locks
//! in one order and ends well.

use std::sync::Arc;

use gort::sync::{Barrier, Mutex};

use crate::kit;

type Resource = Arc<Mutex<i32>>;

pub(crate) fn run() {
    let (v1, v2) = (Resource::default(), Resource::default());
    gort::scope(|s| {
        for _ in 0..2 {
            s.go(|| {
                let mut first = v1.lock();
                let mut second = v2.lock();
                *first += 1;
                *second += 1;
            });
        }
    });
    println!("in one order: v1 = {}, v2 = {}", *v1.lock(), *v2.lock());

    println!("in opposite order:");
    kit::print_fatal(&kit::child("lock_order"));
}

/// Takes `first`, waits until the other side has taken its own, then wants `second`.
fn take_both(first: &Resource, second: &Resource, both_hold_one: &Barrier) {
    let _first = first.lock();
    both_hold_one.wait();
    let _second = second.lock();
}

pub(crate) fn child() {
    let (v1, v2) = (Resource::default(), Resource::default());
    let barrier = Arc::new(Barrier::new(2));

    let other = gort::go({
        let (v1, v2, barrier) = (Arc::clone(&v1), Arc::clone(&v2), Arc::clone(&barrier));
        move || take_both(&v1, &v2, &barrier)
    });
    take_both(&v2, &v1, &barrier);
    other.join().unwrap();
    println!("not reached");
}
