//! The promise can not be left out.

#[gort::main]
fn main() {}
