//! The fix that is shown keeps the options that are there.

#[gort::main(maxprocs = 4)]
fn main() {}
