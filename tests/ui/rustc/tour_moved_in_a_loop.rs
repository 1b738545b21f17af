//! One end of a channel for several goroutines: each needs its own clone.

#[gort::main(unsafe(migrate))]
fn main() {
    let (sender, receiver) = gort::chan(0);
    for i in 0..3 {
        gort::go!(sender.send(i).unwrap());
    }
    println!("{}", receiver.iter().sum::<i32>());
}
