//! A goroutine may outlive its parent, so it borrows nothing from it; `scope` is for that.

#[gort::main(unsafe(migrate))]
fn main() {
    let mut count = 0;
    gort::go(|| count += 1);
    count += 1;
    println!("{count}");
}
