//! Idea: a select with a `default` case never waits.
//!
//! The Go snippets look at two channels and print `No message` when neither has one. Polling like this is for a loop
//! that has something else to do; one that has not should wait.

use gort::channel::Receiver;

fn look(ch1: &Receiver<&str>, ch2: &Receiver<&str>) {
    gort::select! {
        recv(ch1) -> message => println!("Received {}", message.unwrap()),
        recv(ch2) -> message => println!("Received {}", message.unwrap()),
        default => println!("No message"),
    }
}

pub(crate) fn run() {
    let (_sender_1, ch1) = gort::chan(1);
    let (sender_2, ch2) = gort::chan(1);

    look(&ch1, &ch2);
    sender_2.send("two").unwrap();
    look(&ch1, &ch2);
    look(&ch1, &ch2);
}
