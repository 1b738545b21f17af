//! A task that sleeps a millisecond at a time, and how late it wakes.
//!
//! The runtime's own sleep is the peer's business; here is the account. A tick
//! counts from the moment it is asked for, so a wake that comes late delays
//! the later ticks and does not make them late as well.

use crate::Sample;
use crate::work::percentile;
use std::time::{Duration, Instant};

/// How long one tick is.
pub const TICK: Duration = Duration::from_millis(1);

/// The ticks so far.
#[derive(Default)]
pub struct Ticks {
    late_us: Vec<f64>,
}

impl Ticks {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.late_us.len() as u64
    }

    /// A sleep of one [`TICK`], asked for at `asked`, has just ended.
    pub fn woke(&mut self, asked: Instant) {
        self.late_us.push(asked.elapsed().saturating_sub(TICK).as_nanos() as f64 / 1000.0);
    }

    /// The longest that a tick came late.
    pub fn latest(&self) -> Duration {
        Duration::from_nanos((self.late_us.iter().copied().fold(0.0, f64::max) * 1000.0) as u64)
    }

    /// Adds the median, the 99th percentile and the maximum, in µs.
    pub fn add_to(mut self, sample: Sample) -> Sample {
        if self.late_us.is_empty() {
            return sample;
        }
        self.late_us.sort_by(f64::total_cmp);
        let at = |share| percentile(&self.late_us, share);
        sample.and("late_p50_us", at(0.5)).and("late_p99_us", at(0.99)).and("late_max_us", at(1.0))
    }
}
