//! A machine looks for work. The order is Go's, with two additions: every so often the ring goes before the `next` slot,
//! so that goroutines which keep starting or waking one another can not starve the rest of their processor; and an idle
//! machine searches a little longer before it sleeps, since being woken costs more than looking.

use std::ptr::NonNull;

use super::{Queued, Runtime};
use crate::env::Moment;
use crate::g::G;
use crate::g::start::{self, Origin};
use crate::m::M;
use crate::p::P;
use crate::sys::atomic::{Ordering, fence};
use crate::timers::{Action, Node, Timers};

/// Every how many looks the global queue comes first, and every how many the ring goes before the next slot: Go's
/// number, a prime, so that it does not keep step with patterns of the program.
const FAIR_TICKS: u32 = 61;
const RING_FIRST: u32 = 30;

/// Rounds over all other processors before a searching machine gives up, and pauses after each: some tens of microseconds in all.
const ROUNDS: u32 = if cfg!(loom) { 1 } else { 32 };
const PAUSES: u32 = if cfg!(loom) { 0 } else { 40 };
/// From this round on, timers and `next` slots of others are taken too. (A model has one round, and a machine that goes idle
/// sees what lies in a slot: it must be able to take it, if its owner does not get to run.)
const DEEP_ROUND: u32 = if cfg!(loom) { 0 } else { 2 };

/// What a machine finds.
enum Work {
    /// A goroutine to run.
    Run(NonNull<G>),
    /// A frozen machine whose turn it is to have the processor.
    Thaw(&'static M),
}

impl Runtime {
    /// The next goroutine for `m` to run; sleeps until there is one. None: the machine is to end.
    pub(crate) fn find_runnable(&self, m: &'static M) -> Option<NonNull<G>> {
        loop {
            let Some(p) = m.p() else {
                if !self.stop_m(m) {
                    return None;
                }
                continue;
            };
            if p.retired.load(Ordering::Relaxed) {
                self.drop_retired(m);
                continue;
            }
            match self.look(m, p) {
                Some(work) => {
                    self.found(m, p);
                    match work {
                        Work::Run(g) => return Some(g),
                        Work::Thaw(frozen) => self.thaw(frozen, m.release_p()),
                    }
                }
                None => self.go_idle(m),
            }
        }
    }

    /// Looks at every place where work can be, nearest first.
    #[inline]
    fn look(&self, m: &'static M, p: &'static P) -> Option<Work> {
        if p.eager.pending() {
            p.eager.check();
        }
        if p.timers.earliest() != Moment::NEVER {
            self.run_timers(p, &p.timers, Moment::now());
        }
        let turn = p.advance_tick() % FAIR_TICKS;
        if turn == 0
            && let Some(work) = self.take_global(p, 1)
        {
            return Some(work);
        }
        if turn == RING_FIRST
            && let Some(g) = p.queue.pop()
        {
            return Some(Work::Run(g));
        }
        if let Some(g) = p.queue.take_next() {
            return Some(Work::Run(g));
        }
        if let Some(g) = p.queue.pop() {
            G::prefetch(p.queue.peek_ahead());
            return Some(Work::Run(g));
        }
        self.look_elsewhere(m, p)
    }

    #[cold]
    fn look_elsewhere(&self, m: &'static M, p: &'static P) -> Option<Work> {
        if let Some(work) = self.take_global(p, usize::MAX) {
            return Some(work);
        }
        if let Some(g) = self.poll(p) {
            return Some(Work::Run(g));
        }
        self.steal(m, p)
    }

    /// `m` has found work on `p`: it does not search any more, and tells others of what it leaves to them.
    #[inline]
    fn found(&self, m: &'static M, p: &'static P) {
        if m.spinning.get() {
            self.stop_spinning(m);
        }
        if p.timers_unannounced.replace(false) {
            self.announce_timer(p.timers.earliest());
        }
    }

    #[cold]
    fn stop_spinning(&self, m: &'static M) {
        m.spinning.set(false);
        self.search.stop();
        // While we searched others relied on us, with goroutines and with timers, and we took only one thing. If there
        // is more, the next machine.
        if self.more_to_do() {
            self.wake_p();
        }
    }

    /// Takes up to `max` from the global queue: the first is returned, the rest goes into the ring of `p`. Or the frozen
    /// machine whose turn it is.
    fn take_global(&self, p: &'static P, max: usize) -> Option<Work> {
        if self.global_len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut shared = self.shared.lock();
        if let Some(frozen) = self.next_frozen(&mut shared, p) {
            return Some(Work::Thaw(frozen));
        }
        let len = shared.global.len();
        let share = len / self.procs.load(Ordering::Relaxed).max(1) as usize + 1;
        let count = share.min(crate::runq::ring::CAPACITY / 2).min(max);
        let first = shared.global.pop_front().map(|Queued(g)| g);
        for _ in 1..count {
            let Some(Queued(g)) = shared.global.pop_front() else { break };
            if let Err(g) = p.queue.push(g) {
                shared.global.push_front(Queued(g));
                break;
            }
        }
        self.publish_global(&shared);
        first.map(Work::Run)
    }

    /// Searches the other processors, several rounds long.
    fn steal(&self, m: &'static M, p: &'static P) -> Option<Work> {
        let procs = self.procs.load(Ordering::Relaxed);
        if procs == 1 && self.all_ps().len() == 1 {
            return None;
        }
        if !m.spinning.get() {
            if !self.search.try_start(procs) {
                return None;
            }
            m.spinning.set(true);
        }
        let rounds = if self.only_network() { 1 } else { ROUNDS };
        for round in 0..rounds {
            if let Some(g) = self.steal_round(p, round >= DEEP_ROUND) {
                return Some(Work::Run(g));
            }
            if self.global_len.load(Ordering::Relaxed) != 0
                && let Some(work) = self.take_global(p, usize::MAX)
            {
                return Some(work);
            }
            if p.retired.load(Ordering::Relaxed) {
                return None;
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        None
    }

    fn steal_round(&self, p: &'static P, deep: bool) -> Option<NonNull<G>> {
        let made = self.all_ps().len();
        let start = p.rng.below(made as u32) as usize;
        for victim in (start..made).chain(0..start).map(|index| self.p_at(index)) {
            if victim.id == p.id {
                continue;
            }
            if deep && self.take_due_timers(p, victim) {
                return p.queue.take_next().or_else(|| p.queue.pop());
            }
            let stolen =
                victim.queue.steal_half(&p.queue).or_else(|| if deep { steal_next(victim) } else { None });
            if stolen.is_some() {
                p.stats.steals.up();
                return stolen;
            }
        }
        None
    }

    /// Runs the victim's timers that are due. True if that made something runnable here.
    fn take_due_timers(&self, p: &'static P, victim: &'static P) -> bool {
        if victim.timers.earliest() == Moment::NEVER {
            return false;
        }
        self.run_timers(p, &victim.timers, Moment::now()) && !p.queue.is_empty()
    }

    /// Owner of `p`: fires what is due in `timers`, its own or another's; what that wakes goes to `p`, the first of it before
    /// what is queued there, as in Go: it has waited for this moment. True if any.
    pub(crate) fn run_timers(&self, p: &'static P, timers: &Timers, now: Moment) -> bool {
        let (mut fired, mut next_is_free) = (false, p.queue.peek_next().is_null());
        // As many of those in the ring are run here at once.
        let mut own = 1;
        while timers.earliest() <= now {
            for node in timers.check(now) {
                // SAFETY: the node came due and was not acted on yet.
                let g = unsafe { self.act(p, node) };
                if std::mem::take(&mut next_is_free) {
                    let displaced = p.queue.set_next(g);
                    debug_assert!(displaced.is_none(), "only the owner fills the slot");
                    own = 0;
                } else {
                    self.put_ring(p, g);
                }
                fired = true;
            }
        }
        if fired && p.queue.len() > own {
            self.wake_p();
        }
        fired
    }

    /// A timer came due: what is to be queued for it.
    ///
    /// # Safety
    /// The node was returned by `Timers::check` and not acted on yet. The caller owns `p`.
    unsafe fn act(&self, p: &'static P, node: NonNull<Node>) -> NonNull<G> {
        // SAFETY: a due node is valid until acted on.
        let node = unsafe { node.as_ref() };
        match node.action {
            Action::Wake(g) => {
                // SAFETY: a timer that wakes is made with the address of a goroutine, and those are never freed.
                let g = unsafe { &*g.cast::<G>() };
                g.status.transition_to_ready();
                NonNull::from(g)
            }
            Action::Start { call, data } => {
                node.acted_on();
                self.start_for_timer(p, Call { call, data })
            }
        }
    }

    /// A goroutine that makes the call; a child of none.
    fn start_for_timer(&self, p: &'static P, call: Call) -> NonNull<G> {
        let g = self.free_g(Some(p), self.default_class).unwrap_or_else(|error| {
            crate::sys::throw(format_args!("no stack for a timer's function: {error}"))
        });
        let origin = Origin { pc: 0, at: std::panic::Location::caller() };
        // SAFETY: the free `G` is ours; the closure is small, and what the call needs is its own.
        unsafe { start::furnish(g, p.next_id(&self.ids), 0, origin, move || call.make()) };
        p.stats.created.up();
        g
    }

    /// Whether any ring or the global queue holds something.
    #[expect(
        clippy::len_zero,
        reason = "the length is that of the ring; `is_empty` speaks of what runs next as well"
    )]
    pub(crate) fn work_in_sight(&self) -> bool {
        self.global_len.load(Ordering::Relaxed) != 0 || self.all_ps().any(|p| p.queue.len() != 0)
    }

    /// Nothing to do for `m`: gives its processor up, looks once more, and keeps time or leaves it to others.
    /// It comes back with a processor, or without one and then has to stop.
    #[cold]
    fn go_idle(&self, m: &'static M) {
        self.computes_no_more(m);
        let had = {
            let mut shared = self.shared.lock();
            if !(shared.global.is_empty() && shared.frozen.len() == 0) {
                return;
            }
            let p = m.release_p();
            p.timers_unannounced.set(false);
            if p.retired.load(Ordering::Relaxed) {
                m.acquire_p(p);
                return;
            }
            self.put_idle_p(&mut shared, p);
            p.id
        };
        if m.spinning.replace(false) {
            self.search.stop();
        } else {
            // A machine that did not search looks once more as well: who submitted a moment ago saw no idle processor.
            fence(Ordering::SeqCst);
        }
        if !self.look_again(m) {
            self.keep_time(m, had);
        }
    }

    /// The last look of a machine that goes idle: everything that was submitted while others relied on it.
    fn look_again(&self, m: &'static M) -> bool {
        let work = self.global_len.load(Ordering::Relaxed) != 0 || self.all_ps().any(|p| !p.queue.is_empty());
        if !work {
            return false;
        }
        let Some(p) = self.take_idle_p() else { return false };
        m.acquire_p(p);
        m.spinning.set(true);
        self.search.start();
        true
    }

    /// Sleeps until the next timer, or until a descriptor is ready, if anybody waits for such a thing and nobody else does
    /// this. The processor that the machine had is named `had`.
    fn keep_time(&self, m: &'static M, had: u32) {
        let earliest = self.earliest_timer();
        let Some(ready) = self.keeper.keep(earliest, self.wants_watch(had), self.poller) else { return };
        let Some(p) = self.take_idle_p() else { return self.inject(None, ready) };
        m.acquire_p(p);
        self.inject(Some(p), ready);
        let now = Moment::now();
        for other in self.all_ps() {
            if other.timers.earliest() <= now {
                self.run_timers(p, &other.timers, now);
            }
        }
    }
}

/// The call of a timer that starts a goroutine.
struct Call {
    call: unsafe fn(*const ()),
    data: *const (),
}

// SAFETY: whoever makes such a timer gives a function and data that may be used on any thread.
unsafe impl Send for Call {}

impl Call {
    fn make(self) {
        // SAFETY: the function is called once for each firing, with its own data.
        unsafe { (self.call)(self.data) }
    }
}

/// Takes what `victim` would run next, if it has been busy with one thing for a while (Go sleeps 3 us to find out).
///
/// A goroutine in the slot usually runs within a tenth of that, when the running one parks; taking it then would only
/// tear apart what works together. The tick tells: if it moves, the victim is getting on by itself.
fn steal_next(victim: &'static P) -> Option<NonNull<G>> {
    const LOOKS: u32 = if cfg!(loom) { 2 } else { 100 };
    let item = victim.queue.peek_next();
    if item.is_null() {
        return None;
    }
    let tick = victim.tick.load(Ordering::Relaxed);
    for _ in 0..LOOKS {
        std::hint::spin_loop();
        if victim.tick.load(Ordering::Relaxed) != tick || victim.queue.peek_next() != item {
            return None;
        }
    }
    victim.queue.steal_next(item)
}
