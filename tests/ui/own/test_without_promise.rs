//! A test makes the same promise as a program.

#[gort::test]
fn it_works() {}

fn main() {}
