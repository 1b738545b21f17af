//! Idea: a nil channel switches a select case off.
//!
//! A select over two sources must not look again at a source that has been closed: it would be "ready" for ever, and
//! the loop would spin. Go programs set the channel variable to nil; the case then never fires. Assigning
//! `Receiver::nil()` is the same. The loop ends when both are switched off.

use gort::channel::Receiver;

fn source(values: &'static [i32]) -> Receiver<i32> {
    let (sender, receiver) = gort::chan(0);
    gort::go! {
        for &value in values {
            sender.send(value).unwrap();
        }
    };
    receiver
}

pub(crate) fn run() {
    let mut odd = source(&[1, 3]);
    let mut even = source(&[2, 4, 6]);
    let mut open = 2;

    while open > 0 {
        let (received, from) = gort::select! {
            recv(odd) -> value => (value, &mut odd),
            recv(even) -> value => (value, &mut even),
        };
        match received {
            Ok(value) => println!("Received: {value}"),
            Err(_) => {
                *from = Receiver::nil();
                open -= 1;
                println!("one source closed");
            }
        }
    }
}
