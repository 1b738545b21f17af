//! The loop variable that all goroutines share, as in Go before 1.22.

#[gort::main(unsafe(migrate))]
fn main() {
    let mut i = 1;
    while i <= 3 {
        gort::go(|| println!("{i}"));
        i += 1;
    }
}
