//! A goroutine may be stolen by another thread before it starts: what it captures is `Send`.

use std::rc::Rc;

#[gort::main(unsafe(migrate))]
fn main() {
    let count = Rc::new(0);
    gort::go(move || println!("{count}"));
}
