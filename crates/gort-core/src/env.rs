//! The door for everything that is not decided inside: the clock and chance. A simulated runtime replaces this room.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A point of the monotonic clock, in nanoseconds: what the runtime's timers count in. Each is an [`Instant`] in another form:
/// what is told as the one and waited for as the other never looks early.
///
/// [`Moment::NEVER`] is later than every other moment; sums that would overflow saturate to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// No deadline.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// Now.
    #[cfg(not(loom))]
    #[inline]
    pub fn now() -> Moment {
        let (instant, moment) = anchor();
        let ahead = Instant::now().duration_since(instant);
        Moment(moment.0 + ahead.as_secs() * 1_000_000_000 + u64::from(ahead.subsec_nanos()))
    }

    /// Now: what the model's clock shows.
    #[cfg(loom)]
    pub fn now() -> Moment {
        model::now()
    }

    /// The moment `d` from now.
    #[inline]
    pub fn after(d: Duration) -> Moment {
        Moment::now().plus(d)
    }

    /// The moment `d` after this one.
    #[inline]
    pub fn plus(self, d: Duration) -> Moment {
        Moment(u64::try_from(d.as_nanos()).map_or(u64::MAX, |ns| self.0.saturating_add(ns)))
    }

    /// How long from `earlier` to this moment; zero if it is not later.
    #[inline]
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Nanoseconds on the monotonic clock.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment with this many nanoseconds on the monotonic clock.
    #[inline]
    pub const fn from_nanos(ns: u64) -> Moment {
        Moment(ns)
    }

    /// This moment as std's `Instant`; [`Moment::NEVER`] becomes an instant about a century away.
    pub fn to_instant(self) -> Instant {
        let (instant, moment) = anchor();
        if self >= moment {
            let ahead = self.since(moment).min(Duration::from_secs(100 * 365 * 86_400));
            instant + ahead
        } else {
            instant.checked_sub(moment.since(self)).unwrap_or(instant)
        }
    }
}

impl From<Instant> for Moment {
    fn from(at: Instant) -> Moment {
        let (instant, moment) = anchor();
        match at.checked_duration_since(instant) {
            Some(ahead) => moment.plus(ahead),
            None => Moment(moment.0.saturating_sub(instant.duration_since(at).as_nanos() as u64)),
        }
    }
}

/// The value of one setting in `GORT_DEBUG`, which reads `name=value,name=value`.
pub(crate) fn debug_setting(name: &str) -> Option<String> {
    let settings = std::env::var("GORT_DEBUG").ok()?;
    let mut settings = settings.split(',').filter_map(|setting| setting.trim().split_once('='));
    settings.find(|&(key, _)| key == name).map(|(_, value)| value.to_owned())
}

/// The `Instant` and the `Moment` that are the same: with them every other is converted, to and fro, to the nanosecond.
#[inline]
fn anchor() -> (Instant, Moment) {
    static ANCHOR: OnceLock<(Instant, Moment)> = OnceLock::new();
    *ANCHOR.get_or_init(read_anchor)
}

/// An `Instant`, and what CLOCK_MONOTONIC showed then: std's clock is that one, but does not tell its readings, and the
/// kernel, which waits until a `Moment`, counts in them.
///
/// If the thread is descheduled between two readings they lie far apart, and each wait in the kernel would be off by that. So
/// the narrowest of several tries counts, and of its bounds the later one: a wait may end a fraction of a microsecond late,
/// never early.
#[cold]
fn read_anchor() -> (Instant, Moment) {
    let tries = (0..32).map(|_| (monotonic(), Instant::now(), monotonic()));
    let narrowest = tries.min_by_key(|(before, _, after)| after.since(*before));
    let (_, instant, after) = narrowest.expect("there are tries");
    (instant, after)
}

fn monotonic() -> Moment {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Moment(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}

/// A counter that rises a few times a nanosecond, for rough comparisons only: half the cost of reading the clock.
#[inline]
pub(crate) fn ticks() -> u64 {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: rdtsc has no effect but its result; every x86-64 system lets user code run it.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(any(not(target_arch = "x86_64"), loom))]
    Moment::now().as_nanos()
}

/// A cheap random number generator (wyrand's step): for fairness, never for secrets.
#[derive(Debug)]
pub struct Rng(Cell<u64>);

impl Rng {
    /// A generator that will give the sequence of `seed`.
    pub const fn new(seed: u64) -> Rng {
        Rng(Cell::new(seed))
    }

    /// The next 32 random bits.
    #[inline]
    pub fn next(&self) -> u32 {
        let s = self.0.get().wrapping_add(0x2d35_8dcc_aa6c_78a5);
        self.0.set(s);
        let wide = u128::from(s) * u128::from(s ^ 0x8bb8_4b93_962e_acc9);
        ((wide >> 64) as u64 ^ wide as u64) as u32
    }

    /// A number in `0..n`, without the bias or the cost of a remainder (Lemire's multiply-shift). `n` must not be 0.
    #[inline]
    pub fn below(&self, n: u32) -> u32 {
        ((u64::from(self.next()) * u64::from(n)) >> 32) as u32
    }
}

/// 64 random bits: to seed an [`Rng`] with, for fairness and never for secrets.
///
/// Not inlined, and a value: a goroutine may go on in another thread after it has parked, and nothing that belongs to the
/// thread may be remembered across that.
#[inline(never)]
pub fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    STATE.with(|state| {
        let seed = match state.get() {
            0 => first_state(),
            seed => seed,
        };
        // Marsaglia's xorshift: never 0, if it was not 0 before.
        let mut next = seed ^ (seed << 13);
        next ^= next >> 7;
        next ^= next << 17;
        state.set(next);
        next
    })
}

/// A state that differs from thread to thread and from run to run, and is not 0.
#[cold]
fn first_state() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(1);
    let thread = THREADS.fetch_add(1, Ordering::Relaxed);
    (Moment::now().as_nanos() ^ thread.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// The clock of a model: it stands still until a thread of the model moves it.
#[cfg(loom)]
pub(crate) mod model {
    use loom::sync::atomic::{AtomicU64, Ordering};

    use super::Moment;

    loom::lazy_static! {
        static ref CLOCK: AtomicU64 = AtomicU64::new(0);
    }

    pub(super) fn now() -> Moment {
        Moment(CLOCK.load(Ordering::Relaxed))
    }

    pub(crate) fn set_now(now: Moment) {
        CLOCK.store(now.0, Ordering::Relaxed);
    }
}
