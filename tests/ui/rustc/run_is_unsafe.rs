//! Without the attribute the promise is an `unsafe` block.

fn main() {
    gort::run(|| {});
}
