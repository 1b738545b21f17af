//! The promise covers entering the runtime and nothing else the user writes.

unsafe fn processors() -> usize {
    2
}

#[gort::main(unsafe(migrate), maxprocs = processors())]
fn main() {}
