//! Go's `chan<-` and `<-chan` are two types: a receiver does not send or close, a sender does not receive.

fn main() {
    let (tx, rx) = gort::chan::<u32>(1);
    rx.send(1).unwrap();
    rx.close();
    tx.recv().unwrap();
}
