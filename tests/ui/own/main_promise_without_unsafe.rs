//! The word `unsafe` is what makes it a promise.

#[gort::main(migrate)]
fn main() {}
