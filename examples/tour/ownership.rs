//! Idea: the goroutine that creates a channel also writes and closes it, and gives away only the reading end.
//!
//! The Go idiom is a function that returns `<-chan int`: it makes the channel, starts the goroutine that sends, and
//! closes when done. Nobody else *can* close it or send to it, which rules out deadlocks on nil channels and the three
//! channel panics. In gort the owner returns a `Receiver`, and its `Sender` lives and dies inside the goroutine.

use gort::channel::Receiver;

fn owner() -> Receiver<i32> {
    let (sender, receiver) = gort::chan(5);
    gort::go! {
        for value in 0..=5 {
            sender.send(value).unwrap();
        }
    };
    receiver
}

fn consumer(values: Receiver<i32>) {
    for value in values {
        println!("Received: {value}");
    }
    println!("Done receiving!");
}

pub(crate) fn run() {
    consumer(owner());
}
