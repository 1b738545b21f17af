//! What a scope's goroutine borrows lives as long as the scope, not only inside its closure.

#[gort::main(unsafe(migrate))]
fn main() {
    gort::scope(|s| {
        let text = String::from("inside");
        s.go(|| println!("{text}"));
    });
}
