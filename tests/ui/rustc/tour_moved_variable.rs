//! What a goroutine has captured by `move` belongs to it.

#[gort::main(unsafe(migrate))]
fn main() {
    let words = vec!["who", "owns", "this"];
    let counting = gort::go(move || words.len());
    println!("{words:?}: {}", counting.join().unwrap());
}
