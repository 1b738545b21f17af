//! The half of a race that only reads.

#[gort::main(unsafe(migrate))]
fn main() {
    let mut data = 0;
    gort::scope(|s| {
        s.go(|| data += 1);
        s.go(|| println!("{data}"));
    });
}
