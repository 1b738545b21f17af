//! The promise is `unsafe` code, and a crate that forbids that forbids the promise.

#![forbid(unsafe_code)]

#[gort::test(unsafe(migrate))]
fn it_works() {}

#[gort::main(unsafe(migrate))]
fn main() {}
