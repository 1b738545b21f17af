//! A pace per host: requests leave evenly spaced, however many workers want to ask.
//!
//! Who comes takes the next free moment of its host, under the lock, and sleeps until then, without it. So there is
//! nothing to tick for hosts that nobody asks, and nobody is overtaken.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gort::context::Context;
use gort::sync::Mutex;

/// The pace of all hosts.
#[derive(Debug)]
pub struct HostLimits {
    interval: Duration,
    next: Mutex<HashMap<String, Instant>>,
}

impl HostLimits {
    /// So many per second for each host.
    pub fn new(per_second: u32) -> HostLimits {
        HostLimits { interval: Duration::from_secs(1) / per_second.max(1), next: Mutex::default() }
    }

    /// Waits for the host's next moment. False: the context was done first.
    pub fn wait(&self, ctx: &Context, host: &str) -> bool {
        let now = Instant::now();
        let moment = {
            let mut next = self.next.lock();
            let free = next.entry(host.to_owned()).or_insert(now);
            let moment = now.max(*free);
            *free = moment + self.interval;
            moment
        };
        gort::select_biased! {
            recv(ctx.done()) -> _ => false,
            recv(gort::time::after(moment - now)) -> _ => true,
        }
    }
}
