//! A program that ends in the way its argument names: what becomes of main's result, of its panic, and of the
//! goroutines it leaves behind.

use std::rc::Rc;

#[gort::main(unsafe(migrate), maxprocs = 2)]
fn main() -> Result<(), Rc<str>> {
    match std::env::args().nth(1).as_deref() {
        Some("error") => Err("an error that is not Send".into()),
        Some("panic") => panic!("main panicked on purpose"),
        Some("leave-others") => {
            let (_tx, rx) = gort::chan::<()>(0);
            gort::go(move || rx.recv());
            gort::go(|| gort::sleep(std::time::Duration::from_secs(3600)));
            gort::gosched();
            Ok(())
        }
        _ => Ok(()),
    }
}
