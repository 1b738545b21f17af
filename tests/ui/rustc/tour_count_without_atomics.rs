//! Shared ownership without synchronisation.

use std::cell::Cell;
use std::rc::Rc;

#[gort::main(unsafe(migrate))]
fn main() {
    let data = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&data);
    gort::go(move || theirs.set(theirs.get() + 1));
    println!("{}", data.get());
}
