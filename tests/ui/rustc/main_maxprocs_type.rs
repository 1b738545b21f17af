//! How many threads run goroutines is a `usize`.

#[gort::main(unsafe(migrate), maxprocs = "four")]
fn main() {}
