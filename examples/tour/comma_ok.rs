//! Idea: telling a received value from a closed channel.
//!
//! Go's receive has a second result: `v, ok := <-ch`, and `ok` is false once the channel is closed and drained; the
//! value is then the type's zero. In gort a receive gives a `Result`: the `Ok` *is* the ok. Whoever wants Go's zero
//! value asks for it with `unwrap_or_default`.

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(2);
    sender.send(10).unwrap();
    sender.send(20).unwrap();
    sender.close();

    for _ in 0..3 {
        match receiver.recv() {
            Ok(value) => println!("Got: {value}"),
            Err(_) => println!("Channel closed!"),
        }
    }

    // v, ok := <-ch
    let (value, ok) = match receiver.recv() {
        Ok(value) => (value, true),
        Err(_) => (0, false),
    };
    println!("value {value}, ok {ok}");
}
