//! The ring with one thread, and with one owner and many thieves in numbers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::env::{Moment, Rng};

/// An item is a number; what is queued is its place in a table.
struct Items(Vec<AtomicUsize>);

impl Items {
    fn new(count: usize) -> Items {
        Items((0..count).map(|_| AtomicUsize::new(0)).collect())
    }

    fn at(&self, number: usize) -> NonNull<AtomicUsize> {
        NonNull::from(&self.0[number])
    }

    fn number(&self, item: NonNull<AtomicUsize>) -> usize {
        (item.as_ptr().addr() - self.0.as_ptr().addr()) / size_of::<AtomicUsize>()
    }
}

fn take(item: NonNull<AtomicUsize>) {
    // SAFETY: the tests keep their items until all threads have ended.
    let before = unsafe { item.as_ref() }.fetch_add(1, Ordering::Relaxed);
    assert_eq!(before, 0, "taken twice");
}

#[test]
fn first_in_first_out_until_full() {
    let (items, queue) = (Items::new(CAPACITY + 1), LocalQueue::new());
    for number in 0..CAPACITY {
        queue.push(items.at(number)).expect("there is room");
    }
    assert_eq!(queue.push(items.at(CAPACITY)), Err(items.at(CAPACITY)));
    assert_eq!(queue.len(), CAPACITY);
    let order: Vec<usize> = std::iter::from_fn(|| queue.pop()).map(|item| items.number(item)).collect();
    assert!(order.is_sorted() && order.len() == CAPACITY);
    assert!(queue.is_empty());
}

#[test]
fn the_next_slot_displaces() {
    let (items, queue) = (Items::new(2), LocalQueue::new());
    assert_eq!(queue.set_next(items.at(0)), None);
    assert!(!queue.is_empty(), "the slot counts");
    assert_eq!(queue.len(), 0, "but not as part of the ring");
    assert_eq!(queue.set_next(items.at(1)), Some(items.at(0)));
    assert_eq!(queue.steal_next(items.at(0).as_ptr()), None, "that one is gone");
    assert_eq!(queue.peek_next(), items.at(1).as_ptr());
    assert_eq!(queue.steal_next(items.at(1).as_ptr()), Some(items.at(1)));
    assert_eq!(queue.take_next(), None);
}

#[test]
fn overflow_takes_the_older_half() {
    let (items, queue) = (Items::new(CAPACITY), LocalQueue::new());
    (0..CAPACITY).for_each(|number| queue.push(items.at(number)).expect("there is room"));
    let mut taken = Vec::new();
    queue.take_half(|item| taken.push(items.number(item)));
    assert_eq!(taken, (0..CAPACITY / 2).collect::<Vec<_>>());
    assert_eq!(queue.pop(), Some(items.at(CAPACITY / 2)));
}

#[test]
fn a_thief_takes_the_older_half_rounded_up() {
    let items = Items::new(CAPACITY);
    for queued in 0..=CAPACITY {
        let (victim, thief) = (LocalQueue::new(), LocalQueue::new());
        (0..queued).for_each(|number| victim.push(items.at(number)).expect("there is room"));
        let one = victim.steal_half(&thief);
        let mut stolen: Vec<usize> =
            std::iter::from_fn(|| thief.pop()).chain(one).map(|i| items.number(i)).collect();
        stolen.sort_unstable();
        assert_eq!(stolen, (0..queued.div_ceil(2)).collect::<Vec<_>>(), "of {queued}");
        assert_eq!(victim.len(), queued / 2);
    }
}

/// The ring against a queue of std's, through many laps and across the wrap of its counters.
#[test]
fn it_behaves_like_a_queue() {
    let seed = Moment::now().as_nanos();
    println!("seed {seed}");
    let (items, queue, rng) = (Items::new(1000), LocalQueue::new(), Rng::new(seed));
    queue.head.store(u32::MAX - 700, Ordering::Relaxed);
    queue.tail.store(u32::MAX - 700, Ordering::Relaxed);
    let mut model = VecDeque::new();
    for step in 0..20_000 {
        // Phases that fill and phases that drain.
        if rng.below(100) < if step / 600 % 2 == 0 { 65 } else { 35 } {
            let number = rng.below(1000) as usize;
            match queue.push(items.at(number)) {
                Ok(()) => model.push_back(number),
                Err(_) => assert_eq!(model.len(), CAPACITY, "seed {seed}"),
            }
        } else {
            assert_eq!(queue.pop().map(|item| items.number(item)), model.pop_front(), "seed {seed}");
        }
        assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()), "seed {seed}");
        let ahead = NonNull::new(queue.peek_ahead()).map(|item| items.number(item));
        assert_eq!(ahead, model.get(1).copied(), "seed {seed}");
    }
}

/// An owner that queues, takes and overflows, and thieves that steal halves and `next` slots: each item is taken once.
#[test]
fn every_item_is_taken_once() {
    const ITEMS: usize = 200_000;
    const THIEVES: usize = 3;
    let seed = Moment::now().as_nanos();
    println!("seed {seed}");
    let (items, queue) = (Arc::new(Items::new(ITEMS)), Arc::new(LocalQueue::new()));
    let done = Arc::new(AtomicBool::new(false));
    let thieves: Vec<_> = (0..THIEVES)
        .map(|thief| {
            let (items, queue, done) = (items.clone(), queue.clone(), done.clone());
            thread::spawn(move || {
                // The items are behind plain pointers in the queues; this keeps them.
                let _items = items;
                let (own, rng) = (LocalQueue::new(), Rng::new(seed + 1 + thief as u64));
                let mut taken = 0;
                while !done.load(Ordering::Acquire) || !queue.is_empty() {
                    if rng.below(4) == 0 {
                        taken += queue.steal_next(queue.peek_next()).map(take).map_or(0, |()| 1);
                    }
                    taken += queue.steal_half(&own).map(take).map_or(0, |()| 1);
                    while let Some(item) = own.pop() {
                        take(item);
                        taken += 1;
                    }
                    if rng.below(8) == 0 {
                        thread::yield_now();
                    }
                }
                taken
            })
        })
        .collect();
    let rng = Rng::new(seed);
    let mut taken = 0;
    let mut keep = |item| {
        take(item);
        taken += 1;
    };
    for number in 0..ITEMS {
        let item = if rng.below(2) == 0 { queue.set_next(items.at(number)) } else { Some(items.at(number)) };
        if let Some(Err(item)) = item.map(|item| queue.push(item)) {
            queue.take_half(&mut keep);
            keep(item);
        }
        if rng.below(3) == 0 {
            queue.take_next().or_else(|| queue.pop()).into_iter().for_each(&mut keep);
        }
    }
    done.store(true, Ordering::Release);
    while let Some(item) = queue.take_next().or_else(|| queue.pop()) {
        keep(item);
    }
    let stolen: usize = thieves.into_iter().map(|thief| thief.join().expect("nothing was taken twice")).sum();
    assert_eq!(taken + stolen, ITEMS, "seed {seed}");
    assert!(items.0.iter().all(|item| item.load(Ordering::Relaxed) == 1), "seed {seed}");
}
