//! Models of a timer's end: it comes due, or is cancelled, or somebody else wins its claim; and after `cancel` has
//! returned no heap touches the node, which then belongs to a frame that is gone.

use std::sync::Arc;

use loom::thread;

use super::{Action, Node, Timers};
use crate::claim::Claim;
use crate::env::Moment;
use crate::m::note::Note;
use crate::sys::atomic::{AtomicU32, Ordering, spin_hint};
use crate::sys::model;

const FIRST: Moment = Moment::from_nanos(10);
const SECOND: Moment = Moment::from_nanos(20);
/// The token by which a waker that is no timer wins.
const WAKER: usize = 1;

/// Two heaps, for two nodes: the one that the model is about, and one that keeps it company in its heap.
struct World {
    heaps: [Timers; 2],
    /// Outlives the node's stay in a heap, by the same rule as the node.
    claim: Box<Claim>,
    node: Node,
    company: Node,
    note: Note,
    fired: AtomicU32,
}

// SAFETY: loom watches that the node's cells are touched by who may touch them.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

const NOTHING: Action = Action::Wake(std::ptr::null());

impl World {
    fn new(node: impl FnOnce(&Claim) -> Node) -> Arc<World> {
        let claim = Box::new(Claim::new());
        Arc::new(World {
            heaps: [Timers::new(), Timers::new()],
            node: node(&claim),
            claim,
            company: Node::revocable(NOTHING),
            note: Note::new(),
            fired: AtomicU32::new(0),
        })
    }

    fn claiming() -> Arc<World> {
        World::new(|claim| Node::claiming(claim, NOTHING))
    }

    fn revocable() -> Arc<World> {
        World::new(|_| Node::revocable(NOTHING))
    }

    fn add(&self, heap: usize, node: &Node, when: Moment) {
        // SAFETY: both nodes live as long as the world.
        unsafe { self.heaps[heap].adding().add(node, when) };
    }

    /// A machine that looks after a heap: acts on what is due.
    fn check(&self, heap: usize, now: Moment) {
        for due in self.heaps[heap].check(now) {
            // SAFETY: due and not acted on yet.
            let due = unsafe { due.as_ref() };
            let mine = std::ptr::eq(due, &self.node);
            due.acted_on();
            if mine {
                self.fired.fetch_add(1, Ordering::Relaxed);
                self.note.wake();
            }
        }
    }

    /// The frame of the node is used for something else: loom reports a heap that still touches it.
    fn poison(&self) {
        self.node.place.set(u32::MAX);
        self.node.due_next.set(std::ptr::null());
    }

    fn fired(&self) -> u32 {
        self.fired.load(Ordering::Relaxed)
    }
}

fn start<T: 'static>(world: &Arc<World>, body: impl FnOnce(&World) -> T + 'static) -> thread::JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || body(&world))
}

/// A park with a deadline: the waiter is woken once, by the timer or by a waker, and cancels the timer.
#[test]
fn loom_timer_against_waker() {
    model::check(|| {
        let world = World::claiming();
        world.add(0, &world.node, FIRST);
        world.add(0, &world.company, FIRST);
        let timer = start(&world, |world| world.check(0, FIRST));
        let waker = start(&world, |world| {
            let won = world.claim.try_win(WAKER);
            if won {
                world.note.wake();
            }
            won
        });
        world.note.sleep(None);
        world.node.cancel();
        world.poison();
        timer.join().unwrap();
        let woken = waker.join().unwrap();
        assert_eq!(world.fired() == 0, woken, "one of the two, and not both");
        assert_eq!(world.claim.winner(), if woken { WAKER } else { Claim::TIMED_OUT });
        assert_eq!(world.heaps[0].len(), 0);
    });
}

/// Stopping an alarm: cancelled or fired, never both, never neither.
#[test]
fn loom_cancel_against_check() {
    model::check(|| {
        let world = World::revocable();
        world.add(0, &world.company, FIRST);
        world.add(0, &world.node, FIRST);
        let timer = start(&world, |world| world.check(0, FIRST));
        let cancelled = world.node.cancel();
        timer.join().unwrap();
        assert_eq!(world.fired() == 0, cancelled);
    });
}

/// Setting an alarm anew, in another heap, while it may be going off: each setting fires or is cancelled.
#[test]
fn loom_add_again_while_it_goes_off() {
    model::check(|| {
        let world = World::revocable();
        world.add(0, &world.company, FIRST);
        world.add(0, &world.node, FIRST);
        let first = start(&world, |world| world.check(0, FIRST));
        let second = start(&world, |world| world.check(1, SECOND));
        let cancelled = world.node.cancel();
        while world.node.is_due() {
            spin_hint();
        }
        world.add(1, &world.node, SECOND);
        first.join().unwrap();
        second.join().unwrap();
        world.check(1, SECOND);
        assert_eq!(world.fired(), 2 - u32::from(cancelled));
        assert_eq!(world.heaps.each_ref().map(Timers::len), [0, 0]);
    });
}

/// Adding again without waiting for whoever is about to act on the node.
#[test]
#[should_panic(expected = "Causality violation")]
fn loom_adding_again_too_early_is_found() {
    model::check(|| {
        let world = World::revocable();
        world.add(0, &world.node, FIRST);
        let first = start(&world, |world| world.check(0, FIRST));
        world.node.cancel();
        world.add(1, &world.node, SECOND);
        let second = start(&world, |world| world.check(1, SECOND));
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// The processor goes away with its timers while one is cancelled, and the other processor looks after what it got.
#[test]
fn loom_cancel_against_move_and_check() {
    model::check(|| {
        let world = World::revocable();
        world.add(0, &world.company, FIRST);
        world.add(0, &world.node, FIRST);
        let mover = start(&world, |world| world.heaps[0].move_all_to(&world.heaps[1]));
        let timer = start(&world, |world| world.check(1, FIRST));
        let cancelled = world.node.cancel();
        mover.join().unwrap();
        timer.join().unwrap();
        world.check(1, FIRST);
        assert_eq!(world.fired() == 0, cancelled);
        assert_eq!(world.heaps.each_ref().map(Timers::len), [0, 0]);
    });
}

/// The earliest moment is what those see who come after an addition, a check, or a cancellation.
#[test]
fn loom_earliest_is_up_to_date_when_the_lock_is_free() {
    model::check(|| {
        let world = World::revocable();
        world.add(0, &world.company, SECOND);
        let adder = start(&world, |world| world.add(0, &world.node, FIRST));
        let timer = start(&world, |world| world.check(0, FIRST));
        adder.join().unwrap();
        timer.join().unwrap();
        let earliest = world.heaps[0].earliest();
        assert_eq!(earliest, if world.fired() == 0 { FIRST } else { SECOND });
        assert!(world.company.cancel());
    });
}
