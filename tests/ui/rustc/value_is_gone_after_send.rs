//! A value that has been sent belongs to the receiver.

fn main() {
    let (tx, _rx) = gort::chan(1);
    let list = vec![1, 2, 3];
    tx.send(list).unwrap();
    println!("{list:?}");
}
