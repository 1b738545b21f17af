//! What a lock guards is reached through its guard only, and the guard does not leave.

use gort::sync::Mutex;

fn outside() -> &'static mut i32 {
    let counter = Mutex::new(0);
    &mut *counter.lock()
}

fn main() {
    let counter = Mutex::new(0);
    counter += 1;
    println!("{}", outside());
}
