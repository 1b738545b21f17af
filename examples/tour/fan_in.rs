//! Idea: fan-in. Several goroutines send on one channel, and one place receives it all.
//!
//! The Go program has three senders of two values each (11, 12, 21, ...), a goroutine that waits for them and closes,
//! and a range over the channel. Values of one sender stay in their order; those of different senders mix.

use gort::sync::WaitGroup;

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(0);
    let wg = WaitGroup::new();

    for id in 1..=3 {
        let sender = sender.clone();
        wg.go(move || {
            for j in 1..=2 {
                sender.send(id * 10 + j).unwrap();
            }
        });
    }
    gort::go! {
        wg.wait();
        sender.close();
    };

    let mut last = [0; 4];
    for value in receiver {
        println!("Received: {value}");
        let sender_id = value / 10;
        assert!(last[sender_id] < value, "one sender's values keep their order");
        last[sender_id] = value;
    }
}
