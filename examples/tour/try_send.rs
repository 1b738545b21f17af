//! Idea: trying instead of waiting.
//!
//! Go writes a non-blocking send or receive as a select with a `default` case. gort has that form, and `try_send` and
//! `try_recv`, which say it in one call and tell a full channel from a closed one.

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(1);

    for value in 1..=2 {
        gort::select! {
            send(sender, value) -> result => {
                result.unwrap();
                println!("sent {value}");
            }
            default => println!("buffer full, {value} not sent"),
        }
    }

    println!("{:?}", receiver.try_recv());
    println!("{:?}", receiver.try_recv());
    drop(sender);
    println!("{:?}", receiver.try_recv());
}
