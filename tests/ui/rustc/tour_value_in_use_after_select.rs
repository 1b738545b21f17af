//! The value of a send that was chosen is gone, and the compiler can not know that it was not.

fn main() {
    let (sender, _receiver) = gort::chan(1);
    let list = vec![1, 2, 3];
    gort::select! {
        send(sender, list) -> result => result.unwrap(),
        default => {}
    }
    println!("{list:?}");
}
