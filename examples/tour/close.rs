//! Idea: closing a channel says that the stream has ended, like the end of a file.
//!
//! The Go program sends 1, 2, 3 from a goroutine, closes, and `main` ranges until then. In Rust the last `Sender` that
//! goes out of scope closes the channel by itself, so the explicit `close` is rarely needed: here it is called to look
//! like the original, and the second half leaves it to ownership.

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(0);
    gort::go! {
        for value in 1..=3 {
            sender.send(value).unwrap();
        }
        sender.close();
    };
    for value in &receiver {
        println!("Received: {value}");
    }
    println!("All done");

    let (sender, receiver) = gort::chan(0);
    gort::go! {
        for value in 4..=5 {
            sender.send(value).unwrap();
        }
        // `sender` is dropped here, and with it the channel is closed.
    };
    for value in &receiver {
        println!("Received: {value}");
    }
    println!("All done again");
}
