//! Models of the scheduler: the real runtime, with goroutines that nobody runs, only a few machines, and processors whose
//! owners never look for work again. Whatever becomes runnable must be found by somebody.
//!
//! A model fails if everybody sleeps before all that was queued or timed has been found. The monitor, which would notice
//! after some milliseconds, is not there.

mod network;

use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use loom::thread::{self, JoinHandle};

use super::{Queued, Runtime};
use crate::env::Moment;
use crate::g::G;
use crate::g::status::Status;
use crate::m::note::Note;
use crate::m::{Call, M};
use crate::netpoll::record::{Begun, Direction, Name, Record, Waiter, Who};
use crate::p::P;
use crate::sys::atomic::{AtomicUsize, Ordering};
use crate::sys::{futex, model};
use crate::timers::{Action, Node};

const SOON: Moment = Moment::from_nanos(10);
const LATER: Moment = Moment::from_nanos(20);

/// A runtime and what it runs. Freed at the end of each execution, although the scheduler takes machines, processors and
/// goroutines for immortal: all threads that knew them have ended then.
struct World {
    rt: Box<Runtime>,
    ps: Vec<P>,
    ms: Vec<M>,
    gs: Vec<G>,
    timers: Vec<Node>,
    waits: Vec<Wait>,
    expected: usize,
    found: AtomicUsize,
    all_found: Note,
}

/// A wait for a descriptor that is known by its record.
#[repr(C)]
struct Wait {
    /// First: the rest is found by its address.
    waiter: Waiter,
    record: &'static Record,
    seq: u32,
    /// Who waits if it is no goroutine: it was told.
    told: Note,
}

// SAFETY: processors, machines and goroutines are used under the scheduler's rules; nodes by the heaps.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    /// Processors, machines and goroutines, all of them nobody's. As many goroutines are `timed`, the last ones: they wait
    /// for a timer. All others are runnable, in no queue yet.
    fn new(ps: usize, ms: usize, gs: usize, timed: usize) -> World {
        let rt = Box::new(Runtime::new(0));
        let ps: Vec<P> = (0..ps).map(|id| P::new(id as u32, 1)).collect();
        ps.iter()
            .zip(&rt.all_ps)
            .for_each(|(p, slot)| slot.store(ptr::from_ref(p).cast_mut(), Ordering::Relaxed));
        rt.procs.store(ps.len() as u32, Ordering::Relaxed);
        rt.in_service.store(ps.len() as u32, Ordering::Relaxed);
        // Release: pairs with the Acquire in `all_ps`.
        rt.made_ps.store(ps.len() as u32, Ordering::Release);
        let all: Vec<G> = (0..gs).map(|_| G::inert()).collect();
        let timers = all[gs - timed..]
            .iter()
            .map(|g| {
                g.status.transition_to_running();
                g.status.transition_to_waiting(crate::ids::WaitReason::Sleep);
                Node::certain(Action::Wake(ptr::from_ref(g).cast()))
            })
            .collect();
        let ms = (0..ms).map(|id| M::new(id as u32)).collect();
        World {
            rt,
            ps,
            ms,
            gs: all,
            timers,
            waits: Vec::new(),
            expected: gs,
            found: AtomicUsize::new(0),
            all_found: Note::new(),
        }
    }

    fn p(&self, at: usize) -> &'static P {
        immortal(&self.ps[at])
    }

    fn g(&self, at: usize) -> NonNull<G> {
        NonNull::from(&self.gs[at])
    }

    /// Nobody has this processor.
    fn make_idle(&self, at: usize) {
        self.rt.put_idle_p(&mut self.rt.shared.lock(), self.p(at));
    }

    /// A goroutine that has been in the global queue since before the model begins.
    fn queue_before(&self, g: usize) {
        let mut shared = self.rt.shared.lock();
        shared.global.push_back(Queued(self.g(g)));
        self.rt.publish_global(&shared);
    }

    /// The goroutine on processor `p`, which computes for ever after this, starts another.
    fn submit(&self, p: usize, g: usize) {
        self.rt.put_ring(self.p(p), self.g(g));
        self.rt.wake_p();
    }

    /// A thread that is no machine makes a goroutine ready.
    fn submit_from_outside(&self, g: usize) {
        self.rt.put_global(self.g(g));
    }

    fn add_timer(&self, p: usize, timer: usize, when: Moment) {
        // SAFETY: the nodes live as long as the world.
        unsafe { self.p(p).timers.adding().add(&self.timers[timer], when) };
    }

    /// The goroutine on processor `p`, which computes for ever after this, starts a timer.
    fn submit_timer(&self, p: usize, timer: usize, when: Moment) {
        self.add_timer(p, timer, when);
        self.rt.announce_timer(when);
    }

    /// As many descriptors, and who will wait for them: the first goroutines, and threads for the rest.
    fn with_descriptors(mut self, goroutines: usize, threads: usize) -> World {
        /// # Safety
        /// The waiter of a `Wait`.
        unsafe fn tell(waiter: NonNull<Waiter>) {
            // SAFETY: the caller's promise.
            unsafe { waiter.cast::<Wait>().as_ref() }.told.wake();
        }
        let poller = self.rt.poller;
        poller.open().expect("the model has descriptors");
        let goroutines = self.gs[..goroutines].iter().map(|g| {
            g.status.transition_to_running();
            g.status.transition_to_waiting(crate::ids::WaitReason::IoWait);
            Who::Goroutine(NonNull::from(g))
        });
        let all = goroutines.chain((0..threads).map(|_| Who::Call(tell)));
        self.waits = all
            .map(|who| {
                let (record, seq) = poller.table.take().expect("the model has memory");
                Wait { waiter: Waiter::new(who, Name::at(record)), record, seq, told: Note::new() }
            })
            .collect();
        self
    }

    /// Somebody begins to wait for a descriptor to which nothing has happened yet, or something has: then it need not.
    fn begin_to_wait(&self, at: usize) -> bool {
        let wait = &self.waits[at];
        match wait.record.begin(Direction::Read, Moment::NEVER, &wait.waiter) {
            Begun::Wait(_, locked) => {
                self.rt.poller.one_more_waits();
                drop(locked);
                true
            }
            Begun::Ready => false,
            Begun::Failed(failure) => panic!("{failure:?}"),
        }
    }

    /// A thread that is no machine waits for a descriptor, and is done.
    fn wait_outside(&self, at: usize) {
        if self.begin_to_wait(at) {
            self.rt.announce_waiter();
            until_the_end(|| {
                self.waits[at].told.sleep(None);
                self.one_found();
            });
        } else {
            self.one_found();
        }
    }

    /// Something happens to a descriptor.
    fn event(&self, at: usize) {
        self.rt.poller.happens(self.waits[at].record, self.waits[at].seq);
    }

    /// Machine `m` has run something on processor `p`, and looks for more.
    fn machine(&self, m: usize, p: usize) {
        let m: &'static M = immortal(&self.ms[m]);
        m.acquire_p(self.p(p));
        self.find_one(m);
    }

    /// Machine `m` searches, with processor `p`.
    fn searcher(&self, m: usize, p: usize) {
        self.ms[m].spinning.set(true);
        self.machine(m, p);
    }

    /// Machine `m` has no processor, and waits for somebody who comes with one.
    fn without_processor(&self, m: usize) {
        self.find_one(immortal(&self.ms[m]));
    }

    /// Machine `m` runs goroutine `g` on processor `p`: it is outside the runtime.
    fn runs(&self, m: usize, g: usize, p: Option<usize>) {
        let m: &'static M = immortal(&self.ms[m]);
        match p {
            Some(p) => m.acquire_p(self.p(p)),
            None => {
                m.set_call(Call::Found);
                self.rt.in_blocking.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.gs[g].status.transition_to_running();
        m.set_curg(&self.gs[g]);
        m.door.leave();
    }

    /// The monitor takes processor `p` from machine `m`, if it finds it outside.
    fn retake(&self, m: usize, p: usize) {
        self.rt.retake(immortal(&self.ms[m]), self.p(p), || true);
    }

    /// The goroutine on machine `m` comes into the runtime, makes `g` runnable, and parks.
    fn comes_in_and_submits(&self, m: usize, g: usize) {
        let m: &'static M = immortal(&self.ms[m]);
        m.door.enter();
        match m.p() {
            Some(p) => {
                self.rt.put_ring(p, self.g(g));
                self.rt.wake_p();
            }
            None => self.rt.put_global(self.g(g)),
        }
        m.set_curg(ptr::null());
        if m.call() != Call::None {
            self.rt.call_is_over(m);
        }
        self.find_one(m);
    }

    /// Machine `m` is frozen in the middle of `g`, which has been found when it goes on.
    fn freezes(&self, m: usize, g: usize) {
        let m: &'static M = immortal(&self.ms[m]);
        until_the_end(|| {
            m.door.enter();
            self.rt.freeze(m, immortal(&self.gs[g]));
            assert!(m.p().is_some(), "somebody has brought a processor");
            self.one_found();
        });
    }

    /// The machine runs the first goroutine that it finds for ever.
    fn find_one(&self, m: &'static M) {
        until_the_end(|| {
            let Some(g) = self.rt.find_runnable(m) else { return };
            // SAFETY: goroutines live as long as the world.
            let g = unsafe { g.as_ref() };
            assert_eq!(g.status.load().status(), Status::Runnable, "it was found before");
            g.status.transition_to_running();
            self.one_found();
        });
    }

    fn one_found(&self) {
        // AcqRel: pairs with the Acquire in `settle`.
        if self.found.fetch_add(1, Ordering::AcqRel) + 1 == self.expected {
            self.all_found.wake();
        }
    }

    /// Waits until everything has been found.
    fn settle(&self, threads: Vec<JoinHandle<()>>) {
        while self.found.load(Ordering::Acquire) < self.expected {
            self.all_found.sleep(None);
        }
        // How the machines come to rest is of no interest.
        loom::stop_exploring();
        futex::end();
        threads.into_iter().for_each(|thread| thread.join().expect("the model holds"));
    }
}

/// What the scheduler believes of processors and machines. It holds until the end of an execution (see [`World`]).
fn immortal<T>(thing: &T) -> &'static T {
    // SAFETY: the thing is in a table of the world, which the calling thread has a share of, and outlives all machines.
    unsafe { &*ptr::from_ref(thing) }
}

fn until_the_end(body: impl FnOnce()) {
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(body))
        && !panic.is::<futex::Ended>()
    {
        panic::resume_unwind(panic);
    }
}

/// The thread that is made for a processor for which no machine is idle: it becomes machine `m`. The next such thread,
/// if there are more machines, is there from then on.
///
/// A machine that is about to sleep is in no list yet, and another is made in its place; so there must be enough of them.
fn newborn(world: &Arc<World>, m: usize) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || {
        let mut next = None;
        until_the_end(|| {
            let p = world.rt.threads.wait_for_request();
            next = (m + 1 < world.ms.len()).then(|| newborn(&world, m + 1));
            let m: &'static M = immortal(&world.ms[m]);
            m.spinning.set(p.starts_spinning.get());
            m.acquire_p(p);
            world.find_one(m);
        });
        next.into_iter().for_each(|next| next.join().expect("the model holds"));
    })
}

fn start(world: &Arc<World>, body: impl FnOnce(&World) + 'static) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || body(&world))
}

/// The rule of `search`: either the submitter wakes somebody, or whoever goes idle sees what was submitted.
#[test]
fn loom_submitted_while_the_last_machine_goes_idle() {
    model::check(|| {
        let world = Arc::new(World::new(2, 2, 1, 0));
        let threads = vec![start(&world, |world| world.machine(0, 1)), newborn(&world, 1)];
        world.submit(0, 0);
        world.settle(threads);
    });
}

#[test]
fn loom_submitted_from_outside_while_the_last_machine_goes_idle() {
    model::check(|| {
        let world = Arc::new(World::new(1, 2, 1, 0));
        let threads = vec![start(&world, |world| world.machine(0, 0)), newborn(&world, 1)];
        world.submit_from_outside(0);
        world.settle(threads);
    });
}

/// A machine leaves searching to another one, which then finds something and searches no more.
#[test]
fn loom_submitted_while_the_only_searcher_finds_something() {
    model::check(|| {
        let world = World::new(3, 3, 2, 0);
        world.queue_before(0);
        world.rt.search.start();
        // So that one searcher is enough, and the other machine goes idle without having searched.
        world.rt.procs.store(2, Ordering::Relaxed);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.searcher(0, 1)),
            start(&world, |world| world.machine(1, 2)),
            newborn(&world, 2),
        ];
        world.submit(0, 1);
        world.settle(threads);
    });
}

/// A waker is counted as searching until it has found out that there is no processor; others rely on it meanwhile.
#[test]
fn loom_submitted_while_a_waker_finds_no_processor() {
    model::check(|| {
        let world = World::new(1, 3, 1, 0);
        world.rt.search.start();
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.rt.wake_p_slow()),
            start(&world, |world| world.machine(0, 0)),
            newborn(&world, 1),
        ];
        world.submit_from_outside(0);
        world.settle(threads);
    });
}

/// A processor is given away, by a machine that is about to block, while others submit from outside.
#[test]
fn loom_submitted_while_a_processor_is_handed_off() {
    model::check(|| {
        let world = Arc::new(World::new(1, 2, 1, 0));
        let threads = vec![start(&world, |world| world.rt.handoff_p(world.p(0))), newborn(&world, 0)];
        world.submit_from_outside(0);
        world.settle(threads);
    });
}

/// A processor is taken from a thread that was asleep, just when that thread comes back into the runtime.
#[test]
fn loom_submitted_by_a_thread_whose_processor_is_being_taken() {
    model::check(|| {
        let mut world = World::new(1, 3, 2, 0);
        world.expected = 1;
        world.runs(0, 1, Some(0));
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.retake(0, 0)),
            start(&world, |world| world.comes_in_and_submits(0, 0)),
            newborn(&world, 1),
        ];
        world.settle(threads);
    });
}

#[test]
fn loom_submitted_from_outside_while_a_processor_is_being_taken() {
    model::check(|| {
        let mut world = World::new(1, 2, 2, 0);
        world.expected = 1;
        world.runs(0, 1, Some(0));
        let world = Arc::new(world);
        let threads = vec![start(&world, |world| world.retake(0, 0)), newborn(&world, 1)];
        world.submit_from_outside(0);
        world.settle(threads);
    });
}

/// A goroutine is frozen on one of two processors while another comes from outside: both go on.
#[test]
fn loom_submitted_while_a_goroutine_is_frozen() {
    model::check_large(|| {
        let world = World::new(2, 4, 2, 0);
        world.runs(0, 1, Some(0));
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.freezes(0, 1)),
            start(&world, |world| world.machine(1, 1)),
            newborn(&world, 2),
        ];
        world.submit_from_outside(0);
        world.settle(threads);
    });
}

/// A thread that has run on without a processor is frozen just when the only processor becomes idle.
#[test]
fn loom_frozen_without_a_processor_while_the_last_machine_goes_idle() {
    model::check(|| {
        let world = World::new(1, 3, 1, 0);
        world.runs(0, 0, None);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.freezes(0, 0)),
            start(&world, |world| world.machine(1, 0)),
            newborn(&world, 2),
        ];
        world.settle(threads);
    });
}

/// A machine that has been idle for long ends, unless somebody has just come with a processor.
#[test]
fn loom_submitted_while_an_idle_machine_ends() {
    model::check(|| {
        let world = World::new(1, 2, 1, 0);
        // So that no idle machine is wanted.
        world.rt.procs.store(0, Ordering::Relaxed);
        world.make_idle(0);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.without_processor(0)),
            newborn(&world, 1),
            start(&world, |_| futex::time_passes(Moment::from_nanos(60_000_000_000))),
        ];
        world.submit_from_outside(0);
        world.settle(threads);
    });
}

/// A busy processor gets a timer while the only other machine goes idle.
#[test]
fn loom_timer_added_while_the_last_machine_goes_idle() {
    model::check(|| {
        let world = Arc::new(World::new(2, 3, 1, 1));
        let threads = vec![
            start(&world, |world| world.machine(0, 1)),
            newborn(&world, 1),
            start(&world, |_| futex::time_passes(SOON)),
        ];
        world.submit_timer(0, 0, SOON);
        world.settle(threads);
    });
}

/// A busy processor gets a timer that comes before what the keeper sleeps for, or is about to.
#[test]
fn loom_keeper_does_not_sleep_past_an_earlier_timer() {
    model::check(|| {
        let mut world = World::new(2, 3, 2, 2);
        world.expected = 1;
        world.add_timer(1, 1, LATER);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.machine(0, 1)),
            newborn(&world, 1),
            start(&world, |_| futex::time_passes(SOON)),
        ];
        world.submit_timer(0, 0, SOON);
        world.settle(threads);
    });
}

/// A processor is given away with a timer on it while the last machine goes idle.
#[test]
fn loom_timer_on_a_processor_that_is_handed_off() {
    model::check_large(|| {
        let world = World::new(2, 3, 1, 1);
        world.add_timer(0, 0, SOON);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.rt.handoff_p(world.p(0))),
            start(&world, |world| world.machine(0, 1)),
            newborn(&world, 1),
        ];
        futex::time_passes(SOON);
        world.settle(threads);
    });
}

/// The last processor that is not idle is given away while a timer lies on another one, and nobody keeps time.
#[test]
fn loom_timer_on_an_idle_processor_while_the_last_one_is_handed_off() {
    model::check(|| {
        let world = World::new(2, 2, 1, 1);
        world.add_timer(1, 0, SOON);
        world.make_idle(1);
        let world = Arc::new(world);
        let threads = vec![start(&world, |world| world.rt.handoff_p(world.p(0))), newborn(&world, 0)];
        futex::time_passes(SOON);
        world.settle(threads);
    });
}

/// A timer is left to a searcher, which then finds something else to do.
#[test]
fn loom_timer_added_while_the_only_searcher_finds_something() {
    model::check(|| {
        let world = World::new(3, 3, 2, 1);
        world.queue_before(0);
        world.rt.search.start();
        world.make_idle(2);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.searcher(0, 1)),
            newborn(&world, 1),
            start(&world, |_| futex::time_passes(SOON)),
        ];
        world.submit_timer(0, 0, SOON);
        world.settle(threads);
    });
}

/// A timer is left to a waker that finds no processor to wake anybody with.
#[test]
fn loom_timer_added_while_a_waker_finds_no_processor() {
    model::check(|| {
        let world = World::new(2, 3, 1, 1);
        world.rt.search.start();
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.rt.wake_p_slow()),
            start(&world, |world| world.machine(0, 1)),
            newborn(&world, 1),
        ];
        world.submit_timer(0, 0, SOON);
        futex::time_passes(SOON);
        world.settle(threads);
    });
}
