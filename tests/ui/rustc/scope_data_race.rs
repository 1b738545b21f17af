//! Goroutines of a scope may borrow, but not write to the same place.

#[gort::main(unsafe(migrate))]
fn main() {
    let mut count = 0;
    gort::scope(|s| {
        s.go(|| count += 1);
        s.go(|| count += 1);
    });
}
