//! The result of a goroutine goes to whoever joins it, on any thread.

use std::rc::Rc;

#[gort::main(unsafe(migrate))]
fn main() {
    gort::go(|| Rc::new(0));
}
