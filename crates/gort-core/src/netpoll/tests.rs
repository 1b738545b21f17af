//! The poller against the kernel, without the scheduler: what happens to descriptors, and who hears of it.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::record::{Begun, Direction, Edge, Edges, Failure, Name, Ready, Record, Waiter, Who, token};
use super::{Poller, Wait};
use crate::claim::Claim;
use crate::env::Moment;

/// A registration, ended at the end of the test.
struct Registered<'a> {
    poller: &'a Poller,
    fd: BorrowedFd<'a>,
    record: &'static Record,
}

impl<'a> Registered<'a> {
    fn new(poller: &'a Poller, fd: &'a impl AsFd) -> Registered<'a> {
        poller.open().expect("there are descriptors");
        let (record, seq) = poller.table.take().expect("there is memory");
        poller.register(fd.as_fd(), record, seq).expect("it can be polled");
        Registered { poller, fd: fd.as_fd(), record }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.poller.deregister(self.fd);
        self.poller.table.give_back(self.record);
    }
}

/// Somebody who only counts how often it is told.
#[repr(C)]
struct Counter {
    waiter: Waiter,
    told: AtomicUsize,
}

impl Counter {
    fn new() -> Counter {
        /// # Safety
        /// The waiter of a `Counter`.
        unsafe fn tell(waiter: NonNull<Waiter>) {
            // SAFETY: the caller's promise.
            unsafe { waiter.cast::<Counter>().as_ref() }.told.fetch_add(1, Ordering::Relaxed);
        }
        // Names are addresses; these are of bytes that nobody uses.
        static NAMES: [u8; 256] = [0; 256];
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = Name::at(&raw const NAMES[NEXT.fetch_add(1, Ordering::Relaxed)]);
        Counter { waiter: Waiter::new(Who::Call(tell), name), told: AtomicUsize::new(0) }
    }

    fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }

    /// Begins to wait; false if that is not necessary.
    fn begin(&self, poller: &Poller, record: &Record, direction: Direction) -> bool {
        match record.begin(direction, Moment::NEVER, &self.waiter) {
            Begun::Wait(_, _locked) => {
                poller.one_more_waits();
                true
            }
            Begun::Ready => false,
            Begun::Failed(failure) => panic!("{failure:?}"),
        }
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().expect("the system gives a socket pair");
    one.set_nonblocking(true).expect("a socket can be non-blocking");
    (one, other)
}

/// Looks, and tells; how many were told.
fn poll(poller: &Poller, wait: Wait) -> usize {
    let ready = poller.poll(wait);
    let count = ready.len();
    assert!(poller.waiters() >= count, "who is on the way from a list to a queue counts");
    for (waiter, who) in ready {
        match who {
            // SAFETY: the waiters of these tests are counters, which stay.
            Who::Call(call) => unsafe { call(waiter) },
            Who::Goroutine(_) => unreachable!("there are none"),
        }
    }
    poller.fewer_wait(count);
    count
}

fn late_enough() -> Wait {
    Wait::Until(Moment::after(Duration::from_secs(600)))
}

#[test]
fn who_waits_hears_of_the_edge_and_only_of_that() {
    let poller = Poller::new();
    let (one, mut other) = pair();
    let one = Registered::new(&poller, &one);
    poll(&poller, Wait::No);
    let counter = Counter::new();
    assert!(counter.begin(&poller, one.record, Direction::Read));
    assert_eq!((poll(&poller, Wait::No), poller.waiters()), (0, 1), "nothing has happened");
    other.write_all(b"x").expect("there is room");
    assert_eq!((poll(&poller, late_enough()), poller.waiters()), (1, 0));
    assert_eq!((counter.told(), counter.waiter.claim.winner()), (1, token::READY));
    assert_eq!(poll(&poller, Wait::No), 0, "an edge comes once, although nobody has read");
}

#[test]
fn an_edge_that_nobody_waits_for_is_kept() {
    let poller = Poller::new();
    let (one, mut other) = pair();
    let registered = Registered::new(&poller, &one);
    other.write_all(b"x").expect("there is room");
    assert_eq!(poll(&poller, late_enough()), 0);
    let counter = Counter::new();
    assert!(!counter.begin(&poller, registered.record, Direction::Read), "it need not wait");
    assert!(counter.begin(&poller, registered.record, Direction::Read), "that was used up");
    other.write_all(b"x").expect("there is room");
    assert_eq!(poll(&poller, late_enough()), 1);
}

/// Its call failed before the edge, and it begins to wait after the edge has woken somebody else.
#[test]
fn who_comes_too_late_for_an_edge_tries_again() {
    let poller = Poller::new();
    let (one, mut other) = pair();
    let one = Registered::new(&poller, &one);
    poll(&poller, Wait::No);
    let (first, late) = (Counter::new(), Counter::new());
    assert!(first.begin(&poller, one.record, Direction::Read));
    other.write_all(b"x").expect("there is room");
    assert_eq!((poll(&poller, late_enough()), first.told()), (1, 1));
    assert!(!late.begin(&poller, one.record, Direction::Read));
    assert!(late.begin(&poller, one.record, Direction::Read), "it has heard of it now");
    one.record.forget(Direction::Read, &late.waiter);
    poller.fewer_wait(1);
}

#[test]
fn an_edge_wakes_all_who_wait_for_its_direction() {
    let poller = Poller::new();
    let (one, mut other) = pair();
    let full = fill(&one);
    let one = Registered::new(&poller, &one);
    poll(&poller, Wait::No);
    let (readers, writer) = (std::array::from_fn::<_, 5, _>(|_| Counter::new()), Counter::new());
    assert!(readers.iter().all(|reader| reader.begin(&poller, one.record, Direction::Read)));
    assert!(writer.begin(&poller, one.record, Direction::Write));
    other.write_all(b"x").expect("there is room in this direction");
    assert_eq!((poll(&poller, late_enough()), poller.waiters()), (5, 1));
    assert_eq!(writer.told(), 0);
    let mut sink = vec![0; full];
    other.read_exact(&mut sink).expect("all that was written");
    assert_eq!((poll(&poller, late_enough()), writer.told()), (1, 1));
    assert!(readers.iter().all(|reader| reader.told() == 1));
}

/// Writes until there is no room; how much.
fn fill(mut stream: &UnixStream) -> usize {
    let mut written = 0;
    while let Ok(count) = stream.write(&[0; 4096]) {
        written += count;
    }
    written
}

#[test]
fn an_event_that_was_meant_for_somebody_else_is_dropped() {
    let poller = Poller::new();
    let (one, mut other) = pair();
    let old = Registered::new(&poller, &one);
    poll(&poller, Wait::No);
    let (record, seq) = (old.record, u64::from(u32::MAX));
    // The kernel goes on naming the record as it was.
    poller.deregister(old.fd);
    let epoll = poller.epoll().expect("it is open");
    epoll.add(old.fd, seq << 32 | u64::from(record.index())).expect("it can be polled");
    let counter = Counter::new();
    assert!(counter.begin(&poller, record, Direction::Read));
    other.write_all(b"x").expect("there is room");
    assert_eq!((poll(&poller, late_enough()), counter.told()), (0, 0));
    assert!(poller.table.at(u32::MAX).is_none());
    record.forget(Direction::Read, &counter.waiter);
    poller.fewer_wait(1);
}

#[test]
fn close_and_deadlines_end_waits() {
    let poller = Poller::new();
    let (one, _other) = pair();
    let one = Registered::new(&poller, &one);
    poll(&poller, Wait::No);
    let soon = Moment::after(Duration::from_millis(200));
    let (reader, writer) = (Counter::new(), Counter::new());
    assert!(reader.begin(&poller, one.record, Direction::Read));
    let stirred: Vec<_> = one.record.set_deadline(Direction::Read, Some(soon)).collect();
    assert_eq!((stirred.len(), reader.waiter.claim.winner()), (1, token::DEADLINE));
    let checked = one.record.check(Direction::Read);
    // Else this thread was held up.
    assert!(checked == Ok(()) || Moment::now() >= soon);
    while Moment::now() < soon {
        thread::yield_now();
    }
    assert_eq!(one.record.check(Direction::Read), Err(Failure::TimedOut));
    assert_eq!(one.record.check(Direction::Write), Ok(()), "the other direction has none");
    let late = Counter::new();
    assert!(matches!(
        one.record.begin(Direction::Read, Moment::NEVER, &late.waiter),
        Begun::Failed(Failure::TimedOut)
    ));
    assert!(one.record.set_deadline(Direction::Read, None).is_empty());
    assert_eq!(one.record.check(Direction::Read), Ok(()));
    assert!(late.begin(&poller, one.record, Direction::Read));
    // The first event said that there is room.
    assert!(!writer.begin(&poller, one.record, Direction::Write));
    assert!(writer.begin(&poller, one.record, Direction::Write));
    assert_eq!(one.record.close().len(), 2);
    assert_eq!(late.waiter.claim.winner(), token::CLOSED);
    assert_eq!(writer.waiter.claim.winner(), token::CLOSED);
    for direction in [Direction::Read, Direction::Write] {
        assert!(one.record.set_deadline(direction, None).is_empty());
        assert_eq!(one.record.check(direction), Err(Failure::Closed), "no deadline opens it again");
    }
    assert!(one.record.close().is_empty());
}

#[test]
fn who_has_been_timed_out_is_not_touched_and_the_edge_is_kept() {
    let poller = Poller::new();
    let (one, mut other) = pair();
    let one = Registered::new(&poller, &one);
    poll(&poller, Wait::No);
    let (slow, next) = (Counter::new(), Counter::new());
    assert!(slow.begin(&poller, one.record, Direction::Read));
    assert!(slow.waiter.claim.try_win(Claim::TIMED_OUT));
    other.write_all(b"x").expect("there is room");
    assert_eq!((poll(&poller, late_enough()), slow.told()), (0, 0));
    one.record.forget(Direction::Read, &slow.waiter);
    poller.fewer_wait(1);
    assert!(!next.begin(&poller, one.record, Direction::Read), "it hears of the edge instead");
}

#[test]
fn what_was_emptied_is_worth_a_call_after_the_next_edge_and_at_the_end() {
    let poller = Poller::new();
    let (one, mut other) = pair();
    let registered = Registered::new(&poller, &one);
    poll(&poller, Wait::No);
    let record = registered.record;
    assert!(record.promising(Direction::Read), "nobody knows");
    record.emptied(Direction::Read, record.edges(Direction::Read));
    assert!(!record.promising(Direction::Read));
    let before = record.edges(Direction::Read);
    other.write_all(b"x").expect("there is room");
    poll(&poller, late_enough());
    assert!(record.promising(Direction::Read));
    record.emptied(Direction::Read, before);
    assert!(record.promising(Direction::Read), "that was before the edge");
    drop(other);
    poll(&poller, late_enough());
    record.emptied(Direction::Read, record.edges(Direction::Read));
    assert!(record.promising(Direction::Read), "no further edge may come");
}

#[test]
fn an_older_event_that_is_applied_late_does_not_hide_the_end() {
    let poller = Poller::new();
    let (record, seq) = poller.table.take().expect("there is memory");
    let event = |read| record.edge(seq, Edges { read, write: Edge::None }, &mut Ready::nobody());
    event(Edge::Ended);
    event(Edge::Possible);
    record.emptied(Direction::Read, record.edges(Direction::Read));
    assert!(record.promising(Direction::Read));
    poller.table.give_back(record);
}

#[test]
fn a_blocking_look_ends_when_told_and_when_its_time_is_up() {
    let poller = Poller::new();
    let (one, _other) = pair();
    let _one = Registered::new(&poller, &one);
    poll(&poller, Wait::No);
    poller.tell();
    assert_eq!(poll(&poller, Wait::No), 0, "a look that does not wait leaves the message");
    assert_eq!(poll(&poller, late_enough()), 0);
    let before = Moment::now();
    let deadline = before.plus(Duration::from_micros(300));
    poll(&poller, Wait::Until(deadline));
    assert!(Moment::now() >= deadline, "the message was used up");
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| poll(&poller, late_enough()));
        poller.tell();
        poller.tell();
        assert_eq!(sleeper.join().expect("it does not panic"), 0);
    });
}
