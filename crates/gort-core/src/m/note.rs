//! A note: one thread sleeps on it, another wakes it; a wake-up that comes first is not lost. Go's `note`.

use crate::env::Moment;
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::futex;

const CLEAR: u32 = 0;
const SLEEPING: u32 = 1;
const WOKEN: u32 = 2;

/// The note.
#[derive(Debug)]
pub(crate) struct Note(AtomicU32);

impl Note {
    pub(crate) fn new() -> Note {
        Note(AtomicU32::new(CLEAR))
    }

    /// Sleeps until woken (true) or until the deadline (false). A wake-up is used up.
    pub(crate) fn sleep(&self, deadline: Option<Moment>) -> bool {
        if self.0.compare_exchange(CLEAR, SLEEPING, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return self.take();
        }
        loop {
            futex::wait(&self.0, SLEEPING, deadline);
            if self.0.load(Ordering::Relaxed) == WOKEN {
                return self.take();
            }
            if deadline.is_some_and(|deadline| Moment::now() >= deadline) {
                // Woken between the look and here: then the exchange fails and the wake-up is used up.
                let woken =
                    self.0.compare_exchange(SLEEPING, CLEAR, Ordering::Relaxed, Ordering::Relaxed).is_err();
                return woken && self.take();
            }
        }
    }

    /// Waits busily for a wake-up: true if it came, and then it is used up. For a bit longer than it takes to wake a thread
    /// that sleeps, so that two who hand something to and fro get into step.
    #[cfg(not(loom))]
    pub(crate) fn spin(&self) -> bool {
        /// 50 us at 2.5 ticks a nanosecond.
        const TICKS: u64 = 125_000;
        let began = crate::env::ticks();
        while crate::env::ticks().wrapping_sub(began) < TICKS {
            if self.0.load(Ordering::Relaxed) == WOKEN {
                return self.take();
            }
            std::hint::spin_loop();
        }
        false
    }

    /// A model does not wait busily.
    #[cfg(loom)]
    pub(crate) fn spin(&self) -> bool {
        false
    }

    /// Uses up the wake-up.
    fn take(&self) -> bool {
        // Acquire: pairs with the Release in `wake`. A swap, so that of several wakers the last one is seen, too.
        self.0.swap(CLEAR, Ordering::Acquire) == WOKEN
    }

    /// Wakes the sleeper, or whoever sleeps next.
    pub(crate) fn wake(&self) {
        // Release: what was done before is seen by the woken.
        if self.0.swap(WOKEN, Ordering::Release) == SLEEPING {
            futex::wake(&self.0, 1);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::Note;
    use crate::env::Moment;

    #[test]
    fn a_wake_up_that_comes_first_is_not_lost() {
        let note = Note::new();
        note.wake();
        assert!(note.sleep(None));
        assert!(!note.sleep(Some(Moment::after(Duration::from_millis(1)))), "it was used up");
    }

    #[test]
    fn it_sleeps_until_the_deadline_and_not_less() {
        let note = Note::new();
        let deadline = Moment::after(Duration::from_millis(5));
        assert!(!note.sleep(Some(deadline)));
        assert!(Moment::now() >= deadline);
    }

    /// Sleeps with and without a deadline, in step with a waker that comes early, late, or in the same moment.
    #[test]
    fn every_wake_up_ends_one_sleep() {
        const ROUNDS: usize = 20_000;
        let shared = Arc::new((Note::new(), AtomicUsize::new(0), AtomicUsize::new(0)));
        let waker = thread::spawn({
            let shared = shared.clone();
            move || {
                let (note, sent, got) = &*shared;
                for round in 1..=ROUNDS {
                    sent.store(round, Ordering::Relaxed);
                    note.wake();
                    while got.load(Ordering::Relaxed) < round {
                        thread::yield_now();
                    }
                }
            }
        });
        let (note, sent, got) = &*shared;
        for round in 1..=ROUNDS {
            let deadline =
                (round % 3 == 0).then(|| Moment::after(Duration::from_nanos(round as u64 % 7_000)));
            if !note.sleep(deadline) {
                assert!(deadline.is_some(), "only a deadline ends a sleep that nobody ends");
                assert!(note.sleep(None));
            }
            assert_eq!(
                sent.load(Ordering::Relaxed),
                round,
                "what was written before the wake-up is seen after it"
            );
            got.store(round, Ordering::Relaxed);
        }
        waker.join().expect("the waker does not panic");
    }
}

#[cfg(all(test, loom))]
mod models {
    use std::sync::Arc;

    use loom::thread;

    use super::Note;
    use crate::env::Moment;
    use crate::sys::atomic::{AtomicBool, Cell, Ordering};
    use crate::sys::{futex, model};

    struct World {
        note: Note,
        word: Cell<u32>,
        flags: [AtomicBool; 2],
    }

    // SAFETY: loom watches that the word is handed over properly.
    unsafe impl Send for World {}
    // SAFETY: as above.
    unsafe impl Sync for World {}

    fn world() -> Arc<World> {
        let flags = [AtomicBool::new(false), AtomicBool::new(false)];
        Arc::new(World { note: Note::new(), word: Cell::new(0), flags })
    }

    fn start(world: &Arc<World>, body: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
        let world = world.clone();
        thread::spawn(move || body(&world))
    }

    #[test]
    fn loom_a_wake_up_is_not_lost_whenever_it_comes() {
        model::check(|| {
            let world = world();
            let waker = start(&world, |world| {
                world.word.set(1);
                world.note.wake();
            });
            assert!(world.note.sleep(None));
            assert_eq!(world.word.get(), 1);
            waker.join().unwrap();
        });
    }

    #[test]
    fn loom_wake_up_and_deadline_at_once() {
        const DEADLINE: Moment = Moment::from_nanos(10);
        model::check(|| {
            let world = world();
            let waker = start(&world, |world| {
                world.word.set(1);
                world.note.wake();
            });
            let clock = thread::spawn(|| futex::time_passes(DEADLINE));
            if !world.note.sleep(Some(DEADLINE)) {
                assert!(Moment::now() >= DEADLINE);
                assert!(world.note.sleep(None), "the wake-up is still to come");
            }
            assert_eq!(world.word.get(), 1);
            waker.join().unwrap();
            clock.join().unwrap();
            assert!(!world.note.sleep(Some(DEADLINE)), "the wake-up was used up");
        });
    }

    /// Two wake-ups may end one sleep only, but then the sleeper sees what both wakers wrote.
    #[test]
    fn loom_two_wakers_are_both_heard() {
        model::check(|| {
            let world = world();
            let wakers = [0, 1].map(|waker| {
                start(&world, move |world| {
                    world.flags[waker].store(true, Ordering::Relaxed);
                    world.note.wake();
                })
            });
            while !world.flags.iter().all(|flag| flag.load(Ordering::Relaxed)) {
                assert!(world.note.sleep(None));
            }
            wakers.into_iter().for_each(|waker| waker.join().unwrap());
        });
    }
}
