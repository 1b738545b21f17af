//! The examples of gort. There is nothing to import here: the programs are
//!
//! - `cargo run --example tour -- list`: Go's concurrency in small steps, one idea per file (`tour/*.rs`);
//! - `cargo run --release --example wordcount -- --help`: a pipeline on real input (`wordcount/*.rs`).
//!
//! The library exists for the documentation tests of those stops of the tour that show a program which must *not*
//! compile: rustdoc runs such programs for libraries only, so under `cfg(doctest)` the files are included here again.

#[cfg(doctest)]
#[path = "../tour/data_race.rs"]
mod data_race;

#[cfg(doctest)]
#[path = "../tour/directions.rs"]
mod directions;

#[cfg(doctest)]
#[path = "../tour/closure_loop.rs"]
mod closure_loop;
