//! A channel takes its values to other threads, so an end of a channel of values that may not go is not `Send` either.

use std::rc::Rc;

#[gort::main(unsafe(migrate))]
fn main() {
    let (tx, _rx) = gort::chan::<Rc<u32>>(1);
    gort::go(move || tx.send(Rc::new(1)).unwrap());
}
