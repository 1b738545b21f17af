//! Idea: a channel brings the result of a computation back.
//!
//! The Go exercise adds two numbers in a goroutine and must print the sum in `main`, without a shared variable. The
//! channel does both at once: it carries the value, and the receive waits for it.

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(0);

    let (a, b) = (1, 2);
    gort::go! {
        let c = a + b;
        sender.send(c).unwrap();
    };

    println!("computed value {}", receiver.recv().unwrap());
}
