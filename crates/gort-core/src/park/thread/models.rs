//! Models of a thread's parks: no wake-up is lost, none is left over for the next park, and of a deadline and a waker
//! exactly one wins. And of a select, which is a park that is published in several places under one claim.

use std::ptr;
use std::sync::Arc;

use loom::thread;

use super::{EMPTY, Parker, ready};
use crate::claim::Claim;
use crate::env::Moment;
use crate::lock::Spin;
use crate::sys::atomic::{AtomicU32, Cell};
use crate::sys::{futex, model};

const DEADLINE: Moment = Moment::from_nanos(10);
/// The token by which a waker wins.
const WAKER: usize = 1;

fn parker() -> Parker {
    Parker(AtomicU32::new(EMPTY))
}

/// A place to wait for one value, as a channel would do it.
struct Mailbox(Spin<State>);

struct State {
    value: Cell<bool>,
    sleeper: Cell<bool>,
}

impl Mailbox {
    fn new() -> Mailbox {
        Mailbox(Spin::new(State { value: Cell::new(false), sleeper: Cell::new(false) }))
    }

    /// The waker's side: leaves the value, and says whether there is somebody to be woken, who is now the caller's.
    fn put(&self) -> bool {
        let state = self.0.lock();
        state.value.set(true);
        state.sleeper.replace(false)
    }

    /// The waiter's side: true if it must park, which the waker can know from now on.
    fn enter(&self) -> bool {
        let state = self.0.lock();
        let wait = !state.value.get();
        state.sleeper.set(wait);
        wait
    }

    /// The deadline came first.
    fn leave(&self) {
        self.0.lock().sleeper.set(false);
    }

    fn filled(&self) -> bool {
        self.0.lock().value.get()
    }
}

struct World {
    parker: Parker,
    boxes: [Mailbox; 2],
    claim: Claim,
    outcome: Cell<bool>,
}

// SAFETY: loom watches that cells are handed over properly.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

fn world() -> Arc<World> {
    Arc::new(World {
        parker: parker(),
        boxes: [Mailbox::new(), Mailbox::new()],
        claim: Claim::new(),
        outcome: Cell::new(false),
    })
}

fn start(world: &Arc<World>, body: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || body(&world))
}

impl World {
    /// Parks without a deadline until `mailbox` is filled.
    fn receive(&self, mailbox: usize) {
        let mailbox = &self.boxes[mailbox];
        if mailbox.enter() {
            self.parker.wait(None);
        }
        assert!(mailbox.filled(), "a park ended that nobody ended");
    }

    fn send(&self, mailbox: usize) {
        if self.boxes[mailbox].put() {
            ready(&self.parker);
        }
    }
}

#[test]
fn loom_a_wake_up_is_not_lost_whenever_it_comes() {
    model::check(|| {
        let world = world();
        let waker = start(&world, |world| {
            world.outcome.set(true);
            ready(&world.parker);
        });
        assert!(world.parker.wait(None));
        assert!(world.outcome.get());
        waker.join().unwrap();
    });
}

/// A late futex wake-up of the first park must do no harm to the second.
#[test]
fn loom_two_parks_in_a_row() {
    model::check(|| {
        let world = world();
        let first = start(&world, |world| world.send(0));
        let second = start(&world, |world| world.send(1));
        world.receive(0);
        world.receive(1);
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// A deadline, a waker, and then another park: the loser of the claim takes the winner's notification with it.
#[test]
fn loom_deadline_against_waker() {
    model::check(|| {
        let world = world();
        let waker = start(&world, |world| {
            if world.boxes[0].put() && world.claim.try_win(WAKER) {
                world.outcome.set(true);
                ready(&world.parker);
            }
        });
        let clock = thread::spawn(|| futex::time_passes(DEADLINE));
        if world.boxes[0].enter() {
            world.parker.wait_until(DEADLINE, &world.claim);
            match world.claim.winner() {
                WAKER => assert!(world.outcome.get()),
                Claim::TIMED_OUT => world.boxes[0].leave(),
                winner => panic!("a park ended that nobody ended: {winner}"),
            }
        }
        let last = start(&world, |world| world.send(1));
        world.receive(1);
        waker.join().unwrap();
        clock.join().unwrap();
        last.join().unwrap();
    });
}

/// What goes wrong if the loser of the claim does not wait for the winner's notification.
#[test]
#[should_panic(expected = "a park ended that nobody ended")]
fn loom_a_notification_that_is_left_over_is_found() {
    model::check(|| {
        let world = world();
        let waker = start(&world, |world| {
            if world.claim.try_win(WAKER) {
                ready(&world.parker);
            }
        });
        let clock = thread::spawn(|| futex::time_passes(DEADLINE));
        let _ = world.parker.wait(Some(DEADLINE)) || world.claim.try_win(Claim::TIMED_OUT);
        let last = start(&world, |world| world.send(1));
        world.receive(1);
        waker.join().unwrap();
        clock.join().unwrap();
        last.join().unwrap();
    });
}

/// A waiter's entry in a queue. The cell stands for the waiter's frame, which is gone once the waiter goes on.
struct Entry {
    waiter: usize,
    token: usize,
    frame: Cell<bool>,
}

/// Two channels and three waiters: one selects over both and has a deadline, each of the others waits for one channel.
struct Channels {
    parkers: [Parker; 3],
    claims: [Claim; 3],
    entries: [Entry; 4],
    queues: [Spin<Vec<*const Entry>>; 2],
}

// SAFETY: loom watches that frames are touched only while their waiters wait.
unsafe impl Send for Channels {}
// SAFETY: as above.
unsafe impl Sync for Channels {}

const SELECTING: usize = 0;

impl Channels {
    fn new() -> Arc<Channels> {
        let entry = |waiter, token| Entry { waiter, token, frame: Cell::new(true) };
        let channels = Arc::new(Channels {
            parkers: [parker(), parker(), parker()],
            claims: [Claim::new(), Claim::new(), Claim::new()],
            entries: [entry(SELECTING, 1), entry(1, 1), entry(SELECTING, 2), entry(2, 1)],
            queues: [Spin::new(Vec::new()), Spin::new(Vec::new())],
        });
        for (at, entry) in channels.entries.iter().enumerate() {
            channels.queues[at / 2].lock().push(ptr::from_ref(entry));
        }
        channels
    }

    /// A waker: wakes the first waiter of a channel whose claim can be won; says who that was.
    fn wake_one(&self, channel: usize) -> Option<usize> {
        let woken = {
            let mut queue = self.queues[channel].lock();
            loop {
                if queue.is_empty() {
                    break None;
                }
                // SAFETY: entries live as long as the channels; whether it may be touched is what loom watches.
                let entry = unsafe { &*queue.remove(0) };
                assert!(entry.frame.get());
                if self.claims[entry.waiter].try_win(entry.token) {
                    break Some(entry.waiter);
                }
            }
        };
        if let Some(waiter) = woken {
            ready(&self.parkers[waiter]);
        }
        woken
    }

    /// The selecting waiter's park, and what it does after it; says who won.
    fn select(&self) -> usize {
        let claim = &self.claims[SELECTING];
        self.parkers[SELECTING].wait_until(DEADLINE, claim);
        for (at, queue) in self.queues.iter().enumerate() {
            let entry = &self.entries[2 * at];
            queue.lock().retain(|&queued| !ptr::eq(queued, entry));
            entry.frame.set(false);
        }
        claim.winner()
    }
}

#[test]
fn loom_select_is_woken_by_one_of_two_channels_or_by_its_deadline() {
    model::check(|| {
        let channels = Channels::new();
        let wakers = [0, 1].map(|channel| {
            let channels = channels.clone();
            thread::spawn(move || channels.wake_one(channel))
        });
        let clock = thread::spawn(|| futex::time_passes(DEADLINE));
        let winner = channels.select();
        let woken = wakers.map(|waker| waker.join().unwrap());
        clock.join().unwrap();
        // Whoever did not win the selecting waiter has woken the next one.
        let expected = match winner {
            1 => [Some(SELECTING), Some(2)],
            2 => [Some(1), Some(SELECTING)],
            Claim::TIMED_OUT => [Some(1), Some(2)],
            winner => panic!("a park ended that nobody ended: {winner}"),
        };
        assert_eq!(woken, expected);
    });
}
