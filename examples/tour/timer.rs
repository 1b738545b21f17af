//! Idea: a timer fires once, unless it is stopped before.
//!
//! The first timer is waited for. The second is stopped in time: `stop` tells with `true` that it will not fire. The
//! third runs a function in a goroutine of its own when it fires, and is waited for through a channel.

use std::time::Duration;

use gort::time::{self, Timer};

use crate::kit::pace;

pub(crate) fn run() {
    let timer_1 = Timer::new(pace(2000));
    timer_1.c().recv().unwrap();
    println!("Timer 1 fired");

    let timer_2 = Timer::new(Duration::from_secs(3600));
    println!("Timer 2 stopped: {}", timer_2.stop());

    let (sender, receiver) = gort::chan(1);
    let _timer_3 = time::after_func(pace(100), move || sender.send("Timer 3 called").unwrap());
    println!("{}", receiver.recv().unwrap());
}
