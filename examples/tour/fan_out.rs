//! Idea: fan-out. Several goroutines read from one channel, and the work spreads over them.
//!
//! One producer, three consumers: every value is taken by exactly one of them, by whoever is free. Each consumer
//! reports its sum at the end; the sums vary, their total does not.

use crate::kit::pace;

pub(crate) fn run() {
    let (source, queue) = gort::chan(0);
    let (report, sums) = gort::chan(3);

    for _ in 0..3 {
        let (queue, report) = (queue.clone(), report.clone());
        gort::go! {
            let mut sum = 0;
            for value in queue {
                gort::sleep(pace(20)); // some work
                sum += value;
            }
            report.send(sum).unwrap();
        };
    }
    drop(report);

    for value in 1..=30 {
        source.send(value).unwrap();
    }
    source.close();

    let sums: Vec<u32> = sums.iter().collect();
    println!("{} consumers, sum {}", sums.len(), sums.iter().sum::<u32>());
}
